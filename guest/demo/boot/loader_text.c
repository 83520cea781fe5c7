/* SPDX-License-Identifier: MIT */
#include "guest/demo/boot/loader.h"

static void put(char c)
{
	__asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((uint16_t)0xE9));
}

void loader_print(const char *text)
{
	while (*text != '\0')
		put(*text++);
}

void loader_print_hex(uint64_t value)
{
	loader_print("0x");
	for (int shift = 60; shift >= 0; shift -= 4) {
		if (shift == 0 || value >> shift != 0)
			put("0123456789abcdef"[value >> shift & 15]);
	}
}

void loader_fail(const char *what, const char *name)
{
	loader_print("loader: ");
	loader_print(what);
	if (name != NULL) {
		loader_print(": ");
		loader_print(name);
	}
	loader_print("\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

bool loader_text_starts(const char *text, const char *prefix)
{
	for (; *prefix != '\0'; text++, prefix++) {
		if (*text != *prefix)
			return false;
	}
	return true;
}

size_t loader_text_length(const char *text, size_t max)
{
	size_t n = 0;

	while (n < max && text[n] != '\0')
		n++;
	return n;
}

void loader_text_copy(char *to, size_t size, const char *from)
{
	size_t n = loader_text_length(from, size - 1);

	__builtin_memcpy(to, from, n);
	to[n] = '\0';
}
