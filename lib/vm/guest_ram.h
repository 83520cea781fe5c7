/* SPDX-License-Identifier: MIT */
/*
 * The RAM of a VM on this host, read directly: guest-physical addresses in, bytes out. The guest
 * takes no notice; while it runs, what is read may change under the hand.
 *
 * Two roads lead there. "Mapped": the file behind a shared memory backend, mapped for reading;
 * fast, needs the backend. "Process": process_vm_readv() on the VM's process; needs the right to
 * trace it, takes any VM. Writing is not for this: it goes through KD (translated code, dirty
 * pages), except into the pages of a window that the guest announced (lib/vm/guest_window.h).
 *
 * Reads may run in several threads at once, but not beside kd_guest_ram_refresh() and close.
 */
#ifndef KD_LIB_VM_GUEST_RAM_H
#define KD_LIB_VM_GUEST_RAM_H

#include "lib/base.h"
#include "lib/vm/qemu_process.h"
#include "lib/vm/ram_layout.h"

struct kd_guest_ram;

enum kd_ram_road {
	KD_RAM_MAPPED = 1,
	KD_RAM_PROCESS = 2,
};
enum { KD_RAM_ANY_ROAD = KD_RAM_MAPPED | KD_RAM_PROCESS };

/* Why a road is not taken, in words for `.status`; empty: it is taken, or was not asked for. */
struct kd_ram_refusals {
	char mapped[KD_ERROR_TEXT_SIZE];
	char process[KD_ERROR_TEXT_SIZE];
};

/*
 * Open the RAM of the VM that is at the other end of `q` and runs as process `id`. Of the roads
 * that `roads` allows, the mapped one goes first.
 *
 * @param[out] why_ret  also after success and failure; may be NULL.
 *
 * The status and text of the last road that was tried, when none can be gone: KD_E_UNSUPPORTED no
 * shared backend; KD_E_DENIED no permission, the text has the remedy; KD_E_CLOSED the process
 * ended; KD_E_NOT_FOUND, KD_E_MISMATCH its RAM is not as QEMU says; KD_E_IO. Or what
 * kd_ram_layout_query() said.
 */
enum kd_status kd_guest_ram_open(struct kd_qmp *q, const struct kd_qemu_id *id, unsigned roads,
				 uint64_t deadline, const struct kd_cancel *cancel,
				 struct kd_ram_refusals *why_ret, struct kd_guest_ram **ram_ret,
				 struct kd_error *err);

/* NULL is fine. Windows (guest_window.h) are closed before. */
void kd_guest_ram_close(struct kd_guest_ram *ram);

/*
 * Read guest-physical memory.
 *
 * @param[out] done_ret  bytes read from the start; less than `size` where a hole begins (devices,
 *                       nothing at all). NULL: anything but all is KD_E_UNREADABLE.
 *
 * KD_E_UNREADABLE not one byte (or, without done_ret, not all) is RAM, err.where is the first
 * address that is not; KD_E_CLOSED the VM's process ended (process road); KD_E_IO the file was
 * truncated, or the process refused. No waiting.
 */
enum kd_status kd_guest_ram_read(struct kd_guest_ram *ram, uint64_t address, void *buffer,
				 size_t size, size_t *done_ret, struct kd_error *err);

/*
 * Does the VM's process run? One system call. After its end the mapped road still gives the last
 * bytes: ask at each stop.
 */
bool kd_guest_ram_is_alive(const struct kd_guest_ram *ram);

/*
 * Ask the VM again where its RAM lies: after a reset (firmware moves its shadow), a snapshot, a
 * plugged DIMM. Failure leaves all as it was. Open windows stay as they are.
 */
enum kd_status kd_guest_ram_refresh(struct kd_guest_ram *ram, struct kd_qmp *q, uint64_t deadline,
				    const struct kd_cancel *cancel, struct kd_error *err);

struct kd_guest_ram_info {
	enum kd_ram_road road;
	struct kd_qemu_id id;
	uint64_t size;                      /* bytes of RAM */
	uint64_t generation;                /* another number: the layout is another */
	const struct kd_ram_layout *layout; /* until the next refresh or close */
};
struct kd_guest_ram_info kd_guest_ram_info(const struct kd_guest_ram *ram);

#endif
