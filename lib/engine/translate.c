/* SPDX-License-Identifier: MIT */
/* Page walks over physical reads: the facts of docs/protocol and the processor's manual. */
#include <stdlib.h>
#include <string.h>

#include "lib/engine/register.h"

struct level {
	const char *name;
	uint8_t shift, bits, entry_size;
	uint8_t large_bit; /* this level may map a large page */
};

struct walk {
	const struct level *levels;
	size_t n;
	uint64_t base_mask;
};

static const struct level levels_x64[] = {
	{ "PML5E", 48, 9, 8, 0 }, { "PXE", 39, 9, 8, 0 }, { "PPE", 30, 9, 8, 1 },
	{ "PDE", 21, 9, 8, 1 },   { "PTE", 12, 9, 8, 0 },
};
static const struct level levels_pae[] = {
	{ "PPE", 30, 2, 8, 0 },
	{ "PDE", 21, 9, 8, 1 },
	{ "PTE", 12, 9, 8, 0 },
};
static const struct level levels_x86[] = {
	{ "PDE", 22, 10, 4, 1 },
	{ "PTE", 12, 10, 4, 0 },
};

enum { CR4_PAE = 1 << 5, CR4_LA57 = 1 << 12, PTE_VALID = 1, PTE_LARGE = 1 << 7 };

static const uint64_t frame_mask = UINT64_C(0x000FFFFFFFFFF000);

static enum kd_status choose_walk(struct kd_session *s, struct walk *ret, struct kd_error *err)
{
	uint64_t cr4 = 0;
	enum kd_status status = kd__regs_get(s, s->owner, "cr4", &cr4, err);

	if (status != KD_OK)
		return status;
	switch (s->machine) {
	case KD_MACHINE_AMD64:
		ret->levels = levels_x64 + !(cr4 & CR4_LA57);
		ret->n = KD_ARRAY_LEN(levels_x64) - !(cr4 & CR4_LA57);
		ret->base_mask = frame_mask;
		return KD_OK;
	case KD_MACHINE_X86:
		ret->levels = cr4 & CR4_PAE ? levels_pae : levels_x86;
		ret->n = cr4 & CR4_PAE ? KD_ARRAY_LEN(levels_pae) : KD_ARRAY_LEN(levels_x86);
		ret->base_mask = cr4 & CR4_PAE ? UINT64_C(0xFFFFFFE0) : UINT64_C(0xFFFFF000);
		return KD_OK;
	default:
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "no page walk for machine type 0x%04x", s->machine);
	}
}

/* Base of the self map by KDBG.PteBase (10 1607 and later) or its fixed place before. */
static uint64_t self_map_entry(struct kd_session *s, const struct level *l, uint64_t address)
{
	uint64_t base = kd__kdbg(s, "PteBase"), index, at;
	int steps = (l->shift - 12) / 9;

	if (s->machine != KD_MACHINE_AMD64 || l->shift > 39)
		return 0;
	if (!base)
		base = UINT64_C(0xFFFFF68000000000);
	index = base >> 39 & 0x1FF;
	at = (address & UINT64_C(0xFFFFFFFFFFFF)) >> 12 << 3;
	for (int i = 0; i < steps; i++)
		at = ((at | index << 39) & UINT64_C(0xFFFFFFFFFFFF)) >> 12 << 3;
	return (base & ~UINT64_C(0x7FFFFFFFFF)) | (at & UINT64_C(0x7FFFFFFFFF));
}

static enum kd_status read_entry(struct kd_session *s, const struct level *l, uint64_t table,
				 uint64_t address, struct kd_page_level *ret, struct kd_error *err)
{
	uint64_t index = address >> l->shift & ((1u << l->bits) - 1);
	uint8_t bytes[8] = { 0 };
	enum kd_status status;

	ret->name = l->name;
	ret->entry_physical = table + index * l->entry_size;
	ret->entry_virtual = self_map_entry(s, l, address);
	status = kd_memory_read_physical(s, ret->entry_physical, bytes, l->entry_size, NULL, err);
	if (status == KD_OK)
		ret->entry = kd_get_sized(bytes, l->entry_size);
	return status;
}

KD_EXPORT enum kd_status kd_memory_translate(struct kd_session *s, uint64_t directory_base,
					     uint64_t address, struct kd_translation *ret,
					     struct kd_error *err)
{
	struct walk walk = { 0 };
	uint64_t table;
	enum kd_status status = kd__need_stop(s, err);

	memset(ret, 0, sizeof *ret);
	if (status == KD_OK)
		status = choose_walk(s, &walk, err);
	if (status == KD_OK && !directory_base)
		status = kd__regs_get(s, s->processor, "cr3", &directory_base, err);
	if (status != KD_OK)
		return status;
	if (walk.levels != levels_x64 && s->machine == KD_MACHINE_X86)
		address = (uint32_t)address;
	table = directory_base & walk.base_mask;
	for (size_t i = 0; i < walk.n; i++) {
		const struct level *l = &walk.levels[i];
		struct kd_page_level *entry = &ret->levels[i];
		bool large;

		status = read_entry(s, l, table, address, entry, err);
		if (status != KD_OK)
			return status;
		ret->n_levels = i + 1;
		if (!(entry->entry & PTE_VALID))
			return KD_OK;
		large = l->large_bit && entry->entry & PTE_LARGE;
		if (large || i + 1 == walk.n) {
			uint64_t offset = (UINT64_C(1) << l->shift) - 1;

			ret->is_valid = true;
			ret->page_size = offset + 1;
			ret->physical = (entry->entry & frame_mask & ~offset) | (address & offset);
			return KD_OK;
		}
		table = entry->entry & frame_mask;
	}
	return KD_OK;
}
