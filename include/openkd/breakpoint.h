/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Breakpoints. They are planted at every resume and survive module reloads and target reboots;
 * deferred ones are planted when their expression resolves.
 */
#ifndef OPENKD_BREAKPOINT_H
#define OPENKD_BREAKPOINT_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kd_breakpoint_kind {
	KD_BREAKPOINT_CODE,    /**< software */
	KD_BREAKPOINT_EXECUTE, /**< debug register: ba e */
	KD_BREAKPOINT_WRITE,   /**< ba w */
	KD_BREAKPOINT_ACCESS,  /**< ba r: read or write */
	KD_BREAKPOINT_IO,      /**< ba i */
};

/**
 * Decides about a hit that would stop the target: true stops, false lets it run on. Called in the
 * session's thread, inside kd_session_wait(), with the target stopped: it may read and write
 * memory and registers, and nothing else of the session.
 */
typedef bool (*kd_breakpoint_handler)(void *context, struct kd_session *session);

struct kd_breakpoint_spec {
	size_t size; /**< set by KD_BREAKPOINT_SPEC_INIT */
	enum kd_breakpoint_kind kind;
	uint64_t address;       /**< used when `expression` is NULL */
	const char *expression; /**< kept: bu, deferred until it resolves. Copied */
	uint8_t access_size;    /**< data breakpoints: 1, 2, 4, 8 */
	uint32_t passes;        /**< stop at the n-th hit; 0 and 1: the first */
	bool is_one_shot;
	uint64_t process, thread;      /**< only when this EPROCESS / ETHREAD is current; 0: any */
	const char *condition;         /**< MASM expression; false: go on. Copied */
	const char *command;           /**< for the front end, run at each stop. Copied */
	kd_breakpoint_handler handler; /**< NULL: every hit that gets so far stops */
	void *handler_context;         /**< lives as long as the breakpoint */
};

#define KD_BREAKPOINT_SPEC_INIT                                                                    \
	{                                                                                          \
		sizeof(struct kd_breakpoint_spec), KD_BREAKPOINT_CODE, 0, NULL, 1, 1, false, 0, 0, \
			NULL, NULL, NULL, NULL                                                     \
	}

struct kd_breakpoint {
	int id;
	enum kd_breakpoint_kind kind;
	bool is_enabled, is_deferred, is_one_shot;
	uint64_t address;       /**< 0 while deferred */
	const char *expression; /**< NULL: by address */
	uint8_t access_size;
	uint32_t passes, passes_left;
	uint64_t hits;
	uint64_t process, thread;
	const char *condition, *command; /**< NULL: none */
};

/**
 * Set one. `id` -1: the lowest free; otherwise that id is redefined.
 *
 * @return KD_OK; KD_E_FULL: more than 32 enabled code breakpoints (the target's table) or 4 data
 *         breakpoints: err names the limit and the alternatives; KD_E_UNREADABLE: no memory
 *         at the address; KD_E_INVALID: unaligned or odd-sized data breakpoint.
 */
enum kd_status kd_breakpoint_add(struct kd_session *session, int id,
				 const struct kd_breakpoint_spec *spec, int *id_ret,
				 struct kd_error *err);
/** KD_E_NOT_FOUND: no such id. */
enum kd_status kd_breakpoint_remove(struct kd_session *session, int id, struct kd_error *err);
/**
 * For who has to go while the target runs and can't be stopped: the handler is never called again
 * and its context may go. The breakpoint lets the target run on and removes itself when it is hit.
 * KD_E_NOT_FOUND: no such id.
 */
enum kd_status kd_breakpoint_abandon(struct kd_session *session, int id, struct kd_error *err);
enum kd_status kd_breakpoint_enable(struct kd_session *session, int id, bool enable,
				    struct kd_error *err);
/** NULL command: none. */
enum kd_status kd_breakpoint_set_command(struct kd_session *session, int id, const char *command,
					 struct kd_error *err);
/** Number `n` in order of ids; NULL after the last. Valid until a breakpoint is changed. */
const struct kd_breakpoint *kd_breakpoint_nth(const struct kd_session *session, size_t n);
const struct kd_breakpoint *kd_breakpoint_find(const struct kd_session *session, int id);

#ifdef __cplusplus
}
#endif

#endif
