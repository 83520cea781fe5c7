/* SPDX-License-Identifier: MIT */
/*
 * Page walks through guest RAM, kept for as long as the tables cannot change: page tables whole
 * (where RAM is read by system calls each read costs the same, however short), and what they came
 * to.
 */
#ifndef KD_LIB_ENGINE_WALK_CACHE_H
#define KD_LIB_ENGINE_WALK_CACHE_H

#include "lib/engine/translate.h"
#include "lib/vm/guest_ram.h"

struct kd__walk_cache;

/* NULL: out of memory. */
struct kd__walk_cache *kd__walk_cache_create(void);
void kd__walk_cache_destroy(struct kd__walk_cache *c);
/* The tables may be others now. */
void kd__walk_cache_forget(struct kd__walk_cache *c);

/* Where a page's first byte lies. False: it is not present, or its tables are not in RAM. */
bool kd__walk_cache_page(struct kd__walk_cache *c, struct kd_guest_ram *ram,
			 const struct kd__walk *walk, uint64_t directory, uint64_t page,
			 uint64_t *physical_ret);

#endif
