/* SPDX-License-Identifier: MIT */
/*
 * Folders and files of one user: sockets and locks in the runtime folder, histories, journals and
 * recordings in the state folder. Both are 0700 and ours, or they are not used.
 */
#ifndef KD_LIB_IO_PRIVATE_DIR_H
#define KD_LIB_IO_PRIVATE_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

enum kd_private_dir {
	KD_DIR_RUNTIME, /* $XDG_RUNTIME_DIR/openkd; /run/user/UID/openkd; /tmp/openkd-UID */
	KD_DIR_STATE,   /* $XDG_STATE_HOME/openkd; ~/.local/state/openkd */
};

/*
 * The folder's path with "/" and `name` behind it (NULL: the folder itself). Creates nothing.
 * KD_E_TOO_BIG: does not fit; KD_E_NOT_FOUND: no home folder is known.
 */
enum kd_status kd_private_dir_path(enum kd_private_dir which, const char *name, char *path_ret,
				   size_t size, struct kd_error *err);

/*
 * Make sure that the folder exists, is a folder, is ours and is closed to others (0700); a path as
 * above in *path_ret. KD_E_DENIED: somebody else owns it or may write to it: *err names it and says
 * what to do; KD_E_IO: it cannot be made.
 */
enum kd_status kd_private_dir_make(enum kd_private_dir which, const char *name, char *path_ret,
				   size_t size, struct kd_error *err);

/*
 * Write a file aside and put it in its place when it is complete: readers see the old file or the
 * new one, never half of one. The file is 0600.
 *
 *	begin -> write to .fd -> commit | abort
 */
struct kd__file_replace {
	int fd;      /* open for writing between begin and commit/abort, else -1 */
	char *path;  /* where it goes; owned */
	char *aside; /* where it is written; owned */
};

#define KD__FILE_REPLACE_INIT  \
	{                      \
		-1, NULL, NULL \
	}

/* The same regular file, by whatever names: to be asked before one is written from the other. */
bool kd__is_same_file(const char *a, const char *b);

/*
 * KD_E_NOT_FOUND: no such folder; KD_E_DENIED; KD_E_EXISTS: `path` is a folder, device or other
 * thing that must not be replaced; KD_E_IO.
 */
enum kd_status kd__file_replace_begin(struct kd__file_replace *f, const char *path,
				      struct kd_error *err);
/* On failure the old file is untouched and the new one is gone. */
enum kd_status kd__file_replace_commit(struct kd__file_replace *f, struct kd_error *err);
/* Also after a commit or without a begin: does nothing then. */
void kd__file_replace_abort(struct kd__file_replace *f);
/* Neither: the unfinished file stays where it is (f->aside), the old one too. */
void kd__file_replace_leave(struct kd__file_replace *f);

#endif
