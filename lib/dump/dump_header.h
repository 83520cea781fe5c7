/* SPDX-License-Identifier: MIT */
/*
 * The header of a Windows crash dump, 64-bit (`PAGEDU64`) and 32-bit (`PAGEDUMP`): bytes <->
 * values. What is not set is filled with the four bytes `PAGE`, which mean "absent".
 *
 * Source: published layouts, checked with libmagic (tests/console/test_dump.py);
 * docs/crash-dump.md.
 */
#ifndef KD_LIB_DUMP_DUMP_HEADER_H
#define KD_LIB_DUMP_DUMP_HEADER_H

#include "lib/base.h"

enum {
	KD_DUMP_HEADER_64 = 0x2000, /* bytes */
	KD_DUMP_HEADER_32 = 0x1000,
	KD_DUMP_RUNS_64 = 42, /* what the header's area holds */
	KD_DUMP_RUNS_32 = 86,
	KD_DUMP_RUNS_MAX = KD_DUMP_RUNS_32,
	KD_DUMP_CONTEXT_64 = 3000, /* bytes reserved */
	KD_DUMP_CONTEXT_32 = 1200,
	KD_DUMP_CONTEXT_MAX = KD_DUMP_CONTEXT_64,
	KD_DUMP_COMMENT = 128,
	KD_DUMP_PARAMETERS = 15,
	KD_DUMP_PAGE = 4096,
};

enum kd_dump_type { KD_DUMP_FULL = 1 };

/* Pages that stand in the file, in this order, without a gap. */
struct kd_dump_run {
	uint64_t base_page, n_pages;
};

/*
 * Numbers are of any width here; the file takes as many bytes of them as its field has. Addresses
 * of 32-bit targets come back zero-extended.
 */
struct kd_dump_header {
	bool is_64bit;
	uint64_t major_version, minor_version; /* as GetVersion: 0xF free, 0xC checked; build */
	uint64_t directory_base;
	uint64_t pfn_database, loaded_modules, processes, debugger_data; /* as in KDBG */
	uint64_t machine, n_processors;
	uint64_t bugcheck_code, bugcheck_parameters[4];
	uint64_t pae_enabled; /* 32-bit only */
	uint64_t exception_code, exception_flags, exception_record, exception_address;
	uint64_t n_exception_parameters, exception_parameters[KD_DUMP_PARAMETERS];
	uint64_t type, required_space; /* of the whole file */
	uint64_t system_time, up_time; /* FILETIME; 100 ns */
	uint64_t product_type, suite_mask;
	uint32_t n_runs;
	struct kd_dump_run runs[KD_DUMP_RUNS_MAX];
	size_t context_size;
	uint8_t context[KD_DUMP_CONTEXT_MAX]; /* CONTEXT of the processor that stopped */
	char comment[KD_DUMP_COMMENT];        /* terminated */
};

size_t kd_dump_header_size(bool is_64bit);
/* Pages of all runs. */
uint64_t kd_dump_pages(const struct kd_dump_header *h);

/*
 * Into kd_dump_header_size() bytes. KD_E_TOO_BIG: more runs, a larger context or more exception
 * parameters than the file has room for.
 */
enum kd_status kd_dump_header_encode(const struct kd_dump_header *h, uint8_t *bytes,
				     struct kd_error *err);

/*
 * From the first bytes of a file. Only the file's form is judged: KD_E_MALFORMED no crash dump, cut
 * short, more runs than there is room for, runs that are empty, overlap, go back or go beyond 2^52
 * bytes.
 */
enum kd_status kd_dump_header_decode(const uint8_t *bytes, size_t size, struct kd_dump_header *ret,
				     struct kd_error *err);

/*
 * Where a page of physical memory stands in a full dump. False: in no run.
 */
bool kd_dump_file_offset(const struct kd_dump_header *h, uint64_t physical, uint64_t *offset_ret);

#endif
