/* SPDX-License-Identifier: MIT */
#include "lib/shark/packet_stream.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openkd/session.h>

#include "core/probe/probe_headers.h"
#include "lib/io/pcapng.h"

enum {
	LINKTYPE_PKTAP = 258,
	LINKTYPE_EXPORTED_PDU = 252,
	PKTAP_SIZE = 108,
	PKTAP_NAME = 20,
	DLT_RAW = 12,
	SEGMENT_4 = 1460, /* payload of an Ethernet frame, IPv4 and TCP */
	SEGMENT_6 = 1440,
	FIFO_MS = 10000,
	TAGS_MAX = 128,
	FILES_MAX = 100000,
};

struct kd__packet_stream {
	struct kd_pcapng_writer *w;
	unsigned slot;
	uint32_t wire, held; /* interfaces */
	char name[128];
	char *path; /* NULL: a pipe */
	/* rotation */
	uint64_t rotate_size;
	unsigned rotate_keep, n_files;
	struct kd__packet_stream_counters before; /* of files that are complete */
	uint8_t frame[PKTAP_SIZE + KD_PROBE_HEADERS_MAX + KD_PROBE_BYTES_MAX + TAGS_MAX];
};

/* --- its file --- */

static bool is_same_node(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && !S_ISCHR(one.st_mode) &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* A file that is written aside is not there yet: its folder and its name are compared, too. */
bool kd__packet_stream_is_to(const struct kd__packet_stream *s, const char *path)
{
	char one[PATH_MAX], other[PATH_MAX];
	const char *name_one, *name_other;

	if (!s->path)
		return false;
	if (is_same_node(s->path, path))
		return true;
	name_one = strrchr(s->path, '/');
	name_other = strrchr(path, '/');
	if (strcmp(name_one ? name_one + 1 : s->path, name_other ? name_other + 1 : path) != 0)
		return false;
	snprintf(one, sizeof one, "%s", s->path);
	snprintf(other, sizeof other, "%s", path);
	return is_same_node(dirname(one), dirname(other));
}

/* --- opening, rotating --- */

static enum kd_status add_interfaces(struct kd__packet_stream *s, struct kd_error *err)
{
	enum kd_status status;

	status = kd_pcapng_add_interface(s->w, LINKTYPE_PKTAP, "openkd-wire", "what really flows",
					 &s->wire, err);
	if (status == KD_OK)
		status = kd_pcapng_add_interface(s->w, LINKTYPE_EXPORTED_PDU, "openkd-held",
						 "payloads that were held or dropped", &s->held,
						 err);
	return status;
}

/* NAME.pcapng, NAME-2.pcapng ... */
static void file_name(const struct kd__packet_stream *s, unsigned number, char *to, size_t size)
{
	const char *dot = strrchr(s->path, '.'), *slash = strrchr(s->path, '/');

	if (!dot || (slash && dot < slash))
		dot = s->path + strlen(s->path);
	if (number <= 1)
		snprintf(to, size, "%s", s->path);
	else
		snprintf(to, size, "%.*s-%u%s", (int)(dot - s->path), s->path, number, dot);
}

static enum kd_status open_writer(struct kd__packet_stream *s, int fd, struct kd_error *err)
{
	enum kd_status status;
	char path[4096], comment[200];

	snprintf(comment, sizeof comment,
		 "application traffic of %s; headers are synthesized, times are the guest's",
		 s->name);
	if (s->path) {
		file_name(s, s->n_files + 1, path, sizeof path);
		status = kd_pcapng_writer_create(path, "OpenKD", comment, FIFO_MS, &s->w, err);
	} else {
		status = kd_pcapng_writer_create_fd(fd, "OpenKD", comment, &s->w, err);
	}
	if (status != KD_OK)
		return status;
	s->n_files++;
	status = add_interfaces(s, err);
	/* the reader waits for it: it shows nothing before */
	return status == KD_OK ? kd_pcapng_flush(s->w, err) : status;
}

enum kd_status kd__packet_stream_create(const struct kd_stream_options *options, unsigned slot,
					const char *name, struct kd__packet_stream **ret,
					struct kd_error *err)
{
	struct kd__packet_stream *s = calloc(1, sizeof *s);
	enum kd_status status;

	if (!s)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	s->slot = slot;
	s->rotate_size = options->path ? options->rotate_size : 0;
	s->rotate_keep = options->rotate_keep;
	snprintf(s->name, sizeof s->name, "%s", name);
	if (options->path && !(s->path = strdup(options->path))) {
		free(s);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	status = open_writer(s, options->fd, err);
	if (status != KD_OK) {
		kd_pcapng_writer_abort(s->w);
		free(s->path);
		free(s);
		return status;
	}
	*ret = s;
	return KD_OK;
}

static void keep_counters(struct kd__packet_stream *s)
{
	struct kd_pcapng_counters c;

	kd_pcapng_writer_counters(s->w, &c);
	s->before.packets += c.packets;
	s->before.left_out += c.left_out;
}

/* The file is full: the next one. Sequence numbers go on. */
static enum kd_status rotate(struct kd__packet_stream *s, struct kd_error *err)
{
	struct kd_pcapng_counters c;
	enum kd_status status;
	char old[4096];

	kd_pcapng_writer_counters(s->w, &c);
	if (!s->rotate_size || c.bytes < s->rotate_size || s->n_files >= FILES_MAX)
		return KD_OK;
	keep_counters(s);
	status = kd_pcapng_writer_close(s->w, err);
	s->w = NULL;
	if (status != KD_OK)
		return status;
	if (s->rotate_keep && s->n_files >= s->rotate_keep) {
		file_name(s, s->n_files + 1 - s->rotate_keep, old, sizeof old);
		remove(old);
	}
	return open_writer(s, -1, err);
}

struct kd__packet_stream_counters kd__packet_stream_counters(const struct kd__packet_stream *s)
{
	struct kd__packet_stream_counters sum = s->before;
	struct kd_pcapng_counters c = { 0 };

	if (s->w)
		kd_pcapng_writer_counters(s->w, &c);
	sum.packets += c.packets;
	sum.left_out += c.left_out;
	return sum;
}

enum kd_status kd__packet_stream_flush(struct kd__packet_stream *s, struct kd_error *err)
{
	return s->w ? kd_pcapng_flush(s->w, err) : KD_E_CLOSED;
}

enum kd_status kd__packet_stream_close(struct kd__packet_stream *s, struct kd_error *err)
{
	enum kd_status status = KD_OK;

	if (!s)
		return KD_OK;
	if (s->w)
		status = kd_pcapng_writer_close(s->w, err);
	free(s->path);
	free(s);
	return status;
}

/* --- comments --- */

/*
 * One line that people and programs read. pcapng has an option for verdicts, too, but what
 * Wireshark 4.0 saves of it can't be read again by anybody. Names come from the guest; they have no
 * blanks here so that the line can be taken apart.
 */
static void describe(const struct kd__entry *e, char *to, size_t size)
{
	char process[64];
	size_t n = 0;

	for (const char *p = e->conversation->process; *p && n + 1 < sizeof process; p++)
		process[n++] = *p == ' ' ? '_' : *p;
	process[n] = '\0';
	snprintf(to, size, "kd: id=%" PRIu64 " flow=%" PRIu64 " pid=%u img=%s verdict=%s%s%s",
		 e->item, e->flow, e->pid, process, e->verdict, e->by ? " by=" : "",
		 e->by ? e->by : "");
}

/* "edited: original 120 bytes -> 90 bytes"; NULL: it was not. */
static const char *describe_edit(const struct kd__entry *e, char *to, size_t size)
{
	if (!e->is_edited)
		return NULL;
	snprintf(to, size, "edited: original %zu bytes -> %zu bytes", e->original_size, e->size);
	return to;
}

/* --- packets that flow --- */

static void put_name(uint8_t *to, const char *name)
{
	size_t n = strnlen(name, PKTAP_NAME - 1);

	memset(to, 0, PKTAP_NAME);
	while (n > 0 && name[n] && ((uint8_t)name[n] & 0xC0) == 0x80)
		n--;
	memcpy(to, name, n);
}

/* macOS's header, which Wireshark knows: the process of each packet. */
static void put_pktap(uint8_t *to, const struct kd__entry *e)
{
	memset(to, 0, PKTAP_SIZE);
	kd_put32(to, PKTAP_SIZE);
	kd_put32(to + 4, 1); /* a packet follows */
	kd_put32(to + 8, DLT_RAW);
	memcpy(to + 12, "openkd", 6);
	kd_put32(to + 40, e->conversation->facts.family == 4 ? 2 : 30);
	kd_put32(to + 52, e->pid);
	put_name(to + 56, e->conversation->process);
	kd_put32(to + 84, e->pid);
	put_name(to + 88, e->conversation->process);
}

struct frame {
	const struct kd__entry *entry;
	enum kd_probe_direction direction;
	struct kd_probe_segment segment;
	const uint8_t *bytes;
	bool is_commented;
};

static enum kd_status put_frame(struct kd__packet_stream *s, const struct frame *f,
				struct kd_error *err)
{
	const struct kd__entry *e = f->entry;
	struct kd_probe_headers headers;
	uint8_t *at = s->frame + PKTAP_SIZE;
	char comment[400], edit[80];
	struct kd_pcapng_packet packet = {
		.interface_id = s->wire,
		.direction = f->direction == KD_PROBE_IN ? KD_PCAPNG_INBOUND : KD_PCAPNG_OUTBOUND,
		.time_ns = e->time_ns,
		.data = s->frame,
		.packet_id = e->item,
	};
	enum kd_status status;

	put_pktap(s->frame, e);
	kd_probe_headers_make(&headers, &e->conversation->facts, f->direction, &f->segment);
	kd_probe_headers_sum(&headers, f->bytes, f->segment.payload_size);
	memcpy(at, headers.bytes, headers.size);
	kd_copy(at + headers.size, f->bytes, f->segment.payload_size);
	packet.size = PKTAP_SIZE + headers.size + f->segment.payload_size;
	if (f->is_commented) {
		describe(e, comment, sizeof comment);
		packet.comment = comment;
		packet.comment2 = describe_edit(e, edit, sizeof edit);
		packet.drops = e->lost;
	}
	status = kd_pcapng_write(s->w, &packet, err);
	return status == KD_E_FULL ? KD_OK : status;
}

static struct kd__sequence *sequence_of(const struct kd__packet_stream *s,
					const struct kd__entry *e)
{
	return &e->conversation->sequences[s->slot];
}

/* One TCP segment of the conversation; its place in the stream is booked. */
static enum kd_status put_segment(struct kd__packet_stream *s, const struct kd__entry *e,
				  enum kd_probe_direction direction, uint8_t flags,
				  const uint8_t *bytes, size_t size, bool is_commented,
				  struct kd_error *err)
{
	struct kd__sequence *q = sequence_of(s, e);
	struct frame f = { .entry = e,
			   .direction = direction,
			   .segment = { .payload_size = (uint32_t)size,
					.seq = q->next[direction],
					.ack = flags & KD_PROBE_TCP_ACK ? q->next[!direction] : 0,
					.tcp_flags = flags },
			   .bytes = bytes,
			   .is_commented = is_commented };

	q->next[direction] += (uint32_t)size;
	if (flags & (KD_PROBE_TCP_SYN | KD_PROBE_TCP_FIN))
		q->next[direction]++;
	return put_frame(s, &f, err);
}

/* So that Wireshark knows where the streams begin. */
static enum kd_status put_handshake(struct kd__packet_stream *s, const struct kd__entry *e,
				    struct kd_error *err)
{
	enum kd_probe_direction first = (enum kd_probe_direction)e->conversation->facts.direction;
	enum kd_probe_direction second = first == KD_PROBE_OUT ? KD_PROBE_IN : KD_PROBE_OUT;
	const struct {
		enum kd_probe_direction direction;
		uint8_t flags;
	} steps[] = { { first, KD_PROBE_TCP_SYN },
		      { second, KD_PROBE_TCP_SYN | KD_PROBE_TCP_ACK },
		      { first, KD_PROBE_TCP_ACK } };
	enum kd_status status = KD_OK;

	sequence_of(s, e)->is_begun = true;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == KD_OK; i++)
		status = put_segment(s, e, steps[i].direction, steps[i].flags, NULL, 0, false, err);
	return status;
}

static enum kd_status put_tcp_data(struct kd__packet_stream *s, const struct kd__entry *e,
				   struct kd_error *err)
{
	size_t segment = e->conversation->facts.family == 4 ? SEGMENT_4 : SEGMENT_6, at = 0;
	enum kd_status status = KD_OK;

	while (at < e->size && status == KD_OK) {
		size_t n = KD_MIN(segment, e->size - at);
		bool is_last = at + n == e->size;

		status = put_segment(s, e, e->direction,
				     (uint8_t)(KD_PROBE_TCP_ACK | (is_last ? KD_PROBE_TCP_PSH : 0)),
				     e->bytes + at, n, at == 0, err);
		at += n;
	}
	return status;
}

static enum kd_status put_end(struct kd__packet_stream *s, const struct kd__entry *e,
			      struct kd_error *err)
{
	struct kd__sequence *q = sequence_of(s, e);

	if (q->is_ended[e->direction])
		return KD_OK;
	q->is_ended[e->direction] = true;
	return put_segment(s, e, e->direction, KD_PROBE_TCP_FIN | KD_PROBE_TCP_ACK, NULL, 0, true,
			   err);
}

static enum kd_status put_reset(struct kd__packet_stream *s, const struct kd__entry *e,
				struct kd_error *err)
{
	struct kd__sequence *q = sequence_of(s, e);

	if (q->is_ended[KD_PROBE_OUT] && q->is_ended[KD_PROBE_IN])
		return KD_OK;
	q->is_ended[KD_PROBE_OUT] = q->is_ended[KD_PROBE_IN] = true;
	return put_segment(s, e, e->direction, KD_PROBE_TCP_RST | KD_PROBE_TCP_ACK, NULL, 0, true,
			   err);
}

static enum kd_status put_tcp(struct kd__packet_stream *s, const struct kd__entry *e,
			      struct kd_error *err)
{
	static enum kd_status (*const puts[])(struct kd__packet_stream *, const struct kd__entry *,
					      struct kd_error *) = {
		[KD__ENTRY_DATA] = put_tcp_data,
		[KD__ENTRY_END] = put_end,
		[KD__ENTRY_RESET] = put_reset,
		[KD__ENTRY_CLOSE] = put_reset,
	};
	enum kd_status status = KD_OK;

	if (!sequence_of(s, e)->is_begun) {
		if (e->kind == KD__ENTRY_CLOSE)
			return KD_OK; /* nobody saw it */
		status = put_handshake(s, e, err);
	}
	return status == KD_OK ? puts[e->kind](s, e, err) : status;
}

static enum kd_status put_udp(struct kd__packet_stream *s, const struct kd__entry *e,
			      struct kd_error *err)
{
	struct frame f = { .entry = e,
			   .direction = e->direction,
			   .segment = { .payload_size = (uint32_t)e->size },
			   .bytes = e->bytes,
			   .is_commented = true };

	return e->kind == KD__ENTRY_DATA ? put_frame(s, &f, err) : KD_OK;
}

/* --- payloads beside the stream: exported PDUs --- */

enum {
	TAG_TABLE = 14,
	TAG_PORT_TYPE = 24,
	TAG_SOURCE_PORT = 25,
	TAG_TARGET_PORT = 26,
	TAG_TABLE_VALUE = 32,
	TAG_IP4_SOURCE = 20, /* IPv4 target 21, IPv6 22 and 23 */
};

static void put_be32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint8_t *put_tag(uint8_t *to, uint16_t tag, const void *value, size_t size)
{
	size_t padded = (size + 3) & ~(size_t)3;

	to[0] = (uint8_t)(tag >> 8);
	to[1] = (uint8_t)tag;
	to[2] = (uint8_t)(padded >> 8);
	to[3] = (uint8_t)padded;
	memset(to + 4, 0, padded);
	kd_copy(to + 4, value, size);
	return to + 4 + padded;
}

static uint8_t *put_tag32(uint8_t *to, uint16_t tag, uint32_t value)
{
	uint8_t bytes[4];

	put_be32(bytes, value);
	return put_tag(to, tag, bytes, sizeof bytes);
}

/* The server's port chooses the dissector, as it would on a wire. */
static size_t put_tags(uint8_t *to, const struct kd__entry *e)
{
	const struct kd_probe_facts *facts = &e->conversation->facts;
	bool is_tcp = facts->protocol == 6, is_out = e->direction == KD_PROBE_OUT;
	uint16_t addresses = facts->family == 4 ? TAG_IP4_SOURCE : TAG_IP4_SOURCE + 2;
	size_t size = facts->family == 4 ? 4 : 16;
	uint8_t *at = to;

	at = put_tag(at, TAG_TABLE, is_tcp ? "tcp.port" : "udp.port", 8);
	at = put_tag32(at, TAG_TABLE_VALUE,
		       facts->direction == KD_PROBE_OUT ? facts->remote_port : facts->local_port);
	at = put_tag(at, addresses, is_out ? facts->local : facts->remote, size);
	at = put_tag(at, (uint16_t)(addresses + 1), is_out ? facts->remote : facts->local, size);
	at = put_tag32(at, TAG_PORT_TYPE, is_tcp ? 2 : 3);
	at = put_tag32(at, TAG_SOURCE_PORT, is_out ? facts->local_port : facts->remote_port);
	at = put_tag32(at, TAG_TARGET_PORT, is_out ? facts->remote_port : facts->local_port);
	at = put_tag(at, 0, NULL, 0);
	return (size_t)(at - to);
}

static enum kd_status put_held(struct kd__packet_stream *s, const struct kd__entry *e,
			       struct kd_error *err)
{
	size_t tags = put_tags(s->frame, e);
	size_t size = KD_MIN(e->size, (size_t)KD_PROBE_BYTES_MAX);
	char comment[400];
	struct kd_pcapng_packet packet = {
		.interface_id = s->held,
		.direction = e->direction == KD_PROBE_IN ? KD_PCAPNG_INBOUND : KD_PCAPNG_OUTBOUND,
		.time_ns = e->time_ns,
		.data = s->frame,
		.size = tags + size,
		.comment = comment,
		.packet_id = e->item,
	};
	enum kd_status status;

	describe(e, comment, sizeof comment);
	kd_copy(s->frame + tags, e->bytes, size);
	status = kd_pcapng_write(s->w, &packet, err);
	return status == KD_E_FULL ? KD_OK : status;
}

enum kd_status kd__packet_stream_put(struct kd__packet_stream *s, const struct kd__entry *entry,
				     struct kd_error *err)
{
	enum kd_status status = s->w ? rotate(s, err) : KD_E_CLOSED;

	if (status != KD_OK)
		return status;
	if (entry->kind == KD__ENTRY_HELD)
		return put_held(s, entry, err);
	return entry->conversation->facts.protocol == 6 ? put_tcp(s, entry, err)
							: put_udp(s, entry, err);
}

enum kd_status kd__packet_stream_mark(struct kd__packet_stream *s, const char *comment, uint64_t id,
				      struct kd_error *err)
{
	static const uint8_t end_of_tags[4] = { 0 };
	struct kd_pcapng_packet packet = { .interface_id = s->held,
					   .time_ns = 1,
					   .data = end_of_tags,
					   .size = sizeof end_of_tags,
					   .comment = comment,
					   .packet_id = id };

	return s->w ? kd_pcapng_write(s->w, &packet, err) : KD_E_CLOSED;
}
