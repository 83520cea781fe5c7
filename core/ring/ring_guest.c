/* SPDX-License-Identifier: MIT */
#include "core/ring/ring_guest.h"

#include "core/bytes.h"

enum {
	/*
	 * Longer gaps between two looks are not the host's silence but our own: another kernel
	 * thread ran, the machine was paused, its clock jumped.
	 */
	GAP_MAX_MS = 20,
};

static const uint64_t gap_max = GAP_MAX_MS * UINT64_C(1000000);

static uint32_t load(const struct kd_ring_memory *m, uint32_t offset)
{
	return m->ops->load(m->context, offset);
}

static void store(const struct kd_ring_memory *m, uint32_t offset, uint32_t value)
{
	m->ops->store(m->context, offset, value);
}

static void count(const struct kd_ring_memory *m, uint32_t offset)
{
	store(m, offset, load(m, offset) + 1);
}

static void enter(struct kd_ring_guest *g, const struct kd_ring_memory *m,
		  enum kd_ring_guest_state state)
{
	g->state = state;
	store(m, KD_RING_AT_GUEST_STATE, (uint32_t)state);
}

/* The host's words are all void after this, and are its to write again. */
static void clear_page(const struct kd_ring_memory *m)
{
	for (uint32_t offset = 0; offset < KD_RING_AT_GUEST_STATE + 4; offset += 4)
		store(m, offset, 0);
}

void kd_ring_guest_open(struct kd_ring_guest *g, const struct kd_ring_memory *m, uint8_t arch,
			uint8_t pointer_size, uint64_t nonce)
{
	*g = (struct kd_ring_guest){ 0 };
	clear_page(m);
	m->ops->fence(m->context);
	store(m, KD_RING_AT_VERSION, KD_RING_VERSION | KD_RING_PAGES << 16);
	store(m, KD_RING_AT_VERSION + 4, pointer_size | (uint32_t)arch << 8);
	kd_ring_store64(m, KD_RING_AT_BOOT_NONCE, nonce);
	enter(g, m, KD_RING_GUEST_ANNOUNCED);
	kd_ring_store64(m, KD_RING_AT_MAGIC, KD_RING_MAGIC);
}

void kd_ring_guest_leave(struct kd_ring_guest *g, const struct kd_ring_memory *m)
{
	enter(g, m, KD_RING_GUEST_SERIAL);
}

/* Is a nonce there that was not there at our last look, or not long enough ago to worry? */
static bool is_host_alive(struct kd_ring_guest *g, const struct kd_ring_memory *m, uint64_t now)
{
	uint32_t beat = load(m, KD_RING_AT_HOST_NONCE);
	uint64_t gap = now - g->last_look;

	g->last_look = now;
	if (beat != g->beat) {
		g->beat = beat;
		g->silence = 0;
		return true;
	}
	g->silence += gap < gap_max ? gap : gap_max;
	return g->silence < KD_RING_DEATH_NS;
}

static void begin(struct kd_ring_guest *g, const struct kd_ring_memory *m, uint64_t now)
{
	g->beat = load(m, KD_RING_AT_HOST_NONCE);
	g->last_look = now;
	g->silence = 0;
	g->is_host_dead = false;
	enter(g, m, KD_RING_GUEST_RING);
}

bool kd_ring_guest_is_live(struct kd_ring_guest *g, const struct kd_ring_memory *m, uint64_t now)
{
	bool is_attached = load(m, KD_RING_AT_HOST_STATE) == KD_RING_HOST_ATTACHED;

	switch (g->state) {
	case KD_RING_GUEST_ANNOUNCED:
		if (is_attached)
			begin(g, m, now);
		break;
	case KD_RING_GUEST_RING:
		if (!is_attached) {
			kd_ring_guest_leave(g, m);
		} else if (!is_host_alive(g, m, now)) {
			g->is_host_dead = true;
			kd_ring_guest_leave(g, m);
		}
		break;
	case KD_RING_GUEST_SERIAL: break;
	}
	return g->state == KD_RING_GUEST_RING;
}

enum kd_status kd_ring_guest_send(struct kd_ring_guest *g, const struct kd_ring_memory *m,
				  uint16_t type, const void *header, size_t header_size,
				  const void *data, size_t data_size)
{
	enum kd_status status = kd_ring_put(m, KD_RING_G2H, &g->head, type, header, header_size,
					    data, data_size);

	if (status == KD_OK)
		count(m, KD_RING_AT_SENDS);
	else if (status == KD_E_MALFORMED)
		kd_ring_guest_leave(g, m);
	return status;
}

bool kd_ring_guest_needs_doorbell(const struct kd_ring_memory *m)
{
	m->ops->fence(m->context);
	return load(m, KD_RING_AT_HOST_SLEEPING) != 0;
}

enum kd_status kd_ring_guest_receive(struct kd_ring_guest *g, const struct kd_ring_memory *m,
				     struct kd_ring_record *ret, uint8_t *payload)
{
	enum kd_status status = kd_ring_take(m, KD_RING_H2G, &g->tail, ret, payload);

	if (status == KD_OK && ret->type == KD_RING_RESYNC)
		status = KD_E_RESET;
	else if (status == KD_OK && ret->type == KD_RING_DETACH)
		status = KD_E_CLOSED;
	if (status == KD_OK)
		count(m, KD_RING_AT_RECEIVES);
	else if (status == KD_E_MALFORMED || status == KD_E_CLOSED)
		kd_ring_guest_leave(g, m);
	return status;
}

bool kd_ring_guest_poll(struct kd_ring_guest *g, const struct kd_ring_memory *m)
{
	uint32_t breaks = load(m, KD_RING_AT_BREAKS);

	count(m, KD_RING_AT_POLLS);
	if (breaks == g->breaks)
		return false;
	g->breaks = breaks;
	store(m, KD_RING_AT_BREAKS_SEEN, breaks);
	return true;
}
