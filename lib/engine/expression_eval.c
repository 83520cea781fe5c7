/* SPDX-License-Identifier: MIT */
#include "lib/engine/expression_eval.h"

#include <string.h>
#include <strings.h>

#include "lib/base.h"
#include "lib/engine/expression_lexer.h"
#include "lib/engine/symbol_pattern.h"

/*
 *   expression := operand { binary operand }        by level, left to right
 *   operand    := unary operand | ( expression ) | [ expression ] | @@masm( expression )
 *               | number | word | symbol | @register | $pseudo | $function(...) | `file:line`
 */
struct parser {
	struct kd__lexer lx;
	const struct kd__expr_host *host;
	unsigned depth;
	struct kd_error *err;
};

static enum kd_status expression(struct parser *p, unsigned min_level, uint64_t *ret);
static enum kd_status operand(struct parser *p, uint64_t *ret);

/* "column 3: expected X, found 'y...'" */
static enum kd_status unexpected(struct parser *p, size_t at, const char *what)
{
	const char *found = p->lx.text + at;
	size_t n = strcspn(found, " \t\r\n");

	if (!*found)
		return kd_error_set(p->err, KD_E_SYNTAX, at,
				    "column %zu: expected %s, found the end", at + 1, what);
	return kd_error_set(p->err, KD_E_SYNTAX, at, "column %zu: expected %s, found '%.*s'",
			    at + 1, what, (int)KD_MIN(n, 40u), found);
}

static enum kd_status expect(struct parser *p, char c)
{
	char what[] = { '\'', c, '\'', 0 };
	size_t at = kd__lex_skip(&p->lx, p->lx.pos);

	if (p->lx.text[at] != c)
		return unexpected(p, at, what);
	p->lx.pos = at + 1;
	return KD_OK;
}

/* What a host says about a name gets the place of the name. */
static enum kd_status named(struct parser *p, const struct kd__token *t, enum kd_status s)
{
	if (s == KD_E_NOT_FOUND && p->err)
		p->err->where = t->start;
	return s;
}

/* --- $functions --- */

static enum kd_status string_argument(struct parser *p, struct kd__token *t)
{
	enum kd_status s = kd__lex_operand(&p->lx, t, p->err);

	if (s != KD_OK)
		return s;
	if (t->kind != KD__TOKEN_STRING)
		return unexpected(p, t->start, "a string in quotes");
	p->lx.pos = t->end;
	return KD_OK;
}

static enum kd_status two_strings(struct parser *p, struct kd__token *a, struct kd__token *b)
{
	enum kd_status s;

	if ((s = expect(p, '(')) != KD_OK || (s = string_argument(p, a)) != KD_OK ||
	    (s = expect(p, ',')) != KD_OK || (s = string_argument(p, b)) != KD_OK)
		return s;
	return expect(p, ')');
}

static uint64_t sign_of(int order)
{
	return order < 0 ? UINT64_MAX : order > 0;
}

static enum kd_status call_scmp(struct parser *p, uint64_t *ret)
{
	struct kd__token a, b;
	enum kd_status s = two_strings(p, &a, &b);

	if (s == KD_OK)
		*ret = sign_of(strcmp(a.text, b.text));
	return s;
}

static enum kd_status call_sicmp(struct parser *p, uint64_t *ret)
{
	struct kd__token a, b;
	enum kd_status s = two_strings(p, &a, &b);

	if (s == KD_OK)
		*ret = sign_of(strcasecmp(a.text, b.text));
	return s;
}

static enum kd_status call_spat(struct parser *p, uint64_t *ret)
{
	struct kd__token a, b;
	struct kd__pattern pattern;
	enum kd_status s = two_strings(p, &a, &b);

	if (s != KD_OK)
		return s;
	s = kd__pattern_compile(&pattern, b.text, strlen(b.text), 0, p->err);
	if (s != KD_OK) {
		if (p->err)
			p->err->where += b.start;
		return kd_error_prefix(p->err, s, "column %zu", b.start + 1);
	}
	*ret = kd__pattern_match(&pattern, a.text);
	return KD_OK;
}

static enum kd_status call_iment(struct parser *p, uint64_t *ret)
{
	uint64_t base;
	enum kd_status s;

	if ((s = expect(p, '(')) != KD_OK || (s = expression(p, 0, &base)) != KD_OK ||
	    (s = expect(p, ')')) != KD_OK)
		return s;
	return p->host->entry(p->host->context, base, ret, p->err);
}

static enum kd_status call_vvalid(struct parser *p, uint64_t *ret)
{
	uint64_t address, size;
	enum kd_status s;

	if ((s = expect(p, '(')) != KD_OK || (s = expression(p, 0, &address)) != KD_OK ||
	    (s = expect(p, ',')) != KD_OK || (s = expression(p, 0, &size)) != KD_OK ||
	    (s = expect(p, ')')) != KD_OK)
		return s;
	*ret = p->host->is_valid(p->host->context, address, size);
	return KD_OK;
}

static const struct function {
	const char *name;
	enum kd_status (*call)(struct parser *p, uint64_t *ret);
} functions[] = {
	{ "iment", call_iment }, { "scmp", call_scmp },     { "sicmp", call_sicmp },
	{ "spat", call_spat },   { "vvalid", call_vvalid },
};

static enum kd_status pseudo(struct parser *p, const struct kd__token *t, uint64_t *ret)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(functions); i++)
		if (!strcasecmp(functions[i].name, t->text))
			return functions[i].call(p, ret);
	return named(p, t, p->host->pseudo(p->host->context, t->text, ret, p->err));
}

/* --- operands --- */

/* [mod!]file:line[+] */
static enum kd_status source(struct parser *p, struct kd__token *t, uint64_t *ret)
{
	char *colon = strrchr(t->text, ':'), *bang = strchr(t->text, '!');
	char *file = bang ? bang + 1 : t->text;
	uint64_t line = 0;
	char *c;

	for (c = colon ? colon + 1 : t->text; colon && *c >= '0' && *c <= '9'; c++)
		line = KD_MIN(line * 10 + (uint64_t)(*c - '0'), (uint64_t)UINT32_MAX);
	if (!colon || file >= colon || c == colon + 1 || strcmp(c + (*c == '+'), "") || !line)
		return kd_error_set(p->err, KD_E_SYNTAX, t->start,
				    "column %zu: a source line is written `[module!]file.c:123`",
				    t->start + 1);
	*colon = 0;
	if (bang)
		*bang = 0;
	return named(p, t,
		     p->host->line(p->host->context, bang ? t->text : NULL, file, (uint32_t)line,
				   ret, p->err));
}

static enum kd_status memory(struct parser *p, const struct kd__token *t, uint64_t address,
			     uint64_t *ret)
{
	size_t size = t->size ? t->size : p->host->pointer_size;
	enum kd_status s = p->host->read(p->host->context, address, size, t->is_physical, ret,
					 p->err);

	if (s == KD_OK && !t->size && size == 4)
		*ret = (uint64_t)(int64_t)(int32_t)(uint32_t)*ret;
	return s;
}

static enum kd_status unary(struct parser *p, const struct kd__token *t, uint64_t *ret)
{
	uint64_t v;
	enum kd_status s = operand(p, &v);

	if (s != KD_OK)
		return s;
	switch ((enum kd__unary)t->op) {
	case KD__UNARY_PLUS: *ret = v; return KD_OK;
	case KD__UNARY_MINUS: *ret = 0 - v; return KD_OK;
	case KD__UNARY_NOT: *ret = !v; return KD_OK;
	case KD__UNARY_HI: *ret = v >> 16 & 0xFFFF; return KD_OK;
	case KD__UNARY_LOW: *ret = v & 0xFFFF; return KD_OK;
	case KD__UNARY_READ: return memory(p, t, v, ret);
	}
	return KD_E_INVALID;
}

static enum kd_status bracket(struct parser *p, const struct kd__token *t, uint64_t *ret)
{
	enum kd_status s = expression(p, 0, ret);

	return s == KD_OK ? expect(p, (char)t->op) : s;
}

static enum kd_status operand_of(struct parser *p, struct kd__token *t, uint64_t *ret)
{
	const struct kd__expr_host *h = p->host;

	switch (t->kind) {
	case KD__TOKEN_NUMBER: *ret = t->value; return KD_OK;
	case KD__TOKEN_NAME: return named(p, t, h->word(h->context, t->text, ret, p->err));
	case KD__TOKEN_SYMBOL: return named(p, t, h->symbol(h->context, t->text, ret, p->err));
	case KD__TOKEN_REGISTER: return named(p, t, h->reg(h->context, t->text, ret, p->err));
	case KD__TOKEN_PSEUDO: return pseudo(p, t, ret);
	case KD__TOKEN_SOURCE: return source(p, t, ret);
	case KD__TOKEN_UNARY: return unary(p, t, ret);
	case KD__TOKEN_OPEN: return bracket(p, t, ret);
	case KD__TOKEN_MASM: return operand(p, ret);
	default:
		return unexpected(p, t->start,
				  "a number, a symbol, a register, '(' or an operator like poi");
	}
}

static enum kd_status operand(struct parser *p, uint64_t *ret)
{
	struct kd__token t;
	enum kd_status s = kd__lex_operand(&p->lx, &t, p->err);

	if (s != KD_OK)
		return s;
	if (++p->depth > KD__EXPR_DEPTH_MAX)
		return kd_error_set(p->err, KD_E_SYNTAX, t.start,
				    "column %zu: more than %d brackets or signs inside each other",
				    t.start + 1, KD__EXPR_DEPTH_MAX);
	p->lx.pos = t.end;
	s = operand_of(p, &t, ret);
	p->depth--;
	return s;
}

/* --- operators --- */

static uint64_t shift_right_signed(uint64_t a, uint64_t n)
{
	uint64_t fill = a >> 63 ? UINT64_MAX : 0;

	if (n > 63)
		return fill;
	return n ? a >> n | fill << (64 - n) : a;
}

/* false: a division by zero. */
static bool apply(enum kd__binary op, uint64_t a, uint64_t b, uint64_t *ret)
{
	if ((op == KD__BINARY_DIV || op == KD__BINARY_MOD) && !b)
		return false;
	switch (op) {
	case KD__BINARY_MUL: *ret = a * b; break;
	case KD__BINARY_DIV: *ret = a / b; break;
	case KD__BINARY_MOD: *ret = a % b; break;
	case KD__BINARY_ADD: *ret = a + b; break;
	case KD__BINARY_SUB: *ret = a - b; break;
	case KD__BINARY_SHL: *ret = b > 63 ? 0 : a << b; break;
	case KD__BINARY_SHR: *ret = b > 63 ? 0 : a >> b; break;
	case KD__BINARY_SAR: *ret = shift_right_signed(a, b); break;
	case KD__BINARY_EQ: *ret = a == b; break;
	case KD__BINARY_NE: *ret = a != b; break;
	case KD__BINARY_LT: *ret = a < b; break;
	case KD__BINARY_GT: *ret = a > b; break;
	case KD__BINARY_LE: *ret = a <= b; break;
	case KD__BINARY_GE: *ret = a >= b; break;
	case KD__BINARY_AND: *ret = a & b; break;
	case KD__BINARY_XOR: *ret = a ^ b; break;
	case KD__BINARY_OR: *ret = a | b; break;
	}
	return true;
}

/* Operators of at least `min_level`; those of one level from left to right. */
static enum kd_status expression(struct parser *p, unsigned min_level, uint64_t *ret)
{
	struct kd__token t;
	uint64_t a, b;
	enum kd_status s = operand(p, &a);

	while (s == KD_OK) {
		kd__lex_infix(&p->lx, &t);
		if (t.kind != KD__TOKEN_BINARY || t.level < min_level) {
			*ret = a;
			return KD_OK;
		}
		p->lx.pos = t.end;
		s = expression(p, t.level + 1u, &b);
		if (s == KD_OK && !apply((enum kd__binary)t.op, a, b, &a))
			return kd_error_set(p->err, KD_E_INVALID, t.start,
					    "column %zu: division by zero", t.start + 1);
	}
	return s;
}

enum kd_status kd__expr_evaluate(const struct kd__expr_host *host, const char *text,
				 const char **end_ret, uint64_t *value_ret, struct kd_error *err)
{
	struct parser p = { { text, 0, host->radix, host->pointer_size }, host, 0, err };
	uint64_t value;
	enum kd_status s = expression(&p, 0, &value);

	if (s != KD_OK)
		return s;
	if (end_ret) {
		*end_ret = text + p.lx.pos;
	} else {
		size_t rest = kd__lex_skip(&p.lx, p.lx.pos);

		if (text[rest])
			return unexpected(&p, rest, "an operator or the end");
	}
	*value_ret = value;
	return KD_OK;
}
