/* SPDX-License-Identifier: MIT */
/*
 * Disassembly text. The bytes are hand-assembled (llvm-mc agrees on each); the texts are what
 * WinDbg prints for such instructions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"
#include "lib/engine/code_format.h"

static const struct row {
	unsigned bits;
	const char *hex, *text;
	enum kd_flow flow;
} rows[] = {
	/* clang-format off */
	{ 64, "4883ec28", "sub     rsp,28h", KD_FLOW_NEXT },
	{ 64, "4883ec08", "sub     rsp,8", KD_FLOW_NEXT },
	{ 64, "4881eca8000000", "sub     rsp,0A8h", KD_FLOW_NEXT },
	{ 64, "488b05d1070000", "mov     rax,qword ptr [00001000`000017d8]", KD_FLOW_NEXT },
	{ 64, "488b05f90f0000", "mov     rax,qword ptr [nt!Foo (00001000`00002000)]", KD_FLOW_NEXT },
	{ 64, "488d0d090f0000", "lea     rcx,[00001000`00001f10]", KD_FLOW_NEXT },
	{ 64, "488d0dfa0f0000", "lea     rcx,[nt!Foo+0x1 (00001000`00002001)]", KD_FLOW_NEXT },
	{ 64, "e8fb0f0000", "call    nt!Foo (00001000`00002000)", KD_FLOW_CALL },
	{ 64, "e8d1070000", "call    00001000`000017d6", KD_FLOW_CALL },
	{ 64, "ff15fa0f0000", "call    qword ptr [nt!Foo (00001000`00002000)]", KD_FLOW_CALL },
	{ 64, "ffd0", "call    rax", KD_FLOW_CALL },
	{ 64, "7405", "je      00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "0f8504000000", "jne     00001000`0000100a", KD_FLOW_BRANCH },
	{ 64, "7705", "ja      00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "7305", "jae     00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "7205", "jb      00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "7605", "jbe     00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "7f05", "jg      00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "7d05", "jge     00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "7805", "js      00001000`00001007", KD_FLOW_BRANCH },
	{ 64, "ebfe", "jmp     00001000`00001000", KD_FLOW_JUMP },
	{ 64, "48ff6008", "jmp     qword ptr [rax+8]", KD_FLOW_JUMP },
	{ 64, "c3", "ret", KD_FLOW_RETURN },
	{ 64, "f3c3", "rep ret", KD_FLOW_RETURN },
	{ 64, "c20800", "ret     8", KD_FLOW_RETURN },
	{ 64, "48cf", "iretq", KD_FLOW_RETURN },
	{ 64, "cc", "int     3", KD_FLOW_TRAP },
	{ 64, "cd2d", "int     2Dh", KD_FLOW_TRAP },
	{ 64, "0f0b", "ud2", KD_FLOW_TRAP },
	{ 64, "0f05", "syscall", KD_FLOW_TRAP },
	{ 64, "8b442440", "mov     eax,dword ptr [rsp+40h]", KD_FLOW_NEXT },
	{ 64, "488b45fc", "mov     rax,qword ptr [rbp-4]", KD_FLOW_NEXT },
	{ 64, "488b8580feffff", "mov     rax,qword ptr [rbp-180h]", KD_FLOW_NEXT },
	{ 64, "8b840a00100000", "mov     eax,dword ptr [rdx+rcx+1000h]", KD_FLOW_NEXT },
	{ 64, "488b04c8", "mov     rax,qword ptr [rax+rcx*8]", KD_FLOW_NEXT },
	{ 64, "48c7c00a000000", "mov     rax,0Ah", KD_FLOW_NEXT },
	{ 64, "4883c8ff", "or      rax,0FFFFFFFFFFFFFFFFh", KD_FLOW_NEXT },
	{ 64, "837dfcff", "cmp     dword ptr [rbp-4],0FFFFFFFFh", KD_FLOW_NEXT },
	{ 64, "83e4f0", "and     esp,0FFFFFFF0h", KD_FLOW_NEXT },
	{ 64, "3cff", "cmp     al,0FFh", KD_FLOW_NEXT },
	{ 64, "6aff", "push    0FFFFFFFFFFFFFFFFh", KD_FLOW_NEXT },
	{ 64, "b9050000c0", "mov     ecx,0C0000005h", KD_FLOW_NEXT },
	{ 64, "48b8efcdab8967452301", "mov     rax,123456789ABCDEFh", KD_FLOW_NEXT },
	{ 64, "48b80020000000100000", "mov     rax,offset nt!Foo (00001000`00002000)", KD_FLOW_NEXT },
	{ 64, "65488b042588010000", "mov     rax,qword ptr gs:[188h]", KD_FLOW_NEXT },
	{ 64, "8b0425140000f7", "mov     eax,dword ptr [ffffffff`f7000014]", KD_FLOW_NEXT },
	{ 64, "0f1f440000", "nop     dword ptr [rax+rax]", KD_FLOW_NEXT },
	{ 64, "90", "nop", KD_FLOW_NEXT },
	{ 64, "0fb600", "movzx   eax,byte ptr [rax]", KD_FLOW_NEXT },
	{ 64, "f0480fb111", "lock cmpxchg qword ptr [rcx],rdx", KD_FLOW_NEXT },
	{ 64, "f3a4", "rep movs byte ptr [rdi],byte ptr [rsi]", KD_FLOW_NEXT },
	{ 64, "f348ab", "rep stos qword ptr [rdi]", KD_FLOW_NEXT },
	{ 64, "f2ae", "repne scas byte ptr [rdi]", KD_FLOW_NEXT },
	{ 64, "ac", "lods    byte ptr [rsi]", KD_FLOW_NEXT },
	{ 64, "f3a6", "repe cmps byte ptr [rsi],byte ptr [rdi]", KD_FLOW_NEXT },
	{ 64, "6c", "ins     byte ptr [rdi],dx", KD_FLOW_NEXT },
	{ 64, "6e", "outs    dx,byte ptr [rsi]", KD_FLOW_NEXT },
	{ 64, "ec", "in      al,dx", KD_FLOW_NEXT },
	{ 64, "0f94c0", "sete    al", KD_FLOW_NEXT },
	{ 64, "480f45c1", "cmovne  rax,rcx", KD_FLOW_NEXT },
	{ 64, "f20f10442410", "movsd   xmm0,mmword ptr [rsp+10h]", KD_FLOW_NEXT },
	{ 64, "0f284c2430", "movaps  xmm1,xmmword ptr [rsp+30h]", KD_FLOW_NEXT },
	{ 64, "d1e0", "shl     eax,1", KD_FLOW_NEXT },
	{ 64, "0fba6c241003", "bts     dword ptr [rsp+10h],3", KD_FLOW_NEXT },
	{ 64, "0f22d8", "mov     cr3,rax", KD_FLOW_NEXT },
	{ 64, "0f01f8", "swapgs", KD_FLOW_NEXT },
	{ 64, "f390", "pause", KD_FLOW_NEXT },
	{ 64, "62f17c4858c1", "vaddps  zmm0, zmm0, zmm1", KD_FLOW_NEXT },
	{ 64, "06", "???", KD_FLOW_NEXT },
	{ 64, "488b", "???", KD_FLOW_NEXT }, /* the rest is not readable */
	{ 32, "a110005080", "mov     eax,dword ptr ds:[80500010h]", KD_FLOW_NEXT },
	{ 32, "a100200000", "mov     eax,dword ptr [nt!Foo (00002000)]", KD_FLOW_NEXT },
	{ 32, "64a124010000", "mov     eax,dword ptr fs:[00000124h]", KD_FLOW_NEXT },
	{ 32, "e8fb0f0000", "call    nt!Foo (00002000)", KD_FLOW_CALL },
	{ 32, "e8fbffff7f", "call    80001000", KD_FLOW_CALL },
	{ 32, "f3ab", "rep stos dword ptr es:[edi]", KD_FLOW_NEXT },
	{ 32, "8b4508", "mov     eax,dword ptr [ebp+8]", KD_FLOW_NEXT },
	{ 32, "83e4f8", "and     esp,0FFFFFFF8h", KD_FLOW_NEXT },
	{ 32, "6aff", "push    0FFFFFFFFh", KD_FLOW_NEXT },
	{ 32, "6800200000", "push    offset nt!Foo (00002000)", KD_FLOW_NEXT },
	{ 32, "8b0c8510005080", "mov     ecx,dword ptr [eax*4+80500010h]", KD_FLOW_NEXT },
	{ 32, "8b0c8500000300", "mov     ecx,dword ptr nt!Table (00030000)[eax*4]", KD_FLOW_NEXT },
	{ 32, "9a112233440800", "call    0008:44332211", KD_FLOW_CALL },
	{ 32, "368b00", "mov     eax,dword ptr ss:[eax]", KD_FLOW_NEXT },
	/* clang-format on */
};

static bool name(void *context, uint64_t address, char *text, size_t size)
{
	const uint64_t *foo = context;

	if (address == 0x30000)
		snprintf(text, size, "nt!Table");
	else if (address == *foo)
		snprintf(text, size, "nt!Foo");
	else if (address == *foo + 1)
		snprintf(text, size, "nt!Foo+0x1");
	else
		return false;
	return true;
}

static size_t parse(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[2 * n]; n++) {
		unsigned v;

		assert_int_equal(sscanf(hex + 2 * n, "%2x", &v), 1);
		out[n] = (uint8_t)v;
	}
	return n;
}

static void format(const struct row *r, struct kd_instruction *ret)
{
	uint64_t foo = r->bits == 64 ? 0x100000002000 : 0x2000;
	struct kd__code_names names = { &foo, name };
	uint8_t bytes[16];
	size_t n = parse(r->hex, bytes);

	kd__code_format(r->bits, bytes, n, foo - 0x1000, &names, ret);
}

static void test_text(void **state)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct kd_instruction insn;
		char text[200];

		format(&rows[i], &insn);
		snprintf(text, sizeof text, insn.operands[0] ? "%-7s %s" : "%s", insn.mnemonic,
			 insn.operands);
		if (strcmp(text, rows[i].text) || insn.flow != rows[i].flow)
			print_error("%s\n", rows[i].hex);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(insn.flow, rows[i].flow);
		assert_int_equal(insn.is_valid, strcmp(insn.mnemonic, "???") != 0);
		assert_int_equal(insn.size, insn.is_valid ? strlen(rows[i].hex) / 2 : 1);
	}
}

static void test_facts(void **state)
{
	struct kd_instruction insn;

	format(&(struct row){ .bits = 64, .hex = "e8fb0f0000" }, &insn);
	assert_true(insn.has_target && !insn.has_memory);
	assert_int_equal(insn.target, 0x100000002000);
	format(&(struct row){ .bits = 64, .hex = "ff15fa0f0000" }, &insn);
	assert_true(!insn.has_target && insn.has_memory);
	assert_int_equal(insn.memory, 0x100000002000);
	format(&(struct row){ .bits = 64, .hex = "488b45fc" }, &insn);
	assert_true(!insn.has_target && !insn.has_memory && !insn.is_repeated);
	format(&(struct row){ .bits = 64, .hex = "f348ab" }, &insn);
	assert_true(insn.is_repeated);
	/* 32-bit addresses are sign-extended: this jump goes to 0x80001000. */
	format(&(struct row){ .bits = 32, .hex = "e9fbffff7f" }, &insn);
	assert_true(insn.has_target);
	assert_int_equal(insn.target, 0xFFFFFFFF80001000);
}

/* Every first three bytes in both modes: the text stays inside, the size inside what is there. */
static void test_all_opcodes(void **state)
{
	uint8_t bytes[15] = { 0 };
	struct kd_instruction insn;

	for (uint32_t v = 0; v < 1 << 16; v++) {
		bytes[0] = (uint8_t)v;
		bytes[1] = (uint8_t)(v >> 8);
		bytes[2] = (uint8_t)(v * 0x9E3779B1u >> 24);
		for (unsigned bits = 32; bits <= 64; bits += 32) {
			kd__code_format(bits, bytes, 1 + v % 15, 0x1000, NULL, &insn);
			assert_in_range(insn.size, 1, 1 + v % 15);
			assert_non_null(memchr(insn.operands, 0, sizeof insn.operands));
			assert_true(insn.mnemonic[0]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_all_opcodes),
	};

	return cmocka_run_group_tests_name("code", tests, NULL, NULL);
}
