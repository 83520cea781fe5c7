/* SPDX-License-Identifier: MIT */
#include "core/ring/ring_orphan.h"

enum {
	BREAKPOINTS = 32, /* handles 1 to 32: every NT has a table of that size */
	INT3 = 0xCC,
};

#define CODE_BREAKPOINT  0x80000003u
#define CODE_SINGLE_STEP 0x80000004u
#define CONTINUE         0x00010002u /* DBG_CONTINUE */
#define NOT_HANDLED      0x80010001u /* DBG_EXCEPTION_NOT_HANDLED */

static bool is_ours(uint32_t code)
{
	return code == CODE_BREAKPOINT || code == CODE_SINGLE_STEP;
}

void kd_orphan_begin(struct kd_orphan *o, uint16_t machine, const uint8_t *state_change,
		     size_t size)
{
	struct kd_state_change s;

	*o = (struct kd_orphan){ .step = KD_ORPHAN_RESTORE,
				 .handle = 1,
				 .machine = machine,
				 .continue_status = CONTINUE };
	if (kd_state_change_decode(&s, state_change, size) != KD_OK)
		return;
	o->processor = s.hdr.processor;
	o->pc = s.hdr.program_counter;
	if ((s.hdr.new_state & 0xFFFF) != (KD_STATE_EXCEPTION & 0xFFFF))
		return;
	o->is_breakpoint = s.u.exception.code == CODE_BREAKPOINT;
	/* What no debugger caused goes where it would go without one. */
	if (!is_ours(s.u.exception.code))
		o->continue_status = NOT_HANDLED;
}

bool kd_orphan_is_active(const struct kd_orphan *o)
{
	return o->step != KD_ORPHAN_DONE;
}

/* --- requests --- */

static void ask_restore(struct kd_orphan *o, struct kd_manipulate *m)
{
	kd_manipulate_init(m, KD_API_RESTORE_BREAKPOINT, o->machine, o->processor);
	m->u.restore_breakpoint.handle = o->handle;
}

static void ask_code(struct kd_orphan *o, struct kd_manipulate *m)
{
	kd_manipulate_init(m, KD_API_READ_VIRTUAL, o->machine, o->processor);
	m->u.read_memory.address = o->pc;
	m->u.read_memory.count = 1;
}

static void ask_context(struct kd_orphan *o, struct kd_manipulate *m)
{
	kd_manipulate_init(m, KD_API_GET_CONTEXT, o->machine, o->processor);
}

static void set_context(struct kd_orphan *o, struct kd_manipulate *m)
{
	kd_manipulate_init(m, KD_API_SET_CONTEXT, o->machine, o->processor);
	m->u.set_context.context_flags = kd_get32(
		o->context + (o->machine == KD_MACHINE_AMD64 ? 0x30 : 0)); /* ContextFlags */
	m->data = o->context;
	m->data_size = o->context_size;
}

/* No trace flag, and a DR7 of zero: no hardware breakpoint stays. */
static void ask_continue(struct kd_orphan *o, struct kd_manipulate *m)
{
	kd_manipulate_init(m, KD_API_CONTINUE2, o->machine, o->processor);
	if (o->machine == KD_MACHINE_AMD64)
		m->u.continue2_amd64.continue_status = o->continue_status;
	else
		m->u.continue2_x86.continue_status = o->continue_status;
}

static void (*const asks[])(struct kd_orphan *o, struct kd_manipulate *m) = {
	[KD_ORPHAN_RESTORE] = ask_restore,   [KD_ORPHAN_LOOK] = ask_code,
	[KD_ORPHAN_GET] = ask_context,       [KD_ORPHAN_SET] = set_context,
	[KD_ORPHAN_CONTINUE] = ask_continue,
};

bool kd_orphan_request(struct kd_orphan *o, uint8_t header_ret[KD_AT_LEAST(KD_MANIPULATE_SIZE)],
		       const uint8_t **data_ret, size_t *size_ret)
{
	struct kd_manipulate m;

	if (o->step == KD_ORPHAN_DONE)
		return false;
	asks[o->step](o, &m);
	kd_manipulate_encode_hdr(header_ret, &m);
	*data_ret = m.data;
	*size_ret = m.data_size;
	if (o->step == KD_ORPHAN_CONTINUE)
		o->step = KD_ORPHAN_DONE;
	return true;
}

/* --- answers --- */

static bool is_good(const uint8_t *header, size_t size)
{
	return size >= KD_MANIPULATE_SIZE && (int32_t)kd_get32(header + 8) >= 0;
}

/* The program counter behind a breakpoint that is part of the code. */
static bool step_over(struct kd_orphan *o, const uint8_t *data, size_t size)
{
	const struct kd_reg_layout *layout = kd_context_layout(o->machine);
	const struct kd_reg_field *pc = NULL;

	if (layout)
		pc = kd_reg_find(layout, o->machine == KD_MACHINE_AMD64 ? "rip" : "eip");
	if (!pc || size < layout->size || size > sizeof o->context)
		return false;
	kd_copy(o->context, data, size);
	o->context_size = size;
	kd_reg_set(o->context, pc, kd_reg_get(o->context, pc) + 1);
	return true;
}

void kd_orphan_reply(struct kd_orphan *o, const uint8_t *header, size_t header_size,
		     const uint8_t *data, size_t data_size)
{
	switch (o->step) {
	case KD_ORPHAN_RESTORE:
		if (o->handle++ < BREAKPOINTS)
			return;
		o->step = o->is_breakpoint ? KD_ORPHAN_LOOK : KD_ORPHAN_CONTINUE;
		return;
	case KD_ORPHAN_LOOK:
		o->step = is_good(header, header_size) && data_size && data[0] == INT3
				  ? KD_ORPHAN_GET
				  : KD_ORPHAN_CONTINUE;
		return;
	case KD_ORPHAN_GET:
		o->step = is_good(header, header_size) && step_over(o, data, data_size)
				  ? KD_ORPHAN_SET
				  : KD_ORPHAN_CONTINUE;
		return;
	case KD_ORPHAN_SET: o->step = KD_ORPHAN_CONTINUE; return;
	case KD_ORPHAN_CONTINUE:
	case KD_ORPHAN_DONE: return;
	}
}
