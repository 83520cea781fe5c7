/* SPDX-License-Identifier: MIT */
/*
 * From a state change to a decision. Order of questions for an exception: one of our breakpoints?
 * the end of a step? the break-in we asked for? a crash? the target's own breakpoint? else the
 * filters decide.
 */
#include "lib/engine/stop.h"

#include <string.h>

#include "lib/engine/arch.h"
#include "lib/engine/breaks.h"
#include "lib/engine/event.h"
#include "lib/engine/execute.h"
#include "lib/engine/filter.h"
#include "lib/engine/register.h"
#include "lib/engine/target.h"
#include "lib/engine/wire.h"

enum decision { GO_ON, GIVE_TO_USER, RAN_ON };

/* DBG_STATUS_* in the status register of a stop at nt!DbgBreakPointWithStatus. */
enum {
	STATUS_CONTROL_C = 1,
	STATUS_BUGCHECK_FIRST = 3,
	STATUS_BUGCHECK_SECOND = 4,
	STATUS_FATAL = 5
};

static const uint64_t base_reboot = UINT64_MAX, base_hibernate = UINT64_MAX - 1;

static void note_exception(struct kd_session *s, const struct kd_w_exception *e)
{
	struct kd_stop *stop = &s->stop;

	stop->code = e->code;
	stop->exception_flags = e->flags;
	stop->exception_address = e->address;
	stop->first_chance = e->first_chance != 0;
	stop->n_parameters = KD_MIN(e->n_parameters, (uint32_t)KD_ARRAY_LEN(stop->parameters));
	memcpy(stop->parameters, e->information, stop->n_parameters * sizeof(uint64_t));
}

void kd__stop_note(struct kd_session *s, const struct kd_state_change *change)
{
	s->n_processors = KD_MAX(1u, KD_MIN(change->hdr.n_processors, 256u));
	s->owner = change->hdr.processor < s->n_processors ? change->hdr.processor : 0;
	s->processor = s->owner;
	s->state = KD_SESSION_STOPPED;
	s->generation++;
	s->counters.stops++;
	s->stop = (struct kd_stop){
		.processor = s->owner,
		.thread = kd__normalise(s, change->hdr.thread),
		.pc = kd__normalise(s, change->hdr.program_counter),
		.breakpoint_id = -1,
		.reason = KD_STOP_EXCEPTION,
	};
#define KD_X(part) kd__##part##_on_stop(s);
	KD__PARTS(KD_X)
#undef KD_X
	kd__regs_note_stop(s, change);
	kd__breaks_note_stream(s, s->stop.pc, kd__regs_report(s)->n_stream);
}

/* --- modules --- */

static void tell_module(struct kd_session *s, const struct kd_state_change *change, bool unload)
{
	const struct kd_w_load_symbols *l = &change->u.load_symbols;
	size_t n = strnlen(change->name ? change->name : "", change->name_size);

	kd__events_push(
		s,
		(struct kd_event){ .kind = unload ? KD_EVENT_MODULE_UNLOAD : KD_EVENT_MODULE_LOAD,
				   .module_base = kd__normalise(s, l->base),
				   .module_size = l->size_of_image },
		change->name, n);
}

static void last_component(char *out, size_t size, const char *path, size_t n)
{
	size_t start = 0, len;

	n = strnlen(path, n);
	for (size_t i = 0; i < n; i++)
		if (path[i] == '\\' || path[i] == '/')
			start = i + 1;
	len = KD_MIN(n - start, size - 1);
	memcpy(out, path + start, len);
	out[len] = '\0';
}

static enum decision on_restart_notice(struct kd_session *s, bool hibernates)
{
	const char *text = hibernates ? "the target hibernates"
				      : "the target shuts down or restarts";

	/* What stays in memory would come back out of a hibernation file. */
	kd__breaks_withdraw(s, NULL);
	kd__execute_leave(s, NULL);
	kd__restart(s);
	s->state = KD_SESSION_RUNNING;
	kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_RESTART }, text, strlen(text));
	kd__breaks_disable_unnamed(s);
	return RAN_ON;
}

static enum decision on_module(struct kd_session *s, const struct kd_state_change *change)
{
	const struct kd_w_load_symbols *l = &change->u.load_symbols;
	uint64_t base = kd__normalise(s, l->base);
	struct kd__verdict verdict;
	char file[128];
	bool first;

	s->stop.reason = KD_STOP_MODULE;
	if (l->unload && (l->base == base_reboot || l->base == base_hibernate))
		return on_restart_notice(s, l->base == base_hibernate);
	last_component(file, sizeof file, change->name ? change->name : "", change->name_size);
	if (l->unload) {
		kd__breaks_module_gone(s, base, l->size_of_image);
		kd__modules_note_unload(s, base);
	} else {
		kd__modules_note_load(s, base, l->size_of_image, l->checksum, change->name,
				      change->name_size);
		kd__breaks_resolve(s);
	}
	verdict = kd__filter_module(s, l->unload ? "ud" : "ld", file);
	if (verdict.tell)
		tell_module(s, change, l->unload);
	first = s->options.break_on_first_load && !l->unload;
	if (first)
		s->options.break_on_first_load = false;
	return verdict.stop || first ? GIVE_TO_USER : GO_ON;
}

static enum decision on_command_string(struct kd_session *s, const struct kd_state_change *change)
{
	const char *text = (const char *)change->data;
	size_t name = text ? strnlen(text, change->data_size) : 0;

	s->stop.reason = KD_STOP_MODULE; /* a notice, continued like one */
	if (name < change->data_size) {
		text += name + 1;
		kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_COMMAND }, text,
				strnlen(text, change->data_size - name - 1));
	}
	return GO_ON;
}

/* --- exceptions --- */

static enum decision by_step(enum kd__step_result result, struct kd_session *s)
{
	s->stop.reason = KD_STOP_STEP;
	return result == KD__STEP_DONE ? GIVE_TO_USER : GO_ON;
}

static uint64_t break_status(struct kd_session *s)
{
	uint64_t status = 0;

	if (!s->arch || s->stop.pc != kd__normalise(s, kd__kdbg(s, "BreakpointWithStatus")))
		return 0;
	if (kd__regs_get(s, s->owner, s->arch->status, &status, NULL) != KD_OK)
		return 0;
	return status & 0xFFFFFFFF;
}

/* By its place and status where the target tells the place; else by our having asked. */
static bool is_break_in(struct kd_session *s, uint64_t status)
{
	if (kd__kdbg(s, "BreakpointWithStatus"))
		return status == STATUS_CONTROL_C;
	return kd__wire_break_outstanding(s);
}

static enum decision on_hardcoded(struct kd_session *s)
{
	struct kd__verdict verdict = kd__filter_exception(s, s->stop.code, s->stop.first_chance);
	uint64_t status = break_status(s);

	if (status == STATUS_BUGCHECK_FIRST || status == STATUS_BUGCHECK_SECOND ||
	    status == STATUS_FATAL) {
		s->stop.reason = KD_STOP_BUGCHECK;
		return GIVE_TO_USER;
	}
	if (is_break_in(s, status)) {
		bool served = kd__wire_break_was_served(s);

		s->stop.reason = KD_STOP_BREAK_IN;
		kd__wire_break_seen(s);
		return served ? GO_ON : GIVE_TO_USER;
	}
	s->stop.reason = KD_STOP_HARDCODED;
	return verdict.stop ? GIVE_TO_USER : GO_ON;
}

static enum decision on_breakpoint(struct kd_session *s, struct kd_error *err)
{
	bool ours, stop;
	int id;

	kd__breaks_hit(s, s->stop.pc, 0, &ours, &stop, &id, err);
	if (stop) {
		s->stop.reason = KD_STOP_BREAKPOINT;
		s->stop.breakpoint_id = id;
		return GIVE_TO_USER;
	}
	if (kd__breaks_is_temp(s, s->stop.pc)) {
		enum kd__step_result result = kd__plan_temp_hit(s);

		if (result != KD__STEP_FOREIGN)
			return by_step(result, s);
	}
	return ours ? GO_ON : on_hardcoded(s);
}

static enum decision on_single_step(struct kd_session *s, struct kd_error *err)
{
	uint64_t hits = kd__regs_report(s)->dr6 & 0xF;
	enum kd__step_result result;
	bool ours = false, stop = false;
	int id;

	if (hits)
		kd__breaks_hit(s, 0, hits, &ours, &stop, &id, err);
	if (stop) {
		s->stop.reason = KD_STOP_BREAKPOINT;
		s->stop.breakpoint_id = id;
		return GIVE_TO_USER;
	}
	result = kd__plan_stepped(s);
	if (result == KD__STEP_FOREIGN)
		return GO_ON; /* a trace flag left behind: nobody asked for this stop */
	if (result == KD__STEP_GO_ON && kd__breaks_has_site(s, s->stop.pc)) {
		/* A breakpoint of the user right after the one that was stepped off. */
		kd__breaks_hit(s, s->stop.pc, 0, &ours, &stop, &id, err);
		if (stop) {
			s->stop.reason = KD_STOP_BREAKPOINT;
			s->stop.breakpoint_id = id;
			return GIVE_TO_USER;
		}
	}
	return by_step(result, s);
}

static enum decision on_other(struct kd_session *s)
{
	struct kd__verdict verdict = kd__filter_exception(s, s->stop.code, s->stop.first_chance);

	if (!verdict.stop && verdict.tell)
		kd__events_notice(s, "exception 0x%08x at 0x%llx (%s chance)", s->stop.code,
				  (unsigned long long)s->stop.pc,
				  s->stop.first_chance ? "first" : "second");
	return verdict.stop ? GIVE_TO_USER : GO_ON;
}

static enum decision on_exception(struct kd_session *s, const struct kd_state_change *change,
				  struct kd_error *err)
{
	note_exception(s, &change->u.exception);
	switch (s->stop.code) {
	case KD__NT(BREAKPOINT):
	case KD__NT(WX86_BREAKPOINT): return on_breakpoint(s, err);
	case KD__NT(SINGLE_STEP):
	case KD__NT(WX86_SINGLE_STEP): return on_single_step(s, err);
	case KD__NT(WAKE_SYSTEM_DEBUGGER): s->stop.reason = KD_STOP_PROCESSOR; return GIVE_TO_USER;
	case KD__NT(ASSERTION_FAILURE): s->stop.reason = KD_STOP_ASSERTION; return on_other(s);
	default: return on_other(s);
	}
}

static enum decision decide(struct kd_session *s, const struct kd_state_change *change,
			    struct kd_error *err)
{
	switch (change->hdr.new_state & 0xFFFF) {
	case KD_STATE_LOAD_SYMBOLS: return on_module(s, change);
	case KD_STATE_COMMAND_STRING: return on_command_string(s, change);
	case KD_STATE_EXCEPTION: return on_exception(s, change, err);
	default:
		kd__events_notice(s, "state change of unknown kind 0x%x", change->hdr.new_state);
		return GIVE_TO_USER;
	}
}

/*
 * The first exception after connecting is the user's in any case: the target was halted before we
 * came. A step, or a breakpoint whose instruction is no longer there, was some other debugger's.
 */
static enum decision on_attach(struct kd_session *s, enum decision decision)
{
	const struct kd__report *report = kd__regs_report(s);

	if (s->stop.reason == KD_STOP_MODULE)
		return decision;
	if (decision == GO_ON || (s->stop.reason == KD_STOP_HARDCODED && s->arch &&
				  report->n_stream && report->stream[0] != s->arch->breakpoint[0]))
		s->stop.reason = KD_STOP_INITIAL;
	return GIVE_TO_USER;
}

enum kd_status kd__stop_enter(struct kd_session *s, const struct kd_state_change *change,
			      struct kd_error *err)
{
	kd__stop_note(s, change);
	if ((change->hdr.new_state & 0xFFFF) == KD_STATE_EXCEPTION)
		note_exception(s, &change->u.exception);
	return kd__info_identified(s) ? KD_OK : kd__info_identify(s, change, err);
}

/* The link failed: asking the target to repeat its state may mend it. */
static bool is_about_link(enum kd_status status)
{
	return status == KD_E_TIMEOUT || status == KD_E_CLOSED || status == KD_E_RESET;
}

static enum kd_status go_on(struct kd_session *s, struct kd_error *err)
{
	return s->stop.reason == KD_STOP_MODULE ? kd__execute_pass(s, err)
						: kd__execute_resume(s, err);
}

static enum kd_status handle(struct kd_session *s, const struct kd_state_change *change,
			     bool is_new, struct kd_error *err)
{
	bool is_rejoining = kd__wire_is_rejoining(s);
	enum decision decision = decide(s, change, err);
	enum kd_status status;

	if (decision == RAN_ON)
		return KD_OK;
	if (is_new)
		decision = on_attach(s, decision);
	if (s->stop.reason != KD_STOP_MODULE)
		kd__wire_rejoined(s);
	kd__errand_run(s);
	/* our own: nobody else asked for it. It has come, and is not sent again; what the user asks
	 * for after this is */
	if (s->stop.reason == KD_STOP_BREAK_IN && atomic_load(&s->errand.owes_break))
		kd__wire_stop_given(s);
	if (s->stop.reason == KD_STOP_BREAK_IN &&
	    (atomic_exchange(&s->errand.owes_break, false) || is_rejoining))
		decision = GO_ON;
	if (decision == GO_ON) {
		status = go_on(s, err);
		if (status == KD_OK || is_about_link(status))
			return status;
		kd__events_notice(s, "the target could not be resumed: %s", err->text);
	}
	kd__plan_suspend(s);
	kd__wire_stop_given(s);
	kd__events_stop(s);
	return KD_OK;
}

enum kd_status kd__stop_handle(struct kd_session *s, const struct kd_state_change *change,
			       struct kd_error *err)
{
	bool is_new = !kd__info_identified(s);
	enum kd_status status = kd__stop_enter(s, change, err);

	if (status != KD_OK)
		return status;
	/* A wait that is cancelled in the middle of a stop would leave it to nobody. */
	kd__wire_hold_cancel(s, true);
	status = handle(s, change, is_new, err);
	kd__wire_hold_cancel(s, false);
	return status;
}
