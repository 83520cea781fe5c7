/* SPDX-License-Identifier: MIT */
/* The ring without a guest: two threads on a shared page, both spinning. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/ring/ring_guest.h"
#include "core/ring/ring_host.h"

enum { BOOT = 7, ROUNDS = 2000000, STREAM = 400000, REQUEST = 16, STREAMED = 8000, QUESTION = 2 };

static _Alignas(4096) uint8_t pages[KD_RING_BYTES];
static struct kd_ring_guest guest;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Answers each question with itself; after the last one streams. */
static void *be_guest(void *context)
{
	static uint8_t payload[KD_RING_PAYLOAD_MAX];
	struct kd_ring_memory m = kd_ring_memory_direct(pages);
	struct kd_ring_record record;

	(void)context;
	for (unsigned i = 0; i < ROUNDS;) {
		if (kd_ring_guest_receive(&guest, &m, &record, payload) != KD_OK) {
			pause_cpu();
			continue;
		}
		kd_ring_guest_send(&guest, &m, QUESTION, payload, record.size, NULL, 0);
		i++;
	}
	for (unsigned i = 0; i < STREAM;)
		if (kd_ring_guest_send(&guest, &m, QUESTION, payload, 0, payload, STREAMED) ==
		    KD_OK)
			i++;
		else
			pause_cpu();
	return NULL;
}

static void take(struct kd_ring_host *host, const struct kd_ring_memory *m, uint8_t *payload)
{
	struct kd_ring_record record;

	while (kd_ring_host_take(host, m, &record, payload) != KD_OK)
		pause_cpu();
}

int main(void)
{
	static uint8_t payload[KD_RING_PAYLOAD_MAX];
	struct kd_ring_memory m = kd_ring_memory_direct(pages);
	struct kd_ring_host host;
	pthread_t thread;
	double start, seconds;

	kd_ring_guest_open(&guest, &m, KD_RING_ARCH_X64, 8, BOOT);
	if (kd_ring_host_attach(&host, &m, BOOT, 1) != KD_OK ||
	    !kd_ring_guest_is_live(&guest, &m, 0) ||
	    pthread_create(&thread, NULL, be_guest, NULL) != 0)
		return 1;
	start = now();
	for (unsigned i = 0; i < ROUNDS; i++) {
		kd_ring_host_put(&host, &m, QUESTION, payload, REQUEST, NULL, 0);
		take(&host, &m, payload);
	}
	seconds = now() - start;
	printf("{\"name\": \"ring raw, %d-byte round trips\", \"count\": %d, \"per_s\": %.0f}\n",
	       REQUEST, ROUNDS, ROUNDS / seconds);
	start = now();
	for (unsigned i = 0; i < STREAM; i++)
		take(&host, &m, payload);
	seconds = now() - start;
	printf("{\"name\": \"ring raw, stream\", \"bytes\": %llu, \"gb_per_s\": %.2f}\n",
	       (unsigned long long)STREAM * STREAMED, (double)STREAM * STREAMED / seconds / 1e9);
	pthread_join(thread, NULL);
	return 0;
}
