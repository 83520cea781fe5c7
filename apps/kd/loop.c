/* SPDX-License-Identifier: MIT */
/*
 * The main loop: jobs when they may run, else waiting for the target, the input, clients and
 * signals. console_wait_stop() is the same loop inside a command, without new jobs.
 */
#include "apps/kd/console.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openkd/error.h>

#include "apps/kd/input.h"
#include "apps/kd/serve.h"
#include "apps/kd/signals.h"
#include "apps/kd/traffic.h"

#define SECOND UINT64_C(1000000000)

enum {
	BATCH_CONNECT_TIMEOUT_MS = 60000,
	DIAGNOSE_FIRST_S = 10, /* silence until the user is told what may be wrong */
	DIAGNOSE_AGAIN_S = 60,
	BUSY_AFTER_MS = 1000,
	INTERRUPT_WINDOW_S = 2,
	WAIT_ERRORS_MAX = 3,
};

uint64_t console_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* The first code stays, but a failure outranks "all went well". */
void console_leave(struct console *c, int exit_code)
{
	if (!c->is_leaving || c->exit_code == EXIT_OK)
		c->exit_code = exit_code;
	c->is_leaving = true;
}

/* --- jobs --- */

static struct job *job_at(struct console *c, size_t n)
{
	return &c->jobs[(c->first_job + n) % JOBS_MAX];
}

void console_free_job(struct job *job)
{
	free(job->text);
	json_decref(job->request_id);
	json_decref(job->request);
}

bool console_push_job(struct console *c, const struct job *job)
{
	if (c->n_jobs == JOBS_MAX) {
		struct job copy = *job;

		console_free_job(&copy);
		return false;
	}
	*job_at(c, c->n_jobs++) = *job;
	return true;
}

static struct job take_job(struct console *c, size_t n)
{
	struct job job = *job_at(c, n);

	for (; n + 1 < c->n_jobs; n++)
		*job_at(c, n) = *job_at(c, n + 1);
	c->n_jobs--;
	return job;
}

static bool may_run(const struct console *c, const struct job *job)
{
	switch (job->origin) {
	case JOB_CLIENT: return true;
	case JOB_END: return c->is_connected || c->is_lost;
	case JOB_STARTUP: return c->is_stopped;
	case JOB_PIPE:
		return c->is_stopped || c->is_prompt_open ||
		       (c->is_connected && console_runs_live(job->text));
	case JOB_TERMINAL:
		return c->is_stopped || c->is_prompt_open || console_runs_anytime(job->text);
	}
	return false;
}

/* The order holds, but clients' jobs don't wait behind the user's. */
static bool next_job(struct console *c, struct job *ret)
{
	bool was_blocked = false;

	for (size_t i = 0; i < c->n_jobs; i++) {
		struct job *job = job_at(c, i);

		if (may_run(c, job) && (!was_blocked || job->origin == JOB_CLIENT)) {
			*ret = take_job(c, i);
			return true;
		}
		was_blocked |= job->origin != JOB_CLIENT;
	}
	return false;
}

static void answer_prompt(struct console *c, const char *text)
{
	struct kd_error err = { 0 };

	c->is_prompt_open = false;
	if (kd_session_answer(c->session, text, strlen(text), &err) != KD_OK)
		console_error(c, &err);
}

static void collect_result(struct console *c, void *context, struct result *r)
{
	(void)c;
	json_array_append_new(context, result_to_json(r));
}

/* A client's commands: their results go to the client, not to the terminal. */
static void run_client_job(struct console *c, struct job *job)
{
	result_fn report = c->report;
	void *context = c->report_context;
	json_t *results = json_array();

	c->report = collect_result;
	c->report_context = results;
	console_run(c, job->text);
	c->report = report;
	c->report_context = context;
	server_answer_run(c->server, job->client, job->request_id, results);
	job->request_id = NULL;
}

static void echo(struct console *c, const char *text)
{
	char prompt[32];

	console_prompt_text(c, prompt, sizeof(prompt));
	out_fresh_line(&c->out);
	out_styled(&c->out, OUT_PROMPT, "%s", prompt);
	out_printf(&c->out, "%s\n", text);
}

/*
 * What Enter on an empty line does: the command once more, or on from where it ended; nothing when
 * it changed the target or ended the session.
 */
static char *repetition(const char *text)
{
	struct command_match m;
	const char *start = text + strspn(text, " \t;");

	command_lookup(start, &m);
	if (!m.command || m.command->flags & CMD_CHANGES)
		return NULL;
	if (m.command->flags & CMD_CONTINUES && !*command_args_end(m.command, m.args))
		return app_strdup(m.name);
	return app_strdup(text);
}

static void note_repeat(struct console *c, const struct job *job)
{
	if (job->origin != JOB_TERMINAL)
		return;
	free(c->repeat_text);
	c->repeat_text = repetition(job->text);
}

static void run_own_job(struct console *c, const struct job *job)
{
	enum kd_status s;

	note_repeat(c, job);
	c->had_batch_jobs |= job->is_batch;
	if (job->is_echoed)
		echo(c, job->text);
	else if (job->origin != JOB_STARTUP)
		out_log_only(&c->out, job->text);
	s = console_run(c, job->text);
	/* Ctrl-C has a status of its own: settle_interrupts(). */
	if (s != KD_OK && job->is_batch && !c->options->keep_going && !console_interrupted(c))
		console_leave(c, s == KD_E_CLOSED ? EXIT_LOST : EXIT_COMMAND_FAILED);
}

/* Ctrl-C pressed during a job has done its work when the job is over. */
static void settle_interrupts(struct console *c)
{
	if (!signals_take_interrupts() && !c->was_interrupted)
		return;
	c->was_interrupted = false;
	kd_session_cancel_clear(c->session);
	if (c->is_batch)
		console_leave(c, EXIT_INTERRUPTED);
}

static void run_job(struct console *c, struct job *job)
{
	input_hide(c->input);
	c->running_job = job;
	c->resumed_in_job = false;
	if (job->origin == JOB_END)
		console_leave(c, EXIT_OK);
	else if (c->is_prompt_open && job->origin != JOB_CLIENT && job->origin != JOB_STARTUP)
		answer_prompt(c, job->text);
	else if (job->request)
		server_traffic_start(c->server, job->client, job->request_id, job->request);
	else if (job->origin == JOB_CLIENT)
		run_client_job(c, job);
	else
		run_own_job(c, job);
	c->running_job = NULL;
	out_flush(&c->out);
	if (c->command_depth == 0)
		settle_interrupts(c);
	console_free_job(job);
}

/* --- what time brings --- */

static uint64_t connect_limit_ns(const struct console *c)
{
	unsigned ms = c->options->connect_timeout_ms;

	if (!ms && c->is_batch)
		ms = BATCH_CONNECT_TIMEOUT_MS;
	return ms ? (uint64_t)ms * 1000000 : UINT64_MAX;
}

static void describe_connection(struct console *c, FILE *to)
{
	char why[1024];

	kd_session_describe(c->session, why, sizeof(why));
	input_hide(c->input);
	out_fresh_line(&c->out);
	out_flush(&c->out);
	fprintf(to, "kd: %s\n", why[0] ? why : "no target was heard");
	c->described_ns = console_now_ns();
}

/* Ends of patience while no target is there. Returns when to look again. */
static uint64_t check_connection(struct console *c, uint64_t now)
{
	uint64_t since = c->lost_since_ns ? c->lost_since_ns : c->started_ns;
	uint64_t limit = connect_limit_ns(c);
	uint64_t told = c->described_ns > since ? c->described_ns + DIAGNOSE_AGAIN_S * SECOND
						: since + DIAGNOSE_FIRST_S * SECOND;

	if (c->is_connected)
		return UINT64_MAX;
	if (limit != UINT64_MAX && now - since >= limit) {
		describe_connection(c, stderr);
		console_leave(c, c->lost_since_ns ? EXIT_LOST : EXIT_CONNECT);
		return now;
	}
	if (now >= told) {
		describe_connection(c, stderr);
		told = now + DIAGNOSE_AGAIN_S * SECOND;
	}
	return APP_MIN(told, limit == UINT64_MAX ? UINT64_MAX : since + limit);
}

/* On a terminal: say that the target runs once it does so for a while. */
static uint64_t check_busy(struct console *c, uint64_t now)
{
	uint64_t due = c->run_since_ns + BUSY_AFTER_MS * UINT64_C(1000000);

	if (c->is_stopped || !c->is_connected || c->out.has_transient || !c->out.is_terminal ||
	    !input_is_terminal(c->input) || c->is_prompt_open || c->out.is_mid_line)
		return UINT64_MAX;
	if (now < due)
		return due;
	out_transient(&c->out, "*BUSY* the target runs; Ctrl-C stops it ");
	return UINT64_MAX;
}

static int shorten(int timeout_ms, uint64_t now, uint64_t due)
{
	uint64_t ms;

	if (due == UINT64_MAX)
		return timeout_ms;
	ms = due <= now ? 0 : APP_MIN((due - now + 999999) / 1000000, (uint64_t)3600000);
	return timeout_ms < 0 || ms < (uint64_t)timeout_ms ? (int)ms : timeout_ms;
}

/* --- signals --- */

/* The first Ctrl-C asked the target to stop; the next ones within the time say that it does not. */
static void on_run_interrupt(struct console *c, unsigned n)
{
	uint64_t now = console_now_ns();

	if (c->unanswered_interrupts && now - c->first_interrupt_ns > INTERRUPT_WINDOW_S * SECOND)
		c->unanswered_interrupts = 0;
	if (c->unanswered_interrupts == 0 ||
	    now - c->first_interrupt_ns > INTERRUPT_WINDOW_S * SECOND)
		c->first_interrupt_ns = now;
	c->unanswered_interrupts += n;
	if (c->unanswered_interrupts == 2) {
		describe_connection(c, stderr);
		fprintf(stderr,
			"kd: the target did not stop yet. Ctrl-C once more within 2 s gives "
			"the connection up.\n");
		c->first_interrupt_ns = now;
	} else if (c->unanswered_interrupts > 2) {
		console_leave(c, EXIT_INTERRUPTED);
	}
}

static void on_signal(void *context, int fd, short events)
{
	struct console *c = context;

	(void)fd;
	(void)events;
	signals_drain();
	if (signals_ending())
		console_leave(c, 128 + signals_ending());
}

/* Now, or before it was lost: Ctrl-C means the target, no longer us. */
static bool was_reached(const struct console *c)
{
	return c->is_connected || c->lost_since_ns;
}

/* Ctrl-C while nothing of ours runs. */
static void on_idle_interrupt(struct console *c)
{
	unsigned n = signals_take_interrupts();

	if (!n)
		return;
	kd_session_cancel_clear(c->session);
	if (c->is_batch || !was_reached(c))
		console_leave(c, EXIT_INTERRUPTED);
	else if (c->is_stopped)
		input_drop_line(c->input);
	else
		on_run_interrupt(c, n);
}

static enum doing what_we_do(const struct console *c)
{
	if (c->is_stopped)
		return DOING_PROMPT;
	return was_reached(c) ? DOING_RUN : DOING_CONNECT;
}

/* --- one round --- */

static void on_wait_error(struct console *c, enum kd_status s, const struct kd_error *err)
{
	if (s == KD_E_CLOSED) {
		c->is_lost = true;
		if (c->is_connected || c->lost_since_ns) {
			console_note(c, "The connection to the target is lost: %s", err->text);
			console_leave(c, EXIT_LOST);
		} else {
			describe_connection(c, stderr);
			console_leave(c, EXIT_CONNECT);
		}
		return;
	}
	console_error(c, err);
	if (++c->wait_errors >= WAIT_ERRORS_MAX)
		console_leave(c, c->is_connected ? EXIT_LOST : EXIT_CONNECT);
}

void console_step(struct console *c, int timeout_ms)
{
	uint64_t now = console_now_ns();
	struct kd_error err = { 0 };
	struct kd_event event;
	enum kd_status s;

	timeout_ms = shorten(timeout_ms, now, check_connection(c, now));
	timeout_ms = shorten(timeout_ms, now, check_busy(c, now));
	if (c->is_leaving)
		return;
	if (c->command_depth == 0 || !c->is_stopped)
		signals_set_doing(what_we_do(c));
	out_flush(&c->out);
	s = watch_wait(c->watch, c->session, timeout_ms, &event, &err);
	signals_set_doing(DOING_COMMAND);
	if (s == KD_OK) {
		c->wait_errors = 0;
		console_event(c, &event);
	} else if (s != KD_E_TIMEOUT && s != KD_E_CANCELLED) {
		on_wait_error(c, s, &err);
	}
	watch_dispatch(c->watch);
}

/*
 * While a command waits for the target to stop, nobody else takes lines: those of the user answer
 * the target's prompt, and the end of input answers for good, so that the target is not left in it.
 */
static void answer_from_input(struct console *c)
{
	for (size_t i = 0; c->is_prompt_open && i < c->n_jobs; i++) {
		enum job_origin origin = job_at(c, i)->origin;
		struct job job;

		if (origin == JOB_END) {
			answer_prompt(c, "");
		} else if (origin == JOB_PIPE || origin == JOB_TERMINAL) {
			job = take_job(c, i);
			answer_prompt(c, job.text);
			console_free_job(&job);
		}
	}
}

enum kd_status console_wait_stop(struct console *c, struct kd_error *err)
{
	uint64_t started = console_now_ns();
	uint64_t limit = c->options->wait_timeout_ms * UINT64_C(1000000);

	while (!c->is_stopped) {
		uint64_t now = console_now_ns();

		if (c->is_leaving)
			return app_error(err, KD_E_CANCELLED, "cancelled");
		if (limit && now - started >= limit) {
			console_leave(c, EXIT_WAIT_TIMEOUT);
			return app_error(err, KD_E_TIMEOUT,
					 "the target did not stop within %g s (--wait-timeout)",
					 c->options->wait_timeout_ms / 1000.0);
		}
		answer_from_input(c);
		console_step(c, shorten(-1, now, limit ? started + limit : UINT64_MAX));
		/* Ctrl-C asks the target to stop, and the wait goes on: until it is pressed again.
		 */
		if (signals_pending() && !c->is_stopped) {
			if (!c->is_connected)
				return app_error(err, KD_E_CANCELLED, "cancelled");
			on_run_interrupt(c, signals_take_interrupts());
			c->was_interrupted = true;
		}
	}
	return KD_OK;
}

/* A command line is through its end: what --wait-timeout means for a target that only runs. */
static void limit_waiting(struct console *c, int *timeout_ms)
{
	uint64_t limit = c->options->wait_timeout_ms * UINT64_C(1000000), now = console_now_ns();

	if (!limit || !c->is_batch || c->is_stopped || !c->is_connected || c->n_jobs == 0)
		return;
	if (now - c->run_since_ns >= limit) {
		struct kd_error err;

		app_error(&err, KD_E_TIMEOUT,
			  "the target did not stop within %g s (--wait-timeout)",
			  c->options->wait_timeout_ms / 1000.0);
		console_error(c, &err);
		console_leave(c, EXIT_WAIT_TIMEOUT);
	}
	*timeout_ms = shorten(*timeout_ms, now, c->run_since_ns + limit);
}

/* False: something went wrong and was told. */
static bool detach(struct console *c)
{
	struct kd_error err = { 0 };

	signals_set_doing(DOING_COMMAND);
	kd_session_cancel_clear(c->session);
	if (c->is_prompt_open)
		answer_prompt(c, "");
	if (kd_session_detach(c->session, true, &err) == KD_OK || !c->is_connected)
		return true;
	console_error(c, &err);
	return false;
}

static int final_exit_code(const struct console *c)
{
	if (c->exit_code != EXIT_OK)
		return c->exit_code;
	if (c->a_command_failed && c->had_batch_jobs)
		return EXIT_COMMAND_FAILED;
	if (c->had_batch_jobs && c->is_stopped && c->stop.reason == KD_STOP_BUGCHECK)
		return EXIT_BUGCHECK;
	return EXIT_OK;
}

int console_main(struct console *c)
{
	watch_add(c->watch, signals_fd(), POLLIN, on_signal, c);
	c->started_ns = console_now_ns();
	while (!c->is_leaving) {
		struct job job;
		int timeout_ms = -1;

		if (next_job(c, &job)) {
			run_job(c, &job);
			continue;
		}
		limit_waiting(c, &timeout_ms);
		if (c->is_leaving)
			break;
		input_show(c->input);
		console_step(c, timeout_ms);
		on_idle_interrupt(c);
	}
	input_hide(c->input);
	out_fresh_line(&c->out);
	console_release_held(c, c->is_stopped);
	int exit_code = final_exit_code(c); /* what the target was like before it ran on */
	traffic_stop(c);

	if (!detach(c) && exit_code == EXIT_OK && c->had_batch_jobs)
		return EXIT_COMMAND_FAILED;
	return exit_code;
}
