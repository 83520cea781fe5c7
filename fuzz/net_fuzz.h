/* SPDX-License-Identifier: MIT */
/*
 * What the two fuzzers of KDNET share: an end under test, and a peer that has the key and no
 * manners. The primitives are cheap stand-ins with the same shape, so that the fuzzer gets far:
 * what they protect is tested elsewhere.
 */
#ifndef KD_FUZZ_NET_FUZZ_H
#define KD_FUZZ_NET_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/net.h"

#define MS ((uint64_t)KD_NS_PER_MS)

enum { EVENTS_MAX = 64, OUTPUT_MAX = 64, KEPT_MAX = 16 };

static inline void must_hold(bool holds, const char *what, int line)
{
	if (holds)
		return;
	fprintf(stderr, "line %d: %s\n", line, what);
	abort();
}

#define must(holds) must_hold(holds, #holds, __LINE__)

/* --- primitives --- */

static inline uint64_t mix(uint64_t h, uint8_t byte)
{
	return (h ^ byte) * 0x100000001B3u;
}

static inline bool cheap_hash(void *context, const uint8_t *bytes, size_t size, uint8_t out[32])
{
	uint64_t h = 0xCBF29CE484222325u;

	(void)context;
	for (size_t i = 0; i < size; i++)
		h = mix(h, bytes[i]);
	for (size_t i = 0; i < 32; i++) {
		h = mix(h, (uint8_t)i);
		out[i] = (uint8_t)(h >> 32);
	}
	return true;
}

static inline bool cheap_hmac(void *context, const uint8_t key[32], const uint8_t *bytes,
			      size_t size, uint8_t out[32])
{
	cheap_hash(context, bytes, size, out);
	for (size_t i = 0; i < 32; i++)
		out[i] ^= key[i];
	return true;
}

/* Another key gives another plaintext, so the tag is wrong, as with the real ones. */
static inline bool cheap_cipher(void *context, bool is_encrypt, const uint8_t key[32],
				const uint8_t iv[16], uint8_t *out, const uint8_t *in, size_t size)
{
	(void)context;
	(void)is_encrypt;
	must(size % 16 == 0 && size > 0);
	for (size_t i = 0; i < size; i++)
		out[i] = in[i] ^ key[i % 32] ^ iv[i % 16];
	return true;
}

static inline bool cheap_random(void *context, uint8_t *out, size_t size)
{
	uint64_t *state = context;

	for (size_t i = 0; i < size; i++) {
		*state = mix(*state, (uint8_t)i) + 1;
		out[i] = (uint8_t)(*state >> 40);
	}
	return true;
}

/* --- the world --- */

struct input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

struct datagram {
	struct kd_net_address from;
	size_t size;
	bool was_taken; /* KD_OK once: never again */
	uint8_t bytes[KD_NET_DATAGRAM_MAX];
};

struct fuzz {
	struct kd_net net;
	struct kd_net_crypto crypto;
	struct kd_net_keys keys;
	uint64_t random, now;
	bool is_target; /* the end under test */
	struct datagram kept[KEPT_MAX];
	size_t n_kept;
	/* The peer's view. */
	struct kd_net_keys data_keys; /* of the last session that it knows of */
	bool has_session;
	uint64_t sequence, counter;
	uint8_t nonce[KD_NET_NONCE_SIZE]; /* as host: of the target's last poke */
	uint64_t last_tx;                 /* sequence of the last data datagram under data_keys */
	uint64_t n_packets, n_connected;
	unsigned sum;
};

static inline struct kd_net_address place(uint8_t which)
{
	struct kd_net_address a;

	kd_net_address_from_ipv4(&a, (const uint8_t[4]){ 10, 0, 0, which }, 50000);
	return a;
}

static inline void begin(struct fuzz *f, bool is_target)
{
	struct kd_net_config cfg;

	memset(f, 0, sizeof(*f));
	f->is_target = is_target;
	f->now = MS;
	f->crypto = (struct kd_net_crypto){ .context = &f->random,
					    .aes_cbc = cheap_cipher,
					    .hmac_sha256 = cheap_hmac,
					    .sha256 = cheap_hash,
					    .random = cheap_random };
	kd_net_keys_init(&f->keys, (const uint8_t[32]){ 1, 2, 3 });
	kd_net_config_init(&cfg, is_target ? KD_LINK_TARGET : KD_LINK_DEBUGGER);
	cfg.keys = f->keys;
	cfg.crypto = &f->crypto;
	cfg.self = place(is_target ? 2 : 1);
	cfg.debugger = place(1);
	must(kd_net_init(&f->net, &cfg, f->now) == KD_OK);
}

static inline void check(struct fuzz *f)
{
	must(!kd__net_check(&f->net));
}

static inline void drain_events(struct fuzz *f)
{
	struct kd_net_event ev;
	size_t n = 0;

	while (kd_net_next_event(&f->net, &ev)) {
		must(++n < EVENTS_MAX);
		check(f);
		f->n_connected += ev.kind == KD_NET_CONNECTED;
		if (ev.kind != KD_NET_LINK || !ev.link.payload)
			continue;
		must(ev.link.length <= KD_PAYLOAD_ACCEPT);
		for (size_t i = 0; i < ev.link.length; i++)
			f->sum += ev.link.payload[i];
		f->n_packets += ev.link.kind == KD_LINK_PACKET;
	}
}

/* What the peer learns from a control datagram of the end under test. */
static inline void learn(struct fuzz *f, const struct kd_net_datagram *d)
{
	struct kd_net_poke poke;

	if (f->is_target) {
		if (kd_net_poke_decode(&poke, d->body, d->size) == KD_OK)
			memcpy(f->nonce, poke.nonce, sizeof(f->nonce));
		return;
	}
	if (d->size != KD_NET_RESPONSE_SIZE)
		return;
	must(kd_net_session_keys(&f->crypto, &f->keys, d->body, &f->data_keys) == KD_OK);
	f->has_session = true;
	f->sequence = 0;
	f->last_tx = 0;
}

/* Everything that goes out is well made: opens, has the right direction, and a number of its own.
 */
static inline void drain_output(struct fuzz *f)
{
	static uint8_t scratch[KD_NET_SCRATCH_SIZE];
	struct kd_net_address to;
	const uint8_t *out;
	size_t size, n = 0;

	while ((out = kd_net_next_output(&f->net, &to, &size))) {
		struct kd_net_datagram d;
		uint8_t version, channel;

		must(++n < OUTPUT_MAX);
		must(kd_net_peek(out, size, &version, &channel) == KD_OK);
		if (channel == KD_NET_CONTROL) {
			must(kd_net_open(&f->crypto, &f->keys, out, size, scratch, &d) == KD_OK);
			must(d.is_to_target == !f->is_target);
			learn(f, &d);
		} else if (kd_net_open(&f->crypto, &f->data_keys, out, size, scratch, &d) ==
			   KD_OK) {
			must(d.is_to_target == !f->is_target);
			must(d.sequence > f->last_tx);
			must(d.size == 1 || d.size >= KD_NET_CHECK_SIZE);
			f->last_tx = d.sequence;
		}
		kd_net_output_done(&f->net, f->now);
		check(f);
	}
}

static inline void serve_timeouts(struct fuzz *f)
{
	size_t n = 0;

	while (!f->net.is_held && kd_net_deadline(&f->net) <= f->now) {
		must(++n < EVENTS_MAX);
		kd_net_timeout(&f->net, f->now);
		check(f);
		drain_events(f);
		drain_output(f);
	}
}

/* `is_forged`: it must not be taken. */
static inline enum kd_status arrive(struct fuzz *f, struct datagram *d, bool is_forged)
{
	enum kd_status s = kd_net_feed(&f->net, &d->from, d->bytes, d->size, f->now);

	check(f);
	must(s != KD_OK || (!is_forged && !d->was_taken));
	/* An empty control datagram asks for a poke: rare ones may come again. */
	d->was_taken = d->was_taken || (s == KD_OK && !(d->bytes[5] == KD_NET_CONTROL &&
							d->size == KD_NET_DATAGRAM_MIN));
	return s;
}

static inline void keep_and_feed(struct fuzz *f, const struct datagram *d)
{
	struct datagram *kept = &f->kept[f->n_kept++ % KEPT_MAX];

	*kept = *d;
	arrive(f, kept, false);
}

/* Sealed by the peer. */
static inline void say(struct fuzz *f, uint8_t channel, uint8_t from, bool is_to_target,
		       uint64_t sequence, const uint8_t *body, size_t size)
{
	static struct datagram d;
	const struct kd_net_datagram plain = { .version = 4,
					       .channel = channel,
					       .is_to_target = is_to_target,
					       .sequence = sequence & KD_NET_SEQUENCE_MAX,
					       .body = body,
					       .size = size };

	d.from = place(from);
	d.was_taken = false;
	must(kd_net_seal(&f->crypto, channel == KD_NET_CONTROL ? &f->keys : &f->data_keys, &plain,
			 d.bytes, sizeof(d.bytes), &d.size) == KD_OK);
	keep_and_feed(f, &d);
}

/* A KD packet whose header is right as far as the input wants. */
static inline size_t make_packet(struct input *in, uint8_t out[KD_HDR_SIZE + 255])
{
	uint8_t flags = take(in);
	struct kd_packet_hdr hdr = {
		.leader = flags & 1 ? KD_LEADER_CONTROL : KD_LEADER_DATA,
		.type = take(in) % 13,
		.length = flags & 1 ? 0 : take(in),
		.id = (uint32_t)take(in) * 2 | (flags & 2 ? 0x80000000u : 0) |
		      (flags & 4 ? 0xFFFFFF00u : 0),
	};

	for (size_t i = 0; i < hdr.length; i++)
		out[KD_HDR_SIZE + i] = take(in);
	hdr.checksum = kd_checksum(out + KD_HDR_SIZE, hdr.length) + (flags & 8 ? 1 : 0);
	kd_packet_hdr_encode(out, &hdr);
	return flags & 16 ? take(in) % (KD_HDR_SIZE + 1u) : KD_HDR_SIZE + (size_t)hdr.length;
}

static inline void say_data(struct fuzz *f, struct input *in)
{
	uint8_t packet[KD_HDR_SIZE + 255], how = take(in);
	size_t size = make_packet(in, packet);

	if (!f->has_session)
		return;
	if (how & 0x40) {
		kd_net_check_encode(packet, (const uint8_t[4]){ 1, 2, 3, 4 });
		size = KD_NET_CHECK_SIZE;
	} else if (how & 0x20) {
		packet[0] = KD_BYTE_BREAKIN;
		size = 1;
	}
	f->sequence += how & 7;
	say(f, KD_NET_DATA, (uint8_t)(1 + (how >> 3 & 1) + !f->is_target),
	    f->is_target ^ (how >> 7), f->sequence, packet, size);
}

static inline void forge(struct fuzz *f, struct input *in)
{
	static struct datagram d;
	uint8_t how = take(in);

	if (how & 1 && f->n_kept) { /* one that was good, damaged */
		d = f->kept[how % (f->n_kept < KEPT_MAX ? f->n_kept : KEPT_MAX)];
		d.bytes[(how >> 1) % d.size] ^= (uint8_t)(1 + take(in) % 255);
	} else {
		d.size = 0;
		memcpy(d.bytes, "MDBG\4\0", 6);
		d.bytes[5] = how >> 1 & 1;
		for (d.size = 6; d.size < 6 + (size_t)how; d.size++)
			d.bytes[d.size] = take(in);
		d.from = place(take(in) % 4);
	}
	/*
	 * The version is covered by the tag as everything is; but the stand-in for the hash may
	 * collide, so only what is no datagram at all is a finding by itself.
	 */
	arrive(f, &d, d.size < KD_NET_DATAGRAM_MIN);
}

static inline void call(struct fuzz *f, struct input *in)
{
	static uint8_t payload[KD_NET_PAYLOAD_MAX + 16];
	struct kd_net_link *l = kd_net_link(&f->net);
	uint8_t what = take(in), arg = take(in);
	size_t size = (size_t)arg * 6;

	memset(payload, what, sizeof(payload));
	switch (what % 8) {
	case 0:
	case 1:
	case 2:
		(void)kd_net_link_send(l, (uint16_t)(1 + arg % 11), payload, size / 2,
				       payload + size / 2, size - size / 2, what & 0x80, f->now);
		break;
	case 3: kd_net_link_cancel(l); break;
	case 4: kd_net_link_break_in(l, f->now); break;
	case 5: kd_net_link_reset(l, f->now); break;
	case 6: kd_net_link_ask_resend(l, f->now); break;
	case 7: kd_net_link_want(l, arg % 12); break;
	}
	check(f);
}

/* One step that is the same for both ends; `step` below 6. */
static inline void common_step(struct fuzz *f, struct input *in, uint8_t step)
{
	switch (step) {
	case 0: forge(f, in); break;
	case 1: say_data(f, in); break;
	case 2:
		f->now += take(in) * 50 * MS;
		serve_timeouts(f);
		break;
	case 3: call(f, in); break;
	case 4:
		if (f->n_kept)
			arrive(f,
			       &f->kept[take(in) % (f->n_kept < KEPT_MAX ? f->n_kept : KEPT_MAX)],
			       false);
		break;
	case 5: kd_net_hold(&f->net, take(in) & 1); break;
	default: break;
	}
}

#endif
