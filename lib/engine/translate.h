/* SPDX-License-Identifier: MIT */
/* Page walks, over whatever reads physical memory. */
#ifndef KD_LIB_ENGINE_TRANSLATE_H
#define KD_LIB_ENGINE_TRANSLATE_H

#include "lib/engine/engine.h"

struct kd__page_level_shape;

/* How the stopped machine's tables are built. */
struct kd__walk {
	const struct kd__page_level_shape *levels;
	size_t n;
	uint64_t base_mask;
	bool is_32bit;
};

/* From the special registers: one request a stop at most. KD_E_UNSUPPORTED: no walk for it. */
enum kd_status kd__walk_choose(struct kd_session *s, struct kd__walk *ret, struct kd_error *err);

typedef enum kd_status (*kd__physical_fn)(void *context, uint64_t address, void *bytes, size_t size,
					  struct kd_error *err);

/*
 * From `directory_base` (CR3, DirectoryTableBase) to the page. KD_OK also where a level says "not
 * there": ret->is_valid; else what `read` said.
 */
enum kd_status kd__walk_tables(const struct kd__walk *walk, uint64_t directory_base,
			       uint64_t address, kd__physical_fn read, void *context,
			       struct kd_translation *ret, struct kd_error *err);

#endif
