/* SPDX-License-Identifier: MIT */
/*
 * A UDP socket for both IPv4 and IPv6 that never blocks and answers from the address it was asked
 * at: on a machine with several, a target throws away what comes from another one.
 */
#ifndef KD_LIB_IO_UDP_SOCKET_H
#define KD_LIB_IO_UDP_SOCKET_H

#include "core/net/net_message.h"
#include "lib/base.h"

/* Our side of a conversation. Zeroed: the system chooses. */
struct kd__udp_route {
	uint8_t local[16]; /* our address; IPv4 mapped */
	uint32_t interface;
};

/*
 * `bind_to`: a numeric address, or "" for all. Port 0: any; *port_ret says which.
 * KD_E_EXISTS: the port is taken; KD_E_DENIED; KD_E_NOT_FOUND: not an address of this machine;
 * KD_E_SYNTAX: no address; KD_E_IO.
 */
enum kd_status kd__udp_open(const char *bind_to, uint16_t port, int *fd_ret, uint16_t *port_ret,
			    struct kd_error *err);

/*
 * KD_OK: *size_ret bytes (a longer datagram is cut to `cap`); KD_E_AGAIN: none is there; KD_E_IO:
 * the socket is unusable.
 */
enum kd_status kd__udp_receive(int fd, uint8_t *buf, size_t cap, size_t *size_ret,
			       struct kd_net_address *from_ret, struct kd__udp_route *route_ret,
			       struct kd_error *err);

/*
 * KD_OK; KD_E_AGAIN: no room now; KD_E_IO: this one could not be sent, and why: no route, refused
 * by a firewall. The socket is as good as before.
 */
enum kd_status kd__udp_send(int fd, const uint8_t *bytes, size_t size,
			    const struct kd_net_address *to, const struct kd__udp_route *route,
			    struct kd_error *err);

#endif
