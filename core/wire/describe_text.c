/* SPDX-License-Identifier: MIT */
/* Values as text, without printf: the same in a guest as on the host. */
#include "core/wire/describe.h"

#include <stdbool.h>

#include "core/bytes.h"

struct text {
	char *out;
	size_t cap;
	size_t length;
	bool is_cut;
};

static void put_char(struct text *t, char c)
{
	if (t->length + 1 < t->cap)
		t->out[t->length++] = c;
	else
		t->is_cut = true;
}

static void put_string(struct text *t, const char *s)
{
	while (*s)
		put_char(t, *s++);
}

static void put_hex(struct text *t, uint64_t value, unsigned n_digits)
{
	for (unsigned i = n_digits; i-- > 0;)
		put_char(t, "0123456789abcdef"[value >> (4 * i) & 15]);
}

static void put_hex_short(struct text *t, uint64_t value)
{
	unsigned n_digits = 1;

	while (n_digits < 16 && value >> (4 * n_digits))
		n_digits++;
	put_string(t, "0x");
	put_hex(t, value, n_digits);
}

/* By subtraction: a 32-bit guest has no 64-bit division. */
static void put_dec(struct text *t, uint64_t value)
{
	static const uint64_t powers[] = {
		10000000000000000000u,
		1000000000000000000u,
		100000000000000000u,
		10000000000000000u,
		1000000000000000u,
		100000000000000u,
		10000000000000u,
		1000000000000u,
		100000000000u,
		10000000000u,
		1000000000u,
		100000000u,
		10000000u,
		1000000u,
		100000u,
		10000u,
		1000u,
		100u,
		10u,
		1u,
	};
	size_t i = 0;

	while (powers[i] > 1 && powers[i] > value)
		i++;
	for (; i < sizeof(powers) / sizeof(powers[0]); i++) {
		char digit = '0';

		for (; value >= powers[i]; value -= powers[i])
			digit++;
		put_char(t, digit);
	}
}

static void put_escaped(struct text *t, uint32_t c, unsigned n_digits)
{
	const char *const controls = "t\tn\nr\r\"\"\\\\0\0";

	for (unsigned i = 0; i < 12; i += 2)
		if (c == (uint8_t)controls[i + 1]) {
			put_char(t, '\\');
			put_char(t, controls[i]);
			return;
		}
	if (c >= 0x20 && c < 0x7F) {
		put_char(t, (char)c);
		return;
	}
	put_string(t, n_digits == 2 ? "\\x" : "\\u");
	put_hex(t, c, n_digits);
}

static void put_characters(struct text *t, const struct kd_described *d)
{
	size_t step = d->format == KD_FORMAT_UTF16 ? 2 : 1;

	put_char(t, '"');
	for (size_t i = 0; i + step <= d->size; i += step)
		put_escaped(t, (uint32_t)kd_get_sized(d->bytes + i, step), (unsigned)step * 2);
	put_char(t, '"');
}

static void put_number(struct text *t, enum kd_format format, uint64_t value, size_t size)
{
	if (format == KD_FORMAT_DEC) {
		put_dec(t, value);
	} else if (format == KD_FORMAT_ADDR || format == KD_FORMAT_NTSTATUS) {
		put_string(t, "0x");
		put_hex(t, value, (unsigned)size * 2);
	} else {
		put_hex_short(t, value);
	}
}

static void put_elements(struct text *t, const struct kd_described *d)
{
	bool is_bytes = d->format == KD_FORMAT_BYTES;
	size_t step = is_bytes ? 1 : d->element_size;

	for (size_t i = 0; i + step <= d->size && !t->is_cut; i += step) {
		uint64_t value = kd_get_sized(d->bytes + i, step);

		if (i)
			put_char(t, ' ');
		if (is_bytes)
			put_hex(t, value, 2);
		else
			put_number(t, d->format, value, step);
	}
}

bool kd_described_is_number(const struct kd_described *d)
{
	bool is_raw = d->format == KD_FORMAT_BYTES || d->format == KD_FORMAT_CHARS ||
		      d->format == KD_FORMAT_UTF16;

	return !is_raw && d->size == d->element_size;
}

size_t kd_described_text(char *out, size_t cap, const struct kd_described *d)
{
	struct text t = { .out = out, .cap = cap };

	if (cap == 0)
		return 0;
	if (d->format == KD_FORMAT_CHARS || d->format == KD_FORMAT_UTF16)
		put_characters(&t, d);
	else
		put_elements(&t, d);
	if (d->text) {
		put_char(&t, ' ');
		put_string(&t, d->text);
	}
	for (unsigned i = 0; t.is_cut && i < 3 && i < t.length; i++)
		out[t.length - 1 - i] = '.';
	out[t.length] = '\0';
	return t.length;
}
