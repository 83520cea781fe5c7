/* SPDX-License-Identifier: MIT */
/*
 * The table of breakpoints.
 *
 *   FREE --add, page there--> INSERTED --delete, page there--> FREE
 *     |                           |  ^
 *     |                           |  +--add again--+
 *     |                           v                |
 *     |            delete, page away ----------> LEAVING --settle--> FREE
 *     +--add, page away--> OWED --settle--> INSERTED
 *                           +---- delete ----------> FREE
 *
 * A breakpoint is remembered by its physical address where the target can translate: then it is
 * taken out of the right page whatever address space is current when that happens.
 */
#include "core/target/target_internal.h"

static struct kd_target_memory place_of(const struct kd_target_breakpoint *bp)
{
	struct kd_target_memory at = { KD_TARGET_VIRTUAL, bp->address, KD_TARGET_CACHE_DEFAULT };

	if (bp->has_physical) {
		at.space = KD_TARGET_PHYSICAL;
		at.address = bp->physical;
	}
	return at;
}

static bool put_bytes(struct kd_target *t, const struct kd_target_breakpoint *bp,
		      const uint8_t *bytes)
{
	const struct kd_target_memory at = place_of(bp);

	return t->ops->write_memory(t->user, &at, bytes, bp->size) == bp->size;
}

/* False: the page is not there (yet), nothing was changed. */
static bool insert(struct kd_target *t, struct kd_target_breakpoint *bp)
{
	const struct kd_target_memory at = { .address = bp->address };

	if (t->ops->read_memory(t->user, &at, bp->original, bp->size) != bp->size)
		return false;
	bp->has_physical = t->ops->translate &&
			   t->ops->translate(t->user, bp->address, &bp->physical);
	if (t->ops->insert_breakpoint)
		return t->ops->insert_breakpoint(t->user, bp->address, bp->instruction, bp->size);
	return t->ops->write_memory(t->user, &at, bp->instruction, bp->size) == bp->size;
}

/*
 * False: the page is away. Bytes that are not the instruction any more are somebody else's: the
 * page was reused, or written by the machine itself.
 */
static bool take_out(struct kd_target *t, const struct kd_target_breakpoint *bp)
{
	const struct kd_target_memory at = place_of(bp);
	uint8_t now[KD_TARGET_INSTRUCTION_MAX];

	if (t->ops->read_memory(t->user, &at, now, bp->size) != bp->size)
		return false;
	if (__builtin_memcmp(now, bp->instruction, bp->size) != 0)
		return true;
	if (t->ops->remove_breakpoint)
		return t->ops->remove_breakpoint(t->user, bp->address, bp->original, bp->size);
	return put_bytes(t, bp, bp->original);
}

static void remove_one(struct kd_target *t, struct kd_target_breakpoint *bp)
{
	if (bp->state != KD_TARGET_BP_INSERTED || take_out(t, bp))
		bp->state = KD_TARGET_BP_FREE;
	else
		bp->state = KD_TARGET_BP_LEAVING;
}

static bool is_in_use(const struct kd_target_breakpoint *bp)
{
	return bp->state == KD_TARGET_BP_INSERTED || bp->state == KD_TARGET_BP_OWED;
}

/* An entry that can take the breakpoint: NULL: full, or it is there already. */
static struct kd_target_breakpoint *find_room(struct kd_target *t, uint64_t address, size_t size)
{
	struct kd_target_breakpoint *room = NULL;

	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++) {
		struct kd_target_breakpoint *bp = &t->breakpoints[i];

		if (bp->state == KD_TARGET_BP_FREE) {
			room = room ? room : bp;
			continue;
		}
		if (bp->address - address >= size && address - bp->address >= bp->size)
			continue;
		if (bp->state == KD_TARGET_BP_LEAVING && bp->address == address && bp->size == size)
			return bp;
		return NULL;
	}
	return room;
}

/* Returns the handle, 0: refused. */
static uint32_t add(struct kd_target *t, uint64_t address, const uint8_t *instruction, size_t size)
{
	struct kd_target_breakpoint *bp = find_room(t, address, size);

	if (!bp)
		return 0;
	if (bp->state == KD_TARGET_BP_LEAVING) {
		if (__builtin_memcmp(bp->instruction, instruction, size) != 0)
			return 0;
		bp->state = KD_TARGET_BP_INSERTED; /* it never left */
	} else {
		kd_zero(bp, sizeof(*bp));
		bp->address = address;
		bp->size = (uint8_t)size;
		kd_copy(bp->instruction, instruction, size);
		bp->state = insert(t, bp) ? KD_TARGET_BP_INSERTED : KD_TARGET_BP_OWED;
	}
	return (uint32_t)(bp - t->breakpoints) + 1;
}

static bool remove_handle(struct kd_target *t, uint32_t handle)
{
	struct kd_target_breakpoint *bp;

	if (!handle || handle > KD_TARGET_N_BREAKPOINTS)
		return false;
	bp = &t->breakpoints[handle - 1];
	if (!is_in_use(bp))
		return false;
	remove_one(t, bp);
	return true;
}

void kd__target_delete_breakpoints(struct kd_target *t, uint64_t address, size_t size)
{
	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++) {
		struct kd_target_breakpoint *bp = &t->breakpoints[i];

		if (is_in_use(bp) &&
		    (bp->address - address < size || address - bp->address < bp->size))
			remove_one(t, bp);
	}
}

void kd_target_settle_breakpoints(struct kd_target *t)
{
	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++) {
		struct kd_target_breakpoint *bp = &t->breakpoints[i];

		if (bp->state == KD_TARGET_BP_OWED && insert(t, bp))
			bp->state = KD_TARGET_BP_INSERTED;
		else if (bp->state == KD_TARGET_BP_LEAVING && take_out(t, bp))
			bp->state = KD_TARGET_BP_FREE;
	}
}

void kd_target_remove_breakpoints(struct kd_target *t)
{
	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++)
		if (is_in_use(&t->breakpoints[i]))
			remove_one(t, &t->breakpoints[i]);
}

uint32_t kd_target_find_breakpoint(const struct kd_target *t, uint64_t address)
{
	for (uint32_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++)
		if (t->breakpoints[i].state == KD_TARGET_BP_INSERTED &&
		    t->breakpoints[i].address == address)
			return i + 1;
	return 0;
}

uint32_t kd__target_write_breakpoint(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_write_breakpoint *w = &c->m.u.write_breakpoint;

	w->handle = add(t, w->address, t->machine->breakpoint, t->machine->breakpoint_size);
	return w->handle ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

uint32_t kd__target_restore_breakpoint(struct kd_target *t, struct kd__target_call *c)
{
	return remove_handle(t, c->m.u.restore_breakpoint.handle) ? KD_NT_SUCCESS
								  : (uint32_t)KD_NT_UNSUCCESSFUL;
}

uint32_t kd__target_write_custom_breakpoint(struct kd_target *t, struct kd__target_call *c)
{
	struct kd_w_write_custom_breakpoint *w = &c->m.u.write_custom_breakpoint;
	const uint32_t align = w->instruction_alignment;
	uint8_t instruction[KD_TARGET_INSTRUCTION_MAX];

	w->handle = 0;
	if (!w->instruction_size || w->instruction_size > sizeof(instruction) || !align ||
	    (align & (align - 1)) || (w->address & (align - 1)))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	kd_put64(instruction, w->instruction);
	w->handle = add(t, w->address, instruction, w->instruction_size);
	return w->handle ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

/* Many at once. With a continue status the target also runs on, once it has answered. */
static uint32_t finish_many(struct kd__target_call *c, bool all_done)
{
	const uint32_t status = c->m.u.breakpoint_ex.continue_status;

	if (status) {
		c->action->kind = KD_TARGET_CONTINUE;
		c->action->continue_status = status;
		c->reply_first = true;
	}
	return all_done ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL;
}

static bool has_entries(const struct kd__target_call *c, size_t entry_size)
{
	const uint32_t n = c->m.u.breakpoint_ex.count;

	return !c->in_is_short && n <= KD_TARGET_N_BREAKPOINTS && n * entry_size <= c->room;
}

uint32_t kd__target_write_breakpoint_ex(struct kd_target *t, struct kd__target_call *c)
{
	enum { SIZE = KD_W_SIZE_write_breakpoint_entry };
	bool all_done = true;

	if (!has_entries(c, SIZE))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	for (uint32_t i = 0; i < c->m.u.breakpoint_ex.count; i++) {
		struct kd_w_write_breakpoint_entry e;

		kd_w_write_breakpoint_entry_decode(&e, c->in + i * SIZE);
		e.handle = add(t, e.address, t->machine->breakpoint, t->machine->breakpoint_size);
		kd_w_write_breakpoint_entry_encode(c->out + i * SIZE, &e);
		all_done = all_done && e.handle;
		c->out_size += SIZE;
	}
	return finish_many(c, all_done);
}

/* The answer holds a status where the request held a handle. */
uint32_t kd__target_restore_breakpoint_ex(struct kd_target *t, struct kd__target_call *c)
{
	enum { SIZE = KD_W_SIZE_restore_breakpoint_entry };
	bool all_done = true;

	if (!has_entries(c, SIZE))
		return (uint32_t)KD_NT_UNSUCCESSFUL;
	for (uint32_t i = 0; i < c->m.u.breakpoint_ex.count; i++) {
		const bool done = remove_handle(t, kd_get32(c->in + i * SIZE));

		kd_put32(c->out + i * SIZE, done ? KD_NT_SUCCESS : (uint32_t)KD_NT_UNSUCCESSFUL);
		all_done = all_done && done;
		c->out_size += SIZE;
	}
	return finish_many(c, all_done);
}
