/* SPDX-License-Identifier: MIT */
/* The end of a relay where debuggers come: one at a time, others are sent away. */
#ifndef KD_LIB_FLEET_RELAY_LISTEN_H
#define KD_LIB_FLEET_RELAY_LISTEN_H

#include <sys/types.h>

#include "lib/io/transport.h"

struct kd__relay_listener {
	int fd;                /* listens; -1: a pseudo-terminal */
	int terminal;          /* the master of that one, else -1 */
	struct kd_endpoint at; /* for those who connect */
	char text[KD_ENDPOINT_TEXT_SIZE];
	char unlink_path[KD_ENDPOINT_PATH_SIZE]; /* ours to remove; "": none */
};

/*
 * KD_E_SYNTAX: not of a kind that listens; KD_E_EXISTS: taken; KD_E_DENIED, KD_E_NOT_FOUND: a
 * folder; KD_E_IO. deinit() in any case.
 */
enum kd_status kd__relay_listen(struct kd__relay_listener *l, const char *endpoint,
				struct kd_error *err);
void kd__relay_listener_deinit(struct kd__relay_listener *l);

/*
 * The next one who knocks, as a transport; NULL: nobody (any more). Who opened the pseudo-terminal
 * is found by asking again: nothing wakes us.
 */
struct kd_transport *kd__relay_accept(struct kd__relay_listener *l, pid_t *pid_ret);
/* Send away all who knock; how many. */
unsigned kd__relay_refuse(struct kd__relay_listener *l);

#endif
