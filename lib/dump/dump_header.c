/* SPDX-License-Identifier: MIT */
#include "lib/dump/dump_header.h"

#include <string.h>

#include "core/bytes.h"

/* --- the two layouts --- */

struct field {
	uint16_t member;               /* offset in kd_dump_header, a uint64_t */
	uint16_t offset_64, offset_32; /* in the file */
	uint8_t size_64, size_32;      /* 0: not there */
};

#define FIELD(name, offset_64, size_64, offset_32, size_32)                                   \
	{                                                                                     \
		offsetof(struct kd_dump_header, name), offset_64, offset_32, size_64, size_32 \
	}

static const struct field fields[] = {
	/* clang-format off */
	FIELD(major_version,          0x008, 4, 0x008, 4),
	FIELD(minor_version,          0x00C, 4, 0x00C, 4),
	FIELD(directory_base,         0x010, 8, 0x010, 4),
	FIELD(pfn_database,           0x018, 8, 0x014, 4),
	FIELD(loaded_modules,         0x020, 8, 0x018, 4),
	FIELD(processes,              0x028, 8, 0x01C, 4),
	FIELD(machine,                0x030, 4, 0x020, 4),
	FIELD(n_processors,           0x034, 4, 0x024, 4),
	FIELD(bugcheck_code,          0x038, 4, 0x028, 4),
	FIELD(bugcheck_parameters[0], 0x040, 8, 0x02C, 4),
	FIELD(bugcheck_parameters[1], 0x048, 8, 0x030, 4),
	FIELD(bugcheck_parameters[2], 0x050, 8, 0x034, 4),
	FIELD(bugcheck_parameters[3], 0x058, 8, 0x038, 4),
	FIELD(pae_enabled,            0x000, 0, 0x05C, 1),
	FIELD(debugger_data,          0x080, 8, 0x060, 4),
	FIELD(exception_code,         0xF00, 4, 0x7D0, 4),
	FIELD(exception_flags,        0xF04, 4, 0x7D4, 4),
	FIELD(exception_record,       0xF08, 8, 0x7D8, 4),
	FIELD(exception_address,      0xF10, 8, 0x7DC, 4),
	FIELD(n_exception_parameters, 0xF18, 4, 0x7E0, 4),
	FIELD(type,                   0xF98, 4, 0xF88, 4),
	FIELD(required_space,         0xFA0, 8, 0xFA0, 8),
	FIELD(system_time,            0xFA8, 8, 0xFC0, 8),
	FIELD(up_time,               0x1030, 8, 0xFB8, 8),
	FIELD(product_type,          0x1040, 4, 0xF94, 4),
	FIELD(suite_mask,            0x1044, 4, 0xF98, 4),
	/* clang-format on */
};

/* What is no single number. */
struct form {
	char magic[9];
	uint16_t size;
	uint16_t runs, parameters, context, comment; /* where */
	uint16_t runs_max, context_max;
	uint8_t word; /* of a pointer */
};

static const struct form form_64 = {
	"PAGEDU64",      KD_DUMP_HEADER_64,  0x088, 0xF20, 0x348, 0xFB0,
	KD_DUMP_RUNS_64, KD_DUMP_CONTEXT_64, 8
};
static const struct form form_32 = {
	"PAGEDUMP",      KD_DUMP_HEADER_32,  0x064, 0x7E4, 0x320, 0x820,
	KD_DUMP_RUNS_32, KD_DUMP_CONTEXT_32, 4
};

enum { MAGIC_SIZE = 8, PAGE_SHIFT = 12, ADDRESS_BITS = 52 };

static const struct form *form_of(bool is_64bit)
{
	return is_64bit ? &form_64 : &form_32;
}

size_t kd_dump_header_size(bool is_64bit)
{
	return form_of(is_64bit)->size;
}

static uint64_t *member(struct kd_dump_header *h, const struct field *f)
{
	return (uint64_t *)(void *)((char *)h + f->member);
}

uint64_t kd_dump_pages(const struct kd_dump_header *h)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < h->n_runs; i++)
		n += h->runs[i].n_pages;
	return n;
}

bool kd_dump_file_offset(const struct kd_dump_header *h, uint64_t physical, uint64_t *offset_ret)
{
	uint64_t page = physical >> PAGE_SHIFT, before = 0;

	for (uint32_t i = 0; i < h->n_runs; i++) {
		uint64_t in = page - h->runs[i].base_page;

		if (page >= h->runs[i].base_page && in < h->runs[i].n_pages) {
			*offset_ret = kd_dump_header_size(h->is_64bit) +
				      (before + in) * KD_DUMP_PAGE + physical % KD_DUMP_PAGE;
			return true;
		}
		before += h->runs[i].n_pages;
	}
	return false;
}

/* --- encoding --- */

static void put(uint8_t *p, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

/* Count, pages, then pairs: each a pointer wide, the count padded to one. */
static void put_runs(const struct form *f, const struct kd_dump_header *h, uint8_t *bytes)
{
	uint8_t *p = bytes + f->runs;

	put(p, h->n_runs, f->word);
	put(p + f->word, kd_dump_pages(h), f->word);
	for (uint32_t i = 0; i < h->n_runs; i++) {
		p += 2 * f->word;
		put(p, h->runs[i].base_page, f->word);
		put(p + f->word, h->runs[i].n_pages, f->word);
	}
}

enum kd_status kd_dump_header_encode(const struct kd_dump_header *h, uint8_t *bytes,
				     struct kd_error *err)
{
	const struct form *f = form_of(h->is_64bit);

	if (h->n_runs > f->runs_max)
		return kd_error_set(err, KD_E_TOO_BIG, 0,
				    "a crash dump tells of %u runs of memory, not of %u",
				    f->runs_max, h->n_runs);
	if (h->context_size > f->context_max || h->n_exception_parameters > KD_DUMP_PARAMETERS)
		return kd_error_set(err, KD_E_TOO_BIG, 0,
				    "a crash dump has no room for a context of %zu bytes and %llu "
				    "exception parameters",
				    h->context_size, (unsigned long long)h->n_exception_parameters);
	for (size_t i = 0; i < f->size; i++)
		bytes[i] = (uint8_t) "PAGE"[i % 4];
	memcpy(bytes, f->magic, MAGIC_SIZE);
	for (size_t i = 0; i < KD_ARRAY_LEN(fields); i++)
		put(bytes + (h->is_64bit ? fields[i].offset_64 : fields[i].offset_32),
		    *member((struct kd_dump_header *)(uintptr_t)h, &fields[i]),
		    h->is_64bit ? fields[i].size_64 : fields[i].size_32);
	for (size_t i = 0; i < KD_DUMP_PARAMETERS; i++)
		put(bytes + f->parameters + i * f->word, h->exception_parameters[i], f->word);
	put_runs(f, h, bytes);
	memset(bytes + f->context, 0, f->context_max);
	memcpy(bytes + f->context, h->context, h->context_size);
	memset(bytes + f->comment, 0, KD_DUMP_COMMENT);
	memcpy(bytes + f->comment, h->comment, strnlen(h->comment, KD_DUMP_COMMENT - 1));
	return KD_OK;
}

/* --- decoding --- */

static uint64_t get(const uint8_t *p, size_t size)
{
	return size ? kd_get_sized(p, size) : 0;
}

static enum kd_status get_runs(const struct form *f, const uint8_t *bytes,
			       struct kd_dump_header *ret, struct kd_error *err)
{
	const uint8_t *p = bytes + f->runs;
	uint64_t next = 0;

	/* The padding behind a 64-bit file's count is of no meaning. */
	ret->n_runs = kd_get32(p);
	if (ret->n_runs > f->runs_max)
		return kd_error_set(err, KD_E_MALFORMED, f->runs,
				    "a crash dump's header holds %u runs of memory, not %u",
				    f->runs_max, ret->n_runs);
	for (uint32_t i = 0; i < ret->n_runs; i++) {
		struct kd_dump_run *run = &ret->runs[i];
		const uint64_t end = UINT64_C(1) << (ADDRESS_BITS - PAGE_SHIFT);

		p += 2 * f->word;
		run->base_page = get(p, f->word);
		run->n_pages = get(p + f->word, f->word);
		if (run->n_pages == 0 || run->base_page < next || run->base_page > end ||
		    run->n_pages > end - run->base_page)
			return kd_error_set(
				err, KD_E_MALFORMED, (uint64_t)(p - bytes),
				"run %u of memory is empty, or lies in the run before, or "
				"nowhere",
				i);
		next = run->base_page + run->n_pages;
	}
	return KD_OK;
}

enum kd_status kd_dump_header_decode(const uint8_t *bytes, size_t size, struct kd_dump_header *ret,
				     struct kd_error *err)
{
	bool is_64bit = size >= MAGIC_SIZE && memcmp(bytes, form_64.magic, MAGIC_SIZE) == 0;
	const struct form *f = form_of(is_64bit);

	if (size < MAGIC_SIZE || memcmp(bytes, f->magic, MAGIC_SIZE) != 0)
		return kd_error_set(err, KD_E_MALFORMED, 0,
				    "no crash dump: it begins with neither %s nor %s",
				    form_64.magic, form_32.magic);
	if (size < f->size)
		return kd_error_set(err, KD_E_MALFORMED, size,
				    "a crash dump's header has %u bytes; here are %zu", f->size,
				    size);
	memset(ret, 0, sizeof *ret);
	ret->is_64bit = is_64bit;
	for (size_t i = 0; i < KD_ARRAY_LEN(fields); i++)
		*member(ret, &fields[i]) = get(
			bytes + (is_64bit ? fields[i].offset_64 : fields[i].offset_32),
			is_64bit ? fields[i].size_64 : fields[i].size_32);
	for (size_t i = 0; i < KD_DUMP_PARAMETERS; i++)
		ret->exception_parameters[i] = get(bytes + f->parameters + i * f->word, f->word);
	ret->context_size = f->context_max;
	memcpy(ret->context, bytes + f->context, f->context_max);
	memcpy(ret->comment, bytes + f->comment, KD_DUMP_COMMENT - 1);
	return get_runs(f, bytes, ret, err);
}
