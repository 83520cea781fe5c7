/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 entry: 32-bit protected mode, flat, no paging, ebx = information block. Calls
 * loader_main(ebx); paging begins with loader_enter.
 */
#include "guest/demo/boot/multiboot_header.inc"

	.section .text
	.globl boot_entry32
boot_entry32:
	cli
	cld
	cmp $0x2BADB002, %eax
	jne boot_dead
	mov $boot_stack_top, %esp
	lgdt boot_gdtr
	ljmp $0x08, $1f
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	xor %ebp, %ebp
	push %ebx
	call loader_main
boot_dead:
	hlt
	jmp boot_dead

/* void loader_enter(uint64_t cr3, uint64_t entry, uint64_t stack, uint64_t argument) */
	.globl loader_enter
loader_enter:
	mov loader_cr4, %eax
	mov %eax, %cr4
	mov 4(%esp), %eax
	mov %eax, %cr3
	mov loader_efer, %ebx
	test %ebx, %ebx
	jz 1f
	mov $0xC0000080, %ecx
	rdmsr
	or %ebx, %eax
	wrmsr
1:	mov 12(%esp), %esi
	mov 28(%esp), %edi
	mov 20(%esp), %edx
	mov %cr0, %eax
	and $~0x4, %eax		/* no x87 emulation */
	or $0x80010022, %eax	/* PG, WP, NE, MP */
	mov %eax, %cr0
	mov %edx, %esp
	xor %ebp, %ebp
	push %edi
	push %ebp		/* the return address of the kernel's entry: end of every stack */
	jmp *%esi

	.section .rodata
	.align 8
boot_gdt:
	.quad 0
	.quad 0x00CF9B000000FFFF	/* 0x08: code, as the kernel's own */
	.quad 0x00CF93000000FFFF	/* 0x10: data */
boot_gdtr:
	.word . - boot_gdt - 1
	.long boot_gdt

	.section .bss
	.align 4096
	.skip 16384
boot_stack_top:
