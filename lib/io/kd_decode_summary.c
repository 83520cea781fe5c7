/* SPDX-License-Identifier: MIT */
/* One line for each packet: its name, and the few fields that people look for. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/wire/message.h"
#include "lib/base.h"
#include "lib/io/kd_decode.h"

enum { VALUE_SIZE = 100 };

/* Where a field is worth showing. A request's output fields and a reply's echoes are not. */
enum { REQUEST = 1, REPLY = 2, BOTH = 3 };

static const struct {
	const char *structure, *name;
	unsigned when;
} shown[] = {
	{ "manipulate_hdr", "return_status", REPLY },
	{ "read_memory", "address", BOTH },
	{ "read_memory", "count", REQUEST },
	{ "read_memory", "actual", REPLY },
	{ "write_memory", "address", BOTH },
	{ "write_memory", "count", REQUEST },
	{ "write_memory", "actual", REPLY },
	{ "write_breakpoint", "address", BOTH },
	{ "write_breakpoint", "handle", REPLY },
	{ "restore_breakpoint", "handle", BOTH },
	{ "continue", "continue_status", REQUEST },
	{ "continue2_amd64", "continue_status", REQUEST },
	{ "continue2_amd64", "trace_flag", REQUEST },
	{ "continue2_amd64", "dr7", REQUEST },
	{ "continue2_x86", "continue_status", REQUEST },
	{ "continue2_x86", "trace_flag", REQUEST },
	{ "continue2_x86", "dr7", REQUEST },
	{ "continue2_arm64", "continue_status", REQUEST },
	{ "continue2_arm64", "trace_flag", REQUEST },
	{ "io", "address", BOTH },
	{ "io", "size", BOTH },
	{ "io", "value", BOTH },
	{ "io_extended", "address", BOTH },
	{ "io_extended", "size", BOTH },
	{ "io_extended", "value", BOTH },
	{ "msr", "msr", BOTH },
	{ "msr", "value_low", BOTH },
	{ "msr", "value_high", BOTH },
	{ "query_special_calls", "n_calls", REPLY },
	{ "set_special_call", "special_call", REQUEST },
	{ "set_internal_breakpoint", "address", REQUEST },
	{ "set_internal_breakpoint", "flags", REQUEST },
	{ "get_internal_breakpoint", "address", BOTH },
	{ "get_internal_breakpoint", "calls", REPLY },
	{ "version", "major", REPLY },
	{ "version", "minor", REPLY },
	{ "version", "protocol", REPLY },
	{ "version", "machine", REPLY },
	{ "version", "max_manipulate", REPLY },
	{ "version", "kern_base", REPLY },
	{ "breakpoint_ex", "count", BOTH },
	{ "search_memory", "address", BOTH },
	{ "search_memory", "length", REQUEST },
	{ "bus_data", "bus_data_type", REQUEST },
	{ "bus_data", "bus_number", REQUEST },
	{ "bus_data", "slot_number", REQUEST },
	{ "bus_data", "offset", REQUEST },
	{ "bus_data", "length", BOTH },
	{ "fill_memory", "address", REQUEST },
	{ "fill_memory", "length", BOTH },
	{ "query_memory", "address", BOTH },
	{ "query_memory", "address_space", REPLY },
	{ "query_memory", "flags", REPLY },
	{ "switch_partition", "partition", REQUEST },
	{ "write_custom_breakpoint", "address", BOTH },
	{ "write_custom_breakpoint", "handle", REPLY },
	{ "context_ex", "offset", BOTH },
	{ "context_ex", "count", REQUEST },
	{ "context_ex", "copied", REPLY },
	{ "context", "rip", BOTH },
	{ "context", "eip", BOTH },
	{ "context", "pc", BOTH },
	{ "special_registers", "cr3", BOTH },
	{ "state_change_hdr", "processor", BOTH },
	{ "state_change_hdr", "program_counter", BOTH },
	{ "exception", "code", BOTH },
	{ "exception", "first_chance", BOTH },
	{ "load_symbols", "base", BOTH },
	{ "load_symbols", "size_of_image", BOTH },
	{ "load_symbols", "unload", BOTH },
	{ "state_change32_hdr", "program_counter", BOTH },
	{ "data", "path_name", BOTH },
	{ "data", "text", BOTH },
	{ "file_io_hdr", "status", REPLY },
	{ "file_create", "handle", REPLY },
	{ "file_create", "length", REPLY },
	{ "data", "file_name", BOTH },
	{ "file_transfer", "handle", BOTH },
	{ "file_transfer", "offset", BOTH },
	{ "file_transfer", "length", BOTH },
	{ "file_close", "handle", BOTH },
	{ "trace_io", "length_of_data", BOTH },
	{ "control_request", "hardware_breakpoint_number", BOTH },
	{ "control_request", "available", BOTH },
};

struct line {
	char *out;
	size_t length;
	unsigned when;
};

KD_PRINTF(2, 3) static void append(struct line *l, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(l->out + l->length, KD_DECODE_SUMMARY_SIZE - l->length, fmt, args);
	va_end(args);
	if (n > 0)
		l->length = KD_MIN(l->length + (size_t)n, (size_t)KD_DECODE_SUMMARY_SIZE - 1);
}

static bool is_shown(const struct kd_described *field, unsigned when)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(shown); i++)
		if ((shown[i].when & when) && strcmp(shown[i].structure, field->structure) == 0 &&
		    strcmp(shown[i].name, field->name) == 0)
			return true;
	return false;
}

static void append_field(void *ctx, const struct kd_described *field)
{
	struct line *l = ctx;
	char value[VALUE_SIZE];

	if (!is_shown(field, l->when))
		return;
	kd_described_text(value, sizeof(value), field);
	append(l, " %s=%s", field->name, value);
}

/* Data packets begin with a number that names the content. */
static void name_code(struct kd_decode_record *r, const struct kd_packet_hdr *hdr)
{
	if (hdr->leader != KD_LEADER_DATA || hdr->length < 4)
		return;
	r->code = kd_get32(r->bytes + KD_HDR_SIZE);
	r->code_name = kd_code_name(r->code & ~(uint32_t)KD_STATE_ALTERNATE);
}

static bool is_reply(const struct kd_decode_record *r)
{
	bool is_from_target = r->direction == KD_DECODE_FROM_TARGET;

	/* files and debug registers are asked for by the target */
	if (r->type == KD_PACKET_FILE_IO || r->type == KD_PACKET_CONTROL_REQUEST)
		return !is_from_target;
	return r->type == KD_PACKET_STATE_MANIPULATE ? is_from_target : !is_from_target;
}

void kd__decode_summarise(struct kd_decode_record *record, const struct kd_packet_hdr *hdr,
			  char out[KD_DECODE_SUMMARY_SIZE])
{
	struct line l = { .out = out, .when = is_reply(record) ? REPLY : REQUEST };
	enum kd_status status;

	name_code(record, hdr);
	if (record->code_name)
		append(&l, "%s", record->code_name);
	else if (record->code)
		append(&l, "%s 0x%x", record->type_name, (unsigned)record->code);
	else
		append(&l, "%s", record->type_name);
	if (l.when == REPLY && hdr->leader == KD_LEADER_DATA)
		append(&l, " reply");
	status = kd_describe_packet(hdr, record->bytes + KD_HDR_SIZE, hdr->length, record->machine,
				    append_field, &l);
	if (status == KD_E_TRUNCATED)
		record->problem = "payload is shorter than its type";
	else if (status != KD_OK)
		record->problem = "payload contradicts itself";
	if (record->problem)
		append(&l, " (%s)", record->problem);
	record->summary = out;
}
