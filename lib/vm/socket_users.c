/* SPDX-License-Identifier: MIT */
/*
 * /proc/net/unix names the listener's path also on the sockets that it accepted; who is at their
 * other ends is told by sock_diag(7), and which process holds those by /proc/PID/fd.
 */
#include "lib/vm/socket_users.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

enum {
	LINE_SIZE = 512,
	SOCKETS_MAX = 1 << 16,
	PORTS_MAX = 1 << 14,
	REPLIES_MAX = 1 << 12 /* datagrams of the kernel */
};

/* /proc/net/unix */
enum { ST_UNCONNECTED = 1, ST_CONNECTED = 3, FLAG_LISTENS = 0x10000 };

struct unix_row {
	uint32_t inode, peer; /* peer 0: not known */
	uint8_t state;
	bool is_listening;
	char path[108];
};

struct tcp_row {
	uint16_t port;
	bool is_listening;
};

struct kd_socket_table {
	struct unix_row *row;
	size_t n, size;
	bool has_peers;
	size_t n_tcp;
	struct tcp_row tcp[PORTS_MAX];
};

/* --- reading --- */

static bool add_row(struct kd_socket_table *t, const struct unix_row *row)
{
	if (t->n == t->size) {
		size_t size = t->size ? 2 * t->size : 256;
		struct unix_row *grown = NULL;

		if (size <= SOCKETS_MAX)
			grown = realloc(t->row, size * sizeof *grown);
		if (!grown)
			return false;
		t->row = grown;
		t->size = size;
	}
	t->row[t->n++] = *row;
	return true;
}

static void read_unix(struct kd_socket_table *t)
{
	FILE *f = fopen("/proc/net/unix", "re");
	char line[LINE_SIZE];

	while (f && fgets(line, sizeof line, f)) {
		struct unix_row row = { 0 };
		unsigned flags, state;
		int at = 0;

		/* Num RefCount Protocol Flags Type St Inode Path */
		if (sscanf(line, "%*s %*x %*x %x %*x %x %" SCNu32 " %n", &flags, &state, &row.inode,
			   &at) < 3 ||
		    !at)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (strlen(line + at) >= sizeof row.path || line[at] != '/')
			continue;
		strcpy(row.path, line + at);
		row.is_listening = flags & FLAG_LISTENS;
		row.state = (uint8_t)state;
		if (!add_row(t, &row))
			break;
	}
	if (f)
		fclose(f);
}

static void read_tcp(struct kd_socket_table *t, const char *name)
{
	FILE *f = fopen(name, "re");
	char line[LINE_SIZE];

	while (f && t->n_tcp < PORTS_MAX && fgets(line, sizeof line, f)) {
		unsigned port, state;

		/* sl local_address rem_address st; 01 is established, 0A listens */
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) !=
			    2 ||
		    (state != 1 && state != 10))
			continue;
		t->tcp[t->n_tcp++] = (struct tcp_row){ .port = (uint16_t)port,
						       .is_listening = state == 10 };
	}
	if (f)
		fclose(f);
}

enum kd_status kd__socket_table_create(struct kd_socket_table **ret, struct kd_error *err)
{
	struct kd_socket_table *t = calloc(1, sizeof *t);

	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	read_unix(t);
	read_tcp(t, "/proc/net/tcp");
	read_tcp(t, "/proc/net/tcp6");
	*ret = t;
	return KD_OK;
}

void kd__socket_table_destroy(struct kd_socket_table *t)
{
	if (t)
		free(t->row);
	free(t);
}

/* --- the other ends --- */

static void take_peer(struct kd_socket_table *t, const struct nlmsghdr *h)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof *m));

	for (const struct rtattr *a = (const struct rtattr *)(m + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		uint32_t peer;

		if (a->rta_type != UNIX_DIAG_PEER || RTA_PAYLOAD(a) < sizeof peer)
			continue;
		memcpy(&peer, RTA_DATA(a), sizeof peer);
		for (size_t i = 0; i < t->n; i++)
			if (t->row[i].inode == m->udiag_ino)
				t->row[i].peer = peer;
	}
}

/* False: that was the last of it. */
static bool take_replies(struct kd_socket_table *t, int fd)
{
	_Alignas(struct nlmsghdr) char bytes[32768];
	ssize_t size = recv(fd, bytes, sizeof bytes, 0);
	const struct nlmsghdr *h = (const struct nlmsghdr *)bytes;

	if (size <= 0)
		return false;
	for (unsigned left = (unsigned)size; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return false;
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
		    h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
			take_peer(t, h);
	}
	return true;
}

static void read_peers(struct kd_socket_table *t)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} request = {
		.h = { .nlmsg_len = sizeof request,
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = AF_UNIX,
		       .udiag_states = 1u << ST_CONNECTED | 1u << ST_UNCONNECTED,
		       .udiag_show = UDIAG_SHOW_PEER },
	};
	struct timeval patience = { .tv_usec = 200000 };
	int fd;

	if (t->has_peers)
		return;
	t->has_peers = true;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request)
		for (int i = 0; i < REPLIES_MAX && take_replies(t, fd); i++)
			;
	close(fd);
}

/* --- asking --- */

void kd__socket_users_unix(struct kd_socket_table *t, const char *path, bool names_them,
			   struct kd_socket_users *ret)
{
	const struct unix_row *connected = NULL;

	*ret = (struct kd_socket_users){ 0 };
	for (size_t i = 0; i < t->n; i++) {
		const struct unix_row *row = &t->row[i];

		if (strcmp(row->path, path) != 0)
			continue;
		ret->is_listening |= row->is_listening;
		if (row->is_listening || row->state != ST_CONNECTED)
			continue;
		ret->n_connected++;
		connected = row;
	}
	if (!connected || !names_them)
		return;
	read_peers(t);
	ret->pid = connected->peer ? kd__socket_holder(connected->peer) : 0;
	if (ret->pid)
		kd__process_name(ret->pid, ret->program, sizeof ret->program);
}

void kd__socket_users_tcp(struct kd_socket_table *t, uint16_t port, struct kd_socket_users *ret)
{
	*ret = (struct kd_socket_users){ 0 };
	for (size_t i = 0; i < t->n_tcp; i++) {
		if (t->tcp[i].port != port)
			continue;
		ret->is_listening |= t->tcp[i].is_listening;
		ret->n_connected += !t->tcp[i].is_listening;
	}
}
