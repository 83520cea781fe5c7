/* SPDX-License-Identifier: MIT */
/* Symbols of one module: its PDB, or its exports where there is none. */
#ifndef KD_LIB_ENGINE_MODULE_SYMBOLS_H
#define KD_LIB_ENGINE_MODULE_SYMBOLS_H

#include "lib/engine/module.h"
#include "lib/sym/pdb.h"

/* One symbol; the name lives as long as the module's symbols. */
struct kd__name {
	const char *name;
	uint32_t rva, size;
	uint32_t type; /* 0: unknown */
	bool is_function, is_private, is_export;
};

/*
 * Load a module's symbols, once. KD_OK: from a PDB. KD_E_NOT_FOUND, KD_E_MISMATCH, ...: there is
 * none (err says why, so does the module's note; m->names may still have the exports). Failures of
 * the target are not remembered.
 */
enum kd_status kd__module_load(struct kd_session *s, struct kd__module *m, struct kd_error *err);
/* Back to deferred; frees the image too. */
void kd__module_forget(struct kd__module *m);

/* Does a module match a name or a pattern of `lm m` and `.reload`? */
bool kd__module_matches(const struct kd__module *m, const char *pattern);

/* NULL: no PDB. */
struct kd_pdb *kd__names_pdb(const struct kd__module *m);

/* The symbols as one list in ascending order; n 0 without any. */
size_t kd__names_count(const struct kd__module *m);
void kd__names_nth(const struct kd__module *m, size_t n, struct kd__name *ret);

/* By name; at or below an RVA; the first above it. false: none. */
bool kd__names_find(const struct kd__module *m, const char *name, struct kd__name *ret);
bool kd__names_at(const struct kd__module *m, uint32_t rva, struct kd__name *ret);
bool kd__names_after(const struct kd__module *m, uint32_t rva, struct kd__name *ret);

/* A line for !sym noisy. */
void kd__log_line(struct kd_session *s, const char *line);

#endif
