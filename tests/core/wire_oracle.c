/* SPDX-License-Identifier: MIT */
#include "tests/core/wire_oracle.h"

#include <string.h>

#include "core/wire/context.h"
#include "core/wire/describe.h"
#include "core/wire/message.h"

enum { ROOM = 70000, GUARD = 16, GUARD_BYTE = 0xD7 };

/* Room for one encoded payload and a guard behind it. */
static uint8_t room[ROOM + GUARD];

static int is_same(enum kd_status status, size_t encoded, const uint8_t *payload, size_t size)
{
	if (status != KD_OK || encoded != size || memcmp(room, payload, size) != 0)
		return 0;
	for (size_t i = 0; i < GUARD; i++)
		if (room[size + i] != GUARD_BYTE)
			return 0;
	return 1;
}

/* One byte of room too few must be refused; with just enough the bytes come back. */
#define ROUND_TRIP(type, name, encode_fn, decode_call)                                        \
	static const char *trip_##name(uint16_t machine, const uint8_t *payload, size_t size) \
	{                                                                                     \
		enum kd_status status;                                                        \
		size_t n = 0;                                                                 \
		type v;                                                                       \
                                                                                              \
		(void)machine;                                                                \
		if ((decode_call) != KD_OK)                                                   \
			return NULL;                                                          \
		memset(room, GUARD_BYTE, size + GUARD);                                       \
		status = encode_fn(room, size, &n, &v);                                       \
		if (!is_same(status, n, payload, size))                                       \
			return #name ": decode, encode differs";                              \
		if (size && encode_fn(room, size - 1, &n, &v) != KD_E_TOO_BIG)                \
			return #name ": encode took too little room";                         \
		return NULL;                                                                  \
	}

ROUND_TRIP(struct kd_manipulate, manipulate, kd_manipulate_encode,
	   kd_manipulate_decode(&v, machine, payload, size))
ROUND_TRIP(struct kd_manipulate, reply, kd_manipulate_encode,
	   kd_manipulate_decode_reply(&v, machine, payload, size))
ROUND_TRIP(struct kd_state_change, state_change, kd_state_change_encode,
	   kd_state_change_decode(&v, payload, size))
ROUND_TRIP(struct kd_state_change32, state_change32, kd_state_change32_encode,
	   kd_state_change32_decode(&v, payload, size))
ROUND_TRIP(struct kd_debug_io, debug_io, kd_debug_io_encode, kd_debug_io_decode(&v, payload, size))
ROUND_TRIP(struct kd_file_io, file_io, kd_file_io_encode, kd_file_io_decode(&v, payload, size))
ROUND_TRIP(struct kd_trace_io, trace_io, kd_trace_io_encode, kd_trace_io_decode(&v, payload, size))
ROUND_TRIP(struct kd_w_control_request, control_request, kd_control_request_encode,
	   size == 12 ? kd_control_request_decode(&v, payload, size) : KD_E_TRUNCATED)

/*
 * Each structure alone: encoding what was decoded changes nothing, and values survive a way over
 * zeros.
 */
#define KD_STRUCT(name, size)                                                                \
	static const char *codec_##name(const uint8_t *in)                                   \
	{                                                                                    \
		struct kd_w_##name v, again;                                                 \
		uint8_t out[size];                                                           \
		memset(&v, 0, sizeof(v));                                                    \
		memset(&again, 0, sizeof(again));                                            \
		memcpy(out, in, size);                                                       \
		kd_w_##name##_decode(&v, in);                                                \
		kd_w_##name##_encode(out, &v);                                               \
		if (memcmp(out, in, size) != 0)                                              \
			return #name ": decode, encode differs";                             \
		memset(out, 0, size);                                                        \
		kd_w_##name##_encode(out, &v);                                               \
		kd_w_##name##_decode(&again, out);                                           \
		return memcmp(&v, &again, sizeof(v)) ? #name ": encode, decode differs" : 0; \
	}
#define KD_FIELD(st, type, name, offset, format)
#define KD_ARRAY(st, type, name, offset, count, format)
#define KD_END(name)
#include "core/wire/structs.def"
#undef KD_STRUCT

static const struct {
	const char *(*check)(const uint8_t *in);
	size_t size;
} codecs[] = {
#define KD_STRUCT(name, size) { codec_##name, size },
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END
};

static const char *check_data_size(uint16_t machine, const uint8_t *payload, size_t size)
{
	struct kd_manipulate m;
	struct kd_file_io f;
	size_t n;

	for (int is_reply = 0; is_reply < 2; is_reply++) {
		n = SIZE_MAX;
		if (kd_manipulate_decode(&m, machine, payload, size) == KD_OK) {
			kd_manipulate_data_size(&m, is_reply, &n);
			if (n > m.data_size)
				return "manipulate: data_size beyond the payload";
		}
		n = SIZE_MAX;
		if (kd_file_io_decode(&f, payload, size) == KD_OK) {
			kd_file_io_data_size(&f, is_reply, &n);
			if (n > f.data_size)
				return "file_io: data_size beyond the payload";
		}
	}
	return NULL;
}

/*
 * Named fields alone carry the message: without the raw bytes that decode kept they come back the
 * same. `raw` is what is forgotten, `named` what is compared.
 */
#define NAMED_SURVIVE(type, name, encode_fn, decode_fn, raw, named)                                \
	static const char *named_##name(uint16_t machine, const uint8_t *payload, size_t size)     \
	{                                                                                          \
		static type v, again;                                                              \
		size_t n = 0;                                                                      \
                                                                                                   \
		(void)machine;                                                                     \
		if (decode_fn(&v) != KD_OK)                                                        \
			return NULL;                                                               \
		memset(v.raw, 0, sizeof(v.raw));                                                   \
		if (encode_fn(room, ROOM, &n, &v) != KD_OK)                                        \
			return #name ": encode failed";                                            \
		payload = room;                                                                    \
		size = n;                                                                          \
		if (decode_fn(&again) != KD_OK || memcmp(&v.named, &again.named, sizeof(v.named))) \
			return #name ": named fields are lost";                                    \
		return NULL;                                                                       \
	}

#define DECODE_MANIPULATE(v) kd_manipulate_decode(v, machine, payload, size)
#define DECODE_STATE(v)      kd_state_change_decode(v, payload, size)
#define DECODE_STATE32(v)    kd_state_change32_decode(v, payload, size)
#define DECODE_FILE(v)       kd_file_io_decode(v, payload, size)
#define DECODE_TRACE(v)      kd_trace_io_decode(v, payload, size)

NAMED_SURVIVE(struct kd_manipulate, manipulate, kd_manipulate_encode, DECODE_MANIPULATE, hdr.member,
	      u)
NAMED_SURVIVE(struct kd_state_change, state, kd_state_change_encode, DECODE_STATE, raw_union, u)
NAMED_SURVIVE(struct kd_state_change32, state32, kd_state_change32_encode, DECODE_STATE32,
	      raw_union, u)
NAMED_SURVIVE(struct kd_file_io, file_io, kd_file_io_encode, DECODE_FILE, hdr.member, u)
NAMED_SURVIVE(struct kd_trace_io, trace_io, kd_trace_io_encode, DECODE_TRACE, raw, hdr)

static const char *check_state_name(const uint8_t *payload, size_t size)
{
	struct kd_state_change s;

	if (kd_state_change_decode(&s, payload, size) != KD_OK)
		return NULL;
	if ((const uint8_t *)s.name + s.name_size != payload + size)
		return "state_change: the name is not at the end";
	return s.name_size > s.data_size ? "state_change: the name begins before the data" : NULL;
}

static const char *check_checksum(const uint8_t *payload, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += payload[i];
	return sum == kd_checksum(payload, size) ? NULL : "checksum";
}

static const char *check_kdbg(uint16_t machine, const uint8_t *payload, size_t size)
{
	size_t n;
	const struct kd_kdbg_field *fields = kd_kdbg_table(&n);

	for (size_t i = 0; i < n; i++) {
		uint64_t value;
		size_t end = (size_t)fields[i].offset + fields[i].size;
		bool is_there = kd_kdbg_get(payload, size, machine, &fields[i], &value);

		if (is_there && (size < 24 || end > size || end > kd_get32(payload + 0x14)))
			return "kdbg: a field beyond the block";
	}
	return NULL;
}

const char *wire_oracle_payload(uint16_t machine, const uint8_t *payload, size_t size)
{
	static const char *(*const trips[])(uint16_t, const uint8_t *, size_t) = {
		trip_manipulate, trip_reply,    trip_state_change, trip_state_change32,
		trip_debug_io,   trip_file_io,  trip_trace_io,     trip_control_request,
		check_data_size, check_kdbg,    named_manipulate,  named_state,
		named_state32,   named_file_io, named_trace_io,
	};
	const char *broken = check_checksum(payload, size);

	if (size > ROOM)
		return "the oracle's room is too small";
	if (!broken)
		broken = check_state_name(payload, size);
	for (size_t i = 0; !broken && i < sizeof(trips) / sizeof(trips[0]); i++)
		broken = trips[i](machine, payload, size);
	for (size_t i = 0; !broken && i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (size >= codecs[i].size)
			broken = codecs[i].check(payload);
	return broken;
}

struct coverage {
	size_t at, end;
	const uint8_t *payload;
	const char *broken;
};

static const char *check_text(const struct kd_described *d)
{
	static const size_t caps[] = { 0, 1, 2, 5, 64, 4000 };
	static char text[4000 + 1];

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		size_t length;

		memset(text, 0x7E, caps[i] + 1);
		length = kd_described_text(text, caps[i], d);
		if (text[caps[i]] != 0x7E)
			return "text written beyond its room";
		if (caps[i] == 0 ? length != 0 : length >= caps[i] || text[length] != '\0')
			return "text without end";
		for (size_t k = 0; k < length; k++)
			if (text[k] < 0x20 || text[k] > 0x7E)
				return "text is not ASCII";
	}
	return NULL;
}

static void see_field(void *ctx, const struct kd_described *d)
{
	struct coverage *c = ctx;

	if (c->broken)
		return;
	if (d->offset != c->at || d->size == 0 || d->size > c->end - c->at)
		c->broken = "description is not gapless";
	else if (d->offset >= KD_HDR_SIZE && d->bytes != c->payload + d->offset - KD_HDR_SIZE)
		c->broken = "description points elsewhere";
	else if (d->element_size == 0 || d->size % d->element_size != 0)
		c->broken = "description has broken elements";
	else
		c->broken = check_text(d);
	c->at += d->size;
}

const char *wire_oracle_describe(const struct kd_packet_hdr *hdr, uint16_t machine,
				 const uint8_t *payload, size_t size)
{
	struct coverage c = { .end = KD_HDR_SIZE + size, .payload = payload };

	kd_describe_packet(hdr, payload, size, machine, see_field, &c);
	if (!c.broken && c.at != c.end)
		return "description ends too early";
	return c.broken;
}

const char *wire_oracle_hdr(const uint8_t in[KD_AT_LEAST(16)])
{
	struct kd_packet_hdr hdr;
	uint8_t out[KD_HDR_SIZE];

	if (kd_packet_hdr_decode(&hdr, in) != KD_OK)
		return NULL;
	kd_packet_hdr_encode(out, &hdr);
	if (memcmp(in, out, sizeof(out)) != 0)
		return "header: decode, encode differs";
	return kd_packet_find(hdr.type) ? NULL : "header: unknown type accepted";
}
