/* SPDX-License-Identifier: MIT */
/* Shared by wire.c (bytes and events), request.c (exchanges) and diagnose.c (words). */
#ifndef KD_LIB_ENGINE_WIRE_PRIVATE_H
#define KD_LIB_ENGINE_WIRE_PRIVATE_H

#include "core/link/link.h"
#include "lib/engine/wire.h"
#include "lib/io/carrier.h"
#include "lib/io/transport.h"
#include "lib/wait.h"

enum { KD__LATENCIES = 1024, KD__NOISE_KEPT = 64 };

/* What kd__wire_step() saw; the exchange clears the flags it waits for. */
struct kd__seen {
	bool reply, acked, gave_up, reset, restarted;
};

struct kd__wire {
	struct kd_carrier *carrier;
	struct kd_transport *transport; /* the carrier's */
	struct kd__vm_road *road;       /* NULL: no VM can be at the other end */
	bool is_serial_line;
	unsigned cancel_holds; /* > 0: a cancel is kept for later, kd__wire_hold_cancel() */
	bool is_leaving;       /* cancels and new break-ins no longer count */
	bool is_passing; /* leaving, and nothing of ours is in the target: whatever stops, goes on
			  */
	unsigned late_steps; /* since the deadline: is_outrun() */

	struct kd__seen seen;
	uint8_t request[KD_MANIPULATE_SIZE]; /* header of the request under way */
	bool is_waiting;                     /* for the reply to it */
	uint8_t reply[KD_PAYLOAD_ACCEPT];
	size_t reply_size;

	bool has_stop;
	uint8_t stop[KD_PAYLOAD_ACCEPT];
	size_t stop_size;
	uint8_t last_stop[KD_PAYLOAD_ACCEPT]; /* the one before: is it the same again? */
	size_t last_stop_size;

	bool boot;        /* a SYNC id was seen and not yet told */
	bool reconnected; /* the transport was opened anew and that was not yet told */
	bool heard;       /* any packet since the transport was opened */
	bool prompt_open;
	struct kd_w_debug_io prompt;

	/* An answer of ours that waits for the link to be free (file I/O, prompt). */
	uint16_t pending_type;
	uint8_t pending[512];
	size_t pending_size;

	uint64_t opened, next_probe, break_sent, request_limit;
	bool break_outstanding, initial_break_done;
	bool break_served;             /* another stop came first and was given to the user */
	unsigned break_repeats;        /* sent again before the target answered */
	bool is_rejoining;             /* stop the target, see to the breakpoints, let it run on */
	unsigned breaks_to_come;       /* of these: a slow target may yet stop for each */
	unsigned probes, probe_resets; /* since nobody was heard */
	bool recording_failed;         /* and it was said */
	uint8_t noise[KD__NOISE_KEPT];
	size_t noise_size;

	uint32_t latencies[KD__LATENCIES]; /* microseconds */
	size_t n_latencies, at_latency;
	uint64_t requests, retries, prints;
};

/* Is this payload the answer to the request under way, or to one that was given up? */
bool kd__wire_is_reply(const struct kd__wire *w, const uint8_t *payload, size_t size);

#endif
