/* SPDX-License-Identifier: MIT */
#include "lib/fleet/relay_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openkd/error.h>

#include "lib/io/pcapng.h"
#include "lib/io/recording.h"

enum { TRACE_MAX = 64 << 20, FIFO_TIMEOUT_MS = 1000 };

static const uint64_t log_max = UINT64_C(1) << 30, flush_every = 200000000;

static FILE *open_append(const char *path, struct kd_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		      0600);
	FILE *f = fd >= 0 ? fdopen(fd, "a") : NULL;
	enum kd_status s = errno == EACCES   ? KD_E_DENIED
			   : errno == ENOENT ? KD_E_NOT_FOUND
					     : KD_E_IO;

	if (f)
		return f;
	kd_error_set(err, s, 0, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* --- the log --- */

bool kd__relay_log_is_on(const struct kd__relay_log *l)
{
	return l->text || l->pcapng;
}

enum kd_status kd__relay_log_check(const struct kd__relay_log *l, const char *path,
				   enum kd_relay_format format, struct kd_error *err)
{
	char cut[sizeof l->path];

	snprintf(cut, sizeof cut, "%s", path);
	if (!kd__relay_log_is_on(l) || (!l->pcapng && format != KD_RELAY_PCAPNG) ||
	    strcmp(cut, l->path) != 0)
		return KD_OK;
	return kd_error_set(err, KD_E_EXISTS, 0,
			    "the log that runs goes to %.120s: end it, or choose another name",
			    path);
}

/* It may be a capture that somebody wants. FIFOs and devices are for writing. */
static enum kd_status refuse_file(const char *path, struct kd_error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0 || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		return KD_OK;
	if (S_ISLNK(st.st_mode) && stat(path, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return KD_OK;
	return kd_error_set(
		err, KD_E_EXISTS, 0,
		"%.120s is there already, and a capture can't be appended: remove it, or "
		"choose another name",
		path);
}

static enum kd_status start_pcapng(struct kd__relay_log *l, const char *path, const char *target,
				   struct kd_error *err)
{
	char application[64];
	uint32_t id;
	enum kd_status s = refuse_file(path, err);

	if (s != KD_OK)
		return s;
	snprintf(application, sizeof application, "OpenKD %s", kd_library_version());
	s = kd_pcapng_writer_create(path, application, KD__RECORDING_COMMENT, FIFO_TIMEOUT_MS,
				    &l->pcapng, err);
	if (s != KD_OK)
		return s;
	s = kd_pcapng_add_interface(l->pcapng, KD_LINKTYPE_USER0, target, KD__RECORDING_DESCRIPTION,
				    &id, err);
	if (s != KD_OK) {
		kd_pcapng_writer_abort(l->pcapng);
		l->pcapng = NULL;
	}
	return s;
}

enum kd_status kd__relay_log_start(struct kd__relay_log *l, const char *path,
				   enum kd_relay_format format, const char *target,
				   struct kd_error *err)
{
	enum kd_status s = KD_OK;

	l->format = format;
	if (format == KD_RELAY_PCAPNG) {
		s = start_pcapng(l, path, target, err);
	} else {
		l->text = open_append(path, err);
		if (!l->text)
			s = err ? err->status : KD_E_IO;
	}
	if (s == KD_OK)
		snprintf(l->path, sizeof l->path, "%s", path);
	return s;
}

enum kd_status kd__relay_log_stop(struct kd__relay_log *l, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	if (l->pcapng)
		s = kd_pcapng_writer_close(l->pcapng, err);
	if (l->text && fclose(l->text) != 0)
		s = kd_error_set(err, KD_E_IO, 0, "%.120s: %s", l->path, strerror(errno));
	l->pcapng = NULL;
	l->text = NULL;
	l->path[0] = '\0';
	return s;
}

enum kd_status kd__relay_log_record(struct kd__relay_log *l, const struct kd_decode_record *record,
				    struct kd_error *err)
{
	enum kd_status s;

	if (!l->text)
		return KD_OK;
	s = l->format == KD_RELAY_JSON ? kd_decode_write_json(l->text, record)
				       : kd_decode_write_text(l->text, record, false);
	if (s != KD_OK)
		return kd_error_set(err, KD_E_IO, 0, "%.120s: %s", l->path, strerror(errno));
	if (ftell(l->text) > (long)log_max)
		return kd_error_set(err, KD_E_FULL, 0, "%.120s: the log has 1 GB and ends",
				    l->path);
	return KD_OK;
}

static uint64_t wall_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

enum kd_status kd__relay_log_bytes(struct kd__relay_log *l, bool is_out, const uint8_t *bytes,
				   size_t size, struct kd_error *err)
{
	struct kd_pcapng_packet p = {
		.direction = is_out ? KD_PCAPNG_OUTBOUND : KD_PCAPNG_INBOUND,
		.time_ns = wall_clock_ns(),
		.data = bytes,
		.size = size,
	};
	enum kd_status s = l->pcapng ? kd_pcapng_write(l->pcapng, &p, err) : KD_OK;

	return s == KD_E_FULL ? KD_OK : s; /* a slow reader of a FIFO misses blocks */
}

void kd__relay_log_flush(struct kd__relay_log *l, uint64_t now)
{
	if (now - l->flushed_at < flush_every)
		return;
	l->flushed_at = now;
	if (l->text)
		fflush(l->text);
	if (l->pcapng)
		kd_pcapng_flush(l->pcapng, NULL);
}

/* --- traces --- */

static struct kd__relay_trace *find(struct kd__relay_traces *t, const char *prefix)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->row[i].prefix, prefix) == 0)
			return &t->row[i];
	return NULL;
}

static void close_trace(struct kd__relay_trace *row)
{
	if (row->file)
		fclose(row->file);
	free(row->prefix);
	free(row->path);
	*row = (struct kd__relay_trace){ .file = NULL };
}

static enum kd_status open_trace(struct kd__relay_trace *row, struct kd_error *err)
{
	long size;

	row->file = open_append(row->path, err);
	if (!row->file)
		return err ? err->status : KD_E_IO;
	/* Somebody watches it grow. */
	setvbuf(row->file, NULL, _IOLBF, 0);
	size = fseek(row->file, 0, SEEK_END) == 0 ? ftell(row->file) : 0;
	row->size = size > 0 ? (uint64_t)size : 0;
	return KD_OK;
}

enum kd_status kd__relay_trace_start(struct kd__relay_traces *t, const char *prefix,
				     const char *path, struct kd_error *err)
{
	struct kd__relay_trace row = { .prefix = strdup(prefix), .path = strdup(path) };
	struct kd_error own;
	enum kd_status s = KD_OK;

	if (!row.prefix || !row.path)
		s = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	else if (find(t, prefix))
		s = kd_error_set(err, KD_E_EXISTS, 0, "lines that begin with '%s' go to %s already",
				 prefix, find(t, prefix)->path);
	else if (t->n == KD_RELAY_TRACES_MAX)
		s = kd_error_set(err, KD_E_FULL, 0, "there are %d traces: end one first",
				 KD_RELAY_TRACES_MAX);
	else
		s = open_trace(&row, err ? err : &own);
	if (s == KD_OK)
		t->row[t->n++] = row;
	else
		close_trace(&row);
	return s;
}

enum kd_status kd__relay_trace_stop(struct kd__relay_traces *t, const char *prefix,
				    struct kd_error *err)
{
	struct kd__relay_trace *row = find(t, prefix);

	if (!row)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "no trace of lines that begin with '%s'", prefix);
	close_trace(row);
	*row = t->row[--t->n];
	return KD_OK;
}

void kd__relay_traces_deinit(struct kd__relay_traces *t)
{
	while (t->n)
		close_trace(&t->row[--t->n]);
}

static enum kd_status rotate(struct kd__relay_trace *row, struct kd_error *err)
{
	char old[4096];

	if (row->size < TRACE_MAX ||
	    snprintf(old, sizeof old, "%s.1", row->path) >= (int)sizeof old)
		return KD_OK;
	fclose(row->file);
	row->file = NULL;
	if (rename(row->path, old) != 0)
		return kd_error_set(err, KD_E_IO, 0, "%s: %s", old, strerror(errno));
	return open_trace(row, err);
}

static enum kd_status write_line(struct kd__relay_trace *row, const char *line, size_t size,
				 struct kd_error *err)
{
	if (fwrite(line, 1, size, row->file) != size || putc('\n', row->file) == EOF)
		return kd_error_set(err, KD_E_IO, 0, "%s: %s", row->path, strerror(errno));
	row->size += size + 1;
	return rotate(row, err);
}

enum kd_status kd__relay_traces_line(struct kd__relay_traces *t, const char *line, size_t size,
				     struct kd_error *err)
{
	enum kd_status result = KD_OK;

	for (size_t i = 0; i < t->n;) {
		struct kd__relay_trace *row = &t->row[i];
		size_t n = strlen(row->prefix);
		enum kd_status s = KD_OK;

		if (size >= n && memcmp(line, row->prefix, n) == 0)
			s = write_line(row, line, size, err);
		if (s == KD_OK) {
			i++;
			continue;
		}
		result = s;
		close_trace(row);
		*row = t->row[--t->n];
	}
	return result;
}
