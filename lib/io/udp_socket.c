/* SPDX-License-Identifier: MIT */
#include "lib/io/udp_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io/udp_frame.h"

/* An IPv6 socket takes both; where the kernel has no IPv6, an IPv4 one speaks mapped addresses. */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

enum { RECEIVE_BUFFER = 1024 * 1024, CONTROL_SIZE = 128 };

static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };

static bool is_ipv4(const uint8_t ip[16])
{
	return memcmp(ip, mapped, sizeof mapped) == 0;
}

static socklen_t to_system(int family, const struct kd_net_address *a, uint32_t interface,
			   union address *out)
{
	memset(out, 0, sizeof *out);
	if (family == AF_INET) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(a->port);
		memcpy(&out->v4.sin_addr, a->ip + 12, 4);
		return sizeof out->v4;
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(a->port);
	memcpy(&out->v6.sin6_addr, a->ip, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr))
		out->v6.sin6_scope_id = interface;
	return sizeof out->v6;
}

static void from_system(const union address *in, struct kd_net_address *a)
{
	if (in->any.sa_family == AF_INET) {
		kd_net_address_from_ipv4(a, (const uint8_t *)&in->v4.sin_addr,
					 ntohs(in->v4.sin_port));
		return;
	}
	memcpy(a->ip, &in->v6.sin6_addr, 16);
	a->port = ntohs(in->v6.sin6_port);
}

static int family_of(int fd)
{
	int family = AF_INET6;
	socklen_t size = sizeof family;

	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
	return family;
}

/* --- opening --- */

static bool parse_address(const char *text, struct kd_net_address *ret)
{
	uint8_t v4[4];

	memset(ret, 0, sizeof *ret);
	if (!*text)
		return true;
	if (inet_pton(AF_INET, text, v4) == 1) {
		kd_net_address_from_ipv4(ret, v4, 0);
		return true;
	}
	return inet_pton(AF_INET6, text, ret->ip) == 1;
}

/* For nothing but speed and comfort: no failure matters. */
static void set_options(int fd, int family)
{
	int on = 1, off = 0, room = RECEIVE_BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (family == AF_INET) {
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
		return;
	}
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

/* The socket at a UDP port: its inode, 0: not found. */
static uint32_t find_socket(const char *table, uint16_t port, unsigned *user_ret)
{
	FILE *f = fopen(table, "re");
	uint32_t inode, found = 0;
	unsigned at, user;
	char line[512];

	/* sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode */
	while (f && !found && fgets(line, sizeof line, f))
		if (sscanf(line,
			   " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %*x %*x:%*x %*x:%*x %*x %u "
			   "%*u %" SCNu32,
			   &at, &user, &inode) == 3 &&
		    at == port) {
			found = inode;
			*user_ret = user;
		}
	if (f)
		fclose(f);
	return found;
}

/* "pid 4711 (kd)", as far as /proc tells. */
static void describe_holder(uint16_t port, char *text, size_t size)
{
	unsigned user = 0;
	uint32_t inode = find_socket("/proc/net/udp", port, &user);
	char program[32];
	int pid;

	if (!inode)
		inode = find_socket("/proc/net/udp6", port, &user);
	pid = inode ? kd__socket_holder(inode) : 0;
	if (pid) {
		kd__process_name(pid, program, sizeof program);
		snprintf(text, size, "pid %d (%s)", pid, program);
	} else if (inode) {
		snprintf(text, size, "a process of user %u", user);
	} else {
		snprintf(text, size, "another process");
	}
}

static enum kd_status bind_failure(uint16_t port, const char *bind_to, int number,
				   struct kd_error *err)
{
	char holder[64];

	if (number == EADDRINUSE) {
		describe_holder(port, holder, sizeof holder);
		return kd_error_set(err, KD_E_EXISTS, 0,
				    "UDP port %u is in use by %s: end it, or give the target "
				    "another port (bcdedit /dbgsettings net ... port:N)",
				    port, holder);
	}
	if (number == EADDRNOTAVAIL)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "%.60s is no address of this machine",
				    bind_to);
	if (number == EACCES)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "UDP port %u: ports below 1024 are for root: choose 50000 to "
				    "50039",
				    port);
	return kd_error_set(err, KD_E_IO, 0, "UDP port %u: %s", port, strerror(number));
}

enum kd_status kd__udp_open(const char *bind_to, uint16_t port, int *fd_ret, uint16_t *port_ret,
			    struct kd_error *err)
{
	int family = AF_INET6, fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct kd_net_address at;
	union address a;
	socklen_t size = sizeof a;

	if (!parse_address(bind_to, &at)) {
		if (fd >= 0)
			close(fd);
		return kd_error_set(err, KD_E_SYNTAX, 0, "\"%.60s\" is no IP address", bind_to);
	}
	if (fd < 0 && errno == EAFNOSUPPORT) {
		family = AF_INET;
		fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return kd_error_set(err, KD_E_IO, 0, "UDP socket: %s", strerror(errno));
	at.port = port;
	set_options(fd, family);
	if (bind(fd, &a.any, to_system(family, &at, 0, &a)) != 0 ||
	    getsockname(fd, &a.any, &size) != 0) {
		int number = errno;

		close(fd);
		return bind_failure(port, bind_to, number, err);
	}
	from_system(&a, &at);
	*fd_ret = fd;
	*port_ret = at.port;
	return KD_OK;
}

/* --- receiving --- */

static void read_route(struct msghdr *m, struct kd__udp_route *ret)
{
	memset(ret, 0, sizeof *ret);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof info);
			memcpy(ret->local, &info.ipi6_addr, 16);
			ret->interface = info.ipi6_ifindex;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct kd_net_address local;
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof info);
			kd_net_address_from_ipv4(&local, (const uint8_t *)&info.ipi_spec_dst, 0);
			memcpy(ret->local, local.ip, 16);
			ret->interface = (uint32_t)info.ipi_ifindex;
		}
	}
}

/* What others did to us: an ICMP message about something sent earlier, a signal. */
static bool is_passing(int number)
{
	return number == EINTR || number == ECONNREFUSED || number == EHOSTUNREACH ||
	       number == ENETUNREACH || number == ENETDOWN || number == EHOSTDOWN ||
	       number == EPROTO || number == EMSGSIZE;
}

enum kd_status kd__udp_receive(int fd, uint8_t *buf, size_t cap, size_t *size_ret,
			       struct kd_net_address *from_ret, struct kd__udp_route *route_ret,
			       struct kd_error *err)
{
	_Alignas(struct cmsghdr) char control[CONTROL_SIZE];
	union address from;
	struct iovec piece = { buf, cap };
	struct msghdr m = {
		.msg_name = &from,
		.msg_namelen = sizeof from,
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};
	ssize_t n = recvmsg(fd, &m, 0);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || is_passing(errno)))
		return KD_E_AGAIN;
	if (n < 0)
		return kd_error_set(err, KD_E_IO, 0, "UDP socket: %s", strerror(errno));
	from_system(&from, from_ret);
	read_route(&m, route_ret);
	*size_ret = (size_t)n;
	return KD_OK;
}

/* --- sending --- */

static void add_route(struct msghdr *m, int family, const struct kd__udp_route *route)
{
	struct cmsghdr *c = m->msg_control;

	if (family == AF_INET) {
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_spec_dst, route->local + 12, 4);
		m->msg_controllen = CMSG_SPACE(sizeof info);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
	} else {
		struct in6_pktinfo info = { 0 };

		memcpy(&info.ipi6_addr, route->local, 16);
		if (!is_ipv4(route->local))
			info.ipi6_ifindex = route->interface;
		m->msg_controllen = CMSG_SPACE(sizeof info);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof info);
		memcpy(CMSG_DATA(c), &info, sizeof info);
	}
}

enum kd_status kd__udp_send(int fd, const uint8_t *bytes, size_t size,
			    const struct kd_net_address *to, const struct kd__udp_route *route,
			    struct kd_error *err)
{
	static const uint8_t unknown[16];
	_Alignas(struct cmsghdr) char control[CONTROL_SIZE] = { 0 };
	char text[KD__ADDRESS_TEXT];
	int family = family_of(fd);
	union address a;
	struct iovec piece = { (void *)(uintptr_t)bytes, size };
	struct msghdr m = {
		.msg_name = &a,
		.msg_namelen = to_system(family, to, route->interface, &a),
		.msg_iov = &piece,
		.msg_iovlen = 1,
	};

	if (memcmp(route->local, unknown, sizeof unknown) != 0) {
		m.msg_control = control;
		add_route(&m, family, route);
	}
	if (sendmsg(fd, &m, MSG_NOSIGNAL) >= 0)
		return KD_OK;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return KD_E_AGAIN;
	return kd_error_set(err, KD_E_IO, 0, "cannot send to %s: %s",
			    kd__net_address_text(to, text), strerror(errno));
}
