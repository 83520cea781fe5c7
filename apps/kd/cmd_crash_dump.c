/* SPDX-License-Identifier: MIT */
/* .dump */
#include <stdlib.h>
#include <string.h>

#include <openkd/dump.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/memory.h"

struct dump_request {
	struct kd_dump_options options;
	bool is_full;
	char *comment, *path;
};

/* What of WinDbg's forms is not written, in words. */
static enum kd_status refuse_form(struct call *call, const char *form)
{
	return call_fail(call, KD_E_UNSUPPORTED,
			 "%s is not written yet: .dump /f FILE writes all of the memory", form);
}

/* Paths begin like switches: what has a second `/` or a dot in it is one. */
static bool take_switch(struct args *a, char *word, size_t size)
{
	struct args before = *a;

	if (!args_switch(a, '/', word, size))
		return false;
	if (!strpbrk(word, "/."))
		return true;
	*a = before;
	return false;
}

static enum kd_status take_switches(struct call *call, struct dump_request *r)
{
	char word[1024];

	while (take_switch(&call->args, word, sizeof(word))) {
		if (strcmp(word, "f") == 0)
			r->is_full = true;
		else if (strcmp(word, "o") == 0)
			r->options.overwrite = true;
		else if (strcmp(word, "c") == 0)
			r->comment = args_string(&call->args);
		else if (word[0] == 'm' || word[0] == 'k')
			return refuse_form(
				call, word[0] == 'm' ? "A small dump (/m)" : "A kernel dump (/k)");
		else
			return call_fail(call, KD_E_SYNTAX,
					 "/%s is no switch of .dump; there are /f /o /c COMMENT",
					 word);
		if (word[0] == 'c' && !r->comment)
			return call_fail(call, KD_E_SYNTAX, "which comment? /c \"TEXT\"");
	}
	return KD_OK;
}

static enum kd_status take_request(struct call *call, struct dump_request *r)
{
	enum kd_status s = take_switches(call, r);

	if (s != KD_OK)
		return s;
	if (!r->is_full)
		return refuse_form(call, "A small dump (.dump without /f)");
	r->path = args_string(&call->args);
	if (!r->path)
		return call_fail(call, KD_E_SYNTAX, "which file? .dump /f FILE");
	r->options.comment = r->comment;
	return args_done(&call->args);
}

static enum kd_status write_all(struct call *call, struct kd_dump *d)
{
	uint64_t started = console_now_ns();
	enum kd_status s = KD_OK;

	while (s == KD_OK && !kd_dump_info(d).is_complete) {
		struct kd_dump_info info;

		s = kd_dump_step(d, call->err);
		info = kd_dump_info(d);
		show_progress(call->con, "dumped", info.bytes_done, info.bytes_total, started);
		if (s == KD_OK && console_interrupted(call->con))
			s = call_fail(call, KD_E_CANCELLED, "cancelled: no dump was written");
	}
	out_transient(call->out, NULL);
	return s == KD_OK ? kd_dump_commit(d, call->err) : s;
}

static void tell(struct call *call, const struct dump_request *r, const struct kd_dump_info *info,
		 uint64_t started)
{
	double seconds = (double)(console_now_ns() - started) / 1e9;
	json_t *o = call_object(call);

	out_printf(call->out, "Dump written to %s: %.1f MB of memory in %.1f s\n", r->path,
		   (double)info->bytes_total / 1048576, seconds);
	if (info->unreadable)
		out_printf(call->out, "%llu pages could not be read; they are zero in it\n",
			   (unsigned long long)info->unreadable);
	data_string(o, "path", r->path);
	data_integer(o, "bytes", (int64_t)info->bytes_total);
	data_integer(o, "unreadable_pages", (int64_t)info->unreadable);
}

static enum kd_status run_dump(struct call *call)
{
	struct dump_request r = { .options = KD_DUMP_OPTIONS_INIT };
	uint64_t started = console_now_ns();
	struct kd_dump *d = NULL;
	struct kd_dump_info info;
	enum kd_status s = take_request(call, &r);

	if (s == KD_OK)
		s = kd_dump_create(call->session, r.path, &r.options, &d, call->err);
	if (s == KD_E_EXISTS)
		s = call_fail(call, s, "%s is there already; .dump /o /f replaces it", r.path);
	if (s == KD_OK && d)
		s = write_all(call, d);
	if (s == KD_OK && d) {
		info = kd_dump_info(d);
		tell(call, &r, &info, started);
	}
	kd_dump_destroy(d);
	free(r.comment);
	free(r.path);
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ ".dump", ".dump [/o] [/c \"COMMENT\"] /f FILE",
	  "Write all of the target's memory into a file that WinDbg opens as a crash dump",
	  ".dump /f /tmp/crash.dmp",
	  "crash-dump", CMD_STOPPED, WORDS_FILES, run_dump, NULL, NULL },
};
/* clang-format on */

FAMILY(family_crash_dump, "Crash dumps");
