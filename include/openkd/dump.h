/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Crash dumps: a stopped target's physical memory and the state of its processors in a file that
 * WinDbg and other readers of Windows dumps open (`.dump /f`). 64-bit and 32-bit full dumps.
 *
 *	kd_dump_create() -> kd_dump_step() until is_complete -> kd_dump_commit()
 *
 * The file is written aside and put in its place by the commit; kd_dump_destroy() before it leaves
 * nothing behind. The target stays stopped meanwhile: a resume between the steps makes the next
 * one fail with KD_E_RESET. Our breakpoints are not in the dump.
 *
 * Where the VM's RAM can be read directly the target is asked for little more than its registers;
 * else every page comes through KD. Pages that nobody can read are zero and counted; zero pages
 * are holes in the file.
 */
#ifndef OPENKD_DUMP_H
#define OPENKD_DUMP_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_dump;

struct kd_dump_options {
	size_t size;         /**< set by KD_DUMP_OPTIONS_INIT */
	bool overwrite;      /**< replace a file that is there */
	const char *comment; /**< up to 79 bytes go into the file; NULL: none. Copied */
};

#define KD_DUMP_OPTIONS_INIT                                \
	{                                                   \
		sizeof(struct kd_dump_options), false, NULL \
	}

struct kd_dump_info {
	uint64_t bytes_done, bytes_total; /**< of memory */
	uint64_t unreadable;              /**< pages among them that are zero for that reason */
	bool is_complete;
};

/**
 * Begin a full dump of a stopped target: gather what its header tells, open the file aside.
 *
 * @return KD_OK; KD_E_EXISTS: the file is there and may not be replaced; KD_E_INVALID: it is a
 *         folder; KD_E_NOT_FOUND, KD_E_DENIED, KD_E_IO: it cannot be written; KD_E_UNSUPPORTED: the
 * target does not say where its RAM lies, in more runs than a header holds, or its machine has no
 * dumps; KD_E_MALFORMED: what it says cannot be.
 * @owns *dump_ret is the caller's: kd_dump_destroy(), before the session's.
 */
enum kd_status kd_dump_create(struct kd_session *session, const char *path,
			      const struct kd_dump_options *options, struct kd_dump **dump_ret,
			      struct kd_error *err);

/**
 * Write some memory: up to 4 MB, a short while. KD_OK also when all was written before.
 *
 * @return KD_OK; KD_E_RESET: the target ran, or was written to, since the dump was begun; KD_E_IO:
 * disk full, ...; what reading memory says, except about pages that cannot be read.
 */
enum kd_status kd_dump_step(struct kd_dump *dump, struct kd_error *err);

struct kd_dump_info kd_dump_info(const struct kd_dump *dump);

/** Complete the file and put it in place. KD_E_INVALID: not all is written yet; KD_E_IO. */
enum kd_status kd_dump_commit(struct kd_dump *dump, struct kd_error *err);

/** NULL is fine. What was not committed leaves no file. */
void kd_dump_destroy(struct kd_dump *dump);

#ifdef __cplusplus
}
#endif

#endif
