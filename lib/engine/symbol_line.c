/* SPDX-License-Identifier: MIT */
/* Source lines, from private PDBs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/engine/symbol.h"

KD_EXPORT enum kd_status kd_symbol_line(struct kd_session *s, uint64_t address, char *file,
					size_t size, uint32_t *line_ret, uint64_t *displacement_ret,
					struct kd_error *err)
{
	struct kd__module *m;
	struct kd_pdb_line line;
	enum kd_status status;
	uint32_t rva;

	address = kd__normalise(s, address);
	m = kd__module_at(s, address);
	if (!m)
		return kd_error_set(err, KD_E_NOT_FOUND, address, "0x%" PRIx64 " is in no module",
				    address);
	status = kd__module_load(s, m, err);
	if (status != KD_OK)
		return status == KD_E_MISMATCH ? KD_E_NOT_FOUND : status;
	rva = (uint32_t)(address - m->pub.base);
	if (kd_pdb_line_at(kd__names_pdb(m), rva, &line) != KD_OK)
		return kd_error_set(err, KD_E_NOT_FOUND, address,
				    "%s tells no source line for 0x%" PRIx64, m->symbol_file,
				    address);
	snprintf(file, size, "%s", line.file);
	*line_ret = line.line;
	*displacement_ret = rva - line.rva;
	return KD_OK;
}

static bool line_in(const struct kd__module *m, const char *file, uint32_t line, uint64_t *ret)
{
	struct kd_pdb_line found;

	if (!kd__names_pdb(m) || kd_pdb_line_find(kd__names_pdb(m), file, line, &found) != KD_OK)
		return false;
	*ret = m->pub.base + found.rva;
	return true;
}

static enum kd_status no_line(const char *where, const char *file, uint32_t line,
			      struct kd_error *err)
{
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "%s has no code for line %u of '%.80s'", where,
			    line, file);
}

/* Loaded symbols first, then the others one by one. */
static enum kd_status line_anywhere(struct kd_session *s, const char *file, uint32_t line,
				    uint64_t *ret, struct kd_error *err)
{
	struct kd__modules *ms = s->modules;
	enum kd_status status = kd__modules_refresh(s, err);

	if (status != KD_OK && !ms->n_loaded)
		return status;
	for (size_t i = 0; i < ms->n_loaded; i++)
		if (line_in(ms->items[i], file, line, ret))
			return KD_OK;
	for (size_t i = 0; i < ms->n_loaded; i++) {
		if (ms->items[i]->names)
			continue;
		status = kd__module_load(s, ms->items[i], err);
		if (status != KD_OK && !ms->items[i]->names)
			return status;
		if (line_in(ms->items[i], file, line, ret))
			return KD_OK;
	}
	return no_line("no module", file, line, err);
}

KD_EXPORT enum kd_status kd_symbol_line_address(struct kd_session *s, const char *module,
						const char *file, uint32_t line,
						uint64_t *address_ret, struct kd_error *err)
{
	struct kd__module *m;
	enum kd_status status;

	if (!module)
		return line_anywhere(s, file, line, address_ret, err);
	m = kd__module_find(s, module, strlen(module));
	if (!m)
		return kd__symbol_no_module(module, strlen(module), err);
	status = kd__module_load(s, m, err);
	if (status != KD_OK)
		return status;
	return line_in(m, file, line, address_ret) ? KD_OK : no_line(m->name, file, line, err);
}
