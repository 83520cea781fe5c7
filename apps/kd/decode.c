/* SPDX-License-Identifier: MIT */
#include "apps/kd/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openkd/error.h>
#include <openkd/sys/decode.h>

struct job {
	FILE *out;
	bool is_json, with_fields;
	enum kd_status status; /* of the first write that failed */
};

static void on_record(void *context, const struct kd_decode_record *record)
{
	struct job *job = context;

	if (job->status != KD_OK)
		return;
	job->status = job->is_json ? kd_decode_write_json(job->out, record)
				   : kd_decode_write_text(job->out, record, job->with_fields);
}

static int report(const char *path, const char *text)
{
	fprintf(stderr, "kd: %s: %s\n", path, text);
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
			"kd: %s: %" PRIu64 " of %" PRIu64 " frames were not decoded: the notes say "
			"why\n",
			path, c.unread, c.frames);
	if (s == KD_OK && plain)
		fprintf(stderr, "kd: %" PRIu64 " packets of %" PRIu64 " datagrams written to %s\n",
			c.packets, c.datagrams, plain);
	return s;
}

static int decode_to(const struct options *o, const char *path, const char *plain, struct job *job)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct kd_error err = { 0 };
	enum kd_status s;

	config.fn = on_record;
	config.ctx = job;
	s = o->key ? decode_net(o, path, plain, &config, &err)
		   : kd_decode_file(path, &config, &err);
	if (fflush(job->out) != 0 || job->status != KD_OK)
		return report(o->output ? o->output : "standard output", strerror(errno));
	if (s != KD_OK)
		return report(path, err.text[0] ? err.text : kd_status_text(s));
	return EXIT_OK;
}

static bool is_recording_name(const char *name)
{
	static const char ending[] = ".pcapng";
	size_t n = name ? strlen(name) : 0;

	return n >= sizeof(ending) && strcmp(name + n - (sizeof(ending) - 1), ending) == 0;
}

int decode_main(const struct options *o, const char *path)
{
	struct job job = { .out = stdout, .is_json = o->is_json, .with_fields = o->is_verbose };
	const char *plain = o->key && is_recording_name(o->output) ? o->output : NULL;
	int code;

	if (o->output && !plain) {
		job.out = fopen(o->output, "we");
		if (!job.out)
			return report(o->output, strerror(errno));
	}
	code = decode_to(o, path, plain, &job);
	if (job.out != stdout && fclose(job.out) != 0 && code == EXIT_OK)
		code = report(o->output, strerror(errno));
	return code;
}
