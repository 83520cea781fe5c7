/* SPDX-License-Identifier: MIT */
/* Who holds an endpoint, by the lock file that lib/io/transport.h takes for each debugger. */
#ifndef KD_LIB_IO_ENDPOINT_HOLDER_H
#define KD_LIB_IO_ENDPOINT_HOLDER_H

#include <sys/types.h>

#include "lib/io/endpoint.h"

struct kd_endpoint_holder {
	pid_t pid;                           /* 0: held, but by whom is not told */
	char program[32];                    /* "" unknown */
	char instead[KD_ENDPOINT_PATH_SIZE]; /* an endpoint that the holder offers; "": none */
};

/* False: nobody of this user holds it (or it is of a kind without locks). Takes nothing. */
bool kd_endpoint_holder_find(const struct kd_endpoint *ep, struct kd_endpoint_holder *ret);

#endif
