/* SPDX-License-Identifier: MIT */
/*
 * Drivers that were unloaded before we came: the kernel keeps the last 50 (MmUnloadedDrivers). Read
 * by `.reload`, as each name costs a request.
 */
#include "lib/engine/module_set.h"

#include <stdio.h>
#include <string.h>

enum {
	N_SLOTS = 50,
	NAME_BYTES_MAX = 256,
	/* UNLOADED_DRIVERS: UNICODE_STRING Name, StartAddress, EndAddress, CurrentTime */
	SLOT_64 = 0x28,
	SLOT_32 = 0x18,
};

/* Newest last, as the array of modules wants them. 0 of anything: an empty slot. */
static void add_slot(struct kd_session *s, const uint8_t *slot)
{
	size_t word = kd__pointer_size(s);
	size_t size = KD_MIN(kd_get16(slot), (uint16_t)NAME_BYTES_MAX) & ~(size_t)1;
	uint64_t buffer = kd__normalise(s, kd_get_sized(slot + word, word));
	uint64_t start = kd__normalise(s, kd_get_sized(slot + 2 * word, word));
	uint64_t end = kd__normalise(s, kd_get_sized(slot + 3 * word, word));
	char name[NAME_BYTES_MAX];

	if (!size || !buffer || !start || end <= start || end - start > KD__MODULE_SIZE_MAX ||
	    kd_memory_read_string(s, buffer, true, size, name, sizeof name, NULL) != KD_OK)
		return;
	for (char *p = name; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7F)
			*p = '?';
	kd__modules_remember(s->modules, start, (uint32_t)(end - start), name);
}

void kd__modules_read_unloaded(struct kd_session *s)
{
	uint64_t variable = kd__normalise(s, kd__kdbg(s, "MmUnloadedDrivers"));
	uint64_t last_at = kd__normalise(s, kd__kdbg(s, "MmLastUnloadedDriver"));
	size_t slot = kd__pointer_size(s) == 8 ? SLOT_64 : SLOT_32;
	uint8_t slots[N_SLOTS * SLOT_64] = { 0 };
	uint64_t array = 0, last = 0;
	size_t done = 0;

	if (!variable || kd_memory_read_pointer(s, variable, &array, NULL) != KD_OK || !array ||
	    !last_at || kd_memory_read_uint(s, last_at, 4, &last, NULL) != KD_OK ||
	    kd_memory_read(s, array, slots, N_SLOTS * slot, &done, NULL) != KD_OK)
		return;
	kd__modules_forget_unloaded(s->modules);
	/* A ring: `last` is the slot after the newest, which is the oldest once it went round. */
	for (uint64_t i = 0; i < N_SLOTS && !kd__cancelled(s); i++)
		add_slot(s, slots + (last + i) % N_SLOTS * slot);
}
