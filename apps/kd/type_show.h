/* SPDX-License-Identifier: MIT */
/* A type's fields, with or without values: what dt prints. */
#ifndef APPS_KD_TYPE_SHOW_H
#define APPS_KD_TYPE_SHOW_H

#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/memory.h"

struct type_show {
	struct call *call;
	unsigned depth;        /* structs in structs to open; 0: none */
	bool follows_pointers; /* -r: pointers too (not with -b) */
	bool is_verbose;
	unsigned n_lines;
};

enum { TYPE_LINES_MAX = 20000, TYPE_DEPTH_MAX = 16, TYPE_SIZE_MAX = 1 << 20 };

/*
 * The fields of a struct, each a line. `block` holds the struct at `offset`; NULL: types only.
 * JSON goes to `list`.
 */
enum kd_status type_show_fields(struct type_show *ts, struct kd_type type,
				const struct memory_block *block, uint64_t offset, unsigned level,
				json_t *list);
/* One field, however it was found. */
enum kd_status type_show_field(struct type_show *ts, const struct kd_field_info *f,
			       const struct memory_block *block, uint64_t offset, unsigned level,
			       json_t *list);
/* The value of a `type` at `offset` of the block: "0x10", "0xfffff801`... _KTHREAD". */
void type_value_text(struct type_show *ts, const struct kd_field_info *f,
		     const struct memory_block *block, uint64_t offset, struct text *t);

#endif
