/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The application traffic of a target: seen, held, changed, put back. The target runs our driver,
 * netprobe.sys (docs/traffic.md); what it copies out of the guest's TCP/IP stack comes here.
 *
 * **Words.** A *flow* is a TCP connection or a pair of UDP endpoints. An *item* is one payload of
 * it: what one indication of the guest's stack carried. A held item waits for a *verdict*. A
 * *stream* is where traffic is written to, as pcapng.
 *
 * **Threads.** The object has a thread of its own, which reads the guest while it runs. All
 * functions here may be called from any thread, also while the session is used by another, except
 * kd_traffic_start() and kd_traffic_stop(), which belong to the session's thread, as does
 * everything when the channel is KD_TRAFFIC_STOPS.
 *
 * **What is held is never lost.** Whatever happens to this side, the driver lets everything go on
 * unchanged, in order, after silence_ms.
 */
#ifndef OPENKD_TRAFFIC_H
#define OPENKD_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_traffic;

/** How the driver's memory is reached. */
enum kd_traffic_channel {
	KD_TRAFFIC_AUTO,  /**< the VM's RAM where it can be written, else stops */
	KD_TRAFFIC_RAM,   /**< the VM's RAM; the guest is never stopped for it */
	KD_TRAFFIC_STOPS, /**< breakpoints at NetprobeInspect: over any KD connection */
};

enum kd_traffic_mode {
	KD_TRAFFIC_OFF,
	KD_TRAFFIC_CAPTURE,   /**< copies are taken, nothing waits */
	KD_TRAFFIC_INTERCEPT, /**< what the filter matches is held until a verdict */
};

struct kd_traffic_options {
	size_t size; /**< set by KD_TRAFFIC_OPTIONS_INIT */
	enum kd_traffic_channel channel;
	enum kd_traffic_mode mode;
	const char *filter;    /**< what is shown: kd_traffic_set_filter(); NULL: the default */
	const char *intercept; /**< what of it is held; NULL: all */
	bool fail_closed;      /**< what would pass by itself is dropped: for malware */
	uint32_t hold_ms;      /**< longest wait of an item; 0: 300000 */
	uint32_t silence_ms;   /**< the driver lets all go after so long without us; 0: 2000 */
};

#define KD_TRAFFIC_OPTIONS_INIT                                                               \
	{                                                                                     \
		sizeof(struct kd_traffic_options), KD_TRAFFIC_AUTO, KD_TRAFFIC_CAPTURE, NULL, \
			NULL, false, 0, 0                                                     \
	}

/**
 * Find the driver in the target and begin. The target is stopped for a moment if it runs and its
 * modules are not known yet: kd_session_at_stop().
 *
 * @return KD_OK; KD_E_NOT_CONNECTED: no target was heard yet, wait for KD_EVENT_CONNECTED;
 *         KD_E_NOT_FOUND: netprobe.sys is not loaded (err says how to load it);
 *         KD_E_MISMATCH: it is of another version; KD_E_EXISTS: the session has one already;
 *         KD_E_SYNTAX: a filter, err->where is the column; KD_E_UNSUPPORTED, KD_E_DENIED: with
 *         KD_TRAFFIC_RAM, why the VM's memory cannot be used.
 * @owns *traffic_ret is the caller's: kd_traffic_stop(), before the session is destroyed.
 */
enum kd_status kd_traffic_start(struct kd_session *session,
				const struct kd_traffic_options *options,
				struct kd_traffic **traffic_ret, struct kd_error *err);

/** Let everything go that is held, complete the streams, leave the driver alone. NULL is fine. */
void kd_traffic_stop(struct kd_traffic *t);

/** The channel that is used; never KD_TRAFFIC_AUTO. */
enum kd_traffic_channel kd_traffic_channel(const struct kd_traffic *t);

/* --- what is shown and held --- */

/**
 * Set both filters. Text is a tcpdump expression, optionally preceded by conditions on flows in
 * brackets: `[process=chrome* pid=123 out in loopback !loopback local=PORT[-PORT]] tcp port 80`.
 * Several brackets are alternatives. Brackets may begin with `ignore`, `show` or `hold`, which
 * decides without the expression. NULL or "": everything but the defaults below.
 *
 * Unless a bracket says otherwise, SMB (ports 137 to 139, 445) is not held, nor are broadcasts,
 * multicasts and DHCP; the debugger's own KDNET port is ignored.
 *
 * @return KD_OK: the driver accepted it; KD_E_SYNTAX: err->where is the column in the text, err
 *         says which of the two texts; KD_E_TOO_BIG: more than the driver takes; KD_E_TIMEOUT: the
 *         target stands still: the driver takes them when it runs again.
 */
enum kd_status kd_traffic_set_filter(struct kd_traffic *t, const char *filter,
				     const char *intercept, struct kd_error *err);
/** Are they filters? KD_OK, KD_E_SYNTAX or KD_E_TOO_BIG, as kd_traffic_set_filter(); no driver is
 * needed. */
enum kd_status kd_traffic_check_filter(const char *filter, const char *intercept,
				       struct kd_error *err);
/** Back to KD_TRAFFIC_CAPTURE: all that is held passes. */
enum kd_status kd_traffic_set_mode(struct kd_traffic *t, enum kd_traffic_mode mode,
				   struct kd_error *err);

/* --- state --- */

struct kd_traffic_counters {
	enum kd_traffic_mode mode;
	enum kd_traffic_channel channel;
	bool is_alive; /**< the driver was heard in the last two seconds; through stops: always */
	uint64_t flows, flows_now, items, bytes, shown, shown_bytes;
	uint64_t held, held_now, held_bytes;
	uint64_t passed, edited, dropped, reset, injected;
	uint64_t lost, lost_bytes; /**< items that the driver could not show us */
	uint64_t auto_timeout, auto_memory, auto_silence, auto_ring; /**< passed by themselves */
	uint64_t ended, late, refused, inject_errors, deferred, syncs;
	uint64_t wait_ns_median, wait_ns_p99; /**< held to released by a verdict of ours, in the
						 guest's time, over the last 1024 */
	uint64_t n_streams, stream_packets, stream_left_out; /**< the last: to slow readers */
};
void kd_traffic_counters(struct kd_traffic *t, struct kd_traffic_counters *ret);

enum kd_traffic_flow_state { KD_TRAFFIC_FLOW_OPEN, KD_TRAFFIC_FLOW_CLOSED };
enum kd_traffic_flow_mode {
	KD_TRAFFIC_FLOW_FILTERED, /**< the filter decides */
	KD_TRAFFIC_FLOW_IGNORED,
	KD_TRAFFIC_FLOW_SHOWN,
	KD_TRAFFIC_FLOW_HELD,
	KD_TRAFFIC_FLOW_RELEASED, /**< what is held passes, and so does all that comes */
};

struct kd_traffic_flow {
	uint64_t id;
	enum kd_traffic_flow_state state;
	enum kd_traffic_flow_mode mode;
	uint8_t family;   /**< 4 or 6 */
	uint8_t protocol; /**< 6 TCP, 17 UDP */
	bool is_inbound;  /**< the other side began */
	bool is_loopback;
	uint32_t pid;
	char process[64]; /**< file name of the image */
	char path[520];   /**< \device\harddiskvolume1\... */
	char local[46], remote[46];
	uint16_t local_port, remote_port;
	uint64_t bytes_out, bytes_in, items_out, items_in; /**< that we were shown */
	uint32_t held;                                     /**< items of it that wait */
	uint64_t opened_ns, last_ns;                       /**< since 1970, the guest's clock */
};

/**
 * All flows that are open, and those that closed lately (at most 256), oldest first.
 *
 * @owns *flows_ret is the caller's: free().
 */
enum kd_status kd_traffic_flows(struct kd_traffic *t, struct kd_traffic_flow **flows_ret,
				size_t *n_ret, struct kd_error *err);
/** KD_E_NOT_FOUND. */
enum kd_status kd_traffic_flow_get(struct kd_traffic *t, uint64_t id, struct kd_traffic_flow *ret,
				   struct kd_error *err);
/** KD_E_NOT_FOUND: no such flow, or it is closed. */
enum kd_status kd_traffic_set_flow_mode(struct kd_traffic *t, uint64_t flow,
					enum kd_traffic_flow_mode mode, struct kd_error *err);

/* --- items --- */

struct kd_traffic_item {
	uint64_t id, flow;
	bool is_inbound, is_datagram;
	bool is_end;  /**< FIN: no bytes, the direction ends */
	bool is_held; /**< no verdict yet */
	uint32_t pid;
	uint64_t time_ns; /**< since 1970, the guest's clock */
	size_t n_bytes;
	uint8_t *bytes; /**< what goes on if it passes: edits are in it */
	size_t original_size;
	bool is_edited;
};

/**
 * A held item by its id; 0: the one that waits longest.
 *
 * @return KD_OK; KD_E_NOT_FOUND: nothing is held (0), or it was released already (err says so).
 * @owns ret->bytes is the caller's: free().
 */
enum kd_status kd_traffic_item_get(struct kd_traffic *t, uint64_t id, struct kd_traffic_item *ret,
				   struct kd_error *err);
/** Ids of what is held, oldest first. @owns *ids_ret is the caller's: free(). */
enum kd_status kd_traffic_held(struct kd_traffic *t, uint64_t **ids_ret, size_t *n_ret,
			       struct kd_error *err);

/**
 * Change the bytes of a held item; it stays held. Passing it sends them.
 *
 * @return KD_OK; KD_E_NOT_FOUND: released already; KD_E_TOO_BIG: more than 65536 bytes, or, for a
 *         datagram, than UDP carries; KD_E_INVALID: it is the end of a stream, which has no bytes.
 */
enum kd_status kd_traffic_edit(struct kd_traffic *t, uint64_t item, const uint8_t *bytes,
			       size_t size, struct kd_error *err);

enum kd_verdict { KD_VERDICT_PASS = 1, KD_VERDICT_DROP = 2, KD_VERDICT_RESET = 4 };

/**
 * Release a held item. `by` says who decided, for the streams ("user", "mutator:NAME seed=1");
 * NULL: "user". KD_E_NOT_FOUND: released already; KD_E_INVALID: a datagram cannot be reset.
 */
enum kd_status kd_traffic_decide(struct kd_traffic *t, uint64_t item, enum kd_verdict verdict,
				 const char *by, struct kd_error *err);

/**
 * Put bytes of our own into a flow, behind what is queued in that direction. `is_end`: FIN, without
 * bytes, as the last of a TCP direction.
 *
 * @return KD_OK: on its way, the streams tell what became of it; KD_E_NOT_FOUND: no such flow, or
 *         closed; KD_E_TOO_BIG as above; KD_E_FULL: too much is on its way, try again.
 */
enum kd_status kd_traffic_inject(struct kd_traffic *t, uint64_t flow, bool inbound,
				 const uint8_t *bytes, size_t size, bool is_end,
				 struct kd_error *err);

/* --- what happened --- */

enum kd_traffic_event_kind {
	KD_TRAFFIC_EVENT_FLOW,   /**< flow: it is new */
	KD_TRAFFIC_EVENT_CLOSED, /**< flow */
	KD_TRAFFIC_EVENT_HELD,   /**< item, flow */
	KD_TRAFFIC_EVENT_DONE,   /**< item, flow: it was released, `text` says how */
	KD_TRAFFIC_EVENT_LOSS,   /**< `text`: items were not shown */
	KD_TRAFFIC_EVENT_NOTICE, /**< `text`: something the user should know */
	KD_TRAFFIC_EVENT_ENDED,  /**< `text`: the driver or the machine is gone */
};

struct kd_traffic_event {
	enum kd_traffic_event_kind kind;
	uint64_t flow, item;
	char text[160];
};

/** Readable while there are events. Of the object: don't close it. */
int kd_traffic_fd(const struct kd_traffic *t);
/** The next event; false: none. At most 4096 wait; then the oldest are left out and a notice says
 * so. */
bool kd_traffic_next_event(struct kd_traffic *t, struct kd_traffic_event *ret);

/**
 * Who decides before the user does. Called in the object's thread for each item that is held, with
 * no lock held; `item` is good during the call. It may change item->bytes (realloc()) and n_bytes,
 * and says what becomes of the item; `by` of kd_traffic_decide() goes into by_ret.
 */
enum kd_hook_answer { KD_HOOK_LEAVE, KD_HOOK_PASS, KD_HOOK_DROP, KD_HOOK_RESET };
typedef enum kd_hook_answer (*kd_traffic_hook)(void *context, struct kd_traffic_item *item,
					       const struct kd_traffic_flow *flow, char *by_ret,
					       size_t by_size);
/** Hooks are asked in the order they were added, until one does not leave the item. */
enum kd_status kd_traffic_add_hook(struct kd_traffic *t, kd_traffic_hook hook, void *context,
				   struct kd_error *err);
void kd_traffic_remove_hook(struct kd_traffic *t, kd_traffic_hook hook, void *context);

/* --- streams --- */

struct kd_stream_options {
	size_t size;          /**< set by KD_STREAM_OPTIONS_INIT */
	const char *path;     /**< file or FIFO; NULL: `fd` */
	int fd;               /**< a pipe; the object's from now on, also on failure */
	uint64_t rotate_size; /**< begin NAME-2.pcapng ... after so many bytes; 0: never */
	unsigned rotate_keep; /**< files to keep; 0: all */
};
#define KD_STREAM_OPTIONS_INIT                                   \
	{                                                        \
		sizeof(struct kd_stream_options), NULL, -1, 0, 0 \
	}

/**
 * Write all that is shown from now on to a file, a FIFO or a pipe: what really flows as packets
 * with headers of our making, what was held or dropped as a second interface. docs/traffic.md.
 *
 * @return KD_OK; KD_E_FULL: 16 already; KD_E_EXISTS: another stream writes there; KD_E_TIMEOUT:
 * nobody reads the FIFO; errors of files.
 */
enum kd_status kd_traffic_add_stream(struct kd_traffic *t, const struct kd_stream_options *options,
				     unsigned *id_ret, struct kd_error *err);
/** False: it was removed, or has ended by itself. */
bool kd_traffic_has_stream(struct kd_traffic *t, unsigned id);
/** Complete it. KD_E_NOT_FOUND: it ended by itself (its reader went away). */
enum kd_status kd_traffic_remove_stream(struct kd_traffic *t, unsigned id, struct kd_error *err);

/**
 * Write the traffic of the last minutes, which is kept in memory (at most 64 MB), to a file.
 */
enum kd_status kd_traffic_save(struct kd_traffic *t, const char *path, struct kd_error *err);
/**
 * The same as a record that kd_mutators_replay() (openkd/mutator.h) does again: each payload of
 * each flow becomes what it was. KD_E_EXISTS: there is such a file.
 */
enum kd_status kd_traffic_save_replay(struct kd_traffic *t, const char *path, struct kd_error *err);

#ifdef __cplusplus
}
#endif

#endif
