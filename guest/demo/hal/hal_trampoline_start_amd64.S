/* SPDX-License-Identifier: MIT */
/*
 * Copied to physical 0x1000 and entered there in real mode with cs:ip = 0100:0000. The first eight
 * bytes and the fields at 0x70 and 0xA0 are those of NT's low stub. A processor in here takes its stack
 * and zeroes the field: that tells the starter it is alive.
 */
	.set BASE, 0x1000
	.set LM_TARGET, 0x70
	.set CR3_FIELD, 0xA0
	.set STACK_FIELD, 0xB0
	.set ARGUMENT_FIELD, 0xB8

	.section .rdata, "dr"
	.globl HalpTrampolineStart
HalpTrampolineStart:
	.code16
	.byte 0xE9			/* jmp 0x680: E9 7D 06 */
	.word 0x680 - 3
	.byte 0, 1, 0, 0, 0
	.org 0x600
trampoline_gdt:
	.quad 0
	.quad 0x00CF9B000000FFFF	/* 0x08: 32-bit code */
	.quad 0x00209B0000000000	/* 0x10: 64-bit code */
	.quad 0x00CF93000000FFFF	/* 0x18: data */
trampoline_gdtr:
	.word . - trampoline_gdt - 1
	.long BASE + 0x600

	.org 0x680
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl 0x620
	mov $0x6A0, %eax		/* PAE, PGE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov CR3_FIELD, %eax
	mov %eax, %cr3
	mov $0xC0000080, %ecx
	rdmsr
	or $0x901, %eax			/* NXE, LME, SCE */
	wrmsr
	mov $0x80010033, %eax
	mov %eax, %cr0
	ljmpl $0x10, $(BASE + 0x700)

	.org 0x700
	.code64
	mov $0x18, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov BASE + STACK_FIELD, %rsp
	mov BASE + ARGUMENT_FIELD, %rcx
	mov BASE + LM_TARGET, %rdx
	movq $0, BASE + STACK_FIELD
	xor %ebp, %ebp
	push %rbp
	jmp *%rdx
	.globl HalpTrampolineEnd
HalpTrampolineEnd:
