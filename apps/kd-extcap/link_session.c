/* SPDX-License-Identifier: MIT */
/* A session of somebody else's, by its socket. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "apps/kd-extcap/link.h"
#include "apps/kd/text.h"

enum { LINE_LIMIT = 16 << 20, ANSWER_MS = 30000, PROTOCOL = 1 };

struct session_link {
	struct link link;
	struct text in;
	json_t *events; /* an array of those that nobody took yet */
	json_int_t next_id;
	bool is_gone;
};

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Wait for more; false: nothing came in time, or it is over. */
static bool fill(struct session_link *l, int timeout_ms)
{
	struct pollfd fd = { .fd = l->link.fd, .events = POLLIN };
	char bytes[65536];
	ssize_t n;

	if (poll(&fd, 1, timeout_ms) <= 0)
		return false;
	n = recv(l->link.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	l->is_gone |= n <= 0 || l->in.size > LINE_LIMIT;
	if (n > 0)
		text_append(&l->in, bytes, (size_t)n);
	return n > 0;
}

/* An object out of a line; events are kept, what is none is left out. NULL: no line is there. */
static json_t *take_line(struct session_link *l)
{
	char *line;

	while ((line = text_take_line(&l->in))) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		const char *event = json_string_value(json_object_get(o, "event"));

		free(line);
		if (json_is_object(o) && !event)
			return o;
		if (event && strcmp(event, "traffic") == 0)
			json_array_append(l->events, o);
		json_decref(o);
	}
	return NULL;
}

static json_t *next_object(struct session_link *l, long long deadline)
{
	json_t *o;

	while (!(o = take_line(l)) && !l->is_gone) {
		long long left = deadline - now_ms();

		if (left <= 0 || (!fill(l, (int)left) && now_ms() >= deadline))
			break;
	}
	return o;
}

static bool send_line(struct session_link *l, const char *line, int given)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec v = { (char *)line, strlen(line) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (given >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &given, sizeof(given));
	}
	while (v.iov_len) {
		ssize_t n = sendmsg(l->link.fd, &m, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		v.iov_base = (char *)v.iov_base + n;
		v.iov_len -= (size_t)n;
		m.msg_control = NULL; /* it went with the first bytes */
		m.msg_controllen = 0;
	}
	return true;
}

static json_t *ask(struct link *link, json_t *request, int given)
{
	struct session_link *l = (struct session_link *)link;
	json_int_t id = ++l->next_id;
	long long deadline = now_ms() + ANSWER_MS;
	json_t *o = NULL;
	char *line;

	json_object_set_new(request, "id", json_integer(id));
	line = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (line)
		line = realloc(line, strlen(line) + 2);
	if (line && send_line(l, strcat(line, "\n"), given))
		while ((o = next_object(l, deadline)) &&
		       json_integer_value(json_object_get(o, "id")) != id)
			json_decref(o);
	free(line);
	l->is_gone |= !o;
	return o;
}

static json_t *event(struct link *link)
{
	struct session_link *l = (struct session_link *)link;
	json_t *o = json_incref(json_array_get(l->events, 0));

	if (o)
		json_array_remove(l->events, 0);
	return o;
}

static bool read_more(struct link *link)
{
	struct session_link *l = (struct session_link *)link;

	if (!l->is_gone)
		fill(l, 0);
	json_decref(take_line(l)); /* an answer that nobody waits for */
	return !l->is_gone;
}

static void close_link(struct link *link)
{
	struct session_link *l = (struct session_link *)link;

	if (link->fd >= 0)
		close(link->fd);
	text_free(&l->in);
	json_decref(l->events);
	free(l);
}

static const struct link_ops ops = { ask, event, read_more, close_link };

static bool greeted(struct session_link *l, char *message, size_t size)
{
	json_t *hello = next_object(l, now_ms() + ANSWER_MS);
	json_int_t protocol = json_integer_value(json_object_get(hello, "protocol"));

	json_decref(hello);
	if (!hello)
		snprintf(message, size,
			 "the session does not answer: is it busy with a long "
			 "command?");
	else if (protocol != PROTOCOL)
		snprintf(message, size,
			 "the session speaks protocol %lld, this program %d: install "
			 "the one that came with kd",
			 (long long)protocol, PROTOCOL);
	else
		return true;
	return false;
}

struct link *link_open_session(const char *path, char *message, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct session_link *l = app_alloc(sizeof(*l));

	*l = (struct session_link){ .link = { &ops, -1 }, .events = json_array() };
	app_copy(address.sun_path, sizeof(address.sun_path), path, strlen(path));
	l->link.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->link.fd < 0 ||
	    connect(l->link.fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		snprintf(message, size, "%s: %s", path, strerror(errno));
		close_link(&l->link);
		return NULL;
	}
	if (!greeted(l, message, size)) {
		close_link(&l->link);
		return NULL;
	}
	return &l->link;
}
