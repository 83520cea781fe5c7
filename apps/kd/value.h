/* SPDX-License-Identifier: MIT */
/* Numbers as WinDbg writes them. */
#ifndef APPS_KD_VALUE_H
#define APPS_KD_VALUE_H

#include <stdint.h>

#include "apps/kd/text.h"

/* A small string by value: valid until the end of the full expression it is made in. */
struct short_text {
	char s[40];
};

/* "fffff802`3b1c5a10", or 8 digits for targets of 4-byte pointers. */
struct short_text value_address(uint64_t value, unsigned pointer_size);
/* "00000000`00000123" whatever the target is. */
struct short_text value_hex64(uint64_t value);
/* "0xfffff8023b1c5a10": addresses in JSON. */
struct short_text value_json(uint64_t value);
/* 16 or 8 digits without a backtick (registers). */
struct short_text value_register(uint64_t value, unsigned size);

/* What `.formats` prints for a value. */
void value_formats(struct text *t, uint64_t value, unsigned pointer_size);
/* "00110010", most significant bit first. */
void value_binary(char *text, uint64_t value, unsigned n_bits);
/* FILETIME (100 ns since 1601) as "Sat Nov 21 06:00:00.000 2026 (UTC)". */
void value_filetime(char *text, size_t size, uint64_t filetime);
/* 100 ns units as "1 days 2:03:04.567". */
void value_interval(char *text, size_t size, uint64_t units);

float value_float(uint32_t bits);
double value_double(uint64_t bits);

/* Little-endian bytes to a number; size 1, 2, 4, 8. */
uint64_t value_load(const uint8_t *bytes, unsigned size);
void value_store(uint8_t *bytes, unsigned size, uint64_t value);
/* 0x80000000 of a 4-byte pointer is 0xffffffff80000000. */
uint64_t value_extend(uint64_t value, unsigned pointer_size);

#endif
