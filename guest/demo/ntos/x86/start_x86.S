/* SPDX-License-Identifier: MIT */
/* Entry points of the processors, and register snapshots. */
#include "guest/demo/ntos/x86/trapmac_x86.inc"

	.text

/* KiSystemStartup(LOADER_PARAMETER_BLOCK *), from the loader: interrupts off, boot stack. */
FUNCTION _KiSystemStartup@4
	push %ebp
	mov %esp, %ebp
	pushl 8(%ebp)
	call _KiInitializeKernel@4
	int3

/* KiApplicationProcessorStart(KPCR *), from the HAL's trampoline: interrupts off, its idle stack. */
FUNCTION _KiApplicationProcessorStart@4
	push %ebp
	mov %esp, %ebp
	pushl 8(%ebp)
	call _KiApplicationProcessorMain@4
	int3

/*
 * NORETURN KiStartIdle(stack top, routine): drop everything that is on the stack and run routine as
 * the outermost frame.
 */
FUNCTION _KiStartIdle@8
	mov 8(%esp), %edx
	mov 4(%esp), %esp
	xor %ebp, %ebp
	push %ebp
	jmp *%edx

/* RtlCaptureContext(CONTEXT *): the caller's registers, as of the return from here. */
FUNCTION _RtlCaptureContext@4
	push %eax
	mov 8(%esp), %eax
	movl $0x10007, (%eax)
	mov %ebx, 0xA4(%eax)
	mov %ecx, 0xAC(%eax)
	mov %edx, 0xA8(%eax)
	mov %esi, 0xA0(%eax)
	mov %edi, 0x9C(%eax)
	mov %ebp, 0xB4(%eax)
	movl $0, 0x8C(%eax)
	mov %gs, 0x8C(%eax)
	movl $0, 0x90(%eax)
	mov %fs, 0x90(%eax)
	movl $0, 0x94(%eax)
	mov %es, 0x94(%eax)
	movl $0, 0x98(%eax)
	mov %ds, 0x98(%eax)
	movl $0, 0xBC(%eax)
	mov %cs, 0xBC(%eax)
	movl $0, 0xC8(%eax)
	mov %ss, 0xC8(%eax)
	pushfl
	popl 0xC0(%eax)
	lea 12(%esp), %ecx
	mov %ecx, 0xC4(%eax)
	mov 4(%esp), %ecx
	mov %ecx, 0xB8(%eax)
	mov (%esp), %ecx
	mov %ecx, 0xB0(%eax)
	mov 0xAC(%eax), %ecx
	pop %eax
	ret $4
