/* SPDX-License-Identifier: MIT */
/* State changes: what the target says when it stops. */
#include "core/target/target_internal.h"

/* ReportFlags */
enum { REPORT_INCLUDES_SEGS = 1, REPORT_STANDARD_CS = 2 };

static uint64_t reg(const struct kd_reg_layout *layout, const char *name, const uint8_t *bytes)
{
	const struct kd_reg_field *field = kd_reg_find(layout, name);

	return field ? kd_reg_get(bytes, field) : 0;
}

/* The code at PC, after the breakpoints in it are gone. Returns how much of it is there. */
static uint16_t read_stream(struct kd_target *t, uint64_t pc, uint8_t out[KD_TARGET_STREAM_SIZE])
{
	const struct kd_target_memory at = { .address = pc };
	size_t n = t->ops->read_memory(t->user, &at, out, KD_TARGET_STREAM_SIZE);

	kd__target_delete_breakpoints(t, pc, n);
	return (uint16_t)t->ops->read_memory(t->user, &at, out, n);
}

struct segments {
	uint32_t eflags;
	uint16_t cs, ds, es, fs;
	uint16_t flags;
};

static struct segments segments_of(const struct kd_target *t, const uint8_t *context)
{
	const struct kd_reg_layout *layout = kd_context_layout(t->machine->machine);
	const uint16_t kernel_cs = t->machine->is_32bit ? 0x08 : 0x10;
	struct segments s = {
		.eflags = (uint32_t)reg(layout, "efl", context),
		.cs = (uint16_t)reg(layout, "cs", context),
		.ds = (uint16_t)reg(layout, "ds", context),
		.es = (uint16_t)reg(layout, "es", context),
		.fs = (uint16_t)reg(layout, "fs", context),
	};

	s.flags = REPORT_INCLUDES_SEGS;
	if (s.cs == kernel_cs)
		s.flags |= REPORT_STANDARD_CS;
	return s;
}

static void report_amd64(const struct segments *s, const uint8_t *special, const uint8_t *stream,
			 uint16_t count, uint8_t *out)
{
	const struct kd_reg_layout *layout = kd_special_layout(KD_MACHINE_AMD64);
	struct kd_w_report_amd64 r = {
		.dr6 = reg(layout, "kdr6", special),
		.dr7 = reg(layout, "kdr7", special),
		.eflags = s->eflags,
		.instruction_count = count,
		.report_flags = s->flags,
		.seg_cs = s->cs,
		.seg_ds = s->ds,
		.seg_es = s->es,
		.seg_fs = s->fs,
	};

	kd_copy(r.instruction_stream, stream, count);
	kd_w_report_amd64_encode(out, &r);
}

static void report_x86(const struct segments *s, const uint8_t *special, const uint8_t *stream,
		       uint16_t count, uint8_t *out)
{
	const struct kd_reg_layout *layout = kd_special_layout(KD_MACHINE_X86);
	struct kd_w_report_x86 r = {
		.dr6 = (uint32_t)reg(layout, "kdr6", special),
		.dr7 = (uint32_t)reg(layout, "kdr7", special),
		.instruction_count = count,
		.report_flags = s->flags,
		.seg_cs = s->cs,
		.seg_ds = s->ds,
		.seg_es = s->es,
		.seg_fs = s->fs,
		.eflags = s->eflags,
	};

	kd_copy(r.instruction_stream, stream, count);
	kd_w_report_x86_encode(out, &r);
}

static void report_arm64(const uint8_t *special, const uint8_t *stream, uint16_t count,
			 uint8_t *out)
{
	const struct kd_reg_layout *layout = kd_special_layout(KD_MACHINE_ARM64);
	struct kd_w_report_arm64 r = {
		.bvr = reg(layout, "kbvr0", special),
		.wvr = reg(layout, "kwvr0", special),
		.instruction_count = count,
	};

	kd_copy(r.instruction_stream, stream, count);
	kd_w_report_arm64_encode(out, &r);
}

/* The control report; t->scratch holds the CONTEXT and is used up. */
static void report(struct kd_target *t, uint16_t processor, uint64_t pc, uint8_t *out)
{
	const struct segments s = segments_of(t, t->scratch);
	uint8_t stream[KD_TARGET_STREAM_SIZE];
	const uint16_t count = read_stream(t, pc, stream);

	kd_zero(t->scratch, t->special_size);
	t->ops->get_special(t->user, processor, t->scratch);
	switch (t->machine->machine) {
	case KD_MACHINE_AMD64: report_amd64(&s, t->scratch, stream, count, out); break;
	case KD_MACHINE_X86: report_x86(&s, t->scratch, stream, count, out); break;
	default: report_arm64(t->scratch, stream, count, out); break;
	}
}

/* Header and control report: what all stops have. out[0, KD_STATE_CHANGE_SIZE) is written whole. */
static enum kd_status begin(struct kd_target *t, uint16_t processor, uint32_t state, uint8_t *out,
			    size_t cap)
{
	const struct kd_reg_layout *layout = kd_context_layout(t->machine->machine);
	struct kd_w_state_change_hdr hdr = {
		.new_state = state,
		.processor_level = t->config.processor_level,
		.processor = processor,
	};

	if (cap < KD_STATE_CHANGE_SIZE)
		return KD_E_TOO_BIG;
	if (!kd__target_has_processor(t, processor) ||
	    !t->ops->get_context(t->user, processor, t->scratch))
		return KD_E_INVALID;
	hdr.n_processors = t->ops->count_processors(t->user);
	hdr.program_counter = kd__target_extend(t, reg(layout, t->machine->pc, t->scratch));
	if (t->ops->get_pointer)
		hdr.thread = kd__target_extend(
			t, t->ops->get_pointer(t->user, processor, KD_TARGET_KTHREAD));
	kd_zero(out, KD_STATE_CHANGE_SIZE);
	kd_w_state_change_hdr_encode(out, &hdr);
	report(t, processor, hdr.program_counter, out + KD_STATE_CHANGE_MIN);
	t->processor = processor;
	t->context_was_read = false;
	t->staged_size = 0;
	return KD_OK;
}

enum { UNION_OFFSET = KD_W_SIZE_state_change_hdr };

enum kd_status kd_target_exception(struct kd_target *t, uint16_t processor,
				   const struct kd_w_exception *e, uint8_t *out, size_t cap,
				   size_t *size_ret)
{
	const size_t n_max = sizeof(e->information) / sizeof(e->information[0]);
	struct kd_w_exception x = *e;
	enum kd_status status = begin(t, processor, KD_STATE_EXCEPTION, out, cap);

	if (status != KD_OK)
		return status;
	if (x.n_parameters > n_max)
		x.n_parameters = (uint32_t)n_max;
	x.record = kd__target_extend(t, x.record);
	x.address = kd__target_extend(t, x.address);
	for (size_t i = 0; i < n_max; i++)
		x.information[i] = i < x.n_parameters ? kd__target_extend(t, x.information[i]) : 0;
	kd_w_exception_encode(out + UNION_OFFSET, &x);
	*size_ret = KD_STATE_CHANGE_SIZE;
	return KD_OK;
}

static size_t payload_room(const struct kd_target *t, size_t cap, size_t used)
{
	if (cap > t->config.payload_max)
		cap = t->config.payload_max;
	return cap > used ? cap - used : 0;
}

enum kd_status kd_target_load_symbols(struct kd_target *t, uint16_t processor,
				      const struct kd_w_load_symbols *l, const char *name,
				      size_t name_size, uint8_t *out, size_t cap, size_t *size_ret)
{
	struct kd_w_load_symbols x = *l;
	const size_t room = payload_room(t, cap, KD_STATE_CHANGE_SIZE);
	size_t size = KD_STATE_CHANGE_SIZE;
	enum kd_status status = begin(t, processor, KD_STATE_LOAD_SYMBOLS, out, cap);

	if (status != KD_OK)
		return status;
	if (name_size && room > 1) {
		if (name_size > room - 1) {
			name += name_size - (room - 1);
			name_size = room - 1;
		}
		kd_copy(out + size, name, name_size);
		out[size + name_size] = 0;
		size += name_size + 1;
	}
	x.path_name_length = (uint32_t)(size - KD_STATE_CHANGE_SIZE);
	x.base = kd__target_extend(t, x.base);
	kd_w_load_symbols_encode(out + UNION_OFFSET, &x);
	*size_ret = size;
	return KD_OK;
}

/* Appends text and NUL, cut at `max` bytes. */
static size_t append(uint8_t *out, size_t max, const char *text, size_t size)
{
	if (!max)
		return 0;
	if (size > max - 1)
		size = max - 1;
	kd_copy(out, text, size);
	out[size] = 0;
	return size + 1;
}

enum kd_status kd_target_command_string(struct kd_target *t, uint16_t processor, const char *name,
					size_t name_size, const char *command, size_t command_size,
					uint8_t *out, size_t cap, size_t *size_ret)
{
	size_t room = payload_room(t, cap, KD_STATE_CHANGE_SIZE);
	size_t size = KD_STATE_CHANGE_SIZE;
	enum kd_status status = begin(t, processor, KD_STATE_COMMAND_STRING, out, cap);

	if (status != KD_OK)
		return status;
	size += append(out + size,
		       room < KD_TARGET_COMMAND_NAME_MAX ? room : KD_TARGET_COMMAND_NAME_MAX, name,
		       name_size);
	room = payload_room(t, cap, size);
	size += append(out + size, room, command, command_size);
	*size_ret = size;
	return KD_OK;
}
