/* SPDX-License-Identifier: MIT */
/*
 * A transport carries bytes between this machine and one peer. It frames nothing, repairs nothing
 * and never blocks after it has been opened.
 *
 * Transports chain: a recorder (transport_tap.c) or the one that connects again
 * (transport_reconnect.c) holds another one and owns it; whoever reads and writes does not know
 * what is stacked. A new transport is one file and one row in transports.c.
 *
 * Rules for implementations:
 * - read: KD_OK with 1..size bytes; KD_E_AGAIN when none are there. While the transport is not up,
 *   read drives the connection and returns KD_E_AGAIN, never bytes. KD_E_CLOSED (end of stream,
 * peer gone) and KD_E_IO: the connection is over, info.is_up is false, *err says why; every later
 * read says the same until connect() is called.
 * - write: KD_OK with 1..size bytes taken; KD_E_AGAIN: none now (also while not up): poll() wants
 * to write from then on until a write succeeds. KD_E_CLOSED, KD_E_IO: bytes can't be sent any more;
 *   what the peer sent before can still be read.
 * - poll: what to wait for before read or write are worth calling again.
 * - connect: start a connection, closing the one that was there. KD_OK: up, or on the way (read
 *   drives it); else not possible now, *err says why and calling again later is fine.
 * - destroy: accepts a transport whose connect() was never called or failed.
 */
#ifndef KD_LIB_IO_TRANSPORT_H
#define KD_LIB_IO_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/io/endpoint.h"

struct kd_cancel;
struct kd_transport;
struct kd__endpoint_lock;

struct kd_poll {
	int fd; /* -1: no descriptor to wait on */
	bool want_read, want_write;
	bool is_ready;     /* don't wait: a read would return bytes or a final status now */
	uint64_t deadline; /* call read at this time (monotonic ns); KD_TIME_NEVER: no such time */
};

struct kd_transport_ops {
	const char *scheme; /* "unix", "tap": for messages */
	enum kd_status (*connect)(struct kd_transport *t, struct kd_error *err);
	enum kd_status (*read)(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
			       struct kd_error *err);
	enum kd_status (*write)(struct kd_transport *t, const uint8_t *buf, size_t size,
				size_t *n_ret, struct kd_error *err);
	void (*poll)(const struct kd_transport *t, struct kd_poll *ret);
	void (*destroy)(struct kd_transport *t);
};

/* What the layers above need to know about the line. */
struct kd_transport_info {
	bool is_serial_line;  /* bytes take their time: longer time-outs (kd_link_config_init) */
	bool is_vm_socket;    /* unix or tcp: the UART behind it is an emulated one */
	bool is_listening;    /* up when somebody connects to us, not before */
	bool is_reconnecting; /* KD_E_CLOSED is not the end: go on reading */
	bool is_replay;       /* nobody is at the other end */
	bool is_up;           /* bytes can flow now */
	uint32_t baud;        /* of a serial line, else 0 */
	uint32_t max_resets;  /* while synchronising; 0: no limit (WinDbg's `resets=`) */
	uint32_t generation;  /* grows with every connection; 0: there was none yet */
	uint64_t rx_bytes, tx_bytes; /* over all connections */
};

enum { KD_TRANSPORT_NAME_SIZE = 160 };

/* First member of every implementation. */
struct kd_transport {
	const struct kd_transport_ops *ops;
	struct kd_transport_info info;
	char name[KD_TRANSPORT_NAME_SIZE]; /* canonical endpoint, cut if need be: for messages */
	char trouble[KD_ERROR_TEXT_SIZE];  /* why it is not up; "" when nothing is wrong */
	struct kd__endpoint_lock *lock;    /* owned; released by kd_transport_destroy */
};

struct kd_open_options {
	uint32_t connect_timeout_ms; /* for everything that opening waits for; 0: 5000 */
	struct kd_cancel *cancel;    /* borrowed during the call only; NULL: none */
	const char *record_path;     /* record both directions as pcapng; NULL: no */
	bool may_be_absent;  /* an endpoint with `reconnect`: nobody there yet is no error, the
			      * transport is returned not up and keeps trying */
	const char *instead; /* where others who want this endpoint may go; NULL: nowhere */
	bool no_lock;        /* don't refuse an endpoint that another debugger holds */
};

/*
 * Open what an endpoint names. NULL options: all defaults.
 *
 * KD_OK: *t_ret is up, or listening, or (may_be_absent) trying;
 * KD_E_NOT_FOUND: no such path, host or device; KD_E_DENIED; KD_E_CLOSED: nobody listens there;
 * KD_E_EXISTS: another process has it (named in *err), or the address is taken;
 * KD_E_TIMEOUT, KD_E_CANCELLED; KD_E_UNSUPPORTED: comes with a later part; KD_E_IO;
 * KD_E_MALFORMED: replay of a file that is no recording.
 * *err says what to do about it.
 */
enum kd_status kd_transport_open(const struct kd_endpoint *ep,
				 const struct kd_open_options *options, struct kd_transport **t_ret,
				 struct kd_error *err);

/* kd_endpoint_parse() and kd_transport_open(). */
enum kd_status kd_transport_open_text(const char *endpoint, const struct kd_open_options *options,
				      struct kd_transport **t_ret, struct kd_error *err);

/* Closes everything the transport holds, those below it too. NULL is fine. */
void kd_transport_destroy(struct kd_transport *t);
void kd_transport_destroyp(struct kd_transport **t);

/* See the rules above for these. */
enum kd_status kd_transport_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
				 struct kd_error *err);
enum kd_status kd_transport_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				  size_t *n_ret, struct kd_error *err);
void kd_transport_poll(const struct kd_transport *t, struct kd_poll *ret);

/* Live values, valid as long as the transport. */
const struct kd_transport_info *kd_transport_info(const struct kd_transport *t);

/*
 * One line for people: "unix:/tmp/win.sock (connected)", or what is in the way. `text` is always
 * terminated.
 */
void kd_transport_describe(const struct kd_transport *t, char *text, size_t size);

/*
 * Wait until reading or writing is worth trying, at most until `deadline`. KD_OK; KD_E_TIMEOUT;
 * KD_E_CANCELLED.
 */
enum kd_status kd_transport_wait(const struct kd_transport *t, uint64_t deadline,
				 const struct kd_cancel *cancel, struct kd_error *err);

/* --- transports that hold another one; they own `inner` from the call on, also when it fails ---
 */

/* Connects again when the connection ends: after 100 ms, then slower, at most once a second. */
enum kd_status kd_transport_reconnect_create(struct kd_transport *inner,
					     struct kd_transport **t_ret, struct kd_error *err);

/* Records both directions to a file or FIFO: docs/recording-format.md. */
enum kd_status kd_transport_tap_create(struct kd_transport *inner, const char *path,
				       struct kd_transport **t_ret, struct kd_error *err);

/*
 * How the recording of a tap fares. KD_OK: it goes on; KD_E_NOT_FOUND: `t` is no tap; else it ended
 * early and why (disk full, reader of the FIFO gone); the session goes on.
 */
enum kd_status kd_transport_tap_status(const struct kd_transport *t, struct kd_error *err);

/*
 * Put bytes into the recording that took another road than the transport. Nothing happens when `t`
 * is no tap.
 */
void kd_transport_tap_note(struct kd_transport *t, bool is_out, const uint8_t *data, size_t size);

/*
 * Complete the recording and put it in its place; the transport goes on without one. KD_E_EXISTS:
 * nothing came from the target, and what was there before stays. Destroying a tap does the same,
 * but can't tell a failure.
 */
enum kd_status kd_transport_tap_finish(struct kd_transport *t, struct kd_error *err);

/* --- replays (transport_replay.c) --- */

struct kd_replay_counters {
	uint64_t expected;         /* data packets debugger -> target in the part that was played */
	uint64_t written;          /* data packets that were written, repetitions not counted */
	uint64_t equal;            /* of those: as recorded; written - equal differ */
	uint64_t first_difference; /* offset in the file of the first one that was not; 0: none */
	uint64_t waits_given_up;   /* a break-in or RESET was recorded and not written in time */
	bool at_end;               /* everything was played */
};

/*
 * What was written against what was recorded. KD_E_NOT_FOUND: `t` is no replay.
 * Packets are compared in order, without ids; `is_equal` decides when it was set.
 */
enum kd_status kd_transport_replay_counters(const struct kd_transport *t,
					    struct kd_replay_counters *ret);

typedef bool kd_replay_is_equal(void *context, uint16_t packet_type, const uint8_t *recorded,
				size_t recorded_size, const uint8_t *written, size_t written_size);

/* NULL: equal bytes. KD_E_NOT_FOUND: `t` is no replay. */
enum kd_status kd_transport_replay_set_compare(struct kd_transport *t, kd_replay_is_equal *is_equal,
					       void *context);

struct kd_net_host;

/* The KDNET target of a net: transport (lib/io/net_port.h), owned by it; NULL: it is another kind.
 */
struct kd_net_host *kd_transport_net_host(struct kd_transport *t);

/* Any stream socket or other descriptor that poll() knows; owned from the call on. For tests. */
enum kd_status kd_transport_fd_create(int fd, const char *name, struct kd_transport **t_ret,
				      struct kd_error *err);

#endif
