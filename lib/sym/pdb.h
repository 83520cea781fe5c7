/* SPDX-License-Identifier: MIT */
/*
 * Program databases (PDB 7): symbols by name and address, source lines. Types are in types.h.
 *
 * A PDB is mapped; what is asked for is indexed on first use. Names point into the mapping (or into
 * the index) and live as long as the PDB. One PDB, one thread at a time.
 */
#ifndef KD_LIB_SYM_PDB_H
#define KD_LIB_SYM_PDB_H

#include "lib/base.h"

struct kd_pdb;

struct kd_pdb_info {
	uint8_t guid[16];
	uint32_t age;     /* of the info stream: tools that add streams count it up */
	uint32_t dbi_age; /* what an image's RSDS record must equal */
	uint16_t machine;
	bool is_stripped; /* public symbols only */
	bool has_types;
};

/*
 * KD_OK; KD_E_NOT_FOUND, KD_E_DENIED, KD_E_IO: the file; KD_E_UNSUPPORTED: another format, named
 * in *err; KD_E_MALFORMED: damaged, err->where is the offset. Owned: kd_pdb_close().
 */
enum kd_status kd_pdb_open(const char *path, struct kd_pdb **pdb_ret, struct kd_error *err);
void kd_pdb_close(struct kd_pdb *pdb);
void kd_pdb_info(const struct kd_pdb *pdb, struct kd_pdb_info *ret);

enum kd_pdb_kind {
	KD_PDB_FUNCTION, /* private: has a size and a type */
	KD_PDB_DATA,     /* private: has a type */
	KD_PDB_PUBLIC_FUNCTION,
	KD_PDB_PUBLIC_DATA,
};

struct kd_pdb_symbol {
	const char *name; /* undecorated on x86 */
	uint32_t rva;
	uint32_t size; /* 0: unknown */
	uint32_t type; /* type index, 0: unknown */
	enum kd_pdb_kind kind;
};

/* All symbols in ascending order of RVA, private before public. Fails only for want of memory. */
enum kd_status kd_pdb_symbols(struct kd_pdb *pdb, const struct kd_pdb_symbol **list_ret,
			      size_t *n_ret, struct kd_error *err);

/* The symbol at or below an RVA; the first one above it; one by name (case: exact first). NULL:
 * none. */
const struct kd_pdb_symbol *kd_pdb_at(struct kd_pdb *pdb, uint32_t rva);
const struct kd_pdb_symbol *kd_pdb_after(struct kd_pdb *pdb, uint32_t rva);
const struct kd_pdb_symbol *kd_pdb_find(struct kd_pdb *pdb, const char *name);

/* Value and type of a named constant (enumerators, `static const`). KD_E_NOT_FOUND; KD_E_MALFORMED.
 */
enum kd_status kd_pdb_constant(struct kd_pdb *pdb, const char *name, uint64_t *value_ret,
			       uint32_t *type_ret);

struct kd_pdb_line {
	const char *file;
	uint32_t line;
	uint32_t rva; /* where the line begins */
	uint32_t end; /* where the next one begins */
};

/* KD_OK; KD_E_NOT_FOUND: no line information for the place. */
enum kd_status kd_pdb_line_at(struct kd_pdb *pdb, uint32_t rva, struct kd_pdb_line *ret);
/*
 * Code of file:line, or of the first line with code after it: the lowest address, or all (a line of
 * a header or template has several). The file's last components match, in any case and with both
 * separators. KD_E_NOT_FOUND: no such file, or no code at or below the line. All modules are read.
 */
enum kd_status kd_pdb_line_find(struct kd_pdb *pdb, const char *file, uint32_t line,
				struct kd_pdb_line *ret);
typedef bool (*kd_pdb_line_fn)(void *context, const struct kd_pdb_line *line); /* false: stop */
enum kd_status kd_pdb_line_each(struct kd_pdb *pdb, const char *file, uint32_t line,
				kd_pdb_line_fn fn, void *context);

#endif
