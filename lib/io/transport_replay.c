/* SPDX-License-Identifier: MIT */
/*
 * Plays a recorded session back: reads return what the target sent, in the recorded order. The
 * target's bytes wait for what the debugger had written before them, so that an answer never comes
 * before its question:
 *
 * - a data packet is waited for as long as it takes;
 * - a RESET or break-in, whose times are a matter of chance, for SOFT_WAIT_MS;
 * - ACK and RESEND are never waited for.
 *
 * Repetitions of the same packet count once, on both sides. Data packets are compared in order.
 * "link down" and "link up" of the recording end and begin connections here, too.
 */
#include <stdlib.h>
#include <string.h>

#include "core/link/link.h"
#include "lib/io/packet_scan.h"
#include "lib/io/net_record.h"
#include "lib/io/pcapng.h"
#include "lib/io/recording.h"
#include "lib/io/transport_private.h"
#include "lib/wait.h"

enum {
	SOFT_WAIT_MS = 300,
	/* A debugger has one packet outstanding: more without an answer is not a KD session. */
	QUEUE_SIZE = 16,
};

/* A data packet that waits for its counterpart of the other side. */
struct packet {
	uint16_t type;
	uint16_t size;
	uint64_t offset; /* recorded ones: of their block */
	uint8_t payload[KD_PAYLOAD_ACCEPT];
};

struct queue {
	size_t first, n;
	struct packet row[QUEUE_SIZE];
};

/* One side of the conversation debugger -> target: recorded, or written now. */
struct side {
	struct kd__packet_scan scan;
	struct queue unmatched;
	bool has_last;
	struct kd_packet_hdr last; /* to know a repetition */
	uint64_t n_resets, n_breakins;
};

struct replay {
	struct kd_transport base; /* first */
	char path[KD_ENDPOINT_PATH_SIZE];
	struct kd_pcapng_reader *reader;
	struct side recorded, written;
	const uint8_t *data; /* of the inbound block that is being read */
	size_t size;
	uint64_t soft_deadline; /* until when to wait for a RESET or break-in; 0: not waiting */
	bool is_down;           /* after "link down", until "link up" */
	struct kd_error over;   /* status != KD_OK: the end */
	struct kd_replay_counters counters;
	kd_replay_is_equal *is_equal;
	void *context;
};

/* --- matching --- */

static struct packet *push(struct queue *q)
{
	if (q->n == QUEUE_SIZE)
		return NULL;
	return &q->row[(q->first + q->n++) % QUEUE_SIZE];
}

static struct packet *pop(struct queue *q)
{
	struct packet *p = &q->row[q->first];

	q->first = (q->first + 1) % QUEUE_SIZE;
	q->n--;
	return p;
}

static bool is_equal(const struct replay *r, const struct packet *a, const struct packet *b)
{
	if (a->type != b->type)
		return false;
	if (r->is_equal)
		return r->is_equal(r->context, a->type, a->payload, a->size, b->payload, b->size);
	return a->size == b->size && memcmp(a->payload, b->payload, a->size) == 0;
}

static void match(struct replay *r)
{
	while (r->recorded.unmatched.n && r->written.unmatched.n) {
		const struct packet *recorded = pop(&r->recorded.unmatched);
		const struct packet *written = pop(&r->written.unmatched);

		if (is_equal(r, recorded, written))
			r->counters.equal++;
		else if (!r->counters.first_difference)
			r->counters.first_difference = recorded->offset;
	}
}

/* The same id, type and payload sum as the one before: our link sent it again. */
static bool is_repetition(struct side *side, const struct kd_packet_hdr *hdr)
{
	bool same = side->has_last && side->last.id == hdr->id && side->last.type == hdr->type &&
		    side->last.length == hdr->length && side->last.checksum == hdr->checksum;

	side->last = *hdr;
	side->has_last = true;
	return same;
}

/* False: more packets without counterpart than there can be. */
static bool take_item(struct side *side, const struct kd__scan_item *item, uint64_t offset,
		      uint64_t *n_packets)
{
	struct packet *p;

	if (item->kind == KD__SCAN_BREAKIN)
		side->n_breakins++;
	if (item->kind == KD__SCAN_CONTROL && item->hdr.type == KD_PACKET_RESET) {
		side->n_resets++;
		side->has_last = false;
	}
	if (item->kind != KD__SCAN_DATA || is_repetition(side, &item->hdr))
		return true;
	p = push(&side->unmatched);
	if (!p)
		return false;
	++*n_packets;
	p->type = item->hdr.type;
	p->size = item->hdr.length;
	p->offset = offset;
	memcpy(p->payload, item->payload, item->hdr.length);
	return true;
}

static bool take_bytes(struct replay *r, struct side *side, const uint8_t *bytes, size_t size,
		       uint64_t offset, uint64_t *n_packets)
{
	struct kd__scan_item item;

	while (size) {
		size_t n = kd__packet_scan(&side->scan, bytes, size, &item);

		if (!take_item(side, &item, offset, n_packets))
			return false;
		bytes += n;
		size -= n;
		match(r);
	}
	return true;
}

/* --- playing --- */

static enum kd_status say_over(const struct replay *r, struct kd_error *err)
{
	if (err)
		*err = r->over;
	return r->over.status;
}

static enum kd_status end(struct replay *r, enum kd_status status, const char *why,
			  struct kd_error *err)
{
	kd_error_set(&r->over, status, 0, "%s: %s", r->base.name, why);
	kd__transport_note_trouble(&r->base, &r->over);
	r->base.info.is_up = false;
	r->base.info.is_reconnecting = false; /* nothing more comes */
	return say_over(r, err);
}

static bool starts_with(const struct kd_pcapng_packet *p, const char *text)
{
	size_t n = strlen(text);

	return p->comment && p->comment_size >= n && memcmp(p->comment, text, n) == 0;
}

/* A block without bytes. The first "link up" is what the connection began with. */
static enum kd_status take_marker(struct replay *r, const struct kd_pcapng_packet *p,
				  struct kd_error *err)
{
	if (starts_with(p, KD__RECORDING_DOWN)) {
		r->is_down = true;
		r->base.info.is_up = false;
		return kd_error_set(err, KD_E_CLOSED, p->offset, "%s: %.*s", r->base.name,
				    (int)KD_MIN(p->comment_size, 120), p->comment);
	}
	if (starts_with(p, KD__RECORDING_UP) && r->is_down) {
		r->is_down = false;
		r->base.info.is_up = true;
		r->base.info.generation++;
		kd__packet_scan_reset(&r->recorded.scan);
	}
	return KD_OK;
}

/* The debugger asks what it asked then only if it believes to be on the same road. */
static void note_interface(struct replay *r, const struct kd_pcapng_packet *p)
{
	const char *name = kd_pcapng_interface_name(r->reader, p->interface_id);

	if (name)
		r->base.info.is_vm_socket = !strncmp(name, "unix", 4) || !strncmp(name, "tcp", 3);
}

static bool is_of_datagrams(const struct replay *r, const struct kd_pcapng_packet *p)
{
	const char *name = kd_pcapng_interface_name(r->reader, p->interface_id);

	return name && strncmp(name, KD__RECORDING_NET, strlen(KD__RECORDING_NET)) == 0;
}

/* The reader's bytes stay where they are until the next block is asked for. */
static enum kd_status next_block(struct replay *r, struct kd_error *err)
{
	struct kd_pcapng_packet p;
	struct kd_error why;
	enum kd_status s = kd_pcapng_next(r->reader, &p, &why);

	if (s == KD_E_NOT_FOUND || s == KD_E_TRUNCATED) {
		r->counters.at_end = true;
		return end(r, KD_E_CLOSED,
			   s == KD_E_NOT_FOUND ? "the end of the recording"
					       : "the recording breaks off here",
			   err);
	}
	if (s != KD_OK)
		return end(r, s, why.text, err);
	if (p.link_type != KD_LINKTYPE_USER0)
		return KD_OK;
	if (is_of_datagrams(r, &p))
		return end(r, KD_E_UNSUPPORTED,
			   "a KDNET session: its ids are not those of a stream, it can be "
			   "decoded but not played",
			   err);
	note_interface(r, &p);
	if (p.size == 0)
		return take_marker(r, &p, err);
	if (p.direction == KD_PCAPNG_INBOUND) {
		r->data = p.data;
		r->size = p.size;
	} else if (p.direction == KD_PCAPNG_OUTBOUND &&
		   !take_bytes(r, &r->recorded, p.data, p.size, p.offset, &r->counters.expected)) {
		return end(r, KD_E_MALFORMED, "too many packets without an answer", err);
	}
	return KD_OK;
}

/* May the inbound bytes be given out? */
static bool is_gate_open(struct replay *r)
{
	if (r->recorded.unmatched.n)
		return false;
	if (r->written.n_resets >= r->recorded.n_resets &&
	    r->written.n_breakins >= r->recorded.n_breakins) {
		r->soft_deadline = 0;
		return true;
	}
	if (!r->soft_deadline)
		r->soft_deadline = kd_deadline_after_ms(SOFT_WAIT_MS);
	if (kd_now_ns() < r->soft_deadline)
		return false;
	/* Not waited for again. */
	r->counters.waits_given_up++;
	r->written.n_resets = KD_MAX(r->written.n_resets, r->recorded.n_resets);
	r->written.n_breakins = KD_MAX(r->written.n_breakins, r->recorded.n_breakins);
	r->soft_deadline = 0;
	return true;
}

static enum kd_status replay_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
				  struct kd_error *err)
{
	struct replay *r = (struct replay *)t;
	enum kd_status s;

	if (r->over.status != KD_OK)
		return say_over(r, err);
	while (!r->size) {
		uint32_t generation = t->info.generation;

		s = next_block(r, err);
		if (s != KD_OK)
			return s;
		/* A new connection: let it be noticed before its bytes come. */
		if (t->info.generation != generation)
			return KD_E_AGAIN;
	}
	if (!is_gate_open(r))
		return KD_E_AGAIN;
	*n_ret = KD_MIN(size, r->size);
	memcpy(buf, r->data, *n_ret);
	r->data += *n_ret;
	r->size -= *n_ret;
	t->info.rx_bytes += *n_ret;
	return KD_OK;
}

static enum kd_status replay_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				   size_t *n_ret, struct kd_error *err)
{
	struct replay *r = (struct replay *)t;

	if (r->over.status != KD_OK)
		return say_over(r, err);
	/* What the recorded debugger never wrote is taken and counted, as a target would. */
	if (!take_bytes(r, &r->written, buf, size, 0, &r->counters.written))
		r->written.unmatched.n = 0;
	*n_ret = size;
	t->info.tx_bytes += size;
	return KD_OK;
}

static void replay_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	const struct replay *r = (const struct replay *)t;

	bool has_bytes = r->over.status == KD_OK && r->size;

	/* A write opens the gate: there is nothing to wait for. */
	if (has_bytes && r->recorded.unmatched.n)
		return;
	if (has_bytes && r->soft_deadline)
		ret->deadline = r->soft_deadline;
	else
		ret->is_ready = true;
}

/* --- life --- */

static void rewind_side(struct side *side)
{
	kd__packet_scan_reset(&side->scan);
	side->unmatched.first = side->unmatched.n = 0;
	side->has_last = false;
	side->n_resets = side->n_breakins = 0;
}

/* From the beginning, also the second time. */
static enum kd_status replay_connect(struct kd_transport *t, struct kd_error *err)
{
	struct replay *r = (struct replay *)t;
	enum kd_status s;

	kd_pcapng_reader_destroy(r->reader);
	r->reader = NULL;
	s = kd_pcapng_reader_open(r->path, &r->reader, err);
	if (s != KD_OK)
		return s;
	rewind_side(&r->recorded);
	rewind_side(&r->written);
	r->counters = (struct kd_replay_counters){ 0 };
	r->over.status = KD_OK;
	r->size = 0;
	r->soft_deadline = 0;
	r->is_down = false;
	t->trouble[0] = '\0';
	t->info.is_up = true;
	t->info.generation++;
	return KD_OK;
}

static void replay_destroy(struct kd_transport *t)
{
	struct replay *r = (struct replay *)t;

	kd_pcapng_reader_destroy(r->reader);
	free(r);
}

static const struct kd_transport_ops replay_ops = {
	.scheme = "replay",
	.connect = replay_connect,
	.read = replay_read,
	.write = replay_write,
	.poll = replay_poll,
	.destroy = replay_destroy,
};

enum kd_status kd__replay_create(const struct kd_endpoint *ep,
				 const struct kd_open_options *options, struct kd_transport **t_ret,
				 struct kd_error *err)
{
	struct kd_transport *t = kd__transport_new(sizeof(struct replay), &replay_ops, ep);
	struct replay *r = (struct replay *)t;

	(void)options;
	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	memcpy(r->path, ep->path, sizeof r->path);
	t->info.is_replay = true;
	t->info.is_reconnecting = true; /* where the recording was */
	*t_ret = t;
	return KD_OK;
}

enum kd_status kd_transport_replay_counters(const struct kd_transport *t,
					    struct kd_replay_counters *ret)
{
	if (t->ops != &replay_ops)
		return KD_E_NOT_FOUND;
	*ret = ((const struct replay *)t)->counters;
	return KD_OK;
}

enum kd_status kd_transport_replay_set_compare(struct kd_transport *t, kd_replay_is_equal *compare,
					       void *context)
{
	struct replay *r = (struct replay *)t;

	if (t->ops != &replay_ops)
		return KD_E_NOT_FOUND;
	r->is_equal = compare;
	r->context = context;
	return KD_OK;
}
