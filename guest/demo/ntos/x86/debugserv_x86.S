/* SPDX-License-Identifier: MIT */
/* Breakpoints and debug services: what the debugger's user sees as the innermost frame. */
#include "guest/demo/ntos/x86/trapmac_x86.inc"
#include "guest/demo/ntos/inc/kdservice.h"

	.text

FUNCTION _DbgBreakPoint@0
	int3
	ret

/* eax = status at the int3, whose address is KDBG.BreakpointWithStatus. */
FUNCTION _DbgBreakPointWithStatus@4
	mov 4(%esp), %eax
	.globl _RtlpBreakWithStatusInstruction
_RtlpBreakWithStatusInstruction:
	int3
	ret $4

/* DebugPrint(STRING *output, component, level): ecx text, edx length, ebx component, edi level */
FUNCTION _DebugPrint@12
	push %ebp
	mov %esp, %ebp
	push %ebx
	push %edi
	mov 8(%ebp), %eax
	mov 4(%eax), %ecx
	movzwl (%eax), %edx
	mov 12(%ebp), %ebx
	mov 16(%ebp), %edi
	mov $BREAKPOINT_PRINT, %eax
	int $0x2D
	int3
	pop %edi
	pop %ebx
	pop %ebp
	ret $12

/* DebugPrompt(STRING *output, STRING *input): ebx the answer's buffer, edi its size; length in eax */
FUNCTION _DebugPrompt@8
	push %ebp
	mov %esp, %ebp
	push %ebx
	push %edi
	mov 12(%ebp), %eax
	mov 4(%eax), %ebx
	movzwl 2(%eax), %edi
	mov 8(%ebp), %eax
	mov 4(%eax), %ecx
	movzwl (%eax), %edx
	mov $BREAKPOINT_PROMPT, %eax
	int $0x2D
	int3
	pop %edi
	pop %ebx
	pop %ebp
	ret $8

/* DebugService2(argument 1, argument 2, service) */
FUNCTION _DebugService2@12
	push %ebp
	mov %esp, %ebp
	mov 8(%ebp), %ecx
	mov 12(%ebp), %edx
	mov 16(%ebp), %eax
	int $0x2D
	int3
	pop %ebp
	ret $12

/* BOOLEAN KiReadMsrSafe(msr, ULONG64 *value): see KiRecoverFault for the labels. */
FUNCTION _KiReadMsrSafe@8
	mov 4(%esp), %ecx
	.globl _KiReadMsrFault
_KiReadMsrFault:
	rdmsr
	mov 8(%esp), %ecx
	mov %eax, (%ecx)
	mov %edx, 4(%ecx)
	mov $1, %eax
	ret $8
	.globl _KiReadMsrRecovery
_KiReadMsrRecovery:
	xor %eax, %eax
	ret $8

/* BOOLEAN KiWriteMsrSafe(msr, ULONG64 value) */
FUNCTION _KiWriteMsrSafe@12
	mov 4(%esp), %ecx
	mov 8(%esp), %eax
	mov 12(%esp), %edx
	.globl _KiWriteMsrFault
_KiWriteMsrFault:
	wrmsr
	mov $1, %eax
	ret $12
	.globl _KiWriteMsrRecovery
_KiWriteMsrRecovery:
	xor %eax, %eax
	ret $12

/* SIZE_T KiCopySafe(to, from, count): bytes that could NOT be copied. By words first; the word that
 * cannot be touched whole is tried by bytes. */
FUNCTION _KiCopySafe@12
	push %ebp
	mov %esp, %ebp
	push %edi
	push %esi
	mov 8(%ebp), %edi
	mov 12(%ebp), %esi
	mov 16(%ebp), %ecx
	mov %ecx, %eax
	shr $2, %ecx
	and $3, %eax
	.globl _KiCopyWordFault
_KiCopyWordFault:
	rep movsl
	.globl _KiCopyWordRecovery
_KiCopyWordRecovery:
	lea (%eax, %ecx, 4), %ecx
	.globl _KiCopyFault
_KiCopyFault:
	rep movsb
	.globl _KiCopyRecovery
_KiCopyRecovery:
	mov %ecx, %eax
	pop %esi
	pop %edi
	pop %ebp
	ret $12
