/* SPDX-License-Identifier: MIT */
/*
 * Inside of the engine: what a session is made of and which file owns which part. Each part keeps
 * its state in a struct of its own (opaque here) and is told about stops, resumes and restarts
 * through the hooks at the end; it never looks into another part's struct.
 *
 *   session.c    life and state, wait loop        request.c   one request, its answer, recovery
 *   leave.c      how a session ends
 *   stop.c       what a state change means        execute.c   go, step, plans
 *   memory.c     cache of this stop               translate.c page walk
 *   register.c, arch_*.c                          breakpoint.c, journal.c
 *   module.c, symbol.c, type.c                    expression.c, code.c, stack.c
 *   process.c    processes and threads            filter.c    the sx table
 */
#ifndef KD_LIB_ENGINE_ENGINE_H
#define KD_LIB_ENGINE_ENGINE_H

#include <stdatomic.h>

#include <openkd/breakpoint.h>
#include <openkd/code.h>
#include <openkd/error.h>
#include <openkd/event.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/module.h>
#include <openkd/process.h>
#include <openkd/register.h>
#include <openkd/session.h>
#include <openkd/symbol.h>

#include "core/wire/context.h"
#include "core/wire/message.h"
#include "lib/base.h"
#include "lib/wait.h"

struct kd__arch;    /* arch.h: what differs between machines */
struct kd__wire;    /* request.c: transport, link, pump, exchange */
struct kd__memory;  /* memory.c */
struct kd__ram;     /* memory_ram.c */
struct kd__regs;    /* register.c */
struct kd__modules; /* module.c */
struct kd__breaks;  /* breakpoint.c */
struct kd__plan;    /* execute.c */
struct kd__filters; /* filter.c */
struct kd__procs;   /* process.c */
struct kd__exprs;   /* expression.c */
struct kd__events;  /* event.c: the queue */
struct kd__info;    /* target.c: version block, KDBG */

struct kd_session {
	char *endpoint;
	struct kd_session_options options; /* strings are owned copies */
	enum kd_session_state state;
	uint64_t generation;
	uint32_t n_processors;
	uint32_t processor;  /* selected */
	uint32_t owner;      /* the processor that reported the stop */
	uint16_t machine;    /* KD_MACHINE_*; 0 until GetVersion */
	struct kd_stop stop; /* the last one */
	bool has_stop;
	bool journal_failed;           /* told once */
	bool allows_live;              /* memory may be read while the target runs */
	struct {                       /* kd_session_at_stop() */
		kd_session_errand run; /* NULL: none */
		void *context;
		enum kd_status status;
		struct kd_error err;
		atomic_bool owes_break; /* the break-in for it may still come */
	} errand;
	const struct kd__arch *arch; /* by machine; never NULL after the first stop */
	struct kd_session_counters counters;

	/* Set by other threads and signal handlers, as long as the session lives. */
	atomic_bool break_wanted, cancel_wanted, rejoin_wanted;
	struct kd_cancel wake; /* ends a wait; the flags tell why */

	struct kd__wire *wire;
	struct kd__memory *memory;
	struct kd__ram *ram;
	struct kd__regs *regs;
	struct kd__modules *modules;
	struct kd__breaks *breaks;
	struct kd__plan *plan;
	struct kd__filters *filters;
	struct kd__procs *procs;
	struct kd__exprs *exprs;
	struct kd__events *events;
	struct kd__info *info;
};

/* NTSTATUS values as the unsigned numbers that structures carry. */
#define KD__NT(name) ((uint32_t)KD_NT_##name)

struct kd_transport;

/* A session on a transport that is open already; it is taken over, also when this fails. */
enum kd_status kd__session_create_on(struct kd_transport *transport,
				     const struct kd_session_options *options,
				     struct kd_session **session_ret, struct kd_error *err);

/* Fails with the right status and text unless the target is stopped. */
enum kd_status kd__need_stop(const struct kd_session *s, struct kd_error *err);
/* As kd__need_stop(), or the target runs and its memory may be looked at all the same. */
enum kd_status kd__need_memory(struct kd_session *s, struct kd_error *err);
/* What kd_session_at_stop() wants done: the target is stopped now. False: nothing. */
bool kd__errand_run(struct kd_session *s);
/* Additionally refuses in read-only sessions. */
enum kd_status kd__need_write(const struct kd_session *s, struct kd_error *err);
/* True once after kd_session_cancel(): long loops ask this and return KD_E_CANCELLED. */
bool kd__cancelled(struct kd_session *s);

/* Addresses of 32-bit targets in the one form used inside: sign-extended. */
uint64_t kd__normalise(const struct kd_session *s, uint64_t address);
static inline uint32_t kd__pointer_size(const struct kd_session *s)
{
	return s->machine == KD_MACHINE_X86 || s->machine == KD_MACHINE_ARM ? 4 : 8;
}

/*
 * One request and its answer (request.c). `m` as prepared by kd_manipulate_init, with m->data for
 * the request's additional data; on KD_OK *m is the reply and m->data points into a buffer valid
 * until the next request. The reply's ReturnStatus is NOT judged here, except by
 * kd__request_checked: KD_E_TARGET with err->nt_status.
 * Idempotent requests are issued again after a link reset; others fail with KD_E_TIMEOUT.
 */
enum kd_status kd__request(struct kd_session *s, struct kd_manipulate *m, struct kd_error *err);
enum kd_status kd__request_checked(struct kd_session *s, struct kd_manipulate *m,
				   struct kd_error *err);

/* KDBG field or 0 (never fails; asks the target once per boot). */
uint64_t kd__kdbg(struct kd_session *s, const char *field);
/* KernBase of GetVersion, normalised; 0 unknown. */
uint64_t kd__kernel_base(struct kd_session *s);

/*
 * Symbols for the engine's own needs (module.c/type.c): offset of a field by PDB type of the
 * kernel ("_EPROCESS", "UniqueProcessId"), or -1. Loads the kernel's PDB on first use, silently.
 */
int64_t kd__kernel_offset(struct kd_session *s, const char *type, const char *field);
/* Address of a kernel symbol or 0. */
uint64_t kd__kernel_symbol(struct kd_session *s, const char *name);
/*
 * Reader for lib/sym over target memory: context is the session. Short reads end at the first
 * unreadable byte.
 */
enum kd_status kd__sym_read(void *session, uint64_t address, void *buffer, size_t size,
			    size_t *done_ret);
/* A module event from the target: keep the list up without a walk. `path` is not terminated. */
void kd__modules_note_load(struct kd_session *s, uint64_t base, uint32_t size, uint32_t checksum,
			   const char *path, size_t path_size);
void kd__modules_note_unload(struct kd_session *s, uint64_t base);
/*
 * Registers as x64 unwinding needs them are taken from the CONTEXT in use: kd_context_get(); stack
 * bounds of the current thread for the walker, false when unknown:
 */
bool kd__stack_bounds(struct kd_session *s, uint64_t *low_ret, uint64_t *high_ret);
/* Where the return address of a switched-out thread at `sp` lies; 0: not known, or not one. */
uint64_t kd__stack_return_slot(struct kd_session *s, uint64_t sp);

/* A value for $proc, $thread, $teb, $peb, $pcr, ... (process.c); KD_E_NOT_FOUND: not one of its
 * own. */
enum kd_status kd__process_pseudo(struct kd_session *s, const char *name, uint64_t *value_ret,
				  struct kd_error *err);

/* Life of the parts: create at session creation, destroy at its end. */
#define KD__PARTS(X) \
	X(ram)       \
	X(memory)    \
	X(regs)      \
	X(modules)   \
	X(breaks)    \
	X(plan)      \
	X(filters)   \
	X(procs)     \
	X(exprs)     \
	X(events)    \
	X(info)
#define KD__PART(name)                                                                \
	enum kd_status kd__##name##_create(struct kd_session *s);                     \
	void kd__##name##_destroy(struct kd_session *s);                              \
	/* the target halted / is about to run / restarted (all knowledge is void) */ \
	void kd__##name##_on_stop(struct kd_session *s);                              \
	void kd__##name##_on_resume(struct kd_session *s);                            \
	void kd__##name##_on_restart(struct kd_session *s);
KD__PARTS(KD__PART)
#undef KD__PART

#endif
