/* SPDX-License-Identifier: MIT */
/*
 * What a session says on its socket (docs/session-socket.md): lines in, values out. The peer is a
 * program of the same user, but may be of another version, or something else altogether.
 */
#ifndef KD_LIB_FLEET_SESSION_LINE_H
#define KD_LIB_FLEET_SESSION_LINE_H

#include <openkd/vm.h>

#include "lib/io/endpoint.h"

enum { KD_SESSION_LINE_MAX = 1 << 20 };

struct kd__session_state {
	bool has_hello, has_status;
	long pid;
	char endpoint[KD_ENDPOINT_TEXT_SIZE];
	char state[16];
	char os[200];
	struct kd_vm_counters counters;
};

/*
 * Take a line, its newline left out. KD_OK: the greeting, the status, or an answer or event that is
 * nothing to us; KD_E_MALFORMED: not what a session says; KD_E_MISMATCH: of a newer protocol.
 */
enum kd_status kd__session_line_take(struct kd__session_state *s, const char *line, size_t size,
				     struct kd_error *err);

#endif
