/* SPDX-License-Identifier: MIT */
#include "lib/engine/stack_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openkd/error.h>

#include "core/bytes.h"
#include "lib/base.h"

enum {
	SCAN_BYTES = 512, /* above the stack pointer, for a return address */
	CALL_BYTES = 7,   /* the longest call looked for before one */
	/* x86 KTRAP_FRAME */
	TRAP_MARK = 0x08,
	TRAP_EBP = 0x60,
	TRAP_EIP = 0x68,
	TRAP_RIP_64 = 0x168,
	TRAP_CS = 0x6C,
	TRAP_ESP = 0x74,  /* pushed by the processor only when it came from user mode */
	TRAP_SIZE = 0x74, /* of one out of the kernel: above it there may be nothing */
};

static const uint32_t trap_mark = 0xBADB0D00;

struct walk {
	const struct kd__stack_host *host;
	struct kd_x64_frame regs;
	struct kd_x64_step step; /* of the last one */
	uint64_t low, high;      /* of the stack we are on */
	uint64_t user_end;       /* 0: began in user mode, which has no border then */
	bool exact;              /* rip is where execution is, not behind a call */
	unsigned n_machine, n_scans;
	char *note;
	size_t note_size;
	struct kd_error *err;
};

static unsigned pointer_size(const struct walk *w)
{
	return w->host->is_64 ? 8 : 4;
}

static uint64_t extend(uint32_t v)
{
	return (uint64_t)(int64_t)(int32_t)v;
}

/* KD_E_UNREADABLE where not all of it can be read. */
static enum kd_status read_all(const struct walk *w, uint64_t address, void *buffer, size_t size)
{
	size_t done = 0;
	enum kd_status status = w->host->unwinder.read(w->host->unwinder.context, address, buffer,
						       size, &done);

	return status == KD_OK && done < size ? KD_E_UNREADABLE : status;
}

static uint64_t pointer_in(const struct walk *w, const uint8_t *bytes)
{
	return w->host->is_64 ? kd_get64(bytes) : extend(kd_get32(bytes));
}

static void note(struct walk *w, const char *text, uint64_t address)
{
	if (w->note_size)
		snprintf(w->note, w->note_size, "%s 0x%" PRIx64, text, address);
}

/* --- x86 --- */

static bool is_ret(uint8_t code)
{
	return code == 0xC3 || code == 0xC2;
}

/* Was the frame pointer not set up yet, or taken down already? Where the return address is then. */
static bool at_border(const struct walk *w, uint64_t *slot_ret, bool *ebp_is_callers)
{
	uint8_t code[3]; /* the byte before, and two at eip */

	if (!w->exact || read_all(w, w->regs.rip - 1, code, sizeof code) != KD_OK)
		return false;
	*ebp_is_callers = true;
	*slot_ret = w->regs.regs[KD_X64_RSP];
	if (code[1] == 0x55 || is_ret(code[1])) /* push ebp; ret */
		return true;
	if (code[1] == 0xCC && is_ret(code[2])) /* int3; ret: DbgBreakPointWithStatus and friends */
		return true;
	*ebp_is_callers = false;
	*slot_ret += 4;
	return code[0] == 0x55 && ((code[1] == 0x8B && code[2] == 0xEC) ||
				   (code[1] == 0x89 && code[2] == 0xE5)); /* mov ebp,esp */
}

static bool is_after_call(const struct walk *w, uint64_t address);

/* The host knows better than the code where the first return address is, if there is one. */
static bool at_first_slot(const struct walk *w, uint64_t *slot_ret, bool *ebp_is_callers)
{
	uint8_t bytes[4];

	if (!w->exact || !w->host->first_slot ||
	    read_all(w, w->host->first_slot, bytes, sizeof bytes) != KD_OK ||
	    !is_after_call(w, extend(kd_get32(bytes))))
		return false;
	*slot_ret = w->host->first_slot;
	*ebp_is_callers = true;
	return true;
}

/* A trap handler's frame pointer points at its trap frame. */
static bool through_trap(struct walk *w)
{
	uint64_t at = w->regs.regs[KD_X64_RBP];
	uint8_t bytes[TRAP_SIZE], user_esp[4] = { 0 };
	bool is_user;

	if (!at || read_all(w, at, bytes, sizeof bytes) != KD_OK ||
	    kd_get32(bytes + TRAP_MARK) != trap_mark)
		return false;
	is_user = kd_get32(bytes + TRAP_CS) & 3;
	if (is_user && read_all(w, at + TRAP_ESP, user_esp, sizeof user_esp) != KD_OK)
		return false;
	w->step.is_machine_frame = true;
	w->step.machine_frame = at;
	w->step.return_slot = at + TRAP_EIP;
	w->step.establisher = at;
	w->regs.rip = extend(kd_get32(bytes + TRAP_EIP));
	w->regs.regs[KD_X64_RBP] = extend(kd_get32(bytes + TRAP_EBP));
	w->regs.regs[KD_X64_RSP] = is_user ? extend(kd_get32(user_esp)) : at + TRAP_ESP;
	return true;
}

static enum kd_status unwind_x86(struct walk *w)
{
	uint64_t ebp = w->regs.regs[KD_X64_RBP], esp = w->regs.regs[KD_X64_RSP], slot;
	bool ebp_is_callers = false;
	uint8_t bytes[4];
	enum kd_status status;

	memset(&w->step, 0, sizeof w->step);
	if (at_first_slot(w, &slot, &ebp_is_callers) || at_border(w, &slot, &ebp_is_callers)) {
		w->step.establisher = esp;
	} else {
		if (through_trap(w))
			return KD_OK;
		if (ebp < esp || ebp % 4)
			return KD_E_NOT_FOUND;
		slot = ebp + 4;
		w->step.establisher = ebp;
	}
	if (!ebp_is_callers) {
		status = read_all(w, slot - 4, bytes, sizeof bytes);
		if (status != KD_OK)
			return kd_error_set(w->err, status, slot - 4,
					    "the stack is not readable at 0x%" PRIx64, slot - 4);
		ebp = extend(kd_get32(bytes));
	}
	status = read_all(w, slot, bytes, sizeof bytes);
	if (status != KD_OK)
		return kd_error_set(w->err, status, slot, "the stack is not readable at 0x%" PRIx64,
				    slot);
	w->step.return_slot = slot;
	w->regs.rip = extend(kd_get32(bytes));
	w->regs.regs[KD_X64_RBP] = ebp;
	w->regs.regs[KD_X64_RSP] = slot + 4;
	return KD_OK;
}

/* --- one step --- */

/* E8 rel32 or a form of FF /2 ends right before the address. */
static bool is_after_call(const struct walk *w, uint64_t address)
{
	static const struct {
		uint8_t back, modrm, mask; /* FF at -back, ModRM after it */
	} forms[] = {
		{ 2, 0xD0, 0xF8 }, /* call reg */
		{ 2, 0x10, 0xF8 }, /* call [reg] */
		{ 3, 0x50, 0xF8 }, /* call [reg+disp8] */
		{ 3, 0x14, 0xFF }, /* call [sib] */
		{ 4, 0x54, 0xFF }, /* call [sib+disp8] */
		{ 6, 0x15, 0xFF }, /* call [rip+disp32], [disp32] */
		{ 6, 0x90, 0xF8 }, /* call [reg+disp32] */
		{ 7, 0x94, 0xFF }, /* call [sib+disp32] */
	};
	uint8_t code[CALL_BYTES];

	if (read_all(w, address - sizeof code, code, sizeof code) != KD_OK)
		return false;
	if (code[sizeof code - 5] == 0xE8)
		return true;
	for (size_t i = 0; i < KD_ARRAY_LEN(forms); i++) {
		const uint8_t *p = code + sizeof code - forms[i].back;

		if (p[0] == 0xFF && (p[1] & forms[i].mask) == forms[i].modrm)
			return true;
	}
	return false;
}

/* No way up by data: the first value above that looks like a return address. */
static bool scan(struct walk *w)
{
	uint8_t bytes[SCAN_BYTES];
	uint64_t sp = w->regs.regs[KD_X64_RSP];
	unsigned step = pointer_size(w);
	size_t done = 0;

	if (w->n_scans == KD__SCANS_MAX || sp % step ||
	    w->host->unwinder.read(w->host->unwinder.context, sp, bytes, sizeof bytes, &done) !=
		    KD_OK)
		return false;
	for (size_t at = 0; at + step <= done; at += step) {
		uint64_t value = pointer_in(w, bytes + at);

		if (!w->host->is_code(w->host->unwinder.context, value) || !is_after_call(w, value))
			continue;
		w->n_scans++;
		memset(&w->step, 0, sizeof w->step);
		w->step.return_slot = sp + at;
		w->step.establisher = sp;
		w->regs.rip = value;
		w->regs.regs[KD_X64_RSP] = sp + at + step;
		return true;
	}
	return false;
}

static enum kd_status unwind(struct walk *w)
{
	if (w->host->is_64)
		return kd_x64_unwind(&w->host->unwinder, &w->regs, w->exact, &w->step, w->err);
	return unwind_x86(w);
}

/* Failures that end a walk rather than the call. */
static bool is_about_stack(enum kd_status status)
{
	return status == KD_E_UNREADABLE || status == KD_E_MALFORMED || status == KD_E_NOT_FOUND;
}

/* --- what ends a walk --- */

/* A machine frame may lead to another stack, whose bounds are not known. */
static void change_stack(struct walk *w)
{
	uint64_t sp = w->regs.regs[KD_X64_RSP];

	w->low = w->high = 0;
	if (sp >= w->host->low && sp <= w->host->high) {
		w->low = w->host->low;
		w->high = w->host->high;
	}
}

/* Did the step come to somewhere sensible? Writes the note if not. */
static bool may_go_on(struct walk *w, uint64_t sp_before)
{
	uint64_t sp = w->regs.regs[KD_X64_RSP], pc = w->regs.rip;

	if (!pc)
		return false; /* the base of the stack */
	/* User code without a known module has no unwind data that we could see. */
	if (pc < w->user_end && !w->host->is_code(w->host->unwinder.context, pc)) {
		note(w, "user mode begins: it goes on at", pc);
		return false;
	}
	if (w->step.is_machine_frame) {
		change_stack(w);
		if (++w->n_machine <= KD__MACHINE_FRAMES_MAX)
			return true;
		note(w, "too many machine frames, the last at", w->step.machine_frame);
		return false;
	}
	if (sp <= sp_before)
		note(w, "loop: the stack pointer does not grow at", sp);
	else if (sp % pointer_size(w))
		note(w, "the stack pointer is not aligned:", sp);
	else if (w->high && (sp > w->high || sp < w->low))
		note(w, "the walk left the thread's stack at", sp);
	else
		return true;
	return false;
}

/* --- the walk --- */

static void read_arguments(const struct walk *w, struct kd_frame *f)
{
	unsigned size = pointer_size(w);
	uint8_t bytes[4 * 8];

	if (!w->step.return_slot || w->step.is_machine_frame ||
	    read_all(w, w->step.return_slot + size, bytes, 4 * (size_t)size) != KD_OK)
		return;
	for (size_t i = 0; i < 4; i++)
		f->arguments[i] = pointer_in(w, bytes + i * size);
}

/* A machine frame is the end of a KTRAP_FRAME on x64; on x86 through_trap() found the whole. */
static uint64_t trap_frame(const struct walk *w)
{
	if (!w->step.is_machine_frame)
		return 0;
	return pointer_size(w) == 8 ? w->step.machine_frame - TRAP_RIP_64 : w->step.machine_frame;
}

/*
 * Fill in what the step to its caller told of a frame, and begin the caller's. `scanned`: the
 * caller is a guess.
 */
static void link_frames(struct walk *w, struct kd_frame *f, struct kd_frame *caller, bool scanned)
{
	f->frame = w->step.establisher;
	f->has_function_entry = w->step.has_function;
	f->return_address = w->regs.rip;
	f->trap_frame = trap_frame(w);
	read_arguments(w, f);
	*caller = (struct kd_frame){
		.pc = w->regs.rip,
		.sp = w->regs.regs[KD_X64_RSP],
		.is_trap = w->step.is_machine_frame,
		.is_scanned = scanned,
	};
}

/* x86 code begins with ebp 0: there the chain of frames ends as it should. */
static bool is_base(const struct kd_x64_frame *regs, const struct kd__stack_host *host)
{
	return !host->is_64 && !regs->regs[KD_X64_RBP];
}

/*
 * To the caller of a frame. *more: it is worth a frame of its own, begun in *caller. Where data do
 * not lead on, a scan may.
 */
static enum kd_status step_up(struct walk *w, struct kd_frame *f, struct kd_frame *caller,
			      bool *more)
{
	struct kd_x64_frame before = w->regs;
	uint64_t sp = before.regs[KD_X64_RSP];
	bool scanned = false;
	enum kd_status status = unwind(w);

	*more = false;
	if (status != KD_OK) {
		if (!is_about_stack(status))
			return status;
		if (w->note_size && !is_base(&before, w->host))
			snprintf(w->note, w->note_size, "%s",
				 w->err->text[0] ? w->err->text : "the chain of frames ends");
		w->regs = before;
		scanned = scan(w);
		if (!scanned)
			return KD_OK;
		if (w->note_size)
			w->note[0] = 0;
	}
	link_frames(w, f, caller, scanned);
	*more = may_go_on(w, sp);
	w->exact = w->step.is_machine_frame;
	return KD_OK;
}

enum kd_status kd__stack_walk(const struct kd__stack_host *host, struct kd_x64_frame *regs,
			      struct kd_frame *frames, size_t max, size_t *n_ret, char *text,
			      size_t text_size, struct kd_error *err)
{
	struct kd_error scratch = { 0 };
	struct kd_frame next = { .pc = regs->rip, .sp = regs->regs[KD_X64_RSP] };
	struct walk w = {
		.host = host,
		.regs = *regs,
		.low = host->low,
		.high = host->high,
		.user_end = regs->rip < host->user_end ? 0 : host->user_end,
		.exact = true,
		.note = text,
		.note_size = text_size,
		.err = &scratch,
	};
	bool more = true;

	*n_ret = 0;
	if (text_size)
		text[0] = 0;
	max = KD_MIN(max, (size_t)KD__FRAMES_MAX);
	while (more && *n_ret < max) {
		struct kd_frame *f = &frames[(*n_ret)++];
		enum kd_status status;

		*f = next;
		*regs = w.regs;
		scratch.text[0] = 0;
		status = step_up(&w, f, &next, &more);
		if (status != KD_OK)
			return kd_error_set(err, status, next.sp,
					    "the stack could not be read on: %s",
					    kd_status_text(status));
	}
	return KD_OK;
}
