/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A session: one debugger attached to one target.
 *
 * **Threads.** A session belongs to one thread at a time. The two exceptions, safe from any thread
 * and from signal handlers, are kd_session_break_in() and kd_session_cancel().
 *
 * **Blocking.** Every function that talks to the target may block up to the request time-out
 * (kd_session_options.request_timeout_ms) and returns KD_E_CANCELLED soon (< 50 ms) after
 * kd_session_cancel(). No callback of the caller ever runs inside such a call, but those that it
 * asked for (kd_session_at_stop(), a breakpoint's handler inside kd_session_wait()): what the
 * target says meanwhile is queued and handed out by kd_session_wait().
 *
 * **Errors common to all functions that need a target:** KD_E_NOT_CONNECTED (connect first),
 * KD_E_RUNNING (stop the target first), KD_E_TIMEOUT (the link is up but silent: try again or
 * kd_session_resync()), KD_E_CLOSED (the connection is gone: wait for the reconnection or destroy
 * the session), KD_E_RESET (the target restarted during the call: everything known about it is
 * void), KD_E_CANCELLED, KD_E_NO_MEMORY. They are not repeated below.
 */
#ifndef OPENKD_SESSION_H
#define OPENKD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_session;

/** Where a session is. Texts for people come from kd_session_describe(). */
enum kd_session_state {
	KD_SESSION_DISCONNECTED, /**< no transport (closed, or not opened yet) */
	KD_SESSION_CONNECTING,   /**< transport open, target not heard yet */
	KD_SESSION_RUNNING,      /**< the target runs; it was heard or continued by us */
	KD_SESSION_STOPPED,      /**< the target is halted and waits for us */
	KD_SESSION_RESYNC,       /**< the link lost its step and is being restarted */
};

/** Which road reads take to the memory of a VM on this machine; others have KD only. */
enum kd_memory_road {
	KD_MEMORY_AUTO,   /**< guest RAM where it can be reached, KD for the rest */
	KD_MEMORY_BY_KD,  /**< always through the target */
	KD_MEMORY_BY_RAM, /**< guest RAM only: what is not in it fails, saying why */
};

struct kd_session_options {
	size_t size;             /**< set by KD_SESSION_OPTIONS_INIT */
	const char *symbol_path; /**< `;`-separated; NULL: $_NT_SYMBOL_PATH. Copied */
	const char *record_path; /**< record all bytes both ways as pcapng; NULL: no. Copied. What
				  * does not pass the target is not in it: KD_MEMORY_BY_KD */
	uint32_t request_timeout_ms; /**< a request without an answer fails after this; 0: 10000 */
	bool initial_break;          /**< break in as soon as the target is heard or can be */
	bool break_on_first_load;    /**< stop at the first module load after a (re)boot */
	bool read_only;   /**< refuse everything that changes the target but continuing */
	bool no_fifo_fix; /**< don't raise the UART's receive FIFO trigger of the target */
	enum kd_memory_road memory_road;
};

#define KD_SESSION_OPTIONS_INIT                                                               \
	{                                                                                     \
		sizeof(struct kd_session_options), NULL, NULL, 0, false, false, false, false, \
			KD_MEMORY_AUTO                                                        \
	}

/**
 * Open a transport and make a session on it. Returns at once: the target is attached when
 * kd_session_wait() has returned KD_EVENT_CONNECTED.
 *
 * @param endpoint  `unix:/path`, `tcp:host:port`, `serial:/dev/ttyS0,baud=115200`, `replay:file`,
 * ... or what WinDbg takes after -k: `com:port=...`. See docs/connecting.md.
 * @return KD_OK; KD_E_SYNTAX: the endpoint cannot be read (err says where);
 *         KD_E_IO, KD_E_DENIED, KD_E_NOT_FOUND: it cannot be opened (err says why and what to do);
 *         KD_E_EXISTS: another debugger holds it (err names the process).
 * @owns *session_ret is the caller's: kd_session_destroy().   @blocks up to 5 s (TCP connect)
 */
enum kd_status kd_session_create(const char *endpoint, const struct kd_session_options *options,
				 struct kd_session **session_ret, struct kd_error *err);

/**
 * Leave the target running without any of our breakpoints, close the transport and free everything.
 * NULL is fine. A target that cannot be reached any more is given up after two seconds, one that
 * does not stop for its breakpoints to be taken out after four.
 */
void kd_session_destroy(struct kd_session *session);

/**
 * Take our breakpoints out and let the target run (`resume`), or leave it halted with its
 * breakpoints out (`!resume`); then close the transport. kd_session_destroy() is still needed.
 *
 * @return KD_OK: the target acknowledged; KD_E_TIMEOUT, KD_E_CLOSED: it could not be reached, err
 *         says what may have been left behind; KD_E_IO: the recording could not be completed.
 */
enum kd_status kd_session_detach(struct kd_session *session, bool resume, struct kd_error *err);

enum kd_session_state kd_session_state(const struct kd_session *session);

/** A counter that grows with every stop, resume and reset: what was read before a change is stale.
 */
uint64_t kd_session_generation(const struct kd_session *session);

/** The endpoint in canonical form. Valid as long as the session. */
const char *kd_session_endpoint(const struct kd_session *session);

/**
 * Why the session is where it is and what to do about it, in words: the connection diagnosis.
 * "no byte for 10 s: the target is off, kernel debugging is not enabled ...".
 *
 * @param[out] text  one to three lines, NUL-terminated, cut to `size`.
 */
void kd_session_describe(const struct kd_session *session, char *text, size_t size);

/** Stop a running target: send a break-in. Async-signal-safe, any thread. */
void kd_session_break_in(struct kd_session *session);

/** What kd_session_at_stop() does: anything but waiting, resuming and changing breakpoints. */
typedef enum kd_status (*kd_session_errand)(void *context, struct kd_session *session,
					    struct kd_error *err);

/**
 * Do something with the target while it is stopped, wherever it is: at once when it is stopped,
 * else it is stopped for it and goes on by itself, without a KD_EVENT_STOP. What it says meanwhile
 * waits for kd_session_wait(). A stop that comes from elsewhere in the same moment serves, too, and
 * stays a stop.
 *
 * @return what the errand returned; KD_E_TIMEOUT: the target did not stop within the request
 *         time-out, KD_E_CANCELLED: nor before kd_session_cancel(). Then the errand is not done,
 *         nor later; a target that stops for it after all runs on by itself.
 * @blocks up to the request time-out
 */
enum kd_status kd_session_at_stop(struct kd_session *session, kd_session_errand errand,
				  void *context, struct kd_error *err);

/**
 * The machine went back to a snapshot, or was otherwise put somewhere else from outside: stop it
 * for a moment, forget what was known of it, set the breakpoints again and, if the session let it
 * run, let it run. Where it stood stopped in the snapshot, or the session had it stopped, a stop
 * follows. Done by the next kd_session_wait(). Over the ring it is noticed without this.
 * Async-signal-safe, any thread.
 */
void kd_session_rejoin(struct kd_session *session);

/** Make the current or next blocking call return KD_E_CANCELLED. Async-signal-safe, any thread. */
void kd_session_cancel(struct kd_session *session);

/** Forget a cancel that no call has consumed. */
void kd_session_cancel_clear(struct kd_session *session);

/** Restart the link (RESET both ways) and probe the target. For a target that seems stuck. */
enum kd_status kd_session_resync(struct kd_session *session, struct kd_error *err);

/** How a stopped target is let run. */
enum kd_go {
	KD_GO, /**< go on; an exception counts as handled if it is a breakpoint or step, else not */
	KD_GO_HANDLED,     /**< gh */
	KD_GO_NOT_HANDLED, /**< gn */
};

/**
 * Resume. Returns when the target acknowledged; the next stop comes from kd_session_wait().
 * Breakpoints are inserted, one at the current instruction is stepped over first.
 */
enum kd_status kd_session_go(struct kd_session *session, enum kd_go how, struct kd_error *err);

/**
 * As kd_session_go(), stopping also at any of `n` addresses (`g ADDRESS...`, at most 10), which are
 * forgotten at the next stop.
 */
enum kd_status kd_session_go_to(struct kd_session *session, const uint64_t *addresses, size_t n,
				enum kd_go how, struct kd_error *err);

enum kd_step {
	KD_STEP_INTO,              /**< t: one instruction */
	KD_STEP_OVER,              /**< p: one instruction, calls and rep-prefixed ones as one */
	KD_STEP_TO_CALL,           /**< pc / tc: until the next instruction is a call */
	KD_STEP_TO_RETURN,         /**< pt / tt: until the next instruction is a return */
	KD_STEP_TO_ADDRESS,        /**< pa / ta: until `address` */
	KD_STEP_TO_BRANCH,         /**< ph / th: until the next branch of any kind */
	KD_STEP_TO_CALL_OR_RETURN, /**< pct / tct */
	KD_STEP_OUT, /**< gu: until the current frame returned (stack pointer checked) */
};

/**
 * Step the current processor. Returns when the target acknowledged; kd_session_wait() tells the end
 * (KD_STOP_STEP, or whatever stopped it earlier).
 *
 * @param into  for the STEP_TO_* kinds: trace into calls (`t` forms) instead of over them.
 */
enum kd_status kd_session_step(struct kd_session *session, enum kd_step kind, bool into,
			       uint64_t address, struct kd_error *err);

/**
 * Resume the way the target was resumed before the current stop (`gc`): go, or the rest of a step.
 */
enum kd_status kd_session_go_as_before(struct kd_session *session, struct kd_error *err);

/** Restart the target machine (KD Reboot). The session follows it through the reboot. */
enum kd_status kd_session_reboot(struct kd_session *session, struct kd_error *err);

/** Make the target bugcheck with MANUALLY_INITIATED_CRASH (0xE2) (`.crash`). */
enum kd_status kd_session_crash(struct kd_session *session, struct kd_error *err);

/** What travelled. All values only grow. */
struct kd_session_counters {
	uint64_t requests; /**< requests answered: round trips */
	uint64_t retries;  /**< requests issued again after the link was reset */
	uint64_t rx_bytes, tx_bytes;
	uint64_t rx_packets, tx_packets;
	uint64_t retransmits, resends, resets, checksum_errors, noise_bytes;
	uint64_t stops; /**< state changes, those that were continued silently included */
	uint64_t prints;
	uint64_t memory_hits;   /**< bytes served from the cache of this stop */
	uint64_t memory_misses; /**< bytes fetched from the target */
	uint64_t memory_direct; /**< bytes read out of the VM's RAM */
	uint64_t round_trip_ns_median, round_trip_ns_p99; /**< over the last 1024 requests */
};

void kd_session_counters(const struct kd_session *session, struct kd_session_counters *ret);

/* --- the machine --- */

/** What GetVersion and the KDBG block say. Zero or "" where unknown. */
struct kd_target_info {
	uint16_t machine;      /**< IMAGE_FILE_MACHINE: 0x8664, 0x14C, 0xAA64 */
	uint16_t major, build; /**< major: high byte system type, low byte 0xF free, 0xC checked */
	uint8_t protocol, secondary;
	uint16_t flags;
	uint8_t max_manipulate;
	uint8_t pointer_size; /**< 4 or 8 */
	uint32_t n_processors;
	uint64_t kernel_base, loaded_module_list, debugger_data;
	char build_lab[128]; /**< "19041.1.amd64fre..." */
};

enum kd_status kd_session_target(struct kd_session *session, struct kd_target_info *ret,
				 struct kd_error *err);

/**
 * A field of the KDBG block by Microsoft's name ("PsActiveProcessHead").
 *
 * @return KD_OK; KD_E_NOT_FOUND: no such field, the block has no such field or it is zero.
 */
enum kd_status kd_session_kdbg(struct kd_session *session, const char *field, uint64_t *value_ret,
			       struct kd_error *err);

/** Code and four parameters of the bugcheck in progress; KD_E_NOT_FOUND: none. */
enum kd_status kd_session_bugcheck(struct kd_session *session, uint64_t values_ret[5],
				   struct kd_error *err);

/** What NT tells in KUSER_SHARED_DATA; times in units of 100 ns, zero before the clock runs. */
struct kd_shared_data {
	uint64_t system_time;    /**< since 1601, UTC */
	uint64_t interrupt_time; /**< since the boot */
	uint32_t nt_major, nt_minor;
	uint32_t product_type; /**< 1 workstation, 2 domain controller, 3 server */
	uint32_t suite_mask;
};

/**
 * Read it: one request at most, as kd_memory_read(), whose errors these are. *ret is zeros then.
 *
 * @blocks up to the request timeout
 */
enum kd_status kd_session_shared_data(struct kd_session *session, struct kd_shared_data *ret,
				      struct kd_error *err);

/** Number of processors the target reported at the last stop. */
uint32_t kd_session_n_processors(const struct kd_session *session);

/** The processor whose registers and memory are looked at: the one that stopped, or selected. */
uint32_t kd_session_processor(const struct kd_session *session);

/**
 * Let kd_memory_read() and what is built on it look at the target while it runs, out of the VM's
 * RAM: the kernel's addresses, translated as at the last stop. What is read may be half of one
 * moment and half of the next. Off unless asked for; stays as set.
 *
 * KD_E_RUNNING is still what user addresses, physical memory, registers, and targets whose RAM is
 * not read come to while the target runs.
 */
void kd_session_allow_live(struct kd_session *session, bool allow);

/**
 * Look at another processor (`~Ns`). Nothing is sent for looking; a step or go hands over properly.
 *
 * @return KD_OK; KD_E_INVALID: no such processor.
 */
enum kd_status kd_session_select_processor(struct kd_session *session, uint32_t processor,
					   struct kd_error *err);

#ifdef __cplusplus
}
#endif

#endif
