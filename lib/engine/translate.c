/* SPDX-License-Identifier: MIT */
/* Page walks over physical reads: the facts of docs/protocol and the processor's manual. */
#include "lib/engine/translate.h"

#include <stdlib.h>
#include <string.h>

#include "lib/engine/register.h"

struct kd__page_level_shape {
	const char *name;
	uint8_t shift, bits, entry_size;
	uint8_t large_bit; /* this level may map a large page */
};

static const struct kd__page_level_shape levels_x64[] = {
	{ "PML5E", 48, 9, 8, 0 }, { "PXE", 39, 9, 8, 0 }, { "PPE", 30, 9, 8, 1 },
	{ "PDE", 21, 9, 8, 1 },   { "PTE", 12, 9, 8, 0 },
};
static const struct kd__page_level_shape levels_pae[] = {
	{ "PPE", 30, 2, 8, 0 },
	{ "PDE", 21, 9, 8, 1 },
	{ "PTE", 12, 9, 8, 0 },
};
static const struct kd__page_level_shape levels_x86[] = {
	{ "PDE", 22, 10, 4, 1 },
	{ "PTE", 12, 10, 4, 0 },
};

enum { CR4_PAE = 1 << 5, CR4_LA57 = 1 << 12, PTE_VALID = 1, PTE_LARGE = 1 << 7 };

static const uint64_t frame_mask = UINT64_C(0x000FFFFFFFFFF000);

enum kd_status kd__walk_choose(struct kd_session *s, struct kd__walk *ret, struct kd_error *err)
{
	uint64_t cr4 = 0;
	enum kd_status status = kd__regs_get(s, s->owner, "cr4", &cr4, err);

	if (status != KD_OK)
		return status;
	ret->is_32bit = s->machine == KD_MACHINE_X86;
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

/* Tables at 0xC0000000, page directories at 0xC0300000, or with PAE at 0xC0600000. */
static uint64_t self_map_entry_x86(const struct kd__page_level_shape *l, uint32_t address)
{
	const uint32_t base = 0xC0000000;
	uint32_t at = base + (address >> 12) * l->entry_size;

	if (l->shift == 30)
		return 0;
	if (l->shift != 12) /* the table's own place among the pages */
		at = base + (at >> 12) * l->entry_size;
	return (uint64_t)(int64_t)(int32_t)at;
}

/* Base of the self map by KDBG.PteBase (10 1607 and later) or its fixed place before. */
static uint64_t self_map_entry(struct kd_session *s, const struct kd__page_level_shape *l,
			       uint64_t address)
{
	uint64_t base = kd__kdbg(s, "PteBase"), index, at;
	int steps = (l->shift - 12) / 9;

	if (s->machine == KD_MACHINE_X86)
		return self_map_entry_x86(l, (uint32_t)address);
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

static enum kd_status read_entry(const struct kd__page_level_shape *l, uint64_t table,
				 uint64_t address, kd__physical_fn read, void *context,
				 struct kd_page_level *ret, struct kd_error *err)
{
	uint64_t index = address >> l->shift & ((1u << l->bits) - 1);
	uint8_t bytes[8] = { 0 };
	enum kd_status status;

	ret->name = l->name;
	ret->entry_physical = table + index * l->entry_size;
	status = read(context, ret->entry_physical, bytes, l->entry_size, err);
	if (status == KD_OK)
		ret->entry = kd_get_sized(bytes, l->entry_size);
	return status;
}

/* Bits beyond what the tables know repeat the last one that they know; else nothing is there. */
static bool is_canonical(const struct kd__walk *walk, uint64_t address)
{
	unsigned bits = walk->levels[0].shift + walk->levels[0].bits;
	uint64_t above = address >> (bits - 1);

	return above == 0 || above == UINT64_MAX >> (bits - 1);
}

enum kd_status kd__walk_tables(const struct kd__walk *walk, uint64_t directory_base,
			       uint64_t address, kd__physical_fn read, void *context,
			       struct kd_translation *ret, struct kd_error *err)
{
	uint64_t table = directory_base & walk->base_mask;

	memset(ret, 0, sizeof *ret);
	ret->entry_size = walk->levels[0].entry_size;
	if (walk->is_32bit)
		address = (uint32_t)address;
	else if (!is_canonical(walk, address))
		return KD_OK;
	for (size_t i = 0; i < walk->n; i++) {
		const struct kd__page_level_shape *l = &walk->levels[i];
		struct kd_page_level *entry = &ret->levels[i];
		enum kd_status status = read_entry(l, table, address, read, context, entry, err);
		bool large;

		if (status != KD_OK)
			return status;
		ret->n_levels = i + 1;
		if (!(entry->entry & PTE_VALID))
			return KD_OK;
		large = l->large_bit && entry->entry & PTE_LARGE;
		if (large || i + 1 == walk->n) {
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

/* --- the target's own, as users ask for it --- */

static enum kd_status read_by_kd(void *context, uint64_t address, void *bytes, size_t size,
				 struct kd_error *err)
{
	return kd_memory_read_physical(context, address, bytes, size, NULL, err);
}

KD_EXPORT enum kd_status kd_memory_translate(struct kd_session *s, uint64_t directory_base,
					     uint64_t address, struct kd_translation *ret,
					     struct kd_error *err)
{
	struct kd__walk walk = { 0 };
	enum kd_status status = kd__need_stop(s, err);

	memset(ret, 0, sizeof *ret);
	if (status == KD_OK)
		status = kd__walk_choose(s, &walk, err);
	if (status == KD_OK && !directory_base)
		status = kd__regs_get(s, s->processor, "cr3", &directory_base, err);
	if (status == KD_OK)
		status = kd__walk_tables(&walk, directory_base, address, read_by_kd, s, ret, err);
	for (size_t i = 0; i < ret->n_levels; i++)
		ret->levels[i].entry_virtual = self_map_entry(s, &walk.levels[i], address);
	return status;
}
