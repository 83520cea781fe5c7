/* SPDX-License-Identifier: MIT */
/*
 * The four functions a compiler may call in freestanding code, cdecl on x86. Every PE module of
 * ours and the boot loader link their own copy: a debugger transport must not depend on code it may
 * be debugging.
 */
#include "guest/common/nt_base.h"

void *CDECL memcpy(void *restrict to, const void *restrict from, size_t n);
void *CDECL memmove(void *to, const void *from, size_t n);
void *CDECL memset(void *to, int value, size_t n);
int CDECL memcmp(const void *a, const void *b, size_t n);

/*
 * `rep movs` keeps clang from turning the loop into a call to the function itself. By words first:
 * an emulator pays for each turn, whatever its width.
 */
#ifdef __x86_64__
#define MOVE_WORDS "rep movsq"
#define FILL_WORDS "rep stosq"
#else
#define MOVE_WORDS "rep movsl"
#define FILL_WORDS "rep stosl"
#endif
enum { WORD = sizeof(uintptr_t) };

void *CDECL memcpy(void *restrict to, const void *restrict from, size_t n)
{
	size_t words = n / WORD, rest = n % WORD;
	void *d = to;

	__asm__ volatile(MOVE_WORDS : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(rest) : : "memory");
	return to;
}

void *CDECL memmove(void *to, const void *from, size_t n)
{
	const uint8_t *s = (const uint8_t *)from + n;
	uint8_t *d = (uint8_t *)to + n;

	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);
	while (n-- != 0) {
		*--d = *--s;
		__asm__ volatile("" : : : "memory");
	}
	return to;
}

void *CDECL memset(void *to, int value, size_t n)
{
	uintptr_t word = (uint8_t)value * (UINTPTR_MAX / 0xFF);
	size_t words = n / WORD, rest = n % WORD;
	void *d = to;

	__asm__ volatile(FILL_WORDS : "+D"(d), "+c"(words) : "a"(word) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(word) : "memory");
	return to;
}

int CDECL memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a;
	const uint8_t *y = b;

	for (size_t i = 0; i < n; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}
