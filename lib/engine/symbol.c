/* SPDX-License-Identifier: MIT */
/* Names to addresses and back. Lists of names are in symbol_list.c, lines in symbol_line.c. */
#include "lib/engine/symbol.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/module_image.h"

static void fill(const struct kd__module *m, const struct kd__name *n, struct kd_symbol *ret)
{
	ret->module = &m->pub;
	snprintf(ret->name, sizeof ret->name, "%s", n->name);
	ret->address = m->pub.base + n->rva;
	ret->size = n->size;
	ret->is_function = n->is_function;
	ret->is_export_only = n->is_export;
}

bool kd__symbol_split(const char *text, const char **rest_ret, size_t *module_size_ret)
{
	const char *bang = strchr(text, '!');

	*rest_ret = bang ? bang + 1 : text;
	*module_size_ret = bang ? (size_t)(bang - text) : 0;
	return bang;
}

enum kd_status kd__symbol_no_module(const char *name, size_t size, struct kd_error *err)
{
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "no module '%.*s' is loaded (lm lists them)",
			    (int)KD_MIN(size, 60u), name);
}

/* --- by name --- */

static enum kd_status no_symbol(const struct kd__module *m, const char *name, struct kd_error *err)
{
	const char *state = m->pub.symbols == KD_SYMBOLS_EXPORT ? "only exports are known"
								: "no symbols are loaded";

	if (kd__names_pdb(m))
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "%s has no symbol '%.80s'", m->name,
				    name);
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "no '%.60s' in %s: %s%s%s", name, m->name,
			    state, m->symbol_note[0] ? ": " : "", m->symbol_note);
}

static enum kd_status find_in(struct kd_session *s, struct kd__module *m, const char *name,
			      bool loaded_only, struct kd_symbol *ret, struct kd_error *err)
{
	struct kd__name found;
	enum kd_status status = loaded_only ? KD_OK : kd__module_load(s, m, err);

	/* Without a PDB the exports may do; without an answer nothing will. */
	if (status != KD_OK && !m->names)
		return status;
	if (!kd__names_find(m, name, &found))
		return no_symbol(m, name, err);
	fill(m, &found, ret);
	return KD_OK;
}

/*
 * A name without a module, among the symbols that are loaded. One that is in several modules is
 * ambiguous.
 */
static enum kd_status find_loaded(struct kd_session *s, const char *name, struct kd_symbol *ret,
				  struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	const struct kd__module *first = NULL;

	for (size_t i = 0; i < ms->n_loaded; i++) {
		struct kd__name found;
		const struct kd__module *m = ms->items[i];

		if (!kd__names_find(m, name, &found))
			continue;
		if (first)
			return kd_error_set(err, KD_E_AMBIGUOUS, 0,
					    "'%.60s' is ambiguous: %s!%.60s and %s!%.60s", name,
					    first->name, name, m->name, name);
		first = m;
		fill(m, &found, ret);
	}
	return first ? KD_OK : KD_E_NOT_FOUND;
}

/* One deferred module after the other, until one has it. */
static enum kd_status find_deferred(struct kd_session *s, const char *name, struct kd_symbol *ret,
				    struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	unsigned n_without = 0;

	for (size_t i = 0; i < ms->n_loaded; i++) {
		struct kd__module *m = ms->items[i];
		bool was_loaded = m->names;
		struct kd__name found;
		enum kd_status status = KD_OK;

		if (!was_loaded)
			status = kd__module_load(s, m, err);
		if (status != KD_OK && !m->names)
			return status;
		n_without += !kd__names_pdb(m);
		if (was_loaded || !kd__names_find(m, name, &found))
			continue;
		fill(m, &found, ret);
		return KD_OK;
	}
	if (!n_without)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "no module has a symbol '%.80s'", name);
	return kd_error_set(err, KD_E_NOT_FOUND, 0,
			    "no symbol '%.80s' (%u of %zu modules have no PDB: lm tells which, "
			    "!sym noisy and .reload why)",
			    name, n_without, ms->n_loaded);
}

static void fill_module(const struct kd__module *m, struct kd_symbol *ret)
{
	struct kd__name self = { .name = m->name };

	fill(m, &self, ret);
	ret->size = m->pub.size;
}

static enum kd_status find_anywhere(struct kd_session *s, const char *name, bool loaded_only,
				    struct kd_symbol *ret, struct kd_error *err)
{
	const struct kd__module *m = kd__module_find(s, name, strlen(name));
	enum kd_status status;

	if (m) {
		fill_module(m, ret);
		return KD_OK;
	}
	status = find_loaded(s, name, ret, err);
	if (status != KD_E_NOT_FOUND || loaded_only)
		return status;
	if (!s->modules->n_loaded) {
		status = kd__modules_refresh(s, err);
		return status != KD_OK
			       ? status
			       : kd_error_set(err, KD_E_NOT_FOUND, 0,
					      "no symbol '%.80s': no module is known yet", name);
	}
	return find_deferred(s, name, ret, err);
}

static enum kd_status find(struct kd_session *s, const char *name, bool loaded_only,
			   struct kd_symbol *ret, struct kd_error *err)
{
	const char *rest;
	size_t size;
	struct kd__module *m;

	if (!*name)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "a symbol needs a name");
	if (!kd__symbol_split(name, &rest, &size))
		return find_anywhere(s, name, loaded_only, ret, err);
	if (!size)
		return find_anywhere(s, rest, loaded_only, ret, err);
	m = kd__module_find(s, name, size);
	return m ? find_in(s, m, rest, loaded_only, ret, err)
		 : kd__symbol_no_module(name, size, err);
}

enum kd_status kd__symbol_value(struct kd_session *s, const char *name, bool loaded_only,
				uint64_t *ret, struct kd_error *err)
{
	struct kd_symbol symbol;
	enum kd_status status = find(s, name, loaded_only, &symbol, err);

	if (status == KD_OK)
		*ret = symbol.address;
	return status;
}

KD_EXPORT enum kd_status kd_symbol_find(struct kd_session *s, const char *name,
					struct kd_symbol *ret, struct kd_error *err)
{
	return find(s, name, false, ret, err);
}

/* --- by address --- */

static enum kd_status in_no_module(uint64_t address, struct kd_error *err)
{
	return kd_error_set(err, KD_E_NOT_FOUND, address, "0x%" PRIx64 " is in no module", address);
}

/* The module around an address with its symbols loaded, so far as it has any. */
static enum kd_status module_with_names(struct kd_session *s, uint64_t address,
					struct kd__module **ret, struct kd_error *err)
{
	struct kd__module *m = kd__module_at(s, address);
	enum kd_status status;

	if (!m)
		return in_no_module(address, err);
	status = kd__module_load(s, m, err);
	*ret = m;
	return m->names ? KD_OK : status;
}

/* What lies in another section is no answer: padding and data are not part of a function there. */
static bool is_same_section(struct kd_session *s, struct kd__module *m, uint32_t a, uint32_t b)
{
	return kd__image_section(s, m, a) == kd__image_section(s, m, b);
}

static bool nearest(struct kd_session *s, struct kd__module *m, uint64_t address,
		    struct kd__name *ret, uint64_t *displacement_ret)
{
	uint32_t rva = (uint32_t)(address - m->pub.base);

	if (!kd__names_at(m, rva, ret) || !is_same_section(s, m, ret->rva, rva))
		return false;
	*displacement_ret = rva - ret->rva;
	return true;
}

KD_EXPORT enum kd_status kd_symbol_at(struct kd_session *s, uint64_t address, struct kd_symbol *ret,
				      uint64_t *displacement_ret, struct kd_error *err)
{
	struct kd__module *m;
	struct kd__name found;
	enum kd_status status;

	address = kd__normalise(s, address);
	status = module_with_names(s, address, &m, err);
	if (status != KD_OK)
		return status;
	if (!nearest(s, m, address, &found, displacement_ret))
		return kd_error_set(err, KD_E_NOT_FOUND, address,
				    "no symbol of %s is at or below 0x%" PRIx64 "%s%s", m->name,
				    address, m->symbol_note[0] ? ": " : "", m->symbol_note);
	fill(m, &found, ret);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_symbol_after(struct kd_session *s, uint64_t address,
					 struct kd_symbol *ret, struct kd_error *err)
{
	struct kd__module *m;
	struct kd__name found;
	enum kd_status status;

	address = kd__normalise(s, address);
	status = module_with_names(s, address, &m, err);
	if (status != KD_OK)
		return status;
	if (!kd__names_after(m, (uint32_t)(address - m->pub.base), &found) ||
	    found.rva >= m->pub.size)
		return kd_error_set(err, KD_E_NOT_FOUND, address,
				    "no symbol of %s is above 0x%" PRIx64, m->name, address);
	fill(m, &found, ret);
	return KD_OK;
}

static void put_offset(char *text, size_t size, const char *module, const char *name,
		       uint64_t displacement)
{
	const char *bang = name ? "!" : "";

	if (displacement)
		snprintf(text, size, "%s%s%s+0x%" PRIx64, module, bang, name ? name : "",
			 displacement);
	else
		snprintf(text, size, "%s%s%s", module, bang, name ? name : "");
}

/* <Unloaded_foo.sys>+0x12: a call into a driver that is gone is a common crash. */
static void format_unloaded(const struct kd__modules *ms, uint64_t address, char *text, size_t size)
{
	char name[KD__MODULE_NAME_MAX];

	for (size_t i = ms->n; i-- > ms->n_loaded;) {
		const struct kd__module *m = ms->items[i];

		if (address - m->pub.base >= m->pub.size)
			continue;
		snprintf(name, sizeof name, "<Unloaded_%.64s>", m->image_name);
		put_offset(text, size, name, NULL, address - m->pub.base);
		return;
	}
}

KD_EXPORT void kd_symbol_format(struct kd_session *s, uint64_t address, char *text, size_t size)
{
	struct kd__module *m;
	struct kd__name found;
	uint64_t displacement;

	if (!size)
		return;
	text[0] = 0;
	address = kd__normalise(s, address);
	m = kd__module_at(s, address);
	if (!m) {
		format_unloaded(s->modules, address, text, size);
		return;
	}
	kd__module_load(s, m, NULL); /* asks nothing of a running target */
	if (nearest(s, m, address, &found, &displacement))
		put_offset(text, size, m->name, found.name, displacement);
	else
		put_offset(text, size, m->name, NULL, address - m->pub.base);
}

/* --- functions --- */

static bool pdb_bounds(const struct kd__module *m, uint32_t rva, uint32_t *begin, uint32_t *end)
{
	struct kd__name found;

	if (!kd__names_at(m, rva, &found) || !found.is_function || !found.is_private ||
	    rva - found.rva >= found.size)
		return false;
	*begin = found.rva;
	*end = found.rva + found.size;
	return true;
}

/* Without sizes: from one function symbol to the next symbol. */
static bool symbol_bounds(const struct kd__module *m, uint32_t rva, uint32_t *begin, uint32_t *end)
{
	struct kd__name found, after;

	if (!kd__names_at(m, rva, &found) || !found.is_function || found.is_export)
		return false;
	*begin = found.rva;
	*end = kd__names_after(m, rva, &after) ? after.rva : m->pub.size;
	return true;
}

/* A private symbol knows the whole function; .pdata may know a part that was moved away. */
KD_EXPORT enum kd_status kd_symbol_function_bounds(struct kd_session *s, uint64_t address,
						   uint64_t *begin_ret, uint64_t *end_ret,
						   struct kd_error *err)
{
	struct kd__module *m;
	struct kd_x64_function f;
	uint32_t rva, begin, end;

	address = kd__normalise(s, address);
	m = kd__module_at(s, address);
	if (!m)
		return in_no_module(address, err);
	rva = (uint32_t)(address - m->pub.base);
	kd__module_load(s, m, NULL);
	if (pdb_bounds(m, rva, &begin, &end)) {
		;
	} else if (s->machine == KD_MACHINE_AMD64 && kd__image_function(s, m, rva, &f) == KD_OK) {
		begin = f.begin;
		end = f.end;
	} else if (!symbol_bounds(m, rva, &begin, &end)) {
		return kd_error_set(err, KD_E_NOT_FOUND, address,
				    "no function of %s is known around 0x%" PRIx64, m->name,
				    address);
	}
	*begin_ret = m->pub.base + begin;
	*end_ret = m->pub.base + end;
	return KD_OK;
}

/* --- for the engine itself --- */

uint64_t kd__kernel_symbol(struct kd_session *s, const char *name)
{
	struct kd__module *m = kd__module_kernel(s);
	struct kd_symbol symbol;

	return m && find_in(s, m, name, false, &symbol, NULL) == KD_OK ? symbol.address : 0;
}
