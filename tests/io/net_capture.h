/* SPDX-License-Identifier: MIT */
/* The recorded WinDbg session, which is not part of this project: $OPENKD_DATA or ../shared/data.
 */
#ifndef KD_TESTS_IO_NET_CAPTURE_H
#define KD_TESTS_IO_NET_CAPTURE_H

#include <stddef.h>

enum { NET_CAPTURE_SKIP = 77 };

/* The capture, unpacked; owned by the caller. NULL: it is not there. `root`: the project's folder.
 */
char *net_capture_load(const char *root, size_t *size_ret);

#endif
