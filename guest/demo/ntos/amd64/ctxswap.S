/* SPDX-License-Identifier: MIT */
/* Switching kernel stacks. */
#include "guest/demo/ntos/amd64/trapmac.inc"

	.text

/*
 * KiSwapContext(old thread, new thread): saves the nonvolatile registers in an exception frame and
 * calls SwapContext, which leaves a KSWITCH_FRAME at KTHREAD.KernelStack. A debugger unwinds a
 * thread that does not run from the Return field of that frame, which points in here. Returns
 * when somebody switches back to the old thread.
 */
EXCEPTION_FRAME_PROLOG KiSwapContext, 0
	call SwapContext
	EXCEPTION_FRAME_RESTORE
	add $EX_LENGTH, %rsp
	ret
	.seh_endproc

FRAME_FUNCTION SwapContext
	sub $SW_RETURN, %rsp
	.seh_stackalloc SW_RETURN
	mov %rbp, SW_RBP(%rsp)
	.seh_savereg %rbp, SW_RBP
	.seh_endprologue
	movb $0, SW_APC_BYPASS(%rsp)
	mov %rsp, TH_KERNEL_STACK(%rcx)
	mov TH_KERNEL_STACK(%rdx), %rsp
	mov SW_RBP(%rsp), %rbp
	add $SW_RETURN, %rsp
	ret
	.seh_endproc

/*
 * First code of every new thread: KeInitializeThread built a switch frame that returns here with
 * the start parameters on the stack (a KSTART_FRAME). The zero return address ends stack walks.
 */
FRAME_FUNCTION KiStartSystemThread
	.seh_stackalloc 0x38
	.seh_endprologue
	mov 0x20(%rsp), %rcx
	mov 0x28(%rsp), %rdx
	mov 0x30(%rsp), %r8
	call KiThreadStartup
	int3
	.seh_endproc

/*
 * NTSTATUS ExTryCall(routine, context): call routine(context); if an exception is raised in it that
 * nobody else handles, come back here with its code. RtlDispatchException does the return by
 * loading the registers of the innermost KTRY_FRAME of the thread.
 */
FRAME_FUNCTION ExTryCall
	push %rbp
	.seh_pushreg %rbp
	sub $0x90, %rsp
	.seh_stackalloc 0x90
	.seh_endprologue
	mov %rsp, %rax
	mov %rax, 0x20 + TRY_RSP(%rsp)
	mov %rbp, 0x20 + TRY_RBP(%rsp)
	mov %rbx, 0x20 + TRY_RBX(%rsp)
	mov %rsi, 0x20 + TRY_RSI(%rsp)
	mov %rdi, 0x20 + TRY_RDI(%rsp)
	mov %r12, 0x20 + TRY_R12(%rsp)
	mov %r13, 0x20 + TRY_R13(%rsp)
	mov %r14, 0x20 + TRY_R14(%rsp)
	mov %r15, 0x20 + TRY_R15(%rsp)
	lea 1f(%rip), %rax
	mov %rax, 0x20 + TRY_RIP(%rsp)
	mov %rcx, 0x80(%rsp)
	mov %rdx, 0x88(%rsp)
	lea 0x20(%rsp), %rcx
	call KiPushTryFrame
	mov 0x88(%rsp), %rcx
	call *0x80(%rsp)
	mov %eax, 0x80(%rsp)
	call KiPopTryFrame
	mov 0x80(%rsp), %eax
1:	add $0x90, %rsp		/* an exception arrives here with eax = code, frame popped */
	pop %rbp
	ret
	.seh_endproc
