/* SPDX-License-Identifier: MIT */
/* Instructions of the target: reading, decoding, naming what they refer to, going backwards. */
#include "lib/engine/code.h"

#include <stdlib.h>
#include <string.h>

#include "lib/engine/code_format.h"
#include "lib/engine/module.h"

enum {
	INSTRUCTION_MAX = 15,
	FUNCTION_MAX = 1 << 20, /* bytes decoded on the way to the instruction before one */
	BEFORE_MAX = 4096,      /* instructions back */
};

static bool name(void *session, uint64_t address, char *text, size_t size)
{
	if (!kd__module_at(session, address))
		return false;
	kd_symbol_format(session, address, text, size);
	return text[0];
}

static enum kd_status bits_of(const struct kd_session *s, unsigned *bits_ret, struct kd_error *err)
{
	if (s->machine != KD_MACHINE_AMD64 && s->machine != KD_MACHINE_X86)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "there is no disassembler for machine 0x%04x yet", s->machine);
	*bits_ret = s->machine == KD_MACHINE_AMD64 ? 64 : 32;
	return KD_OK;
}

static enum kd_status decode(struct kd_session *s, uint64_t address,
			     const struct kd__code_names *names, struct kd_instruction *ret,
			     struct kd_error *err)
{
	uint8_t bytes[INSTRUCTION_MAX];
	unsigned bits = 0;
	size_t n = 0;
	enum kd_status status = bits_of(s, &bits, err);

	if (status == KD_OK)
		status = kd_memory_read(s, address, bytes, sizeof bytes, &n, err);
	if (status == KD_OK)
		kd__code_format(bits, bytes, n, kd__normalise(s, address), names, ret);
	return status;
}

KD_EXPORT enum kd_status kd_code_decode(struct kd_session *s, uint64_t address,
					struct kd_instruction *ret, struct kd_error *err)
{
	const struct kd__code_names names = { s, name };

	return decode(s, address, &names, ret, err);
}

/* --- registers of the instruction to run next: $ea --- */

static bool get_register(void *session, const char *name_of, uint64_t *ret)
{
	static const uint32_t msr_fs_base = 0xC0000100, msr_gs_base = 0xC0000101;
	struct kd_session *s = session;

	if (!strcmp(name_of, "fs_base") && s->machine == KD_MACHINE_X86)
		return kd__process_pseudo(s, "$pcr", ret, NULL) == KD_OK;
	if (!strcmp(name_of, "fs_base"))
		return kd_msr_read(s, msr_fs_base, ret, NULL) == KD_OK;
	if (!strcmp(name_of, "gs_base"))
		return kd_msr_read(s, msr_gs_base, ret, NULL) == KD_OK;
	return kd_register_get(s, name_of, ret, NULL) == KD_OK;
}

enum kd_status kd__code_operand_address(struct kd_session *s, unsigned which, uint64_t *ret,
					struct kd_error *err)
{
	uint8_t bytes[INSTRUCTION_MAX];
	unsigned bits = 0;
	uint64_t pc;
	size_t n = 0;
	enum kd_status status = bits_of(s, &bits, err);

	if (status == KD_OK)
		status = kd_register_pc(s, &pc, err);
	if (status == KD_OK)
		status = kd_memory_read(s, pc, bytes, sizeof bytes, &n, err);
	if (status != KD_OK)
		return status;
	if (kd__code_effective(bits, bytes, n, pc, which, get_register, s, ret))
		return KD_OK;
	return kd_error_set(err, KD_E_NOT_FOUND, pc,
			    "the current instruction has no %s memory operand",
			    which ? "second" : "known");
}

/* --- backwards --- */

/* Starts of the last `n` instructions met, the newest at [(count - 1) % n]. */
struct trail {
	uint64_t *starts;
	size_t n, count;
};

/* Decode from `from` on. true: an instruction begins exactly at `to`. */
static bool follow(struct kd_session *s, uint64_t from, uint64_t to, struct trail *trail,
		   bool reject_invalid)
{
	struct kd_instruction insn;

	trail->count = 0;
	while (from < to) {
		if (decode(s, from, NULL, &insn, NULL) != KD_OK ||
		    (reject_invalid && !insn.is_valid))
			return false;
		if (insn.size == 0 || insn.size > to - from)
			return false; /* past `to`, or around the top of the address space */
		trail->starts[trail->count++ % trail->n] = from;
		from += insn.size;
	}
	return from == to;
}

/* The n-th before, of what one walk met. */
static bool take(const struct trail *trail, unsigned n, uint64_t *ret)
{
	if (trail->count < n)
		return false;
	*ret = trail->starts[(trail->count - n) % trail->n];
	return true;
}

/*
 * No function start is known: of the walks that begin a little before, x86 code being
 * self-synchronising, the first that meets only valid instructions and ends here.
 */
static enum kd_status guess(struct kd_session *s, uint64_t address, unsigned n, struct trail *trail,
			    uint64_t *ret, struct kd_error *err)
{
	uint64_t span = (uint64_t)n * INSTRUCTION_MAX + 32;

	for (uint64_t from = address > span ? address - span : 0; from < address; from++) {
		if (follow(s, from, address, trail, true) && take(trail, n, ret))
			return KD_OK;
	}
	return kd_error_set(err, KD_E_NOT_FOUND, address,
			    "no row of %u instructions ends here: the memory before is not "
			    "readable or not code",
			    n);
}

/* From the start of the function, as far as there are enough instructions in it. */
static bool from_function(struct kd_session *s, uint64_t address, unsigned n, struct trail *trail,
			  uint64_t *ret)
{
	uint64_t begin, end;

	if (kd_symbol_function_bounds(s, address, &begin, &end, NULL) != KD_OK || begin > address ||
	    address - begin > FUNCTION_MAX)
		return false;
	return follow(s, begin, address, trail, false) && take(trail, n, ret);
}

KD_EXPORT enum kd_status kd_code_before(struct kd_session *s, uint64_t address, unsigned n,
					uint64_t *ret, struct kd_error *err)
{
	struct trail trail = { .n = n };
	enum kd_status status = kd__need_memory(s, err);

	if (status != KD_OK)
		return status;
	if (!n || n > BEFORE_MAX)
		return kd_error_set(err, KD_E_INVALID, address, "1 to %d instructions back, not %u",
				    BEFORE_MAX, n);
	trail.starts = calloc(n, sizeof *trail.starts);
	if (!trail.starts)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	address = kd__normalise(s, address);
	if (!from_function(s, address, n, &trail, ret))
		status = guess(s, address, n, &trail, ret, err);
	free(trail.starts);
	return status;
}
