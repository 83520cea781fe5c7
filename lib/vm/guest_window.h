/* SPDX-License-Identifier: MIT */
/*
 * A window: pages of guest RAM that the guest told us to share (the ring), as one contiguous piece,
 * and the only guest memory that is ever written directly. The runs come from the guest: each is
 * checked against the RAM layout, so it can expose its own memory only.
 *
 * Everything in a window changes while it is looked at: load each field once, check the copy.
 */
#ifndef KD_LIB_VM_GUEST_WINDOW_H
#define KD_LIB_VM_GUEST_WINDOW_H

#include "lib/vm/guest_ram.h"

enum { KD_GUEST_RUNS_MAX = 64, KD_GUEST_WINDOW_MAX = 64 << 20, KD_GUEST_PAGE = 4096 };

struct kd_guest_run {
	uint64_t address, size; /* guest-physical, bytes; whole pages */
};

struct kd_guest_window;

/*
 * Open a window of `n` runs, which lie behind one another in it. The window needs `ram` to stay
 * open (but not its layout).
 *
 * KD_E_INVALID no runs, or a run that is not of whole pages, overlaps another or is write-protected
 * firmware; KD_E_UNREADABLE a run is not RAM (err.where); KD_E_TOO_BIG more runs or bytes than the
 * limits; KD_E_DENIED we may read the RAM only; KD_E_CLOSED; KD_E_IO; KD_E_NO_MEMORY.
 */
enum kd_status kd_guest_window_open(struct kd_guest_ram *ram, const struct kd_guest_run *runs,
				    size_t n, struct kd_guest_window **window_ret,
				    struct kd_error *err);
void kd_guest_window_close(struct kd_guest_window *w);

size_t kd_guest_window_size(const struct kd_guest_window *w);

/*
 * The window as memory, readable and writable, until it is closed; touch it inside
 * kd_guest_window_guarded(). NULL on the process road: there read and write are the only way.
 */
void *kd_guest_window_memory(const struct kd_guest_window *w);

/*
 * Run `action(context)`, which touches the window's memory. False: the memory went away (its file
 * was truncated) and the action was left in its middle: it must hold no locks and own nothing.
 */
bool kd_guest_window_guarded(const struct kd_guest_window *w, void (*action)(void *context),
			     void *context);

/*
 * Copy, on both roads. On the process road each call is one system call a run.
 * KD_E_INVALID beyond the window; KD_E_CLOSED the VM's process ended; KD_E_IO.
 */
enum kd_status kd_guest_window_read(const struct kd_guest_window *w, size_t offset, void *buffer,
				    size_t size, struct kd_error *err);
enum kd_status kd_guest_window_write(const struct kd_guest_window *w, size_t offset,
				     const void *buffer, size_t size, struct kd_error *err);

#endif
