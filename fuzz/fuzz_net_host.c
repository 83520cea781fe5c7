/* SPDX-License-Identifier: MIT */
/*
 * The debugger's end of KDNET against a target that has the key and sends what it likes, from
 * several addresses, and against anybody who has not.
 *
 * Oracles: the invariants after every step; nothing forged or replayed is taken; output and events
 * of a step are bounded, payloads in bounds (ASan); every datagram that goes out is well made and
 * has a new number; at the end a target that boots gets a session and its packet through.
 */
#include "fuzz/net_fuzz.h"

static void poke(struct fuzz *f, uint8_t from, uint8_t boot, uint64_t counter, uint8_t connected)
{
	struct kd_net_poke p = { .target = place(from), .configured = place(1) };
	uint8_t body[KD_NET_POKE_SIZE];

	kd_put64(p.nonce, counter);
	p.nonce[KD_NET_NONCE_SIZE - 1] = boot;
	if (connected)
		p.connected = place(connected);
	kd_net_poke_encode(body, &p);
	say(f, KD_NET_CONTROL, from, false, counter * 3, body, sizeof(body));
}

static void random_poke(struct fuzz *f, struct input *in)
{
	uint8_t how = take(in);

	if (how & 0x80) { /* neither poke nor anything */
		uint8_t body[64];
		size_t size = take(in) % sizeof(body);

		for (size_t i = 0; i < size; i++)
			body[i] = take(in);
		say(f, KD_NET_CONTROL, 2, how & 0x40, 1, body, size);
		return;
	}
	f->counter += how & 3;
	poke(f, (uint8_t)(2 + (how >> 2 & 1)), how >> 3 & 3, f->counter, how >> 5 & 3);
}

/* A new boot of a machine at the address that the session has, if there is one. */
static void settle(struct fuzz *f)
{
	uint8_t at = kd_net_peer(&f->net).port ? kd_net_peer(&f->net).ip[15] : 2, check_body[12];
	static const uint8_t stop[16 + 240] = { [16] = 0x30 };
	uint8_t packet[sizeof(stop)];
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA,
				     .type = KD_PACKET_STATE_CHANGE64,
				     .length = 240,
				     .checksum = 0x30 };
	uint64_t before, sessions;

	kd_net_hold(&f->net, false);
	drain_events(f);
	drain_output(f);
	before = f->n_packets;
	sessions = f->n_connected;
	f->has_session = false;
	poke(f, at, 0xEE, 1, 0);
	drain_events(f);
	drain_output(f);
	must(f->has_session);
	kd_net_check_encode(check_body, (const uint8_t[4]){ 10, 0, 0, 1 });
	say(f, KD_NET_DATA, at, false, ++f->sequence, check_body, sizeof(check_body));
	drain_events(f);
	must(f->n_connected == sessions + 1);
	memcpy(packet, stop, sizeof(stop));
	kd_packet_hdr_encode(packet, &hdr);
	say(f, KD_NET_DATA, at, false, ++f->sequence, packet, sizeof(packet));
	drain_events(f);
	must(f->n_packets == before + 1);
	drain_output(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct input in = { data, size };

	begin(&f, false);
	while (in.left) {
		uint8_t step = take(&in);

		if (step % 8 < 6)
			common_step(&f, &in, step % 8);
		else if (step % 8 == 6)
			random_poke(&f, &in);
		else if (step & 0x80)
			kd_net_restart(&f.net, f.now);
		check(&f);
		if (!(step & 0x40))
			drain_events(&f);
		if (!(step & 0x20))
			drain_output(&f);
	}
	settle(&f);
	return 0;
}
