/* SPDX-License-Identifier: MIT */
/* PE images from hostile bytes, in both layouts. */
#include <string.h>

#include "lib/sym/pe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_mapping m = { data, size };

	for (int is_file = 0; is_file < 2; is_file++) {
		struct kd_pe_exports exports;
		struct kd_pe_codeview cv;
		struct kd_pe pe;
		uint8_t bytes[64];
		size_t done;

		if (kd_pe_open(&pe, kd_mapping_read, &m, 0, is_file, NULL) != KD_OK)
			continue;
		if (pe.n_sections > KD_PE_SECTIONS_MAX)
			__builtin_trap();
		kd_pe_read(&pe, pe.entry_rva, bytes, sizeof bytes, &done);
		if (done > sizeof bytes)
			__builtin_trap();
		if (kd_pe_codeview(&pe, &cv, NULL) == KD_OK && strpbrk(cv.name, "/\\"))
			__builtin_trap(); /* a name from the target became a path */
		if (kd_pe_exports_load(&pe, &exports, NULL) == KD_OK)
			kd_pe_exports_free(&exports);
	}
	return 0;
}
