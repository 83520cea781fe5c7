/* SPDX-License-Identifier: MIT */
/*
 * The driver's half of traffic instrumentation that knows no operating system: flows, what is shown
 * and held of them, verdicts, limits, and what happens when the debugger is gone. The driver brings
 * memory, time and a lock, and does what kd_probe_next_work() says.
 *
 * A payload on its way:
 *
 *   kd_probe_look() ---> NOTHING      let it pass
 *                  ---> COPY          kd_probe_show_begin/_end() around the copy; let it pass
 *                  ---> ITEM          kd_probe_submit(): let it pass, or it is ours and goes on
 * later
 *                  ---> DEFER         not now; kd_probe_next_work() tells when
 *
 *   WAITING --verdict, time, limits, silence--> DECIDED --at the head of its lane--> work --> done
 *
 * Each direction of a flow is a lane: first in, first out, whatever the order of the verdicts. The
 * moment one payload of a stream is held, all that follow in its lane go through the queue for the
 * rest of the flow's life (the Filtering Platform's contract); datagrams only while something
 * waits.
 *
 * Fail open: who holds traffic (the host) must be heard from. When it is silent for too long,
 * leaves, or the ring is full, everything goes on unchanged, in order, and is counted.
 *
 * Times are in units of 100 ns, any steady clock that also dates the records. No function blocks,
 * allocates, or calls back. All calls are made under the driver's one lock, except where it is
 * said.
 */
#ifndef KD_CORE_PROBE_PROBE_GUEST_H
#define KD_CORE_PROBE_PROBE_GUEST_H

#include "core/probe/probe_filter.h"

struct kd_probe_flow;

/* A payload in the driver's memory, given to kd_probe_submit(), got back with its work. */
struct kd_probe_item {
	/* the driver's, before submitting */
	uint8_t *data;
	uint32_t size;  /* at most KD_PROBE_BYTES_MAX; 0 for FIN */
	uint16_t flags; /* KD_PROBE_INBOUND, FIN, PUSH, URGENT, NODELAY, DATAGRAM */
	uint32_t pid, tid;
	bool must_queue; /* it can't pass by itself: it came together with others */
	/* the probe's */
	uint8_t verdict; /* 0: none yet */
	uint8_t by;
	bool is_told; /* this host knows of it */
	uint64_t id;
	uint64_t since;
	struct kd_probe_item *replacement; /* whose bytes go on instead; the driver's to free */
	struct kd_probe_flow *flow;
	struct kd_probe_item *next;          /* in its lane */
	struct kd_probe_item *older, *newer; /* among those that wait */
	struct kd_probe_item *in_bucket;     /* the same, by id */
};

/* What the host is told about an item when its time has come. */
struct kd_probe_outcome {
	uint64_t id;
	uint32_t pid, original_size, size;
	uint16_t flags;
	uint8_t verdict, by;
	bool is_told;
};

struct kd_probe_lane {
	struct kd_probe_item *first, *last;
	uint32_t queued; /* bytes in it */
	uint32_t sent;   /* bytes given to the driver and not done yet */
	bool is_out_of_band;
	bool is_deferred;
	bool has_ended; /* its FIN came, from the program or the host, and was not dropped */
	struct kd_probe_wish wish;
	uint64_t bytes; /* all that came */
};

/* The driver's memory, from kd_probe_flow_open() to kd_probe_flow_close() and its last work. */
struct kd_probe_flow {
	uint64_t id;
	struct kd_probe_facts facts; /* `path` points to the driver's memory */
	uint8_t mode;                /* enum kd_probe_flow_mode */
	uint8_t action;
	bool is_told, is_open, is_ready, must_reset;
	bool has_untold; /* perhaps: things that wait and that this host does not know of */
	uint32_t wish_epoch;
	struct kd_probe_lane lanes[2]; /* enum kd_probe_direction */
	struct kd_probe_flow *next, *previous, *in_bucket, *next_ready;
};

enum { KD_PROBE_BUCKETS = 256, KD_PROBE_WAIT_BUCKETS = 2048 };

struct kd_probe {
	uint8_t *memory; /* the control page and what follows */
	struct kd_probe_shape shape;
	uint32_t up_head, down_tail;
	uint64_t next_flow, next_item;
	struct kd_probe_w_policy policy;
	struct kd_probe_filter filter;
	uint32_t epoch; /* changes with filter and policy */
	/* the host */
	uint32_t nonce, beat;
	uint8_t host_state;
	bool is_host_alive, is_broken; /* its indices make no sense: until the next nonce */
	uint64_t last_tick, silence;
	/* announcing */
	bool must_sync, is_syncing;
	bool is_ending;     /* no new flows either: the driver looks */
	bool must_continue; /* a CONTINUE came too early: at the next tick */
	struct kd_probe_flow *sync_at;
	uint64_t lost_items, lost_bytes;
	/* flows and what waits */
	struct kd_probe_flow *first_flow, *last_flow, *buckets[KD_PROBE_BUCKETS];
	struct kd_probe_flow *first_ready, *last_ready;
	struct kd_probe_item *oldest, *newest, *waiting[KD_PROBE_WAIT_BUCKETS];
	uint32_t n_items; /* in all lanes */
	uint32_t held;    /* bytes in all lanes */
	uint64_t counters[KD_PROBE_N_COUNTERS];
};

/*
 * The driver will be unloaded: no host is listened to any more, all that is held goes on, nothing
 * new is held. When nothing is on its way any more, contexts can be taken away without harm.
 */
void kd_probe_begin_end(struct kd_probe *p);
bool kd_probe_is_drained(const struct kd_probe *p);

/*
 * Prepare `p` and the memory, whose `shape` the driver chose (`boot` in it differs from start to
 * start). The page's magic is written last.
 */
void kd_probe_init(struct kd_probe *p, void *memory, const struct kd_probe_shape *shape,
		   uint8_t pointer_size);
/* Take the magic away: hosts see that nobody is there. */
void kd_probe_deinit(struct kd_probe *p);

/* --- flows --- */

/* `facts` is copied; its path stays the driver's and must live as long as the flow. */
void kd_probe_flow_open(struct kd_probe *p, struct kd_probe_flow *flow,
			const struct kd_probe_facts *facts, uint64_t now);

/*
 * The flow is over. Returns what was queued, linked by `next`: the driver frees it. Works of the
 * flow that are under way are still to be reported.
 */
struct kd_probe_item *kd_probe_flow_close(struct kd_probe *p, struct kd_probe_flow *flow,
					  enum kd_probe_close reason, uint64_t now);

/* --- payloads --- */

enum kd_probe_need { KD_PROBE_NOTHING, KD_PROBE_COPY, KD_PROBE_ITEM, KD_PROBE_DEFER };

/* What the driver shall do with `size` bytes that came. Longer ones are cut first. */
enum kd_probe_need kd_probe_look(struct kd_probe *p, struct kd_probe_flow *flow,
				 enum kd_probe_direction direction, uint32_t size);

/*
 * True after kd_probe_look(): more of this direction is queued than it should be, and whoever sends
 * can be slowed only by not taking his bytes off his hands.
 */
bool kd_probe_is_crowded(const struct kd_probe *p, const struct kd_probe_flow *flow,
			 enum kd_probe_direction direction);

/*
 * Where the bytes of a payload that is only shown go: straight into the ring. NULL: no room,
 * counted. After _begin and the copy comes _end, under the same lock; `like` has flags, size, pid
 * and tid filled in.
 */
uint8_t *kd_probe_show_begin(struct kd_probe *p, struct kd_probe_flow *flow, uint32_t size,
			     uint64_t now);
void kd_probe_show_end(struct kd_probe *p, struct kd_probe_flow *flow,
		       const struct kd_probe_item *like, uint64_t now);

/*
 * A payload that may be held. True: it is the probe's until its work; absorb it. False: let it
 * pass, the item stays the driver's.
 */
bool kd_probe_submit(struct kd_probe *p, struct kd_probe_flow *flow, struct kd_probe_item *item,
		     uint64_t now);

/*
 * The connection was reset. Returns what was queued, for the driver to free. The indication
 * passes.
 */
struct kd_probe_item *kd_probe_aborted(struct kd_probe *p, struct kd_probe_flow *flow,
				       enum kd_probe_direction direction, uint64_t now);

/* --- the host's records --- */

/*
 * There is something to take, or another host: kd_probe_tick() and kd_probe_take() before a payload
 * is looked at, so that the first one after an order is treated as ordered. Needs no lock.
 */
bool kd_probe_has_orders(const struct kd_probe *p);

/*
 * Copy the next record out of the ring.
 * `payload` has room for KD_PROBE_PAYLOAD_MAX bytes. KD_OK; KD_E_AGAIN: none; KD_E_MALFORMED: the
 * ring is nonsense, and stays so until another host comes.
 */
enum kd_status kd_probe_take(struct kd_probe *p, struct kd_probe_w_record *ret, uint8_t *payload);

/* How large an item kd_probe_apply() needs for this record. False: none. */
bool kd_probe_needs_spare(const struct kd_probe_w_record *record, const uint8_t *payload,
			  uint32_t *size_ret);

/*
 * Do what a record says. *spare is an item whose `data` has room for what needs_spare() said, or
 * NULL (then the verdict or injection is refused and counted); it is NULL afterwards when it was
 * used.
 */
void kd_probe_apply(struct kd_probe *p, const struct kd_probe_w_record *record,
		    const uint8_t *payload, struct kd_probe_item **spare, uint64_t now);

/* --- time and work --- */

/* Look at the host, at limits and times; publish counters. Call often while something waits. */
void kd_probe_tick(struct kd_probe *p, uint64_t now);

/*
 * While the guest stands in a stub, a host says that it lives: its beat before the call and after
 * it differ, or nobody was there.
 */
uint32_t kd_probe_stub_begin(const struct kd_probe *p);
void kd_probe_stub_end(struct kd_probe *p, uint32_t beat_before, uint64_t now);

/* The driver ends, or knows better: as if the host had left. */
void kd_probe_host_is_gone(struct kd_probe *p);

/* Records wait for the host. */
bool kd_probe_has_news(const struct kd_probe *p);
/* The stubs that the host wants called: KD_PROBE_CALL_*. */
uint32_t kd_probe_calls(const struct kd_probe *p);
/* Something waits for a verdict. */
bool kd_probe_is_holding(const struct kd_probe *p);
enum kd_probe_work_kind {
	KD_PROBE_SEND_ON,  /* reinject the item (its replacement's bytes if it has one) */
	KD_PROBE_DISCARD,  /* free the item, nothing goes on */
	KD_PROBE_CONTINUE, /* a deferred direction may go on */
	KD_PROBE_ABORT,    /* reset the connection */
};

struct kd_probe_work {
	enum kd_probe_work_kind kind;
	struct kd_probe_flow *flow; /* the driver references it under the same lock */
	enum kd_probe_direction direction;
	struct kd_probe_item *item; /* the driver's again, the host was told of it as this: */
	struct kd_probe_outcome outcome;
};

/* A decided item's bytes, or its replacement's, are sent; replaced by nothing, nothing is. */
bool kd_probe_goes_on(const struct kd_probe_item *item);

/*
 * The next thing to do, in the order of the lanes; the host is told of it. False: nothing. One
 * worker at a time.
 */
bool kd_probe_next_work(struct kd_probe *p, struct kd_probe_work *ret, uint64_t now);

/* The system refused it. */
void kd_probe_work_failed(struct kd_probe *p, const struct kd_probe_work *work, uint32_t nt_status,
			  uint64_t now);
/* The system is through with `size` bytes that it had taken over. */
void kd_probe_sent(struct kd_probe *p, struct kd_probe_flow *flow,
		   enum kd_probe_direction direction, uint32_t size);

#endif
