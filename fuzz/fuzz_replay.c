/* SPDX-License-Identifier: MIT */
/*
 * A hostile recording behind replay:, with a debugger's link on it. Oracle: no more bytes come out
 * than the file holds, the counters agree with each other, and it ends.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/link/link.h"
#include "lib/io/transport.h"

enum { STEPS_MAX = 4000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fuzzer's clock: soft waits of the replay pass in real time, so they are not waited for. */
static void play(struct kd_transport *t, struct kd_link *link)
{
	uint8_t buf[512];
	uint64_t now = 1;
	struct kd_error err;

	for (int i = 0; i < STEPS_MAX; i++) {
		struct kd_link_event e;
		const uint8_t *out;
		size_t n, at = 0, done;
		enum kd_status s = kd_transport_read(t, buf, sizeof buf, &n, &err);

		if (s != KD_OK && s != KD_E_AGAIN && s != KD_E_CLOSED)
			return;
		if (s == KD_E_CLOSED && strstr(err.text, "recording"))
			return;
		for (now += KD_NS_PER_MS; s == KD_OK && at < n;) {
			at += kd_link_feed(link, buf + at, n - at, now);
			while (kd_link_next_event(link, &e))
				;
		}
		now += 100 * KD_NS_PER_MS;
		kd_link_timeout(link, now);
		while (kd_link_next_event(link, &e))
			;
		while ((out = kd_link_next_output(link, &n))) {
			if (kd_transport_write(t, out, n, &done, &err) != KD_OK)
				return;
			kd_link_output_done(link, done, now);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kd_link link;
	struct kd_link_config cfg;
	struct kd_replay_counters c;
	struct kd_transport *t;
	struct kd_error err = { 0 };
	char endpoint[64];
	int fd = memfd_create("recording", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(endpoint, sizeof endpoint, "replay:/proc/self/fd/%d", fd);
	if (kd_transport_open_text(endpoint, NULL, &t, &err) == KD_OK) {
		kd_link_config_init(&cfg, KD_LINK_DEBUGGER, false);
		kd_link_init(&link, &cfg);
		kd_link_reset(&link, 1);
		play(t, &link);
		if (kd_transport_replay_counters(t, &c) != KD_OK || c.equal > c.expected ||
		    c.equal > c.written || kd_transport_info(t)->rx_bytes > size)
			abort();
		kd_transport_destroy(t);
	} else if (!err.text[0]) {
		abort();
	}
	close(fd);
	return 0;
}
