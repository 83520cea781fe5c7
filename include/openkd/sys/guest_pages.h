/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Pages of the guest that something in it shares with us, as one contiguous piece of memory that
 * is read and written while the guest runs. For VMs of this machine whose RAM can be written.
 *
 * The runs come from the guest: it can expose its own memory only. Everything in the pages changes
 * while it is looked at: load each field once, check the copy.
 */
#ifndef OPENKD_SYS_GUEST_PAGES_H
#define OPENKD_SYS_GUEST_PAGES_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_guest_pages;

/** Guest-physical, in bytes; whole pages. */
struct kd_guest_page_run {
	uint64_t address, size;
};

/**
 * Open pages that lie behind one another: at most 64 runs, 16 MB. They live on their own: the
 * session may go, or connect anew to another VM; a VM that ended makes every access fail.
 *
 * @return KD_OK; KD_E_NOT_FOUND: no VM of this machine is at the other end; KD_E_UNSUPPORTED,
 *         KD_E_DENIED: its RAM cannot be written (err says what to do); KD_E_INVALID,
 *         KD_E_UNREADABLE, KD_E_TOO_BIG: the runs.
 * @owns *ret is the caller's: kd_guest_pages_close().   @threads the session's
 */
enum kd_status kd_guest_pages_open(struct kd_session *session, const struct kd_guest_page_run *runs,
				   size_t n, struct kd_guest_pages **ret, struct kd_error *err);
/** NULL is fine. Any thread. */
void kd_guest_pages_close(struct kd_guest_pages *p);

size_t kd_guest_pages_size(const struct kd_guest_pages *p);

/**
 * Copy. Aligned words of four bytes are read and written as such: loads come before what follows,
 * stores after what went before. One thread at a time.
 *
 * @return KD_OK; KD_E_INVALID: beyond the pages; KD_E_CLOSED: the VM has ended; KD_E_IO.
 * @blocks never
 */
enum kd_status kd_guest_pages_read(const struct kd_guest_pages *p, size_t offset, void *buffer,
				   size_t size, struct kd_error *err);
enum kd_status kd_guest_pages_write(const struct kd_guest_pages *p, size_t offset,
				    const void *buffer, size_t size, struct kd_error *err);

/** Does the VM's process run? One system call. */
bool kd_guest_pages_is_alive(const struct kd_guest_pages *p);

#ifdef __cplusplus
}
#endif

#endif
