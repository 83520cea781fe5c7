/* SPDX-License-Identifier: MIT */
/*
 * Build tool: the facts of core/wire as Lua tables, for the dissector. What they mean is told in
 * kd_dissector.lua, which follows them in the file that Wireshark loads.
 */
#include <stdio.h>

#include "core/wire/api.h"
#include "core/wire/context.h"
#include "core/wire/fields.h"
#include "core/wire/packet.h"

static const char *const formats[] = {
	[KD_FORMAT_HEX] = "HEX",           [KD_FORMAT_DEC] = "DEC",     [KD_FORMAT_ADDR] = "ADDR",
	[KD_FORMAT_NTSTATUS] = "NTSTATUS", [KD_FORMAT_API] = "API",     [KD_FORMAT_BYTES] = "BYTES",
	[KD_FORMAT_CHARS] = "CHARS",       [KD_FORMAT_UTF16] = "UTF16", [KD_FORMAT_FLAGS] = "FLAGS",
};

static const char *const data_kinds[] = {
	[KD_DATA_NONE] = "NONE",
	[KD_DATA_BYTES] = "BYTES",
	[KD_DATA_CONTEXT] = "CONTEXT",
	[KD_DATA_PATTERN] = "PATTERN",
	[KD_DATA_U64S] = "U64S",
	[KD_DATA_WRITE_BPS] = "WRITE_BPS",
	[KD_DATA_RESTORE_BPS] = "RESTORE_BPS",
};

static const char *const members[] = { [KD_MEMBER_none] = "none",
#define KD_X(name, as) [KD_MEMBER_##name] = #name,
				       KD_MEMBER_TABLE(KD_X)
#undef KD_X
};

static void print_structs(void)
{
	printf("local STRUCTS = {\n");
	for (int i = 0; i < KD_N_STRUCTS; i++) {
		const struct kd_struct_info *s = kd_struct_get((enum kd_struct_id)i);

		printf("\t{ name = \"%s\", size = %zu, fields = {\n", s->name, s->size);
		for (size_t n = 0; n < s->n_fields; n++)
			printf("\t\t{ \"%s\", %u, %u, %u, \"%s\" },\n", s->fields[n].name,
			       s->fields[n].offset, s->fields[n].size, s->fields[n].count,
			       formats[s->fields[n].format]);
		printf("\t} },\n");
	}
	printf("}\n");
}

static void print_apis(void)
{
	size_t n;
	const struct kd_api_info *apis = kd_api_table(&n);

	printf("local APIS = {\n");
	for (size_t i = 0; i < n; i++)
		printf("\t[0x%X] = { name = \"%s\", member = \"%s\", data_in = \"%s\", "
		       "data_out = \"%s\", has_reply = %s },\n",
		       apis[i].number, apis[i].name, members[apis[i].member],
		       data_kinds[apis[i].in], data_kinds[apis[i].out],
		       apis[i].answered == KD_ANSWERED_ACK_ONLY ? "false" : "true");
	printf("}\n");
}

static void print_names(void)
{
	size_t n;
	const struct kd_api_info *apis = kd_api_table(&n);

	printf("local CODES = {\n");
	for (size_t i = 0; i < n; i++)
		printf("\t[0x%X] = \"%s\",\n", apis[i].number, apis[i].name);
#define KD_X(name, number, ms_name) printf("\t[0x%X] = \"%s\",\n", number, #name);
	KD_CODE_TABLE(KD_X)
#undef KD_X
	printf("}\nlocal STATUSES = {\n");
#define KD_X(name, value) printf("\t[0x%08X] = \"%s\",\n", value, #name);
	KD_NT_TABLE(KD_X)
#undef KD_X
	printf("}\n");
}

static void print_packets(void)
{
	printf("local PACKETS = {\n");
#define KD_PACKET(number, name, title, is_control, fixed_size)                                   \
	printf("\t[%d] = { name = \"%s\", is_control = %s, fixed_size = %d },\n", number, title, \
	       is_control ? "true" : "false", fixed_size);
#include "core/wire/packets.def"
#undef KD_PACKET
	printf("}\n");
}

static void print_layout(const char *what, const struct kd_reg_layout *l)
{
	printf("\t\t%s = { size = %zu, fields = {\n", what, l->size);
	for (size_t i = 0; i < l->n_fields; i++)
		printf("\t\t\t{ \"%s\", %u, %u },\n", l->fields[i].name, l->fields[i].offset,
		       l->fields[i].size);
	printf("\t\t} },\n");
}

static void print_registers(void)
{
	static const uint16_t machines[] = { KD_MACHINE_AMD64, KD_MACHINE_X86, KD_MACHINE_ARM64 };

	printf("local REGISTERS = {\n");
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		printf("\t[0x%X] = {\n", machines[i]);
		print_layout("context", kd_context_layout(machines[i]));
		print_layout("special_registers", kd_special_layout(machines[i]));
		printf("\t},\n");
	}
	printf("}\n");
}

int main(void)
{
	printf("-- SPDX-License-Identifier: MIT\n"
	       "-- Made by OpenKD's build from core/wire/*.def and kd_dissector.lua: change "
	       "those.\n"
	       "local PAYLOAD_ACCEPT = %d\n",
	       KD_PAYLOAD_ACCEPT);
	print_structs();
	print_apis();
	print_names();
	print_packets();
	print_registers();
	return ferror(stdout) || fflush(stdout) != 0;
}
