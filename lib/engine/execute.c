/* SPDX-License-Identifier: MIT */
/*
 * Go and step. A *plan* says what the user wants; every resume and every stop consults it.
 *
 *   user: go/step --> plan --> resume() --> RUNNING --stop--> plan: done? --yes--> stop event
 *                                ^                               |
 *                                +------------- no --------------+
 *
 * A resume from an address with a breakpoint of ours takes two: first a single step with that
 * breakpoint out (`off_site`), then the real one.
 */
#include "lib/engine/execute.h"

#include <stdlib.h>
#include <string.h>

#include "lib/engine/arch.h"
#include "lib/engine/breaks.h"
#include "lib/engine/event.h"
#include "lib/engine/late_step.h"
#include "lib/engine/memory.h"
#include "lib/engine/register.h"
#include "lib/engine/stop.h"
#include "lib/engine/wire.h"

enum goal { GOAL_GO, GOAL_STEP };

struct kd__plan {
	enum goal goal;
	enum kd_go how;
	enum kd_step kind;
	bool into;
	uint64_t address;         /* STEP_TO_ADDRESS */
	bool is_set;              /* there is something for gc to go on with */
	bool off_site;            /* the single step under way only leaves a breakpoint */
	bool tracing;             /* the last resume had the trace flag set */
	bool use_temp;            /* the step under way ends at a temporary breakpoint */
	uint64_t temp;            /* its address */
	uint64_t thread, sp;      /* who it belongs to: recursion and other threads don't count */
	bool sp_above;            /* gu: the stack pointer must have grown beyond sp */
	struct kd__tracer tracer; /* tracing: who */
	struct kd__late late;
};

enum kd_status kd__plan_create(struct kd_session *s)
{
	s->plan = calloc(1, sizeof *s->plan);
	return s->plan ? KD_OK : KD_E_NO_MEMORY;
}

void kd__plan_destroy(struct kd_session *s)
{
	free(s->plan);
	s->plan = NULL;
}

/* Another processor stopped before the one that traces made its step. */
void kd__plan_on_stop(struct kd_session *s)
{
	struct kd__plan *p = s->plan;

	if (!p->tracing || kd__tracer_is_by(s, &p->tracer))
		return;
	kd__late_add(&p->late, &p->tracer);
	p->tracing = p->off_site = false;
}

/* A new plan; who is late stays late, but not for the goal before. */
static void plan_set(struct kd_session *s, struct kd__plan plan)
{
	plan.late = s->plan->late;
	for (size_t i = 0; i < plan.late.n; i++)
		plan.late.list[i].is_goal = false;
	*s->plan = plan;
}

void kd__plan_on_resume(struct kd_session *s)
{
	(void)s;
}

void kd__plan_on_restart(struct kd_session *s)
{
	kd__plan_forget(s);
	s->plan->late.n = 0;
}

void kd__plan_forget(struct kd_session *s)
{
	plan_set(s, (struct kd__plan){ .goal = GOAL_GO });
	kd__breaks_drop_temps(s);
}

void kd__plan_suspend(struct kd_session *s)
{
	s->plan->off_site = s->plan->tracing = false;
	kd__breaks_drop_temps(s);
}

/*
 * The PC rule: an instruction that stopped the target and is not ours is passed by us. The
 * instruction stream of the state change shows what is really there: the target takes our
 * breakpoints out of it before.
 */

/* x86 and x64: int 2Ch raises an assertion; its address is reported, as an int3's is. */
static const uint8_t assertion[] = { 0xCD, 0x2C };

/* Bytes at PC to pass if they are there: nothing for exceptions that are not made by an
 * instruction. */
static size_t stopping_instruction(const struct kd_session *s, const uint8_t **bytes_ret)
{
	if (s->stop.code == KD__NT(BREAKPOINT) || s->stop.reason == KD_STOP_MODULE) {
		*bytes_ret = s->arch->breakpoint;
		return s->arch->breakpoint_size;
	}
	if (s->stop.code == KD__NT(ASSERTION_FAILURE)) {
		*bytes_ret = assertion;
		return sizeof assertion;
	}
	return 0;
}

static enum kd_status pass_hardcoded(struct kd_session *s, struct kd_error *err)
{
	const struct kd__report *report = kd__regs_report(s);
	const uint8_t *bytes;
	size_t size;

	if (!s->arch || kd__regs_pc_changed(s))
		return KD_OK;
	size = stopping_instruction(s, &bytes);
	if (!size || report->n_stream < size || memcmp(report->stream, bytes, size))
		return KD_OK;
	return kd__regs_set(s, s->owner, s->arch->pc, s->stop.pc + size, err);
}

/* --- the wire's part of a resume --- */

static bool is_debug_event(uint32_t code)
{
	return code == 0 || code == KD__NT(BREAKPOINT) || code == KD__NT(SINGLE_STEP) ||
	       code == KD__NT(WAKE_SYSTEM_DEBUGGER) || code == KD__NT(ASSERTION_FAILURE) ||
	       code == KD__NT(WX86_BREAKPOINT) || code == KD__NT(WX86_SINGLE_STEP);
}

static uint32_t continue_status(const struct kd_session *s)
{
	enum kd_go how = s->plan->how;

	if (how == KD_GO_NOT_HANDLED)
		return KD__NT(DBG_EXCEPTION_NOT_HANDLED);
	if (how == KD_GO_HANDLED)
		return is_debug_event(s->stop.code) ? KD__NT(DBG_CONTINUE)
						    : KD__NT(DBG_EXCEPTION_HANDLED);
	return is_debug_event(s->stop.code) ? KD__NT(DBG_CONTINUE)
					    : KD__NT(DBG_EXCEPTION_NOT_HANDLED);
}

static enum kd_status send_continue(struct kd_session *s, uint32_t status, bool trace, uint64_t dr7,
				    struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status result;

	if (s->arch) {
		kd_manipulate_init(&m, KD_API_CONTINUE2, s->machine, (uint16_t)s->owner);
		s->arch->continue2(&m, status, trace, dr7);
	} else {
		kd_manipulate_init(&m, KD_API_CONTINUE, s->machine, (uint16_t)s->owner);
		m.u.cont.continue_status = status;
	}
	result = kd__wire_order(s, &m, err);
	if (result != KD_OK)
		return result;
	s->state = KD_SESSION_RUNNING;
	s->generation++;
#define KD_X(part) kd__##part##_on_resume(s);
	KD__PARTS(KD_X)
#undef KD_X
	return KD_OK;
}

/* --- steps --- */

static bool matches(enum kd_step kind, enum kd_flow flow)
{
	switch (kind) {
	case KD_STEP_TO_CALL: return flow == KD_FLOW_CALL;
	case KD_STEP_TO_RETURN: return flow == KD_FLOW_RETURN;
	case KD_STEP_TO_CALL_OR_RETURN: return flow == KD_FLOW_CALL || flow == KD_FLOW_RETURN;
	case KD_STEP_TO_BRANCH: return flow != KD_FLOW_NEXT && flow != KD_FLOW_TRAP;
	case KD_STEP_INTO:
	case KD_STEP_OVER:
	case KD_STEP_TO_ADDRESS:
	case KD_STEP_OUT: break;
	}
	return true;
}

static enum kd_status run_to(struct kd_session *s, uint64_t address, bool above,
			     struct kd_error *err)
{
	struct kd__plan *p = s->plan;
	enum kd_status status = kd__regs_get(s, s->owner, s->arch->sp, &p->sp, err);

	if (status == KD_OK)
		status = kd__breaks_add_temp(s, address, err);
	p->use_temp = true;
	p->temp = address;
	p->thread = s->stop.thread;
	p->sp_above = above;
	return status;
}

static bool steps_over(const struct kd__plan *p)
{
	return p->kind == KD_STEP_OVER || (p->kind != KD_STEP_INTO && !p->into);
}

/* Prepare the next move of a step: a temporary breakpoint, or (use_temp false) the trace flag. */
static enum kd_status prepare_step(struct kd_session *s, struct kd_error *err)
{
	struct kd__plan *p = s->plan;
	struct kd_instruction insn;
	struct kd_frame frame;
	char note[64];
	size_t n = 0;
	enum kd_status status;

	p->use_temp = false;
	switch (p->kind) {
	case KD_STEP_TO_ADDRESS:
		status = run_to(s, p->address, false, err);
		p->sp = 0;
		return status;
	case KD_STEP_OUT:
		status = kd_stack_walk(s, &frame, 1, &n, note, sizeof note, err);
		if (status == KD_OK && (n == 0 || frame.return_address == 0))
			return kd_error_set(err, KD_E_NOT_FOUND, s->stop.pc,
					    "the current frame has no return address to run to");
		return status == KD_OK ? run_to(s, frame.return_address, true, err) : status;
	default: break;
	}
	if (!steps_over(p))
		return KD_OK;
	status = kd_code_decode(s, s->stop.pc, &insn, err);
	if (status != KD_OK)
		return status == KD_E_UNREADABLE ? KD_OK : status;
	if (insn.is_valid && (insn.flow == KD_FLOW_CALL || insn.is_repeated))
		return run_to(s, insn.address + insn.size, false, err);
	return KD_OK;
}

static bool is_at_site(const struct kd_session *s, uint64_t pc)
{
	return kd__breaks_has_site(s, pc) || kd__breaks_has_execute(s, pc);
}

/* The thread that stopped is to make the plan's step, and by the trace flag. */
static bool steps_now(const struct kd__plan *p)
{
	return p->goal == GOAL_STEP && !p->use_temp && !kd__late_has_goal(&p->late);
}

/* With the eyes of the stopped processor, whatever process the user looks at. */
static enum kd_status here(struct kd_session *s,
			   enum kd_status (*fn)(struct kd_session *, struct kd_error *),
			   struct kd_error *err)
{
	uint64_t directory = kd__memory_directory(s);
	enum kd_status status;

	kd__memory_set_directory(s, 0);
	status = fn(s, err);
	kd__memory_set_directory(s, directory);
	return status;
}

enum kd_status kd__execute_resume(struct kd_session *s, struct kd_error *err)
{
	struct kd__plan *p = s->plan;
	uint32_t how = continue_status(s);
	struct kd__except except = { 0 };
	struct kd__tracer mine;
	bool is_mine, off;
	enum kd_status status = pass_hardcoded(s, err);

	kd__late_take(s, &p->late, &mine); /* it stopped for another reason: its step is over */
	if (status == KD_OK && steps_now(p))
		status = here(s, prepare_step, err);
	if (status != KD_OK)
		return status;
	is_mine = steps_now(p);
	off = (int32_t)how >= 0 && is_at_site(s, s->stop.pc);
	kd__late_except(&p->late, &except);
	if (off)
		except.at[except.n++] = s->stop.pc;
	status = kd__breaks_plant(s, &except, err);
	if (status != KD_OK)
		return status;
	p->off_site = off && !is_mine;
	p->tracing = is_mine || off;
	p->tracer = (struct kd__tracer){ s->stop.thread, s->owner, off ? s->stop.pc : 0, is_mine };
	p->how = KD_GO; /* what was said about this exception does not hold for the next */
	return send_continue(s, how, p->tracing, kd__breaks_dr7(s, &except), err);
}

enum kd_status kd__execute_pass(struct kd_session *s, struct kd_error *err)
{
	if (!s->plan->is_set)
		kd__plan_forget(s);
	return kd__execute_resume(s, err);
}

enum kd_status kd__execute_leave(struct kd_session *s, struct kd_error *err)
{
	bool is_event = is_debug_event(s->stop.code);

	pass_hardcoded(s, NULL); /* a refusal must not keep the target from running */
	return send_continue(s, is_event ? KD__NT(DBG_CONTINUE) : KD__NT(DBG_EXCEPTION_NOT_HANDLED),
			     false, kd__breaks_dr7(s, NULL), err);
}

/* After a step: is the goal reached, or is another move needed? */
static enum kd__step_result evaluate(struct kd_session *s)
{
	struct kd__plan *p = s->plan;
	struct kd_instruction insn;

	p->use_temp = false;
	kd__breaks_drop_temps(s);
	if (p->kind < KD_STEP_TO_CALL || p->kind == KD_STEP_OUT || p->kind == KD_STEP_TO_ADDRESS)
		return KD__STEP_DONE;
	if (kd_code_decode(s, s->stop.pc, &insn, NULL) != KD_OK || !insn.is_valid)
		return KD__STEP_DONE;
	return matches(p->kind, insn.flow) ? KD__STEP_DONE : KD__STEP_GO_ON;
}

enum kd__step_result kd__plan_stepped(struct kd_session *s)
{
	struct kd__plan *p = s->plan;
	struct kd__tracer late;

	if (kd__late_take(s, &p->late, &late))
		return late.is_goal ? evaluate(s) : KD__STEP_GO_ON;
	if (!p->tracing)
		return KD__STEP_FOREIGN;
	p->tracing = false;
	if (p->off_site) {
		p->off_site = false;
		/* The step off the breakpoint may have arrived where the plan ends. */
		if (p->use_temp && s->stop.pc == p->temp)
			return kd__plan_temp_hit(s);
		if (p->goal == GOAL_GO && kd__breaks_is_temp(s, s->stop.pc))
			return KD__STEP_DONE;
		return KD__STEP_GO_ON;
	}
	return evaluate(s);
}

enum kd__step_result kd__plan_temp_hit(struct kd_session *s)
{
	struct kd__plan *p = s->plan;
	uint64_t sp = 0;

	if (p->goal == GOAL_GO)
		return KD__STEP_DONE; /* g ADDRESS */
	if (!p->use_temp || s->stop.pc != p->temp)
		return KD__STEP_FOREIGN;
	if (p->kind == KD_STEP_TO_ADDRESS)
		return KD__STEP_DONE;
	if (p->thread && p->thread != s->stop.thread)
		return KD__STEP_GO_ON;
	if (kd__regs_get(s, s->owner, s->arch->sp, &sp, NULL) != KD_OK)
		return KD__STEP_DONE;
	if (p->sp_above ? sp <= p->sp : sp < p->sp)
		return KD__STEP_GO_ON; /* an inner call of the same function */
	return evaluate(s);
}

/* --- the processor that is stepped must own the stop --- */

static enum kd_status order_switch(struct kd_session *s, uint32_t processor, struct kd_error *err)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_SWITCH_PROCESSOR, s->machine, (uint16_t)processor);
	return kd__wire_order(s, &m, err);
}

/*
 * The state change that hands control to a processor: each drops the permission to set registers
 * and what is planted in its instruction stream, as any other does.
 */
static enum kd_status wait_control(struct kd_session *s, uint32_t processor, uint64_t deadline,
				   struct kd_error *err)
{
	struct kd_state_change change;
	enum kd_status status = KD_OK;

	while (status == KD_OK && !kd__wire_take_stop(s, &change))
		status = kd__wire_step(s, deadline, err);
	if (status != KD_OK)
		return status;
	kd__stop_note(s, &change);
	if (s->owner != processor)
		return kd_error_set(err, KD_E_MALFORMED, 0,
				    "processor %u reports instead of processor %u", s->owner,
				    processor);
	return KD_OK;
}

/*
 * Arm a single step on a processor that does not own the stop: switch to it, Continue2 with trace;
 * control returns to the owner, whose continue then lets all of them run (facts 5.8).
 */
static enum kd_status arm_other(struct kd_session *s, uint32_t processor, struct kd__tracer *ret,
				struct kd_error *err)
{
	struct kd_manipulate m;
	struct kd_stop before = s->stop;
	uint64_t deadline = kd_now_ns() + UINT64_C(5000000000);
	enum kd_status status = order_switch(s, processor, err);

	if (status == KD_OK)
		status = wait_control(s, processor, deadline, err);
	if (status != KD_OK)
		return status;
	*ret = (struct kd__tracer){ .processor = processor,
				    .off = is_at_site(s, s->stop.pc) ? s->stop.pc : 0,
				    .is_goal = true };
	kd_manipulate_init(&m, KD_API_CONTINUE2, s->machine, (uint16_t)processor);
	s->arch->continue2(&m, KD__NT(DBG_CONTINUE), true, kd__breaks_dr7(s, NULL));
	status = kd__wire_order(s, &m, err);
	if (status == KD_OK)
		status = wait_control(s, before.processor, deadline, err);
	if (status == KD_OK)
		s->stop = before; /* what it stopped for is not said again */
	return status;
}

/* --- the public face --- */

/* A move that could not be begun leaves no temporary breakpoint for the next one. */
static enum kd_status begin(struct kd_session *s, enum kd_status status)
{
	if (status != KD_OK)
		kd__breaks_drop_temps(s);
	return status;
}

KD_EXPORT enum kd_status kd_session_go(struct kd_session *s, enum kd_go how, struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	kd__wire_forget_break(s);
	plan_set(s, (struct kd__plan){ .goal = GOAL_GO, .how = how, .is_set = true });
	return begin(s, kd__execute_resume(s, err));
}

KD_EXPORT enum kd_status kd_session_go_to(struct kd_session *s, const uint64_t *addresses, size_t n,
					  enum kd_go how, struct kd_error *err)
{
	enum kd_status status = kd__need_write(s, err);

	if (status != KD_OK)
		return status;
	kd__breaks_drop_temps(s);
	for (size_t i = 0; i < n && status == KD_OK; i++)
		status = kd__breaks_add_temp(s, kd__normalise(s, addresses[i]), err);
	if (status == KD_OK)
		status = kd_session_go(s, how, err);
	return begin(s, status);
}

KD_EXPORT enum kd_status kd_session_step(struct kd_session *s, enum kd_step kind, bool into,
					 uint64_t address, struct kd_error *err)
{
	enum kd_status status = kd__need_write(s, err);
	struct kd__tracer other;

	if (status == KD_OK && !s->arch)
		status = kd_error_set(err, KD_E_UNSUPPORTED, 0,
				      "no stepping for machine type 0x%04x", s->machine);
	if (status != KD_OK)
		return status;
	kd__wire_forget_break(s);
	kd__plan_forget(s);
	plan_set(s, (struct kd__plan){ .goal = GOAL_STEP,
				       .kind = kind,
				       .into = into,
				       .address = kd__normalise(s, address),
				       .is_set = true });
	if (s->processor == s->owner)
		return begin(s, kd__execute_resume(s, err));
	if (kind != KD_STEP_INTO)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "processor %u did not stop by itself: only t can step it (~%us "
				    "returns to the one that did)",
				    s->processor, s->owner);
	status = arm_other(s, s->processor, &other, err);
	if (status != KD_OK)
		return status;
	kd__late_add(&s->plan->late, &other);
	return begin(s, kd__execute_resume(s, err));
}

KD_EXPORT enum kd_status kd_session_go_as_before(struct kd_session *s, struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	if (!s->plan->is_set)
		return kd_session_go(s, KD_GO, err);
	if (s->plan->use_temp)
		status = kd__breaks_add_temp(s, s->plan->temp, err);
	return begin(s, status == KD_OK ? kd__execute_resume(s, err) : status);
}

static enum kd_status order_plain(struct kd_session *s, uint32_t api, struct kd_error *err)
{
	struct kd_manipulate m;
	enum kd_status status = kd__need_write(s, err);

	if (status == KD_OK)
		status = kd__breaks_withdraw(s, err);
	if (status != KD_OK)
		return status;
	kd__plan_forget(s);
	kd_manipulate_init(&m, api, s->machine, (uint16_t)s->owner);
	status = kd__wire_order(s, &m, err);
	if (status == KD_OK) {
		s->state = KD_SESSION_RUNNING;
		s->generation++;
	}
	return status;
}

KD_EXPORT enum kd_status kd_session_reboot(struct kd_session *s, struct kd_error *err)
{
	return order_plain(s, KD_API_REBOOT, err);
}

KD_EXPORT enum kd_status kd_session_crash(struct kd_session *s, struct kd_error *err)
{
	return order_plain(s, KD_API_CAUSE_BUGCHECK, err);
}
