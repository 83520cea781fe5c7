/* SPDX-License-Identifier: MIT */
/*
 * KDNET over real sockets: the debugger's end. A port is one UDP socket; each host on it is one
 * target, told apart from the others by its key. What a target says comes as events of
 * core/net/net.h, those of its link among them.
 *
 *     kd_net_host_open(&endpoint, ..., &host, err);
 *     for (;;) {
 *             s = kd_net_host_run(host, deadline, cancel, &event, err);
 *             ... KD_OK: an event; KD_E_TIMEOUT, KD_E_CANCELLED; KD_E_IO: the socket is gone
 *             kd_net_host_send(host, ...);
 *     }
 *
 * Callers that wait for other things too use kd_net_host_poll() and kd_net_host_next(). Nothing but
 * kd_net_host_run() waits. A port and all its hosts belong to one thread at a time.
 */
#ifndef KD_LIB_IO_NET_PORT_H
#define KD_LIB_IO_NET_PORT_H

#include "core/net/net.h"
#include "lib/base.h"
#include "lib/io/endpoint.h"
#include "lib/io/transport.h"
#include "lib/wait.h"

enum { KD_NET_HOSTS_MAX = 64 };

struct kd_net_port;
struct kd_net_host;

/* --- ports --- */

/*
 * `bind_to`: a numeric address of this machine, "" for all. Port 0: any. KD_E_EXISTS: the port is
 * in use; KD_E_DENIED, KD_E_NOT_FOUND, KD_E_SYNTAX (address), KD_E_IO, KD_E_NO_MEMORY.
 */
enum kd_status kd_net_port_open(const char *bind_to, uint16_t port, struct kd_net_port **port_ret,
				struct kd_error *err);
/* After its hosts. NULL is fine. */
void kd_net_port_close(struct kd_net_port *p);

/* The number of the UDP port. */
uint16_t kd_net_port_number(const struct kd_net_port *p);

/* Told of each KD packet that passes, for recordings; NULL: nobody. Must not call the host. */
typedef void kd_net_tap_fn(void *context, bool is_to_target, const uint8_t *packet, size_t size);

/*
 * A target with this key. KD_E_EXISTS: the port has one with the same key; KD_E_FULL: more than
 * KD_NET_HOSTS_MAX; KD_E_UNSUPPORTED: no primitives; KD_E_NO_MEMORY.
 */
enum kd_status kd_net_port_add(struct kd_net_port *p, const struct kd_net_keys *keys,
			       struct kd_net_host **host_ret, struct kd_error *err);

/* --- hosts --- */

/*
 * What a `net:` endpoint names: a port of its own, and the target on it. Errors of both above;
 * KD_E_INVALID: another kind of endpoint.
 */
enum kd_status kd_net_host_open(const struct kd_endpoint *ep, struct kd_net_host **host_ret,
				struct kd_error *err);
/* And its port, if kd_net_host_open() made it. Wipes the keys. NULL is fine. */
void kd_net_host_close(struct kd_net_host *h);

void kd_net_host_set_tap(struct kd_net_host *h, kd_net_tap_fn *tap, void *context);

/* What to wait for before kd_net_host_next() is worth calling. */
void kd_net_host_poll(const struct kd_net_host *h, struct kd_poll *ret);

/*
 * Take what has arrived for this and the other hosts of the port, serve time-outs, send what can be
 * sent, and the next event. Does not wait.
 * KD_OK: *event_ret; its payload is valid until the next call with this host; KD_E_AGAIN: none;
 * KD_E_IO: the socket is unusable (say so; close the host).
 */
enum kd_status kd_net_host_next(struct kd_net_host *h, struct kd_net_event *event_ret,
				struct kd_error *err);

/*
 * The same, and waits for an event until `deadline` (monotonic ns, KD_TIME_NEVER). `cancel` may be
 * NULL. KD_OK; KD_E_TIMEOUT; KD_E_CANCELLED; KD_E_IO.
 */
enum kd_status kd_net_host_run(struct kd_net_host *h, uint64_t deadline,
			       const struct kd_cancel *cancel, struct kd_net_event *event_ret,
			       struct kd_error *err);

/* As kd_net_link_send(), sent at once if there is a session. KD_E_BUSY, KD_E_TOO_BIG. */
enum kd_status kd_net_host_send(struct kd_net_host *h, uint16_t type, const uint8_t *header,
				size_t header_size, const uint8_t *data, size_t data_size);

/* As their namesakes of the link. A break-in before the first session waits for it. */
void kd_net_host_cancel(struct kd_net_host *h);
void kd_net_host_break_in(struct kd_net_host *h);
void kd_net_host_reset(struct kd_net_host *h);
void kd_net_host_ask_resend(struct kd_net_host *h);

/* As kd_net_restart(): take the target back from another debugger, begin anew. */
void kd_net_host_restart(struct kd_net_host *h);

bool kd_net_host_is_connected(const struct kd_net_host *h);
bool kd_net_host_is_busy(const struct kd_net_host *h);
bool kd_net_host_is_synced(const struct kd_net_host *h);

struct kd_net_host_counters {
	struct kd_net_counters net;
	struct kd_link_counters link;
	uint64_t not_sent;   /* datagrams that the system refused */
	uint64_t overflowed; /* datagrams that waited for the owner, and were too many */
};
void kd_net_host_counters(const struct kd_net_host *h, struct kd_net_host_counters *ret);

/*
 * One line for people, terminated: "net:port=50000 (connected to 192.168.2.72:51111, protocol 4)",
 * or what is in the way: nobody came, the key is another one, the target is silent, somebody else
 * has it. Never a key.
 */
void kd_net_host_describe(const struct kd_net_host *h, char *text, size_t size);

#endif
