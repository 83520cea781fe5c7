/* SPDX-License-Identifier: MIT */
/*
 * The memory of a VM's ivshmem device (ivshmem-plain), shared through a file: the place of the ring
 * in virtual machines whose RAM cannot be reached. Neither the monitor nor the right to trace the
 * VM is needed, only its command line and the right to write the file.
 *
 * Everything in it changes while it is looked at, and the guest may write what it likes.
 */
#ifndef KD_LIB_VM_IVSHMEM_H
#define KD_LIB_VM_IVSHMEM_H

#include "lib/base.h"
#include "lib/vm/qemu_process.h"

struct kd_ivshmem;

/*
 * Map the first `size` bytes of the VM's only ivshmem device, readable and writable.
 *
 * @param[out] memory_ret  valid until kd_ivshmem_unmap().
 *
 * KD_E_NOT_FOUND the command line has no such device, or its file is gone; KD_E_UNSUPPORTED it has
 * several, or the device's memory is in no file that can be opened by name; KD_E_MISMATCH the file
 * is shorter; KD_E_DENIED: the text has the remedy; KD_E_IO; KD_E_NO_MEMORY.
 */
enum kd_status kd_ivshmem_map(const struct kd_qemu_process *vm, size_t size,
			      struct kd_ivshmem **device_ret, void **memory_ret,
			      struct kd_error *err);
/* NULL is fine. */
void kd_ivshmem_unmap(struct kd_ivshmem *device);

#endif
