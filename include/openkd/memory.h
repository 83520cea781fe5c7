/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Memory, ports and registers of model-specific kinds of a stopped target.
 *
 * Virtual addresses are read through the cache of this stop, which every resume drops. Addresses
 * of 32-bit targets may be given with or without sign extension. Where the VM's RAM is read
 * directly nothing is cached. A running target can be looked at: kd_session_allow_live().
 */
#ifndef OPENKD_MEMORY_H
#define OPENKD_MEMORY_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Read virtual memory in the current process context. Our breakpoints are not visible in it.
 *
 * @param[out] done_ret  bytes read from the start; less than `size` when a page is not readable.
 *                       NULL: anything but all is KD_E_UNREADABLE.
 * @return KD_OK; KD_E_UNREADABLE: not one byte (or, without done_ret, not all) readable; err.where
 * is the address.
 */
enum kd_status kd_memory_read(struct kd_session *session, uint64_t address, void *buffer,
			      size_t size, size_t *done_ret, struct kd_error *err);

/**
 * Can memory be looked at just now? Of a target that runs: with kd_session_allow_live() only.
 *
 * @return KD_OK; KD_E_RUNNING: not while the target runs; KD_E_NOT_FOUND: KD_MEMORY_BY_RAM, and the
 *         RAM cannot be read; KD_E_NOT_CONNECTED. err says why.
 * @blocks up to the request timeout
 */
enum kd_status kd_memory_is_reachable(struct kd_session *session, struct kd_error *err);

/** Write virtual memory. Breakpoints inside stay planted. Otherwise as kd_memory_read(). */
enum kd_status kd_memory_write(struct kd_session *session, uint64_t address, const void *buffer,
			       size_t size, size_t *done_ret, struct kd_error *err);

enum kd_status kd_memory_read_physical(struct kd_session *session, uint64_t address, void *buffer,
				       size_t size, size_t *done_ret, struct kd_error *err);
enum kd_status kd_memory_write_physical(struct kd_session *session, uint64_t address,
					const void *buffer, size_t size, size_t *done_ret,
					struct kd_error *err);

/** An unsigned integer of 1, 2, 4 or 8 bytes, and a pointer of the target (x86: sign-extended). */
enum kd_status kd_memory_read_uint(struct kd_session *session, uint64_t address, size_t size,
				   uint64_t *value_ret, struct kd_error *err);
enum kd_status kd_memory_read_pointer(struct kd_session *session, uint64_t address,
				      uint64_t *value_ret, struct kd_error *err);

/**
 * A NUL-terminated or counted string as UTF-8. `max` bounds the target's bytes.
 *
 * @param wide  UTF-16LE. Undecodable parts become U+FFFD.
 * @param[out] text  always terminated; cut to `size`.
 */
enum kd_status kd_memory_read_string(struct kd_session *session, uint64_t address, bool wide,
				     size_t max, char *text, size_t size, struct kd_error *err);

/**
 * Find a byte pattern in [address, address + length). Unreadable pages are skipped. Interruptible.
 *
 * @param step  only matches at address + n * step
 * @return KD_OK; KD_E_NOT_FOUND.
 */
enum kd_status kd_memory_search(struct kd_session *session, uint64_t address, uint64_t length,
				const void *pattern, size_t pattern_size, size_t step,
				uint64_t *found_ret, struct kd_error *err);

/** Repeat a pattern over [address, address + length). */
enum kd_status kd_memory_fill(struct kd_session *session, uint64_t address, uint64_t length,
			      const void *pattern, size_t pattern_size, struct kd_error *err);

/** One level of a page walk. */
struct kd_page_level {
	const char *name;        /**< "PXE", "PPE", "PDE", "PTE" */
	uint64_t entry_physical; /**< where the entry is */
	uint64_t entry_virtual;  /**< through the self map, 0 when unknown */
	uint64_t entry;          /**< its contents */
};

struct kd_translation {
	struct kd_page_level levels[5];
	size_t n_levels; /**< those that were read */
	bool is_valid;
	uint64_t physical;
	uint64_t page_size;
	uint8_t entry_size; /**< bytes of each level's entry: 8, or 4 (x86 without PAE) */
};

/** Walk the page tables by hand. directory_base 0: the current process context's. */
enum kd_status kd_memory_translate(struct kd_session *session, uint64_t directory_base,
				   uint64_t address, struct kd_translation *ret,
				   struct kd_error *err);

/** Drop what is cached of this stop. */
void kd_memory_flush(struct kd_session *session);

enum kd_status kd_msr_read(struct kd_session *session, uint32_t msr, uint64_t *value_ret,
			   struct kd_error *err);
enum kd_status kd_msr_write(struct kd_session *session, uint32_t msr, uint64_t value,
			    struct kd_error *err);

/** Port input/output of 1, 2 or 4 bytes. KD_E_TARGET: refused (err.nt_status). */
enum kd_status kd_port_read(struct kd_session *session, uint64_t port, size_t size,
			    uint32_t *value_ret, struct kd_error *err);
enum kd_status kd_port_write(struct kd_session *session, uint64_t port, size_t size, uint32_t value,
			     struct kd_error *err);

#ifdef __cplusplus
}
#endif

#endif
