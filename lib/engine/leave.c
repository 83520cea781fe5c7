/* SPDX-License-Identifier: MIT */
/*
 * Leaving. Whatever state the session is in, the target is to run on, without anything of ours in
 * it, and nothing of what we sent may stop it after we are gone:
 *
 *   running, something planted --> break in --> stopped --> take everything out --> let it run
 *   running or unheard ----------------------------------------------------------------> pass
 *   stopped --> take everything out --> let it run --> pass
 *
 * Passing: for a moment, whatever stops is let go on. That catches stops that were on their way,
 * and the one that a break-in byte of ours still causes.
 */
#include "lib/engine/breaks.h"
#include "lib/engine/execute.h"
#include "lib/engine/stop.h"
#include "lib/engine/target.h"
#include "lib/engine/wire.h"

static const uint64_t ms = UINT64_C(1000000);

enum {
	LIMIT_MS = 2000,
	PASS_MS = 50,
	/* The silence behind a break-in byte that makes it count, and a clock tick. */
	PASS_BREAK_MS = 1300,
	/* Nobody was ever heard: most likely nobody is there, and the user waits. */
	PASS_UNHEARD_MS = 100,
	PASSES_MAX = 64, /* a target that stops again and again is not ours to keep alive */
};

/* A stop that came, noted. KD_OK without *got: none yet. */
static enum kd_status enter_stop(struct kd_session *s, bool *got, struct kd_error *err)
{
	struct kd_state_change change;

	kd__note_boot(s);
	*got = kd__wire_take_stop(s, &change);
	return *got ? kd__stop_enter(s, &change, err) : KD_OK;
}

/* Stop a running target so that our breakpoints can be taken out. */
static enum kd_status stop_it(struct kd_session *s, uint64_t deadline, struct kd_error *err)
{
	enum kd_status status = KD_OK;
	bool got = false;

	kd__wire_break_in(s);
	while (status == KD_OK && !got && kd__breaks_any_planted(s)) {
		status = enter_stop(s, &got, err);
		if (status == KD_OK && !got)
			status = kd__wire_step(s, deadline, err);
	}
	if (status != KD_OK)
		kd__wire_abandon(s);
	if (status == KD_E_TIMEOUT)
		return kd_error_set(err, KD_E_TIMEOUT, 0,
				    "the target did not stop: breakpoints may be left in it; the "
				    "next attach removes them");
	return status;
}

static uint64_t pass_until(const struct kd_session *s)
{
	uint64_t now = kd_now_ns(), since = now - kd__wire_break_sent(s);

	if (!kd__wire_break_outstanding(s))
		return now + PASS_MS * ms;
	if (!kd__wire_was_heard(s))
		return now + PASS_UNHEARD_MS * ms;
	return since < PASS_BREAK_MS * ms ? now + PASS_BREAK_MS * ms - since : now + PASS_MS * ms;
}

static void pass(struct kd_session *s)
{
	uint64_t until = pass_until(s), limit = kd_now_ns() + LIMIT_MS * ms;
	enum kd_status status = KD_OK;
	int n_passed = 0;

	kd__wire_begin_passing(s);
	while (status == KD_OK || (status == KD_E_TIMEOUT && kd__wire_is_busy(s))) {
		bool got;

		if (kd_now_ns() > limit || n_passed > PASSES_MAX)
			return;
		if (enter_stop(s, &got, NULL) != KD_OK)
			got = true; /* unknown to us, but stopped */
		if (got) {
			n_passed++;
			kd__execute_leave(s, NULL);
			until = KD_MAX(until, kd_now_ns() + PASS_MS * ms);
		}
		status = kd__wire_step(s, kd__wire_is_busy(s) ? limit : until, NULL);
	}
}

/* Nobody hears us any more: nothing that we say next arrives. */
static bool is_unheard(enum kd_status status)
{
	return status == KD_E_TIMEOUT || status == KD_E_CLOSED;
}

/* From stopped to running. What could not be taken out is told, and does not keep it halted. */
static enum kd_status let_go(struct kd_session *s, bool resume, struct kd_error *err)
{
	enum kd_status status = KD_OK, resumed = KD_OK;

	if (!s->options.read_only)
		status = kd__breaks_withdraw(s, err);
	if (is_unheard(status))
		kd__wire_abandon(s);
	kd__breaks_forget_all(s);
	if (resume && !is_unheard(status))
		resumed = kd__execute_leave(s, status == KD_OK ? err : NULL);
	return status == KD_OK ? resumed : status;
}

static enum kd_status leave(struct kd_session *s, bool resume, struct kd_error *err)
{
	uint64_t deadline = kd_now_ns() + LIMIT_MS * ms;
	enum kd_status status = KD_OK;
	bool got;

	kd__plan_forget(s);
	kd__wire_begin_leaving(s);
	kd__note_boot(s);
	if (s->state == KD_SESSION_RESYNC)
		kd__wire_resync(s, NULL); /* if it is halted, it says so now */
	else if (s->state != KD_SESSION_STOPPED && kd__breaks_any_planted(s))
		status = stop_it(s, deadline, err);
	if (status == KD_OK)
		status = enter_stop(s, &got, err);
	if (s->state == KD_SESSION_STOPPED) {
		enum kd_status let = let_go(s, resume, status == KD_OK ? err : NULL);

		status = status == KD_OK ? let : status;
	}
	if (resume && !(is_unheard(status) && s->state == KD_SESSION_STOPPED))
		pass(s);
	return status;
}

KD_EXPORT enum kd_status kd_session_detach(struct kd_session *s, bool resume, struct kd_error *err)
{
	enum kd_status status, closed;

	if (!kd__wire_is_open(s))
		return KD_OK;
	kd__wire_limit_requests(s, LIMIT_MS * ms);
	status = kd__wire_is_replay(s) ? KD_OK : leave(s, resume, err);
	closed = kd__wire_destroy(s, status == KD_OK ? err : NULL);
	s->state = KD_SESSION_DISCONNECTED;
	return status == KD_OK ? closed : status;
}
