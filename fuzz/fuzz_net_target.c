/* SPDX-License-Identifier: MIT */
/*
 * The target's end of KDNET against a debugger that has the key and sends what it likes, and
 * against anybody who has not. Oracles as in fuzz_net_host.c; at the end a debugger that answers
 * the next poke gets the session, and a request through after a RESET.
 */
#include "fuzz/net_fuzz.h"

/* `age`: to which of the last pokes. */
static void respond(struct fuzz *f, uint8_t from, uint8_t age, uint8_t random)
{
	struct kd_net_response r = { .random = { random } };
	uint8_t body[KD_NET_RESPONSE_SIZE];
	uint64_t sessions = kd_net_counters(&f->net)->sessions;

	memcpy(r.nonce, f->nonce, sizeof(r.nonce));
	kd_put64(r.nonce, kd_get64(r.nonce) - age);
	kd_net_response_encode(body, &r);
	say(f, KD_NET_CONTROL, from, true, 3, body, sizeof(body));
	if (kd_net_counters(&f->net)->sessions == sessions)
		return;
	must(kd_net_session_keys(&f->crypto, &f->keys, body, &f->data_keys) == KD_OK);
	f->has_session = true;
	f->sequence = 0;
	f->last_tx = 0;
}

static void control(struct fuzz *f, struct input *in)
{
	uint8_t how = take(in), body[64];
	size_t size = take(in) % sizeof(body);

	if (how & 0x80) {
		for (size_t i = 0; i < size; i++)
			body[i] = take(in);
		say(f, KD_NET_CONTROL, 1, how & 0x40, 1, body, how & 0x20 ? 0 : size);
		return;
	}
	respond(f, (uint8_t)(1 + (how & 1) * 2), how >> 1 & 7, how);
}

static void control_packet(struct fuzz *f, uint16_t type, uint32_t id)
{
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_CONTROL, .type = type, .id = id };
	uint8_t packet[KD_HDR_SIZE];

	kd_packet_hdr_encode(packet, &hdr);
	say(f, KD_NET_DATA, 1, true, ++f->sequence, packet, sizeof(packet));
	drain_events(f);
	drain_output(f);
}

static void settle(struct fuzz *f)
{
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA,
				     .type = KD_PACKET_STATE_MANIPULATE,
				     .length = 56,
				     .id = 0x80000000 };
	uint8_t packet[KD_HDR_SIZE + 56] = { 0 };
	uint64_t before;

	kd_net_hold(&f->net, false);
	drain_events(f);
	before = f->n_packets;
	kd_net_link_cancel(kd_net_link(&f->net));
	kd_net_link_want(kd_net_link(&f->net), 0);
	f->now += 4000 * MS; /* the next poke */
	serve_timeouts(f);
	drain_output(f);
	f->has_session = false;
	respond(f, 1, 0, 0xEE);
	must(f->has_session);
	drain_events(f);
	drain_output(f);
	must(f->last_tx >= 1); /* the connection check */
	control_packet(f, KD_PACKET_RESET, hdr.id);
	kd_packet_hdr_encode(packet, &hdr);
	say(f, KD_NET_DATA, 1, true, ++f->sequence, packet, sizeof(packet));
	drain_events(f);
	must(f->n_packets == before + 1);
	drain_output(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct input in = { data, size };

	begin(&f, true);
	serve_timeouts(&f);
	while (in.left) {
		uint8_t step = take(&in);

		if (step % 8 < 6)
			common_step(&f, &in, step % 8);
		else
			control(&f, &in);
		check(&f);
		if (!(step & 0x40))
			drain_events(&f);
		if (!(step & 0x20))
			drain_output(&f);
	}
	settle(&f);
	return 0;
}
