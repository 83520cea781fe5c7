/* SPDX-License-Identifier: MIT */
#include "apps/kd/split.h"

#include <ctype.h>
#include <string.h>

const char *split_skip_blank(const char *text)
{
	while (*text == ' ' || *text == '\t' || *text == '\r')
		text++;
	return text;
}

const char *split_skip_space(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* `text` stands on a quote: the character after the closing one, or the NUL. */
static const char *skip_quoted(const char *text)
{
	char quote = *text++;

	while (*text && *text != quote) {
		if (*text == '\\' && text[1])
			text++;
		text++;
	}
	return *text ? text + 1 : text;
}

const char *split_command_end(const char *text)
{
	unsigned depth = 0;

	while (*text) {
		if (*text == '"') {
			text = skip_quoted(text);
			continue;
		}
		if (*text == '{')
			depth++;
		else if (*text == '}' && depth > 0)
			depth--;
		else if (depth == 0 && (*text == ';' || *text == '\n'))
			break;
		text++;
	}
	return text;
}

const char *split_line_end(const char *text)
{
	return text + strcspn(text, "\n");
}

const char *split_bracket(const char *text, char open, char close, struct split_part *ret)
{
	unsigned depth = 0;

	if (*text != open)
		return NULL;
	ret->start = text + 1;
	while (*text) {
		if (*text == '"') {
			text = skip_quoted(text);
			continue;
		}
		if (*text == open)
			depth++;
		else if (*text == close && --depth == 0) {
			ret->size = (size_t)(text - ret->start);
			return text + 1;
		}
		text++;
	}
	return NULL;
}

/* One half: quoted with ', or up to the `;`. */
static const char *conditional_half(const char *text, struct split_part *ret)
{
	text = split_skip_blank(text);
	if (*text == '\'') {
		const char *end = text + 1 + strcspn(text + 1, "'\n");

		ret->start = text + 1;
		ret->size = (size_t)(end - ret->start);
		return *end == '\'' ? end + 1 : end;
	}
	ret->start = text;
	text = split_command_end(text);
	ret->size = (size_t)(text - ret->start);
	return text;
}

const char *split_conditional(const char *text, struct split_part *then_ret,
			      struct split_part *else_ret)
{
	text = conditional_half(text, then_ret);
	*else_ret = (struct split_part){ text, 0 };

	const char *next = split_skip_blank(text);
	if (*next != ';')
		return text;
	return conditional_half(next + 1, else_ret);
}

bool split_is_word(const char *text, const char *word)
{
	size_t size = strlen(word);

	return strncmp(text, word, size) == 0 &&
	       (text[size] == '\0' || strchr(" \t\r\n;({\"'", text[size]));
}
