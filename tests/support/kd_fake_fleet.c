/* SPDX-License-Identifier: MIT */
/*
 * kd-fake-fleet: many fake targets in one process, each on a unix socket, and a debugger that works
 * on them one after the other by other ways (proxies). For the monitor's tests and benchmark.
 *
 *	kd-fake-fleet FOLDER COUNT
 *
 * Target I (from 0) listens at FOLDER/tI.sock. Lines of standard input:
 *
 *	drive I PATH N   attach at the socket PATH, break in, read memory N times, let it go
 *	counters         a JSON line a target: what really passed its socket
 *	print I TEXT     let it print a line
 *
 * Each is answered by "ok" or "failed" behind what it prints. It ends with its input.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/kd_client.h"
#include "tests/support/kd_fake_target.h"

enum { TARGETS_MAX = 256, LIMIT_MS = 10000 };

struct target {
	struct kd_fake *fake;
	int listener, peer;
	uint64_t sent, received; /* bytes */
};

static struct target targets[TARGETS_MAX];
static size_t n_targets;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int wake_fd;
static bool is_over;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- targets, in a thread --- */

static void drop(struct target *t)
{
	if (t->peer >= 0)
		close(t->peer);
	t->peer = -1;
}

static void write_output(struct target *t, uint64_t now)
{
	const uint8_t *out;
	size_t size;

	while ((out = kd_fake_next_output(t->fake, &size))) {
		ssize_t n = (ssize_t)size;

		if (t->peer >= 0) {
			n = send(t->peer, out, size, MSG_NOSIGNAL);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			if (n < 0)
				drop(t);
			else
				t->sent += (uint64_t)n;
		}
		kd_fake_output_done(t->fake, n < 0 ? size : (size_t)n, now);
	}
}

static void read_peer(struct target *t, uint64_t now)
{
	uint8_t bytes[4096];
	ssize_t n = recv(t->peer, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n > 0) {
		t->received += (uint64_t)n;
		kd_fake_feed(t->fake, bytes, (size_t)n, now);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		drop(t);
	}
}

/* Milliseconds until the first of them has to do something. */
static int run_all(struct pollfd *fds)
{
	uint64_t now = now_ns(), next = now + 1000000000u;

	for (size_t i = 0; i < n_targets; i++) {
		struct target *t = &targets[i];
		bool busy = kd_fake_run(t->fake, now);
		uint64_t deadline = busy ? now : kd_fake_deadline(t->fake);

		write_output(t, now);
		next = deadline < next ? deadline : next;
		fds[2 * i] = (struct pollfd){ .fd = t->peer, .events = POLLIN };
		fds[2 * i + 1] = (struct pollfd){ .fd = t->peer < 0 ? t->listener : -1,
						  .events = POLLIN };
	}
	return next <= now ? 0 : (int)((next - now) / 1000000u) + 1;
}

static void serve_all(const struct pollfd *fds)
{
	uint64_t now = now_ns();

	for (size_t i = 0; i < n_targets; i++) {
		struct target *t = &targets[i];

		if (fds[2 * i].revents && t->peer >= 0)
			read_peer(t, now);
		if (fds[2 * i + 1].revents & POLLIN)
			t->peer = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
}

static void *run(void *context)
{
	static struct pollfd fds[2 * TARGETS_MAX + 1];

	(void)context;
	pthread_mutex_lock(&lock);
	while (!is_over) {
		int ms = run_all(fds);
		eventfd_t unused;

		fds[2 * n_targets] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
		pthread_mutex_unlock(&lock);
		poll(fds, 2 * n_targets + 1, ms);
		pthread_mutex_lock(&lock);
		if (fds[2 * n_targets].revents)
			eventfd_read(wake_fd, &unused);
		serve_all(fds);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static bool make_target(const char *folder, size_t i)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct target *t = &targets[i];

	*t = (struct target){ .peer = -1 };
	t->fake = kd_fake_create(&(struct kd_fake_config){ 0 });
	t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!t->fake || t->listener < 0 ||
	    snprintf(address.sun_path, sizeof address.sun_path, "%s/t%zu.sock", folder, i) >=
		    (int)sizeof address.sun_path)
		return false;
	unlink(address.sun_path);
	return bind(t->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
	       listen(t->listener, 1) == 0;
}

/* --- what is asked of us --- */

static bool drive(const char *path, unsigned n)
{
	static struct kd_client c;
	int fd = kd_client_connect(path, LIMIT_MS);
	uint8_t bytes[16];
	bool ok;

	if (fd < 0)
		return false;
	kd_client_init_fd(&c, fd);
	c.limit_ms = LIMIT_MS;
	ok = kd_client_break_in(&c);
	for (unsigned i = 0; ok && i < n; i++)
		ok = kd_client_read(&c, c.stop.hdr.program_counter & ~UINT64_C(0xFFF), bytes,
				    sizeof bytes);
	/* Behind the instruction that stopped it: two requests more. */
	ok = ok && kd_client_set_register(&c, 0, "rip", c.stop.hdr.program_counter + 1);
	ok = ok && kd_client_go(&c, false);
	kd_client_deinit(&c);
	return ok;
}

static void print_counters(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_targets; i++) {
		const struct kd_link_counters *c = kd_link_counters(&targets[i].fake->server.link);

		printf("{\"target\":%zu,\"tx_packets\":%" PRIu64 ",\"rx_packets\":%" PRIu64
		       ",\"tx_bytes\":%" PRIu64 ",\"rx_bytes\":%" PRIu64 "}\n",
		       i, c->tx_packets, c->rx_packets, targets[i].sent, targets[i].received);
	}
	pthread_mutex_unlock(&lock);
}

static bool print_text(size_t i, const char *text)
{
	char line[256];

	if (i >= n_targets)
		return false;
	snprintf(line, sizeof line, "%s\n", text);
	pthread_mutex_lock(&lock);
	kd_fake_do(targets[i].fake, KD_FAKE_PRINT, line);
	pthread_mutex_unlock(&lock);
	return eventfd_write(wake_fd, 1) == 0;
}

static bool obey(const char *line)
{
	char path[128];
	unsigned n;
	size_t i;
	int at = 0;

	if (sscanf(line, "drive %zu %127s %u", &i, path, &n) == 3)
		return drive(path, n);
	if (sscanf(line, "print %zu %n", &i, &at) == 1 && at)
		return print_text(i, line + at);
	if (strcmp(line, "counters") != 0)
		return false;
	print_counters();
	return true;
}

int main(int argc, char **argv)
{
	char line[512];
	pthread_t thread;

	n_targets = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	if (!n_targets || n_targets > TARGETS_MAX) {
		fprintf(stderr, "usage: kd-fake-fleet FOLDER COUNT\n");
		return 2;
	}
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (size_t i = 0; i < n_targets; i++)
		if (!make_target(argv[1], i)) {
			fprintf(stderr, "kd-fake-fleet: %s/t%zu.sock: %s\n", argv[1], i,
				strerror(errno));
			return 1;
		}
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		return 1;
	puts("ok");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		puts(obey(line) ? "ok" : "failed");
		fflush(stdout);
	}
	pthread_mutex_lock(&lock);
	is_over = true;
	pthread_mutex_unlock(&lock);
	if (eventfd_write(wake_fd, 1) == 0)
		pthread_join(thread, NULL);
	return 0;
}
