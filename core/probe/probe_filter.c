/* SPDX-License-Identifier: MIT */
#include "core/probe/probe_filter.h"

/* --- bytes --- */

void kd_probe_filter_init(struct kd_probe_filter *f)
{
	f->generation = 0;
	f->n_rules = 0;
	f->capture.n = 0;
	f->intercept.n = 0;
}

static bool is_rule(const struct kd_probe_w_rule *r)
{
	unsigned bits = r->family == 4 ? 32 : 128;

	return (r->match & ~(uint32_t)KD_PROBE_MATCH_ALL) == 0 && r->action <= KD_PROBE_HOLD &&
	       r->path_size <= sizeof r->path && r->local_bits <= bits && r->remote_bits <= bits;
}

/* `*n` instructions from *in, which moves. False: one of them is wrong. */
static bool decode_program(struct kd_probe_program *ret, const uint8_t **in, uint32_t n,
			   uint32_t *where_ret)
{
	ret->n = n;
	for (uint32_t i = 0; i < n; i++, *in += KD_BPF_SIZE)
		kd_bpf_decode(&ret->instructions[i], *in);
	return n == 0 || kd_bpf_check(ret->instructions, n, where_ret) == KD_OK;
}

enum kd_probe_filter_fault kd_probe_filter_decode(struct kd_probe_filter *ret, const uint8_t *in,
						  uint32_t size, uint32_t *where_ret)
{
	struct kd_probe_w_filter v;

	*where_ret = 0;
	if (size < KD_PROBE_SIZE_filter)
		return KD_PROBE_FILTER_SIZE;
	kd_probe_w_filter_decode(&v, in);
	if (v.n_rules > KD_PROBE_RULES_MAX || v.n_capture > KD_PROBE_INSTRUCTIONS_MAX ||
	    v.n_intercept > KD_PROBE_INSTRUCTIONS_MAX ||
	    size != KD_PROBE_SIZE_filter + v.n_rules * KD_PROBE_SIZE_rule +
			    (v.n_capture + v.n_intercept) * KD_BPF_SIZE)
		return KD_PROBE_FILTER_SIZE;
	in += KD_PROBE_SIZE_filter;
	ret->generation = v.generation;
	ret->n_rules = v.n_rules;
	for (uint32_t i = 0; i < v.n_rules; i++, in += KD_PROBE_SIZE_rule) {
		*where_ret = i;
		kd_probe_w_rule_decode(&ret->rules[i], in);
		if (!is_rule(&ret->rules[i]))
			return KD_PROBE_FILTER_RULE;
	}
	if (!decode_program(&ret->capture, &in, v.n_capture, where_ret))
		return KD_PROBE_FILTER_CAPTURE;
	return decode_program(&ret->intercept, &in, v.n_intercept, where_ret)
		       ? KD_PROBE_FILTER_GOOD
		       : KD_PROBE_FILTER_INTERCEPT;
}

static uint8_t *encode_program(uint8_t *out, const struct kd_probe_program *p)
{
	for (uint32_t i = 0; i < p->n; i++, out += KD_BPF_SIZE)
		kd_bpf_encode(out, &p->instructions[i]);
	return out;
}

uint32_t kd_probe_filter_encode(uint8_t *out, const struct kd_probe_filter *v)
{
	struct kd_probe_w_filter hdr = { v->generation, v->n_rules, v->capture.n, v->intercept.n };
	uint8_t *at = out + KD_PROBE_SIZE_filter;

	kd_probe_w_filter_encode(out, &hdr);
	for (uint32_t i = 0; i < v->n_rules; i++, at += KD_PROBE_SIZE_rule)
		kd_probe_w_rule_encode(at, &v->rules[i]);
	at = encode_program(at, &v->capture);
	return (uint32_t)(encode_program(at, &v->intercept) - out);
}

/* --- patterns --- */

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

bool kd_probe_glob_matches(const uint8_t *pattern, uint32_t pattern_size, const uint8_t *text,
			   uint32_t text_size)
{
	uint32_t p = 0, t = 0, star = UINT32_MAX, mark = 0;

	while (t < text_size) {
		if (p < pattern_size && pattern[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern_size &&
			   (pattern[p] == '?' || fold(pattern[p]) == fold(text[t]))) {
			p++;
			t++;
		} else if (star != UINT32_MAX) { /* the last star takes one more */
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern_size && pattern[p] == '*')
		p++;
	return p == pattern_size;
}

static bool has_folder(const uint8_t *pattern, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		if (pattern[i] == '\\')
			return true;
	return false;
}

/* A pattern without a backslash is for the file's name alone. */
static bool path_matches(const struct kd_probe_w_rule *r, const struct kd_probe_facts *facts)
{
	uint32_t from = 0;

	for (uint32_t i = 0; !has_folder(r->path, r->path_size) && i < facts->path_size; i++)
		if (facts->path[i] == '\\')
			from = i + 1;
	return kd_probe_glob_matches(r->path, r->path_size, facts->path + from,
				     facts->path_size - from);
}

/* --- rules --- */

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
	for (unsigned i = 0; i < bits / 8; i++)
		if (address[i] != prefix[i])
			return false;
	return bits % 8 == 0 || (address[bits / 8] ^ prefix[bits / 8]) >> (8 - bits % 8) == 0;
}

static bool is_between(uint16_t v, uint16_t first, uint16_t last)
{
	return v >= first && v <= last;
}

static bool rule_fits(const struct kd_probe_w_rule *r, const struct kd_probe_facts *facts)
{
	bool is_family = facts->family == r->family;
	const struct {
		uint32_t condition;
		bool is_met;
	} conditions[] = {
		{ KD_PROBE_MATCH_PID, facts->pid == r->pid },
		{ KD_PROBE_MATCH_DIRECTION, facts->direction == r->direction },
		{ KD_PROBE_MATCH_LOOPBACK, facts->is_loopback == (r->is_loopback != 0) },
		{ KD_PROBE_MATCH_PROTOCOL, facts->protocol == r->protocol },
		{ KD_PROBE_MATCH_FAMILY, is_family },
		{ KD_PROBE_MATCH_LOCAL_PORT,
		  is_between(facts->local_port, r->local_port_first, r->local_port_last) },
		{ KD_PROBE_MATCH_REMOTE_PORT,
		  is_between(facts->remote_port, r->remote_port_first, r->remote_port_last) },
		{ KD_PROBE_MATCH_LOCAL,
		  is_family && has_prefix(facts->local, r->local, r->local_bits) },
		{ KD_PROBE_MATCH_REMOTE,
		  is_family && has_prefix(facts->remote, r->remote, r->remote_bits) },
	};

	for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++)
		if (r->match & conditions[i].condition && !conditions[i].is_met)
			return false;
	return !(r->match & KD_PROBE_MATCH_PATH) || path_matches(r, facts);
}

enum kd_probe_action kd_probe_filter_action(const struct kd_probe_filter *f, unsigned list,
					    const struct kd_probe_facts *facts)
{
	for (uint32_t i = 0; i < f->n_rules; i++)
		if (f->rules[i].lists & list && rule_fits(&f->rules[i], facts))
			return (enum kd_probe_action)f->rules[i].action;
	return KD_PROBE_BY_PROGRAM;
}

/* --- flows --- */

static bool is_dhcp(const struct kd_probe_facts *facts)
{
	uint16_t local = facts->local_port, remote = facts->remote_port;

	return facts->protocol == 17 &&
	       ((is_between(local, 67, 68) && is_between(remote, 67, 68)) ||
		(is_between(local, 546, 547) && is_between(remote, 546, 547)));
}

static bool is_for_many(const struct kd_probe_facts *facts)
{
	const uint8_t *a = facts->remote;

	if (facts->family == 6)
		return a[0] == 0xFF;
	return (a[0] & 0xF0) == 0xE0 || (a[0] & a[1] & a[2] & a[3]) == 0xFF;
}

static enum kd_bpf_answer ask(const struct kd_probe_program *p,
			      const struct kd_probe_headers *headers)
{
	return p->n == 0 ? KD_BPF_ALWAYS : kd_bpf_ask(p->instructions, p->n, headers);
}

struct kd_probe_wish kd_probe_filter_ask(const struct kd_probe_filter *f,
					 const struct kd_probe_facts *facts,
					 enum kd_probe_direction direction)
{
	static const enum kd_bpf_answer shown[] = { [KD_PROBE_IGNORE] = KD_BPF_NEVER,
						    [KD_PROBE_SHOW] = KD_BPF_ALWAYS,
						    [KD_PROBE_HOLD] = KD_BPF_ALWAYS };
	static const enum kd_bpf_answer held[] = { [KD_PROBE_IGNORE] = KD_BPF_NEVER,
						   [KD_PROBE_SHOW] = KD_BPF_NEVER,
						   [KD_PROBE_HOLD] = KD_BPF_ALWAYS };
	enum kd_probe_action show = kd_probe_filter_action(f, KD_PROBE_LIST_SHOW, facts);
	enum kd_probe_action hold = kd_probe_filter_action(f, KD_PROBE_LIST_HOLD, facts);
	struct kd_probe_headers headers;
	struct kd_probe_wish wish;

	kd_probe_headers_make(&headers, facts, direction, &(struct kd_probe_segment){ 0 });
	wish.is_shown = show == KD_PROBE_BY_PROGRAM ? ask(&f->capture, &headers) : shown[show];
	if (wish.is_shown == KD_BPF_NEVER)
		wish.is_held = KD_BPF_NEVER;
	else if (hold != KD_PROBE_BY_PROGRAM)
		wish.is_held = held[hold];
	else if (is_for_many(facts) || is_dhcp(facts))
		wish.is_held = KD_BPF_NEVER;
	else
		wish.is_held = ask(&f->intercept, &headers);
	return wish;
}

bool kd_probe_program_matches(const struct kd_probe_program *program,
			      const struct kd_probe_facts *facts, enum kd_probe_direction direction,
			      uint16_t data_flags, const uint8_t *bytes, uint32_t size)
{
	struct kd_probe_segment segment = {
		.payload_size = size,
		.tcp_flags = data_flags & KD_PROBE_FIN   ? KD_PROBE_TCP_FIN | KD_PROBE_TCP_ACK
			     : data_flags & KD_PROBE_RST ? KD_PROBE_TCP_RST | KD_PROBE_TCP_ACK
							 : KD_PROBE_TCP_PSH | KD_PROBE_TCP_ACK,
	};
	struct kd_probe_headers headers;

	if (program->n == 0)
		return true;
	kd_probe_headers_make(&headers, facts, direction, &segment);
	return kd_bpf_run(program->instructions, program->n,
			  &(struct kd_bpf_packet){ &headers, bytes, size });
}
