/* SPDX-License-Identifier: MIT */
#include "apps/kd/dump.h"

#include <ctype.h>
#include <string.h>

#include "apps/kd/value.h"

/* clang-format off */
static const struct dump_format formats[] = {
	{ "b",  1, 16, 128, true,  DUMP_HEX },
	{ "w",  2,  8,  64, false, DUMP_HEX },
	{ "W",  2,  8,  64, true,  DUMP_HEX },
	{ "d",  4,  4,  32, false, DUMP_HEX },
	{ "c",  4,  4,  32, true,  DUMP_HEX },
	{ "q",  8,  2,  16, false, DUMP_HEX },
	{ "p",  0,  2,  16, false, DUMP_HEX },
	{ "f",  4,  4,  16, false, DUMP_FLOAT },
	{ "D",  8,  3,  15, false, DUMP_FLOAT },
	{ "yb", 1,  4,  32, false, DUMP_BITS },
	{ "yd", 4,  1,   8, false, DUMP_BITS },
};
/* clang-format on */

const struct dump_format *dump_format_find(const char *letters)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(formats); i++)
		if (strcmp(formats[i].name, letters) == 0)
			return &formats[i];
	return NULL;
}

unsigned dump_unit(const struct dump_format *f, unsigned pointer_size)
{
	return f->unit ? f->unit : pointer_size;
}

bool dump_is_valid(const struct dump_block *b, size_t offset, unsigned size)
{
	if (offset > b->size || size > b->size - offset)
		return false;
	for (unsigned i = 0; i < size; i++)
		if (!b->valid[offset + i])
			return false;
	return true;
}

static void add_hex(struct text *t, uint64_t value, unsigned unit)
{
	if (unit == 8)
		text_add(t, value_hex64(value).s);
	else
		text_add(t, value_register(value, unit).s);
}

static void add_question_marks(struct text *t, unsigned unit)
{
	static const char marks[] = "????????????????";

	if (unit == 8)
		text_add(t, "????????`????????");
	else
		text_append(t, marks, 2 * unit);
}

static void add_float(struct text *t, uint64_t value, unsigned unit)
{
	if (unit == 4)
		text_printf(t, "%16.8g", (double)value_float((uint32_t)value));
	else
		text_printf(t, "%24.16g", value_double(value));
}

void dump_unit_text(struct text *t, const struct dump_format *f, const struct dump_block *b,
		    size_t offset, unsigned unit)
{
	if (!dump_is_valid(b, offset, unit)) {
		if (f->style == DUMP_FLOAT)
			text_printf(t, "%*s", unit == 4 ? 16 : 24, "????????");
		else
			add_question_marks(t, unit);
		return;
	}
	uint64_t value = value_load(b->bytes + offset, unit);
	if (f->style == DUMP_FLOAT)
		add_float(t, value, unit);
	else
		add_hex(t, value, unit);
}

void dump_address(struct text *t, uint64_t address, const struct dump_options *o)
{
	if (o->is_physical)
		text_printf(t, "#%8llx  ", (unsigned long long)address);
	else
		text_printf(t, "%s  ", value_address(address, o->pointer_size).s);
}

static void add_ascii(struct text *t, const struct dump_block *b, size_t offset, size_t size)
{
	for (size_t i = offset; i < offset + size && i < b->size; i++) {
		char c = b->valid[i] ? (char)b->bytes[i] : '?';

		c = c >= 0x20 && c < 0x7f ? c : '.';
		text_append(t, &c, 1);
	}
}

/* One line of hex or float units; a short last line is padded when text follows. */
static void hex_line(struct text *t, const struct dump_format *f, const struct dump_block *b,
		     const struct dump_options *o, size_t offset, unsigned unit, unsigned columns)
{
	dump_address(t, b->address + offset, o);
	for (unsigned i = 0; i < columns; i++) {
		size_t at = offset + (size_t)i * unit;

		if (i > 0)
			text_add(t, unit == 1 && i == columns / 2 && columns == 16 && at < b->size
					    ? "-"
					    : " ");
		if (at < b->size)
			dump_unit_text(t, f, b, at, unit);
		else if (f->has_text)
			text_printf(t, "%*s", (int)unit * 2, "");
	}
	if (f->has_text) {
		text_add(t, "  ");
		add_ascii(t, b, offset, (size_t)columns * unit);
	} else {
		while (t->size > 0 && t->data[t->size - 1] == ' ')
			t->data[--t->size] = '\0';
	}
	text_add(t, "\n");
}

static void bits_heading(struct text *t, const struct dump_options *o, unsigned unit,
			 unsigned columns)
{
	static const char *const rows[2][2] = {
		{ " 76543210", " --------" },
		{ " 10987654 32109876 54321098 76543210", " -------- -------- -------- --------" },
	};
	struct text address = TEXT_INIT;

	dump_address(&address, 0, o);
	for (unsigned row = 0; row < 2; row++) {
		text_printf(t, "%*s", (int)address.size - 1, "");
		for (unsigned i = 0; i < columns; i++)
			text_add(t, rows[unit == 4][row]);
		text_add(t, "\n");
	}
	text_free(&address);
}

static void add_unit_bits(struct text *t, const struct dump_block *b, size_t at, unsigned unit)
{
	for (unsigned byte = unit; byte-- > 0;) {
		char bits[9] = "????????";

		if (dump_is_valid(b, at + byte, 1))
			value_binary(bits, b->bytes[at + byte], 8);
		text_printf(t, "%s%s", byte == unit - 1 ? "" : " ", bits);
	}
}

static void bits_line(struct text *t, const struct dump_format *f, const struct dump_block *b,
		      const struct dump_options *o, size_t offset, unsigned unit, unsigned columns)
{
	dump_address(t, b->address + offset, o);
	for (unsigned i = 0; i < columns; i++) {
		size_t at = offset + (size_t)i * unit;

		if (at < b->size)
			add_unit_bits(t, b, at, unit);
		else
			text_printf(t, "%*s", (int)(9 * unit - 1), "");
		text_add(t, " ");
	}
	for (unsigned i = 0; i < columns; i++) {
		size_t at = offset + (size_t)i * unit;

		if (at >= b->size)
			break;
		text_add(t, " ");
		dump_unit_text(t, f, b, at, unit);
	}
	text_add(t, "\n");
}

void dump_lines(struct text *t, const struct dump_format *f, const struct dump_block *b,
		const struct dump_options *o)
{
	unsigned unit = dump_unit(f, o->pointer_size);
	unsigned columns = o->columns ? o->columns : f->per_line;

	if (!f->unit && unit == 4 && !o->columns)
		columns = 4; /* dp on a 32-bit target is dd */
	if (f->style == DUMP_BITS)
		bits_heading(t, o, unit, columns);
	for (size_t at = 0; at < b->size; at += (size_t)columns * unit)
		(f->style == DUMP_BITS ? bits_line : hex_line)(t, f, b, o, at, unit, columns);
}

/* Bytes of one character of UTF-8, at least 1. */
static size_t character_size(const char *s)
{
	size_t n = 1;

	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

void dump_string(struct text *t, uint64_t address, const char *string, unsigned unit,
		 const struct dump_options *o)
{
	enum { PER_LINE = 48 };

	do {
		unsigned n = 0;

		dump_address(t, address, o);
		text_add(t, "\"");
		for (; *string && n < PER_LINE; n++) {
			size_t size = character_size(string);

			if (size == 1 && !isprint((unsigned char)*string))
				text_add(t, ".");
			else
				text_append(t, string, size);
			string += size;
		}
		text_add(t, "\"\n");
		address += (uint64_t)n * unit;
	} while (*string);
}
