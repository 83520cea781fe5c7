/* SPDX-License-Identifier: MIT */
#include "lib/fleet/relay_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/io/pty_pair.h"

enum { BACKLOG = 4, REFUSED_MAX = 64 };

static enum kd_status failed(const char *what, struct kd_error *err)
{
	int number = errno;
	enum kd_status s = number == EACCES || number == EPERM ? KD_E_DENIED
			   : number == ENOENT                  ? KD_E_NOT_FOUND
			   : number == EADDRINUSE              ? KD_E_EXISTS
							       : KD_E_IO;

	return kd_error_set(err, s, 0, "cannot listen at %s: %s", what, strerror(number));
}

/* --- a unix socket --- */

/* What is left of a relay that was killed may go; what lives, or is no socket, may not. */
static enum kd_status clear_place(const struct sockaddr_un *address, struct kd_error *err)
{
	struct stat st;
	int fd, answer;

	if (lstat(address->sun_path, &st) != 0)
		return KD_OK;
	if (!S_ISSOCK(st.st_mode))
		return kd_error_set(err, KD_E_EXISTS, 0,
				    "%s is there already and no socket: choose another place",
				    address->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	answer = fd >= 0 ? connect(fd, (const struct sockaddr *)address, sizeof *address) : -1;
	if (answer != 0 && errno == ECONNREFUSED)
		unlink(address->sun_path);
	else
		answer = 0;
	if (fd >= 0)
		close(fd);
	return answer == 0 ? kd_error_set(err, KD_E_EXISTS, 0,
					  "somebody listens at %s already: choose another place",
					  address->sun_path)
			   : KD_OK;
}

static enum kd_status listen_unix(struct kd__relay_listener *l, const struct kd_endpoint *ep,
				  struct kd_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	enum kd_status s;

	if (strlen(ep->path) >= sizeof address.sun_path)
		return kd_error_set(err, KD_E_SYNTAX, 0,
				    "a socket's path has %zu bytes at most: %s",
				    sizeof address.sun_path - 1, ep->path);
	strcpy(address.sun_path, ep->path);
	s = clear_place(&address, err);
	if (s != KD_OK)
		return s;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of the socket becomes that of its file: nobody else ever could connect. */
	if (l->fd < 0 || fchmod(l->fd, 0600) != 0 ||
	    bind(l->fd, (struct sockaddr *)&address, sizeof address) != 0)
		return failed(ep->path, err);
	snprintf(l->unlink_path, sizeof l->unlink_path, "%s", ep->path);
	if (listen(l->fd, BACKLOG) != 0)
		return failed(ep->path, err);
	l->at = *ep;
	l->at.kind = KD_ENDPOINT_UNIX;
	return KD_OK;
}

/* --- TCP --- */

static int bind_tcp(const struct addrinfo *a)
{
	int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage own = { 0 };
	socklen_t size = sizeof own;

	if (getsockname(fd, (struct sockaddr *)&own, &size) != 0)
		return 0;
	return ntohs(own.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&own)->sin6_port
					       : ((struct sockaddr_in *)&own)->sin_port);
}

static enum kd_status listen_tcp(struct kd__relay_listener *l, const struct kd_endpoint *ep,
				 struct kd_error *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*list = NULL;
	char port[8];
	int failure;

	snprintf(port, sizeof port, "%u", ep->port);
	failure = getaddrinfo(ep->path[0] ? ep->path : "localhost", port, &hints, &list);
	if (failure)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "%s: %s", ep->path,
				    gai_strerror(failure));
	for (const struct addrinfo *a = list; a && l->fd < 0; a = a->ai_next)
		l->fd = bind_tcp(a);
	freeaddrinfo(list);
	if (l->fd < 0)
		return failed(ep->path, err);
	l->at = *ep;
	l->at.kind = KD_ENDPOINT_TCP;
	l->at.port = port_of(l->fd);
	return KD_OK;
}

/* --- a pseudo-terminal --- */

/* Its other end is closed: by a hangup it tells that nobody has it open. */
static enum kd_status make_terminal(struct kd__relay_listener *l, struct kd_error *err)
{
	struct kd_pty_pair pair;
	char text[sizeof pair.name + 8];
	int number = kd_pty_pair_open(&pair);

	if (number != 0)
		return kd_error_set(err, KD_E_IO, 0, "cannot make a pseudo-terminal: %s",
				    strerror(number));
	close(pair.slave);
	l->terminal = pair.master;
	snprintf(text, sizeof text, "pty:%s", pair.name);
	return kd_endpoint_parse(text, &l->at, err);
}

static bool is_open(int terminal)
{
	struct pollfd p = { .fd = terminal };

	return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

/* --- all --- */

enum kd_status kd__relay_listen(struct kd__relay_listener *l, const char *endpoint,
				struct kd_error *err)
{
	struct kd_endpoint ep;
	enum kd_status s;

	memset(l, 0, sizeof *l);
	l->fd = l->terminal = -1;
	s = kd_endpoint_parse(endpoint, &ep, err);
	if (s != KD_OK)
		return s;
	if (ep.kind == KD_ENDPOINT_UNIX_LISTEN)
		s = listen_unix(l, &ep, err);
	else if (ep.kind == KD_ENDPOINT_TCP_LISTEN)
		s = listen_tcp(l, &ep, err);
	else if (ep.kind == KD_ENDPOINT_PTY && !ep.path[0])
		s = make_terminal(l, err);
	else
		s = kd_error_set(err, KD_E_SYNTAX, 0,
				 "%s: a proxy listens at unix-listen:PATH, tcp-listen:HOST:PORT or "
				 "pty:",
				 endpoint);
	if (s == KD_OK)
		kd_endpoint_text(&l->at, l->text, sizeof l->text);
	return s;
}

void kd__relay_listener_deinit(struct kd__relay_listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	if (l->unlink_path[0])
		unlink(l->unlink_path);
	if (l->terminal >= 0)
		close(l->terminal);
	*l = (struct kd__relay_listener){ .fd = -1, .terminal = -1 };
}

static pid_t pid_of(int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

struct kd_transport *kd__relay_accept(struct kd__relay_listener *l, pid_t *pid_ret)
{
	struct kd_transport *t;
	int one = 1, fd = -1;

	if (l->fd >= 0)
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	else if (l->terminal >= 0 && is_open(l->terminal))
		fd = fcntl(l->terminal, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	if (l->at.kind == KD_ENDPOINT_TCP)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	*pid_ret = l->at.kind == KD_ENDPOINT_UNIX ? pid_of(fd) : 0;
	return kd_transport_fd_create(fd, "debugger", &t, NULL) == KD_OK ? t : NULL;
}

unsigned kd__relay_refuse(struct kd__relay_listener *l)
{
	unsigned n = 0;

	while (l->fd >= 0 && n < REFUSED_MAX) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			break;
		close(fd);
		n++;
	}
	return n;
}
