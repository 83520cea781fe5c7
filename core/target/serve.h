/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A debuggable machine on a byte stream: core/target joined to core/link, still without I/O. For
 * emulators, stubs and tests; an NT-like kernel has its own loop around a transport DLL.
 *
 *     RUNNING --kd_server_report()--> STOPPED --request that resumes--> (event) RUNNING
 *        |  ^                          |  ^ |
 *        |  +------- event ------------+  +-+ other requests, state change asked for again
 *        +--kd_server_ask()--> ASKING --answer--> (event) RUNNING
 *
 * While RUNNING and idle the machine may execute; bytes that arrive then are polled like NT's clock
 * tick does: a break-in byte counts, all others are thrown away. In the other states, and as long
 * as kd_server_is_idle() is false, the machine stands still.
 *
 * Drive it like a link (core/link/link.h): feed, events, timeout, output. Time is a parameter.
 * Nothing blocks, nothing is allocated; one thread at a time. About 25 KB.
 */
#ifndef KD_CORE_TARGET_SERVE_H
#define KD_CORE_TARGET_SERVE_H

#include "core/link/link.h"
#include "core/target/target.h"

enum kd_server_state { KD_SERVER_RUNNING, KD_SERVER_STOPPED, KD_SERVER_ASKING };

enum kd_server_event_kind {
	KD_SERVER_NONE,
	KD_SERVER_CONTINUE, /* run on; action holds how */
	KD_SERVER_SWITCH,   /* report a stop of action.processor */
	KD_SERVER_REBOOT,   /* start anew: kd_server_restart() */
	KD_SERVER_BUGCHECK, /* crash */
	KD_SERVER_BREAK_IN, /* the running machine was asked to stop */
	KD_SERVER_ANSWER,   /* to kd_server_ask(): payload, size */
	KD_SERVER_GONE,     /* nobody takes our prints: the debugger is not present */
};

struct kd_server_event {
	enum kd_server_event_kind kind;
	bool debugger_is_gone; /* CONTINUE: nobody took the state change; run on as if alone */
	struct kd_target_action action;
	const uint8_t *payload; /* valid until the next feed or timeout */
	size_t size;
};

/** Private, except `target` and `link.counters`. */
struct kd_server {
	struct kd_link link;
	struct kd_target *target;
	enum kd_server_state state;
	bool report_wanted; /* to be sent (again) as soon as the link is free */
	bool is_reporting;  /* what is outstanding is `report` */
	bool resume_on_ack; /* the reply is out, `event` follows its ACK */
	bool break_pending; /* a break-in byte came while stopped */
	bool ask_is_abandonable;
	uint16_t report_type; /* of what is in `report` */
	struct kd_server_event event, delayed;
	size_t report_size;
	uint8_t report[KD_PAYLOAD_MAX]; /* state change, prompt or file request of this stop */
	uint8_t reply[KD_PAYLOAD_MAX];
};

/** @param config  of role KD_LINK_TARGET. @param target  the caller's, initialised. */
void kd_server_init(struct kd_server *s, struct kd_target *target,
		    const struct kd_link_config *config);

/** As after a reset of the machine: running, the next packet carries SYNC, no breakpoints known. */
void kd_server_restart(struct kd_server *s, uint64_t now);

/** Bytes from the debugger. Returns how many were taken: it stops while an event waits. */
size_t kd_server_feed(struct kd_server *s, const uint8_t *bytes, size_t size, uint64_t now);
bool kd_server_next_event(struct kd_server *s, struct kd_server_event *event_ret);

const uint8_t *kd_server_next_output(struct kd_server *s, size_t *size_ret);
void kd_server_output_done(struct kd_server *s, size_t size, uint64_t now);
uint64_t kd_server_deadline(const struct kd_server *s);
void kd_server_timeout(struct kd_server *s, uint64_t now);

/** Nothing is outstanding and the machine is not stopped: it may execute. */
bool kd_server_is_idle(const struct kd_server *s);

/**
 * The machine stops: send the state change that was built into s->report (kd_target_exception()
 * and its siblings). Legal in RUNNING, and in STOPPED after KD_SERVER_SWITCH.
 */
void kd_server_report(struct kd_server *s, size_t size, uint64_t now);

/**
 * Send a print that kd_target_print() built into s->reply.
 * @return KD_OK; KD_E_BUSY: not idle.
 */
enum kd_status kd_server_print(struct kd_server *s, size_t size, uint64_t now);

/**
 * Send a prompt or file request that was built into s->report and wait for its answer.
 * @param type  KD_PACKET_DEBUG_IO or KD_PACKET_FILE_IO. @return KD_OK; KD_E_BUSY: not idle.
 */
enum kd_status kd_server_ask(struct kd_server *s, uint16_t type, size_t size, uint64_t now);

/** A break-in that came while stopped; true once: stop again right after continuing. */
bool kd_server_take_break(struct kd_server *s);

#endif
