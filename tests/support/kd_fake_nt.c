/* SPDX-License-Identifier: MIT */
/* What a debugger finds in the fake target's memory: KDBG, loader list, processor blocks. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "tests/support/kd_fake_target.h"

/* Where structures keep things, AMD64 and x86 (docs/protocol/serial.md). */
struct layout {
	uint16_t list_size;
	uint16_t dll_base, entry_point, image_size, full_name, base_name, flags, load_count;
	uint16_t checksum, timestamp, entry_size;
	uint16_t string_buffer; /* in a UNICODE_STRING */
	uint16_t kpcr_self, kpcr_prcb, kpcr_version, kpcr_contained;
	uint16_t prcb_thread, prcb_number, prcb_special, prcb_context, number_size;
};

static const struct layout layouts[] = {
	{ 16, 0x30, 0x38, 0x40,  0x48,  0x58, 0x68, 0x6C,  0x78,  0x9C, 0xA0,
	  8,  0x18, 0x20, 0x108, 0x180, 8,    0x24, 0x100, 0x1F0, 4 },
	{ 8, 0x18, 0x1C, 0x20, 0x24,  0x2C, 0x34, 0x38,  0x40, 0x58, 0x60,
	  4, 0x1C, 0x20, 0x34, 0x120, 4,    0x10, 0x2E4, 0x18, 1 },
};

static const struct layout *layout_of(const struct kd_fake *f)
{
	return &layouts[f->word == 8 ? 0 : 1];
}

static void put(struct kd_fake *f, uint64_t address, size_t size, uint64_t value)
{
	uint8_t bytes[8];

	kd_put_sized(bytes, size, value);
	kd_fake_write(f, address, bytes, size);
}

static void put_kdbg(struct kd_fake *f, const char *name, uint64_t value)
{
	const struct kd_kdbg_field *field = kd_kdbg_find(name);

	if (!field)
		abort();
	put(f, f->kdbg + field->offset, field->size, value);
}

/* --- lists, in native words --- */

static void list_init(struct kd_fake *f, uint64_t head)
{
	kd_fake_put_word(f, head, head);
	kd_fake_put_word(f, head + f->word, head);
}

static void list_append(struct kd_fake *f, uint64_t head, uint64_t entry)
{
	const uint64_t last = kd_fake_get_word(f, head + f->word);

	kd_fake_put_word(f, entry, head);
	kd_fake_put_word(f, entry + f->word, last);
	kd_fake_put_word(f, last, entry);
	kd_fake_put_word(f, head + f->word, entry);
}

/* --- modules --- */

static void put_string(struct kd_fake *f, uint64_t address, uint64_t buffer, const char *text)
{
	const size_t size = 2 * strlen(text);

	for (size_t i = 0; text[i]; i++)
		put(f, buffer + 2 * i, 2, (uint8_t)text[i]);
	put(f, address, 2, size);
	put(f, address + 2, 2, size + 2);
	put(f, address + layout_of(f)->string_buffer, f->word, buffer);
}

/* DOS header, PE header, nothing else: enough to be recognised, and for size and time stamp. */
static void put_pe_header(struct kd_fake *f, const struct kd_fake_module *m)
{
	enum { PE = 0x80, OPTIONAL = PE + 24, OPTIONAL_SIZE_64 = 240, OPTIONAL_SIZE_32 = 224 };
	const bool is_64 = f->word == 8;

	put(f, m->base, 2, 0x5A4D);
	put(f, m->base + 0x3C, 4, PE);
	put(f, m->base + PE, 4, 0x4550);
	put(f, m->base + PE + 4, 2, f->version.machine);
	put(f, m->base + PE + 8, 4, m->timestamp);
	put(f, m->base + PE + 20, 2, is_64 ? OPTIONAL_SIZE_64 : OPTIONAL_SIZE_32);
	put(f, m->base + PE + 22, 2, 0x22);
	put(f, m->base + OPTIONAL, 2, is_64 ? 0x20B : 0x10B);
	put(f, m->base + OPTIONAL + 16, 4, KD_FAKE_CODE);
	put(f, m->base + OPTIONAL + 32, 4, 0x1000);
	put(f, m->base + OPTIONAL + 36, 4, 0x1000);
	put(f, m->base + OPTIONAL + 56, 4, m->size);
	put(f, m->base + OPTIONAL + 60, 4, 0x400);
	put(f, m->base + OPTIONAL + 64, 4, m->checksum);
}

static void put_loader_entry(struct kd_fake *f, struct kd_fake_module *m)
{
	const struct layout *l = layout_of(f);
	char full[128] = "\\SystemRoot\\System32\\";
	uint64_t names;

	m->entry = kd_fake_alloc(f, 4096);
	names = m->entry + 0x200;
	strncat(full, m->name, sizeof(full) - strlen(full) - 1);
	put(f, m->entry + l->dll_base, f->word, m->base);
	put(f, m->entry + l->entry_point, f->word, m->base + KD_FAKE_CODE);
	put(f, m->entry + l->image_size, 4, m->size);
	put_string(f, m->entry + l->full_name, names, full);
	put_string(f, m->entry + l->base_name, names + 0x200, m->name);
	put(f, m->entry + l->flags, 4, 0x4000);
	put(f, m->entry + l->load_count, 2, 1);
	put(f, m->entry + l->checksum, 4, m->checksum);
	put(f, m->entry + l->timestamp, 4, m->timestamp);
	list_append(f, f->module_list, m->entry);
	m->is_listed = true;
}

static struct kd_fake_module *new_module(struct kd_fake *f, const char *name, uint64_t base,
					 uint32_t size)
{
	struct kd_fake_module *m;

	if (f->n_modules == KD_FAKE_N_MODULES)
		return NULL;
	m = &f->modules[f->n_modules++];
	*m = (struct kd_fake_module){ .base = base, .size = size };
	strncpy(m->name, name, sizeof(m->name) - 1);
	m->timestamp = 0x5F000000u + (uint32_t)f->n_modules;
	m->checksum = 0x10000u + size;
	kd_fake_map(f, base, size, false);
	return m;
}

const struct kd_fake_module *kd_fake_add_module(struct kd_fake *f, const char *name, uint32_t size)
{
	struct kd_fake_module *m = new_module(f, name, f->va_next, size);

	if (!m)
		return NULL;
	f->va_next += ((uint64_t)size + 0x1FFF) & ~(uint64_t)0xFFF;
	put_pe_header(f, m);
	put_loader_entry(f, m);
	return m;
}

const struct kd_fake_module *kd_fake_add_image(struct kd_fake *f, const char *name, uint64_t base,
					       uint32_t size, const void *bytes, size_t n_bytes)
{
	struct kd_fake_module *m = new_module(f, name, base, size);

	if (!m)
		return NULL;
	kd_fake_write(f, base, bytes, n_bytes < size ? n_bytes : size);
	put_loader_entry(f, m);
	return m;
}

/* --- processors --- */

static void build_processor(struct kd_fake *f, uint16_t i, uint64_t version_block)
{
	const struct layout *l = layout_of(f);
	struct kd_fake_processor *p = &f->processors[i];

	p->kpcr = kd_fake_alloc(f, 0x4000);
	p->kprcb = p->kpcr + l->kpcr_contained;
	p->kthread = kd_fake_alloc(f, 0x1000);
	kd_fake_put_word(f, p->kpcr + l->kpcr_self, p->kpcr);
	kd_fake_put_word(f, p->kpcr + l->kpcr_prcb, p->kprcb);
	kd_fake_put_word(f, p->kpcr + l->kpcr_version, i == 0 ? version_block : 0);
	kd_fake_put_word(f, p->kprcb + l->prcb_thread, p->kthread);
	put(f, p->kprcb + l->prcb_number, l->number_size, i);
}

static void set_special(struct kd_fake *f, uint16_t i, const char *name, uint64_t value)
{
	const struct kd_reg_field *field = kd_reg_find(f->special_layout, name);

	if (field)
		kd_reg_set(f->processors[i].special, field, value);
}

/* As after power-on: all at the idle loop, each with a stack. */
void kd_fake_reset_processors(struct kd_fake *f)
{
	enum { STACK = 0x4000, FLAGS_ALL_64 = 0x10001F, FLAGS_ALL_32 = 0x1003F };
	const bool is_64 = f->word == 8;

	for (uint16_t i = 0; i < f->config.n_processors; i++) {
		struct kd_fake_processor *p = &f->processors[i];

		memset(p->context, 0, sizeof(p->context));
		memset(p->special, 0, sizeof(p->special));
		p->is_halted = i != 0;
		kd_fake_set_register(f, i, "contextflags", is_64 ? FLAGS_ALL_64 : FLAGS_ALL_32);
		kd_fake_set_register(f, i, "cs", is_64 ? 0x10 : 0x08);
		kd_fake_set_register(f, i, "ss", is_64 ? 0x18 : 0x10);
		kd_fake_set_register(f, i, "ds", is_64 ? 0x2B : 0x23);
		kd_fake_set_register(f, i, "es", is_64 ? 0x2B : 0x23);
		kd_fake_set_register(f, i, "fs", is_64 ? 0x53 : 0x30);
		kd_fake_set_register(f, i, "efl", 0x202);
		kd_fake_set_register(f, i, is_64 ? "rip" : "eip", f->idle);
		kd_fake_set_register(f, i, is_64 ? "rsp" : "esp", p->kthread + 0x1000 - 0x100);
		set_special(f, i, "cr0", 0x80050033);
		set_special(f, i, "cr3", f->cr3);
		set_special(f, i, "cr4", is_64 ? 0x6F8 : 0x6D0 & ~0x20);
		set_special(f, i, "kdr6", 0xFFFF0FF0);
		set_special(f, i, "kdr7", 0x400);
	}
}

/* --- the kernel --- */

static uint64_t put_version_block(struct kd_fake *f)
{
	const uint64_t at = kd_fake_alloc(f, 4096);
	uint8_t bytes[KD_W_SIZE_version] = { 0 };

	kd_w_version_encode(bytes, &f->version);
	kd_fake_write(f, at, bytes, sizeof(bytes));
	return at;
}

static void put_kdbg_block(struct kd_fake *f)
{
	static const char lab[] = "19041.1.amd64fre.openkd_fake.200101-0000";
	const uint64_t variables = kd_fake_alloc(f, 4096);

	/* On 32-bit targets the list links are native words too. */
	list_init(f, f->data_list);
	list_append(f, f->data_list, f->kdbg);
	put(f, f->kdbg + 0x10, 4, KD_KDBG_TAG);
	put(f, f->kdbg + 0x14, 4, KD_FAKE_KDBG_SIZE);
	put_kdbg(f, "KernBase", f->kernel_base);
	put_kdbg(f, "BreakpointWithStatus", f->break_instruction);
	put_kdbg(f, "PsLoadedModuleList", f->module_list);
	put_kdbg(f, "PsActiveProcessHead", f->process_list);
	put_kdbg(f, "MmPageSize", 0x1000);
	kd_fake_write(f, variables, lab, sizeof(lab));
	put_kdbg(f, "NtBuildLab", variables);
	put_kdbg(f, "KiBugcheckData", variables + 0x100);
	put_kdbg(f, "KiProcessorBlock", variables + 0x200);
	for (uint16_t i = 0; i < f->config.n_processors; i++)
		kd_fake_put_word(f, variables + 0x200 + i * f->word, f->processors[i].kprcb);
	put_kdbg(f, "OffsetPrcbCurrentThread", layout_of(f)->prcb_thread);
	put_kdbg(f, "OffsetPrcbNumber", layout_of(f)->prcb_number);
	put_kdbg(f, "OffsetPrcbProcStateContext", layout_of(f)->prcb_context);
	put_kdbg(f, "OffsetPrcbProcStateSpecialReg", layout_of(f)->prcb_special);
	put_kdbg(f, "OffsetPcrSelfPcr", layout_of(f)->kpcr_self);
	put_kdbg(f, "OffsetPcrCurrentPrcb", layout_of(f)->kpcr_prcb);
	put_kdbg(f, "OffsetPcrContainedPrcb", layout_of(f)->kpcr_contained);
}

/* The idle loop, and what a break-in calls: int3, give the register back, return. */
static void put_code(struct kd_fake *f)
{
	static const uint8_t idle[] = { 0xF4, 0xEB, 0xFD };
	static const uint8_t break_64[] = { 0xCC, 0x59, 0xC3 }; /* status is in rcx */
	static const uint8_t break_32[] = { 0xCC, 0x58, 0xC3 }; /* in eax */

	kd_fake_write(f, f->kernel_base + KD_FAKE_IDLE, idle, sizeof(idle));
	kd_fake_write(f, f->kernel_base + KD_FAKE_BREAK, f->word == 8 ? break_64 : break_32, 3);
}

void kd_fake_build_kernel(struct kd_fake *f)
{
	enum { NT_SIZE = 0x8000 };
	uint64_t version_block;
	uint64_t lists;

	f->kernel_base = f->word == 8 ? 0xFFFFF80000000000u : 0xFFFFFFFF80400000u;
	f->va_next = f->kernel_base + 0x100000;
	f->idle = f->kernel_base + KD_FAKE_IDLE;
	f->break_instruction = f->kernel_base + KD_FAKE_BREAK;
	lists = kd_fake_alloc(f, 4096);
	f->module_list = lists;
	f->process_list = lists + 0x40;
	f->data_list = lists + 0x80;
	f->kdbg = kd_fake_alloc(f, 4096);
	list_init(f, f->module_list);
	list_init(f, f->process_list);
	f->version.kern_base = f->kernel_base;
	f->version.loaded_module_list = f->module_list;
	f->version.debugger_data_list = f->data_list;
	version_block = put_version_block(f);
	for (uint16_t i = 0; i < f->config.n_processors; i++)
		build_processor(f, i, version_block);
	put_kdbg_block(f);
	put_pe_header(f, new_module(f, "nt", f->kernel_base, NT_SIZE));
	strcpy(f->modules[0].name, "ntoskrnl.exe");
	put_loader_entry(f, &f->modules[0]);
	put_code(f);
	kd_fake_reset_processors(f);
}
