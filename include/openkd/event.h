/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What the target did: stops, output, modules, the connection.
 */
#ifndef OPENKD_EVENT_H
#define OPENKD_EVENT_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kd_event_kind {
	KD_EVENT_CONNECTED,   /**< the target was heard and identified; it may run or be stopped */
	KD_EVENT_STOP,        /**< the target halted and stays so: see `stop` */
	KD_EVENT_PRINT,       /**< DbgPrint text: `text` */
	KD_EVENT_PROMPT,      /**< DbgPrompt: the target is frozen until kd_session_answer() */
	KD_EVENT_MODULE_LOAD, /**< `module`; the target was continued unless a STOP follows */
	KD_EVENT_MODULE_UNLOAD,
	KD_EVENT_COMMAND, /**< a driver asks to run a debugger command: `text`; shown, not run */
	KD_EVENT_RESTART, /**< the target restarts or restarted: all knowledge of it was dropped */
	KD_EVENT_LOST,    /**< the transport closed; the session reconnects by itself if it can */
	KD_EVENT_REJOIN,  /**< it went back to a snapshot or on without us: looked for where it is
			     now;  a STOP follows, unless it ran and still runs: `text` says why */
	KD_EVENT_NOTICE,  /**< something the user should know: `text` */
};

enum kd_stop_reason {
	KD_STOP_EXCEPTION,  /**< code, address, first_chance, parameters */
	KD_STOP_BREAKPOINT, /**< one of ours: breakpoint_id */
	KD_STOP_STEP,       /**< a step or kd_session_step() goal was reached */
	KD_STOP_BREAK_IN,   /**< we asked for it */
	KD_STOP_HARDCODED,  /**< an int3 in the target's own code */
	KD_STOP_MODULE,     /**< a module event that the filters stop at: module */
	KD_STOP_BUGCHECK,   /**< the target crashed: kd_session_bugcheck() */
	KD_STOP_ASSERTION,
	KD_STOP_INITIAL,   /**< attached to a target that was halted already */
	KD_STOP_PROCESSOR, /**< another processor was switched to */
};

struct kd_stop {
	enum kd_stop_reason reason;
	uint32_t processor;
	uint64_t thread; /**< KTHREAD, 0: unknown */
	uint64_t pc;
	int breakpoint_id; /**< -1: none */
	uint32_t code;     /**< NTSTATUS of the exception, 0: none */
	uint32_t exception_flags;
	uint64_t exception_address;
	bool first_chance;
	uint32_t n_parameters;
	uint64_t parameters[15];
};

/** Strings are valid until the next kd_session_wait() on the session. */
struct kd_event {
	enum kd_event_kind kind;
	struct kd_stop stop;
	const char *text;    /**< PRINT, PROMPT, COMMAND, NOTICE, module path; NUL-terminated */
	size_t text_size;    /**< without the NUL */
	uint32_t max_answer; /**< PROMPT: longest answer in bytes */
	uint64_t module_base;
	uint32_t module_size;
	uint64_t time_ns; /**< monotonic */
};

/**
 * Wait for the next event.
 *
 * @param timeout_ms  -1: for ever; 0: only what is there already.
 * @return KD_OK; KD_E_TIMEOUT: nothing happened; KD_E_CANCELLED: kd_session_cancel();
 *         KD_E_CLOSED: the transport is gone and does not come back (after KD_EVENT_LOST).
 * @blocks as told
 */
enum kd_status kd_session_wait(struct kd_session *session, int timeout_ms,
			       struct kd_event *event_ret, struct kd_error *err);

/** Answer a KD_EVENT_PROMPT; text is cut to max_answer. KD_E_INVALID: no prompt is open. */
enum kd_status kd_session_answer(struct kd_session *session, const char *text, size_t size,
				 struct kd_error *err);

/** The last stop; KD_E_NOT_FOUND before the first. */
enum kd_status kd_session_last_stop(const struct kd_session *session, struct kd_stop *ret);

/* --- filters: the sx family --- */

enum kd_filter_action {
	KD_FILTER_BREAK,         /**< sxe: stop at the first chance */
	KD_FILTER_SECOND_CHANCE, /**< sxd: stop at the second chance */
	KD_FILTER_OUTPUT,        /**< sxn: tell, don't stop */
	KD_FILTER_IGNORE,        /**< sxi */
};

struct kd_filter {
	char name[16]; /**< "ld", "ud", "av", "bpe" ... or the hex code */
	char description[48];
	uint32_t code; /**< NTSTATUS; 0 for events (ld, ud, ...) */
	enum kd_filter_action action;
	bool handled;      /**< -h: continue as handled */
	char argument[64]; /**< ld:pattern */
};

/** The table, in order. Valid until a filter is set. */
const struct kd_filter *kd_filter_table(const struct kd_session *session, size_t *n_ret);

/**
 * Set one filter by name ("ld", "av") or number. `argument` NULL: keep.
 *
 * @return KD_OK; KD_E_NOT_FOUND: no such event or exception name.
 */
enum kd_status kd_filter_set(struct kd_session *session, const char *name,
			     enum kd_filter_action action, const char *argument,
			     struct kd_error *err);

/** Back to WinDbg's defaults (sxr). */
void kd_filter_reset(struct kd_session *session);

#ifdef __cplusplus
}
#endif

#endif
