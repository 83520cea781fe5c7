/* SPDX-License-Identifier: MIT */
/* What stands behind the memory backends of a VM: a file to map, or a place in its process. */
#ifndef KD_LIB_VM_RAM_BACKING_H
#define KD_LIB_VM_RAM_BACKING_H

#include "lib/base.h"
#include "lib/vm/qemu_process.h"
#include "lib/vm/ram_layout.h"

struct kd__ram_backing {
	uint64_t size;         /* of the backend */
	uint64_t host_address; /* of its first byte, in the VM's process */
	int fd;                /* mapped road: the file, open for reading; -1 */
	uint64_t file_offset;  /* ... and where in it the backend begins */
	const uint8_t *memory; /* ... mapped for reading; NULL */
	bool can_shrink;       /* ... the file may be truncated by who owns it */
};

/*
 * Where the VM's process has the backend of range `r`: HMP gpa2hva.
 * KD_E_MALFORMED: not the answer that is expected; else as kd_qmp_execute().
 */
enum kd_status kd__ram_host_address(struct kd_qmp *q, const struct kd_ram_layout *layout,
				    const struct kd_ram_range *r, uint64_t deadline,
				    const struct kd_cancel *cancel, uint64_t *ret,
				    struct kd_error *err);

/*
 * Map what backs `b`, whose host address and size `backing` has already. The file is the one that
 * is mapped at that address in the process, whatever its name; without a look into the process
 * (another user's) the one that QEMU names.
 * KD_E_UNSUPPORTED the memory is private to the VM or has no file; KD_E_DENIED, with the remedy;
 * KD_E_NOT_FOUND, KD_E_MISMATCH the file is gone or too short; KD_E_IO.
 */
enum kd_status kd__ram_map(const struct kd_qemu_id *id, const struct kd_ram_backend *b,
			   struct kd__ram_backing *backing, struct kd_error *err);
void kd__ram_unmap(struct kd__ram_backing *backing);

/*
 * Copy `size` bytes at `offset` of a mapped backend; how many, from the start, there were: less
 * than all only when the file was truncated. Large copies don't make pages that nobody touched yet.
 */
size_t kd__ram_copy(const struct kd__ram_backing *b, uint64_t offset, void *buffer, size_t size);

/* Is reading the process' memory allowed? KD_E_DENIED, with the remedy; KD_E_CLOSED it ended. */
enum kd_status kd__ram_try_process(const struct kd_qemu_id *id, uint64_t host_address,
				   struct kd_error *err);

/*
 * Why looking into process `pid` of `uid` is refused, and what helps. `scope` is the value of
 * kernel.yama.ptrace_scope, -1 where there is none.
 */
enum kd_status kd__ptrace_refusal(pid_t pid, uid_t uid, uid_t our_uid, int scope,
				  struct kd_error *err);

#endif
