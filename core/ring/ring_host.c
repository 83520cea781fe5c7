/* SPDX-License-Identifier: MIT */
#include "core/ring/ring_host.h"

#include "core/bytes.h"

static uint32_t load(const struct kd_ring_memory *m, uint32_t offset)
{
	return m->ops->load(m->context, offset);
}

static void store(const struct kd_ring_memory *m, uint32_t offset, uint32_t value)
{
	m->ops->store(m->context, offset, value);
}

static enum kd_status check_page(const struct kd_ring_memory *m, uint64_t boot_nonce)
{
	if (kd_ring_load64(m, KD_RING_AT_MAGIC) != KD_RING_MAGIC ||
	    kd_ring_load64(m, KD_RING_AT_BOOT_NONCE) != boot_nonce)
		return KD_E_NOT_FOUND;
	if (load(m, KD_RING_AT_VERSION) != (KD_RING_VERSION | KD_RING_PAGES << 16))
		return KD_E_UNSUPPORTED;
	return KD_OK;
}

/* The guest looks at the low half only: it counts. */
static void write_nonce(struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	uint32_t low = (uint32_t)h->nonce + 1;

	h->nonce = (h->nonce & ~(uint64_t)UINT32_MAX) | low;
	kd_ring_store64(m, KD_RING_AT_HOST_NONCE, h->nonce);
}

/*
 * Our indices go on where the last host left them: the guest may be reading or writing a record at
 * this moment, so ours must not jump.
 */
static enum kd_status adopt_indices(struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	uint32_t head, tail;

	if (!kd_ring_indices(m, KD_RING_G2H, &head, &h->tail))
		return KD_E_MALFORMED;
	if (!kd_ring_indices(m, KD_RING_H2G, &h->head, &tail))
		return KD_E_MALFORMED;
	h->breaks = load(m, KD_RING_AT_BREAKS);
	return KD_OK;
}

enum kd_status kd_ring_host_attach(struct kd_ring_host *h, const struct kd_ring_memory *m,
				   uint64_t boot_nonce, uint64_t nonce)
{
	enum kd_status status = check_page(m, boot_nonce);

	if (status != KD_OK)
		return status;
	*h = (struct kd_ring_host){ .boot_nonce = boot_nonce, .nonce = nonce };
	status = adopt_indices(h, m);
	if (status != KD_OK)
		return status;
	store(m, KD_RING_AT_HOST_SLEEPING, 0);
	write_nonce(h, m);
	store(m, KD_RING_AT_HOST_STATE, KD_RING_HOST_ATTACHED);
	m->ops->fence(m->context);
	/* It may have started anew meanwhile: then its clean page has our word in it, take it back.
	 */
	status = check_page(m, boot_nonce);
	if (status != KD_OK)
		store(m, KD_RING_AT_HOST_STATE, KD_RING_HOST_ABSENT);
	return status;
}

enum kd_status kd_ring_host_beat(struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	uint64_t found = kd_ring_load64(m, KD_RING_AT_HOST_NONCE);

	if (check_page(m, h->boot_nonce) != KD_OK ||
	    kd_ring_host_guest_state(m) == KD_RING_GUEST_SERIAL)
		return KD_E_NOT_FOUND;
	if (found != h->nonce)
		return KD_E_RESET;
	write_nonce(h, m);
	return KD_OK;
}

enum kd_status kd_ring_host_recover(struct kd_ring_host *h, const struct kd_ring_memory *m,
				    uint64_t nonce)
{
	struct kd_ring_host before = *h;
	enum kd_status status = kd_ring_host_attach(h, m, before.boot_nonce, nonce);

	h->rx_packets = before.rx_packets;
	h->tx_packets = before.tx_packets;
	h->rx_bytes = before.rx_bytes;
	h->tx_bytes = before.tx_bytes;
	return status == KD_OK ? kd_ring_host_resync(h, m) : status;
}

enum kd_ring_guest_state kd_ring_host_guest_state(const struct kd_ring_memory *m)
{
	uint32_t state = load(m, KD_RING_AT_GUEST_STATE);

	return state <= KD_RING_GUEST_RING ? (enum kd_ring_guest_state)state : KD_RING_GUEST_SERIAL;
}

/* Nobody but us writes these: others than ours are from another time. */
static bool is_as_left(const struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	return load(m, KD_RING_AT_G2H_TAIL) == h->tail && load(m, KD_RING_AT_H2G_HEAD) == h->head;
}

enum kd_status kd_ring_host_take(struct kd_ring_host *h, const struct kd_ring_memory *m,
				 struct kd_ring_record *ret, uint8_t *payload)
{
	enum kd_status status = kd_ring_take(m, KD_RING_G2H, &h->tail, ret, payload);

	if (status != KD_OK)
		return is_as_left(h, m) ? status : KD_E_RESET;
	h->rx_packets++;
	h->rx_bytes += ret->size;
	return KD_OK;
}

enum kd_status kd_ring_host_put(struct kd_ring_host *h, const struct kd_ring_memory *m,
				uint16_t type, const void *header, size_t header_size,
				const void *data, size_t data_size)
{
	enum kd_status status;

	/* In a ring of another time our record would let the guest run into old ones. */
	if (!is_as_left(h, m))
		return KD_E_RESET;
	status = kd_ring_put(m, KD_RING_H2G, &h->head, type, header, header_size, data, data_size);

	if (status == KD_OK) {
		h->tx_packets++;
		h->tx_bytes += header_size + data_size;
	}
	return status;
}

enum kd_status kd_ring_host_resync(struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	return kd_ring_put(m, KD_RING_H2G, &h->head, KD_RING_RESYNC, NULL, 0, NULL, 0);
}

void kd_ring_host_break_in(struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	store(m, KD_RING_AT_BREAKS, ++h->breaks);
}

bool kd_ring_host_is_there(const struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	return check_page(m, h->boot_nonce) == KD_OK;
}

bool kd_ring_host_may_sleep(const struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	store(m, KD_RING_AT_HOST_SLEEPING, 1);
	m->ops->fence(m->context);
	return load(m, KD_RING_AT_G2H_HEAD) == h->tail;
}

void kd_ring_host_wake(const struct kd_ring_memory *m)
{
	store(m, KD_RING_AT_HOST_SLEEPING, 0);
}

void kd_ring_host_detach(struct kd_ring_host *h, const struct kd_ring_memory *m)
{
	if (check_page(m, h->boot_nonce) == KD_OK)
		store(m, KD_RING_AT_HOST_STATE, KD_RING_HOST_DETACHING);
}
