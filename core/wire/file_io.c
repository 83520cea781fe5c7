/* SPDX-License-Identifier: MIT */
/* Files that the target asks the debugger for: packet type 11. */
#include "core/wire/message.h"

#include "core/bytes.h"

enum { MEMBER_OFFSET = 8 };

_Static_assert((size_t)KD_W_SIZE_file_io_hdr == KD_FILE_IO_SIZE, "header");
_Static_assert((size_t)MEMBER_OFFSET + KD_W_SIZE_file_create == KD_FILE_IO_SIZE, "member");
_Static_assert((size_t)KD_W_SIZE_file_transfer == KD_W_SIZE_file_create, "member");
_Static_assert((size_t)KD_W_SIZE_file_close == KD_W_SIZE_file_create, "member");

enum kd_status kd_file_io_decode(struct kd_file_io *ret, const uint8_t *payload, size_t size)
{
	if (size < KD_FILE_IO_SIZE)
		return KD_E_TRUNCATED;
	kd_zero(ret, sizeof(*ret));
	kd_w_file_io_hdr_decode(&ret->hdr, payload);
	switch (ret->hdr.api) {
	case KD_FILE_CREATE: kd_w_file_create_decode(&ret->u.create, ret->hdr.member); break;
	case KD_FILE_READ:
	case KD_FILE_WRITE: kd_w_file_transfer_decode(&ret->u.transfer, ret->hdr.member); break;
	case KD_FILE_CLOSE: kd_w_file_close_decode(&ret->u.close, ret->hdr.member); break;
	default: break;
	}
	ret->data = payload + KD_FILE_IO_SIZE;
	ret->data_size = size - KD_FILE_IO_SIZE;
	return KD_OK;
}

enum kd_status kd_file_io_encode(uint8_t *out, size_t cap, size_t *size_ret,
				 const struct kd_file_io *f)
{
	if (cap < KD_FILE_IO_SIZE || cap - KD_FILE_IO_SIZE < f->data_size)
		return KD_E_TOO_BIG;
	kd_w_file_io_hdr_encode(out, &f->hdr);
	switch (f->hdr.api) {
	case KD_FILE_CREATE: kd_w_file_create_encode(out + MEMBER_OFFSET, &f->u.create); break;
	case KD_FILE_READ:
	case KD_FILE_WRITE: kd_w_file_transfer_encode(out + MEMBER_OFFSET, &f->u.transfer); break;
	case KD_FILE_CLOSE: kd_w_file_close_encode(out + MEMBER_OFFSET, &f->u.close); break;
	default: break;
	}
	kd_copy(out + KD_FILE_IO_SIZE, f->data, f->data_size);
	*size_ret = KD_FILE_IO_SIZE + f->data_size;
	return KD_OK;
}

enum kd_status kd_file_io_data_size(const struct kd_file_io *f, bool is_reply, size_t *size_ret)
{
	bool has_bytes = f->hdr.api == (is_reply ? KD_FILE_READ : KD_FILE_WRITE);
	size_t promised = has_bytes ? f->u.transfer.length : f->data_size;

	*size_ret = promised < f->data_size ? promised : f->data_size;
	return promised > f->data_size ? KD_E_TRUNCATED : KD_OK;
}
