/* SPDX-License-Identifier: MIT */
#include "guest/demo/boot/loader.h"

enum {
	OPTIONS_SIZE = 1024,
	BOOT_STACK_PAGES = 6,
};

/* What the loader allocated becomes one block of the memory map; what is left stays free. */
static void memory_claim(LOADER_PARAMETER_EXTENSION *ext, uint64_t mark)
{
	for (uint32_t i = 0; i < ext->memory_count; i++) {
		struct loader_memory *m = &ext->memory[i];
		uint64_t end = m->base + m->size;

		if (m->type != LOADER_FREE || mark <= m->base || mark >= end)
			continue;
		if (ext->memory_count == LOADER_MAX_MEMORY)
			loader_fail("memory map too long", NULL);
		for (uint32_t k = ext->memory_count++; k > i + 1; k--)
			ext->memory[k] = ext->memory[k - 1];
		ext->memory[i + 1] = *m;
		ext->memory[i + 1].base = mark;
		ext->memory[i + 1].size = end - mark;
		m->size = mark - m->base;
		m->type = LOADER_LOADED;
		return;
	}
}

static void block_fill(LOADER_PARAMETER_BLOCK *block, LOADER_PARAMETER_EXTENSION *ext,
		       char *options, uint8_t *stack)
{
	loader_block_init(block, BOOT_STACK_PAGES * PAGE_SIZE_LOADER);
	block->KernelStack = (ULONG_PTR)loader_window(stack + BOOT_STACK_PAGES * PAGE_SIZE_LOADER);
	block->LoadOptions = options;
	block->Extension = ext;
	ext->magic = LOADER_BLOCK_MAGIC;
	ext->size = sizeof(*ext);
	ext->boot_stack_size = BOOT_STACK_PAGES * PAGE_SIZE_LOADER;
}

void loader_main(uint32_t multiboot_info)
{
	static LOADER_PARAMETER_EXTENSION early; /* until there is an allocator */
	static char early_options[OPTIONS_SIZE];
	LOADER_PARAMETER_BLOCK *block;
	LOADER_PARAMETER_EXTENSION *ext;
	char *options;
	uint8_t *stack;

	loader_print("loader: OpenKD demo guest\n");
	loader_multiboot_read(multiboot_info, &early, early_options, sizeof(early_options));
	block = loader_pages(1);
	ext = loader_pages((sizeof(*ext) + PAGE_SIZE_LOADER - 1) / PAGE_SIZE_LOADER);
	*ext = early;
	options = loader_pages(1);
	loader_text_copy(options, OPTIONS_SIZE, early_options);
	stack = loader_pages(BOOT_STACK_PAGES);
	block_fill(block, ext, options, stack);

	ext->page_table = loader_tables_create(ext->ram_end, options);
	loader_images_load(block, options);
	memory_claim(ext, loader_memory_mark());

	/* From here on only window addresses are valid. */
	block->LoadOptions = loader_window(options);
	block->Extension = loader_window(ext);
	loader_enter(ext->page_table, loader_kernel_entry(), block->KernelStack - 16,
		     (uintptr_t)loader_window(block));
}
