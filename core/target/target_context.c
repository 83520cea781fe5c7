/* SPDX-License-Identifier: MIT */
/* CONTEXTs of processors, and what Continue2 changes in them. */
#include "core/target/target_internal.h"

_Static_assert(sizeof(((struct kd_target *)0)->scratch) >= KD_CONTEXT_MAX, "a CONTEXT fits");
_Static_assert(sizeof(((struct kd_target *)0)->scratch) >= KD_SPECIAL_SIZE_AMD64, "and these");

static bool get(struct kd_target *t, uint16_t processor, uint8_t *out)
{
	return kd__target_has_processor(t, processor) &&
	       t->ops->get_context(t->user, processor, out);
}

uint32_t kd__target_get_context(struct kd_target *t, struct kd__target_call *c)
{
	if (c->room < t->context_size || !get(t, c->m.hdr.processor, c->out))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	c->out_size = t->context_size;
	t->context_was_read = true;
	return KD_NT_SUCCESS;
}

uint32_t kd__target_set_context(struct kd_target *t, struct kd__target_call *c)
{
	const uint16_t processor = c->m.hdr.processor;

	if (c->in_is_short || c->in_size < t->context_size || !t->context_was_read ||
	    !kd__target_has_processor(t, processor) ||
	    !t->ops->set_context(t->user, processor, c->in))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	return KD_NT_SUCCESS;
}

uint32_t kd__target_get_context_ex(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_context_ex *x = &c->m.u.context_ex;

	x->copied = 0;
	if (x->offset > t->context_size || x->count > t->context_size - x->offset ||
	    x->count > c->room || !get(t, c->m.hdr.processor, t->scratch))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	kd_copy(c->out, t->scratch + x->offset, x->count);
	c->out_size = x->count;
	x->copied = x->count;
	t->context_was_read = true;
	return KD_NT_SUCCESS;
}

/* A transfer begins with what the processor has, so that windows may leave gaps. */
static bool stage(struct kd_target *t, uint16_t processor)
{
	if (t->staged_size && t->staged_for == processor)
		return true;
	if (!get(t, processor, t->staged))
		return false;
	t->staged_for = processor;
	return true;
}

uint32_t kd__target_set_context_ex(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_context_ex *x = &c->m.u.context_ex;
	const uint32_t total = x->copied; /* in the request */

	x->copied = 0;
	if (c->in_is_short || !x->count || !t->context_was_read || total != t->context_size ||
	    x->offset > total || x->count > total - x->offset ||
	    !kd__target_has_processor(t, c->m.hdr.processor) || !stage(t, c->m.hdr.processor))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	kd_copy(t->staged + x->offset, c->in, x->count);
	t->staged_size = x->offset + x->count;
	if (t->staged_size == total) {
		t->staged_size = 0;
		if (!t->ops->set_context(t->user, t->staged_for, t->staged))
			return (uint32_t)KD_NT_UNSUCCESSFUL;
	}
	x->copied = x->count;
	return KD_NT_SUCCESS;
}

/* --- continuing --- */

static bool is_success(uint32_t status)
{
	return status >> 31 == 0;
}

static void set_register(const struct kd_reg_layout *layout, const char *name, uint8_t *bytes,
			 uint64_t value)
{
	const struct kd_reg_field *field = kd_reg_find(layout, name);

	if (field)
		kd_reg_set(bytes, field, value);
}

static void set_trace_flag(struct kd_target *t, bool trace)
{
	enum { EFLAGS_TF = 0x100 };
	const struct kd_reg_layout *layout = kd_context_layout(t->machine->machine);
	const struct kd_reg_field *field = kd_reg_find(layout, "efl");
	uint64_t flags;

	if (!field || !get(t, t->processor, t->scratch))
		return;
	flags = kd_reg_get(t->scratch, field);
	if (((flags & EFLAGS_TF) != 0) == trace)
		return;
	kd_reg_set(t->scratch, field, flags ^ EFLAGS_TF);
	t->ops->set_context(t->user, t->processor, t->scratch);
}

static void set_debug_control(struct kd_target *t, uint16_t processor, uint64_t dr7)
{
	const struct kd_reg_layout *layout = kd_special_layout(t->machine->machine);

	if (!t->ops->get_special(t->user, processor, t->scratch))
		return;
	set_register(layout, "kdr6", t->scratch, 0);
	set_register(layout, "kdr7", t->scratch, dr7);
	t->ops->set_special(t->user, processor, t->scratch);
}

static void apply_control_set(struct kd_target *t, const struct kd_target_action *a)
{
	const uint16_t n = t->ops->count_processors(t->user);

	if (!t->machine->has_x86_flags)
		return;
	set_trace_flag(t, a->trace);
	for (uint16_t i = 0; i < n; i++)
		set_debug_control(t, i, a->dr7);
}

uint32_t kd__target_continue(struct kd_target *t, struct kd__target_call *c)
{
	(void)t;
	c->action->kind = KD_TARGET_CONTINUE;
	c->action->continue_status = c->m.u.cont.continue_status;
	return KD_NT_SUCCESS;
}

/* The forms differ in width, not in meaning. */
static void take_control_set(struct kd_target_action *a, const struct kd_manipulate *m)
{
	const struct kd_w_continue2_amd64 *amd64 = &m->u.continue2_amd64;
	const struct kd_w_continue2_x86 *x86 = &m->u.continue2_x86;
	const struct kd_w_continue2_arm64 *arm64 = &m->u.continue2_arm64;

	switch (m->kind) {
	case KD_MEMBER_continue2_x86:
		a->trace = x86->trace_flag != 0;
		a->dr7 = x86->dr7;
		a->symbol_start = x86->symbol_start;
		a->symbol_end = x86->symbol_end;
		break;
	case KD_MEMBER_continue2_arm64:
		a->trace = arm64->trace_flag != 0;
		a->symbol_start = arm64->symbol_start;
		a->symbol_end = arm64->symbol_end;
		break;
	default:
		a->trace = amd64->trace_flag != 0;
		a->dr7 = amd64->dr7;
		a->symbol_start = amd64->symbol_start;
		a->symbol_end = amd64->symbol_end;
		break;
	}
}

uint32_t kd__target_continue2(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_target_action *a = c->action;

	a->kind = KD_TARGET_CONTINUE;
	/* The first field of every form. */
	a->continue_status = kd_get32(c->m.hdr.member);
	if (!is_success(a->continue_status))
		return KD_NT_SUCCESS;
	a->has_control_set = true;
	take_control_set(a, &c->m);
	apply_control_set(t, a);
	return KD_NT_SUCCESS;
}
