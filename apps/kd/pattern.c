/* SPDX-License-Identifier: MIT */
/*
 * Matching keeps the set of pattern positions that are reachable after each character (as a
 * non-deterministic automaton does), so that no pattern takes more than length x length steps.
 */
#include "apps/kd/pattern.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

enum { ATOMS_MAX = 256 };

/* One atom: what it accepts and how often. */
struct atom {
	const char *text; /* of a class: after the `[`; else the character */
	size_t size;
	bool is_any, is_class;
	bool may_repeat, may_miss;
};

static int lower(char c)
{
	return tolower((unsigned char)c);
}

static const char *parse_atom(const char *p, struct atom *ret)
{
	*ret = (struct atom){ .text = p, .size = 1 };
	if (*p == '*') {
		ret->is_any = ret->may_repeat = ret->may_miss = true;
		return p + 1;
	}
	if (*p == '[') {
		const char *end = strchr(p + 1, ']');

		if (end) {
			ret->is_class = true;
			ret->text = p + 1;
			ret->size = (size_t)(end - p - 1);
			p = end;
		}
	} else if (*p == '?') {
		ret->is_any = true;
	} else if (*p == '\\' && p[1]) {
		ret->text = ++p;
	}
	p++;
	if (*p == '#' || *p == '+') {
		ret->may_repeat = true;
		ret->may_miss = *p == '#';
		p++;
	}
	return p;
}

static bool class_accepts(const struct atom *a, char c)
{
	bool found = false;
	size_t i = 0;
	bool negated = a->size > 0 && a->text[0] == '^';

	for (i = negated; i < a->size; i++) {
		if (i + 2 < a->size && a->text[i + 1] == '-') {
			found |= lower(c) >= lower(a->text[i]) && lower(c) <= lower(a->text[i + 2]);
			i += 2;
		} else {
			found |= lower(c) == lower(a->text[i]);
		}
	}
	return found != negated;
}

static bool accepts(const struct atom *a, char c)
{
	if (a->is_any)
		return true;
	return a->is_class ? class_accepts(a, c) : lower(*a->text) == lower(c);
}

/* Positions that are reachable without a character. */
static void close_over(const struct atom *atoms, size_t n, bool *at)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] && atoms[i].may_miss)
			at[i + 1] = true;
}

bool pattern_matches(const char *pattern, const char *text)
{
	struct atom atoms[ATOMS_MAX];
	bool at[ATOMS_MAX + 1] = { true };
	size_t n = 0;

	while (*pattern) {
		if (n == ATOMS_MAX)
			return false;
		pattern = parse_atom(pattern, &atoms[n++]);
	}
	close_over(atoms, n, at);
	for (; *text; text++) {
		bool next[ATOMS_MAX + 1] = { false };

		for (size_t i = 0; i < n; i++) {
			if (!at[i] || !accepts(&atoms[i], *text))
				continue;
			next[i + 1] = true;
			if (atoms[i].may_repeat)
				next[i] = true;
		}
		memcpy(at, next, sizeof(at));
		/* A repeated `x+` stays on its atom, which must not count as missing it. */
		close_over(atoms, n, at);
	}
	return at[n];
}

bool pattern_is_literal(const char *pattern)
{
	return strpbrk(pattern, "*?[#+\\") == NULL;
}
