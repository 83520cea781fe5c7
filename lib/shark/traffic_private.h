/* SPDX-License-Identifier: MIT */
/*
 * Inside of kd_traffic: which file does what, and what they share.
 *
 *   traffic.c          life: finding the driver, beginning, ending
 *   traffic_memory.c   the driver's memory: the VM's RAM, or KD at stops
 *   traffic_thread.c   the thread: records in, signs of life, when to sleep
 *   traffic_stops.c    what is done instead where no memory is shared
 *   traffic_hear.c     what a record of the driver means
 *   traffic_tables.c   flows and items
 *   traffic_orders.c   what we tell the driver
 *   traffic_show.c     streams, and the last minutes in memory
 *   traffic_events.c   what the user of the API is told
 *   traffic_api.c      the questions and commands of openkd/traffic.h
 *
 * One mutex for everything; held for microseconds, never while somebody else's code runs.
 */
#ifndef KD_LIB_SHARK_TRAFFIC_PRIVATE_H
#define KD_LIB_SHARK_TRAFFIC_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <openkd/sys/guest_pages.h>
#include <openkd/traffic.h>

#include "core/probe/probe_filter.h"
#include "core/probe/probe_host.h"
#include "lib/base.h"
#include "lib/shark/conversation.h"
#include "lib/shark/history.h"
#include "lib/shark/packet_stream.h"

/* What a hostile or busy guest can make us keep. */
enum {
	KD__FLOWS_MAX = 16384, /* open ones */
	KD__CLOSED_MAX = 256,  /* remembered */
	KD__ITEMS_MAX = 65536,
	KD__ITEM_BYTES_MAX = 128 * 1024 * 1024,
	KD__EVENTS_MAX = 4096,
	KD__ORDER_BYTES_MAX = 16 * 1024 * 1024,
	KD__HISTORY_MAX = 64 * 1024 * 1024,
	KD__HOOKS_MAX = 16,
	KD__WAITS = 1024, /* of which the median is told */
	KD__BUCKETS = 4096,
	KD__BY_SIZE = 80,
};

struct kd__item {
	uint64_t id, time_ns;
	struct kd__flow *flow;
	uint16_t flags; /* KD_PROBE_* */
	uint32_t pid;
	uint8_t *bytes; /* that came */
	size_t size;
	uint8_t *edited; /* what goes on instead; NULL: the bytes */
	size_t edited_size;
	bool is_edited;
	bool is_held;      /* waits for a verdict: else for the driver's word that it went on */
	bool is_confirmed; /* told again since the last sync began */
	bool is_injected;
	char by[KD__BY_SIZE];
	struct kd__item *in_bucket;
	struct kd__item *next, *previous; /* by age */
};

struct kd__flow {
	struct kd_traffic_flow info;
	struct kd__conversation *conversation;
	bool is_mirrored; /* the other end of a conversation within the guest */
	bool is_confirmed;
	struct kd__flow *in_bucket;
	struct kd__flow *next, *previous; /* by age */
};

struct kd__order {
	struct kd__order *next;
	uint16_t type;
	uint64_t flow, item;
	size_t size;
	uint8_t bytes[];
};

struct kd_traffic {
	struct kd_session *session;
	struct kd_traffic_options options;
	enum kd_traffic_channel channel;
	char name[128];                      /* of the target */
	uint64_t directory, inspect, inject; /* addresses in the target */

	pthread_mutex_t mutex;
	/* inside it, or alone: beats, and what must not happen between two of them */
	pthread_mutex_t life;
	pthread_cond_t answered; /* the driver spoke about a filter */
	pthread_t thread, pulse;
	bool has_thread, has_pulse;
	atomic_bool is_stopping;

	/* the driver's memory */
	struct kd_guest_pages *pages; /* NULL: through KD, at stops */
	uint64_t memory_address;
	uint32_t memory_size;
	int breakpoint; /* at NetprobeInspect; -1: none */
	bool is_exchanging;
	uint64_t counters[KD_PROBE_N_COUNTERS]; /* as they were last seen */
	struct kd_ring_memory memory;
	bool has_failed; /* an access did */
	struct kd_error failure;
	struct kd_probe_host host;
	uint8_t *buffer;
	uint32_t nonce;
	uint64_t beat_ns, listened_ns, heard_ns, checked_ns, busy_ns;
	uint32_t guest_beat;
	unsigned unheard; /* its beats in a row without our nonce */
	bool is_ended;    /* nothing is read any more */

	/* what we want of it */
	struct kd_probe_filter filter;
	enum kd_traffic_mode mode;
	struct kd__order *first_order, *last_order;
	size_t order_bytes;
	uint32_t answered_generation, answered_fault, answered_where;
	uint64_t next_cookie;

	/* flows and items */
	struct kd__flow *first_flow, *last_flow, *flows[KD__BUCKETS];
	size_t n_open, n_closed;
	struct kd__item *first_item, *last_item, *items[KD__BUCKETS];
	size_t n_items, item_bytes, n_held;
	bool is_syncing;

	uint64_t waits[KD__WAITS]; /* of items that we decided, ns */
	size_t n_waits;            /* all; the last ones are kept */

	/* who decides */
	struct {
		kd_traffic_hook hook;
		void *context;
	} hooks[KD__HOOKS_MAX];
	size_t n_hooks;
	uint64_t *asked; /* ids of items that hooks have not seen */
	size_t n_asked, asked_room;
	bool is_in_hook;
	pthread_cond_t hook_done;

	/* who looks at payloads as they come; called under the mutex */
	struct {
		void (*tap)(void *context, const struct kd__entry *entry);
		void *context;
	} taps[KD__FILTERS_MAX];

	/* who is shown */
	struct kd__packet_stream *streams[KD__STREAMS_MAX]; /* by slot */
	unsigned stream_ids[KD__STREAMS_MAX], next_stream;  /* never given twice */
	uint64_t lost;                                      /* items since the last entry */
	uint64_t stream_packets, stream_left_out;           /* of streams that are gone */
	struct kd__history *history;

	/* events */
	int event_fd;
	struct kd_traffic_event *events;
	size_t first_event, n_events;
	bool events_were_lost;
};

static inline uint64_t kd__unix_ns(uint64_t guest_time)
{
	const uint64_t unix_epoch = UINT64_C(116444736000000000);

	return guest_time > unix_epoch ? (guest_time - unix_epoch) * 100 : 0;
}

/* --- traffic.c --- */
/* Without a driver yet. NULL: no memory. */
struct kd_traffic *kd__traffic_create(struct kd_error *err);
void kd__traffic_destroy(struct kd_traffic *t);
/* Attach to the driver's memory (again). */
enum kd_status kd__traffic_attach(struct kd_traffic *t, struct kd_error *err);

/* --- traffic_memory.c --- */
/* Find the driver and the way to its memory. The target is stopped. */
enum kd_status kd__traffic_open(struct kd_traffic *t, struct kd_error *err);
/* Is it to be had just now? At stops it is. */
bool kd__traffic_is_reachable(const struct kd_traffic *t);
/* Why an access failed (has_failed). */
enum kd_status kd__traffic_failure(const struct kd_traffic *t, struct kd_error *err);

/* --- traffic_stops.c --- */
enum kd_status kd__stops_begin(struct kd_traffic *t, struct kd_error *err);
void kd__stops_end(struct kd_traffic *t);
/* Orders that wait although the target runs: stop it for them. Without the mutex. */
enum kd_status kd__stops_deliver(struct kd_traffic *t, struct kd_error *err);

/* --- traffic_thread.c --- */
/* Ask the hooks about what came with the last step. Without the mutex. */
void kd__traffic_ask_hooks(struct kd_traffic *t);
void *kd__traffic_thread(void *traffic);
void *kd__traffic_pulse(void *traffic);
/* Read what is there, once; true: there was something. Under the mutex. */
bool kd__traffic_step(struct kd_traffic *t);
/* Is the guest's memory as we left it? If not: attached again, or ended. Under the mutex. */
void kd__traffic_check(struct kd_traffic *t);
/* Nothing comes any more. */
void kd__traffic_end(struct kd_traffic *t, const char *why);

/* --- traffic_hear.c --- */
void kd__traffic_hear(struct kd_traffic *t, const struct kd_probe_w_record *record,
		      const uint8_t *payload);
/*
 * The guest is at another time, or its driver another one: flows and items of the same name are
 * others now. All end here.
 */
void kd__traffic_forget(struct kd_traffic *t);

/* --- traffic_tables.c --- */
struct kd__flow *kd__flow_find(const struct kd_traffic *t, uint64_t id);
/* NULL: no memory, or too many. */
struct kd__flow *kd__flow_add(struct kd_traffic *t, uint64_t id, const struct kd_probe_facts *facts,
			      uint64_t time_ns);
void kd__flow_close(struct kd_traffic *t, struct kd__flow *flow);
void kd__flows_free(struct kd_traffic *t);
struct kd__item *kd__item_find(const struct kd_traffic *t, uint64_t id);
/* A copy of the bytes is kept. NULL: no memory, or too many. */
struct kd__item *kd__item_add(struct kd_traffic *t, struct kd__flow *flow, uint64_t id,
			      const uint8_t *bytes, size_t size);
void kd__item_remove(struct kd_traffic *t, struct kd__item *item);
void kd__item_set_held(struct kd_traffic *t, struct kd__item *item, bool is_held);
/* For the user of the API. False: no memory. */
bool kd__item_copy(const struct kd__item *item, struct kd_traffic_item *ret);
/* What goes on if it passes. */
const uint8_t *kd__item_bytes(const struct kd__item *item, size_t *size_ret);

/* --- traffic_orders.c --- */
/* KD_E_FULL: too much is on its way. KD_E_CLOSED: the driver is gone. */
enum kd_status kd__traffic_order(struct kd_traffic *t, uint16_t type, uint64_t flow, uint64_t item,
				 const uint8_t *head, size_t head_size, const uint8_t *bytes,
				 size_t size, struct kd_error *err);
/* As many of those that wait as there is room for. */
void kd__traffic_send_orders(struct kd_traffic *t);
void kd__traffic_drop_orders(struct kd_traffic *t);
enum kd_status kd__traffic_order_policy(struct kd_traffic *t, struct kd_error *err);
enum kd_status kd__traffic_order_filter(struct kd_traffic *t, struct kd_error *err);
enum kd_status kd__traffic_order_verdict(struct kd_traffic *t, struct kd__item *item,
					 enum kd_verdict verdict, const char *by,
					 struct kd_error *err);

/* --- traffic_show.c --- */
/* To all streams and into the history. */
void kd__traffic_show(struct kd_traffic *t, struct kd__entry *entry);
/* In a new stream every conversation begins anew. */
void kd__traffic_reset_slot(struct kd_traffic *t, unsigned slot);
void kd__traffic_flush(struct kd_traffic *t);
void kd__traffic_close_streams(struct kd_traffic *t);

/* --- traffic_events.c --- */
void kd__traffic_event(struct kd_traffic *t, enum kd_traffic_event_kind kind, uint64_t flow,
		       uint64_t item, const char *fmt, ...) KD_PRINTF(5, 6);

#endif
