/* SPDX-License-Identifier: MIT */
/* Offsets of the fields of _EPROCESS and _ETHREAD that the engine shows. */
#ifndef KD_LIB_ENGINE_PROCESS_LAYOUT_H
#define KD_LIB_ENGINE_PROCESS_LAYOUT_H

#include "lib/engine/engine.h"

enum {
	KD__P_LINKS,
	KD__P_PID,
	KD__P_PARENT,
	KD__P_DTB,
	KD__P_PEB,
	KD__P_OBJECT_TABLE,
	KD__P_IMAGE,
	KD__P_SESSION,
	KD__P_THREADS,
	KD__P_N_THREADS,
	KD__P_COUNT
};

enum {
	KD__T_CID,
	KD__T_PROCESS,
	KD__T_APC_PROCESS,
	KD__T_TEB,
	KD__T_STATE,
	KD__T_WAIT_REASON,
	KD__T_PRIORITY,
	KD__T_PROCESSOR,
	KD__T_START,
	KD__T_WIN32_START,
	KD__T_STACK_BASE,
	KD__T_STACK_LIMIT,
	KD__T_KERNEL_STACK,
	KD__T_INITIAL_STACK,
	KD__T_SWITCHES,
	KD__T_LINK,
	KD__T_COUNT
};

enum { KD__THREAD_RUNNING = 2 };

struct kd__layout {
	int32_t process[KD__P_COUNT]; /* -1: not known */
	int32_t thread[KD__T_COUNT];
	int32_t session_id, handle_count;
	bool is_guess; /* from the table per build */
};

/* PDB first, KDBG second, table third; never fails, unknown fields are -1. */
void kd__layout_find(struct kd_session *s, struct kd__layout *ret);

#endif
