/* SPDX-License-Identifier: MIT */
/* g and its kin, steps. */
#include <stdlib.h>
#include <string.h>

#include <openkd/register.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

enum { GO_TARGETS_MAX = 10 };

static const char *pc_name(const struct console *c)
{
	return c->pointer_size == 8 ? "rip" : "eip";
}

/* `=ADDRESS`: start there. */
static enum kd_status take_start(struct call *call)
{
	uint64_t start;
	enum kd_status s;

	if (!args_take_char(&call->args, '='))
		return KD_OK;
	s = args_value(&call->args, &start);
	if (s != KD_OK)
		return s;
	return kd_register_set(call->session, pc_name(call->con), start, call->err);
}

static enum kd_status resumed(struct call *call, enum kd_status s)
{
	if (s == KD_OK)
		console_note_resumed(call->con);
	return s;
}

static enum kd_status go(struct call *call, enum kd_go how)
{
	uint64_t targets[GO_TARGETS_MAX];
	size_t n = 0;
	enum kd_status s = take_start(call);

	while (s == KD_OK && !args_at_end(&call->args)) {
		if (n == GO_TARGETS_MAX)
			return call_fail(call, KD_E_FULL, "at most %d addresses to stop at",
					 GO_TARGETS_MAX);
		s = args_value(&call->args, &targets[n++]);
	}
	if (s != KD_OK)
		return s;
	if (n > 0)
		return resumed(call, kd_session_go_to(call->session, targets, n, how, call->err));
	return resumed(call, kd_session_go(call->session, how, call->err));
}

static enum kd_status run_g(struct call *call)
{
	return go(call, KD_GO);
}

static enum kd_status run_gh(struct call *call)
{
	return go(call, KD_GO_HANDLED);
}

static enum kd_status run_gn(struct call *call)
{
	return go(call, KD_GO_NOT_HANDLED);
}

static enum kd_status run_gc(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	return resumed(call, kd_session_go_as_before(call->session, call->err));
}

static enum kd_status run_gu(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	return resumed(call, kd_session_step(call->session, KD_STEP_OUT, false, 0, call->err));
}

/* --- steps --- */

static const struct step {
	const char *name;
	enum kd_step kind;
	bool into;
} steps[] = {
	{ "p", KD_STEP_OVER, false },
	{ "t", KD_STEP_INTO, true },
	{ "pa", KD_STEP_TO_ADDRESS, false },
	{ "ta", KD_STEP_TO_ADDRESS, true },
	{ "pc", KD_STEP_TO_CALL, false },
	{ "tc", KD_STEP_TO_CALL, true },
	{ "pt", KD_STEP_TO_RETURN, false },
	{ "tt", KD_STEP_TO_RETURN, true },
	{ "ph", KD_STEP_TO_BRANCH, false },
	{ "th", KD_STEP_TO_BRANCH, true },
	{ "pct", KD_STEP_TO_CALL_OR_RETURN, false },
	{ "tct", KD_STEP_TO_CALL_OR_RETURN, true },
};

static const struct step *find_step(const char *name)
{
	size_t i = 0;

	while (strcmp(steps[i].name, name) != 0)
		i++; /* the table of commands names no others */
	return &steps[i];
}

struct step_arguments {
	uint64_t address, count;
	char *command;
};

static enum kd_status parse_step(struct call *call, const struct step *step,
				 struct step_arguments *ret)
{
	enum kd_status s;

	*ret = (struct step_arguments){ .count = 1 };
	if (*call->args.at == 'r') {
		call->args.at++;
		call->con->steps_show_registers = !call->con->steps_show_registers;
	}
	s = take_start(call);
	if (s == KD_OK && step->kind == KD_STEP_TO_ADDRESS)
		s = args_value(&call->args, &ret->address);
	else if (s == KD_OK && !args_at_end(&call->args) && *call->args.at != '"')
		s = args_value(&call->args, &ret->count);
	if (s != KD_OK)
		return s;
	if (ret->count == 0 || ret->count > STEPS_MAX)
		return call_fail(call, KD_E_INVALID, "a count is 1 to 0x%x", STEPS_MAX);
	ret->command = args_quoted(&call->args);
	s = args_done(&call->args);
	if (s != KD_OK)
		free(ret->command);
	return s;
}

/*
 * All steps but the last are waited for here; the last one's end is told by the main loop, unless
 * a command is to run there.
 */
static enum kd_status step_on(struct call *call, const struct step *step,
			      const struct step_arguments *a)
{
	struct console *c = call->con;

	for (uint64_t i = 0; i < a->count; i++) {
		enum kd_status s = resumed(
			call, kd_session_step(call->session, step->kind, step->into, a->address,
					      call->err));

		if (s != KD_OK || (i + 1 == a->count && !a->command))
			return s;
		s = console_wait_stop(c, call->err);
		if (s != KD_OK || c->stop.reason != KD_STOP_STEP || console_interrupted(c))
			return s;
		s = a->command ? console_run(c, a->command) : KD_OK;
		if (s != KD_OK)
			return s;
	}
	return KD_OK;
}

static enum kd_status run_step(struct call *call)
{
	const struct step *step = find_step(call->name);
	struct step_arguments a;
	enum kd_status s = parse_step(call, step, &a);

	if (s != KD_OK)
		return s;
	s = step_on(call, step, &a);
	free(a.command);
	return s;
}

#define STEP_FLAGS (CMD_STOPPED | CMD_RESUMES)

/* clang-format off */
static const struct command commands[] = {
	{ "g", "g [=START] [ADDRESS ...]",
	  "Let the target run, to one of up to 10 addresses if any are given", "g nt!KeBugCheckEx",
	  NULL, CMD_STOPPED | CMD_RESUMES, WORDS_SYMBOLS, run_g, NULL, NULL },
	{ "gh", "gh [=START] [ADDRESS ...]", "Go on; the exception counts as handled", "gh",
	  NULL, CMD_STOPPED | CMD_RESUMES, WORDS_SYMBOLS, run_gh, NULL, NULL },
	{ "gn gN", "gn [=START] [ADDRESS ...]",
	  "Go on; the exception counts as not handled, so that the target's own handlers see it", "gn",
	  NULL, CMD_STOPPED | CMD_RESUMES, WORDS_SYMBOLS, run_gn, NULL, NULL },
	{ "gc", "gc",
	  "Go on in the way that was going on before the breakpoint: running or stepping",
	  "bp nt!NtCreateFile \".if (@rcx == 0) {} .else {gc}\"",
	  NULL, CMD_STOPPED | CMD_RESUMES, WORDS_NONE, run_gc, NULL, NULL },
	{ "gu", "gu", "Run until the current function has returned to its caller", "gu",
	  NULL, STEP_FLAGS, WORDS_NONE, run_gu, NULL, NULL },
	{ "p", "p[r] [=START] [COUNT] [\"COMMANDS\"]",
	  "Step one instruction, over calls\n`r` turns the display of the registers on or off.", "p 3",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "t", "t[r] [=START] [COUNT] [\"COMMANDS\"]", "Step one instruction, into calls", "t",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "pa", "pa[r] [=START] ADDRESS [\"COMMANDS\"]",
	  "Step over calls until an address is reached", "pa @$ra",
	  NULL, STEP_FLAGS, WORDS_SYMBOLS, run_step, "r", NULL },
	{ "ta", "ta[r] [=START] ADDRESS [\"COMMANDS\"]",
	  "Step into calls until an address is reached", "ta nt!KiSwapContext",
	  NULL, STEP_FLAGS, WORDS_SYMBOLS, run_step, "r", NULL },
	{ "pc", "pc[r] [=START] [COUNT] [\"COMMANDS\"]", "Step over calls to the next call", "pc",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "tc", "tc[r] [=START] [COUNT] [\"COMMANDS\"]", "Step into calls to the next call", "tc",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "pt", "pt[r] [=START] [COUNT] [\"COMMANDS\"]", "Step over calls to the next return", "pt",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "tt", "tt[r] [=START] [COUNT] [\"COMMANDS\"]", "Step into calls to the next return", "tt",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "ph", "ph[r] [=START] [COUNT] [\"COMMANDS\"]",
	  "Step over calls to the next branch of any kind", "ph",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "th", "th[r] [=START] [COUNT] [\"COMMANDS\"]",
	  "Step into calls to the next branch of any kind", "th",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "pct", "pct[r] [=START] [COUNT] [\"COMMANDS\"]",
	  "Step over calls to the next call or return", "pct",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
	{ "tct", "tct[r] [=START] [COUNT] [\"COMMANDS\"]",
	  "Step into calls to the next call or return", "tct",
	  NULL, STEP_FLAGS, WORDS_NONE, run_step, "r", NULL },
};
/* clang-format on */

FAMILY(family_execute, "Running and stepping");
