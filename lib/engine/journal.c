/* SPDX-License-Identifier: MIT */
/*
 * The bytes under planted breakpoints, on disk, so that a debugger that comes after one that was
 * killed can put them back. One small text file per endpoint:
 *
 *	openkd journal 1
 *	kernel fffff80000200000
 *	fffff80000212340 48
 *
 * The kernel's base is the boot's mark: after a reboot the entries mean nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/engine/arch.h"
#include "lib/engine/breaks_private.h"
#include "lib/engine/event.h"
#include "lib/io/private_dir.h"

enum { MAX_ENTRIES = 64, NAME_MAX_CHARS = 96 };

/* Endpoint as a file name: what is not a letter or digit becomes '-', a hash keeps it unique. */
static enum kd_status journal_path(const struct kd_session *s, char *path, size_t size,
				   struct kd_error *err)
{
	char name[NAME_MAX_CHARS + 32];
	uint32_t hash = 2166136261u;
	size_t n = 0;

	n = (size_t)snprintf(name, sizeof name, "journal-");
	for (const char *c = kd_session_endpoint(s); *c; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= '0' && *c <= '9');

		hash = (hash ^ (uint8_t)*c) * 16777619u;
		if (n < NAME_MAX_CHARS)
			name[n++] = plain ? *c : '-';
	}
	snprintf(name + n, sizeof name - n, "-%08x", hash);
	return kd_private_dir_make(KD_DIR_STATE, name, path, size, err);
}

static enum kd_status write_file(struct kd_session *s, const char *path,
				 const struct kd__journal_entry *entries, size_t n,
				 struct kd_error *err)
{
	struct kd__file_replace f = KD__FILE_REPLACE_INIT;
	char text[64 * (MAX_ENTRIES + 2)];
	size_t at;
	enum kd_status status = kd__file_replace_begin(&f, path, err);

	if (status != KD_OK)
		return status;
	at = (size_t)snprintf(text, sizeof text, "openkd journal 1\nkernel %016" PRIx64 "\n",
			      kd__kernel_base(s));
	for (size_t i = 0; i < n && i < MAX_ENTRIES; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%016" PRIx64 " %02x\n",
				       entries[i].address, entries[i].original);
	if (write(f.fd, text, at) != (ssize_t)at)
		status = kd_error_set(err, KD_E_IO, 0, "cannot write %s", path);
	if (status == KD_OK)
		status = kd__file_replace_commit(&f, err);
	kd__file_replace_abort(&f);
	return status;
}

void kd__journal_write(struct kd_session *s, const struct kd__journal_entry *entries, size_t n)
{
	struct kd_error err;
	char path[1024];
	enum kd_status status = journal_path(s, path, sizeof path, &err);

	if (status == KD_OK && n == 0) {
		unlink(path);
		return;
	}
	if (status == KD_OK)
		status = write_file(s, path, entries, n, &err);
	if (status != KD_OK && !s->journal_failed)
		kd__events_notice(
			s,
			"no breakpoint journal (%s): if this debugger is killed, the next "
			"one relies on the target's own table alone",
			err.text);
	s->journal_failed = status != KD_OK;
}

static size_t parse(char *text, uint64_t *kernel_ret, struct kd__journal_entry *entries)
{
	char *save = NULL, *line = strtok_r(text, "\n", &save);
	size_t n = 0;

	if (!line || strcmp(line, "openkd journal 1"))
		return 0;
	line = strtok_r(NULL, "\n", &save);
	if (!line || sscanf(line, "kernel %" SCNx64, kernel_ret) != 1)
		return 0;
	while (n < MAX_ENTRIES && (line = strtok_r(NULL, "\n", &save))) {
		unsigned byte;

		if (sscanf(line, "%" SCNx64 " %x", &entries[n].address, &byte) != 2 || byte > 0xFF)
			break;
		entries[n++].original = (uint8_t)byte;
	}
	return n;
}

static size_t read_file(const char *path, uint64_t *kernel_ret, struct kd__journal_entry *entries)
{
	char text[64 * (MAX_ENTRIES + 2)];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return 0;
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	return parse(text, kernel_ret, entries);
}

enum repair { NOTHING_THERE, REPAIRED, NOT_YET, LINK_FAILED };

static enum repair judge(enum kd_status status)
{
	return status == KD_E_UNREADABLE || status == KD_E_TARGET || status == KD_E_MALFORMED
		       ? NOT_YET
		       : LINK_FAILED;
}

/* Only a byte that still is a breakpoint, and was not one before, is written back. */
static enum repair repair_one(struct kd_session *s, const struct kd__journal_entry *e,
			      enum kd_status *status_ret, struct kd_error *err)
{
	uint8_t now;

	*status_ret = kd_memory_read(s, e->address, &now, 1, NULL, err);
	if (*status_ret != KD_OK)
		return judge(*status_ret);
	if (now != s->arch->breakpoint[0] || now == e->original)
		return NOTHING_THERE;
	*status_ret = kd_memory_write(s, e->address, &e->original, 1, NULL, err);
	return *status_ret == KD_OK ? REPAIRED : judge(*status_ret);
}

static void tell(struct kd_session *s, size_t repaired, size_t kept)
{
	if (repaired)
		kd__events_notice(s, "%zu breakpoints that a killed debugger left were repaired",
				  repaired);
	if (kept)
		kd__events_notice(s,
				  "%zu bytes may still be breakpoints of a killed debugger: their "
				  "memory cannot be reached now; attach again later",
				  kept);
}

enum kd_status kd__journal_repair(struct kd_session *s, struct kd_error *err)
{
	struct kd__journal_entry entries[MAX_ENTRIES];
	uint64_t kernel = 0;
	size_t n, n_repaired = 0;
	char path[1024];
	enum kd_status status = KD_OK;

	s->breaks->n_left_overs = 0;
	if (!s->arch || journal_path(s, path, sizeof path, NULL) != KD_OK)
		return KD_OK;
	n = read_file(path, &kernel, entries);
	for (size_t i = 0; i < n && kernel == kd__kernel_base(s); i++) {
		enum repair result = repair_one(s, &entries[i], &status, err);

		if (result == LINK_FAILED)
			return status; /* the file stays for the next attach */
		n_repaired += result == REPAIRED;
		if (result == NOT_YET && s->breaks->n_left_overs < KD__LEFT_OVERS)
			s->breaks->left_overs[s->breaks->n_left_overs++] = entries[i];
	}
	tell(s, n_repaired, s->breaks->n_left_overs);
	if (s->breaks->n_left_overs == 0)
		unlink(path);
	return KD_OK;
}
