/* SPDX-License-Identifier: MIT */
/* Headers of crash dumps from hostile bytes: what is read is written back to the same values. */
#include <string.h>

#include "lib/dump/dump_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_places(const struct kd_dump_header *h)
{
	for (uint32_t i = 0; i < h->n_runs; i++) {
		uint64_t at, first = h->runs[i].base_page * KD_DUMP_PAGE;

		if (kd_dump_file_offset(h, first, &at) != (h->runs[i].n_pages > 0))
			__builtin_trap();
		if (h->runs[i].n_pages &&
		    (at < kd_dump_header_size(h->is_64bit) ||
		     at >= kd_dump_header_size(h->is_64bit) + kd_dump_pages(h) * KD_DUMP_PAGE))
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kd_dump_header first, again;
	static uint8_t whole[KD_DUMP_HEADER_64], bytes[KD_DUMP_HEADER_64];

	/* Short inputs are the beginning of a header; the first byte says of which. */
	memset(whole, 0, sizeof whole);
	if (size == 0)
		return 0;
	memcpy(whole, data, size < sizeof whole ? size : sizeof whole);
	memcpy(whole, data[0] & 1 ? "PAGEDU64" : "PAGEDUMP", 8);
	if (kd_dump_header_decode(whole, sizeof whole, &first, NULL) != KD_OK)
		return 0;
	check_places(&first);
	if (first.n_exception_parameters > KD_DUMP_PARAMETERS)
		first.n_exception_parameters = KD_DUMP_PARAMETERS;
	if (kd_dump_header_encode(&first, bytes, NULL) != KD_OK ||
	    kd_dump_header_decode(bytes, sizeof bytes, &again, NULL) != KD_OK)
		__builtin_trap();
	/* A comment ends at its first zero byte when it is written. */
	memset(first.comment + strlen(first.comment), 0, KD_DUMP_COMMENT - strlen(first.comment));
	if (memcmp(&first, &again, sizeof first) != 0)
		__builtin_trap();
	return 0;
}
