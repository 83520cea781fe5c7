/* SPDX-License-Identifier: MIT */
/*
 * A loader's list of modules (PsLoadedModuleList, or InLoadOrderModuleList of a PEB) out of the
 * memory of a target that may lie: at most KD__MODULES_MAX entries, no entry twice, nothing
 * believed that cannot be true. Needs no session.
 */
#ifndef KD_LIB_ENGINE_MODULE_LIST_H
#define KD_LIB_ENGINE_MODULE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

enum {
	KD__MODULES_MAX = 2000,
	KD__MODULE_PATH_MAX = 520,
	KD__MODULE_SIZE_MAX = 0x40000000, /* 1 GiB: no image is larger */
};

struct kd__list_reader {
	void *context;
	unsigned pointer_size;
	bool is_modern; /* Windows 8 and later: where the time stamp is */
	/* *done_ret less than size where memory ends. Other errors than unreadable end the walk. */
	enum kd_status (*read)(void *context, uint64_t address, void *buffer, size_t size,
			       size_t *done_ret, struct kd_error *err);
	/* `size` bytes of UTF-16 as UTF-8. */
	enum kd_status (*text)(void *context, uint64_t address, size_t size, char *out,
			       size_t out_size, struct kd_error *err);
};

struct kd__list_entry {
	uint64_t address; /* of the entry itself */
	uint64_t base, entry_point;
	uint32_t size, checksum;
	uint32_t timestamp;             /* 0: unknown */
	char path[KD__MODULE_PATH_MAX]; /* FullDllName, or BaseDllName where that is all there is */
	char name[KD__MODULE_PATH_MAX]; /* BaseDllName */
};

/* false ends the walk. */
typedef bool (*kd__list_fn)(void *context, const struct kd__list_entry *entry);

/*
 * Each entry in load order, two reads apiece where BaseDllName is the end of FullDllName.
 * KD_E_MALFORMED: the list is damaged; what can be reached from both its ends was reported, err
 * says where it broke. KD_E_UNREADABLE: not even the head can be read. Others: from the reader.
 */
enum kd_status kd__list_walk(const struct kd__list_reader *reader, uint64_t head, kd__list_fn fn,
			     void *context, struct kd_error *err);

/*
 * Only what was linked behind the entries that are known: from the list's end back to the first
 * entry that `known` knows, reported in load order. One read when there is nothing new. Errors as
 * above; KD_E_FULL: more is new than is worth following, walk it all.
 */
enum kd_status kd__list_new(const struct kd__list_reader *reader, uint64_t head,
			    bool (*known)(void *context, uint64_t address), kd__list_fn fn,
			    void *context, struct kd_error *err);

/* "hal" of "\SystemRoot\system32\HAL.dll": last part without extension, lower case, and `_` for
 * what cannot stand in a name. */
void kd__module_name(const char *image, char *name, size_t size);
/* What follows the last slash or backslash. */
const char *kd__module_base_name(const char *path);

#endif
