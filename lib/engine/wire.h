/* SPDX-License-Identifier: MIT */
/* Transport, link and the exchange of packets of a session (request.c, wire.c). */
#ifndef KD_LIB_ENGINE_WIRE_H
#define KD_LIB_ENGINE_WIRE_H

#include "lib/engine/engine.h"

struct kd_guest_ram;
struct kd_transport;

/* Takes the transport over, also when it fails. */
enum kd_status kd__wire_create(struct kd_session *s, struct kd_transport *transport,
			       struct kd_error *err);
/* Fails only when a recording cannot be completed; all is closed and freed in any case. */
enum kd_status kd__wire_destroy(struct kd_session *s, struct kd_error *err);

/*
 * Let bytes flow until something was handled or `deadline` (monotonic ns). Prints and file
 * requests are served here; a state change is kept for kd__wire_take_stop(). KD_E_TIMEOUT at
 * the deadline, KD_E_CANCELLED, KD_E_CLOSED.
 */
enum kd_status kd__wire_step(struct kd_session *s, uint64_t deadline, struct kd_error *err);

/* The state change that waits, decoded; it points into a buffer valid until the next one arrives.
 */
bool kd__wire_take_stop(struct kd_session *s, struct kd_state_change *ret);
bool kd__wire_has_stop(const struct kd_session *s);

/*
 * Send a request that is only acknowledged (Continue, Reboot, SwitchProcessor...). KD_OK: the
 * target has it. A state change that follows is kept.
 */
enum kd_status kd__wire_order(struct kd_session *s, struct kd_manipulate *m, struct kd_error *err);

/* RESET both ways and wait until the target repeats its state. */
enum kd_status kd__wire_resync(struct kd_session *s, struct kd_error *err);

/* Answer the open prompt. */
enum kd_status kd__wire_answer(struct kd_session *s, const char *text, size_t size,
			       struct kd_error *err);

void kd__wire_break_in(struct kd_session *s); /* async-signal-safe: only asks for it */
/* Async-signal-safe: the target went back to a snapshot, see kd_session_rejoin(). */
void kd__wire_rejoin(struct kd_session *s);
/* The stop that we asked for to see to the breakpoints of a target that runs may be this one. */
bool kd__wire_is_rejoining(const struct kd_session *s);
void kd__wire_rejoined(struct kd_session *s);
/* The target is stopped: whoever wanted that before has it. */
void kd__wire_forget_break(struct kd_session *s);
/* A break-in byte went out and the stop it causes has not been seen yet. */
bool kd__wire_break_outstanding(const struct kd_session *s);
void kd__wire_break_seen(struct kd_session *s);
/* The user gets a stop: who asked for one has it. */
void kd__wire_stop_given(struct kd_session *s);
/* The break-in that stops the target now was asked for before the last stop, or is one that we
 * repeated: the user has had it. */
bool kd__wire_break_was_served(const struct kd_session *s);
void kd__wire_cancel(struct kd_session *s);
bool kd__wire_take_cancel(struct kd_session *s);
/*
 * What must come to its end once begun: cancels are kept until the hold is over, then the next wait
 * returns KD_E_CANCELLED. Pairs nest. Requests that change the target hold by themselves.
 */
void kd__wire_hold_cancel(struct kd_session *s, bool holds);
void kd__wire_clear_cancel(struct kd_session *s);

/* The first state change after connecting came without SYNC and without a RESET before it. */
bool kd__wire_needs_reset(const struct kd_session *s);
/* A SYNC id was seen since the last call: a fresh boot. The transport was opened anew: unknown. */
bool kd__wire_take_restart(struct kd_session *s);
bool kd__wire_take_reconnect(struct kd_session *s);

/* A VM of this machine is at the other end. */
bool kd__wire_has_vm(const struct kd_session *s);
/* Its RAM, until the connection is made anew; NULL: *err says why. Only with kd__wire_has_vm(). */
struct kd_guest_ram *kd__wire_ram(const struct kd_session *s, struct kd_error *err);
/* One of the caller's own: kd_guest_ram_close(). */
enum kd_status kd__wire_open_ram(const struct kd_session *s, struct kd_guest_ram **ret,
				 struct kd_error *err);

/* Bytes that one request for memory may ask for. */
uint32_t kd__wire_read_max(const struct kd_session *s);

void kd__wire_counters(const struct kd_session *s, struct kd_session_counters *ret);
void kd__wire_describe(const struct kd_session *s, char *text, size_t size);
const char *kd__wire_endpoint(const struct kd_session *s);
bool kd__wire_is_vm_socket(const struct kd_session *s);
/* A recording: nobody is at the other end. */
bool kd__wire_is_replay(const struct kd_session *s);
/* Requests from now on fail after this long (leaving). */
void kd__wire_limit_requests(struct kd_session *s, uint64_t limit_ns);
/*
 * From now on the session only leaves: cancels and wishes to break in no longer count, an open
 * prompt is answered. `passing`: what stops goes on, so no break-in is sent any more.
 */
void kd__wire_begin_leaving(struct kd_session *s);
/* What could not be taken out of the target is left to its own end of the connection. */
void kd__wire_abandon(struct kd_session *s);
void kd__wire_begin_passing(struct kd_session *s);
/* An answer or an order of ours has not been acknowledged yet. */
bool kd__wire_is_busy(const struct kd_session *s);
/* A SYNC id was seen and not taken yet: what is known is about another boot. */
bool kd__wire_has_restart(const struct kd_session *s);
/* When the last break-in byte went out; 0: never. Anything was heard since the transport opened. */
uint64_t kd__wire_break_sent(const struct kd_session *s);
bool kd__wire_was_heard(const struct kd_session *s);
bool kd__wire_is_open(const struct kd_session *s);

#endif
