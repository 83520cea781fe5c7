/* SPDX-License-Identifier: MIT */
/*
 * 64-bit division for x86, under the names compilers for Windows call: arguments on the stack,
 * taken off by the callee. Not for core/, which does without.
 */
#include "guest/common/nt_base.h"

#define HELPER(type, name, symbol)                            \
	type NTAPI name(type value, type by) __asm__(symbol); \
	type NTAPI name(type value, type by)

struct division {
	ULONG64 quotient, remainder;
};

/* value / by where the quotient fits 32 bits. */
static ULONG divide32(ULONG high, ULONG low, ULONG by, PULONG remainder)
{
	ULONG quotient;

	__asm__("divl %4" : "=a"(quotient), "=d"(*remainder) : "a"(low), "d"(high), "rm"(by));
	return quotient;
}

static struct division divide(ULONG64 value, ULONG64 by)
{
	struct division d = { 0, value };

	if (by >> 32 == 0) {
		ULONG remainder = 0, by32 = (ULONG)by;
		ULONG high = divide32(0, (ULONG)(value >> 32), by32, &remainder);

		d.quotient = (ULONG64)high << 32 |
			     divide32(remainder, (ULONG)value, by32, &remainder);
		d.remainder = remainder;
		return d;
	}
	for (int shift = 31; shift >= 0; shift--) { /* by has more than 32 bits */
		if (d.remainder >> shift >= by) {
			d.remainder -= by << shift;
			d.quotient |= 1ull << shift;
		}
	}
	return d;
}

static ULONG64 magnitude(LONG64 value)
{
	return value < 0 ? 0 - (ULONG64)value : (ULONG64)value;
}

HELPER(ULONG64, unsigned_quotient, "__aulldiv")
{
	return divide(value, by).quotient;
}

HELPER(ULONG64, unsigned_remainder, "__aullrem")
{
	return divide(value, by).remainder;
}

HELPER(LONG64, signed_quotient, "__alldiv")
{
	ULONG64 q = divide(magnitude(value), magnitude(by)).quotient;

	return (LONG64)((value < 0) != (by < 0) ? 0 - q : q);
}

HELPER(LONG64, signed_remainder, "__allrem")
{
	ULONG64 r = divide(magnitude(value), magnitude(by)).remainder;

	return (LONG64)(value < 0 ? 0 - r : r);
}
