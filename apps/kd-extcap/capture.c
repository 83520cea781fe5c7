/* SPDX-License-Identifier: MIT */
/*
 *	attach -> start traffic -> open the FIFO -> hand it over -> wait
 *
 * From then on packets go straight from the session into the FIFO; what is left here is the
 * toolbar. It ends when Wireshark says so (SIGTERM), when nobody reads the FIFO any more, or when
 * the session or the driver is gone.
 */
#include "apps/kd-extcap/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "apps/kd-extcap/sources.h"
#include "apps/kd-extcap/toolbar.h"

enum { FIFO_MS = 30000, FIFO_STEP_MS = 20, RELEASE_MS = 3000 };

struct capture {
	const struct extcap_options *options;
	struct toolbar bar;
	struct link *link;
	int fifo, signals;
	pid_t parent;      /* Wireshark; 0: nobody whose end matters */
	char message[800]; /* why it failed */
	json_t *before;    /* the filters of a session that was there first; NULL: ours are */
	bool is_over;
};

/* --- signals --- */

static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_signals(struct capture *c)
{
	struct signalfd_siginfo info;

	while (read(c->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			toolbar_reap(&c->bar);
		else
			c->is_over = true;
	}
}

/* --- attaching --- */

static struct link *open_link(struct capture *c)
{
	const struct extcap_options *o = c->options;
	struct source_list list;
	const struct source *s;
	struct link *link = NULL;

	s = sources_find(&list) ? sources_get(&list, o->interface) : NULL;
	if (!s) {
		snprintf(c->message, sizeof(c->message),
			 "%.90s is gone: its session ended, or the VM was switched off",
			 o->interface);
	} else if (*s->session) {
		link = link_open_session(s->session, c->message, sizeof(c->message));
	} else if (!*s->endpoint) {
		snprintf(c->message, sizeof(c->message), "%s has no debug port%s%s", s->name,
			 *s->obstacle ? ": " : "", s->obstacle);
	} else if (s->is_taken) {
		snprintf(c->message, sizeof(c->message), "%s: %s", s->name, s->obstacle);
	} else {
		struct link_vm_options vm = { s->name, s->endpoint, o->symbols };

		link = link_open_vm(&vm, toolbar_log, &c->bar, c->message, sizeof(c->message));
		if (!link && *s->obstacle) {
			size_t n = strlen(c->message);

			snprintf(c->message + n, sizeof(c->message) - n, "; %s", s->obstacle);
		}
	}
	sources_free(&list);
	return link;
}

/* A good answer, or NULL and the message. */
static json_t *ask(struct capture *c, json_t *request, int given)
{
	json_t *answer = c->link->ops->ask(c->link, request, given);
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	snprintf(c->message, sizeof(c->message), "%.700s",
		 error ? error : "the session does not answer any more");
	json_decref(answer);
	return NULL;
}

static void put_filters(json_t *o, const struct extcap_options *options)
{
	if (options->filter && *options->filter)
		json_object_set_new(o, "filter", json_string(options->filter));
	if (options->hold && *options->hold)
		json_object_set_new(o, "intercept", json_string(options->hold));
}

static const char *const filter_names[] = { "filter", "intercept" };
enum { FILTERS = sizeof(filter_names) / sizeof(filter_names[0]) };

/* What is there instead of ours, to be put back. `now`: what the session said it has. */
static void remember_filters(struct capture *c, const json_t *ours, const json_t *now)
{
	c->before = json_pack("{s:s}", "op", "traffic-filter");
	for (size_t i = 0; i < FILTERS; i++) {
		const char *text = json_string_value(json_object_get(now, filter_names[i]));

		if (json_object_get(ours, filter_names[i]))
			json_object_set_new(c->before, filter_names[i],
					    json_string(text ? text : ""));
	}
}

/* Those that are still as we set them: somebody else may know better by now. */
static void put_filters_back(struct capture *c)
{
	json_t *ours = json_object(), *now;

	put_filters(ours, c->options);
	now = ask(c, json_pack("{s:s}", "op", "traffic-status"), -1);
	for (size_t i = 0; i < FILTERS; i++)
		if (!json_equal(json_object_get(now, filter_names[i]),
				json_object_get(ours, filter_names[i])))
			json_object_del(c->before, filter_names[i]);
	if (json_object_size(c->before) > 1)
		json_decref(ask(c, json_incref(c->before), -1));
	json_decref(now);
	json_decref(ours);
}

/* Traffic that somebody looks at already: what was asked for goes, the rest is left alone. */
static bool adapt(struct capture *c, const json_t *now)
{
	json_t *filter = json_pack("{s:s}", "op", "traffic-filter"), *answer;
	bool ok = true;

	put_filters(filter, c->options);
	if (json_object_size(filter) > 1) {
		remember_filters(c, filter, now);
		answer = ask(c, filter, -1);
		ok = answer != NULL;
		json_decref(answer);
	} else {
		json_decref(filter);
	}
	if (ok && c->options->intercept) {
		answer = ask(c, json_pack("{s:s,s:s}", "op", "traffic-mode", "mode", "intercept"),
			     -1);
		ok = answer != NULL;
		json_decref(answer);
	}
	return ok;
}

/* A session's target may stand still: its owner decides how long. */
static void tell_state(struct capture *c)
{
	json_t *answer = ask(c, json_pack("{s:s}", "op", "status"), -1);
	const char *state = json_string_value(json_object_get(answer, "state"));

	if (state && strcmp(state, "stopped") == 0)
		toolbar_log(&c->bar, "the target is stopped in its session: nothing flows until it "
				     "runs again (g)");
	json_decref(answer);
	c->message[0] = '\0';
}

static bool start(struct capture *c)
{
	const char *mode = c->options->intercept ? "intercept" : "capture";
	json_t *o = json_pack("{s:s,s:s}", "op", "traffic-start", "mode", mode), *answer, *hears;
	bool ok;

	put_filters(o, c->options);
	answer = ask(c, o, -1);
	if (!answer)
		return false;
	ok = !json_is_true(json_object_get(answer, "was_running")) || adapt(c, answer);
	if (ok) {
		const char *now = json_string_value(json_object_get(answer, "mode"));
		const char *hold = json_string_value(json_object_get(answer, "intercept"));

		hears = ask(c, json_pack("{s:s}", "op", "traffic-events"), -1);
		json_decref(hears);
		toolbar_begin(&c->bar, c->link,
			      c->options->intercept || (now && strcmp(now, "intercept") == 0),
			      c->options->hold && *c->options->hold ? c->options->hold : hold);
	}
	json_decref(answer);
	return ok;
}

/* --- the FIFO --- */

static bool open_fifo(struct capture *c, int timeout_ms)
{
	if (strcmp(c->options->fifo, "-") == 0) {
		c->fifo = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
		return c->fifo >= 0;
	}
	for (int ms = 0; c->fifo < 0 && ms < timeout_ms && !c->is_over; ms += FIFO_STEP_MS) {
		c->fifo = open(c->options->fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (c->fifo < 0 && errno != ENXIO && errno != EINTR)
			break;
		if (c->fifo < 0)
			poll(NULL, 0, FIFO_STEP_MS);
		take_signals(c);
	}
	if (c->fifo < 0)
		snprintf(c->message, sizeof(c->message), "%.600s: %s", c->options->fifo,
			 strerror(errno));
	return c->fifo >= 0;
}

/* The session writes into it; our own copy only tells when its reader is gone. */
static bool hand_over(struct capture *c)
{
	json_t *answer = ask(c, json_pack("{s:s}", "op", "traffic-stream"), c->fifo);

	json_decref(answer);
	return answer != NULL;
}

/* --- waiting --- */

static void take_events(struct capture *c)
{
	json_t *e;

	while ((e = c->link->ops->event(c->link))) {
		const char *kind = json_string_value(json_object_get(e, "kind"));
		const char *text = json_string_value(json_object_get(e, "text"));

		toolbar_event(&c->bar, e);
		if (kind && strcmp(kind, "ended") == 0) {
			snprintf(c->message, sizeof(c->message), "%.700s", text ? text : "");
			c->is_over = true;
		}
		json_decref(e);
	}
}

static void wait_and_serve(struct capture *c)
{
	while (!c->is_over) {
		struct pollfd fds[] = { { .fd = c->fifo },
					{ .fd = c->signals, .events = POLLIN },
					{ .fd = c->link->fd, .events = POLLIN },
					{ .fd = c->bar.pipes.in, .events = POLLIN } };

		if (poll(fds, sizeof(fds) / sizeof(fds[0]), toolbar_refresh(&c->bar)) < 0 &&
		    errno != EINTR)
			return;
		if (fds[0].revents & (POLLERR | POLLHUP | POLLNVAL))
			return; /* nobody reads any more */
		if (c->parent && getppid() != c->parent)
			return; /* killed: its dumpcap would only notice with the next packet */
		take_signals(c);
		if (!c->link->ops->read(c->link)) {
			snprintf(c->message, sizeof(c->message), "the session ended");
			return;
		}
		take_events(c);
		if (fds[3].revents)
			toolbar_read(&c->bar);
	}
}

/* --- all of it --- */

/* dumpcap waits for somebody to open the FIFO; it gives up when it was opened and closed again. */
static void release_reader(struct capture *c)
{
	char message[sizeof(c->message)];

	memcpy(message, c->message, sizeof(message));
	if (c->fifo < 0 && strcmp(c->options->fifo, "-") != 0)
		open_fifo(c, RELEASE_MS);
	memcpy(c->message, message, sizeof(message));
}

static bool set_up(struct capture *c)
{
	c->link = open_link(c);
	take_signals(c);
	if (!c->link || c->is_over || !start(c) || !open_fifo(c, FIFO_MS) || c->is_over ||
	    !hand_over(c))
		return false;
	tell_state(c);
	return true;
}

static void tear_down(struct capture *c)
{
	if (c->link && c->before)
		put_filters_back(c);
	json_decref(c->before);
	if (c->link)
		c->link->ops->close(c->link);
	c->bar.link = NULL;
	toolbar_close(&c->bar);
	if (c->fifo >= 0)
		close(c->fifo);
	close(c->signals);
}

int capture_run(const struct extcap_options *o)
{
	struct capture c = { .options = o, .fifo = -1 };
	bool was_set_up;

	if (strcmp(o->fifo, "-") != 0)
		c.parent = getppid();
	c.signals = open_signals();
	toolbar_open(&c.bar, o->control_in, o->control_out, o->editor);
	was_set_up = set_up(&c);
	if (was_set_up)
		wait_and_serve(&c);
	if (c.message[0] && !(c.is_over && !was_set_up)) {
		fprintf(stderr, "%s\n", c.message);
		if (was_set_up)
			toolbar_log(&c.bar, c.message);
		else
			toolbar_fail(&c.bar, c.message);
	}
	if (!was_set_up && !c.is_over)
		release_reader(&c);
	tear_down(&c);
	return was_set_up || c.is_over ? EXTCAP_OK : EXTCAP_FAILED;
}
