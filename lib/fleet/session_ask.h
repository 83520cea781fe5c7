/* SPDX-License-Identifier: MIT */
/* The sessions of this user: all their sockets are asked at once, slow ones are left. */
#ifndef KD_LIB_FLEET_SESSION_ASK_H
#define KD_LIB_FLEET_SESSION_ASK_H

#include "lib/fleet/session_line.h"

enum { KD__SESSIONS_MAX = 512, KD__SESSION_PATH_SIZE = 108 };

struct kd__session_found {
	char path[KD__SESSION_PATH_SIZE];
	struct kd__session_state state; /* has_hello and has_status tell how far it answered */
};

/*
 * Every socket in the runtime folder that answers as a session until `deadline`; free() the list.
 * KD_E_NO_MEMORY.
 */
enum kd_status kd__sessions_ask(uint64_t deadline, struct kd__session_found **list_ret,
				size_t *n_ret, struct kd_error *err);

/* Break in by way of the session at `path`: as kd_vm_break_in(). */
enum kd_status kd__session_break_in(const char *path, uint64_t deadline, struct kd_error *err);
/* Tell it that its VM went back to a snapshot: as kd_session_rejoin(). */
enum kd_status kd__session_rejoin(const char *path, uint64_t deadline, struct kd_error *err);

#endif
