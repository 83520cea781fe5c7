/* SPDX-License-Identifier: MIT */
/* Interrupts: trap frame, IRQL through CR8, a C routine, and out. */
#include "guest/demo/ntos/amd64/trapmac.inc"

	.text

/* The routine gets the trap frame; it ends the interrupt at the APIC itself. */
.macro INTERRUPT name, irql, routine
TRAP_PROLOG \name, 0
	SAVE_VOLATILES
	mov %cr8, %rax
	mov %al, TF(TF_PREVIOUS_IRQL)
	mov $\irql, %eax
	mov %rax, %cr8
	lea -TF_RBP_BIAS(%rbp), %rcx
	call \routine
	cli
	movzbl TF(TF_PREVIOUS_IRQL), %eax
	mov %rax, %cr8
	TRAP_EXIT
	.seh_endproc
.endm

INTERRUPT KiDpcInterrupt, 2, KiDispatchInterrupt
INTERRUPT KiClockInterrupt, 13, KeClockInterruptNotify
INTERRUPT KiIpiInterrupt, 14, KiIpiServiceRoutine

/* KiDeviceInterruptNotify(trap frame, number). */
.macro DEVICE_INTERRUPT name, number
TRAP_PROLOG \name, 0
	SAVE_VOLATILES
	mov %cr8, %rax
	mov %al, TF(TF_PREVIOUS_IRQL)
	mov $5, %eax		/* KI_DEVICE_IRQL */
	mov %rax, %cr8
	lea -TF_RBP_BIAS(%rbp), %rcx
	mov $\number, %edx
	call KiDeviceInterruptNotify
	cli
	movzbl TF(TF_PREVIOUS_IRQL), %eax
	mov %rax, %cr8
	TRAP_EXIT
	.seh_endproc
.endm

DEVICE_INTERRUPT KiDeviceInterrupt0, 0
DEVICE_INTERRUPT KiDeviceInterrupt1, 1
DEVICE_INTERRUPT KiDeviceInterrupt2, 2
DEVICE_INTERRUPT KiDeviceInterrupt3, 3

/* The APIC's spurious vector wants no end of interrupt and no routine. */
TRAP_PROLOG KiSpuriousInterrupt, 0
	SAVE_VOLATILES
	TRAP_EXIT
	.seh_endproc

/*
 * Ends the hlt of a frozen CPU and does nothing else: no C code, so that no breakpoint can be hit
 * while the debugger's stop is being taken apart.
 */
FRAME_FUNCTION KiWakeInterrupt
	.seh_pushframe
	push %rax
	.seh_pushreg %rax
	.seh_endprologue
	movabs $(KSEG_LOCAL_APIC_ASM + 0xB0), %rax
	movl $0, (%rax)
	pop %rax
	iretq
	.seh_endproc

/*
 * SYSCALL: rcx user rip, r11 user eflags, r10 rdx r8 r9 arguments, eax service. The machine frame an
 * interrupt would have pushed is made by hand, and the unwind data says so.
 */
FRAME_FUNCTION KiSystemCall64
	swapgs
	mov %rsp, %gs:PC_USER_RSP
	mov %gs:PC_RSP_BASE, %rsp
	push $0x2B
	pushq %gs:PC_USER_RSP
	push %r11
	push $0x33
	push %rcx
	.seh_pushframe
	sub $8, %rsp
	.seh_stackalloc 8
	push %rbp
	.seh_pushreg %rbp
	sub $TF_ALLOC, %rsp
	.seh_stackalloc TF_ALLOC
	lea TF_RBP_BIAS(%rsp), %rbp
	.seh_setframe %rbp, TF_RBP_BIAS
	.seh_endprologue
	mov %rax, TF(TF_RAX)
	mov %rcx, TF(TF_RCX)
	mov %rdx, TF(TF_RDX)
	mov %r8, TF(TF_R8)
	mov %r9, TF(TF_R9)
	mov %r10, TF(TF_R10)
	mov %r11, TF(TF_R11)
	mov %rbx, TF(TF_RBX)
	mov %rdi, TF(TF_RDI)
	mov %rsi, TF(TF_RSI)
	movaps %xmm0, TF(TF_XMM0)
	movaps %xmm1, TF(TF_XMM0 + 0x10)
	movaps %xmm2, TF(TF_XMM0 + 0x20)
	movaps %xmm3, TF(TF_XMM0 + 0x30)
	movaps %xmm4, TF(TF_XMM0 + 0x40)
	movaps %xmm5, TF(TF_XMM0 + 0x50)
	stmxcsr TF(TF_MXCSR)
	movb $1, TF(TF_PREVIOUS_MODE)
	cld
	sti
	lea -TF_RBP_BIAS(%rbp), %rcx
	call KiSystemServiceStart
	mov %rax, TF(TF_RAX)
	.globl KiSystemServiceExit
KiSystemServiceExit:
	TRAP_EXIT
	.seh_endproc

/* KiSystemServiceCall(service, frame): the four register arguments of the user's call. */
FRAME_FUNCTION KiSystemServiceCall
	push %rbp
	.seh_pushreg %rbp
	sub $0x20, %rsp
	.seh_stackalloc 0x20
	.seh_endprologue
	mov %rcx, %rax
	mov TF_R9(%rdx), %r9
	mov TF_R8(%rdx), %r8
	mov TF_R10(%rdx), %rcx
	mov TF_RDX(%rdx), %rdx
	call *%rax
	add $0x20, %rsp
	pop %rbp
	ret
	.seh_endproc

/* NORETURN KiReturnToUser(trap frame): into user mode for the first time. */
FRAME_FUNCTION KiReturnToUser
	.seh_endprologue
	cli
	lea TF_RBP_BIAS(%rcx), %rbp
	mov %rcx, %rsp
	xor %ebx, %ebx
	xor %edi, %edi
	xor %esi, %esi
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d
	TRAP_EXIT
	.seh_endproc
