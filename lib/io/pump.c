/* SPDX-License-Identifier: MIT */
/*
 * One pass of the loop, in this order:
 *
 *   an event of the link?  -> the caller       before anything that would make it invalid
 *   bytes that were read   -> the link
 *   the end of the stream  -> the caller       when everything before it was given out
 *   the link's output      -> the transport
 *   the transport's bytes  -> the buffer       all that have arrived
 *   the link's time-outs                       after them: bytes that waited are no silence
 *   a new connection?      -> the link restarts
 *   nothing of all that: wait
 *
 * A connection ends when reading says so: a peer that was killed leaves its last words in the
 * socket, and a failing write must not lose them.
 */
#include "lib/io/pump.h"

#include <string.h>

enum {
	/* So that a deadline in the past still lets through what has arrived. */
	PASSES_AT_LEAST = 8,
};

void kd_pump_init(struct kd_pump *p, struct kd_transport *transport, struct kd_link *link,
		  struct kd_cancel *cancel)
{
	p->transport = transport;
	p->link = link;
	p->cancel = cancel;
	p->last_rx_ns = p->rx_bytes = 0;
	p->generation = kd_transport_info(transport)->generation;
	p->over.status = KD_OK;
	p->rx_at = p->rx_size = 0;
}

/* True: bytes were taken out of the buffer. */
static bool feed(struct kd_pump *p)
{
	size_t n = p->rx_size ? kd_link_feed(p->link, p->rx + p->rx_at, p->rx_size, kd_now_ns())
			      : 0;

	p->rx_at += n;
	p->rx_size -= n;
	if (p->rx_size == 0)
		p->rx_at = 0;
	return n > 0;
}

/* Room at the end of the buffer, by moving what waits to its beginning. */
static size_t make_room(struct kd_pump *p)
{
	if (p->rx_at) {
		memmove(p->rx, p->rx + p->rx_at, p->rx_size);
		p->rx_at = 0;
	}
	return sizeof p->rx - p->rx_size;
}

/* Everything that has arrived, as far as there is room. True: something was read. */
static bool drain(struct kd_pump *p)
{
	bool is_any = false;
	size_t room, n;

	while (p->over.status == KD_OK && (room = make_room(p)) > 0) {
		struct kd_error why;
		enum kd_status s = kd_transport_read(p->transport, p->rx + p->rx_size, room, &n,
						     &why);

		if (s != KD_OK && s != KD_E_AGAIN)
			p->over = why;
		if (s != KD_OK)
			break;
		is_any = true;
		p->rx_size += n;
		p->rx_bytes += n;
		p->last_rx_ns = kd_now_ns();
		/* A short read emptied the socket: the next one would only say so. */
		if (n < room)
			break;
	}
	return is_any;
}

enum kd_status kd_pump_flush(struct kd_pump *p, struct kd_error *err)
{
	const uint8_t *out;
	size_t size, done;

	if (!kd_transport_info(p->transport)->is_up)
		return KD_E_AGAIN;
	while ((out = kd_link_next_output(p->link, &size))) {
		enum kd_status s = kd_transport_write(p->transport, out, size, &done, err);

		if (s != KD_OK)
			return s;
		kd_link_output_done(p->link, done, kd_now_ns());
	}
	return KD_OK;
}

static bool serve_timeouts(struct kd_pump *p)
{
	uint64_t now = kd_now_ns();

	if (kd_link_deadline(p->link) > now)
		return false;
	kd_link_timeout(p->link, now);
	return true;
}

/* What was read or outstanding belongs to a connection that is gone. */
static bool notice_connection(struct kd_pump *p)
{
	const struct kd_transport_info *info = kd_transport_info(p->transport);

	if (!info->is_up || info->generation == p->generation)
		return false;
	p->generation = info->generation;
	p->rx_at = p->rx_size = 0;
	kd_link_restart(p->link, kd_now_ns());
	return true;
}

/* Said again by those that don't connect again: reading them says the same again. */
static enum kd_status say_over(struct kd_pump *p, struct kd_error *err)
{
	enum kd_status s = p->over.status;

	if (err)
		*err = p->over;
	p->over.status = KD_OK;
	return s;
}

/*
 * KD_E_BUSY: something was done, look again; KD_E_AGAIN: nothing is left to do without waiting;
 * else for the caller.
 */
static enum kd_status pass(struct kd_pump *p, struct kd_link_event *event_ret, struct kd_error *err)
{
	if (kd_link_next_event(p->link, event_ret)) {
		/* The peer should not wait for its ACK until the caller is done with this. */
		kd_pump_flush(p, NULL);
		return KD_OK;
	}
	if (feed(p))
		return KD_E_BUSY;
	if (p->over.status != KD_OK)
		return say_over(p, err);
	kd_pump_flush(p, NULL);
	if (drain(p) || p->over.status != KD_OK || serve_timeouts(p))
		return KD_E_BUSY;
	if (notice_connection(p))
		return kd_error_set(err, KD_E_RESET, 0, "%s: connected", p->transport->name);
	return KD_E_AGAIN;
}

static enum kd_status wait_for_more(struct kd_pump *p, uint64_t deadline, struct kd_error *err)
{
	uint64_t link_deadline = kd_link_deadline(p->link);
	enum kd_status s = kd_transport_wait(p->transport, KD_MIN(deadline, link_deadline),
					     p->cancel, err);

	return s == KD_E_TIMEOUT && link_deadline < deadline ? KD_OK : s;
}

enum kd_status kd_pump_run(struct kd_pump *p, uint64_t deadline, struct kd_link_event *event_ret,
			   struct kd_error *err)
{
	/* The last call left bytes behind its event: the socket must not fill up meanwhile. */
	if (p->rx_size)
		drain(p);
	for (unsigned passes = 0;; passes++) {
		enum kd_status s;

		if (kd_cancel_is_set(p->cancel))
			return kd_error_set(err, KD_E_CANCELLED, 0, "cancelled");
		s = pass(p, event_ret, err);
		if (s == KD_E_AGAIN)
			s = wait_for_more(p, deadline, err);
		else if (s == KD_E_BUSY)
			s = KD_OK;
		else
			return s;
		if (s != KD_OK)
			return s;
		/* A peer that talks without saying anything must not hold us up. */
		if (passes >= PASSES_AT_LEAST && kd_now_ns() >= deadline)
			return kd_error_set(err, KD_E_TIMEOUT, 0, "%s: no answer in time",
					    p->transport->name);
	}
}

void kd_pump_poll(const struct kd_pump *p, struct kd_poll *ret)
{
	kd_transport_poll(p->transport, ret);
	ret->is_ready = ret->is_ready || p->rx_size > 0 || p->over.status != KD_OK;
	ret->deadline = KD_MIN(ret->deadline, kd_link_deadline(p->link));
}
