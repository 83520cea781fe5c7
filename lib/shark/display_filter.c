/* SPDX-License-Identifier: MIT */
#include "lib/shark/display_filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shark/child.h"

enum {
	START_MS = 10000,
	FRESH_MS = 2000,
	IDS_KEPT = 4096,
	PACKETS_MAX = 100000, /* then a fresh one: its memory grows */
	LINE_MAX = 64,
};

/* Of marks; the driver's items never have it. */
static const uint64_t mark_bit = UINT64_C(1) << 62;
#define MARK "kd-mark"

struct kd__display_filter {
	struct kd_traffic *traffic;
	char *text, *expression;
	unsigned slot;
	struct kd__child child;
	struct kd__packet_stream *stream; /* under the traffic's mutex */
	uint64_t n_packets, next_mark, seen_mark;
	uint64_t young_until;   /* while it starts, being late is no reason to start another */
	uint64_t ids[IDS_KEPT]; /* that matched, the last ones */
	size_t n_ids;
	char line[LINE_MAX];
	size_t line_size;
};

/* --- what comes back --- */

static void take_line(struct kd__display_filter *f)
{
	char *end;
	uint64_t id;

	f->line[f->line_size] = '\0';
	f->line_size = 0;
	id = strtoull(f->line, &end, 0);
	if (end == f->line)
		return;
	if (id & mark_bit)
		f->seen_mark = id;
	else
		f->ids[f->n_ids++ % IDS_KEPT] = id;
}

static enum kd_status read_lines(struct kd__display_filter *f, uint64_t deadline)
{
	char bytes[4096];
	size_t n;
	enum kd_status s = kd__child_read(&f->child, bytes, sizeof bytes, &n, deadline);

	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			take_line(f);
		else if (f->line_size + 1 < sizeof f->line)
			f->line[f->line_size++] = bytes[i];
	}
	return s;
}

/* Everything that was put before has been looked at when this comes back. */
static enum kd_status sync_up(struct kd__display_filter *f, uint64_t deadline)
{
	uint64_t mark = mark_bit | ++f->next_mark;
	enum kd_status s;

	pthread_mutex_lock(&f->traffic->mutex);
	s = f->stream ? kd__packet_stream_mark(f->stream, MARK, mark, NULL) : KD_E_CLOSED;
	pthread_mutex_unlock(&f->traffic->mutex);
	while (s == KD_OK && f->seen_mark != mark)
		s = read_lines(f, deadline);
	return s;
}

static bool is_among(const struct kd__display_filter *f, uint64_t item)
{
	for (size_t i = 0; i < KD_MIN(f->n_ids, (size_t)IDS_KEPT); i++)
		if (f->ids[i] == item)
			return true;
	return false;
}

/* --- life --- */

static enum kd_status open_stream(struct kd__display_filter *f, struct kd_error *err)
{
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	enum kd_status s;

	options.fd = f->child.in;
	f->child.in = -1; /* the stream's from now on */
	pthread_mutex_lock(&f->traffic->mutex);
	s = kd__packet_stream_create(&options, f->slot, "filter", &f->stream, err);
	kd__traffic_reset_slot(f->traffic, f->slot);
	pthread_mutex_unlock(&f->traffic->mutex);
	return s;
}

static enum kd_status start(struct kd__display_filter *f, struct kd_error *err)
{
	const char *argv[] = {
		"tshark",          "-r", "-", "-l", "-n", "-Y", f->expression, "-T", "fields", "-e",
		"frame.packet_id", NULL
	};
	enum kd_status s = kd__child_start(&f->child, argv, NULL, err);

	f->child.skip = "Running as user"; /* what it says to root */
	if (s == KD_E_NOT_FOUND)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "display filters need tshark, which is not installed");
	if (s == KD_OK)
		s = open_stream(f, err);
	f->young_until = kd_now_ns() + START_MS * UINT64_C(1000000);
	f->n_packets = 0;
	f->seen_mark = 0;
	f->line_size = 0;
	return s;
}

static void stop(struct kd__display_filter *f)
{
	struct kd__packet_stream *stream;

	pthread_mutex_lock(&f->traffic->mutex);
	stream = f->stream;
	f->stream = NULL;
	pthread_mutex_unlock(&f->traffic->mutex);
	kd__child_kill(&f->child); /* then closing has nobody to wait for */
	kd__packet_stream_close(stream, NULL);
}

static void tap(void *context, const struct kd__entry *entry)
{
	struct kd__display_filter *f = context;

	f->n_packets++;
	if (f->stream && kd__packet_stream_put(f->stream, entry, NULL) != KD_OK) {
		kd__packet_stream_close(f->stream, NULL);
		f->stream = NULL; /* asking tells */
	}
}

static bool connect_tap(struct kd__display_filter *f)
{
	struct kd_traffic *t = f->traffic;
	unsigned i = 0;

	pthread_mutex_lock(&t->mutex);
	while (i < KD__FILTERS_MAX && t->taps[i].tap)
		i++;
	if (i < KD__FILTERS_MAX) {
		f->slot = KD__FILTER_SLOT + i;
		t->taps[i].context = f;
		t->taps[i].tap = tap;
	}
	pthread_mutex_unlock(&t->mutex);
	return i < KD__FILTERS_MAX;
}

enum kd_status kd__display_filter_create(struct kd_traffic *t, const char *text,
					 struct kd__display_filter **ret, struct kd_error *err)
{
	struct kd__display_filter *f = calloc(1, sizeof *f);
	size_t size = strlen(text) + 64;
	enum kd_status s;

	if (!f || !(f->expression = malloc(size))) {
		free(f);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	snprintf(f->expression, size, "(%s) || frame.comment == \"" MARK "\"", text);
	f->traffic = t;
	f->child = (struct kd__child){ .in = -1, .out = -1, .err = -1 };
	if (!connect_tap(f)) {
		free(f->expression);
		free(f);
		return kd_error_set(err, KD_E_FULL, 0, "%d display filters are in use already",
				    KD__FILTERS_MAX);
	}
	s = start(f, err);
	if (s == KD_OK) {
		s = sync_up(f, kd_now_ns() + START_MS * UINT64_C(1000000));
		if (s != KD_OK)
			s = kd_error_set(err, s == KD_E_CLOSED ? KD_E_SYNTAX : s, 0,
					 "display filter: %.200s",
					 kd__child_first_complaint(&f->child));
	}
	if (s == KD_OK)
		*ret = f;
	else
		kd__display_filter_destroy(f);
	return s;
}

void kd__display_filter_destroy(struct kd__display_filter *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->traffic->mutex);
	f->traffic->taps[f->slot - KD__FILTER_SLOT].tap = NULL;
	pthread_mutex_unlock(&f->traffic->mutex);
	stop(f);
	free(f->expression);
	free(f);
}

/* --- asking --- */

enum kd_status kd__display_filter_ask(struct kd__display_filter *f, uint64_t item,
				      uint64_t deadline, bool *matches_ret)
{
	enum kd_status s = sync_up(f, deadline);

	*matches_ret = s == KD_OK && is_among(f, item);
	if (s == KD_OK)
		f->young_until = 0;
	/* late or gone: what it still says belongs to payloads that went on long ago */
	if ((s != KD_OK && (s != KD_E_TIMEOUT || kd_now_ns() >= f->young_until)) ||
	    f->n_packets > PACKETS_MAX) {
		stop(f);
		/* what comes meanwhile waits a moment instead of being late */
		if (start(f, NULL) == KD_OK && s == KD_OK)
			sync_up(f, kd_now_ns() + FRESH_MS * UINT64_C(1000000));
	}
	return s;
}
