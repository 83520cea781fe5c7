/* SPDX-License-Identifier: MIT */
/*
 * Who is connected to sockets of this machine, by what the kernel tells everybody. A picture of one
 * moment, made once and asked for many.
 */
#ifndef KD_LIB_VM_SOCKET_USERS_H
#define KD_LIB_VM_SOCKET_USERS_H

#include <sys/types.h>

#include "lib/base.h"

struct kd_socket_table;

/* KD_E_NO_MEMORY. What the kernel does not tell is left out. */
enum kd_status kd__socket_table_create(struct kd_socket_table **ret, struct kd_error *err);
void kd__socket_table_destroy(struct kd_socket_table *t);

struct kd_socket_users {
	bool is_listening;
	unsigned n_connected; /* by programs other than the listener */
	pid_t pid;            /* of one that is connected; 0: nobody, or not to be seen */
	char program[32];     /* its name; "" when pid is 0 */
};

/* At the unix socket of that path. Who it is costs a look at all processes: `names_them` or not. */
void kd__socket_users_unix(struct kd_socket_table *t, const char *path, bool names_them,
			   struct kd_socket_users *ret);
/* At the TCP port of this machine; who it is is not looked for. */
void kd__socket_users_tcp(struct kd_socket_table *t, uint16_t port, struct kd_socket_users *ret);

#endif
