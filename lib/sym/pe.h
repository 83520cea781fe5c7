/* SPDX-License-Identifier: MIT */
/*
 * PE images: headers, debug directory, exports, .pdata; from a file's bytes or from target memory.
 * Everything comes through one reader in few, large pieces (over KD each costs a round trip), and
 * everything is hostile: sizes are capped before use (facts: symbols 1).
 */
#ifndef KD_LIB_SYM_PE_H
#define KD_LIB_SYM_PE_H

#include "lib/base.h"

/*
 * Read `size` bytes at `address`. *done_ret may be short: memory ends there. KD_OK or a failure
 * that goes up unchanged.
 */
typedef enum kd_status (*kd_sym_read_fn)(void *context, uint64_t address, void *buffer, size_t size,
					 size_t *done_ret);

enum {
	KD_PE_SECTIONS_MAX = 96,
	KD_PE_DIRS = 16,
	KD_PE_NAME_MAX = 256,
	KD_PE_ID_SIZE = 48,
};

enum kd_pe_dir {
	KD_PE_DIR_EXPORT = 0,
	KD_PE_DIR_IMPORT = 1,
	KD_PE_DIR_EXCEPTION = 3,
	KD_PE_DIR_DEBUG = 6,
};

struct kd_pe_section {
	char name[9];
	uint32_t rva, virtual_size, file_offset, file_size, characteristics;
};

struct kd_pe {
	kd_sym_read_fn read; /* borrowed, with its context, as long as the object */
	void *context;
	uint64_t base; /* where the image begins in the reader's space */
	bool is_file;  /* file layout: RVAs go through the section table */
	uint16_t machine;
	bool is_64;
	uint32_t timestamp, checksum, size_of_image, size_of_headers, entry_rva;
	uint64_t image_base; /* preferred */
	size_t n_sections;
	struct kd_pe_section sections[KD_PE_SECTIONS_MAX];
	struct {
		uint32_t rva, size;
	} dirs[KD_PE_DIRS];
};

/*
 * KD_OK; KD_E_MALFORMED: not a PE image, or a damaged one (err: what); KD_E_UNREADABLE: its headers
 * cannot be read; what the reader returns.
 */
enum kd_status kd_pe_open(struct kd_pe *pe, kd_sym_read_fn read, void *context, uint64_t base,
			  bool is_file, struct kd_error *err);

/* Bytes at an RVA; zero-filled where a file has none. *done_ret as the reader's. */
enum kd_status kd_pe_read(const struct kd_pe *pe, uint32_t rva, void *buffer, size_t size,
			  size_t *done_ret);

/* NULL: in the headers or nowhere. */
const struct kd_pe_section *kd_pe_section_at(const struct kd_pe *pe, uint32_t rva);

struct kd_pe_codeview {
	uint8_t guid[16]; /* all zero for old records */
	uint32_t age;
	uint32_t
		signature; /* NB10, for PDBs of format 2: time stamp in place of the GUID; else 0 */
	char name[KD_PE_NAME_MAX]; /* last component of the PDB's path, harmless as a file name */
	char id[KD_PE_ID_SIZE];    /* key in a symbol store: GUID in upper case and age in hex */
};

/* KD_OK; KD_E_NOT_FOUND: no CodeView record; KD_E_UNREADABLE: paged out. */
enum kd_status kd_pe_codeview(const struct kd_pe *pe, struct kd_pe_codeview *ret,
			      struct kd_error *err);

/* "<GUID><age>" as above. */
void kd_pe_format_id(char out[KD_PE_ID_SIZE], const uint8_t guid[16], uint32_t age);

/*
 * A name from a target as a file name of ours: its last component, without control characters;
 * "" when nothing harmless is left ("..", empty).
 */
void kd_pe_file_name(char *out, size_t size, const char *path, size_t length);

/* --- exports --- */

struct kd_pe_export {
	uint32_t rva;
	uint32_t ordinal;
	const char *name;      /* "" for exports by ordinal only */
	const char *forwarder; /* "HAL.KfLowerIrql", or NULL */
};

struct kd_pe_exports {
	struct kd_pe_export *list; /* by RVA */
	size_t n;
	char *bytes; /* the directory; names point into it */
};

/* KD_OK; KD_E_NOT_FOUND: no export directory; KD_E_MALFORMED. Owned: kd_pe_exports_free(). */
enum kd_status kd_pe_exports_load(const struct kd_pe *pe, struct kd_pe_exports *ret,
				  struct kd_error *err);
void kd_pe_exports_free(struct kd_pe_exports *exports);

/* The export at or below an RVA, named ones first; NULL: none. Nearest exports are often wrong. */
const struct kd_pe_export *kd_pe_export_at(const struct kd_pe_exports *exports, uint32_t rva);
/* By name, case included; NULL: none. */
const struct kd_pe_export *kd_pe_export_find(const struct kd_pe_exports *exports, const char *name);

/* --- imports --- */

struct kd_pe_import {
	const char *dll;
	const char *name; /* "" for imports by ordinal */
	uint16_t ordinal;
	uint32_t slot_rva; /* of the pointer in the import address table */
};

struct kd_pe_imports {
	struct kd_pe_import *list; /* DLL after DLL */
	size_t n, cap;
	char *bytes; /* names point into it */
};

/*
 * KD_OK; KD_E_NOT_FOUND: the image imports nothing; KD_E_UNREADABLE: discarded or paged out, take
 * the image file. Owned: kd_pe_imports_free().
 */
enum kd_status kd_pe_imports_load(const struct kd_pe *pe, struct kd_pe_imports *ret,
				  struct kd_error *err);
void kd_pe_imports_free(struct kd_pe_imports *imports);

/* --- mapping files --- */

struct kd_mapping {
	const uint8_t *bytes;
	size_t size;
};

/* Map a file for reading. KD_E_NOT_FOUND, KD_E_DENIED, KD_E_IO; KD_E_MALFORMED: empty or no file.
 */
enum kd_status kd_mapping_open(const char *path, struct kd_mapping *ret, struct kd_error *err);
void kd_mapping_close(struct kd_mapping *m);
/* A kd_sym_read_fn; the context is the struct kd_mapping. */
enum kd_status kd_mapping_read(void *mapping, uint64_t address, void *buffer, size_t size,
			       size_t *done_ret);

#endif
