/* SPDX-License-Identifier: MIT */
/* Event-trace buffers and requests for a debug register: packet types 9 and 10. */
#include "core/wire/message.h"

#include "core/bytes.h"

_Static_assert((size_t)KD_W_SIZE_trace_io == KD_TRACE_IO_SIZE, "header");

enum kd_status kd_trace_io_decode(struct kd_trace_io *ret, const uint8_t *payload, size_t size)
{
	struct kd_trace_io t = { .data_size = 0 };

	if (size < KD_TRACE_IO_SIZE)
		return KD_E_TRUNCATED;
	kd_copy(t.raw, payload, sizeof(t.raw));
	kd_w_trace_io_decode(&t.hdr, payload);
	t.data = payload + KD_TRACE_IO_SIZE;
	t.data_size = size - KD_TRACE_IO_SIZE;
	if (t.hdr.length_of_data > t.data_size)
		return KD_E_MALFORMED;
	*ret = t;
	return KD_OK;
}

enum kd_status kd_trace_io_encode(uint8_t *out, size_t cap, size_t *size_ret,
				  const struct kd_trace_io *t)
{
	if (cap < KD_TRACE_IO_SIZE || cap - KD_TRACE_IO_SIZE < t->data_size)
		return KD_E_TOO_BIG;
	kd_copy(out, t->raw, sizeof(t->raw));
	kd_w_trace_io_encode(out, &t->hdr);
	kd_copy(out + KD_TRACE_IO_SIZE, t->data, t->data_size);
	*size_ret = KD_TRACE_IO_SIZE + t->data_size;
	return KD_OK;
}

enum kd_status kd_control_request_decode(struct kd_w_control_request *ret, const uint8_t *payload,
					 size_t size)
{
	if (size < KD_W_SIZE_control_request)
		return KD_E_TRUNCATED;
	kd_w_control_request_decode(ret, payload);
	return KD_OK;
}

enum kd_status kd_control_request_encode(uint8_t *out, size_t cap, size_t *size_ret,
					 const struct kd_w_control_request *c)
{
	if (cap < KD_W_SIZE_control_request)
		return KD_E_TOO_BIG;
	kd_w_control_request_encode(out, c);
	*size_ret = KD_W_SIZE_control_request;
	return KD_OK;
}
