/* SPDX-License-Identifier: MIT */
/* u, ub, uf */
#include <stdlib.h>
#include <string.h>

#include <openkd/code.h>
#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

enum { INSTRUCTIONS_DEFAULT = 8, INSTRUCTIONS_MAX = 65536 };

static void put_instruction(struct call *call, const struct kd_instruction *i)
{
	json_t *o = data_append_object(call_array(call));
	char bytes[32] = "";

	if (!o)
		return;
	for (unsigned n = 0; n < i->size; n++)
		snprintf(bytes + 2 * n, 3, "%02x", i->bytes[n]);
	data_address(o, "address", i->address);
	data_string(o, "symbol", symbol_of(call->con, i->address).s);
	data_string(o, "bytes", bytes);
	data_string(o, "mnemonic", i->mnemonic);
	data_string(o, "operands", i->operands);
	json_object_set_new(o, "target",
			    i->has_target ? json_string(value_json(i->target).s) : json_null());
}

/* `nt!Foo+0x10:`, where a listing begins or enters another function. */
static void show_heading(struct call *call, uint64_t address, bool is_first)
{
	struct kd_symbol *symbol;
	uint64_t displacement;

	if (is_first) {
		struct symbol_text name = symbol_of(call->con, address);

		if (name.s[0])
			out_styled(call->out, OUT_SYMBOL, "%s:\n", name.s);
		return;
	}
	symbol = app_alloc(sizeof(*symbol));
	if (kd_symbol_at(call->session, address, symbol, &displacement, NULL) == KD_OK &&
	    displacement == 0)
		out_styled(call->out, OUT_SYMBOL, "%s:\n", symbol_of(call->con, address).s);
	free(symbol);
}

static void show_instruction(struct call *call, const struct kd_instruction *i)
{
	struct text t = TEXT_INIT;

	text_instruction(&t, call->con, i);
	out_printf(call->out, "%s\n", text_string(&t));
	text_free(&t);
	put_instruction(call, i);
}

/* From `at`: at most `max` instructions, none that begins at or after `end`. */
static enum kd_status list_code(struct call *call, uint64_t at, uint64_t max, uint64_t end,
				uint64_t *next_ret)
{
	enum kd_status s = KD_OK;

	*next_ret = at;
	for (uint64_t n = 0; n < max && *next_ret < end; n++) {
		struct kd_instruction i;

		if (console_interrupted(call->con))
			return call_fail(call, KD_E_CANCELLED, "cancelled");
		s = kd_code_decode(call->session, *next_ret, &i, call->err);
		if (s != KD_OK)
			break;
		show_heading(call, i.address, n == 0);
		show_instruction(call, &i);
		*next_ret += i.size;
		if (*next_ret < i.address)
			break; /* the address space ends here */
	}
	return s;
}

static enum kd_status take_code_range(struct call *call, struct range *r)
{
	enum kd_status s = args_range(&call->args, 1, INSTRUCTIONS_DEFAULT, r);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	if (!r->has_start)
		r->start = call->con->next_code;
	if (r->count > INSTRUCTIONS_MAX)
		return call_fail(call, KD_E_TOO_BIG, "at most 0x%x instructions", INSTRUCTIONS_MAX);
	return KD_OK;
}

/* `u A B` ends by address, `u A Ln` by number of instructions. */
static bool ends_by_address(const char *args)
{
	const char *p = args + strlen(args);

	while (p > args && p[-1] == ' ')
		p--;
	while (p > args && p[-1] != ' ')
		p--;
	return *p != 'L' && *p != 'l';
}

static enum kd_status run_u(struct call *call)
{
	bool by_address = ends_by_address(call->args.at);
	struct range r;
	uint64_t next, end = UINT64_MAX;
	enum kd_status s = take_code_range(call, &r);

	if (s != KD_OK)
		return s;
	if (r.has_length && by_address)
		end = r.start + r.count;
	call_array(call);
	s = list_code(call, r.start, end == UINT64_MAX ? r.count : INSTRUCTIONS_MAX, end, &next);
	call->con->next_code = next;
	return s;
}

static enum kd_status run_ub(struct call *call)
{
	struct range r;
	uint64_t start, next;
	enum kd_status s = take_code_range(call, &r);

	if (s == KD_OK)
		s = kd_code_before(call->session, r.start, (unsigned)r.count, &start, call->err);
	if (s != KD_OK)
		return s;
	call_array(call);
	s = list_code(call, start, INSTRUCTIONS_MAX, r.start, &next);
	call->con->next_code = start;
	return s;
}

/* --- uf --- */

static void show_call(struct call *call, const struct kd_instruction *i)
{
	if (i->flow != KD_FLOW_CALL)
		return;
	out_printf(call->out, "  %s (%s):\n    call to %s\n", symbol_of(call->con, i->address).s,
		   addr(call->con, i->address).s,
		   i->has_target ? symbol_of(call->con, i->target).s : i->operands);
	put_instruction(call, i);
}

static enum kd_status list_calls(struct call *call, uint64_t at, uint64_t end)
{
	enum kd_status s = KD_OK;

	out_printf(call->out, "%s (%s)\n", symbol_of(call->con, at).s, addr(call->con, at).s);
	while (at < end && s == KD_OK) {
		struct kd_instruction i;

		s = kd_code_decode(call->session, at, &i, call->err);
		if (s != KD_OK)
			break;
		show_call(call, &i);
		at += i.size;
	}
	return s;
}

static enum kd_status run_uf(struct call *call)
{
	bool calls_only = args_take(&call->args, "/c");
	uint64_t address, begin, end, next;
	enum kd_status s = args_value_or(&call->args, call->con->next_code, &address);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_symbol_function_bounds(call->session, address, &begin, &end, call->err);
	if (s != KD_OK)
		return s;
	call_array(call);
	if (calls_only)
		return list_calls(call, begin, end);
	s = list_code(call, begin, INSTRUCTIONS_MAX, end, &next);
	call->con->next_code = next;
	return s;
}

#define CODE_FLAGS (CMD_STOPPED | CMD_CONTINUES)

/* clang-format off */
static const struct command commands[] = {
	{ "u", "u [ADDRESS [LCOUNT|END]]", "Disassemble", "u nt!KeBugCheckEx L4",
	  "disassembly", CODE_FLAGS, WORDS_SYMBOLS, run_u, NULL, NULL },
	{ "ub", "ub [ADDRESS [LCOUNT]]", "Disassemble what stands before an address", "ub @$ra L4",
	  "disassembly", CODE_FLAGS, WORDS_SYMBOLS, run_ub, NULL, NULL },
	{ "uf", "uf [/c] [ADDRESS]", "Disassemble the whole function around an address\n/c: only its calls.",
	  "uf nt!KeBugCheckEx", "disassembly", CMD_STOPPED, WORDS_SYMBOLS, run_uf, NULL, NULL },
};
/* clang-format on */

FAMILY(family_code, "Code");
