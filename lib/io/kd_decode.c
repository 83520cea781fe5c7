/* SPDX-License-Identifier: MIT */
/*
 * Streams into packets. Each direction is a buffer with this content:
 *
 *   [0, n_noise)         bytes that begin no packet, not reported yet
 *   [n_noise, size)      the begin of a packet, or of something that may become one
 *
 * Invariants: after parse(), what is behind n_noise is a prefix of a packet that can still be
 * completed, so it is shorter than KD_PACKET_MAX; n_noise < NOISE_MAX. Hence the buffer never
 * fills, whatever comes.
 */
#include "lib/io/kd_decode.h"

#include <stdlib.h>
#include <string.h>

#include "core/wire/message.h"
#include "lib/base.h"

enum { NOISE_MAX = 256, CAP = KD_PACKET_MAX + 2 * NOISE_MAX };

struct stream {
	uint8_t bytes[CAP];
	size_t size;
	size_t n_noise;
	uint64_t offset; /* of bytes[0] in the direction */
	uint64_t time_ns;
	struct kd_packet_hdr last; /* the last data packet: for is_repeat */
};

struct kd_decoder {
	struct kd_decoder_config config;
	uint16_t machine;
	uint64_t n_records, first_ns;
	bool is_begun;
	struct stream streams[2];
};

static void drop(struct stream *s, size_t n)
{
	memmove(s->bytes, s->bytes + n, s->size - n);
	s->size -= n;
	s->offset += n;
	s->n_noise = n < s->n_noise ? s->n_noise - n : 0;
}

static enum kd_decode_direction direction_of(const struct kd_decoder *d, const struct stream *s)
{
	return s == &d->streams[KD_DECODE_TO_TARGET] ? KD_DECODE_TO_TARGET : KD_DECODE_FROM_TARGET;
}

static struct kd_decode_record new_record(struct kd_decoder *d, const struct stream *s,
					  enum kd_decode_kind kind, size_t size)
{
	return (struct kd_decode_record){
		.kind = kind,
		.direction = direction_of(d, s),
		.number = ++d->n_records,
		.time_ns = s->time_ns,
		.elapsed_ns = s->time_ns > d->first_ns ? s->time_ns - d->first_ns : 0,
		.stream_offset = s->offset,
		.bytes = s->bytes,
		.size = size,
		.machine = d->machine,
	};
}

static bool is_break_in(const struct kd_decoder *d, const struct stream *s)
{
	for (size_t i = 0; i < s->n_noise; i++)
		if (s->bytes[i] != KD_BYTE_BREAKIN)
			return false;
	return s->n_noise > 0 && direction_of(d, s) == KD_DECODE_TO_TARGET;
}

static void flush_noise(struct kd_decoder *d, struct stream *s)
{
	enum kd_decode_kind kind = is_break_in(d, s) ? KD_DECODE_BREAK_IN : KD_DECODE_NOISE;
	const struct kd_described as_text = {
		.format = KD_FORMAT_CHARS, .bytes = s->bytes, .size = s->n_noise, .element_size = 1
	};
	struct kd_decode_record r;
	char text[KD_DECODE_SUMMARY_SIZE];

	if (s->n_noise == 0)
		return;
	r = new_record(d, s, kind, s->n_noise);
	kd_described_text(text, sizeof(text), &as_text);
	r.summary = kind == KD_DECODE_BREAK_IN ? "break-in" : text;
	d->config.fn(d->config.ctx, &r);
	drop(s, s->n_noise);
}

static void report_damaged(struct kd_decoder *d, struct stream *s, const struct kd_packet_hdr *hdr,
			   size_t size, const char *problem)
{
	const struct kd_packet_info *info = kd_packet_find(hdr->type);
	struct kd_decode_record r;

	flush_noise(d, s);
	r = new_record(d, s, KD_DECODE_DAMAGED, size);
	r.type = hdr->type;
	r.type_name = info->name;
	r.id = hdr->id;
	r.problem = problem;
	r.summary = problem;
	d->config.fn(d->config.ctx, &r);
	drop(s, size);
}

/* A version reply says what machine the next packets belong to. */
static void learn_machine(struct kd_decoder *d, const struct kd_decode_record *r)
{
	struct kd_manipulate m;

	if (r->type != KD_PACKET_STATE_MANIPULATE || r->direction != KD_DECODE_FROM_TARGET ||
	    kd_manipulate_decode_reply(&m, d->machine, r->bytes + KD_HDR_SIZE,
				       r->size - KD_HDR_SIZE) != KD_OK)
		return;
	if (m.hdr.api == KD_API_GET_VERSION && m.hdr.return_status == KD_NT_SUCCESS)
		d->machine = m.u.version.machine;
}

static bool is_repeat(const struct kd_packet_hdr *a, const struct kd_packet_hdr *b)
{
	return a->leader == KD_LEADER_DATA && b->leader == KD_LEADER_DATA && a->type == b->type &&
	       a->length == b->length && a->id == b->id && a->checksum == b->checksum;
}

static void report_packet(struct kd_decoder *d, struct stream *s, const struct kd_packet_hdr *hdr,
			  size_t size)
{
	char summary[KD_DECODE_SUMMARY_SIZE];
	struct kd_decode_record r;

	flush_noise(d, s);
	r = new_record(d, s, KD_DECODE_PACKET, size);
	r.type = hdr->type;
	r.type_name = kd_packet_find(hdr->type)->name;
	r.id = hdr->id;
	r.is_repeat = is_repeat(&s->last, hdr);
	if (hdr->leader == KD_LEADER_DATA)
		s->last = *hdr;
	kd__decode_summarise(&r, hdr, summary);
	d->config.fn(d->config.ctx, &r);
	learn_machine(d, &r);
	drop(s, size);
}

static bool is_leader_byte(uint8_t byte)
{
	return byte == KD_BYTE_DATA || byte == KD_BYTE_CONTROL;
}

/* May a packet begin with these bytes? With fewer than 16 more must come to be sure. */
static bool may_begin(const uint8_t *bytes, size_t size, struct kd_packet_hdr *hdr_ret)
{
	for (size_t i = 0; i < 4 && i < size; i++)
		if (!is_leader_byte(bytes[0]) || bytes[i] != bytes[0])
			return false;
	return size < KD_HDR_SIZE || kd_packet_hdr_decode(hdr_ret, bytes) == KD_OK;
}

static size_t packet_size(const struct kd_decoder *d, const struct kd_packet_hdr *hdr)
{
	bool has_trailer = hdr->leader == KD_LEADER_DATA && !d->config.is_datagrams;

	return KD_HDR_SIZE + (size_t)hdr->length + has_trailer;
}

static const char *problem_of(const struct kd_decoder *d, const struct kd_packet_hdr *hdr,
			      const uint8_t *bytes, size_t size)
{
	if (size < packet_size(d, hdr))
		return "cut short";
	if (hdr->leader == KD_LEADER_CONTROL)
		return NULL;
	if (kd_checksum(bytes + KD_HDR_SIZE, hdr->length) != hdr->checksum)
		return "wrong checksum";
	if (!d->config.is_datagrams && bytes[size - 1] != KD_BYTE_TRAILER)
		return "no trailer byte";
	return NULL;
}

/* A damaged packet may have swallowed the begin of the next: where that is, else `size`. */
static size_t next_begin(const uint8_t *bytes, size_t size)
{
	struct kd_packet_hdr hdr;
	size_t i;

	for (i = 1; i < size; i++)
		if (may_begin(bytes + i, size - i, &hdr))
			break;
	return i;
}

/*
 * One step: true, and the buffer got shorter or n_noise larger; false: more bytes are needed.
 * is_over: there won't be any.
 */
static bool parse_step(struct kd_decoder *d, struct stream *s, bool is_over)
{
	const uint8_t *begin = s->bytes + s->n_noise;
	size_t size = s->size - s->n_noise;
	struct kd_packet_hdr hdr;
	const char *problem;
	size_t whole;

	if (size == 0)
		return false;
	if (!may_begin(begin, size, &hdr) || (is_over && size < KD_HDR_SIZE)) {
		s->n_noise++;
		if (*begin == '\n' || s->n_noise >= NOISE_MAX)
			flush_noise(d, s);
		return true;
	}
	if (size < KD_HDR_SIZE || (size < packet_size(d, &hdr) && !is_over))
		return false;
	whole = size < packet_size(d, &hdr) ? size : packet_size(d, &hdr);
	problem = problem_of(d, &hdr, begin, whole);
	if (problem)
		report_damaged(d, s, &hdr, next_begin(begin, whole), problem);
	else
		report_packet(d, s, &hdr, whole);
	return true;
}

static void parse(struct kd_decoder *d, struct stream *s, bool is_over)
{
	while (parse_step(d, s, is_over))
		;
	/* Nothing but break-in bytes so far: there is no text to wait for. */
	if (s->size == s->n_noise && is_break_in(d, s))
		flush_noise(d, s);
}

KD_EXPORT enum kd_status kd_decoder_create(const struct kd_decoder_config *config,
					   struct kd_decoder **decoder_ret, struct kd_error *err)
{
	struct kd_decoder *d;

	if (config->size != sizeof(*config) || !config->fn)
		return kd_error_set(err, KD_E_INVALID, 0, "a decoder needs a callback");
	d = calloc(1, sizeof(*d));
	if (!d)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	d->config = *config;
	d->machine = config->machine ? config->machine : KD_MACHINE_AMD64;
	*decoder_ret = d;
	return KD_OK;
}

KD_EXPORT void kd_decoder_destroy(struct kd_decoder *decoder)
{
	free(decoder);
}

static void begin(struct kd_decoder *d, uint64_t time_ns)
{
	if (!d->is_begun)
		d->first_ns = time_ns;
	d->is_begun = true;
}

KD_EXPORT void kd_decoder_feed(struct kd_decoder *decoder, enum kd_decode_direction direction,
			       uint64_t time_ns, const void *bytes, size_t size)
{
	struct stream *s = &decoder->streams[direction];
	const uint8_t *from = bytes;

	begin(decoder, time_ns);
	/* Text of the other side is over when this side speaks: keeps the order of things. */
	flush_noise(decoder, &decoder->streams[!direction]);
	s->time_ns = time_ns;
	while (size > 0) {
		size_t n = KD_MIN(size, CAP - s->size);

		memcpy(s->bytes + s->size, from, n);
		s->size += n;
		from += n;
		size -= n;
		parse(decoder, s, false);
	}
	if (decoder->config.is_datagrams) { /* nothing continues in the next one */
		parse(decoder, s, true);
		flush_noise(decoder, s);
	}
}

KD_EXPORT void kd_decoder_note(struct kd_decoder *decoder, uint64_t time_ns, const char *text,
			       size_t size)
{
	struct stream *s = &decoder->streams[KD_DECODE_FROM_TARGET];
	const struct kd_described note = { .format = KD_FORMAT_CHARS,
					   .bytes = (const uint8_t *)text,
					   .size = size,
					   .element_size = 1 };
	char escaped[KD_DECODE_SUMMARY_SIZE];
	struct kd_decode_record r;

	begin(decoder, time_ns);
	kd_decoder_finish(decoder);
	s->time_ns = time_ns;
	r = new_record(decoder, s, KD_DECODE_NOTE, 0);
	kd_described_text(escaped, sizeof(escaped), &note);
	r.summary = escaped;
	decoder->config.fn(decoder->config.ctx, &r);
}

KD_EXPORT void kd_decoder_finish(struct kd_decoder *decoder)
{
	for (size_t i = 0; i < 2; i++) {
		parse(decoder, &decoder->streams[i], true);
		flush_noise(decoder, &decoder->streams[i]);
	}
}
