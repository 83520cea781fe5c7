/* SPDX-License-Identifier: MIT */
/*
 * Modules inside the engine: the list (module.c), what is known of each image and its symbols
 * (module_image.c, module_symbols.c). Pointers to modules stay good until the list changes: at a
 * stop, or in a call that reads it anew.
 */
#ifndef KD_LIB_ENGINE_MODULE_H
#define KD_LIB_ENGINE_MODULE_H

#include "lib/engine/engine.h"
#include "lib/engine/module_list.h"

struct kd__image; /* module_image.c: headers, exports, function table of one module */
struct kd__names; /* module_symbols.c: the PDB, or the exports in its place */

enum {
	KD__MODULE_NAME_MAX = 96,
	KD__UNLOADED_MAX = 64,
	KD__ITEMS_MAX = KD__MODULES_MAX + KD__UNLOADED_MAX + 1,
};

struct kd__module {
	struct kd_module pub; /* first: what callers hold points here */
	uint64_t entry;       /* its entry in the loader's list; 0: from a notice, or by hand */
	uint64_t noted;       /* generation of the load notice, 0: none */
	size_t order;         /* while the list is read */
	struct kd__module *next_dead;
	bool is_kernel, is_by_hand;
	char name[KD__MODULE_NAME_MAX];
	char image_name[KD__MODULE_PATH_MAX], image_path[KD__MODULE_PATH_MAX];
	char pdb_name[KD__MODULE_PATH_MAX];
	char symbol_note[KD_ERROR_TEXT_SIZE];
	char *symbol_file;
	struct kd__image *image;
	struct kd__names *names;
};

struct kd__log { /* text that loses its oldest lines */
	char *text;
	size_t size;
};

struct kd__modules {
	struct kd__module **items; /* in load order, those unloaded behind them */
	size_t n, n_loaded;
	const struct kd_module **view; /* the same, for callers */
	struct kd__module *dead;       /* gone, but callers may hold them until the next resume */
	uint64_t head;                 /* of the loader's list; 0: not known yet */
	uint64_t walked, checked;      /* generations of the last attempts; 0: none */
	bool is_known;                 /* a walk reached the end, or as far as it goes */
	enum kd_status status;         /* of the last walk */
	struct kd_error err;
	const struct kd__module *last; /* kd__module_at() asks for one address after the other */

	char *symbol_path;
	struct kd__log log;
};

/*
 * The list is read if it has to be. Not KD_OK: what is known is in s->modules all the same.
 * Never blocks when the target runs.
 */
enum kd_status kd__modules_refresh(struct kd_session *s, struct kd_error *err);

/* NULL: none. kd__module_at() looks at what was loaded since only for addresses of the kernel. */
struct kd__module *kd__module_at(struct kd_session *s, uint64_t address);
/* Among those known; asks the target for nothing. */
struct kd__module *kd__module_known_at(struct kd_session *s, uint64_t address);
struct kd__module *kd__module_find(struct kd_session *s, const char *name, size_t name_size);
struct kd__module *kd__module_kernel(struct kd_session *s);
static inline struct kd__module *kd__module_of(const struct kd_module *m)
{
	return (struct kd__module *)(uintptr_t)m;
}
bool kd__module_has_name(const struct kd__module *m, const char *name, size_t name_size);

#endif
