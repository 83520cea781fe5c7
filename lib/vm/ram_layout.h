/* SPDX-License-Identifier: MIT */
/*
 * Where guest-physical RAM lies in the memory backends of a VM, as QEMU's own flat view tells it
 * (`info mtree -f`): never by a guessed split below 4 GB. Facts: the flat view of the root region
 * "system" is what processors see; a backend's region bears its id ("/objects/ID" in machines of
 * QEMU 4.0 and before); "@" is the offset in the backend.
 */
#ifndef KD_LIB_VM_RAM_LAYOUT_H
#define KD_LIB_VM_RAM_LAYOUT_H

#include "lib/base.h"
#include "lib/vm/qmp.h"

enum {
	KD_RAM_BACKENDS_MAX = 16,
	KD_RAM_RANGES_MAX = 128, /* firmware shadows make about ten; each DIMM one */
	KD_RAM_ID_SIZE = 64,
	KD_RAM_PATH_SIZE = 1024,
};

struct kd_ram_backend {
	char id[KD_RAM_ID_SIZE];
	char type[KD_RAM_ID_SIZE]; /* "memory-backend-memfd" */
	uint64_t size;             /* bytes */
	bool is_shared;
	char path[KD_RAM_PATH_SIZE]; /* of the file, as the VM's process sees it; empty: no file */
};

struct kd_ram_range {
	uint64_t start, size; /* guest-physical, bytes */
	uint64_t offset;      /* in the backend */
	uint32_t backend;     /* index */
	bool is_rom;          /* write-protected for the guest: the firmware's shadow */
};

struct kd_ram_layout {
	size_t n_backends, n_ranges;
	struct kd_ram_backend backends[KD_RAM_BACKENDS_MAX];
	struct kd_ram_range ranges[KD_RAM_RANGES_MAX]; /* ascending, disjoint */
};

/*
 * Fill in the ranges of a layout whose backends (ids and sizes) are set, from the text of
 * `info mtree -f`. Neighbours that continue each other are one range.
 *
 * @param any_priority  false: only regions of priority 0 count. Memory of PCI devices (ivshmem),
 *                      which may be of a backend as well, has priority 1.
 * KD_E_NOT_FOUND no flat view of "system", or no RAM of these backends in it; KD_E_MALFORMED a
 * range that is not one: backwards, out of order, beyond its backend; KD_E_TOO_BIG too many.
 */
enum kd_status kd_ram_layout_parse(const char *mtree, bool any_priority,
				   struct kd_ram_layout *layout, struct kd_error *err);

/*
 * Ask a VM. Layouts change: the firmware shadows itself at start, DIMMs are plugged.
 * KD_E_UNSUPPORTED: a QEMU before 5.0, which does not tell its backends; else as
 * kd_ram_layout_parse() and kd_qmp_execute().
 */
enum kd_status kd_ram_layout_query(struct kd_qmp *q, uint64_t deadline,
				   const struct kd_cancel *cancel, struct kd_ram_layout *ret,
				   struct kd_error *err);

/* The range that holds the address, or NULL. */
const struct kd_ram_range *kd_ram_range_find(const struct kd_ram_layout *l, uint64_t address);

/* Bytes of RAM in all ranges. */
uint64_t kd_ram_layout_size(const struct kd_ram_layout *l);

#endif
