/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/unwind_x64.h"

enum {
	ENTRY_SIZE = 12,
	TABLE_MAX = 16 << 20, /* 1.4 million functions */
	MACHINE_AMD64 = 0x8664,
};

static int by_begin(const void *a, const void *b)
{
	const struct kd_x64_function *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Sorted by the linker; what a hostile target did not sort is sorted here. Padding is dropped. */
static void take(struct kd_x64_functions *f, const uint8_t *bytes, size_t n)
{
	bool is_sorted = true;

	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = bytes + ENTRY_SIZE * i;
		struct kd_x64_function e = { kd_get32(p), kd_get32(p + 4), kd_get32(p + 8) };

		if (e.begin == 0 || e.end <= e.begin)
			continue;
		is_sorted = is_sorted && (f->n == 0 || f->list[f->n - 1].begin <= e.begin);
		f->list[f->n++] = e;
	}
	if (!is_sorted)
		qsort(f->list, f->n, sizeof *f->list, by_begin);
}

enum kd_status kd_x64_functions_load(const struct kd_pe *pe, struct kd_x64_functions *ret,
				     struct kd_error *err)
{
	uint32_t rva = pe->dirs[KD_PE_DIR_EXCEPTION].rva;
	size_t size = KD_MIN((size_t)pe->dirs[KD_PE_DIR_EXCEPTION].size, (size_t)TABLE_MAX);
	KD_CLEANUP(kd_freep) uint8_t *bytes = NULL;
	size_t done = 0;
	enum kd_status status;

	memset(ret, 0, sizeof *ret);
	if (pe->machine != MACHINE_AMD64 || !rva || size < ENTRY_SIZE)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the image has no function table");
	bytes = malloc(size);
	if (!bytes)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	status = kd_pe_read(pe, rva, bytes, size, &done);
	if (status != KD_OK)
		return kd_error_set(err, status, rva, "the function table cannot be read");
	if (done < ENTRY_SIZE)
		return kd_error_set(err, KD_E_UNREADABLE, rva, "the function table is paged out");
	ret->list = malloc(done / ENTRY_SIZE * sizeof *ret->list);
	if (!ret->list)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	take(ret, bytes, done / ENTRY_SIZE);
	return KD_OK;
}

void kd_x64_functions_free(struct kd_x64_functions *f)
{
	free(f->list);
	memset(f, 0, sizeof *f);
}

const struct kd_x64_function *kd_x64_function_at(const struct kd_x64_functions *f, uint32_t rva)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->list[mid].begin <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 && rva < f->list[low - 1].end ? &f->list[low - 1] : NULL;
}
