/* SPDX-License-Identifier: MIT */
/*
 * Words of a MASM expression. What a character means depends on where it stands: `+` before an
 * operand is a sign, after one it adds; so there are two readers. Neither moves the position: the
 * caller takes the token by setting pos to token.end.
 */
#ifndef KD_LIB_ENGINE_EXPRESSION_LEXER_H
#define KD_LIB_ENGINE_EXPRESSION_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

enum { KD__LEX_TEXT_MAX = 512 };

enum kd__token_kind {
	KD__TOKEN_END,      /* of the text, or (after an operand) of the expression */
	KD__TOKEN_NUMBER,   /* value */
	KD__TOKEN_NAME,     /* text: a word, symbol or register */
	KD__TOKEN_SYMBOL,   /* text: "mod!name", or "name" when written !name or @!"name" */
	KD__TOKEN_REGISTER, /* text: without @ */
	KD__TOKEN_PSEUDO,   /* text: without $ */
	KD__TOKEN_STRING,   /* text: without quotes and escapes */
	KD__TOKEN_SOURCE,   /* text: what stood between the backticks */
	KD__TOKEN_UNARY,    /* op: an enum kd__unary */
	KD__TOKEN_BINARY,   /* op: an enum kd__binary; level */
	KD__TOKEN_OPEN,     /* op: the closing character */
	KD__TOKEN_MASM,     /* @@masm( */
	KD__TOKEN_OTHER,    /* nothing that can stand here */
};

enum kd__unary {
	KD__UNARY_PLUS,
	KD__UNARY_MINUS,
	KD__UNARY_NOT,
	KD__UNARY_HI,
	KD__UNARY_LOW,
	KD__UNARY_READ, /* by, wo, dwo, qwo, poi and their physical forms: size, is_physical */
};

enum kd__binary {
	KD__BINARY_MUL,
	KD__BINARY_DIV,
	KD__BINARY_MOD,
	KD__BINARY_ADD,
	KD__BINARY_SUB,
	KD__BINARY_SHL,
	KD__BINARY_SHR,
	KD__BINARY_SAR,
	KD__BINARY_EQ,
	KD__BINARY_NE,
	KD__BINARY_LT,
	KD__BINARY_GT,
	KD__BINARY_LE,
	KD__BINARY_GE,
	KD__BINARY_AND,
	KD__BINARY_XOR,
	KD__BINARY_OR,
};

struct kd__token {
	enum kd__token_kind kind;
	size_t start, end; /* offsets in the text */
	uint64_t value;
	int op;
	uint8_t level; /* BINARY: a higher one binds tighter */
	uint8_t size;  /* UNARY_READ: bytes, 0: a pointer */
	bool is_physical;
	char text[KD__LEX_TEXT_MAX];
};

struct kd__lexer {
	const char *text;
	size_t pos;
	unsigned radix;        /* 8, 10, 16 */
	unsigned pointer_size; /* 4: numbers with bit 31 set are sign-extended */
};

/* What stands where an operand must. KD_E_SYNTAX: half a token (an open string ...). */
enum kd_status kd__lex_operand(const struct kd__lexer *lx, struct kd__token *ret,
			       struct kd_error *err);
/* What follows an operand: BINARY, or END for everything that ends the expression. */
void kd__lex_infix(const struct kd__lexer *lx, struct kd__token *ret);
/* Offset of the next character that is no blank. */
size_t kd__lex_skip(const struct kd__lexer *lx, size_t pos);

#endif
