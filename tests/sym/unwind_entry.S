# SPDX-License-Identifier: MIT
# What clang does not write by itself, with unwind data written by hand: registers saved by moves, a
# second part of a function chained to the first and jumping back into it, a frame register with an
# offset and an epilog that starts with LEA, version 2 with its lists of epilogs.
	.macro	unwind begin, end, info
	.section .pdata,"dr"
	.long	\begin@IMGREL, \end@IMGREL, \info@IMGREL
	.section .xdata,"dr"
	.p2align 2
\info:
	.endm
	# CodeOffset, operation, its info
	.macro	code offset, op, info=0
	.byte	\offset, \op | \info << 4
	.endm
	.set	PUSH, 0
	.set	ALLOC_LARGE, 1
	.set	ALLOC_SMALL, 2
	.set	SET_FPREG, 3
	.set	SAVE, 4
	.set	EPILOG, 6
	.set	RBX, 3
	.set	RBP, 5
	.set	RSI, 6
	.set	RDI, 7
	.set	R12, 12

	.text
	.globl	save_with_moves
save_with_moves:
	subq	$0x48, %rsp
1:	movq	%rbx, 0x30(%rsp)
2:	movq	%rsi, 0x38(%rsp)
3:	movl	%ecx, %ebx
	movl	$7, %esi
	testl	%ecx, %ecx
	jne	second_part
back:
	leal	(%rbx,%rsi), %eax
	movq	0x38(%rsp), %rsi
	movq	0x30(%rsp), %rbx
	addq	$0x48, %rsp
	retq
save_with_moves_end:
	unwind	save_with_moves, save_with_moves_end, save_info
	.byte	1, 3b - save_with_moves, 5, 0
	code	3b-save_with_moves, SAVE, RSI
	.short	0x38 / 8
	code	2b-save_with_moves, SAVE, RBX
	.short	0x30 / 8
	code	1b-save_with_moves, ALLOC_SMALL, 8
	.short	0

	.text
	int3
	int3
second_part: # out of line: saves one more register in the same frame
	movq	%rdi, 0x40(%rsp)
1:	movl	$9, %edi
	addl	%edi, %esi
	callq	leaf
	addl	%eax, %esi
	movq	0x40(%rsp), %rdi
	jmp	back
second_part_end:
	unwind	second_part, second_part_end, second_info
	.byte	1 | 4 << 3, 1b - second_part, 2, 0
	code	1b-second_part, SAVE, RDI
	.short	0x40 / 8
	.long	save_with_moves@IMGREL, save_with_moves_end@IMGREL, save_info@IMGREL

	.text
	.globl	frame_with_offset
frame_with_offset:
	pushq	%rbp
1:	pushq	%r12
2:	subq	$0x88, %rsp
3:	leaq	0x50(%rsp), %rbp
4:	movl	%ecx, %r12d
	subq	$0x40, %rsp
	callq	small_frame
	subq	$0x20, %rsp
	addl	%r12d, %eax
	movl	%eax, %ecx
	callq	leaf
	leaq	0x38(%rbp), %rsp
	popq	%r12
	popq	%rbp
	retq
frame_with_offset_end:
	unwind	frame_with_offset, frame_with_offset_end, frame_info
	.byte	1, 4b - frame_with_offset, 5, RBP | 5 << 4
	code	4b-frame_with_offset, SET_FPREG
	code	3b-frame_with_offset, ALLOC_LARGE
	.short	0x88 / 8
	code	2b-frame_with_offset, PUSH, R12
	code	1b-frame_with_offset, PUSH, RBP
	.short	0

	.text
	.globl	version_two # two epilogs: one ends the function, one is in its middle
version_two:
	pushq	%rbx
1:	pushq	%rdi
2:	subq	$0x28, %rsp
3:	movl	%ecx, %ebx
	movl	%ecx, %edi
	testl	%ecx, %ecx
	je	5f
	callq	leaf
	addl	%ebx, %eax
	addq	$0x28, %rsp
4:	popq	%rdi
	popq	%rbx
	retq
5:	movl	$5, %ecx
	callq	leaf
	addl	%edi, %eax
	addq	$0x28, %rsp
6:	popq	%rdi
	popq	%rbx
	retq
version_two_end:
	unwind	version_two, version_two_end, two_info
	.byte	2, 3b - version_two, 6, 0
	code	version_two_end-6b, EPILOG, 1
	code	version_two_end-4b, EPILOG, 0
	code	0, EPILOG, 0 # padding
	code	3b-version_two, ALLOC_SMALL, 4
	code	2b-version_two, PUSH, RDI
	code	1b-version_two, PUSH, RBX

	.text
	.globl	version_two_middle # no epilog at the end: the function ends with a call that stays
version_two_middle:
	pushq	%rsi
1:	subq	$0x20, %rsp
2:	movl	%ecx, %esi
	testl	%ecx, %ecx
	js	4f
	callq	leaf
	addl	%esi, %eax
	addq	$0x20, %rsp
3:	popq	%rsi
	retq
4:	movl	$1, %ecx
	callq	leaf
	movl	$1, %ecx
	jmp	2b
version_two_middle_end:
	unwind	version_two_middle, version_two_middle_end, middle_info
	.byte	2, 2b - version_two_middle, 4, 0
	code	2, EPILOG, 0
	code	version_two_middle_end-3b, EPILOG, 0
	code	2b-version_two_middle, ALLOC_SMALL, 3
	code	1b-version_two_middle, PUSH, RSI
