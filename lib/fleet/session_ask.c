/* SPDX-License-Identifier: MIT */
#include "lib/fleet/session_ask.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/io/private_dir.h"
#include "lib/wait.h"

enum { READ_SIZE = 16 << 10, LINE_SIZE = 64 << 10 };

/* The monitor's own; it does not speak as a session does. */
#define MONITOR_SOCKET "kdmon.sock"
#define STATUS_REQUEST "{\"id\":1,\"op\":\"status\"}\n"
#define BREAK_REQUEST  "{\"id\":1,\"op\":\"break\"}\n"
#define REJOIN_REQUEST "{\"id\":1,\"op\":\"rejoin\"}\n"

struct asked {
	int fd; /* -1: through with it */
	char *bytes;
	size_t n;
	struct kd__session_found *found;
};

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return -1;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool write_text(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* --- one --- */

static void end(struct asked *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

/* Whole lines, and the rest moved to the front. */
static bool take_lines(struct asked *a)
{
	char *at = a->bytes, *newline;

	while ((newline = memchr(at, '\n', a->n - (size_t)(at - a->bytes)))) {
		if (kd__session_line_take(&a->found->state, at, (size_t)(newline - at), NULL) !=
		    KD_OK)
			return false;
		at = newline + 1;
	}
	a->n -= (size_t)(at - a->bytes);
	memmove(a->bytes, at, a->n);
	return a->n < LINE_SIZE;
}

static void read_more(struct asked *a)
{
	ssize_t n;

	if (!a->bytes)
		a->bytes = malloc(LINE_SIZE + READ_SIZE);
	if (!a->bytes) {
		end(a);
		return;
	}
	n = recv(a->fd, a->bytes + a->n, READ_SIZE, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		a->n += (size_t)n;
	if (n <= 0 || !take_lines(a) || a->found->state.has_status)
		end(a);
}

/* --- all --- */

static size_t poll_rows(struct asked *list, size_t n, struct pollfd *rows)
{
	size_t open = 0;

	for (size_t i = 0; i < n; i++) {
		rows[i] = (struct pollfd){ .fd = list[i].fd, .events = POLLIN };
		open += list[i].fd >= 0;
	}
	return open;
}

static void wait_for_all(struct asked *list, size_t n, uint64_t deadline)
{
	struct pollfd rows[KD__SESSIONS_MAX];

	while (poll_rows(list, n, rows) > 0) {
		uint64_t now = kd_now_ns();
		int ms = now >= deadline ? 0 : (int)KD_MIN((deadline - now) / 1000000 + 1, 10000u);
		int ready = poll(rows, n, ms);

		if (ready <= 0 && (kd_now_ns() >= deadline || (ready < 0 && errno != EINTR)))
			break;
		for (size_t i = 0; i < n; i++)
			if (rows[i].fd >= 0 && rows[i].revents)
				read_more(&list[i]);
	}
	for (size_t i = 0; i < n; i++) {
		end(&list[i]);
		free(list[i].bytes);
	}
}

static size_t open_all(const char *folder, struct kd__session_found *found, struct asked *list)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	size_t n = 0;

	while (d && n < KD__SESSIONS_MAX && (entry = readdir(d))) {
		size_t length = strlen(entry->d_name);
		struct asked *a = &list[n];

		if (length < 6 || strcmp(entry->d_name + length - 5, ".sock") != 0 ||
		    strcmp(entry->d_name, MONITOR_SOCKET) == 0 ||
		    snprintf(found[n].path, sizeof found[n].path, "%s/%s", folder, entry->d_name) >=
			    (int)sizeof found[n].path)
			continue;
		*a = (struct asked){ .fd = connect_to(found[n].path), .found = &found[n] };
		if (a->fd < 0)
			continue;
		if (write_text(a->fd, STATUS_REQUEST))
			n++;
		else
			end(a);
		memset(&found[n].state, 0, sizeof found[n].state);
	}
	if (d)
		closedir(d);
	return n;
}

/* Those that did not even greet are no sessions. */
static size_t keep_greeted(struct kd__session_found *found, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (found[i].state.has_hello)
			found[kept++] = found[i];
	return kept;
}

enum kd_status kd__sessions_ask(uint64_t deadline, struct kd__session_found **list_ret,
				size_t *n_ret, struct kd_error *err)
{
	char folder[KD__SESSION_PATH_SIZE];
	struct kd__session_found *found;
	struct asked *list;
	size_t n;

	*list_ret = NULL;
	*n_ret = 0;
	if (kd_private_dir_path(KD_DIR_RUNTIME, NULL, folder, sizeof folder, NULL) != KD_OK)
		return KD_OK;
	found = calloc(KD__SESSIONS_MAX + 1, sizeof *found);
	list = calloc(KD__SESSIONS_MAX + 1, sizeof *list);
	if (!found || !list) {
		free(found);
		free(list);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	n = open_all(folder, found, list);
	wait_for_all(list, n, deadline);
	free(list);
	*list_ret = found;
	*n_ret = keep_greeted(found, n);
	return KD_OK;
}

static enum kd_status tell(const char *path, const char *request, uint64_t deadline,
			   struct kd_error *err)
{
	struct kd_error why;
	char bytes[4096];
	size_t lines = 0;
	int fd = connect_to(path);
	enum kd_status s = KD_OK;

	if (fd < 0 || !write_text(fd, request)) {
		if (fd >= 0)
			close(fd);
		return kd_error_set(err, KD_E_CLOSED, 0, "%s: nobody answers there any more", path);
	}
	/* The greeting and the answer: two lines. */
	while (s == KD_OK && lines < 2) {
		struct kd_wait_fd w = { .fd = fd, .want_read = true };
		ssize_t n;

		s = kd_wait(&w, 1, deadline, NULL, &why);
		n = s == KD_OK ? recv(fd, bytes, sizeof bytes, 0) : 0;
		if (s == KD_OK && n <= 0)
			s = KD_E_CLOSED;
		for (ssize_t i = 0; i < n; i++)
			lines += bytes[i] == '\n';
	}
	close(fd);
	return s == KD_OK ? KD_OK
			  : kd_error_set(err, s, 0, "%s: the session does not answer: is it busy?",
					 path);
}

enum kd_status kd__session_break_in(const char *path, uint64_t deadline, struct kd_error *err)
{
	return tell(path, BREAK_REQUEST, deadline, err);
}

enum kd_status kd__session_rejoin(const char *path, uint64_t deadline, struct kd_error *err)
{
	return tell(path, REJOIN_REQUEST, deadline, err);
}
