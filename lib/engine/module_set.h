/* SPDX-License-Identifier: MIT */
/* Between module.c, module_set.c, module_walk.c and module_user.c: the array of modules. */
#ifndef KD_LIB_ENGINE_MODULE_SET_H
#define KD_LIB_ENGINE_MODULE_SET_H

#include "lib/engine/module.h"

enum { KD__ORDER_LAST = 0x10000 }; /* kd__module.order of those that no list has told */

/* A copy that always ends. */
void kd__module_text(char *to, size_t size, const char *from);
/* Named, in no list yet; NULL: out of memory. */
struct kd__module *kd__module_create(struct kd_session *s, uint64_t base, uint32_t size,
				     const char *path, const char *image_name);
bool kd__module_is_same(const struct kd__module *m, uint64_t base, uint32_t size,
			const char *image);
bool kd__is_kernel_address(const struct kd_session *s, uint64_t address);

/* Behind the last loaded one; takes it over. false: no room (or NULL). */
bool kd__modules_add(struct kd__modules *ms, struct kd__module *m);
/* Index of the loaded module with a base, n_loaded: none. */
size_t kd__modules_index(const struct kd__modules *ms, uint64_t base);
/* A loaded one becomes an unloaded one. Callers may still hold it: it goes with kd__modules_bury.
 */
void kd__modules_retire(struct kd__modules *ms, size_t i);
/* As above, without a trace in the list. */
void kd__modules_drop(struct kd__modules *ms, size_t i);
/* An unloaded one that we did not see; all unloaded ones go. */
void kd__modules_remember(struct kd__modules *ms, uint64_t base, uint32_t size, const char *image);
void kd__modules_forget_unloaded(struct kd__modules *ms);
/* MmUnloadedDrivers into the list; what cannot be read is left out. */
void kd__modules_read_unloaded(struct kd_session *s);
/* Those that lie where a new one is said to be have gone. */
void kd__modules_evict(struct kd__modules *ms, uint64_t base, uint32_t size);
void kd__modules_bury(struct kd__modules *ms);
/* All knowledge is void. */
void kd__modules_empty(struct kd__modules *ms);
/* After a change of the array: what callers see of it. */
void kd__modules_show(struct kd__modules *ms);

struct kd__merge {
	struct kd_session *session;
	size_t n;     /* entries met; in load order */
	bool is_user; /* of a process: user addresses only; else kernel addresses only */
	bool no_memory;
};

/* A kd__list_fn: what a loader's list tells. context is a struct kd__merge. */
bool kd__modules_merge(void *context, const struct kd__list_entry *e);
struct kd__list_reader kd__modules_reader(struct kd_session *s);
/* Modules that were loaded without a notice: looked for once a stop. True: there may be some. */
bool kd__modules_look_again(struct kd_session *s);

#endif
