/* SPDX-License-Identifier: MIT */
/* Host names to addresses, with a deadline and a cancel, which getaddrinfo() has not. */
#ifndef KD_LIB_IO_NAME_LOOKUP_H
#define KD_LIB_IO_NAME_LOOKUP_H

#include <netdb.h>
#include <sys/socket.h>

#include "lib/base.h"
#include "lib/wait.h"

enum { KD__ADDRESSES_MAX = 8 };

struct kd__address {
	int family;
	socklen_t size;
	struct sockaddr_storage address;
};

struct kd__addresses {
	size_t n;
	struct kd__address row[KD__ADDRESSES_MAX]; /* in the order to try them; more are left out */
};

/*
 * Numeric addresses are translated at once; for a name a thread asks the resolver, and is left to
 * itself when the deadline passes or `cancel` (may be NULL) is triggered.
 * KD_E_NOT_FOUND: no such host; KD_E_TIMEOUT, KD_E_CANCELLED, KD_E_IO, KD_E_NO_MEMORY.
 */
enum kd_status kd__name_lookup(const char *host, uint16_t port, uint64_t deadline,
			       const struct kd_cancel *cancel, struct kd__addresses *ret,
			       struct kd_error *err);

#endif
