/* SPDX-License-Identifier: MIT */
/*
 * Recordings. Oracle: every packet lies within the limits; what was read, written by our writer and
 * read again is the same; reading ends after at most as many packets as the bytes have room for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io/pcapng.h"

enum { KEPT_MAX = 64, LEAST_BLOCK = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct kept {
	size_t n;
	struct kd_pcapng_packet row[KEPT_MAX];
};

static void *copy(const void *bytes, size_t size)
{
	char *c = malloc(size + 1);

	if (!c)
		abort();
	if (size)
		memcpy(c, bytes, size);
	c[size] = '\0';
	return c;
}

static void check(const struct kd_pcapng_packet *p, size_t size)
{
	if (p->size > KD_PCAPNG_DATA_MAX || p->size > size || p->original_size < p->size ||
	    p->offset >= size || p->comment_size > KD_PCAPNG_TEXT_MAX || p->direction > 2)
		abort();
}

static void keep(struct kept *k, const struct kd_pcapng_packet *p)
{
	struct kd_pcapng_packet *to = &k->row[k->n];

	if (k->n == KEPT_MAX)
		return;
	k->n++;
	*to = *p;
	to->data = copy(p->data, p->size);
	to->comment = p->comment ? copy(p->comment, p->comment_size) : NULL;
}

static void read_all(const uint8_t *data, size_t size, struct kept *k)
{
	struct kd_pcapng_reader *r;
	struct kd_pcapng_packet p;
	struct kd_error err = { 0 };
	size_t n = 0;

	if (kd_pcapng_reader_open_memory(data, size, &r, &err) != KD_OK)
		return;
	while (kd_pcapng_next(r, &p, &err) == KD_OK) {
		check(&p, size);
		if (!kd_pcapng_interface_name(r, p.interface_id) || ++n > size / LEAST_BLOCK)
			abort();
		keep(k, &p);
	}
	if (err.status == KD_OK || !err.text[0] || err.where > size)
		abort();
	kd_pcapng_reader_destroy(r);
}

static void write_all(const struct kept *k, const char *path)
{
	struct kd_pcapng_writer *w;
	uint32_t id;

	if (kd_pcapng_writer_create(path, "fuzz", NULL, 0, &w, NULL) != KD_OK ||
	    kd_pcapng_add_interface(w, KD_LINKTYPE_USER0, "fuzz", NULL, &id, NULL) != KD_OK)
		abort();
	for (size_t i = 0; i < k->n; i++) {
		struct kd_pcapng_packet p = k->row[i];

		p.interface_id = id;
		if (kd_pcapng_write(w, &p, NULL) != KD_OK)
			abort();
	}
	if (kd_pcapng_writer_close(w, NULL) != KD_OK)
		abort();
}

static void check_written(const struct kept *k, const char *path)
{
	struct kd_pcapng_reader *r;
	struct kd_pcapng_packet p;

	if (kd_pcapng_reader_open(path, &r, NULL) != KD_OK)
		abort();
	for (size_t i = 0; i < k->n; i++) {
		const struct kd_pcapng_packet *want = &k->row[i];

		if (kd_pcapng_next(r, &p, NULL) != KD_OK || p.size != want->size ||
		    (p.size && memcmp(p.data, want->data, p.size) != 0) ||
		    p.time_ns != want->time_ns || p.direction != want->direction ||
		    p.original_size != want->original_size)
			abort();
		if (want->comment &&
		    (p.comment_size != strlen(want->comment) ||
		     (p.comment_size && memcmp(p.comment, want->comment, p.comment_size) != 0)))
			abort();
	}
	if (kd_pcapng_next(r, &p, NULL) != KD_E_NOT_FOUND)
		abort();
	kd_pcapng_reader_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	struct kept k = { .n = 0 };

	read_all(data, size, &k);
	if (k.n) {
		snprintf(path, sizeof path, "/tmp/fuzz-pcapng-%d", (int)getpid());
		write_all(&k, path);
		check_written(&k, path);
		unlink(path);
	}
	for (size_t i = 0; i < k.n; i++) {
		free((void *)(uintptr_t)k.row[i].data);
		free((void *)(uintptr_t)k.row[i].comment);
	}
	return 0;
}
