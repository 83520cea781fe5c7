/* SPDX-License-Identifier: MIT */
/* The fake target's processors: one instruction at a time, with traps as a debugger knows them. */
#include <string.h>

#include "core/bytes.h"
#include "tests/support/kd_fake_target.h"

enum { EFLAGS_ZF = 0x40, EFLAGS_TF = 0x100, EFLAGS_RF = 0x10000, CODE_MAX = 15 };

static const char *const names_64[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi" };
static const char *const names_32[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };

struct cpu {
	struct kd_fake *f;
	uint16_t processor;
	uint64_t pc, next;
	uint8_t code[CODE_MAX];
	size_t n_code;
	bool is_wide; /* REX.W */
};

static const char *name_of(const struct kd_fake *f, unsigned reg)
{
	return f->word == 8 ? names_64[reg & 7] : names_32[reg & 7];
}

static uint64_t get(const struct cpu *c, unsigned reg)
{
	return kd_fake_get_register(c->f, c->processor, name_of(c->f, reg));
}

/* Writes of 32 bits clear the upper half, as on the real thing. */
static void set(struct cpu *c, unsigned reg, uint64_t value)
{
	kd_fake_set_register(c->f, c->processor, name_of(c->f, reg), value);
}

static uint64_t flags(const struct cpu *c)
{
	return kd_fake_get_register(c->f, c->processor, "efl");
}

static void set_flags(struct cpu *c, uint64_t value)
{
	kd_fake_set_register(c->f, c->processor, "efl", value);
}

static enum kd_fake_trap raise(struct cpu *c, uint32_t code, uint64_t address, uint32_t n,
			       uint64_t info0, uint64_t info1)
{
	c->f->exception = (struct kd_w_exception){
		.code = code,
		.address = address,
		.n_parameters = n,
		.information = { info0, info1 },
	};
	return KD_FAKE_TRAP_EXCEPTION;
}

static enum kd_fake_trap fault(struct cpu *c, bool is_write, uint64_t address)
{
	return raise(c, (uint32_t)KD_NT_ACCESS_VIOLATION, c->pc, 2, is_write, address);
}

static enum kd_fake_trap push(struct cpu *c, uint64_t value)
{
	const uint64_t sp = get(c, 4) - c->f->word;
	uint8_t bytes[8];

	kd_put_sized(bytes, c->f->word, value);
	if (kd_fake_write(c->f, sp, bytes, c->f->word) != c->f->word)
		return fault(c, true, sp);
	set(c, 4, sp);
	return KD_FAKE_TRAP_NONE;
}

static enum kd_fake_trap pop(struct cpu *c, uint64_t *value_ret)
{
	const uint64_t sp = get(c, 4);
	uint8_t bytes[8];

	if (kd_fake_read(c->f, sp, bytes, c->f->word) != c->f->word)
		return fault(c, false, sp);
	*value_ret = kd_get_sized(bytes, c->f->word);
	set(c, 4, sp + c->f->word);
	return KD_FAKE_TRAP_NONE;
}

static enum kd_fake_trap jump(struct cpu *c, bool taken, int32_t distance)
{
	if (taken)
		c->next += (uint64_t)(int64_t)distance;
	return KD_FAKE_TRAP_NONE;
}

static enum kd_fake_trap count(struct cpu *c, unsigned reg, uint64_t by)
{
	const uint64_t mask = c->is_wide ? UINT64_MAX : UINT32_MAX;
	const uint64_t value = (get(c, reg) + by) & mask;

	set(c, reg, value);
	set_flags(c, value ? flags(c) & ~(uint64_t)EFLAGS_ZF : flags(c) | EFLAGS_ZF);
	return KD_FAKE_TRAP_NONE;
}

static enum kd_fake_trap divide(struct cpu *c)
{
	const uint32_t divisor = (uint32_t)get(c, 1);
	const uint64_t value = (uint32_t)get(c, 0) | get(c, 2) << 32;

	if (!divisor || value / divisor > UINT32_MAX)
		return raise(c, (uint32_t)KD_NT_INTEGER_DIVIDE_BY_ZERO, c->pc, 0, 0, 0);
	set(c, 0, value / divisor);
	set(c, 2, value % divisor);
	return KD_FAKE_TRAP_NONE;
}

static enum kd_fake_trap move_byte(struct cpu *c, bool is_store)
{
	const uint64_t address = get(c, 0);
	uint8_t byte = (uint8_t)get(c, 1);

	if (is_store)
		return kd_fake_write(c->f, address, &byte, 1) ? KD_FAKE_TRAP_NONE
							      : fault(c, true, address);
	if (!kd_fake_read(c->f, address, &byte, 1))
		return fault(c, false, address);
	set(c, 1, (get(c, 1) & ~(uint64_t)0xFF) | byte);
	return KD_FAKE_TRAP_NONE;
}

static uint64_t immediate(const struct cpu *c, const uint8_t *p)
{
	return c->is_wide ? kd_get64(p) : kd_get32(p);
}

/* Opcodes of one byte; `p` points at it. Sets c->next. */
static enum kd_fake_trap one_byte(struct cpu *c, const uint8_t *p, const uint8_t *prefixless)
{
	const uint64_t base = c->pc + (uint64_t)(p - prefixless);
	enum kd_fake_trap trap;
	uint64_t value;

	c->next = base + 1;
	if (p[0] >= 0x50 && p[0] < 0x58)
		return push(c, get(c, p[0]));
	if (p[0] >= 0x58 && p[0] < 0x60) {
		trap = pop(c, &value);
		if (trap == KD_FAKE_TRAP_NONE)
			set(c, p[0], value);
		return trap;
	}
	if (p[0] >= 0xB8 && p[0] < 0xC0) {
		c->next = base + (c->is_wide ? 9 : 5);
		set(c, p[0], immediate(c, p + 1));
		return KD_FAKE_TRAP_NONE;
	}
	switch (p[0]) {
	case 0x90: return KD_FAKE_TRAP_NONE;
	case 0xF4: return KD_FAKE_TRAP_HALT;
	case 0x74:
	case 0x75:
		c->next = base + 2;
		return jump(c, ((flags(c) & EFLAGS_ZF) != 0) == (p[0] == 0x74), (int8_t)p[1]);
	case 0xEB: c->next = base + 2; return jump(c, true, (int8_t)p[1]);
	case 0xE9: c->next = base + 5; return jump(c, true, (int32_t)kd_get32(p + 1));
	case 0xE8:
		c->next = base + 5;
		trap = push(c, c->next);
		return trap != KD_FAKE_TRAP_NONE ? trap : jump(c, true, (int32_t)kd_get32(p + 1));
	case 0xC3: return pop(c, &c->next);
	case 0xCC:
		c->next = c->pc; /* NT reports the address of the int3 */
		return raise(c, (uint32_t)KD_NT_BREAKPOINT, c->pc, 1, 0, 0);
	default: return raise(c, (uint32_t)KD_NT_ILLEGAL_INSTRUCTION, c->pc, 0, 0, 0);
	}
}

/* The others; false: not one of them. */
static bool two_bytes(struct cpu *c, const uint8_t *p, uint64_t base, enum kd_fake_trap *trap_ret)
{
	const unsigned key = (unsigned)p[0] << 8 | p[1];

	c->next = base + 2;
	*trap_ret = KD_FAKE_TRAP_NONE;
	if (p[0] == 0xFF && p[1] >= 0xC0 && p[1] < 0xD0) {
		*trap_ret = count(c, p[1], p[1] < 0xC8 ? 1 : (uint64_t)-1);
		return true;
	}
	switch (key) {
	case 0x8808: *trap_ret = move_byte(c, true); return true;
	case 0x8A08: *trap_ret = move_byte(c, false); return true;
	case 0xF7F1: *trap_ret = divide(c); return true;
	case 0xCD2C:
		c->next = c->pc;
		*trap_ret = raise(c, (uint32_t)KD_NT_ASSERTION_FAILURE, c->pc, 0, 0, 0);
		return true;
	default: return false;
	}
}

static enum kd_fake_trap step(struct cpu *c)
{
	const uint8_t *p = c->code;
	enum kd_fake_trap trap;

	c->is_wide = c->f->word == 8 && p[0] == 0x48;
	if (c->is_wide)
		p++;
	if (two_bytes(c, p, c->pc + (uint64_t)(p - c->code), &trap))
		return trap;
	return one_byte(c, p, c->code);
}

/* An enabled execution breakpoint of the debug registers at PC. */
static bool hits_debug_register(const struct cpu *c)
{
	static const char *const names[] = { "kdr0", "kdr1", "kdr2", "kdr3" };
	const uint64_t dr7 = kd_fake_get_special(c->f, c->processor, "kdr7");

	if (flags(c) & EFLAGS_RF)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		const bool is_enabled = dr7 >> (2 * i) & 3;
		const bool is_execute = (dr7 >> (16 + 4 * i) & 3) == 0;

		if (is_enabled && is_execute &&
		    kd_fake_get_special(c->f, c->processor, names[i]) == c->pc) {
			const struct kd_reg_field *dr6 = kd_reg_find(c->f->special_layout, "kdr6");

			kd_reg_set(c->f->processors[c->processor].special, dr6, 1u << i);
			return true;
		}
	}
	return false;
}

enum kd_fake_trap kd_fake_execute(struct kd_fake *f, uint16_t processor)
{
	const char *const pc_name = f->word == 8 ? "rip" : "eip";
	struct cpu c = { .f = f, .processor = processor };
	enum kd_fake_trap trap;
	bool traced;

	c.pc = kd_fake_get_register(f, processor, pc_name);
	c.n_code = kd_fake_read(f, c.pc, c.code, sizeof(c.code));
	if (!c.n_code)
		return fault(&c, false, c.pc);
	if (hits_debug_register(&c))
		return raise(&c, (uint32_t)KD_NT_SINGLE_STEP, c.pc, 0, 0, 0);
	traced = (flags(&c) & EFLAGS_TF) != 0;
	trap = step(&c);
	if (trap == KD_FAKE_TRAP_EXCEPTION)
		return trap;
	f->n_instructions++;
	kd_fake_set_register(f, processor, pc_name, c.next);
	set_flags(&c, flags(&c) & ~(uint64_t)(EFLAGS_RF | EFLAGS_TF));
	if (traced)
		return raise(&c, (uint32_t)KD_NT_SINGLE_STEP, c.next, 0, 0, 0);
	return trap;
}
