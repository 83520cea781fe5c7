/* SPDX-License-Identifier: MIT */
#include "lib/sym/unwind_x64.h"

#include <string.h>

#include "core/bytes.h"

enum {
	OP_PUSH_NONVOL = 0,
	OP_ALLOC_LARGE = 1,
	OP_ALLOC_SMALL = 2,
	OP_SET_FPREG = 3,
	OP_SAVE_NONVOL = 4,
	OP_SAVE_NONVOL_FAR = 5,
	OP_EPILOG = 6, /* version 2; version 1: SAVE_XMM, 2 slots */
	OP_SPARE = 7,  /* version 2; version 1: SAVE_XMM_FAR, 3 slots */
	OP_SAVE_XMM = 8,
	OP_SAVE_XMM_FAR = 9,
	OP_MACHFRAME = 10,
	FLAG_CHAIN = 4,
	CHAIN_MAX = 32,
	INFO_MAX = 4 + 2 * 256 + 12,
	EPILOG_BYTES = 64, /* enough for `add rsp`, 12 pops and a jump */
};

#define BODY UINT32_MAX /* as an offset in the prolog: behind it */

struct info {
	uint8_t version, flags, prolog_size, n_codes, frame_register, frame_offset;
	uint8_t codes[2 * 256];
	struct kd_x64_function chained;
};

struct walk {
	const struct kd_x64_unwinder *u;
	struct kd_x64_frame *f;
	struct kd_x64_step *step;
	struct kd_error *err;
	uint64_t base;
	bool machine_frame;
};

static enum kd_status read_exact(struct walk *w, uint64_t at, void *out, size_t size,
				 const char *what)
{
	size_t done = 0;
	enum kd_status status = w->u->read(w->u->context, at, out, size, &done);

	if (status != KD_OK)
		return status;
	if (done < size)
		return kd_error_set(w->err, KD_E_UNREADABLE, at + done, "%s not readable at 0x%llx",
				    what, (unsigned long long)(at + done));
	return KD_OK;
}

static enum kd_status pop(struct walk *w, uint64_t *value)
{
	uint8_t bytes[8];
	enum kd_status status = read_exact(w, w->f->regs[KD_X64_RSP], bytes, sizeof bytes,
					   "the stack is");

	if (status != KD_OK)
		return status;
	*value = kd_get64(bytes);
	w->f->regs[KD_X64_RSP] += 8;
	return KD_OK;
}

static enum kd_status load(struct walk *w, uint64_t at, uint64_t *value)
{
	uint8_t bytes[8];
	enum kd_status status = read_exact(w, at, bytes, sizeof bytes, "the stack is");

	if (status == KD_OK)
		*value = kd_get64(bytes);
	return status;
}

static enum kd_status read_info(struct walk *w, uint32_t rva, struct info *ret)
{
	uint8_t bytes[INFO_MAX];
	size_t slots, chain, done = 0;
	enum kd_status status = w->u->read(w->u->context, w->base + rva, bytes, sizeof bytes,
					   &done);

	if (status != KD_OK)
		return status;
	if (done < 4)
		return kd_error_set(w->err, KD_E_UNREADABLE, w->base + rva,
				    "unwind data are not readable (paged out)");
	ret->version = bytes[0] & 7;
	ret->flags = bytes[0] >> 3;
	ret->prolog_size = bytes[1];
	ret->n_codes = bytes[2];
	ret->frame_register = bytes[3] & 15;
	ret->frame_offset = bytes[3] >> 4;
	slots = ((size_t)ret->n_codes + 1) & ~(size_t)1;
	chain = 4 + 2 * slots;
	if (ret->version < 1 || ret->version > 2)
		return kd_error_set(w->err, KD_E_MALFORMED, w->base + rva,
				    "unwind data of version %u", ret->version);
	if (done < 4 + 2 * (size_t)ret->n_codes || ((ret->flags & FLAG_CHAIN) && done < chain + 12))
		return kd_error_set(w->err, KD_E_UNREADABLE, w->base + rva,
				    "unwind data are cut off");
	memcpy(ret->codes, bytes + 4, 2 * (size_t)ret->n_codes);
	if (ret->flags & FLAG_CHAIN)
		ret->chained = (struct kd_x64_function){ kd_get32(bytes + chain),
							 kd_get32(bytes + chain + 4),
							 kd_get32(bytes + chain + 8) };
	return KD_OK;
}

static unsigned slots_of(const struct info *i, unsigned op, unsigned op_info)
{
	switch (op) {
	case OP_ALLOC_LARGE: return op_info ? 3 : 2;
	case OP_SAVE_NONVOL:
	case OP_SAVE_XMM: return 2;
	case OP_SAVE_NONVOL_FAR:
	case OP_SAVE_XMM_FAR: return 3;
	case OP_EPILOG: return i->version == 2 ? 1 : 2;
	case OP_SPARE: return i->version == 2 ? 1 : 3;
	default: return 1;
	}
}

static uint64_t frame_base(const struct walk *w, const struct info *i)
{
	return w->f->regs[i->frame_register] - 16u * (uint64_t)i->frame_offset;
}

static enum kd_status machine_frame(struct walk *w, bool has_error_code)
{
	uint64_t *rsp = &w->f->regs[KD_X64_RSP], frame, rip = 0, new_rsp = 0;
	enum kd_status status;

	if (has_error_code)
		*rsp += 8;
	frame = *rsp;
	status = load(w, frame, &rip);
	if (status == KD_OK)
		status = load(w, frame + 0x18, &new_rsp);
	if (status != KD_OK)
		return status;
	w->f->rip = rip;
	*rsp = new_rsp;
	w->machine_frame = true;
	w->step->is_machine_frame = true;
	w->step->machine_frame = frame;
	w->step->return_slot = frame;
	return KD_OK;
}

/* Undo one unwind code. `base`: what SAVE_* offsets count from. */
static enum kd_status undo(struct walk *w, const struct info *i, unsigned at, uint64_t base)
{
	unsigned op = i->codes[2 * at + 1] & 15, op_info = i->codes[2 * at + 1] >> 4;
	const uint8_t *operand = i->codes + 2 * (at + 1);
	uint64_t *regs = w->f->regs;

	switch (op) {
	case OP_PUSH_NONVOL: return pop(w, &regs[op_info]);
	case OP_ALLOC_LARGE:
		regs[KD_X64_RSP] += op_info ? kd_get32(operand) : 8u * (uint64_t)kd_get16(operand);
		return KD_OK;
	case OP_ALLOC_SMALL: regs[KD_X64_RSP] += op_info * 8 + 8; return KD_OK;
	case OP_SET_FPREG: regs[KD_X64_RSP] = frame_base(w, i); return KD_OK;
	case OP_SAVE_NONVOL:
		return load(w, base + 8u * (uint64_t)kd_get16(operand), &regs[op_info]);
	case OP_SAVE_NONVOL_FAR: return load(w, base + kd_get32(operand), &regs[op_info]);
	case OP_MACHFRAME: return machine_frame(w, op_info == 1);
	default: return KD_OK; /* vector registers are not tracked */
	}
}

/*
 * What SAVE_* offsets count from. The frame register, if there is one and it has been set up: in
 * the body always (a chained part names the register without a code for it), in the prolog once
 * its code was passed.
 */
static uint64_t save_base(const struct walk *w, const struct info *i, uint32_t offset)
{
	if (!i->frame_register)
		return w->f->regs[KD_X64_RSP];
	if (offset >= i->prolog_size || (i->flags & FLAG_CHAIN))
		return frame_base(w, i);
	for (unsigned j = 0; j < i->n_codes;
	     j += slots_of(i, i->codes[2 * j + 1] & 15, i->codes[2 * j + 1] >> 4))
		if ((i->codes[2 * j + 1] & 15) == OP_SET_FPREG && i->codes[2 * j] <= offset)
			return frame_base(w, i);
	return w->f->regs[KD_X64_RSP];
}

/* All codes whose instruction ended at or before `offset` from the entry's begin. */
static enum kd_status undo_all(struct walk *w, const struct info *i, uint32_t offset)
{
	uint64_t base = save_base(w, i, offset);
	enum kd_status status = KD_OK;
	unsigned at = 0, n;

	w->step->establisher = w->step->establisher ? w->step->establisher : base;
	while (at < i->n_codes && status == KD_OK && !w->machine_frame) {
		unsigned op = i->codes[2 * at + 1] & 15;

		n = slots_of(i, op, i->codes[2 * at + 1] >> 4);
		if (at + n > i->n_codes)
			return kd_error_set(w->err, KD_E_MALFORMED, w->base,
					    "an unwind code is cut off");
		if (op != OP_EPILOG && i->codes[2 * at] <= offset)
			status = undo(w, i, at, base);
		at += n;
	}
	return status;
}

/* Bit 0: the word is the RVA of another RUNTIME_FUNCTION, which stands in for this one. */
static enum kd_status resolve_indirect(struct walk *w, struct kd_x64_function *f)
{
	uint8_t bytes[12];
	enum kd_status status;

	if (!(f->unwind & 1))
		return KD_OK;
	status = read_exact(w, w->base + (f->unwind & ~1u), bytes, sizeof bytes, "unwind data are");
	if (status != KD_OK)
		return status;
	*f = (struct kd_x64_function){ kd_get32(bytes), kd_get32(bytes + 4),
				       kd_get32(bytes + 8) & ~1u };
	return KD_OK;
}

/* --- epilogs --- */

/* Version 2: is rip in the tail of an epilog that the codes list? */
static bool in_listed_epilog(const struct info *i, const struct kd_x64_function *f, uint32_t rva)
{
	uint32_t size;
	bool found = false;

	if (i->version != 2 || i->n_codes == 0 || (i->codes[1] & 15) != OP_EPILOG)
		return false;
	size = i->codes[0];
	if (i->codes[1] >> 4 & 1)
		found = rva >= f->end - size && rva < f->end;
	for (unsigned at = 1; at < i->n_codes && (i->codes[2 * at + 1] & 15) == OP_EPILOG; at++) {
		uint32_t back = i->codes[2 * at] | (uint32_t)(i->codes[2 * at + 1] >> 4) << 8;

		if (back && rva >= f->end - back && rva - (f->end - back) < size)
			found = true;
	}
	return found;
}

struct code {
	uint8_t bytes[EPILOG_BYTES];
	size_t size, at;
};

static bool left(const struct code *c, size_t n)
{
	return c->size - c->at >= n;
}

/* `add rsp, imm` or `lea rsp, [frame + disp]`: at most one, first. */
static void simulate_release(struct code *c, const struct info *i, struct kd_x64_frame *f)
{
	const uint8_t *p = c->bytes + c->at;

	if (left(c, 4) && p[0] == 0x48 && p[1] == 0x83 && p[2] == 0xC4) {
		f->regs[KD_X64_RSP] += (uint64_t)(int64_t)(int8_t)p[3];
		c->at += 4;
	} else if (left(c, 7) && p[0] == 0x48 && p[1] == 0x81 && p[2] == 0xC4) {
		f->regs[KD_X64_RSP] += (uint64_t)(int64_t)(int32_t)kd_get32(p + 3);
		c->at += 7;
	} else if (left(c, 4) && (p[0] & 0xFE) == 0x48 && p[1] == 0x8D && i->frame_register &&
		   (p[2] & 0x38) == 0x20 && (p[2] & 7) != 4 &&
		   ((unsigned)(p[2] & 7) | (unsigned)(p[0] & 1) << 3) == i->frame_register) {
		uint64_t base = f->regs[i->frame_register];

		if (p[2] >> 6 == 1) {
			f->regs[KD_X64_RSP] = base + (uint64_t)(int64_t)(int8_t)p[3];
			c->at += 4;
		} else if (p[2] >> 6 == 2 && left(c, 7)) {
			f->regs[KD_X64_RSP] = base + (uint64_t)(int64_t)(int32_t)kd_get32(p + 3);
			c->at += 7;
		}
	}
}

static enum kd_status simulate_pops(struct walk *w, struct code *c)
{
	enum kd_status status = KD_OK;

	while (status == KD_OK) {
		const uint8_t *p = c->bytes + c->at;

		if (left(c, 1) && p[0] >= 0x58 && p[0] <= 0x5F && p[0] != 0x5C) {
			status = pop(w, &w->f->regs[p[0] - 0x58]);
			c->at += 1;
		} else if (left(c, 2) && p[0] == 0x41 && p[1] >= 0x58 && p[1] <= 0x5F) {
			status = pop(w, &w->f->regs[p[1] - 0x58 + 8]);
			c->at += 2;
		} else {
			break;
		}
	}
	return status;
}

/* Begin of the function that an entry is a part of; its own begin when the chain is damaged. */
static uint32_t primary_begin(const struct walk *w, struct kd_x64_function f)
{
	struct walk quiet = *w;
	struct info info;
	uint32_t begin = f.begin;

	quiet.err = NULL;
	for (int n = 0; n < CHAIN_MAX; n++) {
		if (read_info(&quiet, f.unwind & ~1u, &info) != KD_OK || !(info.flags & FLAG_CHAIN))
			return f.begin;
		f = info.chained;
	}
	return begin;
}

/*
 * A jump ends an epilog when it leaves the function. Compilers split functions: a jump to another
 * part, or to the beginning, stays inside.
 */
static bool leaves_function(struct walk *w, const struct kd_x64_function *f, uint32_t target)
{
	struct kd_x64_function other = { 0 };
	struct walk quiet = *w;
	uint64_t base;

	quiet.err = NULL;
	if (target >= f->begin && target < f->end)
		return false;
	if (!w->u->find(w->u->context, w->base + target, &base, &other) || base != w->base ||
	    !other.end || resolve_indirect(&quiet, &other) != KD_OK)
		return true;
	return primary_begin(w, other) != primary_begin(w, *f);
}

/*
 * `jmp rax` and its like is a switch as often as a tail call; what marks an epilog is the REX.W
 * prefix, or pops in front of it.
 */
static bool is_register_jump(const struct code *c, bool popped)
{
	const uint8_t *p = c->bytes + c->at;
	bool has_rex = left(c, 3) && (p[0] & 0xF0) == 0x40;

	if (has_rex)
		p++;
	if (!left(c, 2) || p[0] != 0xFF || (p[1] & 0x38) != 0x20)
		return false;
	return popped || (has_rex && (p[-1] & 8)) || p[1] == 0x25;
}

/* A return, or a jump out of the function: the end of an epilog. */
static bool is_terminator(struct walk *w, const struct code *c, const struct kd_x64_function *f,
			  uint32_t rva)
{
	const uint8_t *p = c->bytes + c->at;
	uint32_t here = rva + (uint32_t)c->at;

	if (!left(c, 1))
		return false;
	if (p[0] == 0xC3 || (p[0] == 0xC2 && left(c, 3)) ||
	    (left(c, 2) && p[0] == 0xF3 && p[1] == 0xC3))
		return true;
	if (is_register_jump(c, c->at > 0))
		return true;
	if (left(c, 2) && p[0] == 0xEB)
		return leaves_function(w, f, (uint32_t)((int64_t)here + 2 + (int8_t)p[1]));
	if (left(c, 5) && p[0] == 0xE9)
		return leaves_function(w, f, here + 5 + kd_get32(p + 1));
	return false;
}

/*
 * Carry out the instructions ahead if they are an epilog. Version 2 lists epilogs, so their end is
 * not looked at; version 1 does not, so it must be one by its bytes.
 */
static enum kd_status try_epilog(struct walk *w, const struct info *i,
				 const struct kd_x64_function *f, uint32_t rva, bool listed,
				 bool *done_ret)
{
	struct kd_x64_frame before = *w->f;
	struct code c = { .size = 0 };
	enum kd_status status;

	*done_ret = false;
	status = w->u->read(w->u->context, w->base + rva, c.bytes, sizeof c.bytes, &c.size);
	if (status != KD_OK)
		return status;
	if (!listed)
		simulate_release(&c, i, w->f);
	status = simulate_pops(w, &c);
	if (status == KD_E_UNREADABLE ||
	    (status == KD_OK && !listed && !is_terminator(w, &c, f, rva))) {
		*w->f = before;
		return KD_OK;
	}
	*done_ret = status == KD_OK;
	return status;
}

/* --- the step --- */

static enum kd_status return_address(struct walk *w)
{
	w->step->return_slot = w->f->regs[KD_X64_RSP];
	return pop(w, &w->f->rip);
}

/* Walk from the entry at rip through what it is chained to. */
static enum kd_status unwind_function(struct walk *w, struct kd_x64_function f, uint32_t rva,
				      bool exact)
{
	struct info info;
	enum kd_status status = read_info(w, f.unwind, &info);
	uint32_t offset = rva >= f.begin ? rva - f.begin : BODY;
	bool in_prolog, done = false;

	if (status != KD_OK)
		return status;
	in_prolog = offset < info.prolog_size && !(info.flags & FLAG_CHAIN);
	if (!in_prolog && exact) {
		bool listed = in_listed_epilog(&info, &f, rva);

		if (listed || info.version == 1)
			status = try_epilog(w, &info, &f, rva, listed, &done);
		if (status != KD_OK || done)
			return status == KD_OK ? return_address(w) : status;
	}
	status = undo_all(w, &info, offset);
	for (int n = 0; status == KD_OK && (info.flags & FLAG_CHAIN) && !w->machine_frame; n++) {
		if (n == CHAIN_MAX)
			return kd_error_set(w->err, KD_E_MALFORMED, w->base + f.begin,
					    "unwind data chained more than %d times", CHAIN_MAX);
		f = info.chained;
		status = read_info(w, f.unwind & ~1u, &info);
		if (status == KD_OK)
			status = undo_all(w, &info, BODY);
	}
	if (status != KD_OK || w->machine_frame)
		return status;
	return return_address(w);
}

/* A caller's frame lies above its callee's, except behind an interrupt: stacks were switched. */
static enum kd_status check_progress(const struct walk *w, const struct kd_x64_frame *before)
{
	uint64_t old = before->regs[KD_X64_RSP], now = w->f->regs[KD_X64_RSP];

	if (w->machine_frame ? now == old && w->f->rip == before->rip : now <= old)
		return kd_error_set(w->err, KD_E_MALFORMED, before->rip,
				    "the stack does not grow from frame to frame: 0x%llx, 0x%llx",
				    (unsigned long long)old, (unsigned long long)now);
	return KD_OK;
}

enum kd_status kd_x64_unwind(const struct kd_x64_unwinder *u, struct kd_x64_frame *frame,
			     bool exact, struct kd_x64_step *step_ret, struct kd_error *err)
{
	struct kd_x64_frame before = *frame;
	struct walk w = { .u = u, .f = frame, .step = step_ret, .err = err };
	/* A call may be a function's last instruction: its return address lies behind it. */
	uint64_t lookup = exact ? frame->rip : frame->rip - 1;
	struct kd_x64_function f = { 0 };
	enum kd_status status;

	memset(step_ret, 0, sizeof *step_ret);
	if (!u->find(u->context, lookup, &w.base, &f))
		return kd_error_set(err, KD_E_NOT_FOUND, frame->rip, "0x%llx is in no module",
				    (unsigned long long)frame->rip);
	if (!f.end) {
		step_ret->is_leaf = true;
		step_ret->establisher = frame->regs[KD_X64_RSP];
		status = return_address(&w);
		return status == KD_OK ? check_progress(&w, &before) : status;
	}
	step_ret->has_function = true;
	step_ret->function = w.base + f.begin;
	status = resolve_indirect(&w, &f);
	if (status == KD_OK)
		status = unwind_function(&w, f, (uint32_t)(lookup - w.base), exact);
	return status == KD_OK ? check_progress(&w, &before) : status;
}
