/* SPDX-License-Identifier: MIT */
#include "lib/io/pump.h"

#include <string.h>

#include "lib/io/transport.h"
#include "lib/io/wait.h"

void kd_pump_init(struct kd_pump *p, struct kd_transport *transport, struct kd_link *link,
		  struct kd_cancel *cancel)
{
	memset(p, 0, offsetof(struct kd_pump, rx));
	p->transport = transport;
	p->link = link;
	p->cancel = cancel;
}

enum kd_status kd_pump_flush(struct kd_pump *p, struct kd_error *err)
{
	const uint8_t *out;
	size_t size, done;

	while ((out = kd_link_next_output(p->link, &size))) {
		enum kd_status status = kd_transport_write(p->transport, out, size, &done, err);

		if (status != KD_OK)
			return status;
		kd_link_output_done(p->link, done, kd_now_ns());
	}
	return KD_OK;
}

/* Feed what was read before; true: the link has an event. */
static bool feed(struct kd_pump *p, struct kd_link_event *event_ret)
{
	while (!kd_link_next_event(p->link, event_ret)) {
		size_t n;

		if (!p->rx_size)
			return false;
		n = kd_link_feed(p->link, p->rx + p->rx_at, p->rx_size, kd_now_ns());
		p->rx_at += n;
		p->rx_size -= n;
	}
	return true;
}

/* Everything that has arrived, behind what is still unfed. */
static enum kd_status fill(struct kd_pump *p, struct kd_error *err)
{
	enum kd_status status;
	size_t n;

	if (p->rx_at && p->rx_size)
		memmove(p->rx, p->rx + p->rx_at, p->rx_size);
	p->rx_at = 0;
	status = kd_transport_read(p->transport, p->rx + p->rx_size, sizeof p->rx - p->rx_size, &n,
				   err);
	if (status != KD_OK)
		return status;
	p->rx_size += n;
	p->rx_bytes += n;
	p->last_rx_ns = kd_now_ns();
	return KD_OK;
}

/* The peer can be gone for writing while what it sent before is still to be read. */
static enum kd_status exchange(struct kd_pump *p, struct kd_error *err)
{
	enum kd_status sent = kd_pump_flush(p, err);
	enum kd_status status = fill(p, err);

	if (status == KD_E_AGAIN && sent != KD_OK && sent != KD_E_AGAIN)
		return sent;
	return status;
}

enum kd_status kd_pump_run(struct kd_pump *p, uint64_t deadline, struct kd_link_event *event_ret,
			   struct kd_error *err)
{
	for (;;) {
		uint64_t link_deadline;
		enum kd_status status;

		if (feed(p, event_ret))
			return KD_OK;
		status = exchange(p, err);
		if (status == KD_OK)
			continue;
		if (status != KD_E_AGAIN)
			return status;
		link_deadline = kd_link_deadline(p->link);
		if (link_deadline <= kd_now_ns()) {
			kd_link_timeout(p->link, kd_now_ns());
			continue;
		}
		status = kd_transport_wait(p->transport, KD_MIN(deadline, link_deadline), p->cancel,
					   err);
		if (status == KD_E_TIMEOUT && kd_now_ns() < deadline)
			continue; /* the link's own time-out */
		if (status != KD_OK)
			return status;
	}
}
