/* SPDX-License-Identifier: MIT */
/* Names and addresses over all modules, for the other parts of the engine. */
#ifndef KD_LIB_ENGINE_SYMBOL_H
#define KD_LIB_ENGINE_SYMBOL_H

#include "lib/engine/module_symbols.h"
#include "lib/engine/symbol_pattern.h"

/*
 * Address of "mod!name", "name" or a module. `loaded_only`: look only at symbols that are loaded
 * already; nothing is asked of the target but the module list. KD_E_NOT_FOUND, KD_E_AMBIGUOUS.
 */
enum kd_status kd__symbol_value(struct kd_session *s, const char *name, bool loaded_only,
				uint64_t *ret, struct kd_error *err);

/* "mod!rest": the module's part and what follows; no `!`: false and *rest_ret is all of it. */
bool kd__symbol_split(const char *text, const char **rest_ret, size_t *module_size_ret);

/* "no module 'foo' is loaded ..." */
enum kd_status kd__symbol_no_module(const char *name, size_t size, struct kd_error *err);

/* "mod!pattern" compiled; both parts may have wildcards. Owned by the caller: free(). */
struct kd__symbol_patterns {
	struct kd__pattern module, name;
};
enum kd_status kd__symbol_patterns(const char *text, struct kd__symbol_patterns **ret,
				   struct kd_error *err);
bool kd__symbol_module_matches(const struct kd__symbol_patterns *p, const struct kd__module *m);

#endif
