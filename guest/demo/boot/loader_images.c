/* SPDX-License-Identifier: MIT */
/*
 * Load PE modules the way an NT boot loader does: the kernel, what it imports, then the boot
 * drivers; each gets an entry in the load order list under the name its importers use.
 */
#include "guest/demo/boot/loader.h"

enum {
	MAX_IMAGES = 24,
	IMAGE_GAP = 0x10000, /* unmapped space between images: an overrun faults */
	NAME_MAX_CHARS = 64,
};

struct image {
	const char *name; /* as imported: kdcom.dll for any transport */
	uint8_t *data;    /* mapped image, where it lies in physical memory */
	uint64_t base;    /* where it runs */
	struct pe_headers pe;
};

static struct image images[MAX_IMAGES];
static unsigned n_images;
static uint64_t next_base = KSEG_BOOT_IMAGES;
static LOADER_PARAMETER_BLOCK *loader_block;
static char transport_file[NAME_MAX_CHARS] = "kdserial.dll";

static struct loader_file *file_find(const char *name)
{
	LOADER_PARAMETER_EXTENSION *ext = loader_block->Extension;

	for (uint32_t i = 0; i < ext->file_count; i++) {
		if (pe_name_equal(ext->files[i].name, name))
			return &ext->files[i];
	}
	return NULL;
}

static struct image *image_find(const char *name)
{
	for (unsigned i = 0; i < n_images; i++) {
		if (pe_name_equal(images[i].name, name))
			return &images[i];
	}
	return NULL;
}

/* /DEBUGPORT=COMn -> kdserial.dll, anything else -> kd<value>.dll in lower case, if we have it. */
static void transport_choose(const char *options)
{
	const char *key = "/DEBUGPORT=";
	char value[NAME_MAX_CHARS] = "kd";
	size_t n = 2;

	while (*options != '\0' && !loader_text_starts(options, key))
		options++;
	if (*options == '\0')
		return;
	options += loader_text_length(key, NAME_MAX_CHARS);
	if (loader_text_starts(options, "COM") || *options == '\0' || *options == ' ')
		return;
	for (; *options != '\0' && *options != ' ' && *options != ':' && n < sizeof(value) - 5;
	     options++)
		value[n++] = *options >= 'A' && *options <= 'Z' ? (char)(*options + 32) : *options;
	loader_text_copy(value + n, sizeof(value) - n, ".dll");
	if (file_find(value) != NULL)
		loader_text_copy(transport_file, sizeof(transport_file), value);
}

static uint64_t section_flags(const struct pe_section *s)
{
	uint64_t flags = LOADER_MAP_GLOBAL;

	if ((s->flags & PE_SCN_WRITE) != 0)
		flags |= LOADER_MAP_WRITE;
	if ((s->flags & PE_SCN_EXECUTE) == 0)
		flags |= LOADER_MAP_NX;
	return flags;
}

static void map_range(const struct image *im, uint32_t rva, uint32_t size, uint64_t flags)
{
	for (uint32_t off = 0; off < size; off += PAGE_SIZE_LOADER)
		loader_table_map(im->base + rva + off, (uint64_t)(uintptr_t)im->data + rva + off,
				 flags);
}

static void image_protect(const struct image *im)
{
	struct pe_section s;

	map_range(im, 0, im->pe.headers_size, LOADER_MAP_GLOBAL | LOADER_MAP_NX);
	for (unsigned i = 0; i < im->pe.n_sections; i++) {
		if (!NT_SUCCESS(pe_section_read(im->data, im->pe.image_size, &im->pe, i, &s)))
			loader_fail("bad section table", im->name);
		map_range(im, s.rva, s.virtual_size, section_flags(&s));
	}
}

static PWCHAR wide(const char *prefix, const char *name, UNICODE_STRING *ret)
{
	size_t n_prefix = loader_text_length(prefix, NAME_MAX_CHARS);
	size_t n = n_prefix + loader_text_length(name, NAME_MAX_CHARS);
	PWCHAR text = loader_pages(1);

	for (size_t i = 0; i < n; i++)
		text[i] = (WCHAR)(i < n_prefix ? prefix[i] : name[i - n_prefix]);
	ret->Length = (USHORT)(2 * n);
	ret->MaximumLength = (USHORT)(2 * n + 2);
	ret->Buffer = loader_window(text);
	return text;
}

static bool is_driver(const char *name)
{
	size_t n = loader_text_length(name, NAME_MAX_CHARS);

	return n > 4 && pe_name_equal(name + n - 4, ".sys");
}

static void list_entry_add(const struct image *im)
{
	KLDR_DATA_TABLE_ENTRY *entry = loader_pages(1);
	LIST_ENTRY *head = &loader_block->LoadOrderListHead;
	LIST_ENTRY *last;
	const char *path = is_driver(im->name) ? "\\SystemRoot\\system32\\drivers\\"
					       : "\\SystemRoot\\system32\\";

	entry->DllBase = (PVOID)(ULONG_PTR)im->base;
	entry->EntryPoint = (PVOID)(ULONG_PTR)(im->base + im->pe.entry_rva);
	entry->SizeOfImage = im->pe.image_size;
	entry->SizeOfImageNotRounded = im->pe.image_size;
	entry->CheckSum = im->pe.checksum;
	entry->TimeDateStamp = im->pe.time_date_stamp;
	entry->LoadCount = 1;
	entry->Flags = 0x4000; /* entry processed, as NT marks what the loader brought */
#ifndef __i386__
	entry->ExceptionTable = (PVOID)(im->base + im->pe.dir[PE_DIR_EXCEPTION].rva);
	entry->ExceptionTableSize = im->pe.dir[PE_DIR_EXCEPTION].size;
#endif
	wide(path, im->name, &entry->FullDllName);
	wide("", im->name, &entry->BaseDllName);

	/* The list lives at window addresses: link it by hand, through the identity map. */
	last = (LIST_ENTRY *)((uintptr_t)head->Blink - (uintptr_t)KSEG_PHYSICAL);
	entry->InLoadOrderLinks.Flink = loader_window(head);
	entry->InLoadOrderLinks.Blink = head->Blink;
	last->Flink = loader_window(entry);
	head->Blink = loader_window(entry);
}

static void image_load(const char *name)
{
	const char *file_name = pe_name_equal(name, "kdcom.dll") ? transport_file : name;
	struct loader_file *file = file_find(file_name);
	struct image *im = &images[n_images];
	const uint8_t *bytes;
	const char *import;

	if (image_find(name) != NULL)
		return;
	if (file == NULL)
		loader_fail("module not given with -initrd", file_name);
	if (n_images == MAX_IMAGES)
		loader_fail("too many images", name);
	bytes = (const uint8_t *)(uintptr_t)file->physical;
	if (!NT_SUCCESS(pe_headers_read(bytes, file->size, &im->pe)) ||
	    im->pe.machine != PE_MACHINE_OURS)
		loader_fail("not a PE image for this machine", file_name);
	im->name = name;
	im->data = loader_pages(im->pe.image_size / PAGE_SIZE_LOADER);
	im->base = next_base;
	next_base += (im->pe.image_size + 2 * IMAGE_GAP - 1) & ~(uint64_t)(IMAGE_GAP - 1);
	if (!NT_SUCCESS(pe_image_map(bytes, file->size, &im->pe, im->data)) ||
	    !NT_SUCCESS(pe_image_relocate(im->data, &im->pe, im->base)))
		loader_fail("broken PE image", file_name);
	n_images++;
	file->loaded = 1;
	list_entry_add(im);
	loader_print("loader: ");
	loader_print(name);
	loader_print(" at ");
	loader_print_hex(im->base);
	loader_print("\n");
	for (unsigned i = 0; (import = pe_import_name(im->data, &im->pe, i)) != NULL; i++)
		image_load(import);
}

static uint64_t resolve(void *context, const char *dll, const char *name, NTSTATUS *status)
{
	const struct image *im = image_find(dll);
	uint32_t rva = im != NULL ? pe_export_find(im->data, &im->pe, name) : 0;

	if (rva == 0) {
		loader_print("loader: no export ");
		loader_print(dll);
		loader_print("!");
		loader_print(name);
		loader_print("\n");
		*status = STATUS_ENTRYPOINT_NOT_FOUND;
		return 0;
	}
	return im->base + rva;
}

void loader_images_load(LOADER_PARAMETER_BLOCK *block, const char *options)
{
	LOADER_PARAMETER_EXTENSION *ext = block->Extension;

	loader_block = block;
	transport_choose(options);
	image_load("ntoskrnl.exe");
	image_load("hal.dll");
	for (uint32_t i = 0; i < ext->file_count; i++) {
		if (is_driver(ext->files[i].name) && !ext->files[i].reserved)
			image_load(ext->files[i].name);
	}
	for (unsigned i = 0; i < n_images; i++) {
		if (!NT_SUCCESS(pe_imports_bind(images[i].data, &images[i].pe, resolve, NULL)))
			loader_fail("imports could not be bound", images[i].name);
		image_protect(&images[i]);
	}
	ext->boot_image_end = next_base;
}

uint64_t loader_kernel_entry(void)
{
	return images[0].base + images[0].pe.entry_rva;
}
