/* SPDX-License-Identifier: MIT */
#include "apps/kd/crash_filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openkd/error.h>
#include <openkd/mutator.h>
#include <openkd/process.h>

#include "apps/kd/pattern.h"
#include "apps/kd/traffic.h"

enum { PATH_SIZE = 1024 };

/* What the console says about the crash, a file each; the program's modules before its stack. */
static const struct {
	const char *file, *commands;
	bool is_of_bugchecks;
} reports[] = {
	{ "stop.txt", ".lastevent", false },           { "bugcheck.txt", ".bugcheck", true },
	{ "exception.txt", ".exr -1", false },         { "registers.txt", "r", false },
	{ "modules.txt", ".reload /user; lm", false }, { "stack.txt", "kv", false },
	{ "processes.txt", "!process 0 0", false },    { "flows.txt", "!flows all", false },
	{ "mutators.txt", "!mutator", false },         { "traffic.txt", "!traffic", false },
};

/* --- is this one? --- */

static bool is_crash(const struct console *c)
{
	switch (c->stop.reason) {
	case KD_STOP_BUGCHECK: return true;
	case KD_STOP_EXCEPTION: return !c->stop.first_chance;
	default: return false;
	}
}

/* The program's name; a bugcheck is everybody's. */
static bool is_wanted(struct console *c, char *name, size_t size)
{
	struct kd_process process = { 0 };

	if (kd_process_current(c->session, &process, NULL) != KD_OK || !process.image[0])
		snprintf(process.image, sizeof(process.image), "unknown");
	app_copy(name, size, process.image, strlen(process.image));
	return c->stop.reason == KD_STOP_BUGCHECK ||
	       pattern_matches(c->traffic.crash_pattern, process.image);
}

/* --- the folder --- */

enum kd_status crash_filter_folder(const char *path, char *path_ret, size_t size,
				   struct kd_error *err)
{
	struct stat st;

	if (!path && !console_folder("XDG_STATE_HOME", ".local/state", path_ret, size))
		return app_error(err, KD_E_IO, "~/.local/state/openkd: %s", strerror(errno));
	if (!path)
		return KD_OK;
	if (strlen(path) >= size)
		return app_error(err, KD_E_TOO_BIG, "%.80s... is too long a name", path);
	memcpy(path_ret, path, strlen(path) + 1);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return app_error(err, KD_E_IO, "cannot make %s: %s", path, strerror(errno));
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return app_error(err, KD_E_INVALID, "%s is no folder", path);
	if (access(path, W_OK | X_OK) != 0)
		return app_error(err, KD_E_DENIED, "cannot write in %s: %s", path, strerror(errno));
	return KD_OK;
}

static bool make_folder(struct console *c, const char *name, char *path, size_t size)
{
	char base[PATH_SIZE], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	if (crash_filter_folder(c->traffic.crash_folder, base, sizeof(base), NULL) != KD_OK)
		return false;
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	for (unsigned i = 0; i < 100; i++) {
		int n = snprintf(path, size, i ? "%s/crash-%s-%s-%u" : "%s/crash-%s-%s", base,
				 stamp, name, i);

		if (n < 0 || (size_t)n >= size)
			return false;
		if (mkdir(path, 0700) == 0)
			return true;
		if (errno != EEXIST)
			return false;
	}
	return false;
}

static bool write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "wx");
	bool good;

	if (!f)
		return false;
	good = fputs(text, f) != EOF;
	return fclose(f) == 0 && good;
}

/* Names of programs come from the guest: nothing of them leads out of the folder. */
static void make_harmless(char *name)
{
	for (char *p = name; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_",
			    *p))
			*p = '_';
	if (name[0] == '.')
		name[0] = '_';
}

struct crash {
	char folder[PATH_SIZE], path[PATH_SIZE + 64];
	json_t *files;
	unsigned failed;
};

static const char *file_in(struct crash *k, const char *name)
{
	snprintf(k->path, sizeof(k->path), "%s/%s", k->folder, name);
	return k->path;
}

static void book(struct crash *k, const char *name, bool good)
{
	if (good)
		json_array_append_new(k->files, json_string(name));
	else
		k->failed++;
}

static void write_reports(struct console *c, struct crash *k)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(reports); i++) {
		struct text text = TEXT_INIT;

		if (reports[i].is_of_bugchecks && c->stop.reason != KD_STOP_BUGCHECK)
			continue;
		console_run_captured(c, reports[i].commands, &text);
		book(k, reports[i].file,
		     write_text(file_in(k, reports[i].file), text_string(&text)));
		text_free(&text);
	}
}

static void write_traffic(struct console *c, struct crash *k)
{
	struct kd_traffic *t = c->traffic.t;

	if (!t)
		return;
	book(k, "traffic.pcapng", kd_traffic_save(t, file_in(k, "traffic.pcapng"), NULL) == KD_OK);
	book(k, "traffic.replay",
	     kd_traffic_save_replay(t, file_in(k, "traffic.replay"), NULL) == KD_OK);
	if (c->traffic.mutators)
		book(k, "mutations.jsonl",
		     kd_mutators_save(c->traffic.mutators, file_in(k, "mutations.jsonl"), NULL) ==
			     KD_OK);
}

static void write_index(struct console *c, struct crash *k, const char *program)
{
	json_t *o = json_object();
	char *text;

	data_string(o, "program", program);
	data_string(o, "target", kd_session_endpoint(c->session));
	data_integer(o, "time", (long long)time(NULL));
	json_object_set_new(o, "stop", console_stop_json(c));
	json_object_set(o, "files", k->files);
	text = json_dumps(o, JSON_INDENT(2));
	if (!text || !write_text(file_in(k, "index.json"), text))
		k->failed++;
	free(text);
	json_decref(o);
}

void crash_filter_look(struct console *c)
{
	struct crash k = { .files = NULL };
	char name[64];

	if (!c->traffic.crash_pattern || !is_crash(c) || !is_wanted(c, name, sizeof(name)))
		return;
	make_harmless(name);
	if (!make_folder(c, name, k.folder, sizeof(k.folder))) {
		console_note(c, "Crash of %s: no folder can be made for it: %s", name,
			     strerror(errno));
		return;
	}
	k.files = json_array();
	write_reports(c, &k);
	write_traffic(c, &k);
	write_index(c, &k, name);
	json_decref(k.files);
	console_note(c, "Crash of %s: saved in %s%s", name, k.folder,
		     k.failed ? ", not all of it could be written" : "");
	if (c->traffic.t)
		console_note(c,
			     "!crashflt replay %s does its traffic again, in a guest that was "
			     "reverted (kdmon revert)",
			     k.folder);
}
