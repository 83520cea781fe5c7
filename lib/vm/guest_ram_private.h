/* SPDX-License-Identifier: MIT */
#ifndef KD_LIB_VM_GUEST_RAM_PRIVATE_H
#define KD_LIB_VM_GUEST_RAM_PRIVATE_H

#include <stdatomic.h>

#include "lib/vm/guest_ram.h"
#include "lib/vm/ram_backing.h"

struct kd_guest_ram {
	struct kd_qemu_id id;
	int pidfd;
	unsigned allowed; /* roads */
	enum kd_ram_road road;
	uint64_t generation;
	int memory_fd;             /* process road: /proc/PID/mem for reading; -1: not to be had */
	_Atomic uint64_t alive_at; /* when the process was last seen to run; kd_now_ns() */
	struct kd_ram_layout layout;
	struct kd__ram_backing backings[KD_RAM_BACKENDS_MAX]; /* one a backend of the layout */
};

/*
 * Move bytes between the VM's process and `buffer`. How many came: all, or what stands in *err
 * (KD_E_CLOSED it ended; KD_E_IO).
 */
size_t kd__guest_process_copy(struct kd_guest_ram *ram, uint64_t host_address, void *buffer,
			      size_t size, bool is_write, struct kd_error *err);

#endif
