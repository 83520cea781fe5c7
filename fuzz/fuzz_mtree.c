/* SPDX-License-Identifier: MIT */
/*
 * Texts of `info mtree -f`. Oracle: ranges are ascending, disjoint, inside their backends and not
 * to be joined; each byte of them is found again, none outside; the layout written as a flat view
 * reads as itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/ram_layout.h"

enum { LINE = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_backends(struct kd_ram_layout *l)
{
	memset(l, 0, sizeof *l);
	l->n_backends = 2;
	strcpy(l->backends[0].id, "m0");
	l->backends[0].size = UINT64_C(8) << 30;
	strcpy(l->backends[1].id, "pc.ram");
	l->backends[1].size = 1 << 20;
}

static void check(const struct kd_ram_layout *l)
{
	uint64_t end = 0;

	if (!l->n_ranges || l->n_ranges > KD_RAM_RANGES_MAX)
		abort();
	for (size_t i = 0; i < l->n_ranges; i++) {
		const struct kd_ram_range *r = &l->ranges[i];

		if (!r->size || r->start < end || r->start + r->size <= r->start ||
		    r->backend >= l->n_backends ||
		    r->offset + r->size > l->backends[r->backend].size ||
		    r->offset + r->size < r->offset)
			abort();
		if (kd_ram_range_find(l, r->start) != r ||
		    kd_ram_range_find(l, r->start + r->size - 1) != r)
			abort();
		if (r->start > end &&
		    (kd_ram_range_find(l, r->start - 1) || kd_ram_range_find(l, end)))
			abort();
		end = r->start + r->size;
	}
	if (kd_ram_range_find(l, end) || kd_ram_range_find(l, UINT64_MAX))
		abort();
}

static void check_round_trip(const struct kd_ram_layout *l)
{
	static char text[KD_RAM_RANGES_MAX * LINE + LINE];
	char *p = text + sprintf(text, "FlatView #1\r\n Root memory region: system\r\n");
	static struct kd_ram_layout again;

	for (size_t i = 0; i < l->n_ranges; i++) {
		const struct kd_ram_range *r = &l->ranges[i];

		p += sprintf(p, "  %016" PRIx64 "-%016" PRIx64 " (prio 0, %s): %s", r->start,
			     r->start + r->size - 1, r->is_rom ? "rom" : "ram",
			     l->backends[r->backend].id);
		p += r->offset ? sprintf(p, " @%016" PRIx64 " KVM\r\n", r->offset)
			       : sprintf(p, "\r\n");
	}
	set_backends(&again);
	if (kd_ram_layout_parse(text, false, &again, NULL) != KD_OK ||
	    again.n_ranges != l->n_ranges)
		abort();
	for (size_t i = 0; i < l->n_ranges; i++) {
		const struct kd_ram_range *x = &l->ranges[i], *y = &again.ranges[i];

		if (x->start != y->start || x->size != y->size || x->offset != y->offset ||
		    x->backend != y->backend || x->is_rom != y->is_rom)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kd_ram_layout l;
	char *text = malloc(size + 1);
	struct kd_error err = { 0 };
	enum kd_status s;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	set_backends(&l);
	s = kd_ram_layout_parse(text, size & 1, &l, &err);
	if (s == KD_OK) {
		check(&l);
		check_round_trip(&l);
	} else if ((s != KD_E_NOT_FOUND && s != KD_E_MALFORMED && s != KD_E_TOO_BIG) ||
		   err.status != s || !err.text[0]) {
		abort();
	}
	free(text);
	return 0;
}
