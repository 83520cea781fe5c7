/* SPDX-License-Identifier: MIT */
/* Inside of a PDB, shared by pdb*.c and types*.c. */
#ifndef KD_LIB_SYM_PDB_PRIVATE_H
#define KD_LIB_SYM_PDB_PRIVATE_H

#include "lib/sym/msf.h"
#include "lib/sym/pdb.h"
#include "lib/sym/pe.h"

enum {
	PDB_STREAM_NONE = 0xFFFF,
	PDB_MODULES_MAX = 65536,
	PDB_SYMBOLS_MAX = 1 << 26,
	PDB_NEIGHBOURS_MAX = 256,
	PDB_FOUND_BUCKETS = 256,
	PDB_MACHINE_X86 = 0x14C,
};

/* Records that we read; all others are skipped by their length. */
enum {
	S_THUNK32 = 0x1102,
	S_CONSTANT = 0x1107,
	S_UDT = 0x1108,
	S_LDATA32 = 0x110C,
	S_GDATA32 = 0x110D,
	S_PUB32 = 0x110E,
	S_LPROC32 = 0x110F,
	S_GPROC32 = 0x1110,
	S_PROCREF = 0x1125,
	S_LPROCREF = 0x1127,
	S_LPROC32_ID = 0x1146,
	S_GPROC32_ID = 0x1147,
};

/* A piece of a stream, read from the front; `ok` turns false at the first overrun. */
struct kd_cursor {
	const uint8_t *p, *end;
	bool ok;
};

struct pdb_symbols {
	struct kd_pdb_symbol *items; /* owned */
	size_t n, cap;
};

struct pdb_module {
	uint16_t stream;
	uint32_t symbols_size; /* of its symbol records, the 4-byte signature included */
	uint32_t c11_size, c13_size;
	struct pdb_row *lines; /* owned, by rva */
	size_t n_lines;
	bool has_lines;             /* looked for */
	struct pdb_symbols symbols; /* private ones, by rva */
	bool has_symbols;
};

struct pdb_row {
	uint32_t rva, line; /* line 0: none */
	uint32_t name;      /* of the file: offset in /names */
	uint32_t order;     /* in the stream: of several at one place the last counts */
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

/* A hash table of the linker, where it lies in the file. */
struct pdb_hash {
	const uint8_t *records; /* {offset + 1 in the symbol records, reference count} */
	uint32_t n_records;     /* 0: no table */
	const uint8_t *bitmap, *starts;
	uint32_t n_starts, n_buckets;
};

struct pdb_bucket {
	uint32_t at, end;
};

struct pdb_found { /* a symbol that was found by its name; in the arena */
	struct pdb_found *next;
	const uint8_t *record;
	struct kd_pdb_symbol symbol;
};

struct pdb_arena { /* small things that live as long as the PDB; freed as a whole */
	struct pdb_chunk *chunks;
	size_t used;
};

struct kd_pdb {
	struct kd_mapping mapping;
	struct kd_msf msf;
	struct kd_pdb_info info;
	const uint8_t *names; /* /names string table */
	uint32_t names_size;

	uint16_t symbols_stream, gsi_stream, psi_stream;
	struct pdb_module *modules;
	size_t n_modules;
	const uint8_t *raw_contributions;
	uint32_t raw_contributions_size;
	struct pdb_contribution *contributions; /* by rva */
	size_t n_contributions;
	bool has_contributions;
	struct pdb_section *sections;
	size_t n_sections;
	struct pdb_omap *omap; /* original rva -> rva, by `from`; NULL: none */
	size_t n_omap;

	/* pdb_hash.c; the records are those of symbols_stream */
	const uint8_t *records;
	uint32_t records_size;
	struct pdb_hash gsi, psi;
	bool has_hash;

	/* pdb_index.c */
	struct pdb_symbols list; /* all, by rva, then private before public */
	bool has_list;
	uint32_t *buckets; /* name hash -> index + 1 */
	uint32_t *chain;
	size_t n_buckets;

	struct pdb_found *found[PDB_FOUND_BUCKETS]; /* pdb_find.c */
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

/* --- pdb_record.c --- */

/* Walk records of a symbol stream part: next record's kind and body; false at the end. */
bool kd__pdb_record(struct kd_cursor *c, uint16_t *kind_ret, struct kd_cursor *body_ret,
		    uint32_t *offset_ret, const uint8_t *start);
/* A record as a symbol; false: of another kind, damaged, or without a place in the image. */
bool kd__pdb_symbol(struct kd_pdb *pdb, uint16_t kind, struct kd_cursor body,
		    struct kd_pdb_symbol *ret);
/* The name as it stands in a record of those kinds, or in a reference to a procedure. */
bool kd__pdb_symbol_name(uint16_t kind, struct kd_cursor body, const char **name_ret);
/* Length of an x86 name without decoration, which begins at name + 1; 0: it has none. */
size_t kd__pdb_plain_name(const struct kd_pdb *pdb, const char *name);
/* That name; lives as long as the PDB. */
const char *kd__pdb_undecorate(struct kd_pdb *pdb, const char *name);
void *kd__pdb_alloc(struct kd_pdb *pdb, size_t n);
void kd__pdb_arena_free(struct kd_pdb *pdb);

/* --- pdb_hash.c --- */

/* The hash that linkers use (facts: symbols 2.8). */
uint32_t kd__pdb_name_hash(const char *name, size_t n);
void kd__pdb_hash_load(struct kd_pdb *pdb);
bool kd__pdb_hash_bucket(const struct pdb_hash *h, uint32_t hash, struct pdb_bucket *ret);
/* Next record of a bucket: its offset in pdb->records. */
bool kd__pdb_hash_next(const struct kd_pdb *pdb, const struct pdb_hash *h, struct pdb_bucket *b,
		       uint32_t *record_ret);

/* --- pdb_module.c --- */

/* NULL: no module gave this place. The module's number is valid. */
const struct pdb_contribution *kd__pdb_contribution_at(struct kd_pdb *pdb, uint32_t rva);
/* The module's symbol records, the 4-byte signature in front included; false: none. */
bool kd__pdb_module_bytes(struct kd_pdb *pdb, const struct pdb_module *m, const uint8_t **bytes_ret,
			  uint32_t *size_ret);
/* Fill m->symbols; false: out of memory. */
bool kd__pdb_module_load(struct kd_pdb *pdb, struct pdb_module *m);
bool kd__pdb_symbols_add(struct pdb_symbols *list, const struct kd_pdb_symbol *symbol);
/* The private function around an address. */
const struct kd_pdb_symbol *kd__pdb_function_at(struct kd_pdb *pdb, uint32_t rva);
void kd__pdb_modules_free(struct kd_pdb *pdb);

/* --- pdb_find.c --- */

/* Type index behind a typedef, or 0. */
uint32_t kd__pdb_typedef(struct kd_pdb *pdb, const char *name);

/* --- pdb_index.c --- */

enum kd_status kd__pdb_list(struct kd_pdb *pdb, struct kd_error *err);
enum kd_status kd__pdb_name_index(struct kd_pdb *pdb, struct kd_error *err);
void kd__pdb_index_free(struct kd_pdb *pdb);
void kd__types_free(struct kd_types *types);

#endif
