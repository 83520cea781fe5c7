/* SPDX-License-Identifier: MIT */
/* PE images from hostile bytes, in both layouts. */
#include <string.h>

#include "lib/sym/pe.h"
#include "lib/sym/unwind_x64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_tables(const struct kd_pe *pe)
{
	struct kd_x64_functions functions;
	struct kd_pe_exports exports;
	struct kd_pe_imports imports;

	if (kd_pe_exports_load(pe, &exports, NULL) == KD_OK) {
		for (size_t i = 0; i < exports.n && i < 100; i++) {
			const struct kd_pe_export *e = &exports.list[i];
			const struct kd_pe_export *at = kd_pe_export_at(&exports, e->rva);

			if (!e->forwarder && (!at || at->rva != e->rva))
				__builtin_trap();
			if (e->name[0] && !kd_pe_export_find(&exports, e->name))
				__builtin_trap();
		}
		kd_pe_exports_free(&exports);
	}
	if (kd_pe_imports_load(pe, &imports, NULL) == KD_OK) {
		for (size_t i = 0; i < imports.n; i++)
			if (strlen(imports.list[i].name) + strlen(imports.list[i].dll) > (16 << 20))
				__builtin_trap();
		kd_pe_imports_free(&imports);
	}
	if (kd_x64_functions_load(pe, &functions, NULL) == KD_OK) {
		for (size_t i = 0; i < functions.n; i++)
			if (!kd_x64_function_at(&functions, functions.list[i].begin))
				__builtin_trap();
		kd_x64_functions_free(&functions);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_mapping m = { data, size };

	for (int is_file = 0; is_file < 2; is_file++) {
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
		use_tables(&pe);
	}
	return 0;
}
