/* SPDX-License-Identifier: MIT */
/*
 * Copied to physical 0x1000 and entered there in real mode with cs:ip = 0100:0000. A processor in here
 * takes its stack and zeroes the field: that tells the starter it is alive.
 */
	.set BASE, 0x1000
	.set ENTRY_FIELD, 0x70
	.set CR3_FIELD, 0x74
	.set CR4_FIELD, 0x78
	.set EFER_FIELD, 0x7C
	.set STACK_FIELD, 0x80
	.set ARGUMENT_FIELD, 0x84

	.section .rdata, "dr"
	.globl _HalpTrampolineStart
_HalpTrampolineStart:
	.code16
	.byte 0xE9
	.word 0x180 - 3
	.org 0x100
	.quad 0
	.quad 0x00CF9B000000FFFF	/* 0x08: code */
	.quad 0x00CF93000000FFFF	/* 0x10: data */
trampoline_gdtr:				/* 0x118 */
	.word 23
	.long BASE + 0x100

	.org 0x180
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl 0x118
	mov CR4_FIELD, %eax
	mov %eax, %cr4
	mov CR3_FIELD, %eax
	mov %eax, %cr3
	mov EFER_FIELD, %ebx
	test %ebx, %ebx
	jz 1f
	mov $0xC0000080, %ecx
	rdmsr
	or %ebx, %eax
	wrmsr
1:	mov $0x80010033, %eax
	mov %eax, %cr0
	ljmpl $0x08, $(BASE + 0x200)

	.org 0x200
	.code32
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov BASE + STACK_FIELD, %esp
	mov BASE + ARGUMENT_FIELD, %ecx
	mov BASE + ENTRY_FIELD, %edx
	movl $0, BASE + STACK_FIELD
	xor %ebp, %ebp
	push %ecx
	push %ebp
	jmp *%edx
	.globl _HalpTrampolineEnd
_HalpTrampolineEnd:
