/* SPDX-License-Identifier: MIT */
/* Exceptions, interrupts and system calls. Which vector leads where: x86/descriptors_x86.c. */
#include "guest/demo/ntos/x86/trapmac_x86.inc"

	.text

/* Every exception: KiTrapHandler(vector, frame) decides what it means. */
.macro TRAP name, vector, error
FUNCTION \name
.if \error == 0
	push $0
.endif
	ENTER_TRAP
	push %ebp
	push $\vector
	call _KiTrapHandler@8
	jmp _KiLeaveTrap@0
.endm

TRAP _KiTrap00@0, 0, 0
TRAP _KiTrap01@0, 1, 0
TRAP _KiTrap03@0, 3, 0
TRAP _KiTrap04@0, 4, 0
TRAP _KiTrap05@0, 5, 0
TRAP _KiTrap06@0, 6, 0
TRAP _KiTrap07@0, 7, 0
TRAP _KiTrap09@0, 9, 0
TRAP _KiTrap0A@0, 10, 1
TRAP _KiTrap0B@0, 11, 1
TRAP _KiTrap0C@0, 12, 1
TRAP _KiTrap0D@0, 13, 1
TRAP _KiTrap0E@0, 14, 1
TRAP _KiTrap10@0, 16, 0
TRAP _KiTrap11@0, 17, 1
TRAP _KiTrap12@0, 18, 0
TRAP _KiTrap13@0, 19, 0
TRAP _KiRaiseSecurityCheckFailure@0, 0x29, 0
TRAP _KiRaiseAssertion@0, 0x2C, 0
TRAP _KiDebugService@0, 0x2D, 0
TRAP _KiUnexpectedInterrupt@0, 0xFF, 0

/* Interrupts: KiInterruptHandler(number in its table, frame). */
.macro INTERRUPT name, number
FUNCTION \name
	push $0
	ENTER_TRAP
	push %ebp
	push $\number
	call _KiInterruptHandler@8
	jmp _KiLeaveTrap@0
.endm

INTERRUPT _KiDpcInterrupt@0, 0
INTERRUPT _KiClockInterrupt@0, 1
INTERRUPT _KiIpiInterrupt@0, 2
INTERRUPT _KiDeviceInterrupt0@0, 3
INTERRUPT _KiDeviceInterrupt1@0, 4
INTERRUPT _KiDeviceInterrupt2@0, 5
INTERRUPT _KiDeviceInterrupt3@0, 6

/* The APIC's spurious vector wants no end of interrupt and no routine. */
FUNCTION _KiSpuriousInterrupt@0
	iretl

/*
 * Ends the hlt of a frozen CPU and does nothing else: no C code, so that no breakpoint can be hit
 * while the debugger's stop is being taken apart.
 */
FUNCTION _KiWakeInterrupt@0
	movl $0, %ss:LOCAL_APIC_EOI
	iretl

/*
 * Leave through the frame at ebp. Interrupts may be on; what a return to user mode owes (a
 * termination request) is done first.
 */
FUNCTION _KiLeaveTrap@0
	cli
	testb $3, TF_SEG_CS(%ebp)
	jz 1f
	push %ebp
	call _KiUserModeExit@4
	cli
	lea TF_SEG_GS(%ebp), %esp
	pop %gs
	pop %es
	pop %ds
	pop %edx
	pop %ecx
	pop %eax
	add $4, %esp
	popl %fs:PC_EXCEPTION_LIST
	pop %fs
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	add $4, %esp
	iretl
1:	testl $FRAME_EDITED_ASM, TF_SEG_CS(%ebp)
	jz 2f
	lea TF_EDX(%ebp), %esp
	pop %edx
	pop %ecx
	pop %eax
	add $4, %esp
	popl %fs:PC_EXCEPTION_LIST
	add $4, %esp
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	add $4, %esp
	iretl
/* Somebody changed esp. The new stack may overlap the frame: take everything out of it first. */
2:	mov TF_EIP(%ebp), %eax
	mov %eax, %fs:PC_LEAVE_EIP
	mov TF_TEMP_SEG_CS(%ebp), %eax
	mov %eax, %fs:PC_LEAVE_CS
	mov TF_EFLAGS(%ebp), %eax
	mov %eax, %fs:PC_LEAVE_EFLAGS
	mov TF_TEMP_ESP(%ebp), %eax
	mov %eax, %fs:PC_LEAVE_ESP
	mov TF_EBP(%ebp), %eax
	mov %eax, %fs:PC_LEAVE_EBP
	mov TF_EDX(%ebp), %edx
	mov TF_ECX(%ebp), %ecx
	mov TF_EAX(%ebp), %eax
	mov TF_EDI(%ebp), %edi
	mov TF_ESI(%ebp), %esi
	mov TF_EBX(%ebp), %ebx
	mov %fs:PC_LEAVE_ESP, %esp
	mov %fs:PC_LEAVE_EBP, %ebp
	pushl %fs:PC_LEAVE_EFLAGS
	pushl %fs:PC_LEAVE_CS
	pushl %fs:PC_LEAVE_EIP
	iretl

/* NORETURN KiReturnToUser(trap frame): into user mode for the first time. */
FUNCTION _KiReturnToUser@4
	mov 4(%esp), %ebp
	mov %ebp, %esp
	jmp _KiLeaveTrap@0

/*
 * SYSENTER: edx user esp, eax service; arguments at edx + 8. The processor neither switched to this
 * thread's stack nor saved anything; it did clear IF, but not TF. Who single-steps into it takes a
 * debug trap at the first instruction, and KiTrapHandler sends him to KiFastCallEntry2.
 */
.macro FAST_CALL_ENTRY flags
	mov $SEL_R3_DATA, %ecx
	mov %cx, %ds
	mov %cx, %es
	mov $SEL_R0_PCR, %ecx
	mov %cx, %fs
	mov %fs:PC_TSS, %ecx
	mov TSS_ESP0(%ecx), %esp
	push $SEL_R3_DATA
	push %edx
	pushfl
	orl $\flags, (%esp)
	push $SEL_R3_CODE
	pushl SHARED_CALL_RETURN
	push $0
	ENTER_TRAP
	movl $SEL_R3_TEB, 0x50(%ebp)
	mov TF_EAX(%ebp), %eax
	sti
	push %ebp
	call _KiSystemServiceStart@4
	mov %eax, TF_EAX(%ebp)
	jmp _KiServiceExit@0
.endm

FUNCTION _KiFastCallEntry@0
	FAST_CALL_ENTRY 0x200
FUNCTION _KiFastCallEntry2@0
	FAST_CALL_ENTRY 0x300

FUNCTION _KiServiceExit@0
	jmp _KiLeaveTrap@0

/*
 * Task gates: the interrupted registers are in the processor's TSS. A frame made of its ebp and eip
 * lets a chain of frame pointers go on there. KiTaskTrap(bugcheck code, TSS).
 */
.macro TASK name, code
FUNCTION \name
	pushl $2
	popfl			/* not nested: an iret of ours must not switch tasks */
	clts
	mov %fs:PC_TSS, %ecx
	pushl TSS_EIP(%ecx)
	pushl TSS_EBP(%ecx)
	mov %esp, %ebp
	push %ecx
	push $\code
	call _KiTaskTrap@8
	int3
.endm

TASK _KiTrap08@0, 0x7F
TASK _KiTrap02@0, 0x80
