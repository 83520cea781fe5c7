/* SPDX-License-Identifier: MIT */
/* The tables against each other: a slip in a .def file shows here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire/fields.h"
#include "core/wire/message.h"
#include "tests/core/wire_rows.h"

static void test_apis_ascend_and_are_found(void **state)
{
	size_t n;
	const struct kd_api_info *apis = kd_api_table(&n);

	(void)state;
	assert_int_equal(n, 45);
	for (size_t i = 0; i < n; i++) {
		if (i)
			assert_true(apis[i - 1].number < apis[i].number);
		assert_ptr_equal(kd_api_find(apis[i].number), &apis[i]);
		assert_string_equal(kd_code_name(apis[i].number), apis[i].name);
		/* describe.c knows no direction and relies on this */
		assert_true(apis[i].in == apis[i].out || apis[i].in == KD_DATA_NONE ||
			    apis[i].out == KD_DATA_NONE);
	}
	assert_null(kd_api_find(0x312F));
	assert_null(kd_api_find(0x314A));
	assert_null(kd_api_find(0x3163));
	assert_null(kd_api_find(0));
	assert_null(kd_api_find(UINT32_MAX));
}

/* Spaces of numbers don't overlap, so that a number alone has a name. */
static void test_code_numbers_are_unique(void **state)
{
	static const struct {
		uint32_t number;
		const char *name;
	} codes[] = {
#define KD_X(name, number, ms_name) { number, #name },
		KD_CODE_TABLE(KD_X)
#undef KD_X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_null(kd_api_find(codes[i].number));
		assert_string_equal(kd_code_name(codes[i].number), codes[i].name);
		if (i)
			assert_true(codes[i - 1].number < codes[i].number);
	}
	assert_null(kd_code_name(0x3033));
}

static void test_nt_names(void **state)
{
	(void)state;
	assert_string_equal(kd_nt_name(0), "SUCCESS");
	assert_string_equal(kd_nt_name(0xC0000001u), "UNSUCCESSFUL");
	assert_string_equal(kd_nt_name((uint32_t)KD_NT_BREAKPOINT), "BREAKPOINT");
	assert_null(kd_nt_name(0xC0000003u));
}

/* Every API has its hand-made messages, and they name every field of its member. */
static void test_every_api_has_rows(void **state)
{
	size_t n;
	const struct kd_api_info *apis = kd_api_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		bool has_request = false, has_reply = false;

		for (size_t k = 0; k < n_wire_rows; k++)
			if (wire_rows[k].api == apis[i].number) {
				has_request = true;
				has_reply |= wire_rows[k].reply.member != NULL;
			}
		if (!has_request || has_reply == (apis[i].answered == KD_ANSWERED_ACK_ONLY))
			fail_msg("%s: request %d, reply %d", apis[i].name, has_request, has_reply);
	}
}

static const char *struct_name_of(const struct wire_row *row)
{
	static const char *const names[] = { [KD_MEMBER_none] = NULL,
#define KD_X(name, as) [KD_MEMBER_##name] = #name,
					     KD_MEMBER_TABLE(KD_X)
#undef KD_X
	};
	struct kd_manipulate m;

	kd_manipulate_init(&m, row->api, row->machine, 0);
	return names[m.kind];
}

static bool is_expected(const char *expect, const char *structure, const char *name)
{
	char alone[80], full[128], text[600];

	snprintf(text, sizeof(text), " %s", expect);
	snprintf(alone, sizeof(alone), " %s=", name);
	snprintf(full, sizeof(full), " %s.%s=", structure, name);
	return strstr(text, alone) || strstr(text, full);
}

static void test_rows_name_every_field(void **state)
{
	(void)state;
	for (size_t k = 0; k < n_wire_rows; k++) {
		const char *name = struct_name_of(&wire_rows[k]);
		const struct kd_struct_info *info = name ? kd_struct_find(name) : NULL;

		assert_true(!name || info);
		for (size_t i = 0; info && i < info->n_fields; i++) {
			const char *field = info->fields[i].name;
			const struct wire_row *row = &wire_rows[k];

			if (!is_expected(row->request.expect, name, field) &&
			    !(row->reply.member && is_expected(row->reply.expect, name, field)))
				fail_msg("row %zu: nothing checks %s.%s", k, name, field);
		}
	}
}

static void test_fields_lie_inside_without_overlap(void **state)
{
	(void)state;
	for (int id = 0; id < KD_N_STRUCTS; id++) {
		const struct kd_struct_info *info = kd_struct_get((enum kd_struct_id)id);
		size_t end = 0;

		assert_ptr_equal(kd_struct_find(info->name), info);
		assert_true(info->n_fields > 0);
		for (size_t i = 0; i < info->n_fields; i++) {
			const struct kd_field *f = &info->fields[i];

			if (f->offset < end)
				fail_msg("%s.%s overlaps or is out of order", info->name, f->name);
			assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
			assert_true(f->count >= 1);
			end = f->offset + (size_t)f->size * f->count;
			assert_ptr_equal(kd_field_find(info, f->name), f);
		}
		assert_true(end <= info->size);
	}
	assert_null(kd_struct_find("nothing"));
	assert_null(kd_field_find(kd_struct_get(KD_STRUCT_ID_version), "nothing"));
}

/* The sizes that the protocol gives: members 40 bytes, fixed headers as in packets.def. */
static void test_sizes(void **state)
{
	static const struct {
		const char *name;
		size_t size;
	} sizes[] = { { "manipulate_hdr", 56 }, { "state_change_hdr", 32 }, { "exception", 160 },
		      { "report_amd64", 48 },   { "debug_io", 16 },         { "file_io_hdr", 64 },
		      { "trace_io", 64 },       { "control_request", 12 },
#define KD_X(name, as) { #name, 40 },
		      KD_MEMBER_TABLE(KD_X)
#undef KD_X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct kd_struct_info *info = kd_struct_find(sizes[i].name);

		assert_non_null(info);
		assert_int_equal(info->size, sizes[i].size);
	}
	assert_int_equal(kd_packet_find(KD_PACKET_STATE_MANIPULATE)->fixed_size, 56);
	assert_int_equal(kd_packet_find(KD_PACKET_STATE_CHANGE64)->fixed_size, 240);
	assert_int_equal(kd_packet_find(KD_PACKET_STATE_CHANGE32)->fixed_size, 104);
	assert_int_equal(kd_packet_find(KD_PACKET_FILE_IO)->fixed_size, 64);
}

/* How many bytes of each structure have a name: a field with a wrong width shows here. */
static void test_named_bytes(void **state)
{
	static const struct {
		const char *name;
		size_t n_named;
	} rows[] = {
		{ "manipulate_hdr", 56 },
		{ "read_memory", 16 },
		{ "write_memory", 16 },
		{ "get_context", 4 },
		{ "set_context", 4 },
		{ "write_breakpoint", 12 },
		{ "restore_breakpoint", 4 },
		{ "continue", 4 },
		{ "continue2_amd64", 32 },
		{ "continue2_x86", 20 },
		{ "continue2_arm64", 24 },
		{ "io", 16 },
		{ "io_extended", 28 },
		{ "msr", 12 },
		{ "query_special_calls", 4 },
		{ "set_special_call", 8 },
		{ "set_internal_breakpoint", 12 },
		{ "get_internal_breakpoint", 32 },
		{ "version", 40 },
		{ "breakpoint_ex", 8 },
		{ "search_memory", 20 },
		{ "bus_data", 20 },
		{ "fill_memory", 16 },
		{ "query_memory", 24 },
		{ "switch_partition", 4 },
		{ "write_custom_breakpoint", 22 },
		{ "context_ex", 12 },
		{ "write_breakpoint_entry", 16 },
		{ "restore_breakpoint_entry", 4 },
		{ "state_change_hdr", 32 },
		{ "exception", 160 },
		{ "load_symbols", 33 },
		{ "command_string", 64 },
		{ "report_amd64", 48 },
		{ "report_x86", 40 },
		{ "report_arm64", 36 },
		{ "report_arm", 24 },
		{ "state_change32_hdr", 20 },
		{ "exception32", 84 },
		{ "load_symbols32", 21 },
		{ "version32", 40 },
		{ "debug_io", 16 },
		{ "file_io_hdr", 64 },
		{ "file_create", 36 },
		{ "file_transfer", 20 },
		{ "file_close", 8 },
		{ "trace_io", 12 },
		{ "control_request", 12 },
	};

	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), KD_N_STRUCTS);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct kd_struct_info *info = kd_struct_find(rows[i].name);
		size_t n = 0;

		assert_non_null(info);
		for (size_t k = 0; k < info->n_fields; k++)
			n += (size_t)info->fields[k].size * info->fields[k].count;
		if (n != rows[i].n_named)
			fail_msg("%s: %zu bytes have names", rows[i].name, n);
	}
}

static void test_packet_types(void **state)
{
	(void)state;
	for (uint16_t type = 0; type < 20; type++) {
		const struct kd_packet_info *info = kd_packet_find(type);

		if (type == 0 || type == 8 || type > 11) {
			assert_null(info);
			continue;
		}
		assert_non_null(info);
		assert_int_equal(info->type, type);
		assert_int_equal(info->is_control, type >= 4 && type <= 6);
		assert_true(info->is_control == (info->fixed_size == 0));
	}
}

static void test_continue2_members(void **state)
{
	(void)state;
	assert_int_equal(kd_api_continue2_member(KD_MACHINE_AMD64), KD_MEMBER_continue2_amd64);
	assert_int_equal(kd_api_continue2_member(KD_MACHINE_X86), KD_MEMBER_continue2_x86);
	assert_int_equal(kd_api_continue2_member(KD_MACHINE_ARM64), KD_MEMBER_continue2_arm64);
	assert_int_equal(kd_api_continue2_member(0), KD_MEMBER_continue2_amd64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apis_ascend_and_are_found),
		cmocka_unit_test(test_code_numbers_are_unique),
		cmocka_unit_test(test_nt_names),
		cmocka_unit_test(test_every_api_has_rows),
		cmocka_unit_test(test_rows_name_every_field),
		cmocka_unit_test(test_fields_lie_inside_without_overlap),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_named_bytes),
		cmocka_unit_test(test_packet_types),
		cmocka_unit_test(test_continue2_members),
	};

	return cmocka_run_group_tests_name("wire tables", tests, NULL, NULL);
}
