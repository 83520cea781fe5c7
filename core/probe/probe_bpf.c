/* SPDX-License-Identifier: MIT */
#include "core/probe/probe_bpf.h"

enum {
	CELLS = 16,
	/* instruction classes, then what their other bits say */
	LD = 0x00,
	LDX = 0x01,
	ST = 0x02,
	STX = 0x03,
	ALU = 0x04,
	JMP = 0x05,
	RET = 0x06,
	MISC = 0x07,
	SIZE_H = 0x08,
	SIZE_B = 0x10,
	MODE_IMM = 0x00,
	MODE_ABS = 0x20,
	MODE_IND = 0x40,
	MODE_MEM = 0x60,
	MODE_LEN = 0x80,
	MODE_MSH = 0xA0,
	FROM_X = 0x08,
	RET_A = 0x10,
	TXA = 0x80,
};

enum {
	ADD = 0x00,
	SUB = 0x10,
	MUL = 0x20,
	DIV = 0x30,
	OR = 0x40,
	AND = 0x50,
	LSH = 0x60,
	RSH = 0x70,
	NEG = 0x80,
	MOD = 0x90,
	XOR = 0xA0
};
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };

static unsigned class_of(uint16_t code)
{
	return code & 7;
}

static unsigned mode_of(uint16_t code)
{
	return code & 0xE0;
}

static unsigned operation_of(uint16_t code)
{
	return code & 0xF0;
}

void kd_bpf_decode(struct kd_bpf_instruction *ret, const uint8_t in[KD_AT_LEAST(KD_BPF_SIZE)])
{
	*ret = (struct kd_bpf_instruction){ kd_get16(in), in[2], in[3], kd_get32(in + 4) };
}

void kd_bpf_encode(uint8_t out[KD_AT_LEAST(KD_BPF_SIZE)], const struct kd_bpf_instruction *v)
{
	kd_put16(out, v->code);
	out[2] = v->jt;
	out[3] = v->jf;
	kd_put32(out + 4, v->k);
}

/* --- checking --- */

static bool is_load(uint16_t code)
{
	unsigned size = code & 0x18;

	switch (mode_of(code)) {
	case MODE_ABS:
	case MODE_IND: return size != 0x18;
	case MODE_IMM:
	case MODE_MEM:
	case MODE_LEN: return size == 0;
	default: return false;
	}
}

static bool is_index_load(uint16_t code)
{
	switch (mode_of(code)) {
	case MODE_IMM:
	case MODE_MEM:
	case MODE_LEN: return (code & 0x18) == 0;
	case MODE_MSH: return (code & 0x18) == SIZE_B;
	default: return false;
	}
}

static bool is_known(const struct kd_bpf_instruction *i)
{
	unsigned operation = operation_of(i->code);

	if (i->code > 0xFF)
		return false;
	switch (class_of(i->code)) {
	case LD: return is_load(i->code);
	case LDX: return is_index_load(i->code);
	case ST:
	case STX: return (i->code & 0xF8) == 0;
	case ALU: return operation <= XOR && (operation != NEG || !(i->code & FROM_X));
	case JMP: return operation <= JSET && (operation != JA || !(i->code & FROM_X));
	case RET: return i->code == RET || i->code == (RET | RET_A);
	default: return i->code == MISC || i->code == (MISC | TXA);
	}
}

static bool is_cell(const struct kd_bpf_instruction *i)
{
	unsigned class = class_of(i->code);

	return class == ST || class == STX ||
	       ((class == LD || class == LDX) && mode_of(i->code) == MODE_MEM);
}

static bool divides_by_zero(const struct kd_bpf_instruction *i)
{
	unsigned operation = operation_of(i->code);

	return class_of(i->code) == ALU && !(i->code & FROM_X) && i->k == 0 &&
	       (operation == DIV || operation == MOD);
}

/* Forward by construction: the displacements are unsigned. */
static bool jumps_inside(const struct kd_bpf_instruction *i, uint32_t rest)
{
	if (class_of(i->code) != JMP)
		return true;
	if (operation_of(i->code) == JA)
		return i->k < rest;
	return i->jt < rest && i->jf < rest;
}

enum kd_status kd_bpf_check(const struct kd_bpf_instruction *program, uint32_t n,
			    uint32_t *where_ret)
{
	*where_ret = 0;
	if (n == 0 || n > KD_PROBE_INSTRUCTIONS_MAX)
		return KD_E_MALFORMED;
	for (uint32_t at = 0; at < n; at++) {
		const struct kd_bpf_instruction *i = &program[at];

		*where_ret = at;
		if (!is_known(i) || (is_cell(i) && i->k >= CELLS) || divides_by_zero(i) ||
		    !jumps_inside(i, n - at - 1))
			return KD_E_MALFORMED;
	}
	return class_of(program[n - 1].code) == RET ? KD_OK : KD_E_MALFORMED;
}

/* --- running --- */

struct machine {
	const struct kd_probe_headers *headers;
	const uint8_t *bytes;
	uint32_t size; /* of the bytes */
	uint32_t a, x, cell[CELLS];
	bool is_asking;    /* only what all packets have in common is known ... */
	bool is_undecided; /* ... and something else was wanted */
};

static uint8_t byte_at(const struct machine *m, uint32_t offset)
{
	uint32_t headers = m->headers->size;

	return offset < headers ? m->headers->bytes[offset] : m->bytes[offset - headers];
}

/* False: beyond the packet; or not to be known yet. */
static bool load(struct machine *m, uint32_t offset, uint32_t size, uint32_t *ret)
{
	uint32_t end = offset + size, v = 0;

	if (m->is_asking && !kd_probe_headers_is_fixed(m->headers, offset, size)) {
		m->is_undecided = true;
		return false;
	}
	if (end < offset || end > m->headers->size + m->size)
		return false;
	for (uint32_t i = 0; i < size; i++)
		v = v << 8 | byte_at(m, offset + i);
	*ret = v;
	return true;
}

static uint32_t size_of(uint16_t code)
{
	return code & SIZE_B ? 1 : code & SIZE_H ? 2 : 4;
}

static bool run_load(struct machine *m, const struct kd_bpf_instruction *i)
{
	switch (mode_of(i->code)) {
	case MODE_IMM: m->a = i->k; return true;
	case MODE_MEM: m->a = m->cell[i->k]; return true;
	case MODE_ABS: return load(m, i->k, size_of(i->code), &m->a);
	case MODE_IND: return m->x + i->k >= m->x && load(m, m->x + i->k, size_of(i->code), &m->a);
	default:
		m->is_undecided = m->is_asking;
		m->a = m->headers->size + m->size;
		return !m->is_asking;
	}
}

static bool run_index_load(struct machine *m, const struct kd_bpf_instruction *i)
{
	switch (mode_of(i->code)) {
	case MODE_IMM: m->x = i->k; return true;
	case MODE_MEM: m->x = m->cell[i->k]; return true;
	case MODE_MSH: /* the size of an IPv4 header, whose first byte is at k */
		if (!load(m, i->k, 1, &m->x))
			return false;
		m->x = (m->x & 15) * 4;
		return true;
	default:
		m->is_undecided = m->is_asking;
		m->x = m->headers->size + m->size;
		return !m->is_asking;
	}
}

static bool run_alu(struct machine *m, const struct kd_bpf_instruction *i)
{
	uint32_t v = i->code & FROM_X ? m->x : i->k;

	switch (operation_of(i->code)) {
	case ADD: m->a += v; break;
	case SUB: m->a -= v; break;
	case MUL: m->a *= v; break;
	case OR: m->a |= v; break;
	case AND: m->a &= v; break;
	case XOR: m->a ^= v; break;
	case LSH: m->a = v < 32 ? m->a << v : 0; break;
	case RSH: m->a = v < 32 ? m->a >> v : 0; break;
	case NEG: m->a = 0 - m->a; break;
	default:
		if (v == 0)
			return false;
		m->a = operation_of(i->code) == DIV ? m->a / v : m->a % v;
		break;
	}
	return true;
}

static uint32_t jump(const struct machine *m, const struct kd_bpf_instruction *i)
{
	uint32_t v = i->code & FROM_X ? m->x : i->k;
	bool is_true;

	switch (operation_of(i->code)) {
	case JA: return i->k;
	case JEQ: is_true = m->a == v; break;
	case JGT: is_true = m->a > v; break;
	case JGE: is_true = m->a >= v; break;
	default: is_true = (m->a & v) != 0; break;
	}
	return is_true ? i->jt : i->jf;
}

/* One instruction that is no return and no jump. False: the packet does not match. */
static bool step(struct machine *m, const struct kd_bpf_instruction *i)
{
	switch (class_of(i->code)) {
	case LD: return run_load(m, i);
	case LDX: return run_index_load(m, i);
	case ST: m->cell[i->k] = m->a; return true;
	case STX: m->cell[i->k] = m->x; return true;
	case ALU: return run_alu(m, i);
	default:
		if (i->code & TXA)
			m->a = m->x;
		else
			m->x = m->a;
		return true;
	}
}

static bool run(struct machine *m, const struct kd_bpf_instruction *program, uint32_t n)
{
	for (uint32_t at = 0; at < n; at++) {
		const struct kd_bpf_instruction *i = &program[at];

		if (class_of(i->code) == RET)
			return (i->code & RET_A ? m->a : i->k) != 0;
		if (class_of(i->code) == JMP)
			at += jump(m, i);
		else if (!step(m, i))
			return false;
	}
	return false;
}

bool kd_bpf_run(const struct kd_bpf_instruction *program, uint32_t n,
		const struct kd_bpf_packet *packet)
{
	struct machine m = { .headers = packet->headers,
			     .bytes = packet->bytes,
			     .size = packet->size };

	return run(&m, program, n);
}

enum kd_bpf_answer kd_bpf_ask(const struct kd_bpf_instruction *program, uint32_t n,
			      const struct kd_probe_headers *headers)
{
	struct machine m = { .headers = headers, .is_asking = true };
	bool matches = run(&m, program, n);

	return m.is_undecided ? KD_BPF_DEPENDS : matches ? KD_BPF_ALWAYS : KD_BPF_NEVER;
}
