/* SPDX-License-Identifier: MIT */
#include "apps/kd/value.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef unsigned long long ull;

struct short_text value_hex64(uint64_t value)
{
	struct short_text t;

	snprintf(t.s, sizeof(t.s), "%08x`%08x", (unsigned)(value >> 32), (unsigned)value);
	return t;
}

struct short_text value_address(uint64_t value, unsigned pointer_size)
{
	struct short_text t;

	if (pointer_size != 4)
		return value_hex64(value);
	snprintf(t.s, sizeof(t.s), "%08x", (unsigned)value);
	return t;
}

struct short_text value_json(uint64_t value)
{
	struct short_text t;

	snprintf(t.s, sizeof(t.s), "0x%llx", (ull)value);
	return t;
}

struct short_text value_register(uint64_t value, unsigned size)
{
	struct short_text t;

	if (size < 8)
		value &= (UINT64_C(1) << (8 * size)) - 1;
	snprintf(t.s, sizeof(t.s), "%0*llx", (int)(2 * size), (ull)value);
	return t;
}

void value_binary(char *text, uint64_t value, unsigned n_bits)
{
	for (unsigned i = 0; i < n_bits; i++)
		text[i] = (value >> (n_bits - 1 - i)) & 1 ? '1' : '0';
	text[n_bits] = '\0';
}

float value_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

double value_double(uint64_t bits)
{
	double d;

	memcpy(&d, &bits, sizeof(d));
	return d;
}

uint64_t value_load(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = size; i-- > 0;)
		value = value << 8 | bytes[i];
	return value;
}

void value_store(uint8_t *bytes, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++, value >>= 8)
		bytes[i] = (uint8_t)value;
}

uint64_t value_extend(uint64_t value, unsigned pointer_size)
{
	return pointer_size == 4 ? (uint64_t)(int64_t)(int32_t)(uint32_t)value : value;
}

enum { FILETIMES_PER_SECOND = 10000000 };
static const uint64_t UNIX_EPOCH_AS_FILETIME = UINT64_C(116444736000000000);

void value_filetime(char *text, size_t size, uint64_t filetime)
{
	if (filetime < UNIX_EPOCH_AS_FILETIME || filetime >> 62) {
		snprintf(text, size, "%llu (before 1970 or too far)", (ull)filetime);
		return;
	}
	uint64_t units = filetime - UNIX_EPOCH_AS_FILETIME;
	time_t seconds = (time_t)(units / FILETIMES_PER_SECOND);
	unsigned ms = (unsigned)(units % FILETIMES_PER_SECOND / 10000);
	char date[64], year[16];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S", &tm);
	strftime(year, sizeof(year), "%Y", &tm);
	snprintf(text, size, "%s.%03u %s (UTC)", date, ms, year);
}

void value_interval(char *text, size_t size, uint64_t units)
{
	uint64_t seconds = units / FILETIMES_PER_SECOND;
	unsigned ms = (unsigned)(units % FILETIMES_PER_SECOND / 10000);

	snprintf(text, size, "%llu days %u:%02u:%02u.%03u", (ull)(seconds / 86400),
		 (unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
		 (unsigned)(seconds % 60), ms);
}

static void add_chars(struct text *t, uint64_t value, unsigned size)
{
	for (unsigned i = size; i-- > 0;) {
		char c = (char)(value >> (8 * i));

		text_printf(t, "%c", isprint((unsigned char)c) ? c : '.');
	}
}

/* time_t below 2^32 is a Unix time, as WinDbg reads it; else a FILETIME. */
static void add_time(struct text *t, uint64_t value)
{
	char line[96];
	uint64_t filetime = value;

	if (value <= UINT32_MAX)
		filetime = value * FILETIMES_PER_SECOND + UNIX_EPOCH_AS_FILETIME;
	value_filetime(line, sizeof(line), filetime);
	text_printf(t, "  Time:    %s\n", line);
}

void value_formats(struct text *t, uint64_t value, unsigned pointer_size)
{
	unsigned size = pointer_size == 4 && value <= UINT32_MAX ? 4 : 8;
	int64_t number = size == 4 ? (int32_t)(uint32_t)value : (int64_t)value;

	text_printf(t, "  Hex:     %s\n", value_address(value, size).s);
	text_printf(t, "  Decimal: %lld\n", (long long)number);
	text_printf(t, "  Octal:   %0*llo\n", size == 4 ? 11 : 22, (ull)value);
	text_add(t, "  Binary: ");
	for (unsigned i = size; i-- > 0;) {
		char bits[9];

		value_binary(bits, value >> (8 * i) & 0xff, 8);
		text_printf(t, " %s", bits);
	}
	text_add(t, "\n  Chars:   ");
	add_chars(t, value, size);
	text_add(t, "\n");
	add_time(t, value);
	text_printf(t, "  Float:   low %g high %g\n", (double)value_float((uint32_t)value),
		    (double)value_float((uint32_t)(value >> 32)));
	text_printf(t, "  Double:  %g\n", value_double(value));
}
