/* SPDX-License-Identifier: MIT */
/*
 * The image behind a module: its headers, and read-only data that stay when the target runs on.
 * Taken from target memory; what is paged out there, and what unwinding needs much of, from the
 * same image as a file when the symbol path has it.
 */
#ifndef KD_LIB_ENGINE_MODULE_IMAGE_H
#define KD_LIB_ENGINE_MODULE_IMAGE_H

#include "lib/engine/module.h"
#include "lib/sym/symstore.h"
#include "lib/sym/unwind_x64.h"

/* SizeOfImage of what begins at `base` in target memory; 0: no readable image. */
uint32_t kd__image_size(struct kd_session *s, uint64_t base);

/*
 * The headers, read once. KD_E_NOT_FOUND: neither memory nor symbol path have them (remembered
 * until the module is forgotten); others: from the target.
 */
enum kd_status kd__image_open(struct kd_session *s, struct kd__module *m,
			      const struct kd_pe **pe_ret, struct kd_error *err);
void kd__image_close(struct kd__module *m);

enum kd_status kd__image_codeview(struct kd_session *s, struct kd__module *m,
				  struct kd_pe_codeview *ret, struct kd_error *err);

/* The section of an RVA; NULL: none, or the image cannot be read. */
const struct kd_pe_section *kd__image_section(struct kd_session *s, struct kd__module *m,
					      uint32_t rva);

/* Bytes of a section that cannot be written to; false: not such bytes, or not readable. */
bool kd__image_read(struct kd_session *s, struct kd__module *m, uint32_t rva, void *buffer,
		    size_t size, size_t *done_ret);

/*
 * The .pdata entry around an RVA. KD_OK; KD_E_NOT_FOUND: the image has none there (a leaf
 * function); KD_E_UNREADABLE: it cannot be known; others: from the target.
 */
enum kd_status kd__image_function(struct kd_session *s, struct kd__module *m, uint32_t rva,
				  struct kd_x64_function *ret);

#endif
