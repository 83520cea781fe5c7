/* SPDX-License-Identifier: MIT */
/*
 * Data breakpoints: DR0-3 of every processor through its special registers, DR7 through Continue2,
 * which writes it to all processors.
 */
#include <stdio.h>

#include "lib/engine/arch.h"
#include "lib/engine/breaks_private.h"
#include "lib/engine/register.h"

static const uint64_t dr7_idle = 0x400;

static bool is_data(const struct brk *b)
{
	return b->pub.kind != KD_BREAKPOINT_CODE && kd__brk_wants(b);
}

int kd__slot_of(const struct kd_session *s, int id)
{
	for (int i = 0; i < KD__SLOTS; i++)
		if (s->breaks->slots[i].size && s->breaks->slots[i].id == id)
			return i;
	return -1;
}

/* R/W field of DR7 by kind; execute has length 0. */
static uint64_t slot_bits(const struct slot *slot, int i)
{
	static const uint8_t rw[] = {
		[KD_BREAKPOINT_EXECUTE] = 0,
		[KD_BREAKPOINT_WRITE] = 1,
		[KD_BREAKPOINT_IO] = 2,
		[KD_BREAKPOINT_ACCESS] = 3,
	};
	static const uint8_t length[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
	uint64_t field = (uint64_t)(length[slot->size] << 2 | rw[slot->kind]);

	return UINT64_C(2) << (2 * i) | field << (16 + 4 * i); /* global enable: all processes */
}

bool kd__breaks_has_execute(const struct kd_session *s, uint64_t address)
{
	for (int i = 0; i < KD__SLOTS; i++) {
		const struct slot *slot = &s->breaks->slots[i];

		if (slot->size && slot->kind == KD_BREAKPOINT_EXECUTE && slot->address == address)
			return true;
	}
	return false;
}

uint64_t kd__breaks_dr7(const struct kd_session *s, const struct kd__except *except)
{
	uint64_t dr7 = dr7_idle;

	for (int i = 0; i < KD__SLOTS; i++) {
		const struct slot *slot = &s->breaks->slots[i];

		if (!slot->size || (except && slot->kind == KD_BREAKPOINT_EXECUTE &&
				    kd__except_has(except, slot->address)))
			continue;
		dr7 |= slot_bits(slot, i);
	}
	return dr7;
}

static bool assign(struct kd_session *s)
{
	struct slot wanted[KD__SLOTS] = { 0 };
	size_t n = 0;
	bool changed = false;

	for (size_t i = 0; i < s->breaks->n && n < KD__SLOTS; i++) {
		const struct brk *b = s->breaks->list[i];

		if (is_data(b))
			wanted[n++] = (struct slot){ b->pub.id, b->pub.address,
						     (uint8_t)b->pub.kind, b->pub.access_size };
	}
	for (size_t i = 0; i < KD__SLOTS; i++) {
		const struct slot *a = &s->breaks->slots[i], *b = &wanted[i];

		changed |= a->id != b->id || a->address != b->address || a->kind != b->kind ||
			   a->size != b->size;
		s->breaks->slots[i] = wanted[i];
	}
	return changed;
}

/* On all processors, also after one was refused; the first failure is returned. */
static enum kd_status write_all(struct kd_session *s, struct kd_error *err)
{
	enum kd_status first = KD_OK;

	for (uint32_t cpu = 0; cpu < s->n_processors; cpu++) {
		for (int i = 0; i < KD__SLOTS; i++) {
			char name[8];
			uint64_t now;
			enum kd_status status;

			snprintf(name, sizeof name, "kdr%d", i);
			status = kd__regs_get(s, cpu, name, &now, first == KD_OK ? err : NULL);
			if (status == KD_OK && now != s->breaks->slots[i].address)
				status = kd__regs_set(s, cpu, name, s->breaks->slots[i].address,
						      first == KD_OK ? err : NULL);
			first = first == KD_OK ? status : first;
			if (status != KD_OK && status != KD_E_TARGET)
				return first; /* not refused but unheard */
		}
	}
	return first;
}

enum kd_status kd__slots_write(struct kd_session *s, struct kd_error *err)
{
	bool changed = assign(s), any = kd__breaks_dr7(s, NULL) != dr7_idle;
	enum kd_status status;

	if (!any && !s->breaks->slots_used)
		return KD_OK;
	if (!changed && s->breaks->slots_written)
		return KD_OK;
	status = write_all(s, err);
	s->breaks->slots_written = status == KD_OK;
	s->breaks->slots_used = any;
	return status;
}

enum kd_status kd__slots_clear(struct kd_session *s, struct kd_error *err)
{
	enum kd_status status;

	for (int i = 0; i < KD__SLOTS; i++)
		s->breaks->slots[i] = (struct slot){ 0 };
	if (!s->breaks->slots_used)
		return KD_OK;
	status = write_all(s, err);
	s->breaks->slots_used = status != KD_OK;
	return status;
}
