/* SPDX-License-Identifier: MIT */
#include "apps/kd/registers.h"

#include <stdio.h>
#include <string.h>

#include <openkd/register.h>

/* One line of the block: names, each printed as `%*s=%0*x`. */
struct line {
	const char *names[6];
	uint8_t width; /* of the name */
	uint8_t size;  /* of the value, bytes */
};

/* clang-format off */
static const struct line general_64[] = {
	{ { "rax", "rbx", "rcx" }, 3, 8 },
	{ { "rdx", "rsi", "rdi" }, 3, 8 },
	{ { "rip", "rsp", "rbp" }, 3, 8 },
	{ { "r8", "r9", "r10" }, 3, 8 },
	{ { "r11", "r12", "r13" }, 3, 8 },
	{ { "r14", "r15" }, 3, 8 },
	{ { NULL }, 0, 0 },
}, general_32[] = {
	{ { "eax", "ebx", "ecx", "edx", "esi", "edi" }, 3, 4 },
	{ { "eip", "esp", "ebp" }, 3, 4 },
	{ { NULL }, 0, 0 },
}, debug_64[] = {
	{ { "dr0", "dr1", "dr2" }, 3, 8 },
	{ { "dr3", "dr6", "dr7" }, 3, 8 },
	{ { NULL }, 0, 0 },
}, debug_32[] = {
	{ { "dr0", "dr1", "dr2", "dr3", "dr6", "dr7" }, 3, 4 },
	{ { NULL }, 0, 0 },
}, control_64[] = {
	{ { "cr0", "cr2", "cr3" }, 3, 8 },
	{ { "cr4", "cr8" }, 3, 8 },
	{ { NULL }, 0, 0 },
}, control_32[] = {
	{ { "cr0", "cr2", "cr3", "cr4" }, 3, 4 },
	{ { NULL }, 0, 0 },
};

static const char *const segments[] = { "cs", "ss", "ds", "es", "fs", "gs" };

/* The bits of efl that have words: set, clear. */
static const struct {
	unsigned bit;
	const char *set, *clear;
} flag_words[] = {
	{ 20, "vip", "   " }, { 19, "vif", "   " }, { 11, "ov", "nv" }, { 10, "dn", "up" },
	{ 9, "ei", "di" },    { 7, "ng", "pl" },    { 6, "zr", "nz" },  { 4, "ac", "na" },
	{ 2, "pe", "po" },    { 0, "cy", "nc" },
};
/* clang-format on */

void registers_flags(struct text *t, uint64_t flags)
{
	text_printf(t, "iopl=%u", (unsigned)(flags >> 12 & 3));
	for (size_t i = 0; i < APP_ARRAY_LEN(flag_words); i++)
		text_printf(
			t, " %s",
			flags >> flag_words[i].bit & 1 ? flag_words[i].set : flag_words[i].clear);
}

static void show_lines(struct console *c, const struct line *lines)
{
	for (; lines->names[0]; lines++) {
		struct text t = TEXT_INIT;

		for (size_t i = 0; i < APP_ARRAY_LEN(lines->names) && lines->names[i]; i++) {
			uint64_t value;

			text_printf(&t, "%s%*s=", i ? " " : "", lines->width, lines->names[i]);
			if (kd_register_get(c->session, lines->names[i], &value, NULL) == KD_OK)
				text_add(&t, value_register(value, lines->size).s);
			else
				text_printf(&t, "%.*s", lines->size * 2, "????????????????");
		}
		out_printf(&c->out, "%s\n", text_string(&t));
		text_free(&t);
	}
}

static void show_flags(struct console *c)
{
	struct text t = TEXT_INIT;
	uint64_t flags;

	if (kd_register_get(c->session, "efl", &flags, NULL) != KD_OK)
		return;
	registers_flags(&t, flags);
	out_printf(&c->out, "%s\n", text_string(&t));
	text_free(&t);
}

static void show_segments(struct console *c)
{
	uint64_t value = 0;

	for (size_t i = 0; i < APP_ARRAY_LEN(segments); i++)
		if (kd_register_get(c->session, segments[i], &value, NULL) == KD_OK)
			out_printf(&c->out, "%s=%04x  ", segments[i], (unsigned)value & 0xffff);
	if (kd_register_get(c->session, "efl", &value, NULL) == KD_OK)
		out_printf(&c->out, "           efl=%08x", (unsigned)value);
	out_printf(&c->out, "\n");
}

static bool show_vector(struct console *c, const struct kd_register_info *r)
{
	uint8_t bytes[64];
	size_t size;

	if (kd_register_read_bytes(c->session, r->name, bytes, sizeof(bytes), &size, NULL) != KD_OK)
		return false;
	out_printf(&c->out, "%5s=", r->name);
	for (size_t i = size; i-- > 0;)
		out_printf(&c->out, "%02x%s", bytes[i], i && i % 8 == 0 ? "`" : "");
	out_printf(&c->out, "\n");
	return true;
}

/* All registers of a group that the machine has, one a line. */
static void show_group(struct console *c, enum kd_register_group group)
{
	size_t n, shown = 0;
	const struct kd_register_info *r = kd_register_table(c->session, &n);

	for (size_t i = 0; i < n; i++)
		if (r[i].group == group)
			shown += show_vector(c, &r[i]);
	if (!shown)
		out_printf(&c->out, "(this target tells no such registers)\n");
}

static void show_descriptors(struct console *c)
{
	static const char *const names[] = { "gdtr", "gdtl", "idtr", "idtl", "tr", "ldtr" };

	for (size_t i = 0; i < APP_ARRAY_LEN(names); i++) {
		uint64_t value;

		if (kd_register_get(c->session, names[i], &value, NULL) == KD_OK)
			out_printf(&c->out, "%s=%s%s", names[i],
				   i == 0 || i == 2 ? value_register(value, c->pointer_size).s
						    : value_register(value, 2).s,
				   i + 1 < APP_ARRAY_LEN(names) ? " " : "\n");
	}
}

void registers_show(struct console *c, unsigned mask)
{
	bool is_64 = c->pointer_size == 8;
	uint64_t pc;

	if (mask & REGISTERS_GENERAL) {
		show_lines(c, is_64 ? general_64 : general_32);
		show_flags(c);
	}
	if (mask & REGISTERS_SEGMENT)
		show_segments(c);
	if (mask & (REGISTERS_X87 | REGISTERS_MMX))
		show_group(c, KD_REGISTER_X87);
	if (mask & REGISTERS_DEBUG)
		show_lines(c, is_64 ? debug_64 : debug_32);
	if (mask & REGISTERS_VECTOR)
		show_group(c, KD_REGISTER_VECTOR);
	if (mask & REGISTERS_CONTROL)
		show_lines(c, is_64 ? control_64 : control_32);
	if (mask & REGISTERS_DESCRIPTOR)
		show_descriptors(c);
	if (mask & REGISTERS_GENERAL && kd_register_pc(c->session, &pc, NULL) == KD_OK)
		console_show_place(c, pc);
}
