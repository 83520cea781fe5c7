/* SPDX-License-Identifier: MIT */
/* !pte, !vtop, !idt, !pcr, !dbgprint */
#include <stdlib.h>
#include <string.h>

#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/memory.h"

typedef unsigned long long ull;

/* --- page tables --- */

/* "---DA--KWEV": copy-on-write, global, large, dirty, accessed, no cache, write-through, ... */
static void page_flags(uint64_t entry, char text[12])
{
	static const struct {
		uint8_t bit;
		char set, clear;
		bool inverted;
	} letters[] = {
		{ 9, 'C', '-', false }, { 8, 'G', '-', false }, { 7, 'L', '-', false },
		{ 6, 'D', '-', false }, { 5, 'A', '-', false }, { 4, 'N', '-', false },
		{ 3, 'T', '-', false }, { 2, 'U', 'K', false }, { 1, 'W', 'R', false },
		{ 63, 'E', '-', true }, { 0, 'V', '-', false },
	};

	for (size_t i = 0; i < APP_ARRAY_LEN(letters); i++) {
		bool is_set = (entry >> letters[i].bit & 1) != letters[i].inverted;

		text[i] = is_set ? letters[i].set : letters[i].clear;
	}
	text[APP_ARRAY_LEN(letters)] = '\0';
}

static void put_translation(struct call *call, uint64_t address, const struct kd_translation *t)
{
	json_t *o = call_object(call), *list;

	if (!o)
		return;
	data_address(o, "address", address);
	data_bool(o, "is_valid", t->is_valid);
	data_address(o, "physical", t->is_valid ? t->physical : 0);
	data_address(o, "page_size", t->page_size);
	list = json_array();
	for (size_t i = 0; i < t->n_levels; i++) {
		json_t *level = data_append_object(list);

		data_string(level, "name", t->levels[i].name);
		data_address(level, "physical", t->levels[i].entry_physical);
		data_address(level, "virtual", t->levels[i].entry_virtual);
		data_address(level, "entry", t->levels[i].entry);
	}
	json_object_set_new(o, "levels", list);
}

static void show_levels(struct call *call, const struct kd_translation *t)
{
	unsigned size = call->con->pointer_size;
	struct text line[3] = { TEXT_INIT, TEXT_INIT, TEXT_INIT };

	for (size_t i = 0; i < t->n_levels; i++) {
		const struct kd_page_level *l = &t->levels[i];
		char flags[12], cell[64];

		page_flags(l->entry, flags);
		if (l->entry_virtual)
			snprintf(cell, sizeof(cell), "%s at %s", l->name,
				 value_register(l->entry_virtual, size).s);
		else
			snprintf(cell, sizeof(cell), "%s at #%llx", l->name,
				 (ull)l->entry_physical);
		text_printf(&line[0], "%-27s", cell);
		snprintf(cell, sizeof(cell), "contains %s",
			 value_register(l->entry, t->entry_size).s);
		text_printf(&line[1], "%-27s", cell);
		if (l->entry & 1)
			snprintf(cell, sizeof(cell), "pfn %-9llx %s",
				 (ull)(l->entry >> 12 & UINT64_C(0xffffffffff)), flags);
		else
			snprintf(cell, sizeof(cell), "not valid");
		text_printf(&line[2], "%-27s", cell);
	}
	for (size_t i = 0; i < 3; i++) {
		while (line[i].size && line[i].data[line[i].size - 1] == ' ')
			line[i].data[--line[i].size] = '\0';
		out_printf(call->out, "%s\n", text_string(&line[i]));
		text_free(&line[i]);
	}
}

static enum kd_status run_pte(struct call *call)
{
	struct kd_translation t;
	uint64_t address;
	enum kd_status s = args_value(&call->args, &address);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_memory_translate(call->session, 0, address, &t, call->err);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "%43sVA %s\n", "",
		   value_register(address, call->con->pointer_size).s);
	show_levels(call, &t);
	put_translation(call, address, &t);
	return KD_OK;
}

static enum kd_status run_vtop(struct call *call)
{
	struct kd_translation t;
	uint64_t base, address;
	enum kd_status s = args_value(&call->args, &base);

	if (s == KD_OK && args_at_end(&call->args)) {
		address = base; /* !vtop VA */
		base = 0;
	} else if (s == KD_OK) {
		s = args_value(&call->args, &address);
	}
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_memory_translate(call->session, base, address, &t, call->err);
	if (s != KD_OK)
		return s;
	for (size_t i = 0; i < t.n_levels; i++)
		out_printf(call->out, "%s #%llx: %s\n", t.levels[i].name,
			   (ull)t.levels[i].entry_physical, value_register(t.levels[i].entry, 8).s);
	put_translation(call, address, &t);
	if (!t.is_valid)
		return call_fail(call, KD_E_UNREADABLE,
				 "%s is not mapped: the last entry is not valid",
				 addr(call->con, address).s);
	out_printf(call->out, "Virtual address %llx translates to physical address %llx.\n",
		   (ull)address, (ull)t.physical);
	return KD_OK;
}

/* --- the interrupt table --- */

enum { VECTORS = 256 };

enum { TASK_GATE = 5 };

struct gate {
	uint64_t handler;
	uint16_t selector;
	uint8_t type, stack, level;
	bool is_present;
};

static struct gate decode_gate(const uint8_t *b, unsigned pointer_size)
{
	struct gate g = { .selector = (uint16_t)value_load(b + 2, 2),
			  .type = b[5] & 0x0f,
			  .level = b[5] >> 5 & 3,
			  .is_present = b[5] >> 7 };

	g.handler = value_load(b, 2) | value_load(b + 6, 2) << 16;
	if (pointer_size == 8) {
		g.handler |= value_load(b + 8, 4) << 32;
		g.stack = b[4] & 7;
	}
	g.handler = value_extend(g.handler, pointer_size);
	return g;
}

static void show_gate(struct call *call, unsigned vector, const struct gate *g, json_t *list)
{
	struct symbol_text name = symbol_of(call->con, g->handler);
	json_t *o = data_append_object(list);

	if (g->is_present && g->type == TASK_GATE) /* x86: the handler stands in the TSS */
		out_printf(call->out, "%02x: Task Selector = 0x%04x", vector, g->selector);
	else
		out_printf(call->out, "%02x: %s %s", vector, addr(call->con, g->handler).s,
			   g->is_present ? name.s : "(not present)");
	if (g->stack)
		out_printf(call->out, "  Stack: IST %u", g->stack);
	if (g->level)
		out_printf(call->out, "  DPL %u", g->level);
	out_printf(call->out, "\n");
	data_integer(o, "vector", vector);
	data_address(o, "handler", g->handler);
	data_string(o, "symbol", name.s);
	data_integer(o, "selector", g->selector);
	data_integer(o, "type", g->type);
	data_integer(o, "stack", g->stack);
	data_integer(o, "level", g->level);
	data_bool(o, "is_present", g->is_present);
}

static enum kd_status show_idt(struct call *call, uint64_t base, uint64_t first, uint64_t n,
			       bool all)
{
	unsigned size = call->con->pointer_size == 8 ? 16 : 8;
	json_t *list = call_array(call);
	struct memory_block b;
	enum kd_status s = memory_block_read(call, base + first * size, (size_t)n * size, false,
					     &b);

	for (uint64_t i = 0; s == KD_OK && i < n; i++) {
		struct gate g;

		if (!dump_is_valid(&b.view, (size_t)i * size, size)) {
			s = call_fail(call, KD_E_UNREADABLE,
				      "the interrupt table at %s is not readable",
				      addr(call->con, base).s);
			break;
		}
		g = decode_gate(b.bytes + i * size, call->con->pointer_size);
		if (g.is_present || all)
			show_gate(call, (unsigned)(first + i), &g, list);
	}
	memory_block_free(&b);
	return s;
}

static enum kd_status run_idt(struct call *call)
{
	bool all = args_take(&call->args, "-a");
	uint64_t base, limit, vector;
	bool has_vector = !args_at_end(&call->args);
	enum kd_status s = args_value_or(&call->args, 0, &vector);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_register_get(call->session, "idtr", &base, call->err);
	if (s == KD_OK)
		s = kd_register_get(call->session, "idtl", &limit, call->err);
	if (s != KD_OK)
		return s;
	limit = APP_MIN((limit + 1) / (call->con->pointer_size == 8 ? 16 : 8), (uint64_t)VECTORS);
	if (has_vector && vector >= limit)
		return call_fail(call, KD_E_INVALID, "vectors are 0 to 0x%llx", (ull)limit - 1);
	out_printf(call->out, "Dumping IDT: %s\n\n", addr(call->con, base).s);
	return show_idt(call, base, vector, has_vector ? 1 : limit, all || has_vector);
}

/* --- the processor control region --- */

/* clang-format off */
static const char *const pcr_fields[] = {
	"NtTib.StackBase", "NtTib.StackLimit", "Self", "SelfPcr", "CurrentPrcb", "Prcb", "Irql",
	"IdtBase", "IDT", "GdtBase", "GDT", "TssBase", "TSS", "Prcb.Number", "Prcb.CurrentThread",
	"Prcb.NextThread", "Prcb.IdleThread", "PrcbData.Number", "PrcbData.CurrentThread",
	"PrcbData.NextThread", "PrcbData.IdleThread",
};
/* clang-format on */

/* One field, if the type has it and it is a number. */
static void show_pcr_field(struct call *call, struct kd_type type, uint64_t pcr, const char *path)
{
	struct kd_field_info *f = app_alloc(sizeof(*f));
	uint64_t size, value;

	if (kd_type_field(call->session, type, path, f, NULL) == KD_OK) {
		size = kd_type_size(call->session, f->type);
		if ((size == 1 || size == 2 || size == 4 || size == 8) &&
		    kd_memory_read_uint(call->session, pcr + f->offset, (size_t)size, &value,
					NULL) == KD_OK) {
			out_printf(call->out, "    %20s: %s\n", path,
				   value_register(value, (unsigned)size).s);
			data_address(call_object(call), path, value);
		}
	}
	free(f);
}

static enum kd_status show_pcr(struct call *call, uint64_t pcr)
{
	struct kd_type type;
	enum kd_status s = kd_type_find(call->session, "nt!_KPCR", &type, call->err);

	if (s != KD_OK)
		return s;
	out_printf(call->out, "KPCR for Processor %u at %s:\n", kd_session_processor(call->session),
		   addr(call->con, pcr).s);
	data_address(call_object(call), "address", pcr);
	for (size_t i = 0; i < APP_ARRAY_LEN(pcr_fields); i++)
		show_pcr_field(call, type, pcr, pcr_fields[i]);
	return KD_OK;
}

static enum kd_status run_pcr(struct call *call)
{
	uint32_t before = kd_session_processor(call->session);
	uint64_t number, pcr;
	enum kd_status s = args_value_or(&call->args, before, &number);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_session_select_processor(
			call->session, (uint32_t)APP_MIN(number, (uint64_t)UINT32_MAX), call->err);
	if (s != KD_OK)
		return s;
	s = kd_expression_evaluate(call->session, "$pcr", NULL, &pcr, call->err);
	if (s == KD_OK)
		s = show_pcr(call, pcr);
	kd_session_select_processor(call->session, before, NULL);
	return s;
}

/* --- the buffer of debug output --- */

struct print_buffer {
	uint64_t start, size, write, rollovers;
};

/* A KDBG field that is the address of a variable: the variable. */
static enum kd_status variable(struct call *call, const char *field, size_t size, uint64_t *ret)
{
	uint64_t address;
	enum kd_status s = kd_session_kdbg(call->session, field, &address, call->err);

	if (s != KD_OK)
		return s;
	if (size == 0)
		return kd_memory_read_pointer(call->session, address, ret, call->err);
	return kd_memory_read_uint(call->session, address, size, ret, call->err);
}

static enum kd_status find_print_buffer(struct call *call, struct print_buffer *b)
{
	uint64_t end;
	enum kd_status s;

	/* Since 5.2 the buffer may be replaced by a larger one. */
	if (variable(call, "KdPrintCircularBufferPtr", 0, &b->start) != KD_OK ||
	    variable(call, "KdPrintBufferSize", 4, &b->size) != KD_OK) {
		s = kd_session_kdbg(call->session, "KdPrintCircularBuffer", &b->start, call->err);
		if (s == KD_OK)
			s = kd_session_kdbg(call->session, "KdPrintCircularBufferEnd", &end,
					    call->err);
		if (s != KD_OK)
			return s;
		b->size = end - b->start;
	}
	s = variable(call, "KdPrintWritePointer", 0, &b->write);
	if (s == KD_OK)
		s = variable(call, "KdPrintRolloverCount", 4, &b->rollovers);
	if (s != KD_OK)
		return s;
	if (b->size == 0 || b->size > MEMORY_BLOCK_MAX || b->write < b->start ||
	    b->write - b->start > b->size)
		return call_fail(call, KD_E_MALFORMED, "the target's print buffer is damaged");
	return KD_OK;
}

static void add_text(struct text *t, const struct memory_block *b, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (b->valid[i] && b->bytes[i])
			text_append(t, (const char *)&b->bytes[i], 1);
}

static enum kd_status run_dbgprint(struct call *call)
{
	struct print_buffer p;
	struct memory_block b;
	struct text t = TEXT_INIT;
	enum kd_status s = args_done(&call->args);

	if (s == KD_OK)
		s = find_print_buffer(call, &p);
	if (s != KD_OK)
		return s;
	s = memory_block_read(call, p.start, (size_t)p.size, false, &b);
	if (s == KD_OK) {
		if (p.rollovers)
			add_text(&t, &b, p.write - p.start, p.size);
		add_text(&t, &b, 0, p.write - p.start);
		out_text(call->out, text_string(&t), t.size);
		out_fresh_line(call->out);
		if (!t.size)
			out_printf(call->out, "The target's print buffer is empty\n");
		if (call_object(call))
			json_object_set_new(call->data, "text", data_text(text_string(&t), t.size));
	}
	text_free(&t);
	memory_block_free(&b);
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ "!pte", "!pte ADDRESS", "Show the page table entries of an address\n"
	  "Flags: C copy-on-write, G global, L large, D dirty, A accessed, N not cached, T write-through, "
	  "U/K user or kernel, W/R writable or read-only, E executable, V valid.",
	  "!pte nt", "translation", CMD_STOPPED, WORDS_SYMBOLS, run_pte, NULL, NULL },
	{ "!vtop", "!vtop [DIRBASE|0] ADDRESS",
	  "Translate an address by hand; DIRBASE 0: of the current process", "!vtop 0 @rsp",
	  "translation", CMD_STOPPED, WORDS_SYMBOLS, run_vtop, NULL, NULL },
	{ "!idt", "!idt [-a] [VECTOR]", "Show the interrupt table; -a: gates that are not present too",
	  "!idt e", "idt", CMD_STOPPED, WORDS_NONE, run_idt, NULL, NULL },
	{ "!pcr", "!pcr [PROCESSOR]", "Show the processor control region", "!pcr 1",
	  "pcr", CMD_STOPPED, WORDS_NONE, run_pcr, NULL, NULL },
	{ "!dbgprint", "!dbgprint", "Show what the target keeps of its debug output", "!dbgprint",
	  "text", CMD_STOPPED, WORDS_NONE, run_dbgprint, NULL, NULL },
};
/* clang-format on */

FAMILY(family_machine, "Machine");
