/* SPDX-License-Identifier: MIT */
/*
 * A pattern is a row of elements, each one character out of a set or a run of them. Matching
 * follows all positions in the row at once, as a set of bits.
 */
#include "lib/engine/symbol_pattern.h"

#include <ctype.h>
#include <string.h>

#include "lib/base.h"

struct compiler {
	struct kd__pattern *out;
	const char *text;
	size_t size, pos;
	unsigned flags;
	struct kd_error *err;
};

static void set_add(struct kd__pattern_element *e, unsigned c, unsigned flags)
{
	unsigned other = c;

	if (!(flags & KD__PATTERN_CASE))
		other = (unsigned)(isupper((int)c) ? tolower((int)c) : toupper((int)c)) & 0xFF;
	e->set[c / 64] |= 1ull << (c % 64);
	e->set[other / 64] |= 1ull << (other % 64);
}

static bool set_has(const struct kd__pattern_element *e, unsigned char c)
{
	return e->set[c / 64] >> (c % 64) & 1;
}

static unsigned next_char(struct compiler *c)
{
	if (c->text[c->pos] == '\\' && c->pos + 1 < c->size)
		c->pos++;
	return (unsigned char)c->text[c->pos++];
}

/* [abc], [a-z0-9]: c->pos is after the bracket. */
static enum kd_status class_compile(struct compiler *c, struct kd__pattern_element *e)
{
	size_t start = c->pos - 1;

	while (c->pos < c->size && c->text[c->pos] != ']') {
		unsigned low = next_char(c), high = low;

		if (c->pos + 1 < c->size && c->text[c->pos] == '-' && c->text[c->pos + 1] != ']') {
			c->pos++;
			high = next_char(c);
		}
		for (unsigned i = low; i <= high; i++)
			set_add(e, i, c->flags);
	}
	if (c->pos >= c->size)
		return kd_error_set(c->err, KD_E_SYNTAX, start, "'[' without ']' in '%.*s'",
				    (int)KD_MIN(c->size, 80u), c->text);
	c->pos++;
	return KD_OK;
}

static enum kd_status repeat(struct compiler *c, char how)
{
	struct kd__pattern *p = c->out;

	if (!p->n)
		return kd_error_set(c->err, KD_E_SYNTAX, c->pos - 1,
				    "'%c' must follow what it repeats", how);
	if (how == '#') {
		p->elements[p->n - 1].is_repeated = true;
		return KD_OK;
	}
	if (p->n == KD__PATTERN_MAX)
		return kd_error_set(c->err, KD_E_TOO_BIG, c->pos, "the pattern is too long");
	p->elements[p->n] = p->elements[p->n - 1];
	p->elements[p->n++].is_repeated = true;
	return KD_OK;
}

static enum kd_status element_compile(struct compiler *c)
{
	struct kd__pattern_element *e = &c->out->elements[c->out->n];
	char ch = c->text[c->pos];

	memset(e, 0, sizeof *e);
	switch (ch) {
	case '*':
	case '?':
		memset(e->set, 0xFF, sizeof e->set);
		e->is_repeated = ch == '*';
		break;
	case '[':
		c->pos++;
		c->out->n++;
		return class_compile(c, e);
	default:
		set_add(e, next_char(c), c->flags);
		c->out->n++;
		return KD_OK;
	}
	c->pos++;
	c->out->n++;
	return KD_OK;
}

static bool is_wild(char c)
{
	return c && strchr("*?[#+", c);
}

enum kd_status kd__pattern_compile(struct kd__pattern *ret, const char *text, size_t size,
				   unsigned flags, struct kd_error *err)
{
	struct compiler c = { ret, text, size, 0, flags, err };

	ret->n = 0;
	ret->is_any = size == 1 && text[0] == '*';
	ret->is_literal = true;
	if (flags & KD__PATTERN_SYMBOL && size && text[0] == '_') {
		memset(&ret->elements[0], 0, sizeof ret->elements[0]);
		set_add(&ret->elements[0], '_', flags);
		ret->elements[ret->n++].is_repeated = true;
		while (c.pos < size && text[c.pos] == '_')
			c.pos++;
	}
	while (c.pos < size) {
		enum kd_status s;
		char ch = text[c.pos];

		if (ret->n == KD__PATTERN_MAX)
			return kd_error_set(err, KD_E_TOO_BIG, c.pos, "the pattern is too long");
		ret->is_literal = ret->is_literal && !is_wild(ch);
		if (ch == '#' || ch == '+') {
			c.pos++;
			s = repeat(&c, ch);
		} else {
			s = element_compile(&c);
		}
		if (s != KD_OK)
			return s;
	}
	return KD_OK;
}

struct positions {
	uint64_t bits[KD__PATTERN_WORDS];
};

/* Be at element `i`, and after it too if it may be absent. */
static void enter(const struct kd__pattern *p, struct positions *at, size_t i)
{
	for (;; i++) {
		if (at->bits[i / 64] >> (i % 64) & 1)
			return;
		at->bits[i / 64] |= 1ull << (i % 64);
		if (i == p->n || !p->elements[i].is_repeated)
			return;
	}
}

static bool step(const struct kd__pattern *p, const struct positions *at, unsigned char c,
		 struct positions *next)
{
	bool any = false;

	memset(next, 0, sizeof *next);
	for (size_t w = 0; w <= p->n / 64; w++) {
		for (uint64_t left = at->bits[w]; left; left &= left - 1) {
			size_t i = w * 64 + (size_t)__builtin_ctzll(left);

			if (i == p->n || !set_has(&p->elements[i], c))
				continue;
			enter(p, next, p->elements[i].is_repeated ? i : i + 1);
			any = true;
		}
	}
	return any;
}

bool kd__pattern_match(const struct kd__pattern *pattern, const char *text)
{
	struct positions at = { { 0 } }, next;

	if (pattern->is_any)
		return true;
	enter(pattern, &at, 0);
	for (; *text; text++) {
		if (!step(pattern, &at, (unsigned char)*text, &next))
			return false;
		at = next;
	}
	return at.bits[pattern->n / 64] >> (pattern->n % 64) & 1;
}

bool kd__wildcard_match(const char *pattern, const char *text)
{
	struct kd__pattern p;

	return kd__pattern_compile(&p, pattern, strlen(pattern), 0, NULL) == KD_OK &&
	       kd__pattern_match(&p, text);
}
