/* SPDX-License-Identifier: MIT */
/* Text from the target and answers to its prompts: packet type 3. */
#include "core/wire/message.h"

#include "core/bytes.h"

enum { OLD_HDR_SIZE = 12 };

_Static_assert((size_t)KD_W_SIZE_debug_io == KD_DEBUG_IO_SIZE, "header");

/* How much of the `size` bytes after the header is text; more than `size`: contradiction. */
static size_t text_size_of(const struct kd_w_debug_io *hdr, size_t size)
{
	if (hdr->api == KD_IO_PRINT_STRING)
		return hdr->length_of_string;
	if (hdr->api != KD_IO_GET_STRING || size == hdr->length_of_string)
		return size;
	if (size >= hdr->length_of_string_read)
		return hdr->length_of_string_read;
	return hdr->length_of_string;
}

enum kd_status kd_debug_io_decode(struct kd_debug_io *ret, const uint8_t *payload, size_t size)
{
	struct kd_debug_io d = { .hdr_size = KD_DEBUG_IO_SIZE };
	uint8_t hdr[KD_DEBUG_IO_SIZE] = { 0 };

	if (size < OLD_HDR_SIZE)
		return KD_E_TRUNCATED;
	if (kd_get32(payload) == KD_IO_PRINT_STRING && kd_get32(payload + 8) == size - OLD_HDR_SIZE)
		d.hdr_size = OLD_HDR_SIZE;
	if (size < d.hdr_size)
		return KD_E_TRUNCATED;
	kd_copy(hdr, payload, d.hdr_size);
	kd_w_debug_io_decode(&d.hdr, hdr);
	d.text = payload + d.hdr_size;
	d.text_size = text_size_of(&d.hdr, size - d.hdr_size);
	if (d.text_size > size - d.hdr_size)
		return KD_E_MALFORMED;
	d.tail = d.text + d.text_size;
	d.tail_size = size - d.hdr_size - d.text_size;
	*ret = d;
	return KD_OK;
}

enum kd_status kd_debug_io_encode(uint8_t *out, size_t cap, size_t *size_ret,
				  const struct kd_debug_io *d)
{
	uint8_t hdr[KD_DEBUG_IO_SIZE];
	size_t hdr_size = d->hdr_size == OLD_HDR_SIZE ? OLD_HDR_SIZE : KD_DEBUG_IO_SIZE;

	if (cap < hdr_size || cap - hdr_size < d->text_size ||
	    cap - hdr_size - d->text_size < d->tail_size)
		return KD_E_TOO_BIG;
	kd_w_debug_io_encode(hdr, &d->hdr);
	kd_copy(out, hdr, hdr_size);
	kd_copy(out + hdr_size, d->text, d->text_size);
	kd_copy(out + hdr_size + d->text_size, d->tail, d->tail_size);
	*size_ret = hdr_size + d->text_size + d->tail_size;
	return KD_OK;
}
