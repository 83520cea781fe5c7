/* SPDX-License-Identifier: MIT */
#include "lib/engine/module_list.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/base.h"

/* KLDR_DATA_TABLE_ENTRY; the fields used are where LDR_DATA_TABLE_ENTRY has them too. */
struct layout {
	uint8_t pointer_size;
	uint8_t base, entry_point, size, path, name, checksum;
	uint8_t stamp, old_stamp; /* Windows 8 and later; before */
	uint8_t needed;           /* bytes without which an entry is worth nothing */
	uint8_t wanted;
};

static const struct layout layout64 = { 8,    0x30, 0x38, 0x40, 0x48, 0x58,
					0x78, 0x9C, 0x80, 0x68, 0xA0 };
static const struct layout layout32 = { 4,    0x18, 0x1C, 0x20, 0x24, 0x2C,
					0x40, 0x58, 0x44, 0x34, 0x5C };

enum {
	ENTRY_MAX = 0xA0,
	NAME_BYTES_MAX = 2 * (KD__MODULE_PATH_MAX - 1),
};

struct walk {
	const struct kd__list_reader *reader;
	const struct layout *layout;
	uint64_t head;
	kd__list_fn fn;
	void *context;
	struct kd_error *err;
	size_t n;
	uint64_t seen[KD__MODULES_MAX];
};

const char *kd__module_base_name(const char *path)
{
	const char *last = path;

	for (const char *p = path; *p; p++)
		if (*p == '\\' || *p == '/')
			last = p + 1;
	return last;
}

void kd__module_name(const char *image, char *name, size_t size)
{
	const char *base = kd__module_base_name(image);
	const char *dot = strrchr(base, '.');
	size_t length = dot && dot > base ? (size_t)(dot - base) : strlen(base);
	size_t n = 0;

	for (; n < length && n + 1 < size; n++) {
		unsigned char c = (unsigned char)base[n];

		name[n] = (char)(isalnum(c) || c == '_' ? tolower(c) : '_');
	}
	name[n] = 0;
}

static uint64_t pointer_at(const struct walk *w, const uint8_t *bytes)
{
	if (w->layout->pointer_size == 8)
		return kd_get64(bytes);
	return (uint64_t)(int64_t)(int32_t)kd_get32(bytes);
}

static bool can_be_entry(const struct walk *w, uint64_t address)
{
	return address > 0xFFFF && address % w->layout->pointer_size == 0;
}

static bool is_seen(const struct walk *w, uint64_t address)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->seen[i] == address)
			return true;
	return false;
}

static bool can_be_image(const struct kd__list_entry *e)
{
	return e->base && e->base % 4096 == 0 && e->size && e->size <= KD__MODULE_SIZE_MAX &&
	       e->base + e->size - 1 >= e->base;
}

/* --- names --- */

struct counted { /* UNICODE_STRING */
	uint16_t size;
	uint64_t buffer;
};

static struct counted counted_at(const struct walk *w, const uint8_t *bytes)
{
	return (struct counted){ kd_get16(bytes), pointer_at(w, bytes + w->layout->pointer_size) };
}

static enum kd_status text(const struct walk *w, struct counted s, char *out, size_t size)
{
	size_t n = KD_MIN((size_t)(s.size & ~1u), (size_t)NAME_BYTES_MAX);
	enum kd_status status;

	out[0] = 0;
	if (!n || !s.buffer)
		return KD_OK;
	status = w->reader->text(w->reader->context, s.buffer, n, out, size, w->err);
	if (status == KD_E_UNREADABLE || status == KD_E_MALFORMED)
		out[0] = 0;
	else if (status != KD_OK)
		return status;
	for (char *p = out; *p; p++) /* it will be printed */
		if ((unsigned char)*p < ' ' || *p == 0x7F)
			*p = '?';
	return KD_OK;
}

/* The base name is read only if it is not just the end of the path. */
static enum kd_status names(const struct walk *w, const uint8_t *bytes, struct kd__list_entry *e)
{
	struct counted path = counted_at(w, bytes + w->layout->path);
	struct counted name = counted_at(w, bytes + w->layout->name);
	enum kd_status status = text(w, path, e->path, sizeof e->path);
	const char *last;

	if (status != KD_OK)
		return status;
	last = kd__module_base_name(e->path);
	if (*last && strlen(last) * 2 == name.size)
		snprintf(e->name, sizeof e->name, "%s", last);
	else
		status = text(w, name, e->name, sizeof e->name);
	if (!e->name[0])
		snprintf(e->name, sizeof e->name, "%s", last);
	if (!e->path[0])
		snprintf(e->path, sizeof e->path, "%s", e->name);
	return status;
}

/* --- one entry --- */

static uint32_t stamp(const struct walk *w, const uint8_t *bytes, size_t n)
{
	size_t at = w->reader->is_modern ? w->layout->stamp : w->layout->old_stamp;

	return n >= at + 4 ? kd_get32(bytes + at) : 0;
}

/* *link_ret: the next entry (or the one before, backwards). */
static enum kd_status entry(struct walk *w, uint64_t address, bool backwards, uint64_t *link_ret,
			    struct kd__list_entry *e)
{
	const struct layout *l = w->layout;
	uint8_t bytes[ENTRY_MAX] = { 0 };
	size_t n = 0;
	enum kd_status status = w->reader->read(w->reader->context, address, bytes, l->wanted, &n,
						w->err);

	if (status != KD_OK)
		return status;
	if (n < l->needed)
		return kd_error_set(w->err, KD_E_UNREADABLE, address + n, "not readable");
	*link_ret = pointer_at(w, bytes + (backwards ? l->pointer_size : 0));
	*e = (struct kd__list_entry){
		.address = address,
		.base = pointer_at(w, bytes + l->base),
		.entry_point = pointer_at(w, bytes + l->entry_point),
		.size = kd_get32(bytes + l->size),
		.checksum = n >= l->checksum + 4u ? kd_get32(bytes + l->checksum) : 0,
		.timestamp = stamp(w, bytes, n),
	};
	return can_be_image(e) ? names(w, bytes, e) : KD_OK;
}

/* --- the walk --- */

enum { BACKWARDS_MAX = 128 };

static enum kd_status broken(struct walk *w, uint64_t at, const char *why)
{
	return kd_error_set(w->err, KD_E_MALFORMED, at,
			    "the module list breaks after %zu entries: %s at 0x%" PRIx64, w->n, why,
			    at);
}

/* Read the entry at *link and move *link on. KD_E_MALFORMED: err says what is wrong with it. */
static enum kd_status visit(struct walk *w, uint64_t *link, bool backwards,
			    struct kd__list_entry *e)
{
	uint64_t at = *link;
	enum kd_status status;

	if (!can_be_entry(w, at))
		return broken(w, at, "an impossible link");
	if (is_seen(w, at))
		return broken(w, at, "it loops back to the entry");
	if (w->n == KD__MODULES_MAX)
		return broken(w, at, "too many entries, the next one");
	status = entry(w, at, backwards, link, e);
	if (status == KD_E_UNREADABLE)
		return broken(w, at, "an unreadable entry");
	if (status == KD_OK)
		w->seen[w->n++] = at;
	return status;
}

static enum kd_status forwards(struct walk *w, uint64_t link)
{
	struct kd__list_entry e;
	enum kd_status status = KD_OK;

	while (link != w->head && status == KD_OK) {
		status = visit(w, &link, false, &e);
		if (status == KD_OK && can_be_image(&e) && !w->fn(w->context, &e))
			break;
	}
	return status;
}

static bool nothing_is_known(void *context, uint64_t address)
{
	return false;
}

/* From `link` back to the head or an entry that is known; reported in load order. */
static enum kd_status backwards(struct walk *w, uint64_t link,
				bool (*known)(void *context, uint64_t address))
{
	struct kd__list_entry *found = calloc(BACKWARDS_MAX, sizeof *found);
	enum kd_status status = KD_OK;
	size_t n = 0;

	if (!found)
		return kd_error_set(w->err, KD_E_NO_MEMORY, 0, "out of memory");
	while (status == KD_OK && link != w->head && !known(w->context, link)) {
		if (n == BACKWARDS_MAX) {
			status = kd_error_set(w->err, KD_E_FULL, link, "too many new entries");
			break;
		}
		status = visit(w, &link, true, &found[n]);
		if (status == KD_OK)
			n += can_be_image(&found[n]);
	}
	while (n > 0 && w->fn(w->context, &found[n - 1]))
		n--;
	free(found);
	return status;
}

/* What lies behind a break may be reached from the list's other end. */
static enum kd_status rescue(struct walk *w, uint64_t last)
{
	struct kd_error *first = w->err, second;
	enum kd_status status;

	w->err = &second;
	status = backwards(w, last, nothing_is_known);
	w->err = first;
	if (status == KD_OK || status == KD_E_MALFORMED || status == KD_E_FULL)
		return KD_E_MALFORMED; /* the first break stays what is told */
	if (first)
		*first = second;
	return status;
}

static enum kd_status begin(const struct kd__list_reader *reader, uint64_t head, kd__list_fn fn,
			    void *context, struct kd_error *err, struct walk **ret,
			    uint64_t *first_ret, uint64_t *last_ret)
{
	struct walk *w = calloc(1, sizeof *w);
	size_t pointer = reader->pointer_size == 4 ? 4 : 8, n = 0;
	uint8_t links[16];
	enum kd_status status;

	if (!w)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	*w = (struct walk){ .reader = reader,
			    .layout = pointer == 4 ? &layout32 : &layout64,
			    .head = head,
			    .fn = fn,
			    .context = context,
			    .err = err };
	status = reader->read(reader->context, head, links, 2 * pointer, &n, err);
	if (status == KD_OK && n < 2 * pointer)
		status = kd_error_set(err, KD_E_UNREADABLE, head + n,
				      "the head of the module list at 0x%" PRIx64 " cannot be read",
				      head);
	if (status != KD_OK) {
		free(w);
		return status;
	}
	*first_ret = pointer_at(w, links);
	*last_ret = pointer_at(w, links + pointer);
	*ret = w;
	return KD_OK;
}

enum kd_status kd__list_walk(const struct kd__list_reader *reader, uint64_t head, kd__list_fn fn,
			     void *context, struct kd_error *err)
{
	uint64_t first, last;
	struct walk *w;
	enum kd_status status = begin(reader, head, fn, context, err, &w, &first, &last);

	if (status != KD_OK)
		return status;
	status = forwards(w, first);
	if (status == KD_E_MALFORMED)
		status = rescue(w, last);
	free(w);
	return status;
}

enum kd_status kd__list_new(const struct kd__list_reader *reader, uint64_t head,
			    bool (*known)(void *context, uint64_t address), kd__list_fn fn,
			    void *context, struct kd_error *err)
{
	uint64_t first, last;
	struct walk *w;
	enum kd_status status = begin(reader, head, fn, context, err, &w, &first, &last);

	if (status != KD_OK)
		return status;
	status = backwards(w, last, known);
	free(w);
	return status;
}
