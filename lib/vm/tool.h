/* SPDX-License-Identifier: MIT */
/* Programs of the hypervisors (VBoxManage, vmrun), run with a time limit and without a shell. */
#ifndef KD_LIB_VM_TOOL_H
#define KD_LIB_VM_TOOL_H

#include "lib/base.h"

enum { KD_TOOL_OUTPUT_MAX = 64 << 10 };

/*
 * Run argv[0] (looked for in $PATH) to its end; its standard output and error come back as text,
 * cut at KD_TOOL_OUTPUT_MAX, to be free()d (also after KD_E_TARGET).
 *
 * KD_E_UNSUPPORTED: there is no such program; KD_E_TARGET: it ended with another status than 0, the
 * text has its first line; KD_E_TIMEOUT: it was ended; KD_E_IO; KD_E_NO_MEMORY.
 */
enum kd_status kd__tool_run(const char *const *argv, uint64_t deadline, char **text_ret,
			    struct kd_error *err);

#endif
