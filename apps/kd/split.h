/* SPDX-License-Identifier: MIT */
/* How a line falls into commands: `;`, quotes, braces. Nothing here knows a target. */
#ifndef APPS_KD_SPLIT_H
#define APPS_KD_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

/* What is inside a pair of brackets. */
struct split_part {
	const char *start;
	size_t size;
};

const char *split_skip_blank(const char *text); /* spaces and tabs; newlines separate commands */
const char *split_skip_space(const char *text); /* newlines too: between the parts of a block */

/*
 * End of the command that starts at `text`: its `;` or newline or NUL. Those inside "..." (with \"
 * inside) and { } do not end it; a quote that is never closed protects the rest of the text.
 */
const char *split_command_end(const char *text);
const char *split_line_end(const char *text);

/*
 * A bracketed part at `text` (which must stand on `open`): what is inside, nested pairs and quotes
 * respected. NULL: not closed. Returns the first character after it.
 */
const char *split_bracket(const char *text, char open, char close, struct split_part *ret);

/*
 * The two halves of `j EXPR 'a' ; 'b'` from the text after EXPR: each is quoted with ' or reaches
 * to the next `;`. The second may be missing (size 0). Returns the end.
 */
const char *split_conditional(const char *text, struct split_part *then_ret,
			      struct split_part *else_ret);

/* `word` stands at `text` and ends there (blank, bracket, `;` or NUL follows). */
bool split_is_word(const char *text, const char *word);

#endif
