/* SPDX-License-Identifier: MIT */
/* Text. */
#ifndef KD_DEMO_RTL_H
#define KD_DEMO_RTL_H

#include <stdarg.h>

#include "guest/common/nt_base.h"

/**
 * printf of the kernel: %d %i %u %x %X %p %c %s %wZ (UNICODE_STRING *) %Z (STRING *) %S (wide), %%,
 * with l, ll, I64, h, width, 0 and -. Always terminates; returns the length written, without the
 * NUL.
 */
ULONG RtlStringPrintV(PCHAR Buffer, SIZE_T Size, PCSTR Format, va_list Arguments);
ULONG RtlStringPrint(PCHAR Buffer, SIZE_T Size, PCSTR Format, ...)
	__attribute__((format(__printf__, 3, 4)));
/** A line to screen and debug console. */
VOID RtlLog(PCSTR Format, ...);

SIZE_T RtlStringLength(PCSTR Text);
VOID RtlStringCopy(PCHAR To, SIZE_T Size, PCSTR From);
VOID RtlInitString(PSTRING String, PCSTR Text);
/** Narrow, replacing what is not ASCII by '?'. */
VOID RtlUnicodeToText(PCHAR To, SIZE_T Size, const UNICODE_STRING *From);
/** Pool copy of `Prefix` + `Text`, wide; free with ExFreePoolWithTag(Buffer). */
NTSTATUS RtlCreateUnicodeString(PUNICODE_STRING String, PCSTR Prefix, PCSTR Text);

#endif
