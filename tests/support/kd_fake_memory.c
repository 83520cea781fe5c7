/* SPDX-License-Identifier: MIT */
/* RAM and page tables of the fake target: four levels on AMD64, two on x86, 4 KB pages. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "tests/support/kd_fake_target.h"

enum { PAGE = 4096, PTE_VALID = 1, PTE_WRITE = 2, PTE_USER = 4 };

static uint64_t new_page(struct kd_fake *f)
{
	const uint64_t pa = f->ram_next;

	if (pa + PAGE > f->ram_size)
		abort();
	f->ram_next += PAGE;
	memset(f->ram + pa, 0, PAGE);
	return pa;
}

static unsigned n_levels(const struct kd_fake *f)
{
	return f->word == 8 ? 4 : 2;
}

/* Offset of the level's entry (level 1: PTE) in its table. */
static size_t entry_offset(const struct kd_fake *f, uint64_t va, unsigned level)
{
	const unsigned bits = f->word == 8 ? 9 : 10;

	return (size_t)((va >> (12 + bits * (level - 1))) & ((1u << bits) - 1)) * f->word;
}

/* The debugger may have written anything into the tables. */
static uint64_t get_entry(const struct kd_fake *f, uint64_t pa)
{
	if (pa > f->ram_size - f->word)
		return 0;
	return kd_get_sized(f->ram + pa, f->word);
}

static uint64_t frame_of(uint64_t entry)
{
	return entry & 0x000FFFFFFFFFF000u;
}

/* Physical address of the PTE of `va`, 0: no table. Makes tables if `grow`. */
static uint64_t find_pte(struct kd_fake *f, uint64_t va, bool grow)
{
	uint64_t table = f->cr3;

	for (unsigned level = n_levels(f); level > 1; level--) {
		const uint64_t at = table + entry_offset(f, va, level);
		uint64_t entry = get_entry(f, at);

		if (!(entry & PTE_VALID)) {
			if (!grow)
				return 0;
			entry = new_page(f) | PTE_VALID | PTE_WRITE | PTE_USER;
			kd_put_sized(f->ram + at, f->word, entry);
		}
		table = frame_of(entry);
		if (table > f->ram_size - PAGE)
			return 0;
	}
	return table + entry_offset(f, va, 1);
}

void kd_fake_map(struct kd_fake *f, uint64_t address, size_t size, bool is_user)
{
	if (!f->cr3)
		f->cr3 = new_page(f);
	for (uint64_t va = address & ~(uint64_t)(PAGE - 1); va < address + size; va += PAGE) {
		const uint64_t pte = find_pte(f, va, true);

		if (!pte)
			abort();
		if (!(get_entry(f, pte) & PTE_VALID))
			kd_put_sized(
				f->ram + pte, f->word,
				new_page(f) | PTE_VALID | PTE_WRITE | (is_user ? PTE_USER : 0));
	}
}

void kd_fake_unmap(struct kd_fake *f, uint64_t address, size_t size)
{
	for (uint64_t va = address; va < address + size; va += PAGE) {
		const uint64_t pte = find_pte(f, va, false);

		if (pte)
			kd_put_sized(f->ram + pte, f->word, 0);
	}
}

static bool is_canonical(const struct kd_fake *f, uint64_t address)
{
	const int64_t top = f->word == 8 ? (int64_t)address >> 47 : (int64_t)address >> 31;

	return top == 0 || top == -1 || (f->word == 4 && address <= UINT32_MAX);
}

bool kd_fake_translate(const struct kd_fake *f, uint64_t address, uint64_t *physical_ret)
{
	/* Looking changes nothing when it may not grow. */
	const uint64_t pte = find_pte((struct kd_fake *)(uintptr_t)f, address, false);

	if (!is_canonical(f, address) || !pte || !(get_entry(f, pte) & PTE_VALID))
		return false;
	*physical_ret = frame_of(get_entry(f, pte)) | (address & (PAGE - 1));
	return *physical_ret < f->ram_size;
}

static size_t copy(const struct kd_fake *f, uint64_t address, uint8_t *out, const uint8_t *in,
		   size_t size)
{
	size_t done = 0;

	while (done < size) {
		const uint64_t at = address + done;
		size_t n = PAGE - (size_t)(at & (PAGE - 1));
		uint64_t pa;

		if (!kd_fake_translate(f, at, &pa))
			break;
		if (n > size - done)
			n = size - done;
		if (out)
			memcpy(out + done, f->ram + pa, n);
		else
			memcpy(f->ram + pa, in + done, n);
		done += n;
	}
	return done;
}

size_t kd_fake_read(const struct kd_fake *f, uint64_t address, void *out, size_t size)
{
	return copy(f, address, out, NULL, size);
}

size_t kd_fake_write(struct kd_fake *f, uint64_t address, const void *bytes, size_t size)
{
	return copy(f, address, NULL, bytes, size);
}

uint64_t kd_fake_get_word(const struct kd_fake *f, uint64_t address)
{
	uint8_t bytes[8] = { 0 };

	kd_fake_read(f, address, bytes, f->word);
	return kd_get_sized(bytes, f->word);
}

void kd_fake_put_word(struct kd_fake *f, uint64_t address, uint64_t value)
{
	uint8_t bytes[8];

	kd_put_sized(bytes, f->word, value);
	kd_fake_write(f, address, bytes, f->word);
}

uint64_t kd_fake_alloc(struct kd_fake *f, size_t size)
{
	const uint64_t va = f->va_next;

	/* An unmapped page between any two: overruns are seen. */
	f->va_next += (size + PAGE - 1) / PAGE * PAGE + PAGE;
	kd_fake_map(f, va, size, false);
	return va;
}
