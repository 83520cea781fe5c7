/* SPDX-License-Identifier: MIT */
/* The table of schemes and what is the same for all transports: opening, closing, describing. */
#include "lib/io/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/link/link.h"
#include "lib/io/private_dir.h"
#include "lib/io/transport_private.h"
#include "lib/wait.h"

enum {
	SOCKET_PATH_MAX = sizeof((struct sockaddr_un *)0)->sun_path - 1,
	PATH_MAX_LENGTH = KD_ENDPOINT_PATH_SIZE - 1,
	STREAM_OPTIONS = KD__OPTION_RECONNECT | KD__OPTION_RESETS,
};

#define NO_SUCH_CABLE                                                                          \
	"this cable needs Windows hosts; use a serial port (serial:, com:port=...) or a VM's " \
	"(unix:)"

/* clang-format off */
const struct kd__scheme kd__schemes[] = {
	{ "unix", KD_ENDPOINT_UNIX, KD__BODY_PATH, STREAM_OPTIONS, SOCKET_PATH_MAX,
	  kd__unix_create, "unix:/tmp/win.sock",
	  "unix:PATH                       connect to a socket (a VM's serial port)" },
	{ "unix-listen", KD_ENDPOINT_UNIX_LISTEN, KD__BODY_PATH, STREAM_OPTIONS, SOCKET_PATH_MAX,
	  kd__unix_listen_create, "unix-listen:/tmp/kd.sock",
	  "unix-listen:PATH                make a socket and wait for the VM" },
	{ "tcp", KD_ENDPOINT_TCP, KD__BODY_HOST_PORT, STREAM_OPTIONS, PATH_MAX_LENGTH,
	  kd__tcp_create, "tcp:localhost:4444",
	  "tcp:HOST:PORT                   connect over TCP" },
	{ "tcp-listen", KD_ENDPOINT_TCP_LISTEN, KD__BODY_HOST_ANY_PORT, STREAM_OPTIONS,
	  PATH_MAX_LENGTH, kd__tcp_listen_create, "tcp-listen:127.0.0.1:4444",
	  "tcp-listen:HOST:PORT            wait for the VM at a TCP port" },
	{ "serial", KD_ENDPOINT_SERIAL, KD__BODY_PATH, STREAM_OPTIONS | KD__OPTION_BAUD,
	  PATH_MAX_LENGTH, kd__serial_create, "serial:/dev/ttyS0,baud=115200",
	  "serial:DEVICE[,baud=N]          a serial line, 115200 baud unless said" },
	{ "pty", KD_ENDPOINT_PTY, KD__BODY_OPTIONAL_PATH, STREAM_OPTIONS, PATH_MAX_LENGTH,
	  kd__pty_create, "pty:/dev/pts/3",
	  "pty:[DEVICE]                    open a pseudo-terminal, or make one" },
	{ "replay", KD_ENDPOINT_REPLAY, KD__BODY_PATH, 0, PATH_MAX_LENGTH,
	  kd__replay_create, "replay:session.pcapng",
	  "replay:FILE                     play a recorded session back" },
	{ "net", KD_ENDPOINT_NET, KD__BODY_NET, 0, 0, kd__net_create, "net:port=50000,key=1.2.3.4",
	  "net:port=N,key=W.X.Y.Z          KDNET: wait for the target at a UDP port" },

	/* What WinDbg takes after -k. com: becomes one of the kinds above. */
	{ "com", KD_ENDPOINT_SERIAL, KD__BODY_WINDBG_COM, STREAM_OPTIONS | KD__OPTION_BAUD, 0,
	  NULL, "com:pipe,port=/tmp/win.sock",
	  "com:port=com1[,baud=N]          WinDbg's words for serial:\n"
	  "com:pipe,port=PATH[,resets=0]   ... for unix:\n"
	  "com:ipport=PORT,port=HOST       ... for tcp:" },
	{ "usb", 0, KD__BODY_REFUSED, 0, 0, NULL, NO_SUCH_CABLE, NULL },
	{ "usb2", 0, KD__BODY_REFUSED, 0, 0, NULL, NO_SUCH_CABLE, NULL },
	{ "1394", 0, KD__BODY_REFUSED, 0, 0, NULL, NO_SUCH_CABLE, NULL },
	{ "exdi", 0, KD__BODY_REFUSED, 0, 0, NULL,
	  "EXDI is an interface of Windows debuggers; use the VM's serial port (unix:, tcp:)", NULL },
	{ 0 },
};
/* clang-format on */

const char *kd_endpoint_help(size_t index)
{
	for (const struct kd__scheme *row = kd__schemes; row->name; row++)
		if (row->help && index-- == 0)
			return row->help;
	return NULL;
}

uint32_t kd__connect_timeout_ms(const struct kd_open_options *options)
{
	return options && options->connect_timeout_ms ? options->connect_timeout_ms
						      : KD__CONNECT_TIMEOUT_MS;
}

struct kd_transport *kd__transport_new(size_t size, const struct kd_transport_ops *ops,
				       const struct kd_endpoint *ep)
{
	struct kd_transport *t = calloc(1, size);

	if (!t)
		return NULL;
	t->ops = ops;
	t->info.max_resets = ep->max_resets;
	kd_endpoint_text(ep, t->name, sizeof t->name);
	return t;
}

enum kd_status kd__transport_failed(const struct kd_transport *t, enum kd_status status,
				    const char *what, int number, struct kd_error *err)
{
	return kd_error_set(err, status, 0, "%s: %s: %s", t->name, what, strerror(number));
}

void kd__transport_note_trouble(struct kd_transport *t, const struct kd_error *why)
{
	memcpy(t->trouble, why->text, sizeof t->trouble);
}

/* --- delegates --- */

enum kd_status kd_transport_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
				 struct kd_error *err)
{
	return t->ops->read(t, buf, size, n_ret, err);
}

enum kd_status kd_transport_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				  size_t *n_ret, struct kd_error *err)
{
	return t->ops->write(t, buf, size, n_ret, err);
}

void kd_transport_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	*ret = (struct kd_poll){ .fd = -1, .deadline = KD_TIME_NEVER };
	t->ops->poll(t, ret);
}

const struct kd_transport_info *kd_transport_info(const struct kd_transport *t)
{
	return &t->info;
}

void kd_transport_describe(const struct kd_transport *t, char *text, size_t size)
{
	const char *state = t->info.is_up             ? "connected"
			    : t->info.is_listening    ? "waiting for a connection"
			    : t->info.is_reconnecting ? "trying to connect"
						      : "closed";

	if (!t->info.is_up && t->trouble[0])
		snprintf(text, size, "%s (%s)", t->trouble, state);
	else
		snprintf(text, size, "%s (%s)", t->name, state);
}

void kd__transport_mirror(struct kd_transport *outer, const struct kd_transport *inner)
{
	outer->info = inner->info;
	memcpy(outer->name, inner->name, sizeof outer->name);
	memcpy(outer->trouble, inner->trouble, sizeof outer->trouble);
}

void kd_transport_destroy(struct kd_transport *t)
{
	struct kd__endpoint_lock *lock;

	if (!t)
		return;
	/* Released last: the next debugger must find a free endpoint. */
	lock = t->lock;
	t->ops->destroy(t);
	kd__endpoint_lock_release(lock);
}

void kd_transport_destroyp(struct kd_transport **t)
{
	kd_transport_destroy(*t);
	*t = NULL;
}

enum kd_status kd_transport_wait(const struct kd_transport *t, uint64_t deadline,
				 const struct kd_cancel *cancel, struct kd_error *err)
{
	struct kd_poll poll;
	struct kd_wait_fd fd;
	enum kd_status s;

	kd_transport_poll(t, &poll);
	if (poll.is_ready)
		return KD_OK;
	fd = (struct kd_wait_fd){ .fd = poll.fd,
				  .want_read = poll.want_read,
				  .want_write = poll.want_write };
	s = kd_wait(&fd, 1, KD_MIN(deadline, poll.deadline), cancel, err);
	return s == KD_E_TIMEOUT && poll.deadline < deadline ? KD_OK : s;
}

/* --- opening --- */

/* Wait for a connection that is on its way. While a transport is not up, read brings no bytes. */
static enum kd_status settle(struct kd_transport *t, const struct kd_open_options *o,
			     struct kd_error *err)
{
	uint64_t deadline = kd_deadline_after_ms(kd__connect_timeout_ms(o));
	const struct kd_cancel *cancel = o ? o->cancel : NULL;
	enum kd_status s = KD_OK;
	uint8_t byte;
	size_t n;

	while (!t->info.is_up && !t->info.is_listening) {
		s = kd_transport_wait(t, deadline, cancel, err);
		if (s == KD_E_TIMEOUT)
			return kd_error_set(err, s, 0, "%s: no connection within %u ms", t->name,
					    kd__connect_timeout_ms(o));
		if (s != KD_OK)
			return s;
		s = kd_transport_read(t, &byte, 1, &n, err);
		if (s != KD_E_AGAIN)
			return s;
	}
	return KD_OK;
}

/* Nobody there yet, as opposed to an endpoint that can never work. */
static bool is_absence(enum kd_status s)
{
	return s == KD_E_NOT_FOUND || s == KD_E_CLOSED || s == KD_E_TIMEOUT || s == KD_E_IO;
}

static enum kd_status connect_first(struct kd_transport *t, const struct kd_endpoint *ep,
				    const struct kd_open_options *o, struct kd_error *err)
{
	struct kd_error why;
	enum kd_status s = t->ops->connect(t, &why);

	if (s == KD_OK)
		s = settle(t, o, &why);
	if (is_absence(s) && ep->reconnect && o && o->may_be_absent) {
		kd__transport_note_trouble(t, &why);
		return KD_OK;
	}
	if (s != KD_OK && err)
		*err = why;
	return s;
}

/* The transports that hold others take `t` over whether they succeed or not. */
static enum kd_status stack_up(struct kd_transport *t, const struct kd_endpoint *ep,
			       const struct kd_open_options *o, struct kd_transport **t_ret,
			       struct kd_error *err)
{
	enum kd_status s = KD_OK;

	if (ep->reconnect)
		s = kd_transport_reconnect_create(t, &t, err);
	if (s == KD_OK && o && o->record_path && ep->kind == KD_ENDPOINT_REPLAY &&
	    kd__is_same_file(ep->path, o->record_path)) {
		kd_transport_destroy(t);
		return kd_error_set(err, KD_E_EXISTS, 0,
				    "%.160s is played back: record to another file",
				    o->record_path);
	}
	if (s == KD_OK && o && o->record_path)
		s = kd_transport_tap_create(t, o->record_path, &t, err);
	if (s == KD_OK)
		*t_ret = t;
	return s;
}

enum kd_status kd_transport_open(const struct kd_endpoint *ep,
				 const struct kd_open_options *options, struct kd_transport **t_ret,
				 struct kd_error *err)
{
	struct kd__endpoint_lock *lock = NULL;
	const struct kd__scheme *scheme = kd__schemes;
	struct kd_transport *t = NULL;
	enum kd_status s = KD_OK;

	while (scheme->kind != ep->kind || !scheme->create)
		scheme++;
	/* A UDP port is its own lock; a proxy's says where to go instead. */
	if (options ? !options->no_lock && (ep->kind != KD_ENDPOINT_NET || options->instead)
		    : ep->kind != KD_ENDPOINT_NET)
		s = kd__endpoint_lock_take(ep, &lock, err);
	if (s != KD_OK)
		return s;
	if (options && options->instead)
		kd__endpoint_lock_offer(lock, options->instead);
	s = scheme->create(ep, options, &t, err);
	if (s != KD_OK) {
		kd__endpoint_lock_release(lock);
		return s;
	}
	t->lock = lock;
	s = connect_first(t, ep, options, err);
	if (s != KD_OK) {
		kd_transport_destroy(t);
		return s;
	}
	return stack_up(t, ep, options, t_ret, err);
}

enum kd_status kd_transport_open_text(const char *endpoint, const struct kd_open_options *options,
				      struct kd_transport **t_ret, struct kd_error *err)
{
	struct kd_endpoint ep;
	enum kd_status s = kd_endpoint_parse(endpoint, &ep, err);

	return s == KD_OK ? kd_transport_open(&ep, options, t_ret, err) : s;
}
