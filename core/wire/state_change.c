/* SPDX-License-Identifier: MIT */
/* The target stopped: packet type 7, and the obsolete type 1. */
#include "core/wire/message.h"

#include "core/bytes.h"

enum { UNION_OFFSET = 32, REPORT_OFFSET = 192, UNION32_OFFSET = 20, STATE_MASK = 0xFFFF };

_Static_assert((size_t)UNION_OFFSET == KD_W_SIZE_state_change_hdr, "header");
_Static_assert((size_t)REPORT_OFFSET == UNION_OFFSET + KD_W_SIZE_exception, "exception");
_Static_assert((size_t)KD_W_SIZE_load_symbols == KD_W_SIZE_exception, "union");
_Static_assert((size_t)KD_W_SIZE_command_string == KD_W_SIZE_exception, "union");
_Static_assert((size_t)KD_STATE_CHANGE_SIZE == REPORT_OFFSET + KD_W_SIZE_report_amd64, "report");
_Static_assert((size_t)UNION32_OFFSET == KD_W_SIZE_state_change32_hdr, "header");
_Static_assert((size_t)KD_W_SIZE_exception32 == KD_W_SIZE_load_symbols32, "union");

static void decode_union(struct kd_state_change *s)
{
	switch (s->hdr.new_state & STATE_MASK) {
	case KD_STATE_EXCEPTION: kd_w_exception_decode(&s->u.exception, s->raw_union); break;
	case KD_STATE_LOAD_SYMBOLS:
		kd_w_load_symbols_decode(&s->u.load_symbols, s->raw_union);
		break;
	case KD_STATE_COMMAND_STRING:
		kd_w_command_string_decode(&s->u.command_string, s->raw_union);
		break;
	default: break;
	}
}

static void encode_union(uint8_t *out, const struct kd_state_change *s)
{
	kd_copy(out, s->raw_union, sizeof(s->raw_union));
	switch (s->hdr.new_state & STATE_MASK) {
	case KD_STATE_EXCEPTION: kd_w_exception_encode(out, &s->u.exception); break;
	case KD_STATE_LOAD_SYMBOLS: kd_w_load_symbols_encode(out, &s->u.load_symbols); break;
	case KD_STATE_COMMAND_STRING: kd_w_command_string_encode(out, &s->u.command_string); break;
	default: break;
	}
}

enum kd_status kd_state_change_decode(struct kd_state_change *ret, const uint8_t *payload,
				      size_t size)
{
	size_t name_size = 0;

	if (size < KD_STATE_CHANGE_MIN)
		return KD_E_TRUNCATED;
	if ((kd_get32(payload) & STATE_MASK) == KD_STATE_LOAD_SYMBOLS)
		name_size = kd_get32(payload + UNION_OFFSET);
	/* The name is at the end, wherever this target's fixed part ends. */
	if (name_size > size - KD_STATE_CHANGE_MIN)
		return KD_E_MALFORMED;
	kd_zero(ret, sizeof(*ret));
	kd_w_state_change_hdr_decode(&ret->hdr, payload);
	kd_copy(ret->raw_union, payload + UNION_OFFSET, sizeof(ret->raw_union));
	decode_union(ret);
	ret->fixed_size = size - name_size;
	if (ret->fixed_size > KD_STATE_CHANGE_SIZE)
		ret->fixed_size = KD_STATE_CHANGE_SIZE;
	kd_copy(ret->report, payload + REPORT_OFFSET, ret->fixed_size - REPORT_OFFSET);
	ret->name = (const char *)payload + size - name_size;
	ret->name_size = name_size;
	ret->data = payload + ret->fixed_size;
	ret->data_size = size - ret->fixed_size;
	return KD_OK;
}

enum kd_status kd_state_change_encode(uint8_t *out, size_t cap, size_t *size_ret,
				      const struct kd_state_change *s)
{
	size_t fixed_size = s->fixed_size ? s->fixed_size : KD_STATE_CHANGE_SIZE;
	const void *data = s->data_size ? (const void *)s->data : s->name;
	size_t data_size = s->data_size ? s->data_size : s->name_size;

	if (fixed_size < KD_STATE_CHANGE_MIN || fixed_size > KD_STATE_CHANGE_SIZE)
		return KD_E_INVALID;
	if (cap < fixed_size || cap - fixed_size < data_size)
		return KD_E_TOO_BIG;
	kd_w_state_change_hdr_encode(out, &s->hdr);
	encode_union(out + UNION_OFFSET, s);
	kd_copy(out + REPORT_OFFSET, s->report, fixed_size - REPORT_OFFSET);
	kd_copy(out + fixed_size, data, data_size);
	*size_ret = fixed_size + data_size;
	return KD_OK;
}

enum kd_status kd_state_change32_decode(struct kd_state_change32 *ret, const uint8_t *payload,
					size_t size)
{
	enum { FIXED = UNION32_OFFSET + KD_W_SIZE_exception32 };

	if (size < FIXED)
		return KD_E_TRUNCATED;
	kd_zero(ret, sizeof(*ret));
	kd_w_state_change32_hdr_decode(&ret->hdr, payload);
	kd_copy(ret->raw_union, payload + UNION32_OFFSET, sizeof(ret->raw_union));
	if (ret->hdr.new_state == KD_STATE_EXCEPTION)
		kd_w_exception32_decode(&ret->u.exception, ret->raw_union);
	else if (ret->hdr.new_state == KD_STATE_LOAD_SYMBOLS)
		kd_w_load_symbols32_decode(&ret->u.load_symbols, ret->raw_union);
	ret->data = payload + FIXED;
	ret->data_size = size - FIXED;
	return KD_OK;
}

enum kd_status kd_state_change32_encode(uint8_t *out, size_t cap, size_t *size_ret,
					const struct kd_state_change32 *s)
{
	enum { FIXED = UNION32_OFFSET + KD_W_SIZE_exception32 };

	if (cap < FIXED || cap - FIXED < s->data_size)
		return KD_E_TOO_BIG;
	kd_w_state_change32_hdr_encode(out, &s->hdr);
	kd_copy(out + UNION32_OFFSET, s->raw_union, sizeof(s->raw_union));
	if (s->hdr.new_state == KD_STATE_EXCEPTION)
		kd_w_exception32_encode(out + UNION32_OFFSET, &s->u.exception);
	else if (s->hdr.new_state == KD_STATE_LOAD_SYMBOLS)
		kd_w_load_symbols32_encode(out + UNION32_OFFSET, &s->u.load_symbols);
	kd_copy(out + FIXED, s->data, s->data_size);
	*size_ret = FIXED + s->data_size;
	return KD_OK;
}
