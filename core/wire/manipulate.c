/* SPDX-License-Identifier: MIT */
/* Requests and replies: packet type 2. */
#include "core/wire/message.h"

#include "core/bytes.h"
#include "core/wire/context.h"

enum { MEMBER_OFFSET = 16, MEMBER_SIZE = 40, REPLY_MIN = 12 };

_Static_assert((size_t)KD_W_SIZE_manipulate_hdr == KD_MANIPULATE_SIZE, "header");

#define KD_X(name, as)                                                               \
	_Static_assert((size_t)KD_W_SIZE_##name == MEMBER_SIZE, #name);              \
	static void decode_##name(union kd_manipulate_member *u, const uint8_t *in)  \
	{                                                                            \
		kd_w_##name##_decode(&u->as, in);                                    \
	}                                                                            \
	static void encode_##name(uint8_t *out, const union kd_manipulate_member *u) \
	{                                                                            \
		kd_w_##name##_encode(out, &u->as);                                   \
	}
KD_MEMBER_TABLE(KD_X)
#undef KD_X

static void decode_none(union kd_manipulate_member *u, const uint8_t *in)
{
	(void)u;
	(void)in;
}

static void encode_none(uint8_t *out, const union kd_manipulate_member *u)
{
	(void)out;
	(void)u;
}

static const struct {
	void (*decode)(union kd_manipulate_member *u, const uint8_t *in);
	void (*encode)(uint8_t *out, const union kd_manipulate_member *u);
} codecs[] = { [KD_MEMBER_none] = { decode_none, encode_none },
#define KD_X(name, as) [KD_MEMBER_##name] = { decode_##name, encode_##name },
	       KD_MEMBER_TABLE(KD_X)
#undef KD_X
};

static enum kd_member member_of(uint32_t api, uint16_t machine)
{
	const struct kd_api_info *info = kd_api_find(api);

	if (!info)
		return KD_MEMBER_none;
	if (api == KD_API_CONTINUE2)
		return kd_api_continue2_member(machine);
	return info->member;
}

enum kd_status kd_manipulate_decode(struct kd_manipulate *ret, uint16_t machine,
				    const uint8_t *payload, size_t size)
{
	if (size < KD_MANIPULATE_SIZE)
		return KD_E_TRUNCATED;
	kd_zero(ret, sizeof(*ret));
	kd_w_manipulate_hdr_decode(&ret->hdr, payload);
	ret->machine = machine;
	ret->kind = member_of(ret->hdr.api, machine);
	codecs[ret->kind].decode(&ret->u, ret->hdr.member);
	ret->data = payload + KD_MANIPULATE_SIZE;
	ret->data_size = size - KD_MANIPULATE_SIZE;
	return KD_OK;
}

enum kd_status kd_manipulate_decode_reply(struct kd_manipulate *ret, uint16_t machine,
					  const uint8_t *payload, size_t size)
{
	uint8_t whole[KD_MANIPULATE_SIZE] = { 0 };
	enum kd_status status;

	if (size >= KD_MANIPULATE_SIZE)
		return kd_manipulate_decode(ret, machine, payload, size);
	if (size < REPLY_MIN || kd_get32(payload + 8) >> 30 != 3)
		return KD_E_TRUNCATED;
	kd_copy(whole, payload, size);
	status = kd_manipulate_decode(ret, machine, whole, sizeof(whole));
	ret->data = payload + size;
	ret->fixed_size = size;
	return status;
}

void kd_manipulate_init(struct kd_manipulate *m, uint32_t api, uint16_t machine, uint16_t processor)
{
	kd_zero(m, sizeof(*m));
	m->hdr.api = api;
	m->hdr.processor = processor;
	m->machine = machine;
	m->kind = member_of(api, machine);
}

void kd_manipulate_encode_hdr(uint8_t out[KD_AT_LEAST(56)], const struct kd_manipulate *m)
{
	kd_w_manipulate_hdr_encode(out, &m->hdr);
	codecs[m->kind].encode(out + MEMBER_OFFSET, &m->u);
}

enum kd_status kd_manipulate_encode(uint8_t *out, size_t cap, size_t *size_ret,
				    const struct kd_manipulate *m)
{
	uint8_t hdr[KD_MANIPULATE_SIZE];
	size_t fixed_size = m->fixed_size ? m->fixed_size : KD_MANIPULATE_SIZE;

	if (fixed_size > sizeof(hdr) || cap < fixed_size || cap - fixed_size < m->data_size)
		return KD_E_TOO_BIG;
	kd_manipulate_encode_hdr(hdr, m);
	kd_copy(out, hdr, fixed_size);
	kd_copy(out + fixed_size, m->data, m->data_size);
	*size_ret = fixed_size + m->data_size;
	return KD_OK;
}

/* A CONTEXT has no length field: it is whole, or absent from the refusal of a request. */
static size_t context_size(const struct kd_manipulate *m, bool is_reply)
{
	const struct kd_reg_layout *layout = kd_context_layout(m->machine);

	if (!layout || (is_reply && m->hdr.return_status != KD_NT_SUCCESS))
		return m->data_size;
	return layout->size;
}

static uint64_t promised_bytes(const struct kd_manipulate *m, bool is_reply)
{
	switch (m->kind) {
	case KD_MEMBER_read_memory: return m->u.read_memory.actual;
	case KD_MEMBER_write_memory: return m->u.write_memory.count;
	case KD_MEMBER_bus_data: return m->u.bus_data.length;
	case KD_MEMBER_context_ex: return is_reply ? m->u.context_ex.copied : m->u.context_ex.count;
	default: return m->data_size;
	}
}

/* What the length fields promise. Products of u32 and a small constant: no overflow in 64 bits. */
static uint64_t promised_size(const struct kd_manipulate *m, enum kd_data_kind kind, bool is_reply)
{
	const uint64_t n_bps = m->u.breakpoint_ex.count;

	switch (kind) {
	case KD_DATA_NONE: return 0;
	case KD_DATA_BYTES: return promised_bytes(m, is_reply);
	case KD_DATA_CONTEXT: return context_size(m, is_reply);
	case KD_DATA_U64S: return 8 * (uint64_t)m->u.query_special_calls.n_calls;
	case KD_DATA_WRITE_BPS: return KD_W_SIZE_write_breakpoint_entry * n_bps;
	case KD_DATA_RESTORE_BPS: return KD_W_SIZE_restore_breakpoint_entry * n_bps;
	case KD_DATA_PATTERN: break;
	}
	return m->kind == KD_MEMBER_fill_memory ? m->u.fill_memory.pattern_length
						: m->u.search_memory.pattern_length;
}

enum kd_status kd_manipulate_data_size(const struct kd_manipulate *m, bool is_reply,
				       size_t *size_ret)
{
	const struct kd_api_info *info = kd_api_find(m->hdr.api);
	uint64_t promised = m->data_size;

	if (info)
		promised = promised_size(m, is_reply ? info->out : info->in, is_reply);
	if (promised > m->data_size) {
		*size_ret = m->data_size;
		return KD_E_TRUNCATED;
	}
	*size_ret = (size_t)promised;
	return KD_OK;
}
