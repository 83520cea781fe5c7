/* SPDX-License-Identifier: MIT */
/* Breakpoints and debug services: what the debugger's user sees as the innermost frame. */
#include "guest/demo/ntos/amd64/trapmac.inc"
#include "guest/demo/ntos/inc/kdservice.h"

	.text

FUNCTION DbgBreakPoint
	int3
	ret

/* ecx = status. KDBG.BreakpointWithStatus is the address of the int3. */
FUNCTION DbgBreakPointWithStatus
	.globl RtlpBreakWithStatusInstruction
RtlpBreakWithStatusInstruction:
	int3
	ret

/* DebugPrint(STRING *output, component, level) */
FUNCTION DebugPrint
	mov %r8d, %r9d
	mov %edx, %r8d
	movzwl (%rcx), %edx
	mov 8(%rcx), %rcx
	mov $BREAKPOINT_PRINT, %eax
	int $0x2D
	int3
	ret

/* DebugPrompt(STRING *output, STRING *input): the answer's length in eax */
FUNCTION DebugPrompt
	movzwl 2(%rdx), %r9d
	mov 8(%rdx), %r8
	movzwl (%rcx), %edx
	mov 8(%rcx), %rcx
	mov $BREAKPOINT_PROMPT, %eax
	int $0x2D
	int3
	ret

/* DebugService2(argument 1, argument 2, service) */
FUNCTION DebugService2
	mov %r8d, %eax
	int $0x2D
	int3
	ret

/* BOOLEAN KiReadMsrSafe(ecx msr, rdx value): see KiRecoverFault for the labels. */
FUNCTION KiReadMsrSafe
	mov %rdx, %r8
	.globl KiReadMsrFault
KiReadMsrFault:
	rdmsr
	shl $32, %rdx
	mov %eax, %eax
	or %rdx, %rax
	mov %rax, (%r8)
	mov $1, %eax
	ret
	.globl KiReadMsrRecovery, KiWriteMsrRecovery
KiReadMsrRecovery:
KiWriteMsrRecovery:
	xor %eax, %eax
	ret

/* BOOLEAN KiWriteMsrSafe(ecx msr, rdx value) */
FUNCTION KiWriteMsrSafe
	mov %edx, %eax
	shr $32, %rdx
	.globl KiWriteMsrFault
KiWriteMsrFault:
	wrmsr
	mov $1, %eax
	ret

/* SIZE_T KiCopySafe(rcx to, rdx from, r8 count): bytes that could NOT be copied. By words first;
 * the word that cannot be touched whole is tried by bytes. */
FRAME_FUNCTION KiCopySafe
	push %rdi
	.seh_pushreg %rdi
	push %rsi
	.seh_pushreg %rsi
	.seh_endprologue
	mov %rcx, %rdi
	mov %rdx, %rsi
	mov %r8, %rcx
	shr $3, %rcx
	mov %r8d, %eax
	and $7, %eax
	.globl KiCopyWordFault
KiCopyWordFault:
	rep movsq
	.globl KiCopyWordRecovery
KiCopyWordRecovery:
	lea (%rax, %rcx, 8), %rcx
	.globl KiCopyFault
KiCopyFault:
	rep movsb
	.globl KiCopyRecovery
KiCopyRecovery:
	mov %rcx, %rax
	pop %rsi
	pop %rdi
	ret
	.seh_endproc
