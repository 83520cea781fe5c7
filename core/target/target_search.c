/* SPDX-License-Identifier: MIT */
/* Requests about memory that is not copied to the debugger: search, fill, query. */
#include "core/target/target_internal.h"

enum { PAGE = 4096, SCRATCH = sizeof(((struct kd_target *)0)->scratch) };

_Static_assert(SCRATCH >= 2 * KD_TARGET_PATTERN_MAX, "a window and what a match may reach into");

/* First match that lies wholly within bytes[0, size); size: none. */
static size_t find(const uint8_t *bytes, size_t size, const uint8_t *pattern, size_t pattern_size)
{
	for (size_t i = 0; i + pattern_size <= size; i++)
		if (bytes[i] == pattern[0] &&
		    __builtin_memcmp(bytes + i, pattern, pattern_size) == 0)
			return i;
	return size;
}

/* Bytes up to the next page, where reading may go on after a hole. */
static uint64_t to_next_page(uint64_t address)
{
	return PAGE - (address & (PAGE - 1));
}

/* Where the pattern begins, if it does so in [from, from + length). A match may reach beyond. */
static bool search(struct kd_target *t, uint64_t from, uint64_t length, const uint8_t *pattern,
		   size_t pattern_size, uint64_t *found_ret)
{
	uint64_t done = 0;

	while (done < length) {
		const struct kd_target_memory at = { .address = from + done };
		uint64_t want = length - done + pattern_size - 1;
		uint64_t step;
		size_t size = want < SCRATCH ? (size_t)want : SCRATCH;
		size_t got, i;

		got = kd__target_read(t, &at, t->scratch, size);
		i = find(t->scratch, got, pattern, pattern_size);
		if (i < got) {
			*found_ret = at.address + i;
			return true;
		}
		if (got == size)
			step = size - pattern_size + 1;
		else
			step = got + to_next_page(at.address + got);
		done += step;
	}
	return false;
}

uint32_t kd__target_search_memory(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_search_memory *s = &c->m.u.search_memory;
	uint64_t length = s->length;

	if (c->in_is_short || !c->in_size || c->in_size > KD_TARGET_PATTERN_MAX ||
	    length > t->config.search_max || s->address + length < s->address)
		return (uint32_t)KD_NT_INVALID_PARAMETER;
	/* The whole match has to be inside. */
	if (length < c->in_size ||
	    !search(t, s->address, length - c->in_size + 1, c->in, c->in_size, &s->address))
		return (uint32_t)KD_NT_NO_MORE_ENTRIES;
	return KD_NT_SUCCESS;
}

/* As many whole patterns as fit, so that the next piece begins with the pattern's first byte. */
static size_t repeat(uint8_t *out, size_t cap, const uint8_t *pattern, size_t pattern_size)
{
	size_t size = 0;

	while (size + pattern_size <= cap) {
		kd_copy(out + size, pattern, pattern_size);
		size += pattern_size;
	}
	return size;
}

/* Returns bytes filled. */
static uint32_t fill(struct kd_target *t, struct kd_target_memory at, uint32_t length,
		     const uint8_t *pattern, size_t pattern_size)
{
	const uint8_t *piece = pattern;
	size_t piece_size = pattern_size;
	uint32_t done = 0;

	if (pattern_size <= SCRATCH) {
		piece_size = repeat(t->scratch, SCRATCH, pattern, pattern_size);
		piece = t->scratch;
	}
	while (done < length) {
		const uint32_t left = length - done;
		size_t size = left < piece_size ? left : piece_size;
		size_t n = kd__target_write(t, &at, piece, size);

		done += (uint32_t)n;
		at.address += n;
		if (n < size)
			break;
	}
	return done;
}

uint32_t kd__target_fill_memory(struct kd_target *t, struct kd__target_call *c)
{
	enum { FILL_VIRTUAL = 1, FILL_PHYSICAL = 2 };
	struct kd_w_fill_memory *f = &c->m.u.fill_memory;
	const uint32_t length = f->length;
	struct kd_target_memory at = { .address = f->address };

	f->length = 0;
	if (c->in_is_short || !c->in_size ||
	    (f->flags != FILL_VIRTUAL && f->flags != FILL_PHYSICAL))
		return (uint32_t)KD_NT_INVALID_PARAMETER;
	at.space = f->flags == FILL_PHYSICAL ? KD_TARGET_PHYSICAL : KD_TARGET_VIRTUAL;
	f->length = fill(t, at, length, c->in, c->in_size);
	return f->length == length ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

/* Without an operation of its own: what can be read, in which half of the address space. */
static bool query(struct kd_target *t, uint64_t address, uint32_t *space_ret, uint32_t *flags_ret)
{
	const struct kd_target_memory at = { .address = address };
	uint8_t byte;

	if (t->ops->query_memory)
		return t->ops->query_memory(t->user, address, space_ret, flags_ret);
	if (t->ops->read_memory(t->user, &at, &byte, 1) != 1)
		return false;
	*space_ret = kd__target_extend(t, address) >> 63 ? KD_TARGET_MEMORY_KERNEL
							 : KD_TARGET_MEMORY_PROCESS;
	*flags_ret = KD_TARGET_MEMORY_READ;
	return true;
}

uint32_t kd__target_query_memory(struct kd_target *t, struct kd__target_call *c)
{
	enum { QUERY_VIRTUAL = 0 };
	struct kd_w_query_memory *q = &c->m.u.query_memory;

	if (q->address_space != QUERY_VIRTUAL)
		return (uint32_t)KD_NT_INVALID_PARAMETER;
	if (!query(t, q->address, &q->address_space, &q->flags))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	return KD_NT_SUCCESS;
}

uint32_t kd__target_check_low_memory(struct kd_target *t, struct kd__target_call *c)
{
	(void)c;
	return t->ops->check_low_memory ? t->ops->check_low_memory(t->user) : KD_NT_SUCCESS;
}
