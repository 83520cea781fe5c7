/* SPDX-License-Identifier: MIT */
/* The d commands' lines, made from bytes that were read already. */
#ifndef APPS_KD_DUMP_H
#define APPS_KD_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include "apps/kd/text.h"

enum dump_style { DUMP_HEX, DUMP_FLOAT, DUMP_BITS };

struct dump_format {
	const char *name; /* the command's letters after `d`: "b", "dW" is "W" */
	uint8_t unit;     /* bytes; 0: a pointer of the target */
	uint8_t per_line;
	uint8_t count; /* by default */
	bool has_text;
	enum dump_style style;
};

/* By the letters after `d`; NULL: not one of them. */
const struct dump_format *dump_format_find(const char *letters);
unsigned dump_unit(const struct dump_format *f, unsigned pointer_size);

/* Bytes of the target; valid[i] 0: byte i could not be read. */
struct dump_block {
	uint64_t address;
	const uint8_t *bytes;
	const uint8_t *valid;
	size_t size;
};

struct dump_options {
	unsigned pointer_size;
	unsigned columns; /* units a line; 0: the format's own */
	bool is_physical; /* `#` before each line, a plain address */
};

bool dump_is_valid(const struct dump_block *b, size_t offset, unsigned size);

/* One unit as the command shows it, question marks when it is not readable. */
void dump_unit_text(struct text *t, const struct dump_format *f, const struct dump_block *b,
		    size_t offset, unsigned unit);
void dump_address(struct text *t, uint64_t address, const struct dump_options *o);
void dump_lines(struct text *t, const struct dump_format *f, const struct dump_block *b,
		const struct dump_options *o);

/*
 * `da`, `du`: a string in quotes, 48 characters a line, from UTF-8 text; bytes that
 * cannot be shown as dots. `unit` 1 or 2 bytes a character advances the address.
 */
void dump_string(struct text *t, uint64_t address, const char *string, unsigned unit,
		 const struct dump_options *o);

#endif
