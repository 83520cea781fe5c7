/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Processes and threads of the target. Offsets come from the kernel's PDB, else from KDBG, else
 * from a table per build (then kd_process.is_guess is set).
 */
#ifndef OPENKD_PROCESS_H
#define OPENKD_PROCESS_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_process {
	uint64_t address; /**< EPROCESS */
	uint64_t pid, parent_pid;
	uint64_t directory_base;
	uint64_t peb, object_table;
	uint32_t session_id, handle_count;
	uint32_t n_threads;
	char image[64];
	bool is_guess;
};

struct kd_thread {
	uint64_t address; /**< ETHREAD */
	uint64_t pid, tid;
	uint64_t process, teb;
	uint8_t state, wait_reason, priority;
	uint32_t processor; /**< valid when running */
	bool is_running;    /**< on a processor */
	uint64_t start_address, win32_start_address;
	uint64_t stack_base, stack_limit, kernel_stack, initial_stack;
	uint32_t context_switches;
};

typedef bool (*kd_process_fn)(void *context, const struct kd_process *process);
typedef bool (*kd_thread_fn)(void *context, const struct kd_thread *thread);

/** All processes; false from `fn` stops. KD_E_MALFORMED: the list is damaged (err: where). */
enum kd_status kd_process_enumerate(struct kd_session *session, kd_process_fn fn, void *context,
				    struct kd_error *err);
enum kd_status kd_process_read(struct kd_session *session, uint64_t eprocess,
			       struct kd_process *ret, struct kd_error *err);
/** The process of the selected processor's thread, or the one set. */
enum kd_status kd_process_current(struct kd_session *session, struct kd_process *ret,
				  struct kd_error *err);
/** `.process`: user addresses are looked at in this process' address space; 0: back. */
enum kd_status kd_process_set(struct kd_session *session, uint64_t eprocess, struct kd_error *err);

enum kd_status kd_thread_enumerate(struct kd_session *session, uint64_t eprocess, kd_thread_fn fn,
				   void *context, struct kd_error *err);
enum kd_status kd_thread_read(struct kd_session *session, uint64_t ethread, struct kd_thread *ret,
			      struct kd_error *err);
/** Current thread of a processor. */
enum kd_status kd_thread_current(struct kd_session *session, uint32_t processor, uint64_t *ret,
				 struct kd_error *err);
/** `.thread`: registers and stack of a thread that is not running; 0: back. */
enum kd_status kd_thread_set(struct kd_session *session, uint64_t ethread, struct kd_error *err);

/** "Waiting", "DelayExecution" ...; "?" for numbers that are not known. */
const char *kd_thread_state_name(uint8_t state);
const char *kd_thread_wait_reason_name(uint8_t reason);

#ifdef __cplusplus
}
#endif

#endif
