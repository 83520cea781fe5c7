/* SPDX-License-Identifier: MIT */
/* Exceptions. Which vector leads where: amd64/descriptors.c. */
#include "guest/demo/ntos/amd64/trapmac.inc"

	.text

/*
 * KiExceptionDispatch: ecx code, edx number of parameters, r8 address, r9, r10, r11 parameters,
 * rbp trap frame + 0x80. Builds the exception frame and the record, calls KiDispatchException;
 * returns when the exception was handled, with the nonvolatile registers the handler left there.
 */
EXCEPTION_FRAME_PROLOG KiExceptionDispatch, ER_LENGTH + 8
	lea EX_LENGTH + 8(%rsp), %rax
	mov %ecx, ER_CODE(%rax)
	movl $0, ER_FLAGS(%rax)
	movq $0, ER_RECORD(%rax)
	mov %r8, ER_ADDRESS(%rax)
	mov %edx, ER_N_PARAMETERS(%rax)
	mov %r9, ER_INFORMATION(%rax)
	mov %r10, ER_INFORMATION + 8(%rax)
	mov %r11, ER_INFORMATION + 16(%rax)
	mov %rax, %rcx
	mov %rsp, %rdx
	lea -TF_RBP_BIAS(%rbp), %r8
	movzbl TF(TF_PREVIOUS_MODE), %r9d
	movq $1, 0x20(%rsp)	/* first chance */
	call KiDispatchException
	EXCEPTION_FRAME_RESTORE
	add $(EX_LENGTH + ER_LENGTH + 8), %rsp
	ret
	.seh_endproc

/* KiBugCheckDispatch: ecx code, rdx, r8, r9, r10 parameters. Does not return. */
EXCEPTION_FRAME_PROLOG KiBugCheckDispatch, 0
	mov %r10, 0x20(%rsp)
	call KeBugCheckEx
	int3
	.seh_endproc

/* Faults and traps that become an exception with no parameters at the interrupted instruction. */
.macro SIMPLE_FAULT name, error, status
TRAP_PROLOG \name, \error
	SAVE_VOLATILES
	ENABLE_IF_INTERRUPTED_ENABLED
	mov $\status, %ecx
	xor %edx, %edx
	mov TF(TF_RIP), %r8
	call KiExceptionDispatch
	TRAP_EXIT
	.seh_endproc
.endm

/* Traps after which nothing can be trusted: UNEXPECTED_KERNEL_MODE_TRAP(vector, error, rip). */
.macro FATAL_TRAP name, error, vector
TRAP_PROLOG \name, \error
	SAVE_VOLATILES
	mov $BUGCHECK_UNEXPECTED_TRAP, %ecx
	mov $\vector, %edx
	mov TF(TF_ERROR_CODE), %r8
	mov TF(TF_RIP), %r9
	mov TF(TF_RSP), %r10
	call KiBugCheckDispatch
	int3
	.seh_endproc
.endm

SIMPLE_FAULT KiDivideErrorFault, 0, STATUS_DIVIDE_BY_ZERO_ASM
SIMPLE_FAULT KiDebugTrapOrFault, 0, STATUS_SINGLE_STEP_ASM
SIMPLE_FAULT KiOverflowTrap, 0, STATUS_OVERFLOW_ASM
SIMPLE_FAULT KiBoundFault, 0, STATUS_ARRAY_BOUNDS_ASM
SIMPLE_FAULT KiInvalidOpcodeFault, 0, STATUS_ILLEGAL_INSTRUCTION_ASM
SIMPLE_FAULT KiFloatingErrorFault, 0, STATUS_FLOAT_INVALID_ASM
SIMPLE_FAULT KiAlignmentFault, 1, STATUS_MISALIGNMENT_ASM
SIMPLE_FAULT KiXmmException, 0, STATUS_FLOAT_MULTIPLE_ASM

FATAL_TRAP KiNpxNotAvailableFault, 0, 7
FATAL_TRAP KiDoubleFaultAbort, 1, 8
FATAL_TRAP KiNpxSegmentOverrunAbort, 0, 9
FATAL_TRAP KiInvalidTssFault, 1, 10
FATAL_TRAP KiSegmentNotPresentFault, 1, 11
FATAL_TRAP KiStackFault, 1, 12
FATAL_TRAP KiMcheckAbort, 0, 18
FATAL_TRAP KiUnexpectedInterrupt, 0, 0xFF

/* int3: the reported address is that of the int3 itself. */
TRAP_PROLOG KiBreakpointTrap, 0
	SAVE_VOLATILES
	decq TF(TF_RIP)
	ENABLE_IF_INTERRUPTED_ENABLED
	mov $STATUS_BREAKPOINT_ASM, %ecx
	mov $1, %edx
	mov TF(TF_RIP), %r8
	xor %r9d, %r9d		/* BREAKPOINT_BREAK */
	xor %r10d, %r10d
	xor %r11d, %r11d
	call KiExceptionDispatch
	TRAP_EXIT
	.seh_endproc

/* int 2Dh: eax service, rcx and rdx arguments; rip stays after the instruction. */
TRAP_PROLOG KiDebugServiceTrap, 0
	SAVE_VOLATILES
	ENABLE_IF_INTERRUPTED_ENABLED
	mov $STATUS_BREAKPOINT_ASM, %ecx
	mov $3, %edx
	mov TF(TF_RIP), %r8
	mov TF(TF_RAX), %r9
	mov TF(TF_RCX), %r10
	mov TF(TF_RDX), %r11
	call KiExceptionDispatch
	TRAP_EXIT
	.seh_endproc

/* int 2Ch: the address of the instruction is reported. */
TRAP_PROLOG KiRaiseAssertion, 0
	SAVE_VOLATILES
	subq $2, TF(TF_RIP)
	ENABLE_IF_INTERRUPTED_ENABLED
	mov $STATUS_ASSERTION_FAILURE_ASM, %ecx
	xor %edx, %edx
	mov TF(TF_RIP), %r8
	call KiExceptionDispatch
	TRAP_EXIT
	.seh_endproc

/* int 29h: fail fast; in the kernel KERNEL_SECURITY_CHECK_FAILURE. */
TRAP_PROLOG KiRaiseSecurityCheckFailure, 0
	SAVE_VOLATILES
	subq $2, TF(TF_RIP)
	ENABLE_IF_INTERRUPTED_ENABLED
	mov $STATUS_STACK_BUFFER_ASM, %ecx
	mov $1, %edx
	mov TF(TF_RIP), %r8
	mov TF(TF_RCX), %r9
	xor %r10d, %r10d
	xor %r11d, %r11d
	call KiExceptionDispatch
	TRAP_EXIT
	.seh_endproc

TRAP_PROLOG KiGeneralProtectionFault, 1
	SAVE_VOLATILES
	lea -TF_RBP_BIAS(%rbp), %rcx
	call KiRecoverFault	/* MSR access and the like */
	test %al, %al
	jnz 1f
	ENABLE_IF_INTERRUPTED_ENABLED
	lea -TF_RBP_BIAS(%rbp), %rcx
	call KiProtectionFaultStatus
	mov %eax, %ecx
	mov $2, %edx
	mov TF(TF_RIP), %r8
	xor %r9d, %r9d
	mov $-1, %r10		/* no address is known: all ones, as on NT */
	xor %r11d, %r11d
	call KiExceptionDispatch
1:	TRAP_EXIT
	.seh_endproc

TRAP_PROLOG KiPageFault, 1
	SAVE_VOLATILES
	mov %cr2, %rax
	mov %rax, TF(TF_FAULT_ADDRESS)
	lea -TF_RBP_BIAS(%rbp), %rcx
	call KiRecoverFault
	test %al, %al
	jnz 2f
	ENABLE_IF_INTERRUPTED_ENABLED
	lea -TF_RBP_BIAS(%rbp), %rcx
	mov TF(TF_FAULT_ADDRESS), %rdx
	call MmAccessFault	/* 0 handled, 1 an exception, else a bugcheck code */
	test %eax, %eax
	jz 2f
	mov TF(TF_ERROR_CODE), %r9
	/* error code bits: 1 write, 4 fetch -> access 0 read, 1 write, 8 execute */
	mov %r9d, %r10d
	shr $1, %r10d
	and $1, %r10d
	and $0x10, %r9d
	shr $1, %r9d
	or %r10d, %r9d
	mov TF(TF_FAULT_ADDRESS), %r10
	cmp $1, %eax
	jne 1f
	mov $STATUS_ACCESS_VIOLATION_ASM, %ecx
	mov $2, %edx
	mov TF(TF_RIP), %r8
	xor %r11d, %r11d
	call KiExceptionDispatch
	jmp 2f
1:	mov %eax, %ecx
	mov %r10, %rdx
	mov %cr8, %r8
	cmp $0x50, %ecx		/* 0x50: access and instruction; 0xA and 0xD1: IRQL and access */
	cmove %r9, %r8
	cmove TF(TF_RIP), %r9
	mov TF(TF_RIP), %r10
	call KiBugCheckDispatch
	int3
2:	TRAP_EXIT
	.seh_endproc

/* Runs on its own stack (IST 3), whatever GS is: the sign of the GS base tells. */
TRAP_PROLOG KiNmiInterrupt, 0
	mov %rax, TF(TF_RAX)
	mov %rcx, TF(TF_RCX)
	mov %rdx, TF(TF_RDX)
	mov $0xC0000101, %ecx
	rdmsr
	test %edx, %edx
	js 1f
	swapgs
1:	mov $BUGCHECK_NMI, %ecx
	mov TF(TF_RIP), %rdx
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	call KiBugCheckDispatch
	int3
	.seh_endproc
