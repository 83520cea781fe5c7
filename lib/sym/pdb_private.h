/* SPDX-License-Identifier: MIT */
/* Inside of a PDB, shared by pdb.c (container), pdb_index.c, pdb_lines.c and types*.c. */
#ifndef KD_LIB_SYM_PDB_PRIVATE_H
#define KD_LIB_SYM_PDB_PRIVATE_H

#include "lib/sym/msf.h"
#include "lib/sym/pdb.h"
#include "lib/sym/pe.h"

enum { PDB_STREAM_NONE = 0xFFFF, PDB_MODULES_MAX = 65536 };

/* A piece of a stream, read from the front; `ok` turns false at the first overrun. */
struct kd_cursor {
	const uint8_t *p, *end;
	bool ok;
};

struct pdb_module {
	uint16_t stream;
	uint32_t symbols_size; /* of its symbol records, the 4-byte signature included */
	uint32_t c11_size, c13_size;
	struct pdb_row *lines; /* owned, by rva */
	size_t n_lines;
	bool has_lines; /* looked for */
};

struct pdb_row {
	uint32_t rva, line;
	const char *file;
};

struct pdb_contribution {
	uint32_t rva, size;
	uint16_t module;
};

struct pdb_omap {
	uint32_t from, to;
};

struct pdb_section {
	uint32_t rva, size;
};

struct pdb_arena { /* undecorated names; freed as a whole */
	struct pdb_chunk *chunks;
	size_t used;
};

struct kd_pdb {
	struct kd_mapping mapping;
	struct kd_msf msf;
	struct kd_pdb_info info;
	const uint8_t *names; /* /names string table */
	uint32_t names_size;

	uint16_t symbols_stream;
	struct pdb_module *modules;
	size_t n_modules;
	struct pdb_contribution *contributions; /* by rva */
	size_t n_contributions;
	struct pdb_section *sections;
	size_t n_sections;
	struct pdb_omap *omap; /* original rva -> rva, by `from`; NULL: none */
	size_t n_omap;

	struct kd_pdb_symbol *list;
	size_t n_list;
	uint32_t *buckets; /* name hash -> index + 1 */
	uint32_t *chain;
	size_t n_buckets;
	bool has_index;
	struct pdb_arena arena;

	struct kd_types *types; /* types.c */
};

uint8_t kd__cursor_u8(struct kd_cursor *c);
uint16_t kd__cursor_u16(struct kd_cursor *c);
uint32_t kd__cursor_u32(struct kd_cursor *c);
uint64_t kd__cursor_u64(struct kd_cursor *c);
const char *kd__cursor_text(struct kd_cursor *c); /* "" when it does not end */
void kd__cursor_skip(struct kd_cursor *c, size_t n);
struct kd_cursor kd__cursor(const uint8_t *bytes, size_t size);

/* section:offset -> RVA; false: a section that is not there, or discarded code. */
bool kd__pdb_rva(const struct kd_pdb *pdb, uint16_t section, uint32_t offset, uint32_t *rva_ret);
/* Text at an offset of /names; "" when outside. */
const char *kd__pdb_name(const struct kd_pdb *pdb, uint32_t offset);
/* ASCII case folding string hash, for our own tables. */
uint32_t kd__pdb_hash(const char *name);
/* Walk records of a symbol stream part: next record's kind and body; false at the end. */
bool kd__pdb_record(struct kd_cursor *c, uint16_t *kind_ret, struct kd_cursor *body_ret,
		    uint32_t *offset_ret, const uint8_t *start);
char *kd__pdb_keep(struct kd_pdb *pdb, const char *text, size_t n);
void kd__pdb_index_free(struct kd_pdb *pdb);
void kd__pdb_lines_free(struct kd_pdb *pdb);
void kd__types_free(struct kd_types *types);

#endif
