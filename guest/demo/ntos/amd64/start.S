/* SPDX-License-Identifier: MIT */
/* Entry points of the processors, and register snapshots. */
#include "guest/demo/ntos/amd64/trapmac.inc"

	.text

/* From the loader: rcx = LOADER_PARAMETER_BLOCK, interrupts off, boot stack, loader's tables. */
FRAME_FUNCTION KiSystemStartup
	push %rbp
	.seh_pushreg %rbp
	mov %rsp, %rbp
	.seh_setframe %rbp, 0
	sub $0x20, %rsp
	.seh_stackalloc 0x20
	.seh_endprologue
	call KiInitializeKernel
	int3
	.seh_endproc

/* From HalStartNextProcessor: rcx = KPCR, interrupts off, its idle stack. */
FRAME_FUNCTION KiApplicationProcessorStart
	push %rbp
	.seh_pushreg %rbp
	mov %rsp, %rbp
	.seh_setframe %rbp, 0
	sub $0x20, %rsp
	.seh_stackalloc 0x20
	.seh_endprologue
	call KiApplicationProcessorMain
	int3
	.seh_endproc

/*
 * NORETURN KiStartIdle(stack top, routine): drop everything that is on the stack and run routine as
 * the outermost frame.
 */
FRAME_FUNCTION KiStartIdle
	.seh_endprologue
	mov %rcx, %rsp
	xor %ebp, %ebp
	push %rbp
	jmp *%rdx
	.seh_endproc

/* RtlCaptureContext(CONTEXT *): the caller's registers, as of the return from here. */
FRAME_FUNCTION RtlCaptureContext
	pushfq
	.seh_stackalloc 8
	.seh_endprologue
	movl $0x10000F, 0x30(%rcx)
	stmxcsr 0x34(%rcx)
	movw %cs, 0x38(%rcx)
	movw %ds, 0x3A(%rcx)
	movw %es, 0x3C(%rcx)
	movw %fs, 0x3E(%rcx)
	movw %gs, 0x40(%rcx)
	movw %ss, 0x42(%rcx)
	mov (%rsp), %eax
	mov %eax, 0x44(%rcx)
	mov %rax, 0x78(%rcx)
	mov %rcx, 0x80(%rcx)
	mov %rdx, 0x88(%rcx)
	mov %rbx, 0x90(%rcx)
	lea 0x10(%rsp), %rax
	mov %rax, 0x98(%rcx)
	mov %rbp, 0xA0(%rcx)
	mov %rsi, 0xA8(%rcx)
	mov %rdi, 0xB0(%rcx)
	mov %r8, 0xB8(%rcx)
	mov %r9, 0xC0(%rcx)
	mov %r10, 0xC8(%rcx)
	mov %r11, 0xD0(%rcx)
	mov %r12, 0xD8(%rcx)
	mov %r13, 0xE0(%rcx)
	mov %r14, 0xE8(%rcx)
	mov %r15, 0xF0(%rcx)
	mov 8(%rsp), %rax
	mov %rax, 0xF8(%rcx)
	fxsave 0x100(%rcx)
	add $8, %rsp
	ret
	.seh_endproc

/*
 * An interrupt that stops this CPU needs the nonvolatile registers too: build the exception frame
 * and call KiFreezeTargetExecution(trap frame, exception frame). What the debugger changed comes
 * back through both frames.
 */
EXCEPTION_FRAME_PROLOG KiIpiWithExceptionFrame, 0
	mov %rsp, %rdx
	call KiFreezeTargetExecution
	EXCEPTION_FRAME_RESTORE
	add $EX_LENGTH, %rsp
	ret
	.seh_endproc
