/* SPDX-License-Identifier: MIT */
/* k and its kin; .frame .trap .cxr .exr */
#include <stdlib.h>
#include <string.h>

#include <openkd/code.h>
#include <openkd/memory.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/memory.h"
#include "apps/kd/registers.h"
#include "apps/kd/stack.h"
#include "apps/kd/trap_frame.h"

enum { FRAMES_DEFAULT = 0x40, FRAMES_MAX = 4096, CONTEXT_MAX = 4096 };

/* --- k --- */

struct stack_call {
	bool shows_arguments, shows_sp, call_site_only, hides_lines, shows_parameters, shows_traps;
	bool has_start;
	uint64_t sp, pc, count;
};

static enum kd_status take_letters(struct call *call, struct stack_call *k)
{
	for (; *call->args.at && !strchr(" \t=", *call->args.at); call->args.at++) {
		switch (*call->args.at) {
		case 'b': k->shows_arguments = true; break;
		case 'v': k->shows_arguments = k->shows_sp = k->shows_traps = true; break;
		case 'c': k->call_site_only = true; break;
		case 'L': k->hides_lines = true; break;
		case 'p': k->shows_parameters = true; break;
		case 'n': break; /* frames are always numbered */
		default:
			if (*call->args.at >= '0' && *call->args.at <= '9')
				return KD_OK; /* k5 */
			return call_fail(call, KD_E_SYNTAX,
					 "k%c is not known; there are b c L n p v", *call->args.at);
		}
	}
	return KD_OK;
}

static enum kd_status take_stack_arguments(struct call *call, struct stack_call *k)
{
	enum kd_status s = take_letters(call, k);

	if (s == KD_OK && args_take_char(&call->args, '=')) {
		k->has_start = true;
		s = args_value(&call->args, &k->sp);
		if (s == KD_OK)
			s = args_value(&call->args, &k->pc);
	}
	if (s == KD_OK)
		s = args_value_or(&call->args, FRAMES_DEFAULT, &k->count);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK && (k->count == 0 || k->count > FRAMES_MAX))
		s = call_fail(call, KD_E_INVALID, "1 to 0x%x frames", FRAMES_MAX);
	return s;
}

static void show_heading(struct call *call, const struct stack_call *k)
{
	bool is_64 = call->con->pointer_size == 8;
	int width = is_64 ? 17 : 8;

	if (k->call_site_only) {
		out_printf(call->out, " # Call Site\n");
		return;
	}
	if (!is_64) {
		out_printf(call->out, " # ChildEBP RetAddr  %s\n",
			   k->shows_arguments ? "Args to Child" : "");
		return;
	}
	if (!k->shows_arguments)
		out_printf(call->out, " # %-*s %-*s     Call Site\n", width, "Child-SP", width,
			   "RetAddr");
	else
		out_printf(call->out, " # %s%-*s : %-71s : Call Site\n",
			   k->shows_sp ? "Child-SP          " : "", width, "RetAddr",
			   "Args to Child");
}

static void show_arguments_64(struct call *call, const struct kd_frame *f)
{
	out_printf(call->out, ":");
	for (unsigned i = 0; i < 4; i++)
		out_printf(call->out, " %s", addr(call->con, f->arguments[i]).s);
	out_printf(call->out, " : ");
}

static void show_columns(struct call *call, const struct stack_call *k, const struct kd_frame *f)
{
	bool is_64 = call->con->pointer_size == 8;

	if (is_64 && k->shows_arguments && !k->shows_sp)
		out_printf(call->out, "%s ", addr(call->con, f->return_address).s);
	else
		out_printf(call->out, "%s %s ", addr(call->con, is_64 ? f->sp : f->frame).s,
			   addr(call->con, f->return_address).s);
	if (is_64 && k->shows_arguments)
		show_arguments_64(call, f);
	else if (is_64)
		out_printf(call->out, "    ");
	for (unsigned i = 0; !is_64 && k->shows_arguments && i < 3; i++)
		out_printf(call->out, "%s ", addr(call->con, f->arguments[i]).s);
}

static void show_call_site(struct call *call, const struct stack_call *k, const struct kd_frame *f)
{
	struct symbol_text name = symbol_of(call->con, f->pc);
	struct source_line line;

	if (k->call_site_only) {
		name.s[strcspn(name.s, "+")] = '\0';
		out_styled(call->out, OUT_SYMBOL, "%s\n",
			   name.s[0] ? name.s : addr(call->con, f->pc).s);
		return;
	}
	if (name.s[0])
		out_styled(call->out, OUT_SYMBOL, "%s", name.s);
	else
		out_printf(call->out, "0x%s", addr(call->con, f->pc).s);
	if (k->shows_parameters)
		out_printf(call->out, "(0x%llx, 0x%llx, 0x%llx, 0x%llx)",
			   (unsigned long long)f->arguments[0], (unsigned long long)f->arguments[1],
			   (unsigned long long)f->arguments[2],
			   (unsigned long long)f->arguments[3]);
	if (!k->hides_lines && source_of(call->con, f->pc, &line))
		out_printf(call->out, " [%s @ %u]", line.file, line.line);
	if (f->trap_frame && k->shows_traps)
		out_printf(call->out, " (TrapFrame @ %s)", addr(call->con, f->trap_frame).s);
	if (f->is_scanned)
		out_printf(call->out, " (found by scanning: doubtful)");
	out_printf(call->out, "\n");
}

static void put_frame(struct call *call, json_t *list, size_t n, const struct kd_frame *f)
{
	json_t *o = data_append_object(list), *arguments;
	struct source_line line;

	if (!o)
		return;
	data_integer(o, "number", (long long)n);
	data_address(o, "pc", f->pc);
	data_address(o, "sp", f->sp);
	data_address(o, "frame", f->frame);
	data_address(o, "return_address", f->return_address);
	data_string(o, "symbol", symbol_of(call->con, f->pc).s);
	if (source_of(call->con, f->pc, &line)) {
		data_string(o, "file", line.file);
		data_integer(o, "line", line.line);
	}
	data_bool(o, "is_trap", f->is_trap);
	if (f->trap_frame)
		data_address(o, "trap_frame", f->trap_frame);
	data_bool(o, "is_scanned", f->is_scanned);
	arguments = json_array();
	for (unsigned i = 0; i < 4; i++)
		json_array_append_new(arguments, json_string(value_json(f->arguments[i]).s));
	json_object_set_new(o, "arguments", arguments);
}

static void show_frames(struct call *call, const struct stack_call *k,
			const struct kd_frame *frames, size_t n, const char *note)
{
	json_t *o = call_object(call), *list = o ? json_array() : NULL;

	show_heading(call, k);
	for (size_t i = 0; i < n; i++) {
		out_printf(call->out, "%02zx ", i);
		if (!k->call_site_only)
			show_columns(call, k, &frames[i]);
		show_call_site(call, k, &frames[i]);
		put_frame(call, list, i, &frames[i]);
	}
	if (note[0])
		out_printf(call->out, "The stack ends here: %s\n", note);
	if (o) {
		json_object_set_new(o, "frames", list);
		data_string(o, "note", note);
	}
}

static enum kd_status show_stack(struct call *call, const struct stack_call *k)
{
	struct kd_frame *frames = app_alloc((size_t)k->count * sizeof(*frames));
	char note[200] = "";
	size_t n = 0;
	enum kd_status s;

	if (k->has_start)
		s = kd_stack_walk_from(call->session, k->sp, k->pc, frames, (size_t)k->count, &n,
				       note, sizeof(note), call->err);
	else
		s = kd_stack_walk(call->session, frames, (size_t)k->count, &n, note, sizeof(note),
				  call->err);
	if (s == KD_OK)
		show_frames(call, k, frames, n, note);
	free(frames);
	return s;
}

void stack_show(struct call *call, uint64_t count)
{
	struct stack_call k = { .count = count };
	struct kd_error err = { 0 };
	struct call part = *call; /* its frames are not the data of the command around */

	part.wants_data = false;
	part.data = NULL;
	part.err = &err;
	if (show_stack(&part, &k) != KD_OK)
		out_printf(call->out, "(no stack: %s)\n", err.text);
}

static enum kd_status run_k(struct call *call)
{
	struct stack_call k = { 0 };
	enum kd_status s = take_stack_arguments(call, &k);

	return s == KD_OK ? show_stack(call, &k) : s;
}

/* --- register contexts --- */

static enum kd_status use_context(struct call *call, const void *context, size_t size)
{
	uint64_t pc;
	enum kd_status s = kd_context_set(call->session, context, size, call->err);

	if (s == KD_OK && kd_register_pc(call->session, &pc, NULL) == KD_OK)
		call->con->next_code = pc;
	return s;
}

static enum kd_status back_to_processor(struct call *call)
{
	enum kd_status s = use_context(call, NULL, 0);

	if (s == KD_OK)
		out_printf(call->out, "Resetting default scope\n");
	return s;
}

static enum kd_status show_frame(struct call *call, uint64_t number, struct kd_frame *f)
{
	struct kd_frame *frames;
	char note[200];
	size_t n = 0;
	enum kd_status s;

	if (number >= FRAMES_MAX)
		return call_fail(call, KD_E_INVALID, "frames are 0 to 0x%x", FRAMES_MAX - 1);
	frames = app_alloc((size_t)(number + 1) * sizeof(*frames));
	s = kd_stack_walk(call->session, frames, (size_t)number + 1, &n, note, sizeof(note),
			  call->err);
	if (s == KD_OK && n <= number)
		s = call_fail(call, KD_E_NOT_FOUND, "no frame 0x%llx: the stack has 0x%zx",
			      (unsigned long long)number, n);
	if (s == KD_OK) {
		*f = frames[number];
		out_printf(call->out, "%02llx %s %s %s\n", (unsigned long long)number,
			   addr(call->con, f->sp).s, addr(call->con, f->return_address).s,
			   symbol_of(call->con, f->pc).s);
		put_frame(call, call_array(call), (size_t)number, f);
	}
	free(frames);
	return s;
}

static enum kd_status run_frame(struct call *call)
{
	bool sets = false, shows = false;
	uint8_t context[CONTEXT_MAX];
	struct kd_frame f;
	uint64_t number;
	char word[8];
	size_t size;
	enum kd_status s;

	while (args_switch(&call->args, '/', word, sizeof(word))) {
		if (strcmp(word, "c") != 0 && strcmp(word, "r") != 0)
			return call_fail(call, KD_E_SYNTAX, "/%s is not known; there are /c /r",
					 word);
		sets = true;
		shows |= word[0] == 'r';
	}
	s = args_value_or(&call->args, 0, &number);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = show_frame(call, number, &f);
	if (s != KD_OK || !sets)
		return s;
	s = kd_stack_frame_context(call->session, (size_t)number, context, sizeof(context), &size,
				   call->err);
	if (s == KD_OK)
		s = use_context(call, context, size);
	if (s == KD_OK && shows)
		registers_show(call->con, call->con->register_mask);
	return s;
}

/* The address, or none: back to the processor's registers. */
static enum kd_status run_trap(struct call *call)
{
	unsigned pointer = call->con->pointer_size;
	uint8_t context[CONTEXT_MAX] = { 0 }, frame[TRAP_FRAME_SIZE_64] = { 0 };
	uint64_t address;
	size_t size, n_read = 0;
	enum kd_status s;

	if (args_at_end(&call->args))
		return back_to_processor(call);
	s = args_value(&call->args, &address);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_context_get(call->session, context, sizeof(context), &size, call->err);
	if (s == KD_OK)
		s = kd_memory_read(call->session, address, frame,
				   pointer == 8 ? TRAP_FRAME_SIZE_64 : TRAP_FRAME_SIZE_32, &n_read,
				   call->err);
	if (s == KD_OK && !trap_frame_is_whole(pointer, frame, n_read))
		s = call_fail(call, KD_E_UNREADABLE, "not all of a trap frame at %s is readable",
			      addr(call->con, address).s);
	if (s != KD_OK)
		return s;
	trap_frame_apply(pointer, address, frame, context);
	s = use_context(call, context, size);
	if (s != KD_OK)
		return s;
	if (pointer == 8)
		out_printf(call->out,
			   "Note: a trap frame does not hold all registers; r12 to r15 are "
			   "the current ones, others may be zero.\n");
	registers_show(call->con, call->con->register_mask);
	return KD_OK;
}

static enum kd_status run_cxr(struct call *call)
{
	uint8_t context[CONTEXT_MAX];
	uint64_t address;
	size_t size;
	enum kd_status s;

	if (args_at_end(&call->args))
		return back_to_processor(call);
	s = args_value(&call->args, &address);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_context_get(call->session, context, sizeof(context), &size, call->err);
	if (s == KD_OK)
		s = kd_memory_read(call->session, address, context, size, NULL, call->err);
	if (s == KD_OK)
		s = use_context(call, context, size);
	if (s == KD_OK)
		registers_show(call->con, call->con->register_mask);
	return s;
}

/* --- .exr --- */

struct exception {
	uint32_t code, flags, n_parameters;
	uint64_t address, parameters[15];
};

static void show_exception(struct call *call, const struct exception *e)
{
	json_t *o = call_object(call), *list;

	out_printf(call->out, "ExceptionAddress: %s (%s)\n", addr(call->con, e->address).s,
		   symbol_of(call->con, e->address).s);
	out_printf(call->out,
		   "   ExceptionCode: %08x\n  ExceptionFlags: %08x\nNumberParameters: %u\n",
		   e->code, e->flags, e->n_parameters);
	for (uint32_t i = 0; i < e->n_parameters; i++)
		out_printf(call->out, "   Parameter[%u]: %s\n", i,
			   value_register(e->parameters[i], call->con->pointer_size).s);
	if (!o)
		return;
	data_address(o, "address", e->address);
	data_address(o, "code", e->code);
	data_address(o, "flags", e->flags);
	list = json_array();
	for (uint32_t i = 0; i < e->n_parameters; i++)
		json_array_append_new(list, json_string(value_json(e->parameters[i]).s));
	json_object_set_new(o, "parameters", list);
}

/* EXCEPTION_RECORD: code, flags, record, address, count, [padding], parameters. */
static enum kd_status read_exception(struct call *call, uint64_t at, struct exception *e)
{
	unsigned p = call->con->pointer_size, parameters = p == 8 ? 0x20 : 0x14;
	uint8_t bytes[0x98];
	enum kd_status s = kd_memory_read(call->session, at, bytes, parameters + 15 * p, NULL,
					  call->err);

	if (s != KD_OK)
		return s;
	e->code = (uint32_t)value_load(bytes, 4);
	e->flags = (uint32_t)value_load(bytes + 4, 4);
	e->address = value_extend(value_load(bytes + 8 + p, p), p);
	e->n_parameters = (uint32_t)value_load(bytes + 8 + 2 * p, 4);
	e->n_parameters = APP_MIN(e->n_parameters, 15u);
	for (uint32_t i = 0; i < e->n_parameters; i++)
		e->parameters[i] = value_load(bytes + parameters + i * p, p);
	return KD_OK;
}

static enum kd_status last_exception(struct call *call, struct exception *e)
{
	const struct kd_stop *stop = &call->con->stop;

	if (!stop->code)
		return call_fail(call, KD_E_NOT_FOUND, "the last stop was no exception");
	e->code = stop->code;
	e->flags = stop->exception_flags;
	e->address = stop->exception_address;
	e->n_parameters = APP_MIN(stop->n_parameters, 15u);
	memcpy(e->parameters, stop->parameters, sizeof(e->parameters));
	return KD_OK;
}

static enum kd_status run_exr(struct call *call)
{
	struct exception e = { 0 };
	uint64_t address;
	enum kd_status s;

	if (args_take(&call->args, "-1"))
		s = last_exception(call, &e);
	else {
		s = args_value(&call->args, &address);
		if (s == KD_OK)
			s = args_done(&call->args);
		if (s == KD_OK)
			s = read_exception(call, address, &e);
	}
	if (s == KD_OK)
		show_exception(call, &e);
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ "k", "k[b][c][L][n][p][v] [COUNT]\nk[...] = SP IP [COUNT]",
	  "Show the stack of the current registers\n"
	  "b: four arguments (on x64 the home area: not necessarily the arguments). v: b and the stack "
	  "pointers. c: names only. L: no source lines. p: as a call with its arguments. Frames are always "
	  "numbered. `= SP IP`: from other registers.",
	  "kb 8", "stack", CMD_STOPPED, WORDS_NONE, run_k, "bcLnpv", NULL },
	{ ".frame", ".frame [/c] [/r] [NUMBER]",
	  "Show one frame of the stack\n/c: its registers become the ones that commands see; /r: and are "
	  "shown. .cxr without an argument goes back.",
	  ".frame /r 2", "frames", CMD_STOPPED, WORDS_NONE, run_frame, NULL, NULL },
	{ ".trap", ".trap [ADDRESS]",
	  "Use the registers of a trap frame; without an address: the processor's again", ".trap @rbp-80",
	  NULL, CMD_STOPPED, WORDS_SYMBOLS, run_trap, NULL, NULL },
	{ ".cxr", ".cxr [ADDRESS]",
	  "Use the registers of a CONTEXT in memory; without an address: the processor's again",
	  ".cxr @rcx", NULL, CMD_STOPPED, WORDS_SYMBOLS, run_cxr, NULL, NULL },
	{ ".exr", ".exr ADDRESS|-1", "Show an exception record; -1: of the last stop", ".exr -1",
	  "exception", CMD_STOPPED, WORDS_SYMBOLS, run_exr, NULL, NULL },
};
/* clang-format on */

FAMILY(family_stack, "Stacks and register contexts");
