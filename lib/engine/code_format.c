/* SPDX-License-Identifier: MIT */
/*
 * Zydis decodes; the text is made here, as WinDbg's differs from every style of Zydis' own: no
 * blank after commas, unsigned immediates of the operand's width, numbers below ten without h,
 * string instructions with their operands, symbols with the address in brackets.
 */
#include "lib/engine/code_format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "lib/base.h"

struct text {
	char *at;
	size_t left;
};

struct formatter {
	const struct kd__code_names *names;
	const ZydisDecodedInstruction *insn;
	const ZydisDecodedOperand *operands;
	uint64_t address;
	bool is_64;
	struct text out;
};

/* Zydis' name for a condition is the first in Intel's list, WinDbg's the one of compares. */
static const struct {
	const char *zydis, *windbg;
} conditions[] = {
	{ "z", "e" },   { "nz", "ne" }, { "nb", "ae" }, { "nbe", "a" },
	{ "nl", "ge" }, { "nle", "g" }, { "np", "np" },
};

static const struct {
	uint16_t bits;
	const char *name;
} sizes[] = {
	{ 8, "byte ptr " },      { 16, "word ptr " },     { 32, "dword ptr " },
	{ 48, "fword ptr " },    { 64, "qword ptr " },    { 80, "tbyte ptr " },
	{ 128, "xmmword ptr " }, { 256, "ymmword ptr " }, { 512, "zmmword ptr " },
};

KD_PRINTF(2, 3) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= t->left)
		n = (int)t->left - 1;
	t->at += n;
	t->left -= (size_t)n;
}

void kd__address_text(uint64_t address, bool is_64, char text[20])
{
	if (is_64)
		snprintf(text, 20, "%08" PRIx32 "`%08" PRIx32, (uint32_t)(address >> 32),
			 (uint32_t)address);
	else
		snprintf(text, 20, "%08" PRIx32, (uint32_t)address);
}

/* 9, 0Ah, 28h */
static void put_number(struct text *t, uint64_t v)
{
	uint64_t top = v;

	if (v < 10) {
		put(t, "%u", (unsigned)v);
		return;
	}
	while (top > 15)
		top >>= 4;
	put(t, "%s%" PRIX64 "h", top > 9 ? "0" : "", v);
}

/* "nt!Foo (fffff801`00001234)"; false: the address has no name. */
static bool put_symbol(struct formatter *f, const char *before, uint64_t address)
{
	char name[112], text[20]; /* so that the address behind a long name is not cut off */

	if (!f->names || !f->names->name(f->names->context, address, name, sizeof name))
		return false;
	kd__address_text(address, f->is_64, text);
	put(&f->out, "%s%s (%s)", before, name, text);
	return true;
}

static const char *register_name(ZydisRegister r)
{
	const char *name = ZydisRegisterGetString(r);

	return name ? name : "?";
}

/* --- memory operands --- */

static const char *segment_of(const struct formatter *f, const ZydisDecodedOperand *o)
{
	uint64_t prefixes = ZYDIS_ATTRIB_HAS_SEGMENT_DS | ZYDIS_ATTRIB_HAS_SEGMENT_SS;

	switch (o->mem.segment) {
	case ZYDIS_REGISTER_FS: return "fs:";
	case ZYDIS_REGISTER_GS: return "gs:";
	case ZYDIS_REGISTER_CS: return f->is_64 ? "" : "cs:";
	case ZYDIS_REGISTER_ES: return f->is_64 ? "" : "es:";
	case ZYDIS_REGISTER_SS: return !f->is_64 && f->insn->attributes & prefixes ? "ss:" : "";
	case ZYDIS_REGISTER_DS: return !f->is_64 && f->insn->attributes & prefixes ? "ds:" : "";
	default: return "";
	}
}

/* The linear address, when no register but rip is part of it. */
static bool fixed_address(const struct formatter *f, const ZydisDecodedOperand *o,
			  uint64_t *address_ret)
{
	ZydisRegister base = o->mem.base;

	if (o->mem.index != ZYDIS_REGISTER_NONE || o->mem.segment == ZYDIS_REGISTER_FS ||
	    o->mem.segment == ZYDIS_REGISTER_GS)
		return false;
	if (base == ZYDIS_REGISTER_RIP || base == ZYDIS_REGISTER_EIP) {
		*address_ret = f->address + f->insn->length + (uint64_t)o->mem.disp.value;
		return true;
	}
	*address_ret = (uint64_t)o->mem.disp.value;
	if (!f->is_64)
		*address_ret = (uint64_t)(int64_t)(int32_t)(uint32_t)*address_ret;
	return base == ZYDIS_REGISTER_NONE;
}

static void put_fixed(struct formatter *f, const char *segment, uint64_t address)
{
	char text[20];

	if (f->is_64) {
		put(&f->out, "%s[", segment);
		if (!put_symbol(f, "", address)) {
			kd__address_text(address, true, text);
			put(&f->out, "%s", text);
		}
		put(&f->out, "]");
	} else if (!put_symbol(f, "[", address)) {
		put(&f->out, "%s[%08" PRIX32 "h]", *segment ? segment : "ds:", (uint32_t)address);
	} else {
		put(&f->out, "]");
	}
}

/* fs:[00000124h], gs:[188h] */
static void put_segment_offset(struct formatter *f, const char *segment, uint64_t offset)
{
	put(&f->out, "%s[", segment);
	if (f->is_64)
		put_number(&f->out, offset);
	else
		put(&f->out, "%08" PRIX32 "h", (uint32_t)offset);
	put(&f->out, "]");
}

/* rax+rcx*8 */
static void put_registers(struct formatter *f, const ZydisDecodedOperand *o)
{
	if (o->mem.base != ZYDIS_REGISTER_NONE)
		put(&f->out, "%s", register_name(o->mem.base));
	if (o->mem.index == ZYDIS_REGISTER_NONE)
		return;
	put(&f->out, "%s%s", o->mem.base != ZYDIS_REGISTER_NONE ? "+" : "",
	    register_name(o->mem.index));
	if (o->mem.scale > 1)
		put(&f->out, "*%u", o->mem.scale);
}

static void put_displaced(struct formatter *f, const char *segment, const ZydisDecodedOperand *o)
{
	int64_t disp = o->mem.disp.has_displacement ? o->mem.disp.value : 0;

	/* Tables of 32-bit code: nt!Table (80501234)[eax*4] */
	if (!f->is_64 && (disp > 0xFFFF || disp < -0xFFFF) &&
	    put_symbol(f, segment, (uint64_t)(int64_t)(int32_t)disp)) {
		put(&f->out, "[");
		put_registers(f, o);
		put(&f->out, "]");
		return;
	}
	if (!f->is_64 && disp < -0xFFFF) /* an address rather than a distance */
		disp = (int64_t)(uint32_t)disp;
	put(&f->out, "%s[", segment);
	put_registers(f, o);
	if (disp) {
		put(&f->out, "%c", disp < 0 ? '-' : '+');
		put_number(&f->out, disp < 0 ? 0 - (uint64_t)disp : (uint64_t)disp);
	}
	put(&f->out, "]");
}

static const char *size_name(const struct formatter *f, const ZydisDecodedOperand *o)
{
	if (o->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
		return "";
	if (o->size == 64 && o->element_type == ZYDIS_ELEMENT_TYPE_FLOAT64 &&
	    f->insn->meta.category != ZYDIS_CATEGORY_X87_ALU)
		return "mmword ptr ";
	for (size_t i = 0; i < KD_ARRAY_LEN(sizes); i++)
		if (sizes[i].bits == o->size)
			return sizes[i].name;
	return "";
}

static void put_memory(struct formatter *f, const ZydisDecodedOperand *o)
{
	const char *segment = segment_of(f, o);
	uint64_t address;

	put(&f->out, "%s", size_name(f, o));
	if (fixed_address(f, o, &address))
		put_fixed(f, segment, address);
	else if (o->mem.base == ZYDIS_REGISTER_NONE && o->mem.index == ZYDIS_REGISTER_NONE)
		put_segment_offset(f, segment, (uint64_t)o->mem.disp.value);
	else
		put_displaced(f, segment, o);
}

/* --- the other operands --- */

static void put_immediate(struct formatter *f, const ZydisDecodedOperand *o)
{
	unsigned width = f->insn->operand_width;
	uint64_t v = o->imm.value.u;

	if (o->imm.is_signed && width < 64)
		v &= (1ull << width) - 1;
	if (width == (f->is_64 ? 64 : 32) && o->size >= 32 &&
	    put_symbol(f, "offset ", f->is_64 ? v : (uint64_t)(int64_t)(int32_t)(uint32_t)v))
		return;
	put_number(&f->out, v);
}

static void put_target(struct formatter *f, uint64_t target)
{
	char text[20];

	if (put_symbol(f, "", target))
		return;
	kd__address_text(target, f->is_64, text);
	put(&f->out, "%s", text);
}

static bool branch_target(const struct formatter *f, const ZydisDecodedOperand *o,
			  uint64_t *target_ret)
{
	if (o->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !o->imm.is_relative)
		return false;
	*target_ret = f->address + f->insn->length + o->imm.value.u;
	if (!f->is_64)
		*target_ret = (uint64_t)(int64_t)(int32_t)(uint32_t)*target_ret;
	return true;
}

static void put_operand(struct formatter *f, const ZydisDecodedOperand *o)
{
	uint64_t target;

	switch (o->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER: put(&f->out, "%s", register_name(o->reg.value)); break;
	case ZYDIS_OPERAND_TYPE_MEMORY: put_memory(f, o); break;
	case ZYDIS_OPERAND_TYPE_POINTER:
		put(&f->out, "%04X:%08" PRIX32, o->ptr.segment, o->ptr.offset);
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		if (branch_target(f, o, &target))
			put_target(f, target);
		else
			put_immediate(f, o);
		break;
	default: break;
	}
}

/* --- instructions --- */

static bool is_string(const ZydisDecodedInstruction *i)
{
	return i->meta.category == ZYDIS_CATEGORY_STRINGOP ||
	       i->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

/* movs, stos, ...: memory, and the port of ins and outs; the accumulator is left out. */
static bool is_shown(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o, size_t n)
{
	if (is_string(i))
		return o->type == ZYDIS_OPERAND_TYPE_MEMORY ||
		       (o->type == ZYDIS_OPERAND_TYPE_REGISTER &&
			o->reg.value == ZYDIS_REGISTER_DX);
	if (i->mnemonic == ZYDIS_MNEMONIC_NOP)
		return n == 0;
	return o->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;
}

/* Masks and broadcasts of AVX-512 are Zydis' own text. */
static bool put_vector(struct formatter *f)
{
	char text[160];
	const char *space;
	ZydisFormatter z;

	if (f->insn->encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX &&
	    f->insn->encoding != ZYDIS_INSTRUCTION_ENCODING_MVEX)
		return false;
	if (!ZYAN_SUCCESS(ZydisFormatterInit(&z, ZYDIS_FORMATTER_STYLE_INTEL)) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&z, f->insn, f->operands,
							  f->insn->operand_count_visible, text,
							  sizeof text, f->address, NULL)))
		return false;
	space = strchr(text, ' ');
	put(&f->out, "%s", space ? space + 1 : "");
	return true;
}

static void put_operands(struct formatter *f)
{
	bool first = true;

	if (f->insn->mnemonic == ZYDIS_MNEMONIC_INT3)
		put(&f->out, "3");
	if (put_vector(f))
		return;
	for (size_t i = 0; i < f->insn->operand_count; i++) {
		const ZydisDecodedOperand *o = &f->operands[i];

		if (!is_shown(f->insn, o, i))
			continue;
		if (!first)
			put(&f->out, ",");
		put_operand(f, o);
		first = false;
	}
}

static const struct {
	uint64_t attribute;
	const char *text;
} prefixes[] = {
	{ ZYDIS_ATTRIB_HAS_XACQUIRE, "xacquire " }, { ZYDIS_ATTRIB_HAS_XRELEASE, "xrelease " },
	{ ZYDIS_ATTRIB_HAS_LOCK, "lock " },         { ZYDIS_ATTRIB_HAS_BND, "bnd " },
	{ ZYDIS_ATTRIB_HAS_NOTRACK, "notrack " },   { ZYDIS_ATTRIB_HAS_REP, "rep " },
	{ ZYDIS_ATTRIB_HAS_REPE, "repe " },         { ZYDIS_ATTRIB_HAS_REPNE, "repne " },
};

static const char *condition(const char *zydis)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(conditions); i++)
		if (!strcmp(conditions[i].zydis, zydis))
			return conditions[i].windbg;
	return zydis;
}

static void put_mnemonic(struct text *t, const ZydisDecodedInstruction *i)
{
	const char *name = ZydisMnemonicGetString(i->mnemonic);
	static const char *const conditional[] = { "cmov", "set", "j" };

	for (size_t k = 0; k < KD_ARRAY_LEN(prefixes); k++)
		if (i->attributes & prefixes[k].attribute)
			put(t, "%s", prefixes[k].text);
	/* AMD's two-byte return: the prefix does nothing, but is there. */
	if (i->mnemonic == ZYDIS_MNEMONIC_RET && i->raw.prefix_count &&
	    i->raw.prefixes[0].value == 0xF3)
		put(t, "rep ");
	if (is_string(i)) { /* stosd -> stos: the operand tells the size */
		put(t, "%.*s", (int)strlen(name) - 1, name);
		return;
	}
	if (i->mnemonic == ZYDIS_MNEMONIC_INT3)
		name = "int";
	for (size_t k = 0; k < KD_ARRAY_LEN(conditional); k++) {
		size_t n = strlen(conditional[k]);

		if (!strncmp(name, conditional[k], n)) {
			put(t, "%s%s", conditional[k], condition(name + n));
			return;
		}
	}
	put(t, "%s", name);
}

static enum kd_flow flow_of(const ZydisDecodedInstruction *i)
{
	switch (i->meta.category) {
	case ZYDIS_CATEGORY_CALL: return KD_FLOW_CALL;
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_SYSRET: return KD_FLOW_RETURN;
	case ZYDIS_CATEGORY_UNCOND_BR: return KD_FLOW_JUMP;
	case ZYDIS_CATEGORY_COND_BR: return KD_FLOW_BRANCH;
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL: return KD_FLOW_TRAP;
	default: return i->mnemonic == ZYDIS_MNEMONIC_UD2 ? KD_FLOW_TRAP : KD_FLOW_NEXT;
	}
}

static void describe(struct formatter *f, struct kd_instruction *ret)
{
	const uint64_t repeated = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
				  ZYDIS_ATTRIB_HAS_REPNE;

	ret->size = f->insn->length;
	ret->is_valid = true;
	ret->flow = flow_of(f->insn);
	ret->is_repeated = f->insn->attributes & repeated;
	for (size_t i = 0; i < f->insn->operand_count; i++) {
		const ZydisDecodedOperand *o = &f->operands[i];

		if (branch_target(f, o, &ret->target))
			ret->has_target = true;
		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && !ret->has_memory &&
		    o->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			ret->has_memory = fixed_address(f, o, &ret->memory);
	}
}

static void undecodable(struct kd_instruction *ret)
{
	ret->size = 1;
	ret->flow = KD_FLOW_NEXT;
	snprintf(ret->mnemonic, sizeof ret->mnemonic, "???");
}

static bool decode(unsigned bits, const uint8_t *bytes, size_t n, ZydisDecodedInstruction *insn,
		   ZydisDecodedOperand *operands)
{
	ZydisDecoder d;

	return ZYAN_SUCCESS(ZydisDecoderInit(
		       &d, bits == 64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
		       bits == 64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32)) &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, bytes, n, insn, operands));
}

void kd__code_format(unsigned bits, const uint8_t *bytes, size_t n, uint64_t address,
		     const struct kd__code_names *names, struct kd_instruction *ret)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	struct formatter f = { names, &insn, operands, address, bits == 64, { NULL, 0 } };
	struct text mnemonic = { ret->mnemonic, sizeof ret->mnemonic };

	memset(ret, 0, sizeof *ret);
	ret->address = address;
	ret->bytes[0] = bytes[0];
	if (!decode(bits, bytes, n, &insn, operands)) {
		undecodable(ret);
		return;
	}
	memcpy(ret->bytes, bytes, insn.length);
	describe(&f, ret);
	put_mnemonic(&mnemonic, &insn);
	f.out = (struct text){ ret->operands, sizeof ret->operands };
	put_operands(&f);
}

/* --- effective addresses --- */

static bool add_register(ZydisRegister r, uint64_t factor, kd__register_fn get, void *context,
			 uint64_t *sum)
{
	uint64_t value;

	if (r == ZYDIS_REGISTER_NONE)
		return true;
	if (!get(context, register_name(r), &value))
		return false;
	*sum += value * factor;
	return true;
}

static bool effective(const struct formatter *f, const ZydisDecodedOperand *o, kd__register_fn get,
		      void *context, uint64_t *ret)
{
	uint64_t sum = 0;

	if (fixed_address(f, o, ret))
		return true;
	if (!add_register(o->mem.base, 1, get, context, &sum) ||
	    !add_register(o->mem.index, o->mem.scale, get, context, &sum))
		return false;
	sum += o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0;
	if (f->insn->address_width < 64)
		sum = (uint32_t)sum;
	if (o->mem.segment == ZYDIS_REGISTER_FS || o->mem.segment == ZYDIS_REGISTER_GS) {
		const char *base = o->mem.segment == ZYDIS_REGISTER_FS ? "fs_base" : "gs_base";
		uint64_t value;

		if (!get(context, base, &value))
			return false;
		sum += value;
	}
	*ret = f->is_64 ? sum : (uint64_t)(int64_t)(int32_t)(uint32_t)sum;
	return true;
}

bool kd__code_effective(unsigned bits, const uint8_t *bytes, size_t n, uint64_t address,
			unsigned which, kd__register_fn get, void *context, uint64_t *ret)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	struct formatter f = { NULL, &insn, operands, address, bits == 64, { NULL, 0 } };

	if (!decode(bits, bytes, n, &insn, operands))
		return false;
	for (size_t i = 0; i < insn.operand_count; i++) {
		const ZydisDecodedOperand *o = &operands[i];

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
			continue;
		if (which-- == 0)
			return effective(&f, o, get, context, ret);
	}
	return false;
}
