/* SPDX-License-Identifier: MIT */
#include "lib/io/proxy.h"

#include <stdlib.h>
#include <string.h>

#include "core/link/link.h"

enum {
	READ_SIZE = 16 * 1024,
	LANE_SIZE = 1024 * 1024, /* bytes that may be held: then reading pauses */
	LANE_PIECES = 4096,
	STEP_READS = 64, /* per step: a storm from one end must not starve the other */
};

/* Bytes that were read together, and when they may go on. */
struct piece {
	size_t size;
	uint64_t release;
};

/* One direction. Pieces and bytes are rings. */
struct lane {
	struct kd_transport *from, *to; /* borrowed from the proxy */
	struct kd_impair impair;
	struct kd_proxy_counters counters;
	uint64_t delay;
	bool is_stuck; /* the last write found no room */
	size_t first_piece, n_pieces, first_byte, n_bytes;
	struct piece pieces[LANE_PIECES];
	uint8_t bytes[LANE_SIZE];
};

struct kd_proxy {
	struct kd_transport *ends[2];
	struct lane lanes[KD_PROXY_DIRECTIONS];
};

enum kd_status kd_proxy_create(struct kd_transport *first, struct kd_transport *second,
			       uint64_t seed, struct kd_proxy **p_ret, struct kd_error *err)
{
	struct kd_proxy *p = calloc(1, sizeof *p);

	if (!p) {
		kd_transport_destroy(first);
		kd_transport_destroy(second);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	p->ends[0] = first;
	p->ends[1] = second;
	for (size_t i = 0; i < KD_PROXY_DIRECTIONS; i++) {
		p->lanes[i].from = p->ends[i];
		p->lanes[i].to = p->ends[1 - i];
		kd_impair_init(&p->lanes[i].impair, 2 * seed + i, &(struct kd_impair_rates){ 0 });
	}
	*p_ret = p;
	return KD_OK;
}

void kd_proxy_destroy(struct kd_proxy *p)
{
	if (!p)
		return;
	kd_transport_destroy(p->ends[0]);
	kd_transport_destroy(p->ends[1]);
	free(p);
}

void kd_proxy_set_rates(struct kd_proxy *p, enum kd_proxy_direction d,
			const struct kd_impair_rates *rates)
{
	p->lanes[d].impair.rates = *rates;
}

void kd_proxy_set_delay(struct kd_proxy *p, enum kd_proxy_direction d, uint64_t delay_ns)
{
	p->lanes[d].delay = delay_ns;
}

void kd_proxy_counters(const struct kd_proxy *p, enum kd_proxy_direction d,
		       struct kd_proxy_counters *ret)
{
	*ret = p->lanes[d].counters;
	ret->bytes = p->lanes[d].impair.counters;
	ret->connections = kd_transport_info(p->lanes[d].from)->generation;
}

/* --- one direction --- */

static bool has_room(const struct lane *l)
{
	return l->n_pieces < LANE_PIECES && l->n_bytes + (size_t)2 * READ_SIZE <= LANE_SIZE;
}

static void hold(struct lane *l, const uint8_t *bytes, size_t size)
{
	size_t at = (l->first_byte + l->n_bytes) % LANE_SIZE;
	size_t to_end = KD_MIN(size, LANE_SIZE - at);

	if (size == 0)
		return;
	memcpy(l->bytes + at, bytes, to_end);
	memcpy(l->bytes, bytes + to_end, size - to_end);
	l->n_bytes += size;
	l->pieces[(l->first_piece + l->n_pieces++) % LANE_PIECES] =
		(struct piece){ size, kd_now_ns() + l->delay };
}

static void let_go(struct lane *l, size_t size)
{
	struct piece *p = &l->pieces[l->first_piece];

	l->first_byte = (l->first_byte + size) % LANE_SIZE;
	l->n_bytes -= size;
	p->size -= size;
	if (p->size == 0) {
		l->first_piece = (l->first_piece + 1) % LANE_PIECES;
		l->n_pieces--;
	}
}

static enum kd_status read_some(struct lane *l, struct kd_error *err)
{
	uint8_t in[READ_SIZE], out[2 * READ_SIZE];
	size_t n;
	enum kd_status s;

	for (int i = 0; i < STEP_READS && has_room(l); i++) {
		s = kd_transport_read(l->from, in, sizeof in, &n, err);
		if (s == KD_E_AGAIN)
			return KD_OK;
		if (s != KD_OK)
			return kd_transport_info(l->from)->is_reconnecting ? KD_OK : s;
		hold(l, out, kd_impair_apply(&l->impair, in, n, out));
	}
	return KD_OK;
}

/* A failing write is the reading lane's business: it sees the end of the connection, too. */
static void write_some(struct lane *l)
{
	uint64_t now = kd_now_ns();

	l->is_stuck = false;
	while (l->n_pieces && l->pieces[l->first_piece].release <= now) {
		size_t size = KD_MIN(l->pieces[l->first_piece].size, LANE_SIZE - l->first_byte);
		size_t n;
		enum kd_status s = KD_E_CLOSED;

		if (kd_transport_info(l->to)->is_up)
			s = kd_transport_write(l->to, l->bytes + l->first_byte, size, &n, NULL);
		if (s == KD_E_AGAIN) {
			l->is_stuck = true;
			return;
		}
		if (s != KD_OK) {
			n = size;
			l->counters.dropped += n;
		}
		let_go(l, n);
	}
}

/* --- both --- */

enum kd_status kd_proxy_step(struct kd_proxy *p, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	for (size_t i = 0; i < KD_PROXY_DIRECTIONS && s == KD_OK; i++)
		s = read_some(&p->lanes[i], err);
	for (size_t i = 0; i < KD_PROXY_DIRECTIONS; i++)
		write_some(&p->lanes[i]);
	return s;
}

void kd_proxy_poll(const struct kd_proxy *p, struct kd_wait_fd fds_ret[2], uint64_t *deadline_ret)
{
	uint64_t deadline = KD_TIME_NEVER;

	for (size_t i = 0; i < KD_PROXY_DIRECTIONS; i++) {
		const struct lane *out = &p->lanes[i], *in = &p->lanes[1 - i];
		bool is_up = kd_transport_info(p->ends[i])->is_up;
		struct kd_poll poll;

		kd_transport_poll(p->ends[i], &poll);
		fds_ret[i] = (struct kd_wait_fd){
			.fd = poll.fd,
			.want_read = poll.want_read && has_room(out),
			/* While it connects, the transport knows better. */
			.want_write = is_up ? in->is_stuck : poll.want_write,
		};
		deadline = KD_MIN(deadline, poll.is_ready ? 0 : poll.deadline);
		if (out->n_pieces && !out->is_stuck)
			deadline = KD_MIN(deadline, out->pieces[out->first_piece].release);
	}
	*deadline_ret = deadline;
}

enum kd_status kd_proxy_run(struct kd_proxy *p, uint64_t deadline, const struct kd_cancel *cancel,
			    struct kd_error *err)
{
	for (;;) {
		struct kd_wait_fd fds[2];
		uint64_t next;
		enum kd_status s = kd_proxy_step(p, err);

		if (s != KD_OK)
			return s;
		kd_proxy_poll(p, fds, &next);
		s = kd_wait(fds, 2, KD_MIN(next, deadline), cancel, err);
		if (s == KD_E_TIMEOUT && next < deadline)
			continue;
		if (s != KD_OK)
			return s;
	}
}
