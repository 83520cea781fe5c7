/* SPDX-License-Identifier: MIT */
/* A new pseudo-terminal, both ends. */
#ifndef KD_LIB_IO_PTY_PAIR_H
#define KD_LIB_IO_PTY_PAIR_H

struct kd_pty_pair {
	int master; /* nonblocking; a hangup while nobody has the other end open */
	int slave;  /* raw: what is in it stays so when it is closed */
	char name[128];
};

/* Both descriptors are the caller's to close(). 0, or an errno value: nothing is open then. */
int kd_pty_pair_open(struct kd_pty_pair *ret);

#endif
