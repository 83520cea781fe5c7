/* SPDX-License-Identifier: MIT */
#include "lib/vm/vm_found.h"

#include <stdlib.h>
#include <string.h>

struct kd_vm_found *kd__vm_rows_add(struct kd_vm_rows *rows)
{
	struct kd_vm_found *row;

	if (rows->n == rows->size) {
		size_t size = rows->size ? 2 * rows->size : 8;
		struct kd_vm_found *grown = NULL;

		if (size <= KD_VM_FOUND_MAX)
			grown = realloc(rows->row, size * sizeof *grown);
		if (!grown)
			return NULL;
		rows->row = grown;
		rows->size = size;
	}
	row = &rows->row[rows->n++];
	memset(row, 0, sizeof *row);
	return row;
}

void kd__vm_rows_deinit(struct kd_vm_rows *rows)
{
	free(rows->row);
	*rows = (struct kd_vm_rows){ .n = 0 };
}
