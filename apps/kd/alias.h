/* SPDX-License-Identifier: MIT */
/* Aliases: as, aS, ad, al, $u0..$u9, and the ${...} forms. */
#ifndef APPS_KD_ALIAS_H
#define APPS_KD_ALIAS_H

#include <stdbool.h>
#include <stddef.h>

#include "apps/kd/text.h"

enum { ALIASES_MAX = 256, ALIAS_TEXT_MAX = 64 << 10 };

struct alias {
	char *name, *value;
};

/* Sorted by the time of definition. */
struct alias_table {
	struct alias entries[ALIASES_MAX];
	size_t n;
};

/* False: the table is full. */
bool alias_set(struct alias_table *t, const char *name, const char *value);
bool alias_remove(struct alias_table *t, const char *name); /* false: no such one */
void alias_clear(struct alias_table *t);
const char *alias_find(const struct alias_table *t, const char *name, size_t size);

/*
 * Append `text` with aliases replaced: whole blank-separated words outside of quotes; ${name}
 * everywhere; ${/d:name} 1 or 0, ${/f:name} or nothing, ${/n:name} and ${/v:name} the name itself;
 * $u0..$u9 anywhere. Replaced text is not looked at again. False: longer than ALIAS_TEXT_MAX.
 */
bool alias_expand(const struct alias_table *t, const char *text, struct text *out);

/* Lines that begin with as, aS, ad, al are taken as typed. */
bool alias_applies(const char *line);

#endif
