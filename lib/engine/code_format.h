/* SPDX-License-Identifier: MIT */
/*
 * One instruction out of bytes, as text in WinDbg's look: `mov     rax,qword ptr [nt!Foo
 * (fffff801`00001234)]`. Needs no session.
 */
#ifndef KD_LIB_ENGINE_CODE_FORMAT_H
#define KD_LIB_ENGINE_CODE_FORMAT_H

#include <openkd/code.h>

struct kd__code_names {
	void *context;
	/* "nt!Foo+0x10" for an address in a module; false: in none. */
	bool (*name)(void *context, uint64_t address, char *text, size_t size);
};

/*
 * `bits` 64 or 32. An instruction that cannot be decoded, or of which not all bytes are there, is
 * one byte long with the mnemonic "???". names NULL: numbers only. n > 0.
 */
void kd__code_format(unsigned bits, const uint8_t *bytes, size_t n, uint64_t address,
		     const struct kd__code_names *names, struct kd_instruction *ret);

/* Value of a general register or segment base by its lower-case name; false: not known. */
typedef bool (*kd__register_fn)(void *context, const char *name, uint64_t *ret);

/*
 * Address that memory operand number `which` of an instruction refers to, with these registers
 * ($ea, $ea2). fs and gs count as "fs_base" and "gs_base". false: no such operand.
 */
bool kd__code_effective(unsigned bits, const uint8_t *bytes, size_t n, uint64_t address,
			unsigned which, kd__register_fn get, void *context, uint64_t *ret);

/* "fffff801`00001234", "80501234". */
void kd__address_text(uint64_t address, bool is_64, char text[20]);

#endif
