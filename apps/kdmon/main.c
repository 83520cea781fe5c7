/* SPDX-License-Identifier: MIT */
/* kdmon: which verb, and what came of it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openkd/error.h>

#include "apps/kd/text.h"
#include "apps/kdmon/changes.h"
#include "apps/kdmon/client.h"
#include "apps/kdmon/option.h"
#include "apps/kdmon/screen.h"
#include "apps/kdmon/serve.h"
#include "apps/kdmon/show.h"
#include "apps/kdmon/verbs.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_WRONG };

static int wrong(const char *text)
{
	fprintf(stderr, "kdmon: %s\n", text);
	return EXIT_WRONG;
}

static void print_json(json_t *value)
{
	char *line = json_dumps(value, JSON_COMPACT);

	if (line)
		puts(line);
	fflush(stdout);
	free(line);
}

/* --- one verb --- */

static int run_verb(const struct verb *v, const struct verb_call *call)
{
	json_t *answer = v->run(call);
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (call->is_json)
		print_json(answer);
	else if (!ok)
		fprintf(stderr, "kdmon: %s\n", show_text(answer, "error"));
	else if (v->show)
		v->show(stdout, answer, call);
	json_decref(answer);
	return ok ? EXIT_OK : EXIT_FAILED;
}

static int verb_main(const struct monitor_options *o, const struct settings *settings)
{
	const struct verb *v = verb_find(o->word[0]);
	struct verb_call call = { .settings = settings,
				  .n_words = o->n_words - 1,
				  .command = o->command,
				  .format = o->format,
				  .output = o->output,
				  .when_stopped = o->when_stopped,
				  .is_fast = o->is_fast,
				  .keeps_stopped = o->keeps_stopped,
				  .is_json = o->is_json };
	char message[300];

	if (!v) {
		snprintf(message, sizeof(message), "no verb '%s'; see kdmon --help", o->word[0]);
		return wrong(message);
	}
	if (call.n_words < v->min_words || call.n_words > v->max_words) {
		snprintf(message, sizeof(message), "usage: kdmon %s %s", v->name, v->arguments);
		return wrong(message);
	}
	for (size_t i = 0; i < call.n_words; i++)
		call.word[i] = o->word[i + 1];
	if (v->check && v->check(&call))
		return wrong(v->check(&call));
	return run_verb(v, &call);
}

/* --- watch --- */

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
	(void)number;
	is_over = 1;
}

static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static void print_event(void *context, json_t *event)
{
	const struct monitor_options *o = context;

	if (o->is_json)
		print_json(event);
	else
		printf("%-20s %-16s %s\n", show_text(event, "vm"), show_text(event, "event"),
		       show_text(event, "text"));
	fflush(stdout);
}

static int watch_monitor(struct monitor_client *c, const struct monitor_options *o)
{
	json_t *answer = monitor_ask(c, "subscribe", json_object(), 5000);
	bool is_gone = !json_is_true(json_object_get(answer, "ok"));

	json_decref(answer);
	while (!is_over && !is_gone) {
		json_t *event = monitor_next(c, 500, &is_gone);

		if (event)
			print_event((void *)o, event);
		json_decref(event);
	}
	if (!is_over)
		fprintf(stderr, "kdmon: the monitor has ended\n");
	return is_over ? EXIT_OK : EXIT_FAILED;
}

static int watch_ourselves(const struct monitor_options *o, const struct settings *settings)
{
	const struct timespec second = { 1, 0 };
	json_t *before = NULL;

	while (!is_over) {
		json_t *now = verb_list(settings);

		if (json_is_true(json_object_get(now, "ok"))) {
			changes_between(before, now, print_event, (void *)o);
			json_decref(before);
			before = now;
		} else {
			json_decref(now);
		}
		nanosleep(&second, NULL);
	}
	json_decref(before);
	return EXIT_OK;
}

static int watch_main(const struct monitor_options *o, const struct settings *settings)
{
	struct monitor_client *c = monitor_connect();
	int code;

	catch_signals();
	code = c ? watch_monitor(c, o) : watch_ourselves(o, settings);
	monitor_close(c);
	return code;
}

/* --- all --- */

static int run(const struct monitor_options *o, const struct settings *settings)
{
	const char *word = o->n_words ? o->word[0] : "screen";

	if (o->n_words == 0 && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return wrong("which verb? see kdmon --help");
	if (strcmp(word, "serve") == 0)
		return serve_main(settings);
	if (strcmp(word, "watch") == 0)
		return watch_main(o, settings);
	if (strcmp(word, "screen") == 0)
		return screen_main(settings);
	return verb_main(o, settings);
}

int main(int argc, char **argv)
{
	struct monitor_options o;
	struct settings *settings;
	char message[800];
	int code;

	if (!monitor_options_parse(&o, argc, argv, message, sizeof(message)))
		return wrong(message);
	if (o.help || o.help_rst || o.version) {
		if (o.version)
			printf("kdmon (OpenKD) %s\n", kd_library_version());
		else
			(o.help ? monitor_help : monitor_help_rst)(stdout);
		return EXIT_OK;
	}
	settings = app_alloc(sizeof(*settings));
	code = settings_read(settings, o.config, message, sizeof(message)) ? run(&o, settings)
									   : wrong(message);
	settings_free(settings);
	free(settings);
	return code;
}
