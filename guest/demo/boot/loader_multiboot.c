/* SPDX-License-Identifier: MIT */
/* The multiboot information block, read byte by byte; its addresses are below 4 GB. */
#include "guest/demo/boot/loader.h"
#include "core/bytes.h"

enum {
	MB_HAS_CMDLINE = 1 << 2,
	MB_HAS_MODULES = 1 << 3,
	MB_HAS_MMAP = 1 << 6,
	MMAP_RAM = 1,
	CMDLINE_MAX = 1024,
};

static const uint8_t *at(uint32_t address)
{
	return (const uint8_t *)(uintptr_t)address;
}

static void memory_add(LOADER_PARAMETER_EXTENSION *ext, uint64_t base, uint64_t end, uint32_t type)
{
	struct loader_memory *m;

	if (type == LOADER_FREE) { /* whole pages only */
		base = (base + PAGE_SIZE_LOADER - 1) & ~(uint64_t)(PAGE_SIZE_LOADER - 1);
		end &= ~(uint64_t)(PAGE_SIZE_LOADER - 1);
	}
	if (base >= end)
		return;
	if (ext->memory_count == LOADER_MAX_MEMORY)
		loader_fail("memory map too long", NULL);
	m = &ext->memory[ext->memory_count++];
	m->base = base;
	m->size = end - base;
	m->type = type;
	if (type != LOADER_RESERVED && end > ext->ram_end)
		ext->ram_end = end;
}

static void memory_read(LOADER_PARAMETER_EXTENSION *ext, uint32_t map, uint32_t length)
{
	const uint64_t limit = (uint64_t)LOADER_RAM_MAX;

	for (uint32_t off = 0; off + 24 <= length;) {
		const uint8_t *e = at(map + off);
		uint64_t base = kd_get64(e + 4);
		uint64_t size = kd_get64(e + 12);
		uint64_t end = base + size;
		uint32_t entry_size = kd_get32(e);

		if (entry_size < 20 || entry_size > 256)
			loader_fail("broken memory map", NULL);
		off += entry_size + 4;
		if (end < base || base >= limit)
			continue;
		if (end > limit)
			end = limit;
		if (kd_get32(e + 20) != MMAP_RAM) {
			memory_add(ext, base, end, LOADER_RESERVED);
			continue;
		}
		if (base < 0x100000)
			memory_add(ext, base, end < 0x100000 ? end : 0x100000, LOADER_FIRST_MB);
		memory_add(ext, base > 0x100000 ? base : 0x100000, end, LOADER_FREE);
	}
}

/* "dir/name.sys demand" -> "name.sys"; returns what follows the first blank. */
static const char *file_name(char *to, size_t size, const char *string)
{
	const char *base = string;
	const char *end;
	size_t n;

	for (end = string; *end != '\0' && *end != ' ' && end - string < CMDLINE_MAX; end++) {
		if (*end == '/')
			base = end + 1;
	}
	n = (size_t)(end - base);
	if (n == 0 || n >= size)
		loader_fail("module without a usable name", string);
	__builtin_memcpy(to, base, n);
	to[n] = '\0';
	return end;
}

static uint64_t files_read(LOADER_PARAMETER_EXTENSION *ext, uint32_t count, uint32_t table)
{
	uint64_t mark = table + 16 * (uint64_t)count;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *e = at(table + 16 * i);
		const char *string = (const char *)at(kd_get32(e + 8));
		struct loader_file *file = &ext->files[i];
		const char *rest;

		if (i == LOADER_MAX_FILES)
			loader_fail("too many modules", NULL);
		file->physical = kd_get32(e);
		file->size = kd_get32(e + 4) - kd_get32(e);
		if (kd_get32(e + 4) < kd_get32(e))
			loader_fail("module ends before it starts", string);
		rest = file_name(file->name, sizeof(file->name), string);
		file->reserved = loader_text_starts(rest, " demand");
		ext->file_count = i + 1;
		if (kd_get32(e + 4) > mark)
			mark = kd_get32(e + 4);
		if (kd_get32(e + 8) + CMDLINE_MAX > mark)
			mark = kd_get32(e + 8) + CMDLINE_MAX;
	}
	return mark;
}

void loader_multiboot_read(uint32_t info, LOADER_PARAMETER_EXTENSION *ext, char *options,
			   size_t size)
{
	extern uint8_t loader_end[];
	const uint8_t *mbi = at(info);
	uint32_t flags = kd_get32(mbi);
	uint64_t mark = (uint64_t)(uintptr_t)loader_end;
	uint64_t files_mark;

	if ((flags & MB_HAS_MMAP) == 0 || (flags & MB_HAS_MODULES) == 0)
		loader_fail("no memory map or no modules: give the kernel with -initrd", NULL);
	memory_read(ext, kd_get32(mbi + 48), kd_get32(mbi + 44));
	files_mark = files_read(ext, kd_get32(mbi + 20), kd_get32(mbi + 24));
	if (files_mark > mark)
		mark = files_mark;
	options[0] = '\0';
	if ((flags & MB_HAS_CMDLINE) != 0) {
		const char *line = (const char *)at(kd_get32(mbi + 16));
		const char *end = line + loader_text_length(line, CMDLINE_MAX);

		if (kd_get32(mbi + 16) + CMDLINE_MAX > mark)
			mark = kd_get32(mbi + 16) + CMDLINE_MAX;
		/* the first word is the loader's own file name */
		while (line < end && *line != ' ')
			line++;
		while (line < end && *line == ' ')
			line++;
		loader_text_copy(options,
				 size < (size_t)(end - line) + 1 ? size : (size_t)(end - line) + 1,
				 line);
	}
	loader_memory_init(ext, mark);
}
