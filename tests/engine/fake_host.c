/* SPDX-License-Identifier: MIT */
#include "tests/engine/fake_host.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void fake_host_lock(struct fake_host *h)
{
	pthread_mutex_lock(&h->lock);
}

void fake_host_unlock(struct fake_host *h)
{
	pthread_mutex_unlock(&h->lock);
}

static uint32_t next_random(void)
{
	static uint32_t state = 12345;

	state = state * 1664525u + 1013904223u;
	return state >> 8;
}

/* Drop some bytes; what is left is moved together. */
static size_t lossy(struct fake_host *h, uint8_t *bytes, size_t size)
{
	uint32_t lose = atomic_load(&h->lose);
	size_t out = 0;

	for (size_t i = 0; i < size; i++)
		if (!lose || next_random() % 1000000 >= lose)
			bytes[out++] = bytes[i];
	return out;
}

static void drop_peer(struct fake_host *h)
{
	close(h->peer);
	h->peer = -1;
}

static void write_output(struct fake_host *h, uint64_t now)
{
	const uint8_t *out;
	uint8_t copy[8192];
	size_t size;

	while ((out = kd_fake_next_output(h->fake, &size))) {
		size_t n;

		size = size < sizeof copy ? size : sizeof copy;
		memcpy(copy, out, size);
		n = lossy(h, copy, size);
		if (h->peer >= 0 && n && send(h->peer, copy, n, MSG_NOSIGNAL) < 0)
			drop_peer(h);
		kd_fake_output_done(h->fake, size, now);
	}
}

static void read_peer(struct fake_host *h, uint64_t now)
{
	uint8_t bytes[4096];
	ssize_t n = recv(h->peer, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n > 0)
		kd_fake_feed(h->fake, bytes, lossy(h, bytes, (size_t)n), now);
	else if (n == 0)
		drop_peer(h);
}

static void *serve(void *context)
{
	struct fake_host *h = context;

	while (!atomic_load(&h->quit)) {
		struct pollfd fds[2];
		bool busy = false;

		if (atomic_load(&h->paused)) {
			usleep(1000);
			continue;
		}
		fake_host_lock(h);
		for (int i = 0; i < 8; i++)
			busy = kd_fake_run(h->fake, now_ns());
		write_output(h, now_ns());
		fake_host_unlock(h);
		fds[0] = (struct pollfd){ .fd = h->peer, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = h->listener, .events = h->peer < 0 ? POLLIN : 0 };
		poll(fds, 2, busy ? 0 : 1);
		fake_host_lock(h);
		if (fds[0].revents && h->peer >= 0)
			read_peer(h, now_ns());
		if (fds[1].revents & POLLIN)
			h->peer = accept(h->listener, NULL, NULL);
		fake_host_unlock(h);
	}
	return NULL;
}

static int open_listener(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4))
		abort();
	return fd;
}

struct fake_host *fake_host_start(const struct kd_fake_config *config)
{
	struct fake_host *h = calloc(1, sizeof *h);
	char path[96];

	if (!h)
		abort();
	strcpy(h->folder, "/tmp/openkd-test-XXXXXX");
	if (!mkdtemp(h->folder))
		abort();
	snprintf(path, sizeof path, "%s/kd.sock", h->folder);
	snprintf(h->endpoint, sizeof h->endpoint, "unix:%s", path);
	h->fake = kd_fake_create(config);
	h->peer = -1;
	h->listener = open_listener(path);
	pthread_mutex_init(&h->lock, NULL);
	if (pthread_create(&h->thread, NULL, serve, h))
		abort();
	return h;
}

void fake_host_stop(struct fake_host *h)
{
	char path[96];

	atomic_store(&h->quit, true);
	pthread_join(h->thread, NULL);
	if (h->peer >= 0)
		close(h->peer);
	close(h->listener);
	snprintf(path, sizeof path, "rm -rf %s", h->folder); /* sessions keep their state there */
	if (system(path))
		abort();
	kd_fake_destroy(h->fake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

bool fake_host_runs_alone(struct fake_host *h)
{
	for (int i = 0; i < 2000; i++) {
		bool alone;

		fake_host_lock(h);
		alone = h->peer < 0 && !kd_fake_is_stopped(h->fake);
		fake_host_unlock(h);
		if (alone)
			return true;
		usleep(1000);
	}
	return false;
}
