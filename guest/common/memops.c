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
 * The barriers keep clang from turning the loops into calls of the functions themselves. Words, in
 * steps of eight: an emulator pays for each turn, whatever its width, and runs this several times
 * as fast as `rep movs`.
 */
#define BARRIER() __asm__ volatile("" : : : "memory")
#ifdef __x86_64__
#define FILL_WORDS "rep stosq"
#else
#define FILL_WORDS "rep stosl"
#endif
enum { WORD = sizeof(uintptr_t) };
typedef uintptr_t __attribute__((may_alias, aligned(1))) word;

void *CDECL memcpy(void *restrict to, const void *restrict from, size_t n)
{
	const word *s = from;
	word *d = to;
	const uint8_t *s8;
	uint8_t *d8;

	for (; n >= 8 * WORD; n -= 8 * WORD, d += 8, s += 8) {
		d[0] = s[0];
		d[1] = s[1];
		d[2] = s[2];
		d[3] = s[3];
		d[4] = s[4];
		d[5] = s[5];
		d[6] = s[6];
		d[7] = s[7];
		BARRIER();
	}
	for (; n >= WORD; n -= WORD) {
		*d++ = *s++;
		BARRIER();
	}
	s8 = (const uint8_t *)s;
	d8 = (uint8_t *)d;
	while (n-- != 0) {
		*d8++ = *s8++;
		BARRIER();
	}
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
		BARRIER();
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
