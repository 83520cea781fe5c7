/* SPDX-License-Identifier: MIT */
/* Records as text and as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/wire/message.h"
#include "lib/base.h"
#include "lib/io/kd_decode.h"

enum {
	/* Every byte of a payload as "\x00", the longest form. */
	TEXT_SIZE = 4 * KD_PACKET_MAX,
	SHORT_TEXT = 160,
};

static const char *const kinds[] = {
	[KD_DECODE_PACKET] = "packet", [KD_DECODE_BREAK_IN] = "break-in",
	[KD_DECODE_NOISE] = "noise",   [KD_DECODE_DAMAGED] = "damaged",
	[KD_DECODE_NOTE] = "note",
};

static const char *direction_name(const struct kd_decode_record *r, const char *to_target,
				  const char *from_target, const char *none)
{
	if (r->kind == KD_DECODE_NOTE)
		return none;
	return r->direction == KD_DECODE_TO_TARGET ? to_target : from_target;
}

struct field_walk {
	kd_decode_field_fn fn;
	void *ctx;
	char text[TEXT_SIZE];
};

static void pass_on(void *ctx, const struct kd_described *d)
{
	struct field_walk *w = ctx;
	struct kd_decode_field f = {
		.structure = d->structure,
		.name = d->name,
		.offset = d->offset,
		.bytes = d->bytes,
		.size = d->size,
		.is_number = kd_described_is_number(d),
		.value = d->value,
		.text = w->text,
	};

	kd_described_text(w->text, sizeof(w->text), d);
	w->fn(w->ctx, &f);
}

/* The core's walk over a record; nothing for records that are no packet. */
static void describe(const struct kd_decode_record *r, kd_describe_fn fn, void *ctx)
{
	struct kd_packet_hdr hdr;

	if (r->kind != KD_DECODE_PACKET || kd_packet_hdr_decode(&hdr, r->bytes) != KD_OK)
		return;
	kd_describe_packet(&hdr, r->bytes + KD_HDR_SIZE, hdr.length, r->machine, fn, ctx);
}

KD_EXPORT void kd_decode_fields(const struct kd_decode_record *record, kd_decode_field_fn fn,
				void *ctx)
{
	struct field_walk w = { .fn = fn, .ctx = ctx };

	describe(record, pass_on, &w);
}

static bool is_silent(const struct kd_described *d)
{
	if (strcmp(d->name, "unnamed") != 0)
		return false;
	for (size_t i = 0; i < d->size; i++)
		if (d->bytes[i])
			return false;
	return true;
}

static void write_field(void *ctx, const struct kd_described *d)
{
	char text[SHORT_TEXT];

	/* The header is in the line above, unnamed zeros are padding. */
	if (d->offset < KD_HDR_SIZE || is_silent(d))
		return;
	kd_described_text(text, sizeof(text), d);
	fprintf(ctx, "\t%s.%s %s\n", d->structure, d->name, text);
}

KD_EXPORT enum kd_status kd_decode_write_text(FILE *out, const struct kd_decode_record *record,
					      bool with_fields)
{
	fprintf(out, "%5" PRIu64 " %" PRIu64 ".%06u %s ", record->number,
		record->elapsed_ns / 1000000000, (unsigned)(record->elapsed_ns / 1000 % 1000000),
		direction_name(record, "D>T", "T>D", "---"));
	if (record->type)
		fprintf(out, "%08" PRIx32 " ", record->id);
	else
		fprintf(out, "%8s ", "-");
	if (record->kind == KD_DECODE_DAMAGED)
		fprintf(out, "damaged %s, %zu bytes: ", record->type_name, record->size);
	else if (record->kind == KD_DECODE_NOISE)
		fprintf(out, "noise, %zu bytes: ", record->size);
	fprintf(out, "%s%s\n", record->summary, record->is_repeat ? " (again)" : "");
	if (with_fields)
		describe(record, write_field, out);
	return ferror(out) ? KD_E_IO : KD_OK;
}

static json_t *hex_json(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * KD_PACKET_MAX + 1];

	size = KD_MIN(size, (size_t)KD_PACKET_MAX);
	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return json_stringn(text, 2 * size);
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xE0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3F));
		out[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

static bool is_surrogate(uint32_t c, uint32_t base)
{
	return (c & 0xFC00) == base;
}

/* Without the NUL at the end. UTF-16 as it should be; of the target's code page only ASCII is sure,
 * the rest reads as Latin-1.
 */
static json_t *characters_json(const struct kd_described *d)
{
	char text[3 * KD_PACKET_MAX];
	size_t step = d->element_size, n = 0;

	for (size_t i = 0; i + step <= d->size && n + 4 < sizeof(text); i += step) {
		uint32_t c = (uint32_t)kd_get_sized(d->bytes + i, step);
		uint32_t next = i + 4 <= d->size && step == 2 ? kd_get16(d->bytes + i + 2) : 0;

		if (is_surrogate(c, 0xD800) && is_surrogate(next, 0xDC00)) {
			c = 0x10000 + ((c & 0x3FF) << 10 | (next & 0x3FF));
			i += step;
		} else if (is_surrogate(c, 0xD800) || is_surrogate(c, 0xDC00)) {
			c = 0xFFFD;
		}
		n += put_utf8(text + n, c);
	}
	while (n > 0 && text[n - 1] == '\0')
		n--;
	return json_stringn(text, n);
}

/* Decimal fields are JSON numbers; others are text, as 64 bits don't fit into every reader's. */
static json_t *value_json(const struct kd_described *d)
{
	char text[32];

	if (d->format == KD_FORMAT_CHARS || d->format == KD_FORMAT_UTF16)
		return characters_json(d);
	if (!kd_described_is_number(d))
		return hex_json(d->bytes, d->size);
	if (d->format == KD_FORMAT_DEC && d->value <= INT64_MAX)
		return json_integer((json_int_t)d->value);
	snprintf(text, sizeof(text), "0x%" PRIx64, d->value);
	return json_string(text);
}

static void field_json(void *ctx, const struct kd_described *d)
{
	json_t *list = ctx;
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:o}", "structure", d->structure, "name",
				   d->name, "offset", (json_int_t)d->offset, "size",
				   (json_int_t)d->size, "value", value_json(d));

	if (object && d->text)
		json_object_set_new(object, "text", json_string(d->text));
	if (object)
		json_array_append_new(list, object);
}

static json_t *record_json(const struct kd_decode_record *r)
{
	json_t *fields = json_array();
	char id[16], code[16];

	snprintf(id, sizeof(id), "0x%08" PRIx32, r->id);
	snprintf(code, sizeof(code), "0x%" PRIx32, r->code);
	if (fields)
		describe(r, field_json, fields);
	return json_pack("{s:I, s:s, s:s?, s:I, s:I, s:i, s:s?, s:s?, s:s?, s:s?, s:b, s:s?, s:s, "
			 "s:o, s:o}",
			 "number", (json_int_t)r->number, "kind", kinds[r->kind], "direction",
			 direction_name(r, "to-target", "from-target", NULL), "time_ns",
			 (json_int_t)(r->time_ns & INT64_MAX), "offset",
			 (json_int_t)r->stream_offset, "type", (int)r->type, "type_name",
			 r->type_name, "id", r->type ? id : NULL, "code", r->code ? code : NULL,
			 "name", r->code_name, "repeat", (int)r->is_repeat, "problem", r->problem,
			 "summary", r->summary, "bytes", hex_json(r->bytes, r->size), "fields",
			 fields);
}

KD_EXPORT enum kd_status kd_decode_write_json(FILE *out, const struct kd_decode_record *record)
{
	json_t *object = record_json(record);
	int failed;

	if (!object)
		return KD_E_NO_MEMORY;
	failed = json_dumpf(object, out, JSON_COMPACT);
	json_decref(object);
	if (failed || fputc('\n', out) == EOF)
		return KD_E_IO;
	return KD_OK;
}
