/* SPDX-License-Identifier: MIT */
#include "guest/demo/ntos/inc/rtl.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntmm.h"

struct output {
	PCHAR at;
	PCHAR end; /* one before the last byte: room for the NUL */
};

struct spec {
	BOOLEAN left, zero, wide_integer, wide_text;
	ULONG width;
};

static VOID put(struct output *out, CHAR c)
{
	if (out->at < out->end)
		*out->at++ = c;
}

static VOID pad(struct output *out, CHAR c, ULONG used, ULONG width)
{
	for (ULONG i = used; i < width; i++)
		put(out, c);
}

static VOID put_text(struct output *out, const struct spec *s, PCSTR text, SIZE_T n)
{
	if (!s->left)
		pad(out, ' ', (ULONG)n, s->width);
	for (SIZE_T i = 0; i < n; i++)
		put(out, text[i]);
	if (s->left)
		pad(out, ' ', (ULONG)n, s->width);
}

static VOID put_wide(struct output *out, const struct spec *s, const WCHAR *text, SIZE_T n)
{
	if (!s->left)
		pad(out, ' ', (ULONG)n, s->width);
	for (SIZE_T i = 0; i < n; i++)
		put(out, text[i] < 0x80 ? (CHAR)text[i] : '?');
	if (s->left)
		pad(out, ' ', (ULONG)n, s->width);
}

static VOID put_number(struct output *out, const struct spec *s, ULONG64 value, ULONG base,
		       BOOLEAN negative, BOOLEAN upper)
{
	PCSTR digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	CHAR text[24];
	ULONG n = 0;

	do {
		text[n++] = digits[value % base];
		value /= base;
	} while (value != 0);
	if (!s->left && !s->zero)
		pad(out, ' ', n + negative, s->width);
	if (negative)
		put(out, '-');
	if (!s->left && s->zero)
		pad(out, '0', n + negative, s->width);
	for (ULONG i = n; i-- > 0;)
		put(out, text[i]);
	if (s->left)
		pad(out, ' ', n + negative, s->width);
}

static PCSTR parse_spec(PCSTR f, struct spec *s)
{
	__builtin_memset(s, 0, sizeof(*s));
	for (;; f++) {
		if (*f == '-')
			s->left = TRUE;
		else if (*f == '0')
			s->zero = TRUE;
		else
			break;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		s->width = s->width > 200 ? 200 : s->width * 10 + (ULONG)(*f - '0');
	for (;; f++) {
		if (f[0] == 'l' && f[1] == 'l') {
			s->wide_integer = TRUE;
			f++;
		} else if (f[0] == 'I' && f[1] == '6' && f[2] == '4') {
			s->wide_integer = TRUE;
			f += 2;
		} else if (*f == 'w') {
			s->wide_text = TRUE;
		} else if (*f != 'l' && *f != 'h') {
			return f;
		}
	}
}

static VOID put_counted(struct output *out, const struct spec *s, const VOID *string)
{
	const UNICODE_STRING *wide = string;
	const STRING *narrow = string;

	if (string == NULL)
		put_text(out, s, "(null)", 6);
	else if (s->wide_text)
		put_wide(out, s, wide->Buffer, wide->Length / 2);
	else
		put_text(out, s, narrow->Buffer, narrow->Length);
}

ULONG RtlStringPrintV(PCHAR Buffer, SIZE_T Size, PCSTR Format, va_list Arguments)
{
	struct output out = { Buffer, Buffer + Size - 1 };
	struct spec s;
	PCSTR text;
	LONG64 i;
	CHAR c;

	for (PCSTR f = Format; *f != '\0'; f++) {
		if (*f != '%') {
			put(&out, *f);
			continue;
		}
		f = parse_spec(f + 1, &s);
		switch (*f) {
		case 'd':
		case 'i':
			i = s.wide_integer ? va_arg(Arguments, LONG64) : va_arg(Arguments, int);
			put_number(&out, &s, i < 0 ? 0 - (ULONG64)i : (ULONG64)i, 10, i < 0, FALSE);
			break;
		case 'u':
		case 'x':
		case 'X':
			put_number(&out, &s,
				   s.wide_integer ? va_arg(Arguments, ULONG64)
						  : va_arg(Arguments, unsigned),
				   *f == 'u' ? 10 : 16, FALSE, *f == 'X');
			break;
		case 'p':
			s.zero = TRUE;
			s.width = 2 * sizeof(PVOID);
			put_number(&out, &s, (ULONG_PTR)va_arg(Arguments, PVOID), 16, FALSE, FALSE);
			break;
		case 'c':
			c = (CHAR)va_arg(Arguments, int);
			put_text(&out, &s, &c, 1);
			break;
		case 's':
			text = va_arg(Arguments, PCSTR);
			text = text != NULL ? text : "(null)";
			put_text(&out, &s, text, RtlStringLength(text));
			break;
		case 'Z': put_counted(&out, &s, va_arg(Arguments, PVOID)); break;
		case '\0': f--; break;
		default: put(&out, *f); break;
		}
	}
	*out.at = '\0';
	return (ULONG)(out.at - Buffer);
}

ULONG RtlStringPrint(PCHAR Buffer, SIZE_T Size, PCSTR Format, ...)
{
	va_list arguments;
	ULONG n;

	va_start(arguments, Format);
	n = RtlStringPrintV(Buffer, Size, Format, arguments);
	va_end(arguments);
	return n;
}

VOID RtlLog(PCSTR Format, ...)
{
	CHAR line[256];
	va_list arguments;

	va_start(arguments, Format);
	RtlStringPrintV(line, sizeof(line), Format, arguments);
	va_end(arguments);
	HalDisplayString(line);
}

SIZE_T RtlStringLength(PCSTR Text)
{
	SIZE_T n = 0;

	while (Text[n] != '\0')
		n++;
	return n;
}

VOID RtlStringCopy(PCHAR To, SIZE_T Size, PCSTR From)
{
	SIZE_T n = RtlStringLength(From);

	if (n > Size - 1)
		n = Size - 1;
	__builtin_memcpy(To, From, n);
	To[n] = '\0';
}

VOID RtlInitString(PSTRING String, PCSTR Text)
{
	String->Buffer = (PCHAR)(ULONG_PTR)Text;
	String->Length = (USHORT)RtlStringLength(Text);
	String->MaximumLength = (USHORT)(String->Length + 1);
}

VOID RtlInitUnicodeString(PUNICODE_STRING String, const WCHAR *Text)
{
	USHORT n = 0;

	while (Text[n] != 0)
		n++;
	String->Buffer = (PWCHAR)(ULONG_PTR)Text;
	String->Length = (USHORT)(2 * n);
	String->MaximumLength = (USHORT)(2 * n + 2);
}

VOID RtlUnicodeToText(PCHAR To, SIZE_T Size, const UNICODE_STRING *From)
{
	SIZE_T n = From->Length / 2;

	if (n > Size - 1)
		n = Size - 1;
	for (SIZE_T i = 0; i < n; i++)
		To[i] = From->Buffer[i] < 0x80 ? (CHAR)From->Buffer[i] : '?';
	To[n] = '\0';
}

NTSTATUS RtlCreateUnicodeString(PUNICODE_STRING String, PCSTR Prefix, PCSTR Text)
{
	SIZE_T n_prefix = RtlStringLength(Prefix);
	SIZE_T n = n_prefix + RtlStringLength(Text);
	PWCHAR buffer;

	if (n > 0x7000)
		return STATUS_INVALID_PARAMETER;
	buffer = ExAllocatePoolWithTag(NonPagedPool, 2 * n + 2, POOL_TAG('S', 't', 'r', ' '));
	if (buffer == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	for (SIZE_T i = 0; i < n; i++)
		buffer[i] = (WCHAR)(UCHAR)(i < n_prefix ? Prefix[i] : Text[i - n_prefix]);
	String->Buffer = buffer;
	String->Length = (USHORT)(2 * n);
	String->MaximumLength = (USHORT)(2 * n + 2);
	return STATUS_SUCCESS;
}
