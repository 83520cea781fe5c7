/* SPDX-License-Identifier: MIT */
/*
 * Records what passes through another transport: docs/recording-format.md. A recording that can't
 * go on (disk full) ends; the session does not.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openkd/error.h>

#include "core/link/link.h"
#include "lib/io/pcapng.h"
#include "lib/io/recording.h"
#include "lib/io/transport_private.h"

enum { FIFO_TIMEOUT_MS = 5000, NS_PER_S = 1000000000 };

static const uint64_t flush_every = NS_PER_S;

struct tap {
	struct kd_transport base; /* first */
	struct kd_transport *inner;
	struct kd_pcapng_writer *writer; /* NULL: finished */
	struct kd_error trouble;         /* status != KD_OK: how the recording ended early */
	uint32_t generation;             /* last one that was recorded as up */
	bool down_noted;
	bool has_heard; /* something came from the target */
	char *path;     /* owned */
	uint64_t flushed_at;
};

static uint64_t wall_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void record(struct tap *tap, enum kd_pcapng_direction direction, const uint8_t *data,
		   size_t size, const char *comment)
{
	struct kd_pcapng_packet p = {
		.direction = direction,
		.time_ns = wall_clock_ns(),
		.data = data,
		.size = size,
		.comment = comment,
	};
	struct kd_error why;
	enum kd_status s;

	if (!tap->writer || tap->trouble.status != KD_OK)
		return;
	s = kd_pcapng_write(tap->writer, &p, &why);
	/* A slow reader of a FIFO misses blocks, and gets the next ones. */
	if (s != KD_OK && s != KD_E_FULL)
		tap->trouble = why;
}

/* One write or read is at most as large as the caller's buffer: cut it if that is larger than ours.
 */
static void record_bytes(struct tap *tap, enum kd_pcapng_direction direction, const uint8_t *data,
			 size_t size)
{
	while (size > 0) {
		size_t n = KD_MIN(size, (size_t)KD_PCAPNG_DATA_MAX);

		record(tap, direction, data, n, NULL);
		data += n;
		size -= n;
	}
}

static void note_connection(struct tap *tap)
{
	const struct kd_transport_info *info = &tap->inner->info;

	if (!info->is_up || info->generation == tap->generation)
		return;
	tap->generation = info->generation;
	tap->down_noted = false;
	record(tap, KD_PCAPNG_INBOUND, NULL, 0, KD__RECORDING_UP);
}

static void note_end(struct tap *tap, const struct kd_error *why)
{
	char comment[KD_ERROR_TEXT_SIZE + 32] = KD__RECORDING_DOWN ": ";

	if (tap->down_noted)
		return;
	tap->down_noted = true;
	strncat(comment, why->text, KD_ERROR_TEXT_SIZE);
	record(tap, KD_PCAPNG_INBOUND, NULL, 0, comment);
}

/* Somebody may look at the .part file; and a kill -9 should cost a second at most. */
static void flush_sometimes(struct tap *tap)
{
	uint64_t now = kd_now_ns();
	struct kd_error why;

	if (!tap->writer || now - tap->flushed_at < flush_every)
		return;
	tap->flushed_at = now;
	if (kd_pcapng_flush(tap->writer, &why) != KD_OK && tap->trouble.status == KD_OK)
		tap->trouble = why;
}

static enum kd_status tap_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
			       struct kd_error *err)
{
	struct tap *tap = (struct tap *)t;
	struct kd_error why = { 0 };
	enum kd_status s = tap->inner->ops->read(tap->inner, buf, size, n_ret, &why);

	note_connection(tap);
	if (s == KD_OK) {
		tap->has_heard = tap->has_heard || *n_ret;
		record_bytes(tap, KD_PCAPNG_INBOUND, buf, *n_ret);
	} else {
		if (s != KD_E_AGAIN)
			note_end(tap, &why);
		if (err)
			*err = why;
		flush_sometimes(tap);
	}
	kd__transport_mirror(t, tap->inner);
	return s;
}

static enum kd_status tap_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				size_t *n_ret, struct kd_error *err)
{
	struct tap *tap = (struct tap *)t;
	enum kd_status s = tap->inner->ops->write(tap->inner, buf, size, n_ret, err);

	if (s == KD_OK)
		record_bytes(tap, KD_PCAPNG_OUTBOUND, buf, *n_ret);
	kd__transport_mirror(t, tap->inner);
	return s;
}

static void tap_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	kd_transport_poll(((const struct tap *)t)->inner, ret);
}

static enum kd_status tap_connect(struct kd_transport *t, struct kd_error *err)
{
	struct tap *tap = (struct tap *)t;
	enum kd_status s = tap->inner->ops->connect(tap->inner, err);

	note_connection(tap);
	kd__transport_mirror(t, tap->inner);
	return s;
}

static void tap_destroy(struct kd_transport *t)
{
	struct tap *tap = (struct tap *)t;

	if (tap->writer)
		kd_transport_tap_finish(t, NULL);
	kd_transport_destroy(tap->inner);
	free(tap->path);
	free(tap);
}

static const struct kd_transport_ops tap_ops = {
	.scheme = "tap",
	.connect = tap_connect,
	.read = tap_read,
	.write = tap_write,
	.poll = tap_poll,
	.destroy = tap_destroy,
};

static enum kd_status begin_recording(struct tap *tap, const char *path, struct kd_error *err)
{
	char application[64] = "OpenKD ";
	uint32_t id;
	enum kd_status s;

	strncat(application, kd_library_version(), sizeof application - strlen(application) - 1);
	s = kd_pcapng_writer_create(path, application, KD__RECORDING_COMMENT, FIFO_TIMEOUT_MS,
				    &tap->writer, err);
	if (s != KD_OK)
		return s;
	return kd_pcapng_add_interface(tap->writer, KD_LINKTYPE_USER0, tap->inner->name,
				       KD__RECORDING_DESCRIPTION, &id, err);
}

enum kd_status kd_transport_tap_create(struct kd_transport *inner, const char *path,
				       struct kd_transport **t_ret, struct kd_error *err)
{
	struct tap *tap = calloc(1, sizeof *tap);
	enum kd_status s;

	if (tap)
		tap->path = strdup(path);
	if (!tap || !tap->path) {
		free(tap);
		kd_transport_destroy(inner);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	tap->base.ops = &tap_ops;
	tap->inner = inner;
	tap->flushed_at = kd_now_ns();
	s = begin_recording(tap, path, err);
	if (s != KD_OK) {
		kd_pcapng_writer_abort(tap->writer);
		tap->writer = NULL;
		tap_destroy(&tap->base);
		return s;
	}
	note_connection(tap);
	kd__transport_mirror(&tap->base, inner);
	*t_ret = &tap->base;
	return KD_OK;
}

static struct tap *as_tap(const struct kd_transport *t)
{
	return t->ops == &tap_ops ? (struct tap *)(uintptr_t)t : NULL;
}

enum kd_status kd_transport_tap_status(const struct kd_transport *t, struct kd_error *err)
{
	const struct tap *tap = as_tap(t);

	if (!tap)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "nothing is being recorded");
	if (tap->trouble.status != KD_OK && err)
		*err = tap->trouble;
	return tap->trouble.status;
}

struct kd_transport *kd__transport_below_tap(struct kd_transport *t)
{
	return t->ops == &tap_ops ? ((struct tap *)t)->inner : t;
}

void kd_transport_tap_note(struct kd_transport *t, bool is_out, const uint8_t *data, size_t size)
{
	if (t->ops != &tap_ops)
		return;
	if (!is_out)
		((struct tap *)t)->has_heard = true;
	record_bytes((struct tap *)t, is_out ? KD_PCAPNG_OUTBOUND : KD_PCAPNG_INBOUND, data, size);
}

/* A recording of nothing must not replace one that may be of something. */
static bool keeps_old(const struct tap *tap)
{
	struct stat st;

	return !tap->has_heard && stat(tap->path, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size > 0;
}

enum kd_status kd_transport_tap_finish(struct kd_transport *t, struct kd_error *err)
{
	struct tap *tap = as_tap(t);
	enum kd_status s;

	if (!tap || !tap->writer)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "nothing is being recorded");
	if (keeps_old(tap)) {
		kd_pcapng_writer_abort(tap->writer);
		s = kd_error_set(err, KD_E_EXISTS, 0, "nothing was heard: %.160s stays as it was",
				 tap->path);
	} else {
		s = kd_pcapng_writer_close(tap->writer, err);
	}
	tap->writer = NULL;
	return s;
}
