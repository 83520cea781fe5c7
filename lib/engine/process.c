/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads. Where a field is comes from the kernel's PDB, else from the KDBG block,
 * else from a table per build: `is_guess` then.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/engine.h"
#include "lib/engine/memory.h"
#include "lib/engine/arch.h"
#include "lib/engine/process_layout.h"
#include "lib/engine/register.h"

enum { MAX_PROCESSES = 65536, MAX_THREADS = 65536, OBJECT_MAX = 0x1000 };

struct kd__procs {
	struct kd__layout layout;
	bool has_layout;
	uint64_t set_process; /* .process; 0: the stopped thread's */
	uint64_t set_thread;  /* .thread */
	uint64_t switched_sp; /* its stack pointer, when it does not run */
	uint64_t return_slot; /* and where its return address is, 0: not known */
};

enum kd_status kd__procs_create(struct kd_session *s)
{
	s->procs = calloc(1, sizeof *s->procs);
	return s->procs ? KD_OK : KD_E_NO_MEMORY;
}

void kd__procs_destroy(struct kd_session *s)
{
	free(s->procs);
	s->procs = NULL;
}

void kd__procs_on_stop(struct kd_session *s)
{
	s->procs->set_process = s->procs->set_thread = 0;
}

void kd__procs_on_resume(struct kd_session *s)
{
	kd__procs_on_stop(s);
}

void kd__procs_on_restart(struct kd_session *s)
{
	memset(s->procs, 0, sizeof *s->procs);
}

static const struct kd__layout *layout(struct kd_session *s)
{
	if (!s->procs->has_layout)
		kd__layout_find(s, &s->procs->layout);
	s->procs->has_layout = true;
	return &s->procs->layout;
}

/* --- objects are read whole, once: one request, then fields out of the bytes --- */

struct object {
	uint64_t address;
	size_t size;
	uint8_t bytes[OBJECT_MAX];
};

/* From the start to the last field that is known, and what of that can be read. */
static enum kd_status read_object(struct kd_session *s, uint64_t address, const int32_t *fields,
				  size_t n, struct object *ret, struct kd_error *err)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		if (fields[i] >= 0)
			size = KD_MAX(size, (size_t)fields[i] + 16);
	size = KD_MIN(size, (size_t)OBJECT_MAX);
	ret->address = address;
	return kd_memory_read(s, address, ret->bytes, size, &ret->size, err);
}

static uint64_t field(const struct object *o, int32_t offset, size_t size)
{
	if (offset < 0 || (size_t)offset + size > o->size)
		return 0;
	return kd_get_sized(o->bytes + offset, size);
}

static uint64_t pointer(struct kd_session *s, const struct object *o, int32_t offset)
{
	return kd__normalise(s, field(o, offset, kd__pointer_size(s)));
}

/* --- processes --- */

static void process_from(struct kd_session *s, const struct object *o, struct kd_process *p)
{
	const struct kd__layout *l = layout(s);
	const int32_t *f = l->process;
	uint32_t ptr = kd__pointer_size(s);

	memset(p, 0, sizeof *p);
	p->address = o->address;
	p->pid = field(o, f[KD__P_PID], ptr);
	p->parent_pid = field(o, f[KD__P_PARENT], ptr);
	p->directory_base = field(o, f[KD__P_DTB], ptr);
	p->peb = pointer(s, o, f[KD__P_PEB]);
	p->object_table = pointer(s, o, f[KD__P_OBJECT_TABLE]);
	p->n_threads = (uint32_t)field(o, f[KD__P_N_THREADS], 4);
	p->is_guess = l->is_guess;
	if (f[KD__P_IMAGE] >= 0 && (size_t)f[KD__P_IMAGE] + 15 <= o->size)
		memcpy(p->image, o->bytes + f[KD__P_IMAGE], 15);
	for (char *c = p->image; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7E)
			*c = '?';
}

/* Session and handle count lie in other objects; a failure to read them is no failure. */
static void process_extras(struct kd_session *s, const struct object *o, struct kd_process *p)
{
	const struct kd__layout *l = layout(s);
	uint64_t value = 0, session = pointer(s, o, l->process[KD__P_SESSION]);

	if (session && l->session_id >= 0 &&
	    kd_memory_read_uint(s, session + (uint64_t)l->session_id, 4, &value, NULL) == KD_OK)
		p->session_id = (uint32_t)value;
	if (p->object_table && l->handle_count >= 0 &&
	    kd_memory_read_uint(s, p->object_table + (uint64_t)l->handle_count, 4, &value, NULL) ==
		    KD_OK)
		p->handle_count = (uint32_t)value;
}

static enum kd_status need_layout(struct kd_session *s, struct kd_error *err)
{
	enum kd_status status = kd__need_memory(s, err);

	if (status != KD_OK)
		return status;
	if (layout(s)->process[KD__P_LINKS] < 0 || layout(s)->process[KD__P_PID] < 0)
		return kd_error_set(
			err, KD_E_NOT_FOUND, 0,
			"where the fields of _EPROCESS are is not known for this build: "
			"the kernel's PDB is needed (.sympath, .reload)");
	return KD_OK;
}

KD_EXPORT enum kd_status kd_process_read(struct kd_session *s, uint64_t eprocess,
					 struct kd_process *ret, struct kd_error *err)
{
	struct object o;
	enum kd_status status = need_layout(s, err);

	if (status == KD_OK)
		status = read_object(s, kd__normalise(s, eprocess), layout(s)->process, KD__P_COUNT,
				     &o, err);
	if (status != KD_OK)
		return status;
	process_from(s, &o, ret);
	process_extras(s, &o, ret);
	return KD_OK;
}

static bool is_kernel_pointer(const struct kd_session *s, uint64_t address)
{
	uint32_t size = kd__pointer_size(s);

	return address % size == 0 && (int64_t)address < 0;
}

KD_EXPORT enum kd_status kd_process_enumerate(struct kd_session *s, kd_process_fn fn, void *context,
					      struct kd_error *err)
{
	enum kd_status status = need_layout(s, err);
	uint64_t head, link = 0, slow = 0;
	int32_t links;

	if (status == KD_OK)
		status = kd_session_kdbg(s, "PsActiveProcessHead", &head, err);
	if (status == KD_OK)
		status = kd_memory_read_pointer(s, head, &link, err);
	if (status != KD_OK)
		return status;
	links = layout(s)->process[KD__P_LINKS];
	for (int n = 0; link != head; n++) {
		struct object o;
		struct kd_process p;

		if (n == MAX_PROCESSES || !is_kernel_pointer(s, link) || link == slow)
			return kd_error_set(err, KD_E_MALFORMED, link,
					    "the process list is damaged at 0x%llx after %d "
					    "processes",
					    (unsigned long long)link, n);
		if ((n & (n - 1)) == 0)
			slow = link; /* a loop that does not come back to the head */
		status = read_object(s, link - (uint64_t)links, layout(s)->process, KD__P_COUNT, &o,
				     err);
		if (status != KD_OK)
			return kd_error_prefix(err, status, "process %d of the list", n);
		process_from(s, &o, &p);
		process_extras(s, &o, &p);
		if (!fn(context, &p))
			return KD_OK;
		link = pointer(s, &o, links);
	}
	return KD_OK;
}

/* --- threads --- */

static void thread_from(struct kd_session *s, const struct object *o, struct kd_thread *t)
{
	const int32_t *f = layout(s)->thread;
	uint32_t ptr = kd__pointer_size(s);

	memset(t, 0, sizeof *t);
	t->address = o->address;
	t->pid = field(o, f[KD__T_CID], ptr);
	t->tid = f[KD__T_CID] < 0 ? 0 : field(o, f[KD__T_CID] + (int32_t)ptr, ptr);
	t->process = pointer(s, o, f[KD__T_PROCESS]);
	t->teb = pointer(s, o, f[KD__T_TEB]);
	t->state = (uint8_t)field(o, f[KD__T_STATE], 1);
	t->wait_reason = (uint8_t)field(o, f[KD__T_WAIT_REASON], 1);
	t->priority = (uint8_t)field(o, f[KD__T_PRIORITY], 1);
	t->processor = (uint32_t)field(o, f[KD__T_PROCESSOR], 1);
	t->start_address = pointer(s, o, f[KD__T_START]);
	t->win32_start_address = pointer(s, o, f[KD__T_WIN32_START]);
	t->stack_base = pointer(s, o, f[KD__T_STACK_BASE]);
	t->stack_limit = pointer(s, o, f[KD__T_STACK_LIMIT]);
	t->kernel_stack = pointer(s, o, f[KD__T_KERNEL_STACK]);
	t->initial_stack = pointer(s, o, f[KD__T_INITIAL_STACK]);
	t->context_switches = (uint32_t)field(o, f[KD__T_SWITCHES], 4);
	t->is_running = t->state == KD__THREAD_RUNNING;
}

KD_EXPORT enum kd_status kd_thread_read(struct kd_session *s, uint64_t ethread,
					struct kd_thread *ret, struct kd_error *err)
{
	struct object o;
	enum kd_status status = need_layout(s, err);

	if (status == KD_OK)
		status = read_object(s, kd__normalise(s, ethread), layout(s)->thread, KD__T_COUNT,
				     &o, err);
	if (status != KD_OK)
		return status;
	thread_from(s, &o, ret);
	for (uint32_t cpu = 0; ret->is_running && cpu < s->n_processors; cpu++) {
		uint64_t current;

		if (kd_thread_current(s, cpu, &current, NULL) == KD_OK && current == ret->address)
			ret->processor = cpu;
	}
	return KD_OK;
}

KD_EXPORT enum kd_status kd_thread_enumerate(struct kd_session *s, uint64_t eprocess,
					     kd_thread_fn fn, void *context, struct kd_error *err)
{
	enum kd_status status = need_layout(s, err);
	int32_t head_at, link_at;
	uint64_t head, link = 0, slow = 0;

	if (status != KD_OK)
		return status;
	head_at = layout(s)->process[KD__P_THREADS];
	link_at = layout(s)->thread[KD__T_LINK];
	if (head_at < 0 || link_at < 0)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "where the thread list of a process is is not known for this "
				    "build: the kernel's PDB is needed");
	head = kd__normalise(s, eprocess) + (uint64_t)head_at;
	status = kd_memory_read_pointer(s, head, &link, err);
	for (int n = 0; status == KD_OK && link != head; n++) {
		struct kd_thread t;
		uint64_t address = link;

		if (n == MAX_THREADS || !is_kernel_pointer(s, link) || link == slow)
			return kd_error_set(err, KD_E_MALFORMED, link,
					    "the thread list is damaged at 0x%llx after %d threads",
					    (unsigned long long)link, n);
		if ((n & (n - 1)) == 0)
			slow = link;
		status = kd_thread_read(s, address - (uint64_t)link_at, &t, err);
		if (status != KD_OK || !fn(context, &t))
			return status;
		status = kd_memory_read_pointer(s, address, &link, err);
	}
	return status;
}

KD_EXPORT enum kd_status kd_thread_current(struct kd_session *s, uint32_t processor, uint64_t *ret,
					   struct kd_error *err)
{
	uint64_t array, prcb, offset;
	uint32_t size = kd__pointer_size(s);
	enum kd_status status = kd__need_memory(s, err);

	if (status != KD_OK)
		return status;
	if (s->state == KD_SESSION_STOPPED && processor == s->owner && s->stop.thread) {
		*ret = s->stop.thread;
		return KD_OK;
	}
	status = kd_session_kdbg(s, "KiProcessorBlock", &array, err);
	if (status == KD_OK)
		status = kd_memory_read_pointer(s, array + (uint64_t)processor * size, &prcb, err);
	if (status != KD_OK)
		return status;
	if (kd_session_kdbg(s, "OffsetPrcbCurrentThread", &offset, NULL) != KD_OK)
		offset = size; /* stable in all versions */
	return kd_memory_read_pointer(s, prcb + offset, ret, err);
}

static enum kd_status process_of_thread(struct kd_session *s, uint64_t thread, uint64_t *ret,
					struct kd_error *err)
{
	int32_t offset = layout(s)->thread[KD__T_APC_PROCESS];

	if (offset < 0)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "the target does not tell where a thread's process is");
	return kd_memory_read_pointer(s, thread + (uint64_t)offset, ret, err);
}

static enum kd_status current_process(struct kd_session *s, uint64_t *ret, struct kd_error *err)
{
	uint64_t thread = s->procs->set_thread;
	enum kd_status status = kd__need_stop(s, err);

	if (status == KD_OK && s->procs->set_process) {
		*ret = s->procs->set_process;
		return KD_OK;
	}
	if (status == KD_OK && !thread)
		status = kd_thread_current(s, s->processor, &thread, err);
	return status == KD_OK ? process_of_thread(s, thread, ret, err) : status;
}

KD_EXPORT enum kd_status kd_process_current(struct kd_session *s, struct kd_process *ret,
					    struct kd_error *err)
{
	uint64_t process;
	enum kd_status status = current_process(s, &process, err);

	return status == KD_OK ? kd_process_read(s, process, ret, err) : status;
}

KD_EXPORT enum kd_status kd_process_set(struct kd_session *s, uint64_t eprocess,
					struct kd_error *err)
{
	struct kd_process p;
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	if (!eprocess) {
		s->procs->set_process = 0;
		kd__memory_set_directory(s, 0);
		return KD_OK;
	}
	status = kd_process_read(s, eprocess, &p, err);
	if (status != KD_OK)
		return status;
	if (!p.directory_base)
		return kd_error_set(err, KD_E_INVALID, eprocess,
				    "0x%llx is no process: it has no directory base",
				    (unsigned long long)eprocess);
	s->procs->set_process = p.address;
	kd__memory_set_directory(s, p.directory_base);
	return KD_OK;
}

/* --- .thread: the registers that a switched-out thread left on its stack --- */

static enum kd_status switched_out_context(struct kd_session *s, const struct kd_thread *t,
					   uint8_t *context, struct kd_error *err)
{
	const struct kd_reg_layout *regs = kd_context_layout(s->machine);
	const struct kd__switched_out *from;
	uint8_t frame[0x40];
	enum kd_status status;

	if (!s->arch || !s->arch->switched_out.n_saved)
		return kd_error_set(err, KD_E_UNSUPPORTED, t->address,
				    "where a thread of this machine that does not run keeps its "
				    "registers is not known");
	from = &s->arch->switched_out;
	status = kd_memory_read(s, t->kernel_stack, frame, sizeof frame, NULL, err);
	if (status != KD_OK)
		return kd_error_prefix(err, status, "the thread's stack");
	for (size_t i = 0; i < from->n_saved; i++)
		kd_reg_set(context, kd_reg_find(regs, from->saved[i].name),
			   kd_get_sized(frame + from->saved[i].offset, s->arch->pointer_size));
	kd_reg_set(context, kd_reg_find(regs, s->arch->sp), t->kernel_stack + from->sp);
	kd_reg_set(context, kd_reg_find(regs, "cs"), from->cs);
	kd_reg_set(context, kd_reg_find(regs, "ss"), from->ss);
	s->procs->switched_sp = t->kernel_stack + from->sp;
	s->procs->return_slot = from->return_slot ? t->kernel_stack + from->return_slot : 0;
	return KD_OK;
}

KD_EXPORT enum kd_status kd_thread_set(struct kd_session *s, uint64_t ethread, struct kd_error *err)
{
	uint8_t context[KD_CONTEXT_MAX] = { 0 };
	struct kd_thread t;
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	s->procs->set_thread = 0;
	status = kd_context_set(s, NULL, 0, err);
	if (status != KD_OK || !ethread)
		return status;
	status = kd_thread_read(s, ethread, &t, err);
	if (status != KD_OK)
		return status;
	if (t.is_running) {
		status = kd_session_select_processor(s, t.processor, err);
	} else {
		status = switched_out_context(s, &t, context, err);
		if (status == KD_OK)
			status = kd_context_set(s, context, kd_context_layout(s->machine)->size,
						err);
	}
	if (status == KD_OK)
		s->procs->set_thread = t.address;
	return status;
}

uint64_t kd__stack_return_slot(struct kd_session *s, uint64_t sp)
{
	return s->procs->set_thread && sp == s->procs->switched_sp ? s->procs->return_slot : 0;
}

bool kd__stack_bounds(struct kd_session *s, uint64_t *low_ret, uint64_t *high_ret)
{
	uint64_t thread = s->procs->set_thread;
	struct kd_thread t;

	if (!thread && kd_thread_current(s, s->processor, &thread, NULL) != KD_OK)
		return false;
	if (!thread || kd_thread_read(s, thread, &t, NULL) != KD_OK)
		return false;
	*low_ret = t.stack_limit;
	*high_ret = t.stack_base ? t.stack_base : t.initial_stack;
	return *low_ret && *low_ret < *high_ret;
}

/* --- pseudo-registers --- */

enum pseudo { P_PROC, P_THREAD, P_TEB, P_PEB, P_TID, P_TPID, P_PCR, P_PCRB };

static const struct {
	const char *name;
	enum pseudo what;
} pseudos[] = {
	{ "$proc", P_PROC }, { "$thread", P_THREAD }, { "$teb", P_TEB }, { "$peb", P_PEB },
	{ "$tid", P_TID },   { "$tpid", P_TPID },     { "$pcr", P_PCR }, { "$pcrb", P_PCRB },
};

static enum kd_status from_thread(struct kd_session *s, enum pseudo what, uint64_t *ret,
				  struct kd_error *err)
{
	uint64_t address = s->procs->set_thread;
	struct kd_thread t;
	enum kd_status status = KD_OK;

	if (!address)
		status = kd_thread_current(s, s->processor, &address, err);
	if (status != KD_OK || what == P_THREAD) {
		*ret = address;
		return status;
	}
	status = kd_thread_read(s, address, &t, err);
	if (status == KD_OK)
		*ret = what == P_TEB ? t.teb : what == P_TID ? t.tid : t.pid;
	return status;
}

/* Control space 0 and 1 of x64 are the addresses of KPCR and KPRCB. */
static enum kd_status from_control(struct kd_session *s, enum pseudo what, uint64_t *ret,
				   struct kd_error *err)
{
	uint64_t array, prcb, contained = 0;
	uint32_t size = kd__pointer_size(s);
	enum kd_status status = kd_session_kdbg(s, "KiProcessorBlock", &array, err);

	if (status == KD_OK)
		status = kd_memory_read_pointer(s, array + (uint64_t)s->processor * size, &prcb,
						err);
	if (status != KD_OK)
		return status;
	if (what == P_PCR &&
	    kd_session_kdbg(s, "OffsetPcrContainedPrcb", &contained, NULL) != KD_OK)
		contained = size == 8 ? 0x180 : 0x120;
	*ret = prcb - contained;
	return KD_OK;
}

enum kd_status kd__process_pseudo(struct kd_session *s, const char *name, uint64_t *value_ret,
				  struct kd_error *err)
{
	struct kd_process p;
	enum kd_status status;

	for (size_t i = 0; i < KD_ARRAY_LEN(pseudos); i++) {
		if (strcasecmp(name, pseudos[i].name))
			continue;
		switch (pseudos[i].what) {
		case P_PROC: return current_process(s, value_ret, err);
		case P_PEB:
			status = kd_process_current(s, &p, err);
			if (status == KD_OK)
				*value_ret = p.peb;
			return status;
		case P_PCR:
		case P_PCRB: return from_control(s, pseudos[i].what, value_ret, err);
		case P_THREAD:
		case P_TEB:
		case P_TID:
		case P_TPID: return from_thread(s, pseudos[i].what, value_ret, err);
		}
	}
	return KD_E_NOT_FOUND;
}

/* --- names --- */

KD_EXPORT const char *kd_thread_state_name(uint8_t state)
{
	static const char *const names[] = {
		"Initialized", "Ready",      "Running",       "Standby",  "Terminated",
		"Waiting",     "Transition", "DeferredReady", "GateWait", "WaitingForProcessInSwap"
	};

	return state < KD_ARRAY_LEN(names) ? names[state] : "?";
}

KD_EXPORT const char *kd_thread_wait_reason_name(uint8_t reason)
{
	static const char *const names[] = {
		"Executive",        "FreePage",          "PageIn",           "PoolAllocation",
		"DelayExecution",   "Suspended",         "UserRequest",      "WrExecutive",
		"WrFreePage",       "WrPageIn",          "WrPoolAllocation", "WrDelayExecution",
		"WrSuspended",      "WrUserRequest",     "WrEventPair",      "WrQueue",
		"WrLpcReceive",     "WrLpcReply",        "WrVirtualMemory",  "WrPageOut",
		"WrRendezvous",     "WrKeyedEvent",      "WrTerminated",     "WrProcessInSwap",
		"WrCpuRateControl", "WrCalloutStack",    "WrKernel",         "WrResource",
		"WrPushLock",       "WrMutex",           "WrQuantumEnd",     "WrDispatchInt",
		"WrPreempted",      "WrYieldExecution",  "WrFastMutex",      "WrGuardedMutex",
		"WrRundown",        "WrAlertByThreadId",
	};

	return reason < KD_ARRAY_LEN(names) ? names[reason] : "?";
}
