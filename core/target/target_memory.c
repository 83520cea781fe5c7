/* SPDX-License-Identifier: MIT */
/* Virtual and physical memory as the debugger sees it, and the requests that copy it. */
#include "core/target/target_internal.h"

/* The breakpoint of the table that stands in this space at [*start_ret, + size). */
static bool stands_in(const struct kd_target *t, const struct kd_target_breakpoint *bp,
		      const struct kd_target_memory *where, size_t size, uint64_t *start_ret)
{
	const uint64_t start = where->space == KD_TARGET_PHYSICAL ? bp->physical : bp->address;
	uint64_t physical;

	if (bp->state != KD_TARGET_BP_INSERTED && bp->state != KD_TARGET_BP_LEAVING)
		return false;
	if (where->space == KD_TARGET_PHYSICAL && !bp->has_physical)
		return false;
	/* Distances instead of ends: neither range may wrap. */
	if (start - where->address >= size && where->address - start >= bp->size)
		return false;
	*start_ret = start;
	if (where->space == KD_TARGET_PHYSICAL || !bp->has_physical)
		return true;
	/* The same address of another process is other memory. */
	return t->ops->translate(t->user, bp->address, &physical) && physical == bp->physical;
}

/* Which part of the range [address, address + size) the breakpoint covers, as offsets. */
struct overlap {
	size_t begin, end; /* in the range */
	size_t skipped;    /* bytes of the instruction before the range */
};

static struct overlap overlap_of(uint64_t start, size_t bp_size, uint64_t address, size_t size)
{
	struct overlap o = { 0 };

	if (start - address < size)
		o.begin = (size_t)(start - address);
	else
		o.skipped = (size_t)(address - start);
	o.end = o.begin + bp_size - o.skipped;
	if (o.end > size)
		o.end = size;
	return o;
}

size_t kd__target_read(struct kd_target *t, const struct kd_target_memory *from, uint8_t *out,
		       size_t size)
{
	size_t done = t->ops->read_memory(t->user, from, out, size);

	if (done > size)
		done = size;
	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++) {
		const struct kd_target_breakpoint *bp = &t->breakpoints[i];
		struct overlap o;
		uint64_t start;

		if (!stands_in(t, bp, from, done, &start))
			continue;
		o = overlap_of(start, bp->size, from->address, done);
		/* Somebody else may have written there since. */
		if (__builtin_memcmp(out + o.begin, bp->instruction + o.skipped, o.end - o.begin) ==
		    0)
			kd_copy(out + o.begin, bp->original + o.skipped, o.end - o.begin);
	}
	return done;
}

/* The first breakpoint in the range, NULL: none. */
static struct kd_target_breakpoint *first_in(struct kd_target *t,
					     const struct kd_target_memory *where, size_t size,
					     struct overlap *o_ret)
{
	struct kd_target_breakpoint *first = NULL;

	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++) {
		struct kd_target_breakpoint *bp = &t->breakpoints[i];
		struct overlap o;
		uint64_t start;

		if (!stands_in(t, bp, where, size, &start))
			continue;
		o = overlap_of(start, bp->size, where->address, size);
		if (first && o.begin >= o_ret->begin)
			continue;
		first = bp;
		*o_ret = o;
	}
	return first;
}

/* What is written over a breakpoint goes under it: it will be there when the breakpoint leaves. */
size_t kd__target_write(struct kd_target *t, const struct kd_target_memory *to,
			const uint8_t *bytes, size_t size)
{
	struct kd_target_memory at = *to;
	size_t done = 0;

	while (done < size) {
		struct overlap o = { .begin = size - done };
		struct kd_target_breakpoint *bp = first_in(t, &at, size - done, &o);
		size_t n = o.begin ? t->ops->write_memory(t->user, &at, bytes + done, o.begin) : 0;

		if (n < o.begin)
			return done + n;
		if (!bp)
			return size;
		kd_copy(bp->original + o.skipped, bytes + done + o.begin, o.end - o.begin);
		done += o.end;
		at.address = to->address + done;
	}
	return done;
}

static uint32_t read_space(struct kd_target *t, struct kd__target_call *c,
			   enum kd_target_space space)
{
	struct kd_w_read_memory *r = &c->m.u.read_memory;
	const struct kd_target_memory from = { space, r->address, r->actual };
	size_t size = r->count < c->room ? r->count : c->room;

	c->out_size = kd__target_read(t, &from, c->out, size);
	r->actual = (uint32_t)c->out_size;
	return c->out_size == size ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

static uint32_t write_space(struct kd_target *t, struct kd__target_call *c,
			    enum kd_target_space space)
{
	struct kd_w_write_memory *w = &c->m.u.write_memory;
	const struct kd_target_memory to = { space, w->address, w->actual };

	w->actual = 0;
	if (c->in_is_short)
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	w->actual = (uint32_t)kd__target_write(t, &to, c->in, c->in_size);
	return w->actual == c->in_size ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

uint32_t kd__target_read_virtual(struct kd_target *t, struct kd__target_call *c)
{
	return read_space(t, c, KD_TARGET_VIRTUAL);
}

uint32_t kd__target_write_virtual(struct kd_target *t, struct kd__target_call *c)
{
	return write_space(t, c, KD_TARGET_VIRTUAL);
}

uint32_t kd__target_read_physical(struct kd_target *t, struct kd__target_call *c)
{
	return read_space(t, c, KD_TARGET_PHYSICAL);
}

uint32_t kd__target_write_physical(struct kd_target *t, struct kd__target_call *c)
{
	return write_space(t, c, KD_TARGET_PHYSICAL);
}
