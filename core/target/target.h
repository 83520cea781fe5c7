/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The answering end of KD: what a kernel, an emulator or a test does when a debugger asks.
 *
 * Requests go in, operations on a table of functions happen, replies come out: no I/O, heap,
 * clock or mutable statics, so it runs inside a stopped kernel with interrupts off as well as in a
 * program. The transport is somebody else's: core/target/serve.h joins this to core/link for those
 * who have a byte stream; an NT-like kernel hands the payloads to its transport DLL.
 *
 * To make something debuggable:
 *  1. fill struct kd_target_ops (read_memory, write_memory, get_context, set_context, get_special
 *     and count_processors are enough for a usable debugger; the others add what their comment
 *     says, and their API is refused like a real target refuses it as long as they are NULL);
 *  2. fill a version block and call kd_target_init();
 *  3. when the machine stops, build a state change with kd_target_exception() or one of its
 *     siblings, send it as packet type 7, and wait for packets of type 2;
 *  4. hand each of them to kd_target_request() and do what the action says, until it says
 *     KD_TARGET_CONTINUE.
 *
 * Statuses and side effects are those of NT (docs/protocol/serial.md): 32 breakpoints with handles
 * 1 to 32, breakpoints inside the reported instruction stream are deleted, reads show the original
 * bytes under breakpoints, SetContext needs a GetContext since the state change.
 *
 * Nothing in here blocks. One thread at a time per struct kd_target. Requests are untrusted: every
 * length and index in them is checked before use.
 */
#ifndef KD_CORE_TARGET_TARGET_H
#define KD_CORE_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#include "core/wire/context.h"
#include "core/wire/message.h"

enum {
	KD_TARGET_N_BREAKPOINTS = 32,
	KD_TARGET_INSTRUCTION_MAX = 8, /* bytes of a custom breakpoint instruction */
	KD_TARGET_STREAM_SIZE = 16,    /* bytes of code in a control report */
	/* A pattern to search for has to fit twice into the scratch space. */
	KD_TARGET_PATTERN_MAX = 512,
	KD_TARGET_COMMAND_NAME_MAX = 128, /* of a command string, NUL included */
};

/* How far one SearchMemory may go when the configuration does not say: the machine stands still. */
#define KD_TARGET_SEARCH_MAX (256u << 20)

enum kd_target_space { KD_TARGET_VIRTUAL, KD_TARGET_PHYSICAL };

/* The caching flag of physical requests. */
enum { KD_TARGET_CACHE_DEFAULT, KD_TARGET_CACHED, KD_TARGET_UNCACHED, KD_TARGET_WRITE_COMBINED };

enum kd_target_pointer { KD_TARGET_KPCR, KD_TARGET_KPRCB, KD_TARGET_KTHREAD };

struct kd_target_memory {
	enum kd_target_space space;
	uint64_t address;
	uint32_t caching; /* physical: one of the flags above; bigger numbers are possible */
};

/* An I/O port, or what the extended API names instead of one. */
struct kd_target_port {
	uint32_t interface_type; /* 1: ISA */
	uint32_t bus_number;
	uint32_t address_space; /* 1: I/O, 0: memory */
	uint64_t address;
	uint32_t size; /* 1, 2 or 4, and `address` is a multiple of it */
};

struct kd_target_bus {
	uint32_t bus_data_type; /* 4: PCI configuration space */
	uint32_t bus_number;
	uint32_t slot_number;
	uint32_t offset;
};

enum { KD_TARGET_MEMORY_PROCESS, KD_TARGET_MEMORY_SESSION, KD_TARGET_MEMORY_KERNEL };
enum { KD_TARGET_MEMORY_READ = 1, KD_TARGET_MEMORY_WRITE = 2, KD_TARGET_MEMORY_EXECUTE = 4 };
enum { KD_TARGET_MEMORY_FIXED = 8 };

/**
 * What the debugged machine can do. Every function gets `user` of kd_target_init(), is called only
 * from within kd_target_*() and must not call back. `processor` is below count_processors().
 */
struct kd_target_ops {
	/**
	 * Copy without faulting or paging. Virtual addresses are those of the stopped processor.
	 * @return bytes copied before the first one that can't be reached; `size`: all.
	 */
	size_t (*read_memory)(void *user, const struct kd_target_memory *from, uint8_t *out,
			      size_t size);
	/** Likewise. Reaches read-only pages too, and does not copy on write. */
	size_t (*write_memory)(void *user, const struct kd_target_memory *to, const uint8_t *bytes,
			       size_t size);

	/** The machine's CONTEXT, all kd_context_layout(machine)->size bytes of it. */
	bool (*get_context)(void *user, uint16_t processor, uint8_t *out);
	bool (*set_context)(void *user, uint16_t processor, const uint8_t *bytes);

	/** KSPECIAL_REGISTERS, special_size bytes. KernelDr0-7 in it are the machine's debug
	 * registers while it is stopped: set_special() makes them real when it runs on. */
	bool (*get_special)(void *user, uint16_t processor, uint8_t *out);
	bool (*set_special)(void *user, uint16_t processor, const uint8_t *bytes);

	/** How many processors can be asked about; at least 1. */
	uint16_t (*count_processors)(void *user);

	/* --- optional from here on --- */

	/** Address of a structure of a processor, 0: there is none. For control space 0, 1 and 3
	 * and the Thread field of state changes. */
	uint64_t (*get_pointer)(void *user, uint16_t processor, enum kd_target_pointer which);

	/**
	 * The physical address behind a virtual one, false: not present. With it a breakpoint is
	 * found again in whatever address space is current when it has to go, and is hidden in
	 * physical reads too.
	 */
	bool (*translate)(void *user, uint64_t address, uint64_t *physical_ret);

	/**
	 * Put and remove a breakpoint instruction where a write of memory is not enough (an
	 * emulator with a translation cache). NULL: write_memory is used. `original` is what to
	 * put back; false: not reachable now, to be tried again later.
	 */
	bool (*insert_breakpoint)(void *user, uint64_t address, const uint8_t *instruction,
				  size_t size);
	bool (*remove_breakpoint)(void *user, uint64_t address, const uint8_t *original,
				  size_t size);

	bool (*read_msr)(void *user, uint16_t processor, uint32_t msr, uint64_t *value_ret);
	bool (*write_msr)(void *user, uint16_t processor, uint32_t msr, uint64_t value);

	/** @return an NTSTATUS for the reply, KD_NT_SUCCESS: done. */
	uint32_t (*read_port)(void *user, const struct kd_target_port *port, uint32_t *value_ret);
	uint32_t (*write_port)(void *user, const struct kd_target_port *port, uint32_t value);

	/** @return bytes done; less than `size` is what buses do at their end; 0: no such thing. */
	size_t (*read_bus)(void *user, const struct kd_target_bus *from, uint8_t *out, size_t size);
	size_t (*write_bus)(void *user, const struct kd_target_bus *to, const uint8_t *bytes,
			    size_t size);

	/** Space and protection of the page at `address`, false: not mapped. NULL: a byte is read,
	 * and what can be read is called readable. */
	bool (*query_memory)(void *user, uint64_t address, uint32_t *space_ret,
			     uint32_t *flags_ret);

	/** Look for overwritten patterns below 4 GB and print what was found. @return NTSTATUS. */
	uint32_t (*check_low_memory)(void *user);
};

struct kd_target_config {
	/** Read whenever needed, so it may change; it says the machine, and by max_manipulate which
	 * APIs exist (0: all we know). The caller's, for the life of the target. */
	const struct kd_w_version *version;
	uint16_t processor_level; /* informational: 6 on NT on current Intel and AMD */
	size_t special_size;      /* of the machine's KSPECIAL_REGISTERS; 0: the largest known */
	size_t payload_max;       /* of replies; 0: KD_PAYLOAD_MAX */
	uint64_t search_max;      /* 0: KD_TARGET_SEARCH_MAX */
};

enum kd_target_bp_state {
	KD_TARGET_BP_FREE,
	KD_TARGET_BP_INSERTED, /* the instruction stands in memory */
	KD_TARGET_BP_OWED,     /* the page was not there: to be inserted later */
	KD_TARGET_BP_LEAVING,  /* removed by the debugger while the page was away */
};

struct kd_target_breakpoint {
	uint8_t state; /* enum kd_target_bp_state */
	uint8_t size;
	bool has_physical;
	uint64_t address;
	uint64_t physical;
	uint8_t instruction[KD_TARGET_INSTRUCTION_MAX];
	uint8_t original[KD_TARGET_INSTRUCTION_MAX];
};

struct kd__target_machine;

/** Private; public only so that it can live in the caller's storage (about 5 KB). */
struct kd_target {
	struct kd_target_config config;
	const struct kd_target_ops *ops;
	void *user;
	const struct kd__target_machine *machine;
	size_t context_size, special_size;
	uint16_t processor;    /* the one that reported the last stop */
	bool context_was_read; /* since the last state change */
	size_t staged_size;    /* SetContextEx in progress: where its last window ended; 0: none */
	uint16_t staged_for;   /* processor */
	struct kd_target_breakpoint breakpoints[KD_TARGET_N_BREAKPOINTS];
	uint8_t staged[KD_CONTEXT_MAX];
	uint8_t scratch[2048];
};

/**
 * @param t       the caller's storage, unused before.
 * @param config  copied; its version block stays the caller's.
 * @param ops     the caller's, for the life of the target.
 * @return KD_OK; KD_E_UNSUPPORTED: no register table for version->machine (x86, AMD64 and ARM64
 *         have one), or special_size is larger than the table's; KD_E_INVALID: a required function
 *         is missing, or payload_max is not within 512 and KD_PAYLOAD_MAX.
 */
enum kd_status kd_target_init(struct kd_target *t, const struct kd_target_config *config,
			      const struct kd_target_ops *ops, void *user);

/* ------------------------------- requests -------------------------------------------------- */

enum kd_target_action_kind {
	KD_TARGET_REPLY,    /* send the reply (packet type 2), stay stopped */
	KD_TARGET_STAY,     /* nothing to send, stay stopped (an API that is only acknowledged) */
	KD_TARGET_CONTINUE, /* run on; send the reply first if reply_size is not 0 */
	KD_TARGET_SWITCH,   /* let `processor` report a stop (code WAKE_SYSTEM_DEBUGGER) */
	KD_TARGET_RESEND_STATE, /* send the last state change again */
	KD_TARGET_REBOOT,       /* reset the machine */
	KD_TARGET_BUGCHECK,     /* crash with MANUALLY_INITIATED_CRASH */
	KD_TARGET_MALFORMED,    /* no request at all: shorter than its header. Nothing was done */
};

struct kd_target_action {
	enum kd_target_action_kind kind;
	uint32_t api;      /* of the request */
	size_t reply_size; /* bytes in the reply buffer, header first */
	uint16_t processor;

	/* KD_TARGET_CONTINUE */
	uint32_t continue_status;
	/**
	 * Continue2 with a success status came: `trace` and `dr7` hold. On x86 and AMD64 they have
	 * been applied already: TF in the stopped processor's CONTEXT, KernelDr7 and KernelDr6 := 0
	 * on every processor. On other machines applying `trace` is the caller's business.
	 */
	bool has_control_set;
	bool trace;
	uint64_t dr7;
	uint64_t symbol_start, symbol_end; /* symbol_start 1: leave what there was */
};

/**
 * Answer one request.
 *
 * @param payload    of a packet of type KD_STATE_MANIPULATE, as received.
 * @param reply      room for the answer; must not overlap the payload.
 * @param reply_cap  at least KD_MANIPULATE_SIZE; larger requests are answered in part when there is
 *                   less than payload_max, as targets do.
 * @param[out] action_ret  what to do now; always written.
 * @return action_ret->kind.
 */
enum kd_target_action_kind kd_target_request(struct kd_target *t, const uint8_t *payload,
					     size_t size, uint8_t *reply, size_t reply_cap,
					     struct kd_target_action *action_ret);

/* ------------------------------- breakpoints ----------------------------------------------- */

/**
 * Insert what is owed and remove what is leaving, where the pages are there now. Called by
 * kd_target_request() before KD_TARGET_CONTINUE; a target with paging also calls it, with the
 * debugger locked out, when it has made a page valid.
 */
void kd_target_settle_breakpoints(struct kd_target *t);

/** Take all breakpoints out of memory and the table: the debugger went away for good. */
void kd_target_remove_breakpoints(struct kd_target *t);

/** The handle (1 to 32) of the breakpoint whose instruction stands at `address`, 0: none. */
uint32_t kd_target_find_breakpoint(const struct kd_target *t, uint64_t address);

/* ------------------------------- state changes ---------------------------------------------- */

/*
 * Each builds the payload of a packet of type KD_STATE_CHANGE64 for a stop of `processor`, fills
 * the control report from its registers, deletes the breakpoints inside the reported instruction
 * stream, and starts a new stop: SetContext has to be earned again. Keep the bytes until the stop
 * is over: they are what a debugger that lost them asks for.
 *
 * KD_OK; KD_E_TOO_BIG: `cap` is below KD_STATE_CHANGE_SIZE; KD_E_INVALID: no such processor, or its
 * CONTEXT can't be had: nothing happened.
 */

/** @param e  addresses are sign-extended here for 32-bit machines. */
enum kd_status kd_target_exception(struct kd_target *t, uint16_t processor,
				   const struct kd_w_exception *e, uint8_t *out, size_t cap,
				   size_t *size_ret);

/** @param name  NULL and 0: none; else ANSI, `name_size` bytes without NUL (one is added). Names
 *              that do not fit lose their beginning: the file name is at the end.
 *  @param l    path_name_length is filled in here. */
enum kd_status kd_target_load_symbols(struct kd_target *t, uint16_t processor,
				      const struct kd_w_load_symbols *l, const char *name,
				      size_t name_size, uint8_t *out, size_t cap, size_t *size_ret);

/** A command for the debugger; both texts without NUL, clipped to what fits. */
enum kd_status kd_target_command_string(struct kd_target *t, uint16_t processor, const char *name,
					size_t name_size, const char *command, size_t command_size,
					uint8_t *out, size_t cap, size_t *size_ret);

/* ------------------------------- text and files ---------------------------------------------- */

/**
 * A packet of type KD_DEBUG_IO that prints as much of `text` as fits.
 * @param[out] taken_ret  bytes of text in it: go on behind them.
 * @return KD_OK; KD_E_TOO_BIG: `cap` leaves no room for a character.
 */
enum kd_status kd_target_print(const struct kd_target *t, uint16_t processor, const char *text,
			       size_t text_size, uint8_t *out, size_t cap, size_t *size_ret,
			       size_t *taken_ret);

/** Ask for a line of at most `answer_max` bytes; the answer is a packet of the same type. */
enum kd_status kd_target_prompt(const struct kd_target *t, uint16_t processor, const char *prompt,
				size_t prompt_size, size_t answer_max, uint8_t *out, size_t cap,
				size_t *size_ret);

/**
 * The debugger's answer. Length fields are not believed beyond the payload.
 * @return KD_OK; KD_E_TRUNCATED, KD_E_MALFORMED: not an answer; ask again.
 */
enum kd_status kd_target_prompt_answer(const uint8_t *payload, size_t size, size_t answer_max,
				       const uint8_t **answer_ret, size_t *answer_size_ret);

/** Packets of type KD_FILE_IO: open a file of the debugger's machine for reading, read, close.
 *  @param name  UTF-16, name_length units without NUL. */
enum kd_status kd_target_file_create(const uint16_t *name, size_t name_length, uint8_t *out,
				     size_t cap, size_t *size_ret);
enum kd_status kd_target_file_read(uint64_t handle, uint64_t offset, uint32_t length, uint8_t *out,
				   size_t cap, size_t *size_ret);
enum kd_status kd_target_file_close(uint64_t handle, uint8_t *out, size_t cap, size_t *size_ret);

struct kd_target_file_answer {
	uint32_t status; /* NTSTATUS of the debugger */
	uint64_t handle; /* create */
	uint64_t length; /* create: of the file; read: of the bytes that came */
	const uint8_t *data;
};

/** @param api  what was asked. @return KD_OK; KD_E_TRUNCATED, KD_E_MALFORMED: ask again. */
enum kd_status kd_target_file_answer(uint32_t api, const uint8_t *payload, size_t size,
				     struct kd_target_file_answer *ret);

#endif
