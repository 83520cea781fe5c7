/* SPDX-License-Identifier: MIT */
/* Text to the debugger, its answers, and files on its machine. */
#include "core/target/target_internal.h"

static struct kd_w_debug_io debug_io(const struct kd_target *t, uint32_t api, uint16_t processor)
{
	return (struct kd_w_debug_io){ .api = api,
				       .processor_level = t->config.processor_level,
				       .processor = processor };
}

static size_t text_room(const struct kd_target *t, size_t cap)
{
	if (cap > t->config.payload_max)
		cap = t->config.payload_max;
	return cap > KD_DEBUG_IO_SIZE ? cap - KD_DEBUG_IO_SIZE : 0;
}

enum kd_status kd_target_print(const struct kd_target *t, uint16_t processor, const char *text,
			       size_t text_size, uint8_t *out, size_t cap, size_t *size_ret,
			       size_t *taken_ret)
{
	const size_t room = text_room(t, cap);
	const size_t taken = text_size < room ? text_size : room;
	struct kd_w_debug_io hdr = debug_io(t, KD_IO_PRINT_STRING, processor);

	if (!room)
		return KD_E_TOO_BIG;
	hdr.length_of_string = (uint32_t)taken;
	kd_w_debug_io_encode(out, &hdr);
	kd_copy(out + KD_DEBUG_IO_SIZE, text, taken);
	*size_ret = KD_DEBUG_IO_SIZE + taken;
	*taken_ret = taken;
	return KD_OK;
}

enum kd_status kd_target_prompt(const struct kd_target *t, uint16_t processor, const char *prompt,
				size_t prompt_size, size_t answer_max, uint8_t *out, size_t cap,
				size_t *size_ret)
{
	struct kd_w_debug_io hdr = debug_io(t, KD_IO_GET_STRING, processor);

	if (prompt_size > text_room(t, cap))
		return KD_E_TOO_BIG;
	hdr.length_of_string = (uint32_t)prompt_size;
	hdr.length_of_string_read = (uint32_t)answer_max;
	kd_w_debug_io_encode(out, &hdr);
	kd_copy(out + KD_DEBUG_IO_SIZE, prompt, prompt_size);
	*size_ret = KD_DEBUG_IO_SIZE + prompt_size;
	return KD_OK;
}

enum kd_status kd_target_prompt_answer(const uint8_t *payload, size_t size, size_t answer_max,
				       const uint8_t **answer_ret, size_t *answer_size_ret)
{
	struct kd_w_debug_io hdr;
	size_t n;

	if (size < KD_DEBUG_IO_SIZE)
		return KD_E_TRUNCATED;
	kd_w_debug_io_decode(&hdr, payload);
	if (hdr.api != KD_IO_GET_STRING)
		return KD_E_MALFORMED;
	/* What came counts; the length field may say less. */
	n = size - KD_DEBUG_IO_SIZE;
	if (n > hdr.length_of_string_read)
		n = hdr.length_of_string_read;
	*answer_ret = payload + KD_DEBUG_IO_SIZE;
	*answer_size_ret = n < answer_max ? n : answer_max;
	return KD_OK;
}

/* Returns the room for data, 0: not even the header fits. */
static size_t begin_file(uint32_t api, uint8_t *out, size_t cap)
{
	if (cap > KD_PAYLOAD_MAX)
		cap = KD_PAYLOAD_MAX;
	if (cap <= KD_FILE_IO_SIZE)
		return 0;
	kd_zero(out, KD_FILE_IO_SIZE);
	kd_put32(out, api);
	return cap - KD_FILE_IO_SIZE;
}

enum { MEMBER = 8 };

enum kd_status kd_target_file_create(const uint16_t *name, size_t name_length, uint8_t *out,
				     size_t cap, size_t *size_ret)
{
	enum { GENERIC_READ_SYNC = 0x00120089, NORMAL = 0x80, SHARE_READ = 1, OPEN = 1 };
	const struct kd_w_file_create create = {
		.desired_access = GENERIC_READ_SYNC,
		.file_attributes = NORMAL,
		.share_access = SHARE_READ,
		.create_disposition = OPEN,
	};
	const size_t room = begin_file(KD_FILE_CREATE, out, cap);
	uint8_t *to = out + KD_FILE_IO_SIZE;

	if (room / 2 <= name_length)
		return KD_E_TOO_BIG;
	kd_w_file_create_encode(out + MEMBER, &create);
	for (size_t i = 0; i < name_length; i++, to += 2)
		kd_put16(to, name[i]);
	kd_put16(to, 0);
	*size_ret = KD_FILE_IO_SIZE + 2 * (name_length + 1);
	return KD_OK;
}

enum kd_status kd_target_file_read(uint64_t handle, uint64_t offset, uint32_t length, uint8_t *out,
				   size_t cap, size_t *size_ret)
{
	const struct kd_w_file_transfer read = { handle, offset, length };

	if (!begin_file(KD_FILE_READ, out, cap))
		return KD_E_TOO_BIG;
	kd_w_file_transfer_encode(out + MEMBER, &read);
	*size_ret = KD_FILE_IO_SIZE;
	return KD_OK;
}

enum kd_status kd_target_file_close(uint64_t handle, uint8_t *out, size_t cap, size_t *size_ret)
{
	const struct kd_w_file_close close = { handle };

	if (!begin_file(KD_FILE_CLOSE, out, cap))
		return KD_E_TOO_BIG;
	kd_w_file_close_encode(out + MEMBER, &close);
	*size_ret = KD_FILE_IO_SIZE;
	return KD_OK;
}

enum kd_status kd_target_file_answer(uint32_t api, const uint8_t *payload, size_t size,
				     struct kd_target_file_answer *ret)
{
	struct kd_target_file_answer a = { 0 };
	struct kd_w_file_create create;
	struct kd_w_file_transfer transfer;

	if (size < KD_FILE_IO_SIZE)
		return KD_E_TRUNCATED;
	if (kd_get32(payload) != api)
		return KD_E_MALFORMED;
	a.status = kd_get32(payload + 4);
	a.data = payload + KD_FILE_IO_SIZE;
	if (api == KD_FILE_CREATE) {
		kd_w_file_create_decode(&create, payload + MEMBER);
		a.handle = create.handle;
		a.length = create.length;
	} else if (api == KD_FILE_READ) {
		kd_w_file_transfer_decode(&transfer, payload + MEMBER);
		a.length = transfer.length;
		if (a.length > size - KD_FILE_IO_SIZE)
			return KD_E_MALFORMED;
	}
	*ret = a;
	return KD_OK;
}
