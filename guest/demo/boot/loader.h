/* SPDX-License-Identifier: MIT */
/* The parts of the boot loader. It runs once, on one processor, identity-mapped, interrupts off. */
#ifndef KD_DEMO_LOADER_H
#define KD_DEMO_LOADER_H

#include "guest/common/pe_load.h"
#include "guest/demo/inc/loader_block.h"
#include "guest/demo/ntos/inc/ntldr.h"

#define PAGE_SIZE_LOADER 0x1000u
/* What the physical window is given for: 512 MB, 64 GB. */
#define LOADER_RAM_MAX   NT_CPU(0x20000000ull, 0x1000000000ull)

/* --- loader_text.c: the debug console (port 0xE9) --- */
void loader_print(const char *text);
void loader_print_hex(uint64_t value);
/** Say why and halt. */
NORETURN void loader_fail(const char *what, const char *name);
bool loader_text_starts(const char *text, const char *prefix);
size_t loader_text_length(const char *text, size_t max);
void loader_text_copy(char *to, size_t size, const char *from);

/* --- loader_multiboot.c: what the boot program told us --- */
/** Fill memory map, files and command line (at most `size` bytes) of the extension. */
void loader_multiboot_read(uint32_t info, LOADER_PARAMETER_EXTENSION *ext, char *options,
			   size_t size);

/* --- loader_memory.c: pages and page tables --- */
#define LOADER_MAP_WRITE  0x2ull
#define LOADER_MAP_LARGE  0x80ull
#define LOADER_MAP_GLOBAL 0x100ull
#define LOADER_MAP_NX     0x8000000000000000ull

/** Start allocating at the first page after `lowest_free`. */
void loader_memory_init(LOADER_PARAMETER_EXTENSION *ext, uint64_t lowest_free);
/** Zeroed, contiguous, page aligned; never fails (halts). */
void *loader_pages(uint64_t n_pages);
/** First byte not allocated. */
uint64_t loader_memory_mark(void);

/* --- loader_amd64.c, loader_x86.c: what the processor wants --- */
/** Build the kernel's page tables: physical window, shared data page, self map, identity map of the
 * first GB (the kernel drops that). Returns the top-level table's address. */
uint64_t loader_tables_create(uint64_t ram_end, const char *options);
void loader_table_map(uint64_t va, uint64_t pa, uint64_t flags);
/** List heads and what else of the block differs between releases. */
void loader_block_init(LOADER_PARAMETER_BLOCK *block, uint32_t stack_size);
static inline void *loader_window(const void *p)
{
	return (void *)((uintptr_t)p + (uintptr_t)KSEG_PHYSICAL);
}

/* --- loader_images.c: PE modules --- */
/** Load the kernel, all it imports, and every .sys file not marked "demand"; bind them. */
void loader_images_load(LOADER_PARAMETER_BLOCK *block, const char *options);
/** Runtime address of the kernel's entry point. */
uint64_t loader_kernel_entry(void);

void loader_main(uint32_t multiboot_info);
/** In boot_start_*.S: load the tables and call the kernel. */
NORETURN void loader_enter(uint64_t cr3, uint64_t entry, uint64_t stack, uint64_t argument);

#endif
