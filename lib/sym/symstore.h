/* SPDX-License-Identifier: MIT */
/* Finding the PDB of an image along a symbol path; GUID and age are verified. */
#ifndef KD_LIB_SYM_SYMSTORE_H
#define KD_LIB_SYM_SYMSTORE_H

#include "lib/sym/pdb.h"
#include "lib/sym/pe.h"

/* Told for every place that is looked at (`!sym noisy`): "path: what". */
typedef void (*kd_symstore_log_fn)(void *context, const char *line);

/*
 * Open the PDB that belongs to a CodeView record.
 *
 * Elements of `symbol_path`, separated by `;`: a folder (name.pdb, name.pdb/ID/name.pdb,
 * symbols/pdb/name.pdb, pdb/name.pdb, two-tier stores); `srv*A*B*URL` and `cache*A`: the folders
 * in it. Servers are not contacted: that comes later, and the log says so.
 *
 * KD_OK: GUID equal (note_ret tells when the age differs, else it is ""); KD_E_NOT_FOUND: nowhere
 * (err: name, id, path); KD_E_MISMATCH: only files with another GUID (err: found and expected);
 * KD_E_UNSUPPORTED: only a compressed or foreign one; KD_E_INVALID: a harmful name.
 * file_ret: the path that was opened, cut to `size`.
 */
enum kd_status kd_symstore_find_pdb(const char *symbol_path, const struct kd_pe_codeview *wanted,
				    struct kd_pdb **pdb_ret, char *file_ret, size_t file_size,
				    char *note_ret, size_t note_size, kd_symstore_log_fn log,
				    void *context, struct kd_error *err);

/* As above for an image file by name, timestamp and size: the path of one that matches. */
enum kd_status kd_symstore_find_image(const char *symbol_path, const char *name, uint32_t timestamp,
				      uint32_t size_of_image, char *file_ret, size_t file_size,
				      struct kd_error *err);

#endif
