/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The virtual machines that this machine knows: where their kernel debug port is, who is attached
 * to it, what stands in the way, and what can be done with them.
 *
 * A list is a picture of one moment. Names, paths and texts in it come from others and are cleaned
 * of control characters, but otherwise as they were written.
 */
#ifndef OPENKD_VM_H
#define OPENKD_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kd_vm_source {
	KD_VM_QEMU,       /**< a QEMU process of this machine */
	KD_VM_LIBVIRT,    /**< a libvirt connection; `connection` is its URI */
	KD_VM_VIRTUALBOX, /**< a .vbox file; `connection` is its path */
	KD_VM_VMWARE,     /**< a .vmx file; `connection` is its path */
	KD_VM_NAMED,      /**< a target that the caller named (configuration file) */
};

enum kd_vm_state {
	KD_VM_UNKNOWN, /**< nobody tells */
	KD_VM_OFF,
	KD_VM_RUNNING,
	KD_VM_PAUSED,
	KD_VM_CRASHED,
};

/** Who is at the debug port. */
enum kd_vm_debugger {
	KD_VM_DEBUGGER_UNKNOWN, /**< can't be seen from here (serial line, remote, KDNET) */
	KD_VM_DEBUGGER_NONE,
	KD_VM_DEBUGGER_SESSION, /**< a session of OpenKD that answered: `session`, `counters` */
	KD_VM_DEBUGGER_RELAY,   /**< a relay (openkd/relay.h): `endpoint` is where debuggers go */
	KD_VM_DEBUGGER_OTHER,   /**< another program: `debugger_name` and `debugger_pid` if known */
};

/** What travelled, since the session or relay began. */
struct kd_vm_counters {
	bool is_known; /**< false: nobody counts; the rest is 0 */
	uint64_t rx_packets,
		tx_packets; /**< data packets from and to the target, without repeats */
	uint64_t rx_bytes, tx_bytes;
	uint64_t resyncs; /**< RESETs of the link */
	uint64_t resends; /**< packets that were asked for or sent again */
	uint64_t stops, prints;
	uint64_t round_trip_ns_median, round_trip_ns_p99; /**< of the last requests; 0: none */
};

/** A virtual machine. All pointers are valid as long as the list; texts are never NULL. */
struct kd_vm {
	enum kd_vm_source source;
	enum kd_vm_state state;
	const char *name;
	const char *id;         /**< unique in the list: UUID, "pid-4711", a file, the name */
	const char *connection; /**< URI or file; "" for processes */
	long pid;               /**< of the hypervisor's process; 0: unknown, or it is off */
	const char *endpoint;   /**< for kd_session_create(); a relay's if there is one; "": none */
	const char *port;       /**< the VM's own end; equals `endpoint` without a relay */
	enum kd_vm_debugger debugger;
	long debugger_pid;         /**< 0: unknown or nobody */
	const char *debugger_name; /**< program; "" when unknown or nobody */
	const char *session;       /**< path of the session's socket; "": none */
	const char *session_state; /**< "running", "stopped"... of a SESSION; "" otherwise */
	/**
	 * How its memory can be reached from here, which decides over the fast roads: "shared" (a
	 * shared backend, mapped), "ivshmem" (that device too), "private" (through its process,
	 * with the right to trace it); "" unknown.
	 */
	const char *memory;
	const char *os; /**< what was seen of the guest: "x64, build 19041"; "" nothing */
	struct kd_vm_counters counters;
	size_t n_obstacles;
	const char *const *obstacles; /**< what is in the way of debugging, each with its remedy */
};

/** A target with a name of the caller's choice. */
struct kd_vm_target {
	const char *name, *endpoint;
};

struct kd_vm_list_options {
	size_t size; /**< set by KD_VM_LIST_OPTIONS_INIT */
	/**
	 * URIs of libvirt, `n_connections` of them. NULL: qemu:///system and qemu:///session where
	 * a daemon listens for them already.
	 */
	const char *const *connections;
	size_t n_connections;
	const struct kd_vm_target *targets;
	size_t n_targets;
	uint32_t timeout_ms; /**< for all that may take time (monitors, libvirt, sessions); 0: 2000
			      */
	/** Don't ask monitors of QEMU processes: their `state` is KD_VM_UNKNOWN. */
	bool leaves_monitors;
};

/* clang-format off */
#define KD_VM_LIST_OPTIONS_INIT { sizeof(struct kd_vm_list_options), NULL, 0, NULL, 0, 0, false }
/* clang-format on */

struct kd_vm_list;

/**
 * Look for virtual machines. Nothing is changed anywhere; monitors and sessions are asked for their
 * state. What can't be asked is no failure: kd_vm_list_problem().
 *
 * @param options  NULL: all defaults.
 * @return KD_OK: also when there are none; KD_E_NO_MEMORY; KD_E_INVALID: a target or connection is
 *         NULL.
 * @owns *list_ret is the caller's until kd_vm_list_destroy()   @threads any, each its own list
 * @blocks up to the timeout
 */
enum kd_status kd_vm_list_create(const struct kd_vm_list_options *options,
				 struct kd_vm_list **list_ret, struct kd_error *err);

/** NULL is fine. */
void kd_vm_list_destroy(struct kd_vm_list *list);

/** @return how many there are. @owns nothing */
size_t kd_vm_list_size(const struct kd_vm_list *list);

/** @return number `index`, NULL behind the last. @owns valid as long as the list */
const struct kd_vm *kd_vm_list_get(const struct kd_vm_list *list, size_t index);

/**
 * Who could not be asked, and what to do about it, one line each: "qemu:///system: no daemon...".
 *
 * @return number `index`, NULL behind the last. @owns valid as long as the list
 */
const char *kd_vm_list_problem(const struct kd_vm_list *list, size_t index);

/**
 * The one of that name or id.
 *
 * @return KD_OK; KD_E_NOT_FOUND: none, err names those there are; KD_E_AMBIGUOUS: several, err
 * names their ids, which are unique.
 * @owns *vm_ret is valid as long as the list   @blocks never
 */
enum kd_status kd_vm_list_find(const struct kd_vm_list *list, const char *name,
			       const struct kd_vm **vm_ret, struct kd_error *err);

enum kd_vm_action {
	KD_VM_PAUSE, /**< processors stand still; the debugger's stop is another thing */
	KD_VM_RESUME,
	KD_VM_RESET,    /**< as by the machine's button */
	KD_VM_SNAPSHOT, /**< take one; `name` */
	KD_VM_REVERT,   /**< go back to one; `name` */
};

/**
 * Do something to the machine. A session on it survives: its target is found stopped, restarted or
 * back in time, as it would be by any other hand. Reverting by way of libvirt ends the VM's process
 * and starts another.
 *
 * @param vm          of a list that is not destroyed yet.
 * @param name        of the snapshot; letters, digits, `-`, `_` and `.`. Else NULL.
 * @param timeout_ms  0: 60000.
 * @return KD_OK; KD_E_NOT_FOUND: no such snapshot; KD_E_EXISTS: such a snapshot is there;
 *         KD_E_UNSUPPORTED: this VM can't (no monitor, no disk for snapshots, tool not installed);
 *         KD_E_DENIED, KD_E_CLOSED, KD_E_TIMEOUT, KD_E_TARGET, KD_E_IO: err says why and what to
 * do; KD_E_INVALID: not such a name.
 * @threads any   @blocks up to the timeout
 */
enum kd_status kd_vm_do(const struct kd_vm *vm, enum kd_vm_action action, const char *name,
			uint32_t timeout_ms, struct kd_error *err);

/**
 * Names of the snapshots, oldest first as far as known.
 *
 * @param fn  called for each; the name is valid during the call.
 * @return as kd_vm_do().
 */
enum kd_status kd_vm_snapshots(const struct kd_vm *vm, void (*fn)(void *ctx, const char *name),
			       void *ctx, uint32_t timeout_ms, struct kd_error *err);

/**
 * Stop the target by way of the session that holds it (debugger is SESSION). The stop is the
 * session's to show.
 *
 * @return KD_OK: it was told; KD_E_NOT_CONNECTED: no session of OpenKD holds this VM;
 *         KD_E_CLOSED, KD_E_TIMEOUT: the session did not answer.
 * @blocks up to five seconds
 */
enum kd_status kd_vm_break_in(const struct kd_vm *vm, struct kd_error *err);

/** @return "qemu", "libvirt", "virtualbox", "vmware", "named" @owns static */
const char *kd_vm_source_name(enum kd_vm_source source);
/** @return "unknown", "off", "running", "paused", "crashed" @owns static */
const char *kd_vm_state_name(enum kd_vm_state state);
/** @return "unknown", "none", "session", "relay", "other" @owns static */
const char *kd_vm_debugger_name(enum kd_vm_debugger debugger);

#ifdef __cplusplus
}
#endif

#endif
