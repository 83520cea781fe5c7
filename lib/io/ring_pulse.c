/* SPDX-License-Identifier: MIT */
#include "lib/io/ring_pulse.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/ring/ring_guest.h"

static void signal_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void clear_fd(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
		;
}

static enum kd_ring_finding finding_of(enum kd_status status)
{
	return status == KD_OK        ? KD_RING_FINE
	       : status == KD_E_RESET ? KD_RING_WENT_BACK
				      : KD_RING_GUEST_LEFT;
}

/* Under the lock as a whole: a finding that was dealt with meanwhile is none any more. */
static void feel(struct kd_ring_pulse *p)
{
	enum kd_ring_finding now;
	bool is_news;

	pthread_mutex_lock(&p->lock);
	now = finding_of(kd_ring_host_beat(p->host, &p->memory));
	is_news = now != KD_RING_FINE && kd_ring_pulse_finding(p) == KD_RING_FINE;
	if (is_news)
		atomic_store(&p->finding, now);
	pthread_mutex_unlock(&p->lock);
	if (is_news)
		signal_fd(p->news_fd);
}

static void *beat(void *context)
{
	struct kd_ring_pulse *p = context;
	struct pollfd stop = { .fd = p->stop_fd, .events = POLLIN };

	while (poll(&stop, 1, (int)(KD_RING_BEAT_NS / 1000000)) <= 0)
		feel(p);
	return NULL;
}

enum kd_status kd_ring_pulse_init(struct kd_ring_pulse *p, struct kd_error *err)
{
	memset(p, 0, sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->stop_fd < 0 || p->news_fd < 0)
		return kd_error_set(err, KD_E_IO, 0, "no descriptors left: %s", strerror(errno));
	return KD_OK;
}

void kd_ring_pulse_deinit(struct kd_ring_pulse *p)
{
	pthread_mutex_destroy(&p->lock);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	if (p->news_fd >= 0)
		close(p->news_fd);
}

enum kd_status kd_ring_pulse_start(struct kd_ring_pulse *p, struct kd_ring_host *host,
				   const struct kd_ring_memory *memory, struct kd_error *err)
{
	int number;

	p->host = host;
	p->memory = *memory;
	clear_fd(p->stop_fd);
	kd_ring_pulse_clear(p);
	number = pthread_create(&p->thread, NULL, beat, p);
	return number ? kd_error_set(err, KD_E_IO, 0, "no thread for the ring: %s",
				     strerror(number))
		      : KD_OK;
}

void kd_ring_pulse_stop(struct kd_ring_pulse *p)
{
	signal_fd(p->stop_fd);
	pthread_join(p->thread, NULL);
}

enum kd_ring_finding kd_ring_pulse_finding(const struct kd_ring_pulse *p)
{
	return atomic_load(&p->finding);
}

void kd_ring_pulse_clear(struct kd_ring_pulse *p)
{
	clear_fd(p->news_fd);
	atomic_store(&p->finding, KD_RING_FINE);
}
