/* SPDX-License-Identifier: MIT */
#include "core/wire/describe.h"

#include "core/bytes.h"
#include "core/wire/api.h"
#include "core/wire/context.h"
#include "core/wire/message.h"

enum {
	UNION_OFFSET = 32,
	REPORT_OFFSET = 192,
	UNION32_OFFSET = 20,
	MEMBER_OFFSET = 16,
	FILE_MEMBER_OFFSET = 8,
	CONTROL_SPACE_SPECIAL = 2,
};

struct walk {
	kd_describe_fn fn;
	void *ctx;
	const uint8_t *bytes; /* header or payload */
	size_t size;
	size_t base; /* packet offset of bytes[0] */
	size_t at;   /* everything before it is described */
};

static const char *text_of(enum kd_format format, uint64_t value)
{
	if (format == KD_FORMAT_NTSTATUS)
		return kd_nt_name((uint32_t)value);
	if (format == KD_FORMAT_API)
		return kd_code_name((uint32_t)value & ~(uint32_t)KD_STATE_ALTERNATE);
	return NULL;
}

/* bytes[at, end): `end` is not above size. */
static void emit(struct walk *w, const char *structure, const char *name, size_t end,
		 size_t element_size, enum kd_format format)
{
	struct kd_described d = {
		.structure = structure,
		.name = name,
		.format = format,
		.offset = w->base + w->at,
		.bytes = w->bytes + w->at,
		.size = end - w->at,
		.element_size = element_size,
	};

	if (end == w->at)
		return;
	if (d.size == element_size)
		d.value = kd_get_sized(d.bytes, d.size);
	if (d.size == element_size)
		d.text = text_of(format, d.value);
	w->fn(w->ctx, &d);
	w->at = end;
}

static void emit_unnamed(struct walk *w, const char *structure, size_t end)
{
	emit(w, structure, "unnamed", end, 1, KD_FORMAT_BYTES);
}

/* A structure at w->at of which `limit` bytes count; what is not there is not described. */
static void emit_struct(struct walk *w, enum kd_struct_id id, size_t limit)
{
	const struct kd_struct_info *info = kd_struct_get(id);
	size_t start = w->at;
	size_t end = limit < w->size - start ? start + limit : w->size;

	for (size_t i = 0; i < info->n_fields; i++) {
		const struct kd_field *f = &info->fields[i];
		size_t f_end = start + f->offset + (size_t)f->size * f->count;

		if (f_end > end)
			break;
		emit_unnamed(w, info->name, start + f->offset);
		emit(w, info->name, f->name, f_end, f->size, f->format);
	}
	emit_unnamed(w, info->name, end);
}

static void emit_registers(struct walk *w, const struct kd_reg_layout *layout,
			   const char *structure)
{
	size_t start = w->at;

	for (size_t i = 0; i < layout->n_fields; i++) {
		const struct kd_reg_field *f = &layout->fields[i];
		size_t f_end = start + f->offset + f->size;

		if (f_end > w->size)
			break;
		emit_unnamed(w, structure, start + f->offset);
		emit(w, structure, f->name, f_end, f->size,
		     f->size > 8 ? KD_FORMAT_BYTES : KD_FORMAT_HEX);
	}
	emit_unnamed(w, structure, w->size);
}

void kd_describe_registers(const struct kd_reg_layout *layout, const char *structure,
			   const uint8_t *bytes, size_t size, size_t offset, kd_describe_fn fn,
			   void *ctx)
{
	struct walk w = { .fn = fn, .ctx = ctx, .bytes = bytes, .size = size, .base = offset };

	emit_registers(&w, layout, structure);
}

static void emit_rest(struct walk *w, const char *name, enum kd_format format)
{
	emit(w, "data", name, w->size, 1, format);
}

static void emit_entries(struct walk *w, enum kd_struct_id id)
{
	size_t size = kd_struct_get(id)->size;

	while (w->size - w->at >= size)
		emit_struct(w, id, size);
	emit_rest(w, "unnamed", KD_FORMAT_BYTES);
}

static const struct kd_reg_layout *register_file(const struct kd_manipulate *m, uint16_t machine,
						 const char **structure_ret)
{
	const struct kd_reg_layout *context = kd_context_layout(machine);
	bool is_control = m->hdr.api == KD_API_READ_CONTROL_SPACE ||
			  m->hdr.api == KD_API_WRITE_CONTROL_SPACE;
	uint64_t special_at = machine == KD_MACHINE_X86 ? KD_SPECIAL_OFFSET_X86
							: CONTROL_SPACE_SPECIAL;

	*structure_ret = "special_registers";
	if (is_control && m->u.read_memory.address == special_at)
		return kd_special_layout(machine);
	*structure_ret = "context";
	if (m->hdr.api == KD_API_GET_CONTEXT || m->hdr.api == KD_API_SET_CONTEXT)
		return context;
	if (m->kind == KD_MEMBER_context_ex && context && m->u.context_ex.offset == 0 &&
	    m->data_size == context->size)
		return context;
	return NULL;
}

static void emit_manipulate_data(struct walk *w, const struct kd_manipulate *m, uint16_t machine)
{
	const struct kd_api_info *info = kd_api_find(m->hdr.api);
	enum kd_data_kind kind = KD_DATA_BYTES;
	const char *structure;
	const struct kd_reg_layout *layout = register_file(m, machine, &structure);

	if (info) /* no API has different kinds in and out */
		kind = info->in != KD_DATA_NONE ? info->in : info->out;
	if (layout) {
		emit_registers(w, layout, structure);
		return;
	}
	switch (kind) {
	case KD_DATA_WRITE_BPS: emit_entries(w, KD_STRUCT_ID_write_breakpoint_entry); break;
	case KD_DATA_RESTORE_BPS: emit_entries(w, KD_STRUCT_ID_restore_breakpoint_entry); break;
	case KD_DATA_U64S:
		emit(w, "data", "special_calls", w->at + ((w->size - w->at) & ~(size_t)7), 8,
		     KD_FORMAT_ADDR);
		emit_rest(w, "unnamed", KD_FORMAT_BYTES);
		break;
	case KD_DATA_PATTERN: emit_rest(w, "pattern", KD_FORMAT_BYTES); break;
	default: emit_rest(w, "bytes", KD_FORMAT_BYTES); break;
	}
}

static enum kd_status describe_manipulate(struct walk *w, uint16_t machine)
{
	static const uint8_t struct_of_member[] = {
#define KD_X(name, as) [KD_MEMBER_##name] = KD_STRUCT_ID_##name,
		KD_MEMBER_TABLE(KD_X)
#undef KD_X
	};
	struct kd_manipulate m;
	enum kd_status status = kd_manipulate_decode_reply(&m, machine, w->bytes, w->size);

	if (status != KD_OK)
		return status;
	emit_struct(w, KD_STRUCT_ID_manipulate_hdr, MEMBER_OFFSET);
	if (w->size < KD_MANIPULATE_SIZE)
		return KD_OK; /* the short refusal of a stub */
	if (m.kind != KD_MEMBER_none)
		emit_struct(w, (enum kd_struct_id)struct_of_member[m.kind],
			    KD_MANIPULATE_SIZE - MEMBER_OFFSET);
	else
		emit_unnamed(w, "manipulate_hdr", KD_MANIPULATE_SIZE);
	emit_manipulate_data(w, &m, machine);
	return KD_OK;
}

static enum kd_struct_id report_of(uint16_t machine)
{
	switch (machine) {
	case KD_MACHINE_X86: return KD_STRUCT_ID_report_x86;
	case KD_MACHINE_ARM64: return KD_STRUCT_ID_report_arm64;
	case KD_MACHINE_ARM: return KD_STRUCT_ID_report_arm;
	default: return KD_STRUCT_ID_report_amd64;
	}
}

static void emit_state_union(struct walk *w, uint32_t state)
{
	switch (state) {
	case KD_STATE_EXCEPTION: emit_struct(w, KD_STRUCT_ID_exception, SIZE_MAX); break;
	case KD_STATE_LOAD_SYMBOLS: emit_struct(w, KD_STRUCT_ID_load_symbols, SIZE_MAX); break;
	case KD_STATE_COMMAND_STRING: emit_struct(w, KD_STRUCT_ID_command_string, SIZE_MAX); break;
	default: break;
	}
}

static enum kd_status describe_state_change(struct walk *w, uint16_t machine)
{
	struct kd_state_change s;
	enum kd_status status = kd_state_change_decode(&s, w->bytes, w->size);
	uint32_t state = status == KD_OK ? s.hdr.new_state & 0xFFFF : 0;
	size_t whole = w->size;

	if (status != KD_OK)
		return status;
	emit_struct(w, KD_STRUCT_ID_state_change_hdr, UNION_OFFSET);
	w->size = REPORT_OFFSET;
	emit_state_union(w, state);
	emit_unnamed(w, "state_change_hdr", REPORT_OFFSET);
	w->size = s.fixed_size;
	emit_struct(w, report_of(machine), KD_STATE_CHANGE_SIZE - REPORT_OFFSET);
	w->size = whole;
	emit(w, "data", "unnamed", whole - s.name_size, 1,
	     state == KD_STATE_COMMAND_STRING ? KD_FORMAT_CHARS : KD_FORMAT_BYTES);
	emit_rest(w, "path_name", KD_FORMAT_CHARS);
	return KD_OK;
}

static enum kd_status describe_state_change32(struct walk *w, uint16_t machine)
{
	struct kd_state_change32 s;
	enum kd_status status = kd_state_change32_decode(&s, w->bytes, w->size);

	(void)machine;
	if (status != KD_OK)
		return status;
	emit_struct(w, KD_STRUCT_ID_state_change32_hdr, UNION32_OFFSET);
	if (s.hdr.new_state == KD_STATE_EXCEPTION)
		emit_struct(w, KD_STRUCT_ID_exception32, sizeof(s.raw_union));
	else if (s.hdr.new_state == KD_STATE_LOAD_SYMBOLS)
		emit_struct(w, KD_STRUCT_ID_load_symbols32, sizeof(s.raw_union));
	emit_rest(w, "unnamed", KD_FORMAT_BYTES);
	return KD_OK;
}

static enum kd_status describe_debug_io(struct walk *w, uint16_t machine)
{
	struct kd_debug_io d;
	enum kd_status status = kd_debug_io_decode(&d, w->bytes, w->size);

	(void)machine;
	if (status != KD_OK)
		return status;
	emit_struct(w, KD_STRUCT_ID_debug_io, d.hdr_size);
	emit(w, "data", "text", w->at + d.text_size, 1, KD_FORMAT_CHARS);
	emit_rest(w, "unnamed", KD_FORMAT_BYTES);
	return KD_OK;
}

static enum kd_status describe_file_io(struct walk *w, uint16_t machine)
{
	struct kd_file_io f;
	enum kd_status status = kd_file_io_decode(&f, w->bytes, w->size);
	const size_t member_size = KD_FILE_IO_SIZE - FILE_MEMBER_OFFSET;

	(void)machine;
	if (status != KD_OK)
		return status;
	emit_struct(w, KD_STRUCT_ID_file_io_hdr, FILE_MEMBER_OFFSET);
	switch (f.hdr.api) {
	case KD_FILE_CREATE: emit_struct(w, KD_STRUCT_ID_file_create, member_size); break;
	case KD_FILE_READ:
	case KD_FILE_WRITE: emit_struct(w, KD_STRUCT_ID_file_transfer, member_size); break;
	case KD_FILE_CLOSE: emit_struct(w, KD_STRUCT_ID_file_close, member_size); break;
	default: emit_unnamed(w, "file_io_hdr", KD_FILE_IO_SIZE); break;
	}
	if (f.hdr.api == KD_FILE_CREATE)
		emit(w, "data", "file_name", w->at + ((w->size - w->at) & ~(size_t)1), 2,
		     KD_FORMAT_UTF16);
	emit_rest(w, "bytes", KD_FORMAT_BYTES);
	return KD_OK;
}

static enum kd_status describe_trace_io(struct walk *w, uint16_t machine)
{
	struct kd_trace_io t;
	enum kd_status status = kd_trace_io_decode(&t, w->bytes, w->size);

	(void)machine;
	if (status != KD_OK)
		return status;
	emit_struct(w, KD_STRUCT_ID_trace_io, KD_TRACE_IO_SIZE);
	emit_rest(w, "bytes", KD_FORMAT_BYTES);
	return KD_OK;
}

static enum kd_status describe_control_request(struct walk *w, uint16_t machine)
{
	(void)machine;
	if (w->size < KD_W_SIZE_control_request)
		return KD_E_TRUNCATED;
	emit_struct(w, KD_STRUCT_ID_control_request, KD_W_SIZE_control_request);
	emit_rest(w, "bytes", KD_FORMAT_BYTES);
	return KD_OK;
}

static const struct {
	uint16_t type;
	enum kd_status (*describe)(struct walk *w, uint16_t machine);
} describers[] = {
	{ KD_PACKET_STATE_CHANGE32, describe_state_change32 },
	{ KD_PACKET_STATE_MANIPULATE, describe_manipulate },
	{ KD_PACKET_DEBUG_IO, describe_debug_io },
	{ KD_PACKET_STATE_CHANGE64, describe_state_change },
	{ KD_PACKET_TRACE_IO, describe_trace_io },
	{ KD_PACKET_CONTROL_REQUEST, describe_control_request },
	{ KD_PACKET_FILE_IO, describe_file_io },
};

static void describe_hdr(const struct kd_packet_hdr *hdr, kd_describe_fn fn, void *ctx)
{
	const struct kd_packet_info *info = kd_packet_find(hdr->type);
	uint8_t bytes[KD_HDR_SIZE];

	kd_packet_hdr_encode(bytes, hdr);

	const struct kd_described fields[] = {
		{ "packet", "leader", KD_FORMAT_HEX, 0, bytes, 4, 4, hdr->leader, NULL },
		{ "packet", "type", KD_FORMAT_DEC, 4, bytes + 4, 2, 2, hdr->type,
		  info ? info->name : NULL },
		{ "packet", "length", KD_FORMAT_DEC, 6, bytes + 6, 2, 2, hdr->length, NULL },
		{ "packet", "id", KD_FORMAT_HEX, 8, bytes + 8, 4, 4, hdr->id, NULL },
		{ "packet", "checksum", KD_FORMAT_HEX, 12, bytes + 12, 4, 4, hdr->checksum, NULL },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		fn(ctx, &fields[i]);
}

enum kd_status kd_describe_packet(const struct kd_packet_hdr *hdr, const uint8_t *payload,
				  size_t size, uint16_t machine, kd_describe_fn fn, void *ctx)
{
	struct walk w = {
		.fn = fn, .ctx = ctx, .bytes = payload, .size = size, .base = KD_HDR_SIZE
	};
	enum kd_status status = size ? KD_E_MALFORMED : KD_OK;

	describe_hdr(hdr, fn, ctx);
	for (size_t i = 0; i < sizeof(describers) / sizeof(describers[0]); i++)
		if (describers[i].type == hdr->type)
			status = describers[i].describe(&w, machine);
	if (w.at < size)
		emit(&w, "undecoded", "bytes", size, 1, KD_FORMAT_BYTES);
	return status;
}
