/* SPDX-License-Identifier: MIT */
#include "apps/kd/alias.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kd/split.h"

static struct alias *find(const struct alias_table *t, const char *name, size_t size)
{
	for (size_t i = 0; i < t->n; i++)
		if (strlen(t->entries[i].name) == size && !memcmp(t->entries[i].name, name, size))
			return (struct alias *)&t->entries[i];
	return NULL;
}

const char *alias_find(const struct alias_table *t, const char *name, size_t size)
{
	const struct alias *a = find(t, name, size);

	return a ? a->value : NULL;
}

bool alias_set(struct alias_table *t, const char *name, const char *value)
{
	struct alias *a = find(t, name, strlen(name));

	if (!a) {
		if (t->n == ALIASES_MAX)
			return false;
		a = &t->entries[t->n++];
		*a = (struct alias){ app_strdup(name), NULL };
	}
	char *copy = app_strdup(value);
	free(a->value);
	a->value = copy;
	return true;
}

bool alias_remove(struct alias_table *t, const char *name)
{
	struct alias *a = find(t, name, strlen(name));

	if (!a)
		return false;
	free(a->name);
	free(a->value);
	memmove(a, a + 1, (size_t)(t->entries + t->n - (a + 1)) * sizeof(*a));
	t->n--;
	return true;
}

void alias_clear(struct alias_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->entries[i].name);
		free(t->entries[i].value);
	}
	t->n = 0;
}

bool alias_applies(const char *line)
{
	static const char *const words[] = { "as", "aS", "ad", "al" };

	line = split_skip_space(line);
	for (size_t i = 0; i < APP_ARRAY_LEN(words); i++)
		if (split_is_word(line, words[i]))
			return false;
	return true;
}

/* `text` stands on "${": replaces and returns what follows, or NULL when it is no alias form. */
static const char *expand_braced(const struct alias_table *t, const char *text, struct text *out)
{
	const char *end = strchr(text, '}'), *name = text + 2;
	char form = '\0';

	if (!end)
		return NULL;
	if (name[0] == '/' && name[1] && name[2] == ':') {
		form = name[1];
		name += 3;
	}
	size_t size = (size_t)(end - name);
	const char *value = alias_find(t, name, size);

	if (form == 'd') {
		text_add(out, value ? "1" : "0");
	} else if (form == 'n' || form == 'v') {
		text_append(out, name, size);
	} else if (value) {
		text_add(out, value);
	} else if (form != 'f') {
		return NULL;
	}
	return end + 1;
}

/* `text` stands on "$uN". */
static const char *expand_fixed(const struct alias_table *t, const char *text, struct text *out)
{
	const char *value = alias_find(t, text, 3);

	if (!value || isalnum((unsigned char)text[3]))
		return NULL;
	text_add(out, value);
	return text + 3;
}

static const char *expand_word(const struct alias_table *t, const char *text, struct text *out)
{
	size_t size = strcspn(text, " \t\r\n;{}()\"");
	const char *value = size ? alias_find(t, text, size) : NULL;

	if (!value)
		return NULL;
	text_add(out, value);
	return text + size;
}

bool alias_expand(const struct alias_table *t, const char *text, struct text *out)
{
	bool in_quotes = false, at_word = true;

	while (*text && out->size <= ALIAS_TEXT_MAX) {
		const char *next = NULL;

		if (text[0] == '$' && text[1] == '{')
			next = expand_braced(t, text, out);
		else if (text[0] == '$' && text[1] == 'u' && isdigit((unsigned char)text[2]))
			next = expand_fixed(t, text, out);
		else if (at_word && !in_quotes)
			next = expand_word(t, text, out);
		if (next) {
			text = next;
			at_word = false;
			continue;
		}
		if (*text == '"')
			in_quotes = !in_quotes;
		at_word = strchr(" \t\r\n;{}()", *text) != NULL;
		text_append(out, text++, 1);
	}
	return *text == '\0';
}
