/* SPDX-License-Identifier: MIT */
/* Page tables with or without PAE, and the loader block of Server 2003. */
#include "guest/demo/boot/loader.h"

enum {
	PRESENT = 1,
	CR4_PSE = 0x10,
	CR4_PAE = 0x20,
	CR4_PGE_OSFXSR_OSXMM = 0x680,
	EFER_NXE = 0x800,
	CPUID_PAE = 1 << 6,
	CPUID_NX = 1 << 20,
	IDENTITY_BYTES = 0x40000000,
};

/* What loader_enter loads before the tables. */
extern uint32_t loader_cr4, loader_efer;
uint32_t loader_cr4 = CR4_PSE | CR4_PGE_OSFXSR_OSXMM, loader_efer;

static bool is_pae, has_nx;
static uint8_t *top;

static uint32_t cpuid_edx(uint32_t leaf)
{
	uint32_t eax, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(leaf), "c"(0));
	return edx;
}

static bool has_option(const char *options, const char *name)
{
	while (*options != '\0' && !loader_text_starts(options, name))
		options++;
	return *options != '\0';
}

static void choose_shape(const char *options)
{
	is_pae = (cpuid_edx(1) & CPUID_PAE) != 0 && !has_option(options, "/NOPAE");
	has_nx = is_pae && (cpuid_edx(0x80000001) & CPUID_NX) != 0;
	if (is_pae)
		loader_cr4 = CR4_PAE | CR4_PGE_OSFXSR_OSXMM;
	if (has_nx)
		loader_efer = EFER_NXE;
}

/* --- tables --- */

static uint64_t entry_get(const uint8_t *at)
{
	return is_pae ? *(const uint64_t *)at : *(const uint32_t *)at;
}

static void entry_put(uint8_t *at, uint64_t value)
{
	if (is_pae)
		*(uint64_t *)at = has_nx ? value : value & ~LOADER_MAP_NX;
	else
		*(uint32_t *)at = (uint32_t)value;
}

/* Where the page directory has its entry for va. */
static uint8_t *directory_entry(uint32_t va)
{
	if (!is_pae)
		return top + 4 * (va >> 22);
	return (uint8_t *)(uintptr_t)(entry_get(top + 8 * (va >> 30)) & 0xFFFFF000u) +
	       8 * (va >> 21 & 511);
}

static uint8_t *table_entry(uint32_t va)
{
	uint8_t *at = directory_entry(va);
	uint8_t *table;

	if ((entry_get(at) & PRESENT) == 0)
		entry_put(at, (uintptr_t)loader_pages(1) | LOADER_MAP_WRITE | PRESENT);
	table = (uint8_t *)(uintptr_t)(entry_get(at) & 0xFFFFF000u);
	return table + (is_pae ? 8 * (va >> 12 & 511) : 4 * (va >> 12 & 1023));
}

void loader_table_map(uint64_t va, uint64_t pa, uint64_t flags)
{
	uint8_t *at = (flags & LOADER_MAP_LARGE) != 0 ? directory_entry((uint32_t)va)
						      : table_entry((uint32_t)va);

	entry_put(at, pa | flags | PRESENT);
}

static void map_large(uint32_t va, uint64_t bytes, uint64_t flags)
{
	const uint32_t step = is_pae ? 0x200000 : 0x400000;

	for (uint64_t pa = 0; pa < bytes; pa += step)
		loader_table_map(va + pa, pa, flags | LOADER_MAP_LARGE | LOADER_MAP_WRITE);
}

static void make_top(void)
{
	enum { DIRECTORIES = 4 };
	uint8_t *directories;

	top = loader_pages(1);
	if (!is_pae) {
		entry_put(directory_entry(KSEG_SELF_MAP),
			  (uintptr_t)top | LOADER_MAP_WRITE | PRESENT);
		return;
	}
	directories = loader_pages(DIRECTORIES);
	for (uint32_t i = 0; i < DIRECTORIES; i++)
		*(uint64_t *)(top + 8 * i) = (uintptr_t)(directories + 0x1000 * i) | PRESENT;
	for (uint32_t i = 0; i < DIRECTORIES; i++)
		entry_put(directory_entry(KSEG_SELF_MAP + 0x200000 * i),
			  (uintptr_t)(directories + 0x1000 * i) | LOADER_MAP_WRITE | LOADER_MAP_NX |
				  PRESENT);
}

uint64_t loader_tables_create(uint64_t ram_end, const char *options)
{
	const uint64_t data = LOADER_MAP_WRITE | LOADER_MAP_GLOBAL | LOADER_MAP_NX;

	choose_shape(options);
	make_top();
	map_large((uint32_t)KSEG_PHYSICAL, ram_end, LOADER_MAP_GLOBAL | LOADER_MAP_NX);
	map_large(0, IDENTITY_BYTES, 0);
	loader_table_map(KSEG_USER_SHARED, (uintptr_t)loader_pages(1), data);
	loader_table_map(KSEG_BOOT_PCR, (uintptr_t)loader_pages(1), data);
	return (uintptr_t)top;
}

void loader_block_init(LOADER_PARAMETER_BLOCK *block, uint32_t stack_size)
{
	LIST_ENTRY *lists[] = { &block->LoadOrderListHead, &block->MemoryDescriptorListHead,
				&block->BootDriverListHead };

	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		lists[i]->Flink = lists[i]->Blink = loader_window(lists[i]);
}
