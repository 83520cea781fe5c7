/* SPDX-License-Identifier: MIT */
/* One option's value, `socket,id=com1,path=/a,,b,server=on` or a JSON object, as keys and values.
 */
#ifndef KD_LIB_VM_QEMU_OPTIONS_H
#define KD_LIB_VM_QEMU_OPTIONS_H

#include "lib/base.h"

enum { KD__QEMU_OPTIONS_MAX = 48 };

struct kd__qemu_options {
	size_t n;
	struct {
		const char *key, *value; /* into `text` */
	} row[KD__QEMU_OPTIONS_MAX];
	char *text;
	bool is_cut;
};

/*
 * `implied` is the key of a first part that has none (NULL: no such thing). A part without "=" is
 * "on", one that begins with "no" the same key without it "off", as QEMU had it. Of an object the
 * strings, numbers and booleans are taken.
 * To be given to kd__qemu_options_deinit(), also after failure (KD_E_NO_MEMORY).
 */
enum kd_status kd__qemu_options_parse(const char *value, const char *implied,
				      struct kd__qemu_options *ret);
void kd__qemu_options_deinit(struct kd__qemu_options *o);

/* The last value of `key`; "" when it is not there. */
const char *kd__qemu_option(const struct kd__qemu_options *o, const char *key);
/* on, yes, true, y; `otherwise` when it is not there. */
bool kd__qemu_option_bool(const struct kd__qemu_options *o, const char *key, bool otherwise);

/* "512", "1.5G", "64k" in bytes; `unit` is what a bare number counts. 0: not a size. */
uint64_t kd__qemu_size(const char *text, uint64_t unit);

#endif
