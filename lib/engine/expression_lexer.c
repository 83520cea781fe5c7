/* SPDX-License-Identifier: MIT */
#include "lib/engine/expression_lexer.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/base.h"

/* clang-format off */
static const struct unary_word {
	const char *word;
	uint8_t op, size;
	bool is_physical;
} unary_words[] = {
	{ "not", KD__UNARY_NOT, 0, false },
	{ "hi", KD__UNARY_HI, 0, false },
	{ "low", KD__UNARY_LOW, 0, false },
	{ "by", KD__UNARY_READ, 1, false },
	{ "wo", KD__UNARY_READ, 2, false },
	{ "dwo", KD__UNARY_READ, 4, false },
	{ "qwo", KD__UNARY_READ, 8, false },
	{ "poi", KD__UNARY_READ, 0, false },
	{ "$pby", KD__UNARY_READ, 1, true },
	{ "$pwo", KD__UNARY_READ, 2, true },
	{ "$pdwo", KD__UNARY_READ, 4, true },
	{ "$pqwo", KD__UNARY_READ, 8, true },
	{ "$ppoi", KD__UNARY_READ, 0, true },
};

/* Longer ones before those they begin with. */
static const struct binary_sign {
	const char *sign;
	uint8_t op, level;
} binary_signs[] = {
	{ ">>>", KD__BINARY_SAR, 5 },
	{ "<<", KD__BINARY_SHL, 5 },
	{ ">>", KD__BINARY_SHR, 5 },
	{ "<=", KD__BINARY_LE, 4 },
	{ ">=", KD__BINARY_GE, 4 },
	{ "==", KD__BINARY_EQ, 4 },
	{ "!=", KD__BINARY_NE, 4 },
	{ "=", KD__BINARY_EQ, 4 },
	{ "<", KD__BINARY_LT, 4 },
	{ ">", KD__BINARY_GT, 4 },
	{ "*", KD__BINARY_MUL, 7 },
	{ "/", KD__BINARY_DIV, 7 },
	{ "%", KD__BINARY_MOD, 7 },
	{ "+", KD__BINARY_ADD, 6 },
	{ "-", KD__BINARY_SUB, 6 },
	{ "&", KD__BINARY_AND, 3 },
	{ "^", KD__BINARY_XOR, 2 },
	{ "|", KD__BINARY_OR, 1 },
}, binary_words[] = {
	{ "mod", KD__BINARY_MOD, 7 },
	{ "and", KD__BINARY_AND, 3 },
	{ "xor", KD__BINARY_XOR, 2 },
	{ "or", KD__BINARY_OR, 1 },
};

static const struct radix_prefix {
	char letter;
	uint8_t radix;
} radix_prefixes[] = { { 'x', 16 }, { 'n', 10 }, { 't', 8 }, { 'y', 2 } };
/* clang-format on */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* Inside a symbol, after its first character: decorated names (_Foo@8, ?Foo@@YAXXZ) too. */
static bool is_symbol(char c)
{
	return is_word(c) || c == '@' || c == '?';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t kd__lex_skip(const struct kd__lexer *lx, size_t pos)
{
	while (is_blank(lx->text[pos]))
		pos++;
	return pos;
}

/* Copies [start, start + size) as the token's text and ends the token at `end`. */
static enum kd_status take(const struct kd__lexer *lx, struct kd__token *t,
			   enum kd__token_kind kind, size_t start, size_t size, size_t end,
			   struct kd_error *err)
{
	if (size >= sizeof t->text)
		return kd_error_set(err, KD_E_SYNTAX, start, "column %zu: the name is too long",
				    start + 1);
	memcpy(t->text, lx->text + start, size);
	t->text[size] = 0;
	t->kind = kind;
	t->end = end;
	return KD_OK;
}

/* --- numbers --- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* All of [p, p + n) in a radix; false: not a number. *is_big: beyond 64 bits. */
static bool digits(const char *p, size_t n, unsigned radix, uint64_t *ret, bool *is_big)
{
	uint64_t v = 0;

	*is_big = false;
	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)digit(p[i]);

		if (d >= radix)
			return false;
		*is_big = *is_big || __builtin_mul_overflow(v, (uint64_t)radix, &v) ||
			  __builtin_add_overflow(v, (uint64_t)d, &v);
	}
	*ret = v;
	return n > 0;
}

/* A word as a number, by prefix, suffix, or the default radix. */
static bool number(const char *p, size_t n, unsigned radix, uint64_t *ret, bool *is_big)
{
	if (n > 2 && p[0] == '0') {
		for (size_t i = 0; i < KD_ARRAY_LEN(radix_prefixes); i++)
			if (tolower((unsigned char)p[1]) == radix_prefixes[i].letter)
				return digits(p + 2, n - 2, radix_prefixes[i].radix, ret, is_big);
	}
	if (digits(p, n, radix, ret, is_big))
		return true;
	/* The suffix counts after a leading digit only, as in MASM: "each" stays a name. */
	return n > 1 && isdigit((unsigned char)p[0]) && tolower((unsigned char)p[n - 1]) == 'h' &&
	       digits(p, n - 1, 16, ret, is_big);
}

/* hhhhhhhh`llllllll: always hexadecimal. */
static enum kd_status backtick_number(const struct kd__lexer *lx, struct kd__token *t, size_t n,
				      struct kd_error *err)
{
	const char *p = lx->text + t->start;
	size_t skip = n > 2 && p[0] == '0' && tolower((unsigned char)p[1]) == 'x' ? 2 : 0;
	size_t n_low = 0;
	uint64_t high, low;
	bool is_big;

	while (is_word(p[n + 1 + n_low]))
		n_low++;
	t->end = t->start + n + 1 + n_low;
	if (n_low > 8 || n - skip > 8 || !digits(p + skip, n - skip, 16, &high, &is_big) ||
	    !digits(p + n + 1, n_low, 16, &low, &is_big))
		return kd_error_set(err, KD_E_SYNTAX, t->start,
				    "column %zu: '%.*s' is not a 64-bit number: up to 8 hex digits "
				    "stand on each side of the backtick",
				    t->start + 1, (int)KD_MIN(n + 1 + n_low, 40u), p);
	t->kind = KD__TOKEN_NUMBER;
	t->value = high << 32 | low;
	return KD_OK;
}

static enum kd_status plain_number(const struct kd__lexer *lx, struct kd__token *t, size_t n,
				   uint64_t value, bool is_big, struct kd_error *err)
{
	if (is_big)
		return kd_error_set(err, KD_E_SYNTAX, t->start,
				    "column %zu: '%.*s' does not fit into 64 bits", t->start + 1,
				    (int)KD_MIN(n, 60u), lx->text + t->start);
	if (lx->pointer_size == 4 && value <= UINT32_MAX)
		value = (uint64_t)(int64_t)(int32_t)(uint32_t)value;
	t->kind = KD__TOKEN_NUMBER;
	t->value = value;
	t->end = t->start + n;
	return KD_OK;
}

/* --- names --- */

/* Length of a symbol name: `::` belongs to it, a single colon does not. */
static size_t symbol_size(const char *p)
{
	size_t n = 0;

	for (;;) {
		if (is_symbol(p[n]))
			n++;
		else if (n && p[n] == ':' && p[n + 1] == ':' &&
			 (is_symbol(p[n + 2]) || p[n + 2] == '~'))
			n += 3;
		else
			return n;
	}
}

/* Either mod!name, or a word that is a number, an operator or a name. */
static enum kd_status word(const struct kd__lexer *lx, struct kd__token *t, struct kd_error *err)
{
	const char *p = lx->text + t->start;
	size_t n = 0, n_symbol;
	uint64_t value;
	bool is_big;

	while (is_word(p[n]))
		n++;
	if (p[n] == '!' && (n_symbol = symbol_size(p + n + 1)) > 0)
		return take(lx, t, KD__TOKEN_SYMBOL, t->start, n + 1 + n_symbol,
			    t->start + n + 1 + n_symbol, err);
	if (p[n] == '`' && digit(p[n + 1]) < 16 && digit(p[0]) < 16)
		return backtick_number(lx, t, n, err);
	if (number(p, n, lx->radix, &value, &is_big))
		return plain_number(lx, t, n, value, is_big, err);
	if (isdigit((unsigned char)p[0]))
		return kd_error_set(err, KD_E_SYNTAX, t->start,
				    "column %zu: '%.*s' is not a number in base %u", t->start + 1,
				    (int)KD_MIN(n, 60u), p, lx->radix);
	for (size_t i = 0; i < KD_ARRAY_LEN(unary_words); i++) {
		const struct unary_word *u = &unary_words[i];

		if (strlen(u->word) == n && !strncasecmp(u->word, p, n)) {
			t->kind = KD__TOKEN_UNARY;
			t->op = u->op;
			t->size = u->size;
			t->is_physical = u->is_physical;
			t->end = t->start + n;
			return KD_OK;
		}
	}
	n = symbol_size(p);
	return take(lx, t, KD__TOKEN_NAME, t->start, n, t->start + n, err);
}

/* $name: a physical read or a pseudo-register. */
static enum kd_status dollar(const struct kd__lexer *lx, struct kd__token *t, size_t at,
			     struct kd_error *err)
{
	size_t n = 1;

	if (at == t->start) {
		enum kd_status s = word(lx, t, err);

		if (s != KD_OK || t->kind != KD__TOKEN_NAME)
			return s;
	}
	while (is_word(lx->text[at + n]))
		n++;
	return take(lx, t, KD__TOKEN_PSEUDO, at + 1, n - 1, at + n, err);
}

/* @!"name": all characters between the quotes. */
static enum kd_status quoted_symbol(const struct kd__lexer *lx, struct kd__token *t,
				    struct kd_error *err)
{
	size_t start = t->start + 3;
	const char *end = strchr(lx->text + start, '"');

	if (!end)
		return kd_error_set(err, KD_E_SYNTAX, t->start,
				    "column %zu: @!\" without a closing quote", t->start + 1);
	return take(lx, t, KD__TOKEN_SYMBOL, start, (size_t)(end - lx->text) - start,
		    (size_t)(end - lx->text) + 1, err);
}

static enum kd_status at_sign(const struct kd__lexer *lx, struct kd__token *t, struct kd_error *err)
{
	const char *p = lx->text + t->start;
	size_t n = 1;

	if (!strncasecmp(p, "@@masm(", 7)) {
		t->kind = KD__TOKEN_MASM;
		t->end = t->start + 6;
		return KD_OK;
	}
	if (p[1] == '@')
		return kd_error_set(err, KD_E_UNSUPPORTED, t->start,
				    "column %zu: there is no C++ evaluator: write it as MASM "
				    "(poi, dwo, + ...)",
				    t->start + 1);
	if (p[1] == '!' && p[2] == '"')
		return quoted_symbol(lx, t, err);
	if (p[1] == '$')
		return dollar(lx, t, t->start + 1, err);
	while (is_word(p[n]))
		n++;
	return take(lx, t, n > 1 ? KD__TOKEN_REGISTER : KD__TOKEN_OTHER, t->start + 1, n - 1,
		    t->start + n, err);
}

static enum kd_status string(const struct kd__lexer *lx, struct kd__token *t, struct kd_error *err)
{
	size_t pos = t->start + 1, n = 0;

	for (; lx->text[pos] && lx->text[pos] != '"'; pos++) {
		if (lx->text[pos] == '\\' && strchr("\"\\", lx->text[pos + 1]) && lx->text[pos + 1])
			pos++;
		if (n + 1 == sizeof t->text)
			return kd_error_set(err, KD_E_SYNTAX, t->start,
					    "column %zu: the string is too long", t->start + 1);
		t->text[n++] = lx->text[pos];
	}
	if (!lx->text[pos])
		return kd_error_set(err, KD_E_SYNTAX, t->start,
				    "column %zu: the string has no closing quote", t->start + 1);
	t->text[n] = 0;
	t->kind = KD__TOKEN_STRING;
	t->end = pos + 1;
	return KD_OK;
}

static enum kd_status source(const struct kd__lexer *lx, struct kd__token *t, struct kd_error *err)
{
	const char *end = strchr(lx->text + t->start + 1, '`');

	if (!end)
		return kd_error_set(err, KD_E_SYNTAX, t->start,
				    "column %zu: a source line is written `file.c:123`, with a "
				    "backtick at its end too",
				    t->start + 1);
	return take(lx, t, KD__TOKEN_SOURCE, t->start + 1, (size_t)(end - lx->text) - t->start - 1,
		    (size_t)(end - lx->text) + 1, err);
}

static void single(struct kd__token *t, enum kd__token_kind kind, int op)
{
	t->kind = kind;
	t->op = op;
	t->end = t->start + 1;
}

enum kd_status kd__lex_operand(const struct kd__lexer *lx, struct kd__token *ret,
			       struct kd_error *err)
{
	const char *p;
	size_t n;

	ret->start = ret->end = kd__lex_skip(lx, lx->pos);
	ret->text[0] = 0;
	p = lx->text + ret->start;
	switch (*p) {
	case 0: ret->kind = KD__TOKEN_END; return KD_OK;
	case '+': single(ret, KD__TOKEN_UNARY, KD__UNARY_PLUS); return KD_OK;
	case '-': single(ret, KD__TOKEN_UNARY, KD__UNARY_MINUS); return KD_OK;
	case '(': single(ret, KD__TOKEN_OPEN, ')'); return KD_OK;
	case '[': single(ret, KD__TOKEN_OPEN, ']'); return KD_OK;
	case '@': return at_sign(lx, ret, err);
	case '$': return dollar(lx, ret, ret->start, err);
	case '"': return string(lx, ret, err);
	case '`': return source(lx, ret, err);
	case '!':
		n = symbol_size(p + 1);
		if (n)
			return take(lx, ret, KD__TOKEN_SYMBOL, ret->start + 1, n,
				    ret->start + 1 + n, err);
		break;
	default:
		if (is_word(*p))
			return word(lx, ret, err);
	}
	single(ret, KD__TOKEN_OTHER, *p);
	return KD_OK;
}

static bool binary(struct kd__token *t, const struct binary_sign *b, size_t size)
{
	t->kind = KD__TOKEN_BINARY;
	t->op = b->op;
	t->level = b->level;
	t->end = t->start + size;
	return true;
}

static bool binary_word(const char *p, struct kd__token *t)
{
	size_t n = 0;

	while (is_word(p[n]))
		n++;
	for (size_t i = 0; i < KD_ARRAY_LEN(binary_words); i++)
		if (strlen(binary_words[i].sign) == n && !strncasecmp(binary_words[i].sign, p, n))
			return binary(t, &binary_words[i], n);
	return false;
}

void kd__lex_infix(const struct kd__lexer *lx, struct kd__token *ret)
{
	const char *p;

	ret->start = ret->end = kd__lex_skip(lx, lx->pos);
	ret->kind = KD__TOKEN_END;
	p = lx->text + ret->start;
	for (size_t i = 0; i < KD_ARRAY_LEN(binary_signs); i++) {
		size_t n = strlen(binary_signs[i].sign);

		if (!strncmp(binary_signs[i].sign, p, n)) {
			binary(ret, &binary_signs[i], n);
			return;
		}
	}
	binary_word(p, ret);
}
