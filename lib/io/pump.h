/* SPDX-License-Identifier: MIT */
/*
 * The glue between a link (a machine without I/O) and a transport: written once, used by
 * everybody who runs a link over a descriptor.
 */
#ifndef KD_LIB_IO_PUMP_H
#define KD_LIB_IO_PUMP_H

#include "core/link/link.h"
#include "lib/base.h"
#include "lib/io/transport.h"
#include "lib/wait.h"

enum { KD_PUMP_BUFFER = 64 * 1024 };

struct kd_pump {
	struct kd_transport *transport; /* borrowed */
	struct kd_link *link;           /* borrowed */
	struct kd_cancel *cancel;       /* borrowed, may be NULL */
	uint64_t last_rx_ns;            /* monotonic time of the last byte; 0: none yet */
	uint64_t rx_bytes;              /* since init */
	uint32_t generation;            /* of the transport's connection that the link belongs to */
	struct kd_error over;  /* status != KD_OK: reading ended so; told when rx is empty */
	size_t rx_at, rx_size; /* bytes read and not yet fed: rx[rx_at, rx_at + rx_size) */
	uint8_t rx[KD_PUMP_BUFFER];
};

void kd_pump_init(struct kd_pump *p, struct kd_transport *transport, struct kd_link *link,
		  struct kd_cancel *cancel);

/*
 * Move bytes both ways until the link has an event or `deadline` (monotonic ns, KD_TIME_NEVER)
 * passes. What the transport has is always read, also while the link holds an event back, up to the
 * buffer. The link's own time-outs are served.
 *
 * KD_OK: *event_ret (its payload is valid until the next call);
 * KD_E_TIMEOUT: the deadline; KD_E_CANCELLED: `cancel` was triggered (it stays triggered: the
 * caller clears it); KD_E_CLOSED: end of stream (call again to wait for a reconnecting transport,
 * else it is said again); KD_E_IO: the transport failed, otherwise as KD_E_CLOSED;
 * KD_E_RESET: there is a connection again, or the first one after listening: the link was
 * restarted (kd_link_restart), what was outstanding is lost; call again. Not said for a transport
 * that was up at init.
 */
enum kd_status kd_pump_run(struct kd_pump *p, uint64_t deadline, struct kd_link_event *event_ret,
			   struct kd_error *err);

/* Write what the link wants to send without waiting for anything. KD_E_AGAIN: not all went out. */
enum kd_status kd_pump_flush(struct kd_pump *p, struct kd_error *err);

/*
 * For callers that wait for other things too (a prompt): what to wait for before kd_pump_run() with
 * a deadline in the past has something to do. Link and transport deadlines are in ret->deadline.
 */
void kd_pump_poll(const struct kd_pump *p, struct kd_poll *ret);

#endif
