/* SPDX-License-Identifier: MIT */
#include "apps/kd/type_show.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>

enum { MEMBERS_MAX = 8192, ELEMENTS_SHOWN = 16, STRING_MAX = 256 };

typedef unsigned long long ull;

/* --- values --- */

static bool load(const struct memory_block *b, uint64_t offset, unsigned size, uint64_t *value)
{
	if (size == 0 || size > 8 || offset > b->view.size ||
	    !dump_is_valid(&b->view, (size_t)offset, size))
		return false;
	*value = value_load(b->bytes + offset, size);
	return true;
}

static int64_t sign_extend(uint64_t value, unsigned size)
{
	unsigned shift = 64 - 8 * size;

	return (int64_t)(value << shift) >> shift;
}

/* "_LIST_ENTRY [ 0x... - 0x... ]", "_UNICODE_STRING "text"": structs everybody wants opened. */
static bool special_struct(struct type_show *ts, const char *name, const struct memory_block *b,
			   uint64_t offset, struct text *t)
{
	unsigned p = ts->call->con->pointer_size;
	uint64_t first, second, length;
	char string[STRING_MAX * 3 + 1];
	bool wide = strcmp(name, "_UNICODE_STRING") == 0;

	if (strcmp(name, "_LIST_ENTRY") == 0 && load(b, offset, p, &first) &&
	    load(b, offset + p, p, &second)) {
		text_printf(t, "%s [ 0x%s - 0x%s ]", name, addr(ts->call->con, first).s,
			    addr(ts->call->con, second).s);
		return true;
	}
	if ((!wide && strcmp(name, "_STRING") != 0) || !load(b, offset, 2, &length) ||
	    !load(b, offset + p, p, &first))
		return false;
	string[0] = '\0';
	if (length && kd_memory_read_string(ts->call->session, value_extend(first, p), wide,
					    APP_MIN((size_t)length, (size_t)STRING_MAX), string,
					    sizeof(string), NULL) != KD_OK)
		return false;
	text_printf(t, "%s \"%s\"", name, string);
	return true;
}

static void enum_value(struct type_show *ts, struct kd_type type, uint64_t value, unsigned size,
		       struct text *t)
{
	char name[256];

	text_printf(t, "%lld", (long long)sign_extend(value, size));
	if (kd_type_enumerator(ts->call->session, type, value, name, sizeof(name)) == KD_OK)
		text_printf(t, " ( %s )", name);
	else
		text_add(t, " (No matching name)");
}

static void number_value(struct type_show *ts, struct kd_type type, enum kd_type_kind kind,
			 uint64_t value, unsigned size, struct text *t)
{
	char name[256];

	switch (kind) {
	case KD_TYPE_INTEGER: text_printf(t, "0n%lld", (long long)sign_extend(value, size)); break;
	case KD_TYPE_FLOAT:
		text_printf(t, "%g",
			    size == 4 ? (double)value_float((uint32_t)value) : value_double(value));
		break;
	case KD_TYPE_CHAR:
		text_printf(t, "0x%llx", (ull)value);
		if (value < 0x7f && isprint((int)value))
			text_printf(t, " '%c'", (int)value);
		break;
	case KD_TYPE_ENUM: enum_value(ts, type, value, size, t); break;
	case KD_TYPE_POINTER:
		kd_type_format(ts->call->session, type, name, sizeof(name));
		if (value)
			text_printf(t, "0x%s %s", addr(ts->call->con, value).s,
				    strchr(name, ' ') ? strchr(name, ' ') + 1 : "");
		else
			text_add(t, "(null)");
		break;
	default: text_printf(t, "0x%llx", (ull)value); break;
	}
}

/* "[16] "System"" for characters, the first numbers of others. */
static void array_value(struct type_show *ts, struct kd_type type, const struct memory_block *b,
			uint64_t offset, struct text *t)
{
	struct kd_type element;
	uint64_t count = 0, value;
	char name[256];

	kd_type_format(ts->call->session, type, name, sizeof(name));
	text_printf(t, "%s ", name);
	if (kd_type_element(ts->call->session, type, &element, &count) != KD_OK)
		return;
	unsigned size = (unsigned)kd_type_size(ts->call->session, element);
	enum kd_type_kind kind = kd_type_kind(ts->call->session, element);
	if (size == 1 && (kind == KD_TYPE_CHAR || kind == KD_TYPE_UNSIGNED) && count > 1) {
		text_add(t, "\"");
		for (uint64_t i = 0;
		     i < count && i < STRING_MAX && load(b, offset + i, 1, &value) && value; i++)
			text_printf(t, "%c", isprint((int)value) ? (int)value : '.');
		text_add(t, "\"");
		return;
	}
	if (kind == KD_TYPE_STRUCT || kind == KD_TYPE_ARRAY)
		return;
	for (uint64_t i = 0; i < count && i < ELEMENTS_SHOWN; i++)
		if (load(b, offset + i * size, size, &value))
			text_printf(t, "%s0x%llx", i ? " " : "", (ull)value);
	if (count > ELEMENTS_SHOWN)
		text_add(t, " ...");
}

static void bit_field_value(const struct kd_field_info *f, uint64_t value, struct text *t)
{
	char bits[65];
	unsigned n = APP_MIN(f->bit_length, (uint8_t)64);

	value >>= f->bit_position & 63;
	value_binary(bits, value, n);
	text_printf(t, "0y%s", bits);
}

void type_value_text(struct type_show *ts, const struct kd_field_info *f,
		     const struct memory_block *block, uint64_t offset, struct text *t)
{
	struct kd_session *session = ts->call->session;
	enum kd_type_kind kind = kd_type_kind(session, f->type);
	unsigned size = (unsigned)APP_MIN(kd_type_size(session, f->type), (uint64_t)UINT32_MAX);
	char name[256];
	uint64_t value;

	if (kind == KD_TYPE_STRUCT) {
		kd_type_format(session, f->type, name, sizeof(name));
		if (!special_struct(ts, name, block, offset, t))
			text_add(t, name);
	} else if (kind == KD_TYPE_ARRAY) {
		array_value(ts, f->type, block, offset, t);
	} else if (!load(block, offset, size, &value)) {
		text_add(t, size > 8 ? "(too large to show)" : "??");
	} else if (f->bit_length) {
		bit_field_value(f, value, t);
	} else {
		number_value(ts, f->type, kind, value, size, t);
	}
}

/* --- fields --- */

static void type_text(struct type_show *ts, const struct kd_field_info *f, struct text *t)
{
	char name[256];

	if (f->bit_length) {
		text_printf(t, "Pos %u, %u Bit%s", f->bit_position, f->bit_length,
			    f->bit_length == 1 ? "" : "s");
		return;
	}
	kd_type_format(ts->call->session, f->type, name, sizeof(name));
	text_add(t, name);
}

static void put_field(struct type_show *ts, const struct kd_field_info *f, bool has_value,
		      const char *shown, json_t *o)
{
	struct text type = TEXT_INIT;

	if (!o)
		return;
	type_text(ts, f, &type);
	data_string(o, "name", f->name);
	data_address(o, "offset", f->offset);
	data_string(o, "type", text_string(&type));
	if (has_value)
		data_string(o, "value", shown);
	text_free(&type);
}

/* What a struct-typed field, or a pointer to one, opens into. */
static enum kd_status open_field(struct type_show *ts, const struct kd_field_info *f,
				 const struct memory_block *block, uint64_t offset, unsigned level,
				 json_t *o)
{
	struct kd_session *session = ts->call->session;
	unsigned p = ts->call->con->pointer_size;
	json_t *list = o ? json_array() : NULL;
	struct kd_type target;
	struct memory_block there;
	uint64_t count, address;
	enum kd_status s = KD_OK;

	if (o)
		json_object_set_new(o, "fields", list);
	if (kd_type_kind(session, f->type) == KD_TYPE_STRUCT)
		return type_show_fields(ts, f->type, block, offset, level, list);
	if (!ts->follows_pointers || kd_type_kind(session, f->type) != KD_TYPE_POINTER ||
	    kd_type_element(session, f->type, &target, &count) != KD_OK ||
	    kd_type_kind(session, target) != KD_TYPE_STRUCT)
		return KD_OK;
	if (!block)
		return type_show_fields(ts, target, NULL, 0, level, list);
	if (!load(block, offset, p, &address) || !address)
		return KD_OK;
	s = memory_block_read(
		ts->call, value_extend(address, p),
		(size_t)APP_MIN(kd_type_size(session, target), (uint64_t)TYPE_SIZE_MAX), false,
		&there);
	if (s == KD_OK)
		s = type_show_fields(ts, target, &there, 0, level, list);
	memory_block_free(&there);
	return s;
}

enum kd_status type_show_field(struct type_show *ts, const struct kd_field_info *f,
			       const struct memory_block *block, uint64_t offset, unsigned level,
			       json_t *list)
{
	struct text shown = TEXT_INIT;
	json_t *o = data_append_object(list);
	enum kd_status s = KD_OK;

	if (console_interrupted(ts->call->con))
		return call_fail(ts->call, KD_E_CANCELLED, "cancelled");
	if (++ts->n_lines > TYPE_LINES_MAX)
		return call_fail(ts->call, KD_E_TOO_BIG, "more than %d fields; ask for less depth",
				 TYPE_LINES_MAX);
	if (block && !f->is_static)
		type_value_text(ts, f, block, offset + f->offset, &shown);
	else
		type_text(ts, f, &shown);
	out_printf(ts->call->out, "%*s%s0x%03llx %-16s : %s\n", (int)(3 + 3 * level), "",
		   f->is_static ? "=" : "+", (ull)f->offset, f->name, text_string(&shown));
	put_field(ts, f, block != NULL, text_string(&shown), o);
	text_free(&shown);
	if (level < ts->depth && !f->is_static)
		s = open_field(ts, f, block, offset + f->offset, level + 1, o);
	return s;
}

enum kd_status type_show_fields(struct type_show *ts, struct kd_type type,
				const struct memory_block *block, uint64_t offset, unsigned level,
				json_t *list)
{
	struct kd_field_info *f = app_alloc(sizeof(*f));
	enum kd_status s = KD_OK;

	for (uint32_t n = 0; s == KD_OK && n < MEMBERS_MAX; n++) {
		if (kd_type_member(ts->call->session, type, n, f) != KD_OK)
			break;
		s = type_show_field(ts, f, block, offset, level, list);
	}
	free(f);
	return s;
}
