/* SPDX-License-Identifier: MIT */
/* Switching kernel stacks. */
#include "guest/demo/ntos/x86/trapmac_x86.inc"

	.text

/*
 * KiSwapContext(ecx old thread, edx new thread): saves the nonvolatile registers and calls
 * SwapContext, which leaves a KSWITCHFRAME at KTHREAD.KernelStack. Returns when somebody switches
 * back to the old thread.
 */
FUNCTION @KiSwapContext@8
	sub $16, %esp
	mov %ebx, 12(%esp)
	mov %esi, 8(%esp)
	mov %edi, 4(%esp)
	mov %ebp, (%esp)
	call SwapContext
	mov (%esp), %ebp
	mov 4(%esp), %edi
	mov 8(%esp), %esi
	mov 12(%esp), %ebx
	add $16, %esp
	ret

FUNCTION SwapContext
	push $0
	pushl %fs:PC_EXCEPTION_LIST
	mov %esp, TH_KERNEL_STACK(%ecx)
	mov TH_KERNEL_STACK(%edx), %esp
	popl %fs:PC_EXCEPTION_LIST
	add $4, %esp
	ret

/*
 * First code of every new thread: KiInitializeThreadStack built a switch frame that returns here
 * with the arguments of KiThreadStartup on the stack. ebp = 0 ends stack walks.
 */
FUNCTION _KiStartSystemThread@0
	xor %ebp, %ebp
	call _KiThreadStartup@12
	int3

/*
 * NTSTATUS ExTryCall(routine, context): call routine(context); if an exception is raised in it that
 * nobody else handles, come back here with its code. RtlDispatchException does the return by
 * loading the registers of the innermost KTRY_FRAME of the thread.
 */
FUNCTION _ExTryCall@8
	push %ebp
	mov %esp, %ebp
	sub $TRY_LENGTH, %esp
	mov %esp, TRY_ESP(%esp)
	mov %ebp, TRY_EBP(%esp)
	mov %ebx, TRY_EBX(%esp)
	mov %esi, TRY_ESI(%esp)
	mov %edi, TRY_EDI(%esp)
	movl $1f, TRY_EIP(%esp)
	push %esp
	call _KiPushTryFrame@4
	pushl 12(%ebp)
	call *8(%ebp)
	push %eax
	call _KiPopTryFrame@0
	pop %eax
1:	mov %ebp, %esp		/* an exception arrives here with eax = code, frame popped */
	pop %ebp
	ret $8
