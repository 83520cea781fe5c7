/* SPDX-License-Identifier: MIT */
/* What a type record means: size, members, the text that `dt` shows. */
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/types_private.h"

/* Simple types: kind (low byte of the index), size, class, WinDbg's name. */
static const struct simple {
	uint8_t kind, size;
	enum kd_type_class class_;
	const char *name, *c_name;
} simples[] = {
	/* clang-format off */
	{ 0x03, 0, KD_CLASS_NONE, "Void", "void" },
	{ 0x08, 4, KD_CLASS_INTEGER, "Int4B", "HRESULT" },
	{ 0x10, 1, KD_CLASS_CHAR, "Char", "signed char" },
	{ 0x20, 1, KD_CLASS_CHAR, "UChar", "unsigned char" },
	{ 0x68, 1, KD_CLASS_INTEGER, "Int1B", "signed char" },
	{ 0x69, 1, KD_CLASS_UNSIGNED, "UChar", "unsigned char" },
	{ 0x70, 1, KD_CLASS_CHAR, "Char", "char" },
	{ 0x71, 2, KD_CLASS_CHAR, "Wchar", "wchar_t" },
	{ 0x7A, 2, KD_CLASS_CHAR, "Char16", "char16_t" },
	{ 0x7B, 4, KD_CLASS_CHAR, "Char32", "char32_t" },
	{ 0x7C, 1, KD_CLASS_CHAR, "Char8", "char8_t" },
	{ 0x11, 2, KD_CLASS_INTEGER, "Int2B", "short" },
	{ 0x72, 2, KD_CLASS_INTEGER, "Int2B", "short" },
	{ 0x21, 2, KD_CLASS_UNSIGNED, "Uint2B", "unsigned short" },
	{ 0x73, 2, KD_CLASS_UNSIGNED, "Uint2B", "unsigned short" },
	{ 0x12, 4, KD_CLASS_INTEGER, "Int4B", "long" },
	{ 0x74, 4, KD_CLASS_INTEGER, "Int4B", "int" },
	{ 0x22, 4, KD_CLASS_UNSIGNED, "Uint4B", "unsigned long" },
	{ 0x75, 4, KD_CLASS_UNSIGNED, "Uint4B", "unsigned int" },
	{ 0x13, 8, KD_CLASS_INTEGER, "Int8B", "int64" },
	{ 0x76, 8, KD_CLASS_INTEGER, "Int8B", "int64" },
	{ 0x23, 8, KD_CLASS_UNSIGNED, "Uint8B", "unsigned int64" },
	{ 0x77, 8, KD_CLASS_UNSIGNED, "Uint8B", "unsigned int64" },
	{ 0x14, 16, KD_CLASS_INTEGER, "Int16B", "int128" },
	{ 0x78, 16, KD_CLASS_INTEGER, "Int16B", "int128" },
	{ 0x24, 16, KD_CLASS_UNSIGNED, "Uint16B", "unsigned int128" },
	{ 0x79, 16, KD_CLASS_UNSIGNED, "Uint16B", "unsigned int128" },
	{ 0x40, 4, KD_CLASS_FLOAT, "Float", "float" },
	{ 0x41, 8, KD_CLASS_FLOAT, "Double", "double" },
	{ 0x42, 10, KD_CLASS_FLOAT, "Float10", "long double" },
	{ 0x30, 1, KD_CLASS_BOOL, "Bool", "bool" },
	{ 0x31, 2, KD_CLASS_BOOL, "Bool2B", "bool" },
	{ 0x32, 4, KD_CLASS_BOOL, "Bool4B", "bool" },
	{ 0x33, 8, KD_CLASS_BOOL, "Bool8B", "bool" },
	/* clang-format on */
};

static const struct simple *find_simple(uint32_t type)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(simples); i++)
		if (simples[i].kind == (type & 0xFF))
			return &simples[i];
	return NULL;
}

static const char *c_name_of(uint32_t type)
{
	const struct simple *s = find_simple(type);

	return s ? s->c_name : "<unknown>";
}

static uint8_t simple_pointer_size(uint32_t type)
{
	uint32_t mode = type >> 8 & 7;

	return mode == 0 ? 0 : mode == 6 ? 8 : 4;
}

static enum kd_status describe_simple(uint32_t type, struct kd_type_desc *ret)
{
	const struct simple *s = find_simple(type);
	uint8_t pointer = simple_pointer_size(type);

	if (pointer) {
		ret->class_ = KD_CLASS_POINTER;
		ret->size = pointer;
		ret->element = type & 0xFF;
		return KD_OK;
	}
	if (!s)
		return KD_E_NOT_FOUND;
	ret->class_ = s->class_;
	ret->size = s->size;
	ret->name = s->name;
	return KD_OK;
}

static enum kd_status describe_definition(struct kd_pdb *pdb, struct kd_types *t, uint16_t kind,
					  struct kd_cursor body, struct kd_type_desc *ret)
{
	struct kd_definition d;
	struct kd_type_desc underlying;
	uint32_t complete;

	if (!kd__types_definition(kind, body, &d))
		return KD_E_NOT_FOUND;
	if (d.properties & PROPERTY_FORWARD) {
		complete = kd__types_by_name(t, d.name);
		if (kd__types_record(t, complete, &kind, &body))
			kd__types_definition(kind, body, &d);
	}
	ret->class_ = kind == LF_ENUM ? KD_CLASS_ENUM : KD_CLASS_STRUCT;
	ret->is_union = kind == LF_UNION;
	ret->is_forward = d.properties & PROPERTY_FORWARD;
	ret->name = d.name;
	ret->size = d.size;
	ret->fields = d.fields;
	ret->element = d.underlying;
	if (kind == LF_ENUM && d.underlying < 0x1000 &&
	    kd_types_describe(pdb, d.underlying, &underlying) == KD_OK)
		ret->size = underlying.size;
	return KD_OK;
}

static uint64_t size_of(struct kd_pdb *pdb, uint32_t type)
{
	struct kd_type_desc d;

	return kd_types_describe(pdb, type, &d) == KD_OK ? d.size : 0;
}

/* Arrays of arrays and bit fields need the size of what they are made of: bounded depth. */
static uint64_t element_size(struct kd_pdb *pdb, struct kd_types *t, uint32_t type)
{
	for (int depth = 0; depth < TYPE_DEPTH_MAX; depth++) {
		struct kd_cursor body;
		uint16_t kind;

		if (!kd__types_record(t, type, &kind, &body))
			return type < 0x1000 ? size_of(pdb, type) : 0;
		if (kind == LF_ARRAY) {
			kd__cursor_skip(&body, 8);
			return kd__types_numeric(&body);
		}
		if (kind != LF_MODIFIER && kind != LF_BITFIELD)
			return size_of(pdb, type);
		type = kd__cursor_u32(&body);
	}
	return 0;
}

static enum kd_status describe_array(struct kd_pdb *pdb, struct kd_types *t, struct kd_cursor body,
				     struct kd_type_desc *ret)
{
	uint64_t each;

	ret->class_ = KD_CLASS_ARRAY;
	ret->element = kd__cursor_u32(&body);
	kd__cursor_u32(&body); /* index type */
	ret->size = kd__types_numeric(&body);
	each = element_size(pdb, t, ret->element);
	ret->count = each ? ret->size / each : 0;
	return body.ok ? KD_OK : KD_E_MALFORMED;
}

static enum kd_status describe_pointer(struct kd_cursor body, struct kd_type_desc *ret)
{
	uint32_t attributes;

	ret->class_ = KD_CLASS_POINTER;
	ret->element = kd__cursor_u32(&body);
	attributes = kd__cursor_u32(&body);
	ret->size = attributes >> 13 & 0x3F;
	if (ret->size == 0)
		ret->size = (attributes & 0x1F) == 0xC ? 8 : 4;
	return body.ok ? KD_OK : KD_E_MALFORMED;
}

enum kd_status kd_types_describe(struct kd_pdb *pdb, uint32_t type, struct kd_type_desc *ret)
{
	struct kd_types *t;
	struct kd_cursor body;
	uint16_t kind;

	memset(ret, 0, sizeof *ret);
	ret->name = "";
	if (kd__types_get(pdb, &t, NULL) != KD_OK)
		return KD_E_NOT_FOUND;
	for (int depth = 0; depth < TYPE_DEPTH_MAX; depth++) {
		if (type < 0x1000)
			return describe_simple(type, ret);
		if (!kd__types_record(t, type, &kind, &body))
			return KD_E_NOT_FOUND;
		if (kind != LF_MODIFIER)
			break;
		type = kd__cursor_u32(&body);
	}
	switch (kind) {
	case LF_POINTER: return describe_pointer(body, ret);
	case LF_ARRAY: return describe_array(pdb, t, body, ret);
	case LF_BITFIELD:
		ret->class_ = KD_CLASS_BITFIELD;
		ret->element = kd__cursor_u32(&body);
		ret->bit_length = kd__cursor_u8(&body);
		ret->bit_position = kd__cursor_u8(&body);
		ret->size = element_size(pdb, t, ret->element);
		return KD_OK;
	case LF_PROCEDURE:
	case LF_MFUNCTION:
		ret->class_ = KD_CLASS_FUNCTION;
		ret->element = kd__cursor_u32(&body);
		kd__cursor_skip(&body,
				kind == LF_MFUNCTION ? 12 : 4); /* class, this; convention, count */
		ret->fields = kd__cursor_u32(&body);
		return KD_OK;
	default: break;
	}
	if (describe_definition(pdb, t, kind, body, ret) == KD_OK)
		return KD_OK;
	ret->class_ = KD_CLASS_OTHER;
	return KD_OK;
}

/* --- members --- */

/* One leaf of a field list. false: the rest cannot be read. `found`: it is one that we hand out. */
static bool next_leaf(struct kd_cursor *c, struct kd_type_field *f, bool *found,
		      uint32_t *continued)
{
	uint16_t leaf = kd__cursor_u16(c), attributes;

	memset(f, 0, sizeof *f);
	f->name = "";
	*found = true;
	*continued = 0;
	attributes = kd__cursor_u16(c); /* or padding */
	switch (leaf) {
	case LF_MEMBER:
		f->type = kd__cursor_u32(c);
		f->offset = kd__types_numeric(c);
		f->name = kd__cursor_text(c);
		break;
	case LF_BCLASS:
		f->type = kd__cursor_u32(c);
		f->offset = kd__types_numeric(c);
		f->is_base = true;
		break;
	case LF_STMEMBER:
		f->type = kd__cursor_u32(c);
		f->name = kd__cursor_text(c);
		f->is_static = true;
		break;
	case LF_ENUMERATE:
		f->value = kd__types_numeric(c);
		f->name = kd__cursor_text(c);
		f->is_enumerator = true;
		break;
	case LF_INDEX:
		*continued = kd__cursor_u32(c);
		*found = false;
		break;
	case LF_VFUNCTAB:
		f->type = kd__cursor_u32(c);
		*found = false;
		break;
	case LF_METHOD:
	case LF_NESTTYPE:
		kd__cursor_u32(c);
		kd__cursor_text(c);
		*found = false;
		break;
	case LF_ONEMETHOD:
		kd__cursor_u32(c);
		if ((attributes >> 2 & 7) == 4 || (attributes >> 2 & 7) == 6)
			kd__cursor_u32(c);
		kd__cursor_text(c);
		*found = false;
		break;
	case LF_VBCLASS:
	case LF_IVBCLASS:
		kd__cursor_skip(c, 8);
		kd__types_numeric(c);
		kd__types_numeric(c);
		*found = false;
		break;
	default: return false;
	}
	return c->ok;
}

/* The rest of the list that the iterator stands in, past padding; false: the end, or damage. */
static bool next_part(struct kd_types *t, const struct kd_type_iter *at, struct kd_cursor *c,
		      const uint8_t **start_ret)
{
	uint16_t kind;

	if (!kd__types_record(t, at->list, &kind, c) || kind != LF_FIELDLIST)
		return false;
	*start_ret = c->p;
	kd__cursor_skip(c, at->offset);
	while (c->ok && c->p < c->end && *c->p >= PADDING)
		kd__cursor_skip(c, KD_MAX(*c->p & 0xFu, 1u));
	return c->ok && c->end - c->p >= 4;
}

enum kd_status kd_types_next(struct kd_pdb *pdb, const struct kd_type_desc *desc,
			     struct kd_type_iter *at, struct kd_type_field *ret)
{
	struct kd_types *t;
	bool found = false;

	if (kd__types_get(pdb, &t, NULL) != KD_OK)
		return KD_E_NOT_FOUND;
	if (!at->has_begun)
		*at = (struct kd_type_iter){ .list = desc->fields, .has_begun = true };
	while (!found) {
		struct kd_cursor c;
		const uint8_t *start;
		uint32_t continued;

		/* No list is longer than all of the stream: lists that go round in a ring end. */
		if (at->n_read > t->size || !next_part(t, at, &c, &start))
			return KD_E_NOT_FOUND;
		if (!next_leaf(&c, ret, &found, &continued))
			return KD_E_NOT_FOUND;
		at->n_read += (uint32_t)(c.p - start) - at->offset;
		at->offset = (uint32_t)(c.p - start);
		if (continued) {
			at->list = continued;
			at->offset = 0;
		}
	}
	return KD_OK;
}

/* --- text --- */

/* Append; returns by how much the text grew. */
static size_t format_text(char *out, size_t size, const char *text)
{
	int n = snprintf(out, size, "%s", text);

	return n < 0 || size == 0 ? 0 : KD_MIN((size_t)n, size - 1);
}

/* As C has it: "long", "_EPROCESS**". */
static size_t format_c_name(struct kd_pdb *pdb, uint32_t type, char *out, size_t size)
{
	struct kd_type_desc d;
	int n_stars = 0;
	size_t at;

	while (kd_types_describe(pdb, type, &d) == KD_OK && d.class_ == KD_CLASS_POINTER &&
	       n_stars < TYPE_DEPTH_MAX) {
		n_stars++;
		type = d.element;
	}
	at = format_text(out, size,
			 type < 0x1000                   ? c_name_of(type)
			 : d.class_ == KD_CLASS_FUNCTION ? "<function>"
							 : d.name);
	while (n_stars-- > 0)
		at += format_text(out + at, size - at, "*");
	return at;
}

void kd_types_prototype(struct kd_pdb *pdb, const struct kd_type_desc *function, char *text,
			size_t size)
{
	struct kd_types *t;
	struct kd_cursor c;
	uint16_t kind;
	uint32_t n;
	size_t at;

	if (size == 0)
		return;
	text[0] = '\0';
	if (function->class_ != KD_CLASS_FUNCTION || kd__types_get(pdb, &t, NULL) != KD_OK ||
	    !kd__types_record(t, function->fields, &kind, &c) || kind != LF_ARGLIST)
		return;
	n = kd__cursor_u32(&c);
	at = format_c_name(pdb, function->element, text, size);
	at += format_text(text + at, size - at, n ? " (" : " (void");
	for (uint32_t i = 0; i < n && c.ok && at + 1 < size; i++) {
		uint32_t type = kd__cursor_u32(&c);

		if (!c.ok)
			break;
		if (i)
			at += format_text(text + at, size - at, ", ");
		/* No type in the last place: more may follow. */
		at += type ? format_c_name(pdb, type, text + at, size - at)
			   : format_text(text + at, size - at, "...");
	}
	format_text(text + at, size - at, ")");
}

void kd_types_format(struct kd_pdb *pdb, uint32_t type, char *text, size_t size)
{
	size_t at = 0;

	if (size == 0)
		return;
	text[0] = '\0';
	for (int depth = 0; depth < TYPE_DEPTH_MAX && at + 1 < size; depth++) {
		struct kd_type_desc d;
		int n;

		if (kd_types_describe(pdb, type, &d) != KD_OK) {
			snprintf(text + at, size - at, "<type 0x%x>", type);
			return;
		}
		switch (d.class_) {
		case KD_CLASS_POINTER:
			n = snprintf(text + at, size - at, "Ptr%u ", (unsigned)d.size * 8);
			break;
		case KD_CLASS_ARRAY:
			n = snprintf(text + at, size - at, "[%llu] ", (unsigned long long)d.count);
			break;
		case KD_CLASS_BITFIELD:
			snprintf(text + at, size - at, "Pos %u, %u Bit%s", d.bit_position,
				 d.bit_length, d.bit_length == 1 ? "" : "s");
			return;
		case KD_CLASS_FUNCTION:
			/* "Ptr64     long ": C's name of what it returns, and a blank behind. */
			at += format_text(text + at, size - at, "    ");
			at += format_c_name(pdb, d.element, text + at, size - at);
			format_text(text + at, size - at, " ");
			return;
		default:
			snprintf(text + at, size - at, "%s", d.name[0] ? d.name : "<unnamed-tag>");
			return;
		}
		at += (size_t)KD_MAX(n, 0);
		type = d.element;
	}
}
