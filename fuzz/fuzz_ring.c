/* SPDX-License-Identifier: MIT */
/*
 * The ring's memory in hostile hands: every word that either end reads may be the fuzzer's. Oracle:
 * no access outside the pages, never a packet beyond the limits, bounded work, and an end that was
 * told nonsense says so; then the same for the announcement, which must survive being written
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/ring/ring_announce.h"
#include "core/ring/ring_guest.h"
#include "core/ring/ring_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct hostile {
	const uint8_t *data;
	size_t size;
	uint8_t pages[KD_RING_BYTES];
	unsigned accesses;
};

static uint8_t next(struct hostile *h)
{
	if (!h->size)
		return 0;
	h->size--;
	return *h->data++;
}

static void check(struct hostile *h, uint32_t offset, size_t size)
{
	if (offset > KD_RING_BYTES || size > KD_RING_BYTES - offset)
		abort();
	h->accesses++;
}

/* One in four loads is not what was written. */
static uint32_t load(void *context, uint32_t offset)
{
	struct hostile *h = context;
	uint8_t how = next(h);

	check(h, offset, 4);
	if (how & 1 && how & 2) {
		uint32_t value = next(h);

		value |= (uint32_t)next(h) << 8;
		kd_put32(h->pages + offset, how & 4 ? value * 16 : value << (how >> 3));
	}
	return kd_get32(h->pages + offset);
}

static void store(void *context, uint32_t offset, uint32_t value)
{
	struct hostile *h = context;

	check(h, offset, 4);
	kd_put32(h->pages + offset, value);
}

static void read_bytes(void *context, uint32_t offset, void *to, size_t size)
{
	struct hostile *h = context;

	check(h, offset, size);
	if (next(h) & 1 && size)
		h->pages[offset + next(h) % size] = next(h);
	memcpy(to, h->pages + offset, size);
}

static void write_bytes(void *context, uint32_t offset, const void *from, size_t size)
{
	struct hostile *h = context;

	check(h, offset, size);
	if (size)
		memcpy(h->pages + offset, from, size);
}

static void fence(void *context)
{
	(void)context;
}

static const struct kd_ring_memory_ops ops = { load, store, read_bytes, write_bytes, fence };

static void check_taken(enum kd_status status, const struct kd_ring_record *record)
{
	if (status == KD_OK &&
	    (record->size > KD_RING_PAYLOAD_MAX || record->header_size > record->size))
		abort();
}

static void step(struct hostile *h, const struct kd_ring_memory *m, struct kd_ring_host *host,
		 struct kd_ring_guest *guest, uint64_t now)
{
	uint8_t *payload = malloc(KD_RING_PAYLOAD_MAX); /* its end is watched */
	struct kd_ring_record record;
	size_t size = next(h) * 37u;

	h->accesses = 0;
	memset(payload, 0x5A, KD_RING_PAYLOAD_MAX);
	switch (next(h) % 11) {
	case 0: check_taken(kd_ring_host_take(host, m, &record, payload), &record); break;
	case 1: check_taken(kd_ring_guest_receive(guest, m, &record, payload), &record); break;
	case 2:
		if (size <= KD_RING_PAYLOAD_MAX)
			kd_ring_host_put(host, m, 2, payload, size, NULL, 0);
		break;
	case 3:
		if (size <= KD_RING_PAYLOAD_MAX)
			kd_ring_guest_send(guest, m, 7, payload, 0, payload, size);
		break;
	case 4: kd_ring_host_attach(host, m, next(h), next(h)); break;
	case 5:
		if (kd_ring_host_beat(host, m) == KD_E_RESET)
			kd_ring_host_recover(host, m, next(h));
		break;
	case 6: kd_ring_guest_is_live(guest, m, now); break;
	case 7: kd_ring_guest_poll(guest, m); break;
	case 8:
		if (kd_ring_host_may_sleep(host, m))
			kd_ring_guest_needs_doorbell(m);
		kd_ring_host_wake(m);
		break;
	case 9: kd_ring_host_break_in(host, m); break;
	default: kd_ring_guest_open(guest, m, KD_RING_ARCH_X64, 8, next(h)); break;
	}
	if (h->accesses > 400)
		abort();
	free(payload);
}

static void try_announcement(const uint8_t *data, size_t size)
{
	struct kd_ring_announcement a, again;
	char text[KD_RING_LINE_MAX], twice[KD_RING_LINE_MAX];
	size_t end, n;

	enum kd_status status = kd_ring_announcement_find((const char *)data, size, &a, &end);

	if (end > size)
		abort();
	if (status != KD_OK)
		return;
	n = kd_ring_announcement_write(&a, text, sizeof text);
	if (!n || kd_ring_announcement_find(text, n, &again, &end) != KD_OK ||
	    kd_ring_announcement_write(&again, twice, sizeof twice) != n ||
	    memcmp(text, twice, n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hostile h;
	struct kd_ring_memory m = { &ops, &h };
	struct kd_ring_guest guest = { 0 };
	struct kd_ring_host host = { 0 };

	try_announcement(data, size);
	memset(&h, 0, sizeof h);
	h.data = data;
	h.size = size;
	kd_ring_guest_open(&guest, &m, KD_RING_ARCH_X64, 8, 1);
	kd_ring_host_attach(&host, &m, 1, 1);
	for (unsigned i = 0; i < 200 && h.size; i++)
		step(&h, &m, &host, &guest, i * UINT64_C(1000000));
	return 0;
}
