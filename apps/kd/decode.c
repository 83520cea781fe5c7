/* SPDX-License-Identifier: MIT */
#include "apps/kd/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openkd/error.h>
#include <openkd/sys/decode.h>

#include "apps/kd/aside.h"
#include "apps/kd/text.h"

struct job {
	FILE *out; /* NULL: the packets go into a recording */
	bool is_json, with_fields;
	enum kd_status status; /* of the first write that failed */
	int number;            /* its errno */
};

static void on_record(void *context, const struct kd_decode_record *record)
{
	struct job *job = context;

	if (job->status != KD_OK || !job->out)
		return;
	job->status = job->is_json ? kd_decode_write_json(job->out, record)
				   : kd_decode_write_text(job->out, record, job->with_fields);
	job->number = errno;
}

static int report(const char *path, const char *text)
{
	fprintf(stderr, "kd: %s: %s\n", path, text);
	return EXIT_COMMAND_FAILED;
}

/* What went wrong with a file; its name only if the text does not have it. */
static int report_error(const char *path, const struct kd_error *err)
{
	char name[101]; /* messages cut longer ones */

	app_copy(name, sizeof(name), path, strlen(path));
	if (!strstr(err->text, name))
		return report(path, err->text);
	fprintf(stderr, "kd: %s\n", err->text);
	return EXIT_COMMAND_FAILED;
}

/* Some of a capture may be unreadable: that is worth a word, not a failure. */
static enum kd_status decode_net(const struct options *o, const char *path, const char *plain,
				 const struct kd_decoder_config *config, struct kd_error *err)
{
	struct kd_decode_net_counters c;
	enum kd_status s = kd_decode_net_file(path, o->key, plain, config, &c, err);

	if (s == KD_OK && c.unread)
		fprintf(stderr,
			"kd: %s: %" PRIu64 " of %" PRIu64 " frames were not decoded: the notes %s "
			"why\n",
			path, c.unread, c.frames, plain ? "(without -w) say" : "say");
	if (s == KD_OK && plain)
		fprintf(stderr, "kd: %" PRIu64 " packets of %" PRIu64 " datagrams written to %s\n",
			c.packets, c.datagrams, plain);
	return s;
}

static enum kd_status decode_to(const struct options *o, const char *path, const char *plain,
				struct job *job, struct kd_error *err)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;

	config.fn = on_record;
	config.ctx = job;
	return o->key ? decode_net(o, path, plain, &config, err)
		      : kd_decode_file(path, &config, err);
}

static bool is_recording_name(const char *name)
{
	static const char ending[] = ".pcapng";
	size_t n = name ? strlen(name) : 0;

	return n >= sizeof(ending) && strcmp(name + n - (sizeof(ending) - 1), ending) == 0;
}

/* Names don't tell: links, /dev/stdin. */
static bool is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && S_ISREG(one.st_mode) &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static int finish(const char *path, const struct job *job, enum kd_status s,
		  const struct kd_error *err)
{
	if (s == KD_E_SYNTAX) { /* only a key can be that */
		fprintf(stderr, "kd: --key: %s\n", err->text);
		return EXIT_USAGE;
	}
	if (job->status != KD_OK)
		return report("standard output", strerror(job->number));
	return s == KD_OK ? EXIT_OK : report_error(path, err);
}

static int decode_to_stdout(const struct options *o, const char *path, struct job *job)
{
	struct kd_error err = { 0 };
	enum kd_status s;

	job->out = stdout;
	s = decode_to(o, path, NULL, job, &err);
	if (fflush(stdout) != 0 && job->status == KD_OK) {
		job->status = KD_E_IO;
		job->number = errno;
	}
	return finish(path, job, s, &err);
}

/* A recording that ends in the middle (kd was killed) is worth having up to there. */
static int decode_to_text(const struct options *o, const char *path, struct job *job)
{
	struct kd_error err = { 0 };
	struct aside aside;
	enum kd_status s;
	bool is_worth;

	if (!aside_begin(&aside, o->output))
		return report(o->output, strerror(errno));
	job->out = aside.file;
	s = decode_to(o, path, NULL, job, &err);
	is_worth = job->status == KD_OK && (s == KD_OK || s == KD_E_TRUNCATED);
	if (!aside_end(&aside, is_worth))
		return report(o->output, strerror(errno));
	if (job->status != KD_OK)
		return report(o->output, strerror(job->number));
	if (!is_worth)
		report(o->output, "not written");
	return finish(path, job, s, &err);
}

int decode_main(const struct options *o, const char *path)
{
	struct job job = { .is_json = o->is_json, .with_fields = o->is_verbose };
	struct kd_error err = { 0 };

	if (!o->output)
		return decode_to_stdout(o, path, &job);
	if (is_same_file(path, o->output)) {
		fprintf(stderr, "kd: -w %s: that is the file to be read; write to another one\n",
			o->output);
		return EXIT_USAGE;
	}
	if (!o->key || !is_recording_name(o->output))
		return decode_to_text(o, path, &job);
	return finish(path, &job, decode_to(o, path, o->output, &job, &err), &err);
}
