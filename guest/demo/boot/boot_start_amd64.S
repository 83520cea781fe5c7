/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 entry: 32-bit protected mode, flat, no paging, ebx = information block. Builds an
 * identity map of the first 4 GB from 2 MB pages, enters long mode, calls loader_main(ebx).
 */
#include "guest/demo/boot/multiboot_header.inc"

	.set CR4_PAE, 0x20
	.set CR4_OSFXSR, 0x600
	.set EFER_LME_NXE_SCE, 0x901

	.section .text
	.code32
	.globl boot_entry32
boot_entry32:
	cli
	cld
	cmp $0x2BADB002, %eax
	jne boot_dead
	mov $boot_stack_top, %esp
	mov %ebx, %esi

	/* four page directories of 2 MB pages */
	mov $boot_pd, %edi
	mov $0x83, %eax
	xor %edx, %edx
	mov $2048, %ecx
1:	mov %eax, (%edi)
	movl $0, 4(%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b
	mov $boot_pdpt, %edi
	mov $boot_pd + 3, %eax
	mov $4, %ecx
2:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 2b
	movl $boot_pdpt + 3, boot_pml4

	mov %cr4, %eax
	or $(CR4_PAE | CR4_OSFXSR), %eax
	mov %eax, %cr4
	mov $boot_pml4, %eax
	mov %eax, %cr3
	mov $0xC0000080, %ecx
	rdmsr
	or $EFER_LME_NXE_SCE, %eax
	wrmsr
	mov %cr0, %eax
	and $~0x4, %eax		/* no x87 emulation */
	or $0x80010022, %eax	/* PG, WP, NE, MP */
	mov %eax, %cr0
	lgdt boot_gdtr
	ljmp $0x10, $boot_entry64
boot_dead:
	hlt
	jmp boot_dead

	.code64
boot_entry64:
	mov $0x18, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $boot_stack_top, %esp
	mov %esi, %edi
	call loader_main
1:	hlt
	jmp 1b

/* void loader_enter(uint64_t cr3, uint64_t entry, uint64_t stack, uint64_t argument) */
	.globl loader_enter
loader_enter:
	mov %rdi, %cr3
	mov %rdx, %rsp
	xor %ebp, %ebp
	push %rbp		/* the return address of the kernel's entry: end of every stack */
	mov %rsi, %rax
	jmp *%rax		/* rcx already holds the argument: PE calling convention */

	.section .rodata
	.align 8
boot_gdt:
	.quad 0, 0
	.quad 0x00209B0000000000	/* 0x10: 64-bit code, as the kernel's own */
	.quad 0x00CF93000000FFFF	/* 0x18: data */
boot_gdtr:
	.word . - boot_gdt - 1
	.quad boot_gdt

	.section .bss
	.align 4096
boot_pml4:
	.skip 4096
boot_pdpt:
	.skip 4096
boot_pd:
	.skip 4 * 4096
	.skip 16384
boot_stack_top:
