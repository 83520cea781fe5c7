/* SPDX-License-Identifier: MIT */
#include "lib/vm/ram_layout.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- one line of a flat view --- */

struct line {
	uint64_t start, end; /* both included */
	uint64_t offset;
	bool is_ram, is_rom;
	long priority;
	const char *name;
	size_t name_size;
};

/* Hexadecimal digits at *p, which moves behind them; false: none, or more than 64 bits. */
static bool take_hex(const char **p, uint64_t *ret)
{
	size_t n = strspn(*p, "0123456789abcdefABCDEF");

	if (n == 0 || n > 16)
		return false;
	*ret = strtoull(*p, NULL, 16);
	*p += n;
	return true;
}

static bool take(const char **p, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*p, text, n) != 0)
		return false;
	*p += n;
	return true;
}

/*
 *   "  0000000000100000-00000000bfffffff (prio 0, ram): m0 @0000000000100000 KVM"
 * Names may hold blanks, backend ids don't: the name is what stands before the first one.
 */
static bool parse_line(const char *p, struct line *ret)
{
	struct line l = { .offset = 0 };
	char *after;

	while (*p == ' ')
		p++;
	if (!take_hex(&p, &l.start) || !take(&p, "-") || !take_hex(&p, &l.end) ||
	    !take(&p, " (prio ") || !(isdigit((unsigned char)*p) || *p == '-'))
		return false;
	l.priority = strtol(p, &after, 10);
	p = after;
	if (!take(&p, ", "))
		return false;
	take(&p, "nv-"); /* not volatile: NVDIMM */
	l.is_ram = !strncmp(p, "ram)", 4);
	l.is_rom = !strncmp(p, "rom)", 4);
	p += strcspn(p, ")\r\n");
	if (!take(&p, "): "))
		return false;
	l.name = p;
	l.name_size = strcspn(p, " \r\n");
	p += l.name_size;
	if (take(&p, " @") && !take_hex(&p, &l.offset))
		return false;
	*ret = l;
	return true;
}

/* --- the flat view --- */

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p ? p + 1 : p;
}

/* The lines behind " Root memory region: system"; NULL: there is no such view. */
static const char *find_view(const char *mtree)
{
	static const char root[] = " Root memory region: system";

	for (const char *p = mtree; *p; p = next_line(p)) {
		const char *rest = p;

		if (take(&rest, root) && strchr("\r\n", *rest))
			return next_line(p);
	}
	return NULL;
}

/* Index of the backend whose region that is; n_backends: none of ours. */
static size_t backend_of(const struct kd_ram_layout *layout, const struct line *l)
{
	static const char canonical[] = "/objects/";
	const char *name = l->name;
	size_t size = l->name_size, i;

	if (size > sizeof canonical - 1 && take(&name, canonical))
		size -= sizeof canonical - 1;
	for (i = 0; i < layout->n_backends; i++)
		if (strlen(layout->backends[i].id) == size &&
		    !memcmp(layout->backends[i].id, name, size))
			break;
	return i;
}

static bool continues(const struct kd_ram_range *before, const struct kd_ram_range *r)
{
	return before->backend == r->backend && before->is_rom == r->is_rom &&
	       before->start + before->size == r->start &&
	       before->offset + before->size == r->offset;
}

static enum kd_status add_range(struct kd_ram_layout *layout, const struct line *l, size_t backend,
				struct kd_error *err)
{
	const struct kd_ram_backend *b = &layout->backends[backend];
	struct kd_ram_range *last = layout->n_ranges ? &layout->ranges[layout->n_ranges - 1] : NULL;
	struct kd_ram_range r = {
		.start = l->start,
		.size = l->end - l->start + 1,
		.offset = l->offset,
		.backend = (uint32_t)backend,
		.is_rom = l->is_rom,
	};

	if (l->end < l->start || r.size == 0 || l->end == UINT64_MAX || l->offset > b->size ||
	    r.size > b->size - l->offset)
		return kd_error_set(err, KD_E_MALFORMED, l->start,
				    "RAM at %016" PRIx64 "-%016" PRIx64 " is not in backend %s",
				    l->start, l->end, b->id);
	if (last && r.start < last->start + last->size)
		return kd_error_set(err, KD_E_MALFORMED, l->start,
				    "RAM at %016" PRIx64 " is told twice or out of order",
				    l->start);
	if (last && continues(last, &r)) {
		last->size += r.size;
		return KD_OK;
	}
	if (layout->n_ranges == KD_RAM_RANGES_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, l->start, "more than %d ranges of RAM",
				    KD_RAM_RANGES_MAX);
	layout->ranges[layout->n_ranges++] = r;
	return KD_OK;
}

enum kd_status kd_ram_layout_parse(const char *mtree, bool any_priority,
				   struct kd_ram_layout *layout, struct kd_error *err)
{
	const char *p = find_view(mtree);
	struct line l;

	layout->n_ranges = 0;
	if (!p)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "\"info mtree -f\" shows no flat view of \"system\"");
	/* The view ends where a line is none of its lines: the empty one before the next view. */
	for (; parse_line(p, &l); p = next_line(p)) {
		size_t backend = backend_of(layout, &l);
		enum kd_status s;

		if (!(l.is_ram || l.is_rom) || backend == layout->n_backends ||
		    (l.priority != 0 && !any_priority))
			continue;
		s = add_range(layout, &l, backend, err);
		if (s != KD_OK)
			return s;
	}
	if (!layout->n_ranges)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "\"info mtree -f\" shows no RAM of the VM's memory backends");
	return KD_OK;
}

/* --- using it --- */

const struct kd_ram_range *kd_ram_range_find(const struct kd_ram_layout *l, uint64_t address)
{
	size_t low = 0, high = l->n_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct kd_ram_range *r = &l->ranges[middle];

		if (address < r->start)
			high = middle;
		else if (address - r->start >= r->size)
			low = middle + 1;
		else
			return r;
	}
	return NULL;
}

uint64_t kd_ram_layout_size(const struct kd_ram_layout *l)
{
	uint64_t size = 0;

	for (size_t i = 0; i < l->n_ranges; i++)
		size += l->ranges[i].size;
	return size;
}
