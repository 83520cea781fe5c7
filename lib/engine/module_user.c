/* SPDX-License-Identifier: MIT */
/*
 * Modules of the current process, from its PEB (`.reload /user`). They stay in the list, below the
 * kernel's, until they are read again: another process may have others at the same place.
 */
#include "lib/engine/module_set.h"

#include <inttypes.h>

/* Where a PEB points at its loader data, and these at the list in load order. */
enum { LDR_64 = 0x18, LDR_32 = 0x0C, LIST_64 = 0x10, LIST_32 = 0x0C };

static void drop_user_modules(struct kd_session *s)
{
	struct kd__modules *ms = s->modules;

	for (size_t i = ms->n_loaded; i-- > 0;)
		if (!kd__is_kernel_address(s, ms->items[i]->pub.base) && !ms->items[i]->is_by_hand)
			kd__modules_drop(ms, i);
}

static enum kd_status find_list(struct kd_session *s, uint64_t *head_ret, struct kd_error *err)
{
	bool is_64 = kd__pointer_size(s) == 8;
	uint64_t ldr = 0;
	struct kd_process p;
	enum kd_status status = kd_process_current(s, &p, err);

	if (status != KD_OK)
		return status;
	if (!p.peb)
		return kd_error_set(err, KD_E_NOT_FOUND, p.address,
				    "process %.40s has no PEB: there are no user modules in it",
				    p.image);
	status = kd_memory_read_pointer(s, p.peb + (is_64 ? LDR_64 : LDR_32), &ldr, err);
	if (status != KD_OK)
		return kd_error_prefix(err, status, "the PEB of %.40s", p.image);
	if (!ldr)
		return kd_error_set(err, KD_E_NOT_FOUND, p.peb,
				    "the loader of process %.40s has not begun yet", p.image);
	*head_ret = ldr + (is_64 ? LIST_64 : LIST_32);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_module_reload_user(struct kd_session *s, struct kd_error *err)
{
	struct kd__merge merge = { .session = s, .n = KD__ORDER_LAST };
	struct kd__list_reader reader;
	uint64_t head = 0;
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	kd__modules_refresh(s, NULL);
	status = find_list(s, &head, err);
	if (status != KD_OK)
		return status;
	kd__modules_bury(s->modules);
	drop_user_modules(s);
	reader = kd__modules_reader(s);
	reader.is_modern = false; /* this form of the entry never moved its time stamp */
	merge.is_user = true;
	status = kd__list_walk(&reader, head, kd__modules_merge, &merge, err);
	return merge.no_memory ? kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory") : status;
}
