/* SPDX-License-Identifier: MIT */
/* Types of the target: those of the modules' PDBs, by name, and their members. */
#include "lib/sym/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/symbol.h"

enum { DEPTH_MAX = 32, LOOK_THROUGH_MAX = 8 };

static const enum kd_type_kind kinds[] = {
	[KD_CLASS_NONE] = KD_TYPE_VOID,         [KD_CLASS_INTEGER] = KD_TYPE_INTEGER,
	[KD_CLASS_UNSIGNED] = KD_TYPE_UNSIGNED, [KD_CLASS_BOOL] = KD_TYPE_BOOL,
	[KD_CLASS_CHAR] = KD_TYPE_CHAR,         [KD_CLASS_FLOAT] = KD_TYPE_FLOAT,
	[KD_CLASS_ENUM] = KD_TYPE_ENUM,         [KD_CLASS_POINTER] = KD_TYPE_POINTER,
	[KD_CLASS_ARRAY] = KD_TYPE_ARRAY,       [KD_CLASS_STRUCT] = KD_TYPE_STRUCT,
	[KD_CLASS_FUNCTION] = KD_TYPE_FUNCTION, [KD_CLASS_BITFIELD] = KD_TYPE_UNSIGNED,
	[KD_CLASS_OTHER] = KD_TYPE_OTHER,
};

static struct kd_pdb *pdb_of(struct kd_type type)
{
	return type.module ? kd__names_pdb(kd__module_of(type.module)) : NULL;
}

static enum kd_status describe(struct kd_type type, struct kd_type_desc *ret)
{
	struct kd_pdb *pdb = pdb_of(type);

	return pdb ? kd_types_describe(pdb, type.index, ret) : KD_E_NOT_FOUND;
}

/* --- by name --- */

static bool type_in(struct kd__module *m, const char *name, struct kd_type *ret)
{
	struct kd_pdb *pdb = kd__names_pdb(m);
	uint32_t index;

	if (!pdb || kd_types_find(pdb, name, &index, NULL) != KD_OK)
		return false;
	*ret = (struct kd_type){ &m->pub, index };
	return true;
}

static enum kd_status no_type(const struct kd__module *m, const char *name, struct kd_error *err)
{
	struct kd_pdb_info info;

	if (!kd__names_pdb(m))
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "no type '%.60s': %s has no PDB%s%s",
				    name, m->name, m->symbol_note[0] ? ": " : "", m->symbol_note);
	kd_pdb_info(kd__names_pdb(m), &info);
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "%s has no type '%.80s'%s", m->name, name,
			    info.has_types ? "" : ": its PDB tells no types");
}

static enum kd_status find_in(struct kd_session *s, struct kd__module *m, const char *name,
			      struct kd_type *ret, struct kd_error *err)
{
	enum kd_status status = kd__module_load(s, m, err);

	if (status != KD_OK && !m->names)
		return status;
	return type_in(m, name, ret) ? KD_OK : no_type(m, name, err);
}

/* The kernel, what is loaded, and then the others one by one. */
static enum kd_status find_anywhere(struct kd_session *s, const char *name, struct kd_type *ret,
				    struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	struct kd__module *kernel = kd__module_kernel(s);
	enum kd_status status;

	if (kernel) {
		status = find_in(s, kernel, name, ret, err);
		if (status == KD_OK || !kernel->names)
			return status;
	}
	for (size_t i = 0; i < ms->n_loaded; i++)
		if (type_in(ms->items[i], name, ret))
			return KD_OK;
	for (size_t i = 0; i < ms->n_loaded; i++) {
		if (ms->items[i]->names)
			continue;
		status = find_in(s, ms->items[i], name, ret, err);
		if (status == KD_OK || !ms->items[i]->names)
			return status;
	}
	if (kernel)
		return no_type(kernel, name, err);
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "no type '%.80s': no module is known", name);
}

KD_EXPORT enum kd_status kd_type_find(struct kd_session *s, const char *name, struct kd_type *ret,
				      struct kd_error *err)
{
	const char *rest;
	size_t size;
	struct kd__module *m;

	if (!kd__symbol_split(name, &rest, &size) || !size)
		return find_anywhere(s, rest, ret, err);
	m = kd__module_find(s, name, size);
	return m ? find_in(s, m, rest, ret, err) : kd__symbol_no_module(name, size, err);
}

KD_EXPORT enum kd_status kd_type_of_symbol(struct kd_session *s, const char *name,
					   struct kd_type *ret, uint64_t *address_ret,
					   struct kd_error *err)
{
	struct kd_symbol symbol;
	struct kd__name found;
	const struct kd__module *m;
	enum kd_status status = kd_symbol_find(s, name, &symbol, err);

	if (status != KD_OK)
		return status;
	m = kd__module_of(symbol.module);
	if (!kd__names_find(m, symbol.name, &found) || !found.type)
		return kd_error_set(
			err, KD_E_NOT_FOUND, 0, "the type of %s!%.80s is not known%s", m->name,
			symbol.name,
			m->pub.symbols == KD_SYMBOLS_PRIVATE ? "" : ": it needs a private PDB");
	*ret = (struct kd_type){ &m->pub, found.type };
	*address_ret = symbol.address;
	return KD_OK;
}

struct listing {
	const struct kd__module *module;
	const struct kd__pattern *pattern;
	kd_text_fn fn;
	void *context;
	bool is_stopped;
};

static bool list_type(void *context, const char *name, uint32_t type)
{
	struct listing *l = context;
	char text[KD_SYMBOL_NAME_MAX + KD__MODULE_NAME_MAX];

	if (!kd__pattern_match(l->pattern, name))
		return true;
	snprintf(text, sizeof text, "%s!%s", l->module->name, name);
	l->is_stopped = !l->fn(l->context, text);
	return !l->is_stopped;
}

static enum kd_status enumerate(struct kd_session *s, const struct kd__symbol_patterns *p,
				const char *text, kd_text_fn fn, void *context,
				struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	struct listing l = { NULL, &p->name, fn, context, false };
	bool any = false;
	const char *rest;
	size_t size;
	enum kd_status status = kd__modules_refresh(s, err);

	if (status != KD_OK && !ms->n_loaded)
		return status;
	for (size_t i = 0; i < ms->n_loaded && !l.is_stopped; i++) {
		struct kd__module *m = ms->items[i];

		if (!kd__symbol_module_matches(p, m))
			continue;
		any = true;
		status = kd__module_load(s, m, err);
		if (status != KD_OK && !m->names)
			return status;
		l.module = m;
		if (kd__names_pdb(m))
			kd_types_each(kd__names_pdb(m), list_type, &l);
	}
	kd__symbol_split(text, &rest, &size);
	return any ? KD_OK : kd__symbol_no_module(text, size, err);
}

KD_EXPORT enum kd_status kd_type_enumerate(struct kd_session *s, const char *pattern, kd_text_fn fn,
					   void *context, struct kd_error *err)
{
	struct kd__symbol_patterns *p;
	enum kd_status status = kd__symbol_patterns(pattern, &p, err);

	if (status != KD_OK)
		return status;
	status = enumerate(s, p, pattern, fn, context, err);
	free(p);
	return status;
}

/* --- what a type is --- */

/* Of a bit field: what it is a part of. */
static enum kd_status describe_whole(struct kd_type type, struct kd_type_desc *ret)
{
	enum kd_status status = describe(type, ret);

	for (int i = 0; status == KD_OK && ret->class_ == KD_CLASS_BITFIELD; i++) {
		if (i == LOOK_THROUGH_MAX)
			return KD_E_MALFORMED;
		type.index = ret->element;
		status = describe(type, ret);
	}
	return status;
}

KD_EXPORT enum kd_type_kind kd_type_kind(struct kd_session *s, struct kd_type type)
{
	struct kd_type_desc d;

	if (describe_whole(type, &d) != KD_OK || d.class_ >= KD_ARRAY_LEN(kinds))
		return KD_TYPE_OTHER;
	return kinds[d.class_];
}

KD_EXPORT uint64_t kd_type_size(struct kd_session *s, struct kd_type type)
{
	struct kd_type_desc d;

	return describe_whole(type, &d) == KD_OK ? d.size : 0;
}

KD_EXPORT void kd_type_format(struct kd_session *s, struct kd_type type, char *text, size_t size)
{
	struct kd_pdb *pdb = pdb_of(type);

	if (pdb)
		kd_types_format(pdb, type.index, text, size);
	else if (size)
		snprintf(text, size, "<type 0x%x>", type.index);
}

KD_EXPORT void kd_type_prototype(struct kd_session *s, struct kd_type type, char *text, size_t size)
{
	struct kd_type_desc d;

	if (size)
		text[0] = '\0';
	if (describe(type, &d) == KD_OK)
		kd_types_prototype(pdb_of(type), &d, text, size);
}

KD_EXPORT enum kd_status kd_type_element(struct kd_session *s, struct kd_type type,
					 struct kd_type *ret, uint64_t *count_ret)
{
	struct kd_type_desc d;

	if (describe(type, &d) != KD_OK)
		return KD_E_INVALID;
	switch (d.class_) {
	case KD_CLASS_POINTER:
	case KD_CLASS_ARRAY:
	case KD_CLASS_ENUM:
	case KD_CLASS_BITFIELD: break;
	default: return KD_E_INVALID;
	}
	*ret = (struct kd_type){ type.module, d.element };
	*count_ret = d.class_ == KD_CLASS_ARRAY ? d.count : 1;
	return KD_OK;
}

KD_EXPORT enum kd_status kd_type_enumerator(struct kd_session *s, struct kd_type type,
					    uint64_t value, char *text, size_t size)
{
	struct kd_type_iter at = { 0 };
	struct kd_type_field field;
	struct kd_type_desc d;
	uint64_t mask;

	if (describe_whole(type, &d) != KD_OK || d.class_ != KD_CLASS_ENUM)
		return KD_E_NOT_FOUND;
	/* Values are stored with their sign, memory has as many bytes as the enum. */
	mask = d.size && d.size < 8 ? (UINT64_C(1) << (8 * d.size)) - 1 : UINT64_MAX;
	while (kd_types_next(pdb_of(type), &d, &at, &field) == KD_OK) {
		if (!field.is_enumerator || ((field.value ^ value) & mask))
			continue;
		snprintf(text, size, "%s", field.name);
		return KD_OK;
	}
	return KD_E_NOT_FOUND;
}

/* --- members --- */

static void fill(struct kd_type owner, const struct kd_type_field *f, struct kd_field_info *ret)
{
	struct kd_type_desc d;

	memset(ret, 0, sizeof *ret);
	snprintf(ret->name, sizeof ret->name, "%s", f->name);
	ret->type = (struct kd_type){ owner.module, f->type };
	ret->offset = f->offset;
	ret->is_base = f->is_base;
	ret->is_static = f->is_static;
	if (describe(ret->type, &d) != KD_OK)
		return;
	if (d.class_ == KD_CLASS_BITFIELD) {
		ret->bit_position = d.bit_position;
		ret->bit_length = d.bit_length;
	}
	if (f->is_base)
		snprintf(ret->name, sizeof ret->name, "%s", d.name);
}

KD_EXPORT enum kd_status kd_type_member(struct kd_session *s, struct kd_type type, uint32_t n,
					struct kd_field_info *ret)
{
	struct kd_type_iter at = { 0 };
	struct kd_type_field field;
	struct kd_type_desc d;

	if (describe(type, &d) != KD_OK || d.class_ != KD_CLASS_STRUCT)
		return KD_E_INVALID;
	do {
		if (kd_types_next(pdb_of(type), &d, &at, &field) != KD_OK)
			return KD_E_NOT_FOUND;
	} while (n-- > 0);
	fill(type, &field, ret);
	return KD_OK;
}

/* A member by name, in the base classes too. */
static bool member_named(struct kd_type type, const char *name, size_t size, int depth,
			 struct kd_field_info *ret)
{
	struct kd_type_iter at = { 0 };
	struct kd_type_field field;
	struct kd_type_desc d;

	if (depth > DEPTH_MAX || describe(type, &d) != KD_OK || d.class_ != KD_CLASS_STRUCT)
		return false;
	while (kd_types_next(pdb_of(type), &d, &at, &field) == KD_OK) {
		if (field.is_base) {
			struct kd_type base = { type.module, field.type };

			if (member_named(base, name, size, depth + 1, ret)) {
				ret->offset += field.offset;
				return true;
			}
		} else if (!field.is_enumerator && strlen(field.name) == size &&
			   !memcmp(field.name, name, size)) {
			fill(type, &field, ret);
			return true;
		}
	}
	return false;
}

static enum kd_status no_field(struct kd_type type, const char *path, size_t at, size_t size,
			       struct kd_error *err)
{
	char text[128];

	kd_type_format(NULL, type, text, sizeof text);
	return kd_error_set(err, KD_E_NOT_FOUND, at, "%s has no member '%.*s'", text,
			    (int)KD_MIN(size, 80u), path + at);
}

/* "[3]" or "[0x10]" of an array (or behind a pointer: no, that would be a read). */
static enum kd_status index_into(const char *path, size_t *at, struct kd_field_info *m,
				 struct kd_error *err)
{
	char *end;
	unsigned long long n = strtoull(path + *at + 1, &end, 0);
	struct kd_type_desc d, element;

	if (end == path + *at + 1 || *end != ']')
		return kd_error_set(err, KD_E_SYNTAX, *at, "'[' takes a number and ']' in '%.80s'",
				    path);
	if (describe(m->type, &d) != KD_OK || d.class_ != KD_CLASS_ARRAY)
		return kd_error_set(err, KD_E_NOT_FOUND, *at, "'%.80s' is not an array", m->name);
	m->type.index = d.element;
	if (describe(m->type, &element) != KD_OK || __builtin_mul_overflow(n, element.size, &n) ||
	    __builtin_add_overflow(m->offset, n, &m->offset))
		return kd_error_set(err, KD_E_NOT_FOUND, *at, "'%.80s' has no such element",
				    m->name);
	*at = (size_t)(end - path) + 1;
	return KD_OK;
}

KD_EXPORT enum kd_status kd_type_field(struct kd_session *s, struct kd_type type, const char *path,
				       struct kd_field_info *ret, struct kd_error *err)
{
	struct kd_field_info m = { .type = type }, next;
	size_t at = 0;

	for (;;) {
		size_t size = strcspn(path + at, ".[");

		if (size) {
			if (!member_named(m.type, path + at, size, 0, &next))
				return no_field(m.type, path, at, size, err);
			next.offset += m.offset;
			m = next;
			at += size;
		} else if (path[at] != '[') {
			return kd_error_set(err, KD_E_SYNTAX, at,
					    "'%.80s': a member's name is missing", path);
		}
		while (path[at] == '[') {
			enum kd_status status = index_into(path, &at, &m, err);

			if (status != KD_OK)
				return status;
		}
		if (path[at] != '.')
			break;
		at++;
	}
	if (path[at])
		return kd_error_set(err, KD_E_SYNTAX, at, "'%.80s' cannot be read from column %zu",
				    path, at + 1);
	*ret = m;
	return KD_OK;
}

/* --- for the engine itself --- */

int64_t kd__kernel_offset(struct kd_session *s, const char *type, const char *field)
{
	struct kd__module *kernel = kd__module_kernel(s);
	struct kd_field_info m;
	struct kd_type t;

	if (!kernel || find_in(s, kernel, type, &t, NULL) != KD_OK ||
	    kd_type_field(s, t, field, &m, NULL) != KD_OK || m.offset > INT64_MAX)
		return -1;
	return (int64_t)m.offset;
}
