/* SPDX-License-Identifier: MIT */
/* Inside of the transports: the table of schemes, and what those on a descriptor have in common. */
#ifndef KD_LIB_IO_TRANSPORT_PRIVATE_H
#define KD_LIB_IO_TRANSPORT_PRIVATE_H

#include "lib/io/transport.h"

/* How the text between the scheme and the first comma reads. */
enum kd__body {
	KD__BODY_PATH,          /* an absolute or relative path */
	KD__BODY_OPTIONAL_PATH, /* as before, or nothing */
	KD__BODY_HOST_PORT,     /* host:port, port not 0 */
	KD__BODY_HOST_ANY_PORT, /* host:port, port 0 for any */
	KD__BODY_NET,           /* no body: port=, key= and bind= */
	KD__BODY_WINDBG_COM,    /* no body: options only, which choose the kind */
	KD__BODY_REFUSED,       /* known, but not ours */
};

enum kd__option {
	KD__OPTION_RECONNECT = 1 << 0,
	KD__OPTION_RESETS = 1 << 1,
	KD__OPTION_BAUD = 1 << 2,
};

/* Prepares a transport without connecting: kd_transport_open() calls connect() on it. */
typedef enum kd_status kd__transport_create_fn(const struct kd_endpoint *ep,
					       const struct kd_open_options *options,
					       struct kd_transport **t_ret, struct kd_error *err);

/* One row for each scheme: the only place where a scheme is named. */
struct kd__scheme {
	const char *name;
	enum kd_endpoint_kind kind;
	enum kd__body body;
	unsigned options; /* enum kd__option */
	size_t path_max;  /* longest body, NUL excluded */
	kd__transport_create_fn *create;
	const char *text; /* KD__BODY_REFUSED: what to do instead; else an example */
	const char *help; /* for kd_endpoint_help(); NULL: not listed */
};

/* Ends with a row without a name. */
extern const struct kd__scheme kd__schemes[];

kd__transport_create_fn kd__unix_create, kd__unix_listen_create, kd__tcp_create,
	kd__tcp_listen_create, kd__serial_create, kd__pty_create, kd__replay_create, kd__net_create;

enum { KD__CONNECT_TIMEOUT_MS = 5000 };
uint32_t kd__connect_timeout_ms(const struct kd_open_options *options);

/* Allocates `size` bytes (the implementation's struct, zeroed) and fills the common part. */
struct kd_transport *kd__transport_new(size_t size, const struct kd_transport_ops *ops,
				       const struct kd_endpoint *ep);

/* *err := the status, "NAME: what: strerror(number)". For failed system calls on a transport. */
enum kd_status kd__transport_failed(const struct kd_transport *t, enum kd_status status,
				    const char *what, int number, struct kd_error *err);

/* Remember what is in the way; kd__stream_up() and kd__stream_down() forget it. */
void kd__transport_note_trouble(struct kd_transport *t, const struct kd_error *why);

/* Transports that hold another one show its properties: after each call into it. */
void kd__transport_mirror(struct kd_transport *outer, const struct kd_transport *inner);

/* What a tap records, or the transport itself. */
struct kd_transport *kd__transport_below_tap(struct kd_transport *t);

/* A KDNET session is there, or not any more. */
void kd__transport_net_up(struct kd_transport *t, bool is_up);

/* --- transports on one descriptor (stream_fd.c) --- */

struct kd__stream {
	struct kd_transport base;   /* first */
	int fd;                     /* -1: none */
	bool is_socket;             /* send() without SIGPIPE instead of write() */
	bool is_blocked;            /* the last write found no room */
	struct kd_error over;       /* status != KD_OK: how the connection ended */
	struct kd_error write_over; /* status != KD_OK: it ends when nothing is left to read */
};

/* A connection is there: info says so. Takes over `fd`. */
void kd__stream_up(struct kd__stream *s, int fd);

/* Close and forget the connection, if any; nothing to say about it afterwards. */
void kd__stream_down(struct kd__stream *s);

/* The connection is over: close it, remember *why for later reads and return its status. */
enum kd_status kd__stream_end(struct kd__stream *s, const struct kd_error *why,
			      struct kd_error *err);

/* For the ops tables. */
enum kd_status kd__stream_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
			       struct kd_error *err);
enum kd_status kd__stream_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				size_t *n_ret, struct kd_error *err);
void kd__stream_poll(const struct kd_transport *t, struct kd_poll *ret);

/* --- transports that wait for a peer (listener.c): derived from kd__stream --- */

struct kd__listener {
	struct kd__stream stream;  /* first */
	int listen_fd;             /* -1: not listening yet */
	void (*on_accept)(int fd); /* set options of a new connection; NULL: none */
};

enum kd_status kd__listener_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
				 struct kd_error *err);
void kd__listener_poll(const struct kd_transport *t, struct kd_poll *ret);

/* --- one debugger for each endpoint (endpoint_lock.c) --- */

/*
 * KD_OK: *lock_ret, or NULL for endpoints that need none; KD_E_EXISTS: another process has it, *err
 * names it. Held until released or until the process ends, however it ends.
 */
enum kd_status kd__endpoint_lock_take(const struct kd_endpoint *ep,
				      struct kd__endpoint_lock **lock_ret, struct kd_error *err);
/* Tell those who find it locked where to go instead. NULL lock: nothing. */
void kd__endpoint_lock_offer(struct kd__endpoint_lock *lock, const char *endpoint);
void kd__endpoint_lock_release(struct kd__endpoint_lock *lock);

#endif
