/* SPDX-License-Identifier: MIT */
/* A dump's file: memory run by run, then the header and the processors' contexts over it. */
#include <openkd/dump.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/engine/dump_facts.h"
#include "lib/io/private_dir.h"

enum { PIECE = 4 << 20, PAGE = KD_DUMP_PAGE, COMMENT_MAX = 79 };

struct kd_dump {
	struct kd_session *session;
	uint64_t generation; /* of the stop that is dumped */
	struct kd__dump_facts facts;
	struct kd__file_replace file;
	char comment[COMMENT_MAX + 1];
	uint64_t done, total; /* pages */
	uint64_t unreadable;
	uint32_t run;    /* where we are: */
	uint64_t in_run; /* pages */
	uint8_t *piece;
};

/* --- the file --- */

static enum kd_status write_at(struct kd_dump *d, uint64_t offset, const uint8_t *bytes,
			       size_t size, struct kd_error *err)
{
	while (size > 0) {
		ssize_t n = pwrite(d->file.fd, bytes, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kd_error_set(err, KD_E_IO, offset, "cannot write the dump: %s",
					    n < 0 ? strerror(errno) : "nothing was written");
		bytes += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return KD_OK;
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

/* Zero pages are left out, neighbours go in one write. */
static enum kd_status write_pages(struct kd_dump *d, uint64_t n, struct kd_error *err)
{
	uint64_t base = kd_dump_header_size(d->facts.header.is_64bit) + d->done * PAGE;
	enum kd_status status = KD_OK;

	for (uint64_t i = 0; i < n && status == KD_OK;) {
		uint64_t first = i;

		while (i < n && !is_zero(d->piece + i * PAGE))
			i++;
		if (i > first)
			status = write_at(d, base + first * PAGE, d->piece + first * PAGE,
					  (size_t)(i - first) * PAGE, err);
		else
			i++;
	}
	return status;
}

/* --- memory --- */

static bool is_about_memory(enum kd_status status)
{
	return status == KD_E_UNREADABLE || status == KD_E_TARGET;
}

/* All of a piece; what cannot be read is zero. */
static enum kd_status read_pages(struct kd_dump *d, uint64_t page, uint64_t n, struct kd_error *err)
{
	uint64_t at = 0, size = n * PAGE;

	memset(d->piece, 0, size);
	while (at < size) {
		size_t done = 0;
		enum kd_status status = kd_memory_read_physical(
			d->session, page * PAGE + at, d->piece + at, size - at, &done, err);

		if (status != KD_OK && !is_about_memory(status))
			return status;
		at += done;
		if (at < size) {
			/* The bytes before the fault stay. */
			at = (at & ~(uint64_t)(PAGE - 1)) + PAGE;
			d->unreadable++;
		}
	}
	return KD_OK;
}

KD_EXPORT enum kd_status kd_dump_step(struct kd_dump *d, struct kd_error *err)
{
	const struct kd_dump_header *h = &d->facts.header;
	const struct kd_dump_run *run = &h->runs[d->run];
	enum kd_status status;
	uint64_t n;

	if (d->session->generation != d->generation || d->session->state != KD_SESSION_STOPPED)
		return kd_error_set(
			err, KD_E_RESET, 0,
			"the target ran or was changed since the dump was begun: begin anew");
	if (d->run == h->n_runs)
		return KD_OK;
	n = KD_MIN(run->n_pages - d->in_run, (uint64_t)(PIECE / PAGE));
	status = read_pages(d, run->base_page + d->in_run, n, err);
	if (status == KD_OK)
		status = write_pages(d, n, err);
	if (status != KD_OK)
		return status;
	d->done += n;
	d->in_run += n;
	if (d->in_run == run->n_pages) {
		d->run++;
		d->in_run = 0;
	}
	return KD_OK;
}

KD_EXPORT struct kd_dump_info kd_dump_info(const struct kd_dump *d)
{
	return (struct kd_dump_info){ d->done * PAGE, d->total * PAGE, d->unreadable,
				      d->run == d->facts.header.n_runs };
}

/* --- what comes last --- */

/* Where the target keeps the contexts of its processors, a reader finds them as they are now. */
static enum kd_status write_contexts(struct kd_dump *d, struct kd_error *err)
{
	enum kd_status status = KD_OK;

	for (size_t i = 0; i < d->facts.n_patches && status == KD_OK; i++) {
		const struct kd__dump_patch *p = &d->facts.patches[i];
		uint64_t offset;

		if (kd_dump_file_offset(&d->facts.header, p->physical, &offset))
			status = write_at(d, offset, p->bytes, p->size, err);
	}
	return status;
}

static void write_comment(struct kd_dump *d)
{
	char *to = d->facts.header.comment;
	int n = snprintf(to, KD_DUMP_COMMENT, "%s%sOpenKD", d->comment, *d->comment ? "; " : "");

	if (d->unreadable && n > 0 && n < KD_DUMP_COMMENT)
		snprintf(to + n, KD_DUMP_COMMENT - (size_t)n, ", %llu pages unreadable",
			 (unsigned long long)d->unreadable);
}

static enum kd_status write_header(struct kd_dump *d, struct kd_error *err)
{
	struct kd_dump_header *h = &d->facts.header;
	uint8_t bytes[KD_DUMP_HEADER_64];
	enum kd_status status;

	h->required_space = kd_dump_header_size(h->is_64bit) + d->total * PAGE;
	write_comment(d);
	status = kd_dump_header_encode(h, bytes, err);
	if (status == KD_OK)
		status = write_at(d, 0, bytes, kd_dump_header_size(h->is_64bit), err);
	if (status == KD_OK && ftruncate(d->file.fd, (off_t)h->required_space) != 0)
		status = kd_error_set(err, KD_E_IO, h->required_space,
				      "cannot make the dump as long as it has to be: %s",
				      strerror(errno));
	return status;
}

KD_EXPORT enum kd_status kd_dump_commit(struct kd_dump *d, struct kd_error *err)
{
	enum kd_status status;

	if (d->run != d->facts.header.n_runs || d->file.fd < 0)
		return kd_error_set(err, KD_E_INVALID, 0, "the dump is not complete yet");
	status = write_contexts(d, err);
	if (status == KD_OK)
		status = write_header(d, err);
	if (status == KD_OK)
		status = kd__file_replace_commit(&d->file, err);
	return status;
}

/* --- life --- */

KD_EXPORT void kd_dump_destroy(struct kd_dump *d)
{
	if (!d)
		return;
	kd__file_replace_abort(&d->file);
	free(d->piece);
	free(d);
}

static enum kd_status open_file(struct kd_dump *d, const char *path, bool overwrite,
				struct kd_error *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return kd_error_set(err, KD_E_INVALID, 0, "%.160s is a folder: name a file in it",
				    path);
	if (!overwrite && access(path, F_OK) == 0)
		return kd_error_set(err, KD_E_EXISTS, 0, "%.180s is there already", path);
	return kd__file_replace_begin(&d->file, path, err);
}

KD_EXPORT enum kd_status kd_dump_create(struct kd_session *s, const char *path,
					const struct kd_dump_options *options,
					struct kd_dump **dump_ret, struct kd_error *err)
{
	struct kd_dump *d = calloc(1, sizeof *d);
	enum kd_status status;

	if (!d || !(d->piece = malloc(PIECE))) {
		free(d);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	d->file = (struct kd__file_replace)KD__FILE_REPLACE_INIT;
	d->session = s;
	if (options && options->comment)
		snprintf(d->comment, sizeof d->comment, "%s", options->comment);
	status = open_file(d, path, options && options->overwrite, err);
	if (status == KD_OK)
		status = kd__dump_facts_gather(s, &d->facts, err);
	if (status != KD_OK) {
		kd_dump_destroy(d);
		return status;
	}
	d->generation = s->generation;
	d->total = kd_dump_pages(&d->facts.header);
	*dump_ret = d;
	return KD_OK;
}
