/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A relay stands between a target and one debugger at a time. It holds the target's endpoint,
 * offers another one, passes on what comes, and meanwhile counts, logs, writes prints to files, and
 * can break in. Debuggers come and go; the target's endpoint stays held.
 *
 * A second debugger is refused: its connection is closed at once. Whoever tries the target's own
 * endpoint is told of the relay's. When the target is away for more than five seconds (its VM
 * ended), the debugger's connection is closed.
 *
 * A relay has a thread of its own. All functions may be called from any thread, but not beside
 * kd_relay_destroy().
 */
#ifndef OPENKD_RELAY_H
#define OPENKD_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>
#include <openkd/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_relay;

struct kd_relay_options {
	size_t size;        /**< set by KD_RELAY_OPTIONS_INIT */
	const char *target; /**< endpoint of the target */
	/**
	 * Where debuggers attach: `unix-listen:PATH` (0600), `tcp-listen:HOST:PORT` (port 0: any),
	 * `pty:` (a new one).
	 */
	const char *listen;
	/**
	 * Speak with the target by packets, not bytes: over the ring of a VM of this machine as
	 * soon as its guest has one, over its serial line else, or over KDNET. Debuggers see a
	 * plain serial port in any case. While no debugger is there, module loads are let go on.
	 */
	bool is_fast;
};

/* clang-format off */
#define KD_RELAY_OPTIONS_INIT { sizeof(struct kd_relay_options), NULL, NULL, false }
/* clang-format on */

/**
 * Take the target's endpoint and begin to listen.
 *
 * @return KD_OK; KD_E_SYNTAX: an endpoint can't be read, or is not of a kind that serves;
 *         KD_E_EXISTS: another debugger holds the target, or the place to listen is taken; else as
 *         kd_session_create().
 * @owns *relay_ret is the caller's until kd_relay_destroy()   @blocks up to 5 s (connecting)
 */
enum kd_status kd_relay_create(const struct kd_relay_options *options, struct kd_relay **relay_ret,
			       struct kd_error *err);

/** Close both ends, finish the logs. A packet under way is passed on first. NULL is fine. */
void kd_relay_destroy(struct kd_relay *relay);

/**
 * Listen elsewhere from now on: as `listen` of the options. A debugger that is connected loses its
 * connection, and the former place is given up. What kd_relay_endpoint() returned has changed.
 *
 * @return KD_OK; else as kd_relay_create() for a place to listen: nothing has changed.
 */
enum kd_status kd_relay_move(struct kd_relay *relay, const char *listen, struct kd_error *err);

/** Where debuggers attach, for kd_session_create(). @owns valid until kd_relay_move() or the end */
const char *kd_relay_endpoint(const struct kd_relay *relay);
/** The target's endpoint, canonical, a key left out. @owns valid as long as the relay */
const char *kd_relay_target(const struct kd_relay *relay);

struct kd_relay_status {
	bool is_up;                /**< the target's end is connected */
	bool has_client;           /**< a debugger is connected (has the pseudo-terminal open) */
	bool is_stopped;           /**< the target said that it stopped and was not let go since */
	long client_pid;           /**< 0: unknown */
	uint64_t clients;          /**< how many came so far */
	bool may_have_breakpoints; /**< a debugger set some and was not seen to take all out */
	uint64_t refused;          /**< how many found the place taken */
	uint64_t dropped;          /**< bytes of the target that a debugger did not take */
	char road[KD_ERROR_TEXT_SIZE];        /**< "serial line", "ring in guest RAM" */
	char os[64];                          /**< "x64, build 19041"; "": not seen yet */
	char trouble[KD_ERROR_TEXT_SIZE];     /**< why the target's end is not up; "": nothing */
	char log[KD_ERROR_TEXT_SIZE];         /**< the log's path; "": no log */
	char log_trouble[KD_ERROR_TEXT_SIZE]; /**< why a log or a trace ended early; "": nothing */
};
void kd_relay_status(struct kd_relay *relay, struct kd_relay_status *ret);

/** What passed, exactly. */
void kd_relay_counters(struct kd_relay *relay, struct kd_vm_counters *ret);

/**
 * Break in: between two packets of the debugger, or by ourselves when there is none. The target's
 * stop goes to the debugger, or waits for one.
 *
 * @return KD_OK: it was or will be sent; KD_E_CLOSED: the target's end is not up, err says why.
 * @blocks never
 */
enum kd_status kd_relay_break_in(struct kd_relay *relay, struct kd_error *err);

enum kd_relay_format {
	KD_RELAY_TEXT,   /**< a line a packet, for people */
	KD_RELAY_JSON,   /**< a JSON object a packet: docs/schema/decode.schema.json */
	KD_RELAY_PCAPNG, /**< the bytes: docs/recording-format.md */
};

/**
 * Begin a log of all that passes from now on; one that is under way is finished then. Text and
 * JSON lines are appended and end at 1 GB; a pcapng file appears when it is complete, and replaces
 * none.
 *
 * @return KD_OK: that the one before could not be completed stands in log_trouble;
 *         KD_E_EXISTS: a pcapng file of that name is there, or the log under way goes there; as
 *         opening a file. The log that was under way goes on then.
 */
enum kd_status kd_relay_log_start(struct kd_relay *relay, const char *path,
				  enum kd_relay_format format, struct kd_error *err);
/** @return KD_OK: also without a log; KD_E_IO: it could not be completed. */
enum kd_status kd_relay_log_stop(struct kd_relay *relay, struct kd_error *err);

enum { KD_RELAY_TRACES_MAX = 32 };

/**
 * Append lines that the target prints and that begin with `prefix` ("": all) to a file, without
 * changing what the debugger sees. Control characters but tabs are left out. At 64 MB the file is
 * renamed to FILE.1, which replaces one that was there.
 *
 * @return KD_OK; KD_E_FULL: KD_RELAY_TRACES_MAX are there; KD_E_EXISTS: this prefix has a file; as
 *         opening a file.
 */
enum kd_status kd_relay_trace_start(struct kd_relay *relay, const char *prefix, const char *path,
				    struct kd_error *err);
/** @return KD_OK; KD_E_NOT_FOUND: no such prefix. */
enum kd_status kd_relay_trace_stop(struct kd_relay *relay, const char *prefix,
				   struct kd_error *err);

enum kd_relay_event_kind {
	KD_RELAY_CLIENT_CAME,
	KD_RELAY_CLIENT_LEFT,
	KD_RELAY_STOPPED,   /**< the target stopped */
	KD_RELAY_RUNNING,   /**< it was let go */
	KD_RELAY_RESTARTED, /**< it started anew */
	KD_RELAY_UP,        /**< its end is connected (again) */
	KD_RELAY_DOWN,
	KD_RELAY_PRINT, /**< `text`: a line */
};

struct kd_relay_event {
	enum kd_relay_event_kind kind;
	char text[256];
};

/** Readable when kd_relay_next_event() has something. @owns the relay's; don't read it */
int kd_relay_fd(const struct kd_relay *relay);

/** @return false: nothing waits. The oldest are dropped when 256 wait. @blocks never */
bool kd_relay_next_event(struct kd_relay *relay, struct kd_relay_event *ret);

#ifdef __cplusplus
}
#endif

#endif
