/* SPDX-License-Identifier: MIT */
/*
 * Deferred until somebody asks: headers from the target, the PDB along the symbol path by GUID and
 * age; exports where there is no PDB. A miss is remembered until .reload or another symbol path.
 */
#include "lib/engine/module_symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/engine/module_image.h"
#include "lib/engine/symbol_pattern.h"

enum {
	PATH_SIZE = 2048,
	LOG_MAX = 64 * 1024,
	SECTION_EXECUTE = 0x20000000,
};

struct kd__names {
	enum kd_status status; /* what loading came to */
	struct kd_error err;
	struct kd_pdb *pdb;
	const struct kd_pdb_symbol *symbols; /* of the PDB */
	size_t n;
	struct kd__name *exports; /* without a PDB */
	size_t n_exports;
	struct kd_pe_exports directory;
};

/* --- the search log --- */

void kd__log_line(struct kd_session *s, const char *line)
{
	struct kd__log *log = &s->modules->log;
	size_t n = strlen(line);
	char *text;

	if (log->size > LOG_MAX) { /* the older half goes */
		char *cut = memchr(log->text + log->size / 2, '\n', log->size - log->size / 2);

		log->size = cut ? (size_t)(log->text + log->size - (cut + 1)) : 0;
		if (cut)
			memmove(log->text, cut + 1, log->size);
	}
	text = realloc(log->text, log->size + n + 2);
	if (!text)
		return;
	memcpy(text + log->size, line, n);
	memcpy(text + log->size + n, "\n", 2);
	log->text = text;
	log->size += n + 1;
}

static void log_search(void *session, const char *line)
{
	kd__log_line(session, line);
}

KD_EXPORT const char *kd_symbol_search_log(const struct kd_session *s)
{
	return s->modules->log.text ? s->modules->log.text : "";
}

/* --- the symbol path --- */

KD_EXPORT const char *kd_symbol_path(const struct kd_session *s)
{
	return s->modules->symbol_path;
}

/* Modules without a PDB are looked for again along the new path. */
KD_EXPORT enum kd_status kd_symbol_path_set(struct kd_session *s, const char *path,
					    struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	char *copy = strdup(path);

	if (!copy)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	free(ms->symbol_path);
	ms->symbol_path = copy;
	for (size_t i = 0; i < ms->n_loaded; i++)
		if (!kd__names_pdb(ms->items[i]))
			kd__module_forget(ms->items[i]);
	return KD_OK;
}

bool kd__module_matches(const struct kd__module *m, const char *pattern)
{
	return kd__module_has_name(m, pattern, strlen(pattern)) ||
	       kd__wildcard_match(pattern, m->name) || kd__wildcard_match(pattern, m->image_name);
}

/* --- exports --- */

static bool has_code(struct kd_session *s, struct kd__module *m, uint32_t rva)
{
	const struct kd_pe_section *section = kd__image_section(s, m, rva);

	return section && section->characteristics & SECTION_EXECUTE;
}

/* Names from target memory get printed. */
static bool is_printable(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name < ' ' || *name == 0x7F)
			return false;
	return true;
}

static void load_exports(struct kd_session *s, struct kd__module *m, struct kd__names *names)
{
	const struct kd_pe *pe;

	if (kd__image_open(s, m, &pe, NULL) != KD_OK ||
	    kd_pe_exports_load(pe, &names->directory, NULL) != KD_OK)
		return;
	names->exports = calloc(names->directory.n + 1, sizeof *names->exports);
	for (size_t i = 0; names->exports && i < names->directory.n; i++) {
		const struct kd_pe_export *e = &names->directory.list[i];

		if (!e->name[0] || !is_printable(e->name) || e->forwarder || e->rva >= m->pub.size)
			continue;
		names->exports[names->n_exports++] = (struct kd__name){
			.name = e->name,
			.rva = e->rva,
			.is_function = has_code(s, m, e->rva),
			.is_export = true,
		};
	}
}

/* --- the PDB --- */

static enum kd_status load_pdb(struct kd_session *s, struct kd__module *m, struct kd__names *names,
			       struct kd_error *err)
{
	struct kd_pe_codeview wanted;
	char file[PATH_SIZE] = "", line[KD__MODULE_PATH_MAX + KD_PE_ID_SIZE + 32];
	struct kd_pdb_info info;
	enum kd_status status = kd__image_codeview(s, m, &wanted, err);

	if (status != KD_OK)
		return status;
	snprintf(m->pub.pdb_id, sizeof m->pub.pdb_id, "%s", wanted.id);
	snprintf(m->pdb_name, sizeof m->pdb_name, "%s", wanted.name);
	snprintf(line, sizeof line, "%s: looking for %s %s", m->name, wanted.name, wanted.id);
	kd__log_line(s, line);
	status = kd_symstore_find_pdb(s->modules->symbol_path, &wanted, &names->pdb, file,
				      sizeof file, m->symbol_note, sizeof m->symbol_note,
				      log_search, s, err);
	if (status != KD_OK)
		return status;
	status = kd_pdb_symbols(names->pdb, &names->symbols, &names->n, err);
	m->symbol_file = strdup(file);
	if (status != KD_OK || !m->symbol_file)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	kd_pdb_info(names->pdb, &info);
	m->pub.symbol_file = m->symbol_file;
	m->pub.symbols = info.is_stripped ? KD_SYMBOLS_PDB : KD_SYMBOLS_PRIVATE;
	return KD_OK;
}

static void names_free(struct kd__names *names)
{
	if (!names)
		return;
	kd_pdb_close(names->pdb);
	kd_pe_exports_free(&names->directory);
	free(names->exports);
	free(names);
}

/* The target's own failures say nothing about the module: ask again next time. */
static bool is_about_module(enum kd_status status)
{
	switch (status) {
	case KD_E_RUNNING:
	case KD_E_NOT_CONNECTED:
	case KD_E_TIMEOUT:
	case KD_E_CLOSED:
	case KD_E_RESET:
	case KD_E_CANCELLED:
	case KD_E_NO_MEMORY: return false;
	default: return true;
	}
}

static enum kd_status told(const struct kd__names *names, struct kd_error *err)
{
	if (names->status != KD_OK && err)
		*err = names->err;
	return names->status;
}

enum kd_status kd__module_load(struct kd_session *s, struct kd__module *m, struct kd_error *err)
{
	struct kd__names *names;

	if (m->names)
		return told(m->names, err);
	if (m->pub.is_unloaded)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "%s is unloaded", m->image_name);
	names = calloc(1, sizeof *names);
	if (!names)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	names->status = load_pdb(s, m, names, &names->err);
	if (!is_about_module(names->status)) {
		enum kd_status status = told(names, err);

		names_free(names);
		return status;
	}
	if (names->status != KD_OK) {
		snprintf(m->symbol_note, sizeof m->symbol_note, "%s", names->err.text);
		kd__log_line(s, m->symbol_note);
		load_exports(s, m, names);
		m->pub.symbols = names->n_exports ? KD_SYMBOLS_EXPORT : KD_SYMBOLS_NONE;
	}
	m->names = names;
	return told(names, err);
}

void kd__module_forget(struct kd__module *m)
{
	names_free(m->names);
	m->names = NULL;
	free(m->symbol_file);
	m->symbol_file = NULL;
	m->symbol_note[0] = m->pdb_name[0] = 0;
	m->pub.symbol_file = "";
	m->pub.pdb_id[0] = 0;
	m->pub.symbols = KD_SYMBOLS_DEFERRED;
	kd__image_close(m);
}

KD_EXPORT enum kd_status
kd_module_load_symbols(struct kd_session *s, const struct kd_module *module, struct kd_error *err)
{
	return kd__module_load(s, kd__module_of(module), err);
}

/* --- looking up --- */

struct kd_pdb *kd__names_pdb(const struct kd__module *m)
{
	return m->names ? m->names->pdb : NULL;
}

size_t kd__names_count(const struct kd__module *m)
{
	if (!m->names)
		return 0;
	return m->names->pdb ? m->names->n : m->names->n_exports;
}

static struct kd__name from_pdb(const struct kd_pdb_symbol *p)
{
	return (struct kd__name){
		.name = p->name,
		.rva = p->rva,
		.size = p->size,
		.type = p->type,
		.is_function = p->kind == KD_PDB_FUNCTION || p->kind == KD_PDB_PUBLIC_FUNCTION,
		.is_private = p->kind == KD_PDB_FUNCTION || p->kind == KD_PDB_DATA,
	};
}

void kd__names_nth(const struct kd__module *m, size_t n, struct kd__name *ret)
{
	*ret = m->names->pdb ? from_pdb(&m->names->symbols[n]) : m->names->exports[n];
}

static bool give(const struct kd_pdb_symbol *p, struct kd__name *ret)
{
	if (p)
		*ret = from_pdb(p);
	return p;
}

static bool find_export(const struct kd__names *names, const char *name, struct kd__name *ret)
{
	const struct kd__name *like = NULL;

	for (size_t i = 0; i < names->n_exports; i++) {
		const struct kd__name *e = &names->exports[i];

		if (!strcmp(e->name, name)) {
			*ret = *e;
			return true;
		}
		if (!like && !strcasecmp(e->name, name))
			like = e;
	}
	if (like)
		*ret = *like;
	return like;
}

bool kd__names_find(const struct kd__module *m, const char *name, struct kd__name *ret)
{
	if (!m->names)
		return false;
	if (m->names->pdb)
		return give(kd_pdb_find(m->names->pdb, name), ret);
	return find_export(m->names, name, ret);
}

/* Index of the first export above an RVA. */
static size_t export_above(const struct kd__names *names, uint32_t rva)
{
	size_t low = 0, high = names->n_exports;

	while (low < high) {
		size_t i = low + (high - low) / 2;

		if (names->exports[i].rva <= rva)
			low = i + 1;
		else
			high = i;
	}
	return low;
}

bool kd__names_at(const struct kd__module *m, uint32_t rva, struct kd__name *ret)
{
	size_t i;

	if (!m->names)
		return false;
	if (m->names->pdb)
		return give(kd_pdb_at(m->names->pdb, rva), ret);
	i = export_above(m->names, rva);
	if (i)
		*ret = m->names->exports[i - 1];
	return i;
}

bool kd__names_after(const struct kd__module *m, uint32_t rva, struct kd__name *ret)
{
	size_t i;

	if (!m->names)
		return false;
	if (m->names->pdb)
		return give(kd_pdb_after(m->names->pdb, rva), ret);
	i = export_above(m->names, rva);
	if (i < m->names->n_exports)
		*ret = m->names->exports[i];
	return i < m->names->n_exports;
}
