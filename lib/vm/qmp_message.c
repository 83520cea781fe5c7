/* SPDX-License-Identifier: MIT */
#include "lib/vm/qmp_message.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 << 10, SHOWN = 48 };

void kd__qmp_reader_deinit(struct kd__qmp_reader *r)
{
	free(r->bytes);
	memset(r, 0, sizeof *r);
}

const char *kd__vm_printable(const char *text, char *buffer, size_t size)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++)
		buffer[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7F ? '?' : text[i];
	buffer[i] = '\0';
	return buffer;
}

static void drop_handed_out(struct kd__qmp_reader *r)
{
	if (!r->first)
		return;
	memmove(r->bytes, r->bytes + r->first, r->used - r->first);
	r->used -= r->first;
	r->scanned -= r->first;
	r->first = 0;
}

enum kd_status kd__qmp_feed(struct kd__qmp_reader *r, const void *bytes, size_t n,
			    struct kd_error *err)
{
	drop_handed_out(r);
	if (n > r->size - r->used) {
		size_t size = KD_MAX(KD_MAX(2 * r->size, (size_t)FIRST_SIZE), r->used + n);
		char *grown = realloc(r->bytes, size);

		if (!grown)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		r->bytes = grown;
		r->size = size;
	}
	if (n)
		memcpy(r->bytes + r->used, bytes, n);
	r->used += n;
	return KD_OK;
}

/* A line without its line feed; it may be empty. */
static enum kd_status next_line(struct kd__qmp_reader *r, const char **line_ret, size_t *size_ret,
				struct kd_error *err)
{
	const char *end = r->used > r->scanned
				  ? memchr(r->bytes + r->scanned, '\n', r->used - r->scanned)
				  : NULL;
	size_t size = (end ? (size_t)(end - r->bytes) : r->used) - r->first;

	if (size > KD_QMP_LINE_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "a line of more than %d bytes",
				    KD_QMP_LINE_MAX);
	if (!end) {
		r->scanned = r->used;
		return KD_E_AGAIN;
	}
	*line_ret = r->bytes + r->first;
	*size_ret = size;
	r->first += size + 1;
	r->scanned = r->first;
	return KD_OK;
}

/* Why a line is no QMP, with the likely reason. */
static enum kd_status not_qmp(const char *line, size_t size, const char *why, struct kd_error *err)
{
	char start[SHOWN + 1], shown[SHOWN + 1], clean[2 * SHOWN];
	size_t n = KD_MIN(size, (size_t)SHOWN);

	while (n && line[n - 1] == '\r')
		n--;
	memcpy(start, line, n);
	start[n] = '\0';
	if (memmem(line, size, " monitor - type 'help'", 22))
		why = "this is a monitor for people (-monitor), not for programs: add -qmp";
	else if (!strcmp(start, "{"))
		why = "its JSON is spread over lines: use -qmp, not -qmp-pretty or pretty=on";
	return kd_error_set(err, KD_E_MALFORMED, 0, "\"%s\"%s: %s",
			    kd__vm_printable(start, shown, sizeof shown), size > n ? "..." : "",
			    kd__vm_printable(why, clean, sizeof clean));
}

static uint64_t event_time_us(const json_t *root)
{
	const json_t *t = json_object_get(root, "timestamp");
	json_int_t s = json_integer_value(json_object_get(t, "seconds"));
	json_int_t us = json_integer_value(json_object_get(t, "microseconds"));

	/* QEMU says -1 when it does not know. */
	if (s < 0 || us < 0 || s > INT64_MAX / 2000000 || us > 999999)
		return 0;
	return (uint64_t)s * 1000000u + (uint64_t)us;
}

/* False: none of the four kinds, or not made as it should be. */
static bool classify(struct kd__qmp_message *m)
{
	json_t *error = json_object_get(m->root, "error");
	json_t *event = json_object_get(m->root, "event");

	m->id = json_string_value(json_object_get(m->root, "id"));
	if ((m->value = json_object_get(m->root, "return"))) {
		m->kind = KD__QMP_RETURN;
		return true;
	}
	if (error) {
		m->kind = KD__QMP_ERROR;
		m->name = json_string_value(json_object_get(error, "class"));
		m->text = json_string_value(json_object_get(error, "desc"));
		return m->name && m->text;
	}
	if (event) {
		m->kind = KD__QMP_EVENT;
		m->name = json_string_value(event);
		m->value = json_object_get(m->root, "data");
		m->time_us = event_time_us(m->root);
		return m->name && (!m->value || json_is_object(m->value));
	}
	m->kind = KD__QMP_GREETING;
	m->value = json_object_get(m->root, "QMP");
	return json_is_object(m->value);
}

static enum kd_status parse(const char *line, size_t size, struct kd__qmp_message *ret,
			    struct kd_error *err)
{
	struct kd__qmp_message m = { .kind = KD__QMP_GREETING };
	json_error_t why;

	m.root = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why);
	if (!m.root)
		return not_qmp(line, size, why.text, err);
	if (!json_is_object(m.root) || !classify(&m)) {
		json_decref(m.root);
		return not_qmp(line, size, "not a message of QMP", err);
	}
	*ret = m;
	return KD_OK;
}

enum kd_status kd__qmp_next(struct kd__qmp_reader *r, struct kd__qmp_message *ret,
			    struct kd_error *err)
{
	const char *line;
	size_t size;

	for (;;) {
		enum kd_status s = next_line(r, &line, &size, err);

		if (s != KD_OK)
			return s;
		/* QEMU ends lines with CR LF. */
		if (size && line[size - 1] == '\r')
			size--;
		if (size)
			return parse(line, size, ret, err);
	}
}

void kd__qmp_message_deinit(struct kd__qmp_message *m)
{
	json_decref(m->root);
	memset(m, 0, sizeof *m);
}
