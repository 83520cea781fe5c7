/* SPDX-License-Identifier: MIT */
/*
 *          announcement, mapped, attached            detached by us, faulty, guest gone
 *   LINE ---------------------------------> RING ----------------------------------> LINE
 *
 * A thread keeps the pulse that the guest looks for, and notices when the memory went back in time
 * or the guest gave the ring up; everything else happens in the session's thread.
 */
#include "lib/io/carrier_ring.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/ring/ring_host.h"
#include "lib/io/ring_ear.h"
#include "lib/io/ring_pulse.h"
#include "lib/io/ring_record.h"
#include "lib/wait.h"

enum {
	SPIN_NS = 150000, /* after the last word; less, and each stop sleeps and is woken thrice */
	NAP_MS = 500,     /* asleep we look at the ring this often, whatever is heard */
	QUERY_MS = 1000,  /* between two questions where the ring is */
	QUERIES_MAX = 3,  /* on one connection: a guest that has a ring answers the first */
	DETACH_MS = 100,  /* for the guest to notice that we leave */
	PASSES_AT_LEAST = 64, /* before the deadline is looked at: it may have passed already */
	FREE_MS = 500,        /* for what is on its way on the line, before the ring is taken */
};

static const uint8_t bell = '!';

struct ring_carrier {
	struct kd_carrier base; /* first */
	struct kd_carrier *line;
	struct kd_cancel *cancel;
	struct kd_ring_mapper mapper;
	struct kd_error refusal; /* status != KD_OK: why the ring that was announced is not used */

	/* Listening for announcements. */
	struct kd_ring_ear ear;
	struct kd_ring_announcement heard; /* taken when the line is free */
	bool has_heard;
	uint64_t take_at; /* at the latest */
	uint64_t next_query;
	unsigned queries;
	uint64_t boot_nonce;    /* of the last ring; 0: none yet */
	uint64_t refused_nonce; /* of one that was nonsense; 0: none */
	bool was_asked;         /* the announcement answers a question of ours */
	bool was_heard;         /* a packet came over the line: somebody reads what we write */

	/* On the ring. */
	bool is_live;
	struct kd_ring_memory memory;
	struct kd_ring_host host;
	struct kd_ring_record record;
	uint8_t payload[KD_RING_PAYLOAD_MAX];
	uint64_t last_word; /* when either side said something */
	uint64_t spin_ns;
	bool acked, restarted, gave_up; /* events that wait */
	bool was_dropped; /* the guest left the ring, not we: it may have gone its own way */
	bool is_anew;     /* KD_E_RESET waits: nothing that was known of the guest need hold */
	/* What was said already and is said again: is_echo(). */
	unsigned echoes; /* repetitions that may still come */
	bool has_asked;  /* a request went into the ring behind the last resync */
	bool has_last;   /* the last state change: */
	uint8_t last[KD_RING_PAYLOAD_MAX];
	uint32_t last_size;
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, resyncs, breakins; /* all rings */
	uint64_t words; /* bytes on the line that were announcements and doorbells */
	struct kd_ring_record_state recording;

	struct kd_ring_pulse pulse;
};

static struct ring_carrier *of(struct kd_carrier *c)
{
	return (struct ring_carrier *)c;
}

static const struct ring_carrier *of_const(const struct kd_carrier *c)
{
	return (const struct ring_carrier *)c;
}

/* --- taking and leaving the ring --- */

static uint64_t random64(void)
{
	uint64_t value;

	if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
		value = kd_now_ns();
	return value;
}

static void add_counts(struct ring_carrier *r)
{
	r->rx_packets += r->host.rx_packets;
	r->tx_packets += r->host.tx_packets;
	r->rx_bytes += r->host.rx_bytes;
	r->tx_bytes += r->host.tx_bytes;
	r->host.rx_packets = r->host.tx_packets = r->host.rx_bytes = r->host.tx_bytes = 0;
}

static void ask_again(struct ring_carrier *r)
{
	if (kd_ring_host_resync(&r->host, &r->memory) != KD_OK)
		return;
	r->resyncs++;
	r->echoes++;
	r->has_asked = false;
	r->last_word = kd_now_ns();
}

static const char went_its_way[] =
	"the guest went back to a snapshot, or took this debugger for dead and went on";

static void begin_anew(struct ring_carrier *r, const char *why)
{
	r->is_anew = true;
	snprintf(r->base.notice, sizeof r->base.notice, "%s", why);
}

static enum kd_status attach(struct ring_carrier *r, const struct kd_ring_announcement *a,
			     struct kd_error *err)
{
	enum kd_status status = kd_ring_host_attach(&r->host, &r->memory, a->nonce, random64());

	if (status != KD_OK)
		return kd_error_set(err, status, 0,
				    "the announced ring is not there: the guest started anew, or "
				    "its memory is not what QEMU says");
	status = kd_ring_pulse_start(&r->pulse, &r->host, &r->memory, err);
	if (status != KD_OK)
		kd_ring_host_detach(&r->host, &r->memory);
	return status;
}

static enum kd_status take_ring(struct ring_carrier *r, const struct kd_ring_announcement *a,
				struct kd_error *err)
{
	enum kd_status status = r->mapper.map(r->mapper.context, a, &r->memory, err);

	if (status != KD_OK)
		return status;
	status = attach(r, a, err);
	if (status != KD_OK) {
		r->mapper.unmap(r->mapper.context);
		return status;
	}
	r->is_live = true;
	r->acked = false;
	r->echoes = 0;
	/* What is on the line and not acknowledged by now is lost there. */
	r->gave_up = kd_carrier_is_busy(r->line);
	kd_carrier_cancel(r->line);
	r->last_word = kd_now_ns();
	/* A boot that began while we listened is news; the one that we came to is not. */
	r->restarted = r->boot_nonce ? r->boot_nonce != a->nonce : !r->was_asked;
	if (r->was_dropped && !r->restarted)
		begin_anew(r, went_its_way);
	r->was_dropped = false;
	r->boot_nonce = a->nonce;
	kd__ring_record_begin(&r->recording, r->base.transport, r->restarted);
	if (r->restarted)
		r->has_last = false;
	else if (!r->was_heard)
		ask_again(r); /* it may stand and wait; else it would have told */
	return KD_OK;
}

/* The line goes on from a fresh start: so does the guest. */
static void leave_ring(struct ring_carrier *r)
{
	if (!r->is_live)
		return;
	kd_ring_pulse_stop(&r->pulse);
	add_counts(r);
	r->mapper.unmap(r->mapper.context);
	r->is_live = false;
	r->acked = r->restarted = r->gave_up = false;
	r->queries = 0;
	r->next_query = kd_now_ns() + QUERY_MS * (uint64_t)KD_NS_PER_MS;
}

/* The guest that we attached to is still there, and knows nothing else. */
static bool is_ours(struct ring_carrier *r)
{
	enum kd_status status;

	pthread_mutex_lock(&r->pulse.lock);
	status = kd_ring_host_beat(&r->host, &r->memory);
	pthread_mutex_unlock(&r->pulse.lock);
	return status == KD_OK;
}

/* A guest that is told goes back to its line at once; else it would take us for dead. */
static void part(struct ring_carrier *r)
{
	if (is_ours(r))
		kd_ring_host_detach(&r->host, &r->memory);
	leave_ring(r);
}

static void drop_ring(struct ring_carrier *r)
{
	leave_ring(r);
	r->was_dropped = true;
}

/*
 * The ring is as another time left it: a snapshot was taken back, or the guest took us for dead and
 * opened it anew. What the guest does now it is asked to tell.
 */
static void recover(struct ring_carrier *r)
{
	enum kd_status status;

	pthread_mutex_lock(&r->pulse.lock);
	status = kd_ring_host_recover(&r->host, &r->memory, random64());
	kd_ring_pulse_clear(&r->pulse);
	pthread_mutex_unlock(&r->pulse.lock);
	if (status != KD_OK) {
		drop_ring(r);
		return;
	}
	r->resyncs++;
	r->has_last = r->acked = false;
	r->echoes = 0;
	begin_anew(r, went_its_way);
	r->last_word = kd_now_ns();
}

/* --- what was said already --- */

/* Keeps a state change to know its repetitions by. */
static void note_packet(struct ring_carrier *r, uint16_t type, const void *payload, size_t size)
{
	if (type != KD_PACKET_STATE_CHANGE64)
		return;
	r->has_last = size <= sizeof r->last;
	r->last_size = r->has_last ? (uint32_t)size : 0;
	memcpy(r->last, payload, r->last_size);
}

/*
 * Each time that it is asked to repeat itself the guest says its state change once more, perhaps
 * much later: the request lies in the ring until it stops. Whoever has it already does not want it
 * again. An answer to what was asked behind the request means that all repetitions are over.
 */
static bool is_echo(struct ring_carrier *r, uint16_t type, const void *payload, size_t size)
{
	if (type == KD_PACKET_STATE_MANIPULATE && r->has_asked)
		r->echoes = 0;
	if (r->echoes == 0 || type != KD_PACKET_STATE_CHANGE64 || !r->has_last ||
	    size != r->last_size || memcmp(payload, r->last, size) != 0)
		return false;
	r->echoes--;
	return true;
}

/* --- the line --- */

/* Before the target listens, more bytes than its UART holds would spoil our RESET. */
static bool may_query(const struct ring_carrier *r)
{
	return kd_transport_info(r->base.transport)->is_up && r->was_heard &&
	       r->queries < QUERIES_MAX && !kd_carrier_is_busy(r->line);
}

static void query(struct ring_carrier *r, uint64_t now)
{
	size_t n;

	if (!may_query(r) || now < r->next_query)
		return;
	if (!r->mapper.is_vm(r->mapper.context)) {
		r->queries = QUERIES_MAX;
		return;
	}
	r->queries++;
	r->was_asked = true;
	r->next_query = now + QUERY_MS * (uint64_t)KD_NS_PER_MS;
	kd_transport_write(r->base.transport, (const uint8_t *)KD_RING_QUERY, KD_RING_QUERY_SIZE,
			   &n, NULL);
}

/* Said before we took it: the same pages, and our nonce is in them. */
static bool is_known(struct ring_carrier *r, const struct kd_ring_announcement *a)
{
	return r->is_live && kd_ring_announcement_is_same(a, &r->heard) && is_ours(r);
}

static void on_announcement(struct ring_carrier *r, const struct kd_ring_announcement *a)
{
	if (is_known(r, a) || (r->refused_nonce && a->nonce == r->refused_nonce))
		return;
	if (r->is_live)
		drop_ring(r);
	r->heard = *a;
	r->has_heard = true;
	r->take_at = kd_now_ns() + (r->was_asked ? FREE_MS * (uint64_t)KD_NS_PER_MS : 0);
}

/*
 * What is on its way on the line arrives there first, if the guest only answers our question. What
 * it announces by itself is a fresh start: nothing from before arrives.
 */
static void take_heard_ring(struct ring_carrier *r)
{
	if (!r->has_heard || (kd_carrier_is_busy(r->line) && kd_now_ns() < r->take_at))
		return;
	r->has_heard = false;
	r->refusal.status = take_ring(r, &r->heard, &r->refusal);
	r->was_asked = false;
}

/* An announcement's, when it comes in two pieces. */
static bool is_line_end(const uint8_t *text, size_t size)
{
	return size == 2 && text[0] == '\r' && text[1] == '\n';
}

/* True: it was the ring's, nothing for others. */
static bool listen(struct ring_carrier *r, const uint8_t *text, size_t size)
{
	struct kd_ring_announcement a;
	enum kd_status status;
	bool is_ours = is_line_end(text, size);
	size_t all = size;

	while ((status = kd_ring_ear_take(&r->ear, &text, &size, &a)) != KD_E_NOT_FOUND) {
		is_ours = true;
		if (status == KD_OK)
			on_announcement(r, &a);
		else
			kd_error_set(
				&r->refusal, status, 0,
				"its kdring.dll speaks version %u of the ring, this is version "
				"%u: bring both to the same release",
				a.version, KD_RING_VERSION);
	}
	r->words += is_ours ? all : 0;
	return is_ours;
}

static enum kd_status run_line(struct ring_carrier *r, uint64_t deadline,
			       struct kd_link_event *event_ret, struct kd_error *err)
{
	uint64_t mine = deadline;
	enum kd_status status;

	take_heard_ring(r);
	if (r->is_live)
		return KD_E_AGAIN;
	query(r, kd_now_ns());
	if (may_query(r))
		mine = KD_MIN(deadline, r->next_query);
	if (r->has_heard)
		mine = KD_MIN(mine, r->take_at);
	status = kd_carrier_run(r->line, mine, event_ret, err);
	if (status == KD_OK && event_ret->kind == KD_LINK_NOISE &&
	    listen(r, event_ret->payload, event_ret->length))
		return KD_E_AGAIN;
	if (status == KD_OK && event_ret->kind == KD_LINK_PACKET) {
		r->was_heard = true;
		note_packet(r, event_ret->type, event_ret->payload, event_ret->length);
	}
	if (status == KD_E_CLOSED)
		r->was_heard = false;
	if (status == KD_E_RESET) {
		r->was_heard = r->has_heard = r->was_dropped = false;
		r->queries = 0; /* another connection: ask there too */
		r->next_query = kd_now_ns();
	}
	return status == KD_E_TIMEOUT && mine < deadline ? KD_E_AGAIN : status;
}

/* --- the ring --- */

static void give_packet(struct ring_carrier *r, struct kd_link_event *ret)
{
	*ret = (struct kd_link_event){ .kind = KD_LINK_PACKET,
				       .type = r->record.type,
				       .payload = r->payload,
				       .length = r->record.size };
	kd__ring_record_packet(&r->recording, r->base.transport, false, r->record.type, r->payload,
			       r->record.size, NULL, 0);
	note_packet(r, r->record.type, r->payload, r->record.size);
}

static bool take_flag(bool *flag, enum kd_link_event_kind kind, struct kd_link_event *event_ret)
{
	if (!*flag)
		return false;
	*flag = false;
	event_ret->kind = kind;
	return true;
}

/* KD_OK: an event; KD_E_AGAIN: nothing there; KD_E_BUSY: something was done, look again. */
static enum kd_status take(struct ring_carrier *r, struct kd_link_event *event_ret)
{
	enum kd_status status;

	if (take_flag(&r->restarted, KD_LINK_RESTARTED, event_ret) ||
	    take_flag(&r->gave_up, KD_LINK_GAVE_UP, event_ret) ||
	    take_flag(&r->acked, KD_LINK_ACKED, event_ret))
		return KD_OK;
	status = kd_ring_host_take(&r->host, &r->memory, &r->record, r->payload);
	switch (status) {
	case KD_OK:
		r->last_word = kd_now_ns();
		if (is_echo(r, r->record.type, r->payload, r->record.size))
			return KD_E_BUSY;
		give_packet(r, event_ret);
		return KD_OK;
	case KD_E_AGAIN: return KD_E_AGAIN;
	case KD_E_RESET: recover(r); return KD_E_BUSY;
	default:
		kd_error_set(&r->refusal, status, 0,
			     "the guest wrote nonsense into its ring: the serial line is used");
		r->refused_nonce = r->boot_nonce;
		part(r);
		begin_anew(r, r->refusal.text);
		return KD_E_BUSY;
	}
}

static bool spins(const struct ring_carrier *r)
{
	return r->spin_ns && kd_now_ns() - r->last_word < r->spin_ns;
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Until the guest rings, the pulse has news, the line ends, or the deadline. */
static enum kd_status doze(struct ring_carrier *r, uint64_t deadline, struct kd_error *err)
{
	struct kd_poll line;
	struct kd_wait_fd fds[2];
	enum kd_status status = KD_OK;
	uint64_t nap = kd_now_ns() + NAP_MS * (uint64_t)KD_NS_PER_MS;

	if (kd_ring_host_is_there(&r->host, &r->memory) &&
	    kd_ring_host_may_sleep(&r->host, &r->memory)) {
		kd_transport_poll(r->base.transport, &line);
		fds[0] = (struct kd_wait_fd){ .fd = line.fd, .want_read = true };
		fds[1] = (struct kd_wait_fd){ .fd = r->pulse.news_fd, .want_read = true };
		if (!line.is_ready)
			status = kd_wait(fds, 2, KD_MIN(deadline, nap), r->cancel, err);
		if (status == KD_E_TIMEOUT && nap < deadline)
			status = KD_OK;
	}
	if (kd_ring_host_is_there(&r->host, &r->memory))
		kd_ring_host_wake(&r->memory);
	return status;
}

static void heed_pulse(struct ring_carrier *r)
{
	if (kd_ring_pulse_finding(&r->pulse) == KD_RING_WENT_BACK)
		recover(r);
	else
		drop_ring(r);
}

/*
 * A packet over the line: the guest said it before it came to the ring, and says it there once more
 * if it cannot know that we have it. One of a new boot is preceded by KD_LINK_RESTARTED.
 */
static enum kd_status take_from_line(struct ring_carrier *r, const struct kd_link_event *e)
{
	if (is_echo(r, e->type, e->payload, e->length))
		return KD_E_AGAIN;
	note_packet(r, e->type, e->payload, e->length);
	return KD_OK;
}

static size_t count_bells(const uint8_t *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == bell;
	return n;
}

/* Doorbells, and whatever else comes over the line. KD_E_AGAIN: nothing that matters. */
static enum kd_status look_at_line(struct ring_carrier *r, struct kd_link_event *event_ret,
				   struct kd_error *err)
{
	enum kd_status status = kd_carrier_run(r->line, 0, event_ret, err);

	if (status == KD_E_TIMEOUT)
		return KD_E_AGAIN;
	if (status == KD_OK && event_ret->kind == KD_LINK_NOISE) {
		if (!listen(r, event_ret->payload, event_ret->length))
			r->words += count_bells(event_ret->payload, event_ret->length);
		return KD_E_AGAIN;
	}
	if (status == KD_OK && event_ret->kind == KD_LINK_PACKET)
		return take_from_line(r, event_ret);
	/* What is left of the time before the ring, its first packet after a start included. */
	if (status == KD_OK && (event_ret->kind != KD_LINK_RESTARTED || is_ours(r)))
		return KD_E_AGAIN;
	if (status != KD_E_CANCELLED)
		part(r);
	return status;
}

static enum kd_status run_ring(struct ring_carrier *r, uint64_t deadline,
			       struct kd_link_event *event_ret, struct kd_error *err)
{
	enum kd_status status;

	if (kd_ring_pulse_finding(&r->pulse) != KD_RING_FINE) {
		heed_pulse(r);
		return KD_E_AGAIN;
	}
	status = take(r, event_ret);
	if (status == KD_OK)
		return KD_OK;
	if (status == KD_E_BUSY)
		return KD_E_AGAIN;
	if (kd_cancel_is_set(r->cancel))
		return kd_error_set(err, KD_E_CANCELLED, 0, "cancelled");
	if (spins(r)) {
		pause_cpu();
		return KD_E_AGAIN;
	}
	status = doze(r, deadline, err);
	if (status != KD_OK)
		return status;
	return look_at_line(r, event_ret, err);
}

/* --- as a carrier --- */

static enum kd_status run(struct kd_carrier *c, uint64_t deadline, struct kd_link_event *event_ret,
			  struct kd_error *err)
{
	struct ring_carrier *r = of(c);
	unsigned passes = 0;
	enum kd_status status;

	do {
		/* A guest that talks without a pause keeps nobody beyond the deadline. */
		if (++passes > PASSES_AT_LEAST && kd_now_ns() >= deadline)
			return kd_error_set(err, KD_E_TIMEOUT, 0, "nothing came in time");
		if (r->is_anew) {
			r->is_anew = false;
			c->went_back = true;
			return kd_error_set(err, KD_E_RESET, 0, "%s", c->notice);
		}
		status = r->is_live ? run_ring(r, deadline, event_ret, err)
				    : run_line(r, deadline, event_ret, err);
	} while (status == KD_E_AGAIN);
	return status;
}

static enum kd_status send(struct kd_carrier *c, uint16_t type, const void *header,
			   size_t header_size, const void *data, size_t data_size)
{
	struct ring_carrier *r = of(c);
	enum kd_status status;

	if (!r->is_live)
		return kd_carrier_send(r->line, type, header, header_size, data, data_size);
	status = kd_ring_host_put(&r->host, &r->memory, type, header, header_size, data, data_size);
	if (status == KD_E_RESET) {
		recover(r); /* whoever waits for an answer hears of it at the next run */
		return KD_OK;
	}
	if (status == KD_E_MALFORMED)
		status = KD_E_FULL; /* take() notices too, and leaves the ring */
	if (status != KD_OK)
		return status;
	kd__ring_record_packet(&r->recording, c->transport, true, type, header, header_size, data,
			       data_size);
	r->acked = true;
	r->has_asked |= type == KD_PACKET_STATE_MANIPULATE;
	r->last_word = kd_now_ns();
	return KD_OK;
}

static void cancel_packet(struct kd_carrier *c)
{
	struct ring_carrier *r = of(c);

	if (r->is_live)
		r->acked = false;
	else
		kd_carrier_cancel(r->line);
}

static void break_in(struct kd_carrier *c)
{
	struct ring_carrier *r = of(c);

	if (!r->is_live) {
		kd_carrier_break_in(r->line);
		return;
	}
	r->breakins++;
	kd_ring_host_break_in(&r->host, &r->memory);
}

/* Who asks wants to hear it, known or not. */
static void ask_to_hear(struct ring_carrier *r)
{
	r->has_last = false;
	ask_again(r);
}

static void reset(struct kd_carrier *c)
{
	struct ring_carrier *r = of(c);

	if (r->is_live)
		ask_to_hear(r);
	else
		kd_carrier_reset(r->line);
}

static void ask_resend(struct kd_carrier *c)
{
	struct ring_carrier *r = of(c);

	if (r->is_live)
		ask_to_hear(r);
	else
		kd_carrier_ask_resend(r->line);
}

static bool is_busy(const struct kd_carrier *c)
{
	const struct ring_carrier *r = of_const(c);

	return !r->is_live && kd_carrier_is_busy(r->line);
}

static bool is_synced(const struct kd_carrier *c)
{
	const struct ring_carrier *r = of_const(c);

	return r->is_live || kd_carrier_is_synced(r->line);
}

static void counters(const struct kd_carrier *c, struct kd_link_counters *ret)
{
	const struct ring_carrier *r = of_const(c);

	kd_carrier_counters(r->line, ret);
	ret->rx_packets += r->rx_packets + r->host.rx_packets;
	ret->tx_packets += r->tx_packets + r->host.tx_packets;
	ret->rx_bytes += r->rx_bytes + r->host.rx_bytes;
	ret->tx_bytes += r->tx_bytes + r->host.tx_bytes;
	ret->resends_sent += r->resyncs;
	ret->breakins += r->breakins;
	ret->noise_bytes -= KD_MIN(r->words, ret->noise_bytes);
}

static bool notices_reverts(const struct kd_carrier *c)
{
	return of_const(c)->is_live;
}

static void describe(const struct kd_carrier *c, char *text, size_t size)
{
	const struct ring_carrier *r = of_const(c);

	if (r->is_live)
		snprintf(text, size, "ring in guest RAM");
	else if (r->refusal.status != KD_OK)
		snprintf(text, size, "serial line; the guest has a ring, but %s", r->refusal.text);
	else
		snprintf(text, size, "serial line");
}

/* A guest that notices goes back to its line; one that is paused will, when it wakes. */
static void say_goodbye(struct ring_carrier *r)
{
	uint64_t until = kd_now_ns() + DETACH_MS * (uint64_t)KD_NS_PER_MS;

	kd_ring_host_detach(&r->host, &r->memory);
	while (kd_ring_host_guest_state(&r->memory) == KD_RING_GUEST_RING && kd_now_ns() < until)
		poll(NULL, 0, 1);
}

static void destroy(struct kd_carrier *c)
{
	struct ring_carrier *r = of(c);

	/* A target that we could not stop is left to what its own end does when we are dead. */
	if (r->is_live && !c->is_abandoned)
		say_goodbye(r);
	leave_ring(r);
	kd_carrier_destroy(r->line);
	kd_ring_pulse_deinit(&r->pulse);
	free(r);
}

static const struct kd_carrier_ops ops = {
	run,     send,      cancel_packet, break_in,        reset,    ask_resend,
	is_busy, is_synced, counters,      notices_reverts, describe, destroy
};

/* On one processor, spinning takes the time that the guest needs to answer. */
static bool has_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) > 1;
}

enum kd_status kd_carrier_ring_create(struct kd_carrier *line, struct kd_cancel *cancel,
				      const struct kd_ring_mapper *mapper,
				      struct kd_carrier **c_ret, struct kd_error *err)
{
	struct ring_carrier *r = calloc(1, sizeof *r);
	enum kd_status status;

	if (!r) {
		kd_carrier_destroy(line);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	r->base = (struct kd_carrier){ .ops = &ops,
				       .transport = line->transport,
				       .read_max = line->read_max };
	r->line = line;
	r->cancel = cancel;
	r->mapper = *mapper;
	r->spin_ns = has_processors() ? SPIN_NS : 0;
	status = kd_ring_pulse_init(&r->pulse, err);
	if (status != KD_OK) {
		destroy(&r->base);
		return status;
	}
	*c_ret = &r->base;
	return KD_OK;
}
