/* SPDX-License-Identifier: MIT */
/*
 * Recorded datagrams: opened, taken apart, put together and sealed again to the same bytes; and
 * both of our ends, given the randomness and the addresses of the recording, say the recorded
 * bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/net_peer.h"
#include "tests/core/wire_vectors.h"

static struct net_random no_random;
static uint8_t bytes[KD_NET_DATAGRAM_MAX], again[KD_NET_DATAGRAM_MAX];
static uint8_t plain[KD_NET_PLAIN_MAX], scratch[KD_NET_SCRATCH_SIZE];

static struct kd_net_keys keys_of(const struct net_vector *v)
{
	return v->channel == KD_NET_CONTROL ? net_control_keys(v->session)
					    : net_data_keys(v->session);
}

static void test_data_keys(void **state)
{
	static const char *const want[N_NET_SESSIONS] = {
		"6bd91c57bd6a551ad30b509c05c0c95b32cc5e47a0866907eaf0b1583384f660",
		"6d41dd0561a9f887afd8e82b2527e19ff800011075ff2ee6904553abbec778f2",
	};
	uint8_t key[KD_NET_KEY_SIZE];

	(void)state;
	for (int i = 0; i < N_NET_SESSIONS; i++) {
		struct kd_net_keys keys = net_data_keys((enum net_session)i);

		assert_int_equal(wire_hex(key, sizeof(key), want[i]), sizeof(key));
		assert_memory_equal(keys.cipher, key, sizeof(key));
	}
}

static void test_open_and_seal(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_net_vectors; i++) {
		const struct net_vector *v = &net_vectors[i];
		struct kd_net_keys keys = keys_of(v);
		size_t size = wire_hex(bytes, sizeof(bytes), v->hex);
		size_t plain_size = net_vector_plain(v, plain), again_size = 0;
		struct kd_net_datagram d;

		print_message("%s\n", v->name);
		assert_int_equal(
			kd_net_open(net_crypto(&no_random), &keys, bytes, size, scratch, &d),
			KD_OK);
		assert_int_equal(d.channel, v->channel);
		assert_int_equal(d.version, v->session == NET_SESSION_A ? 4 : 2);
		if (plain_size) { /* without the padding */
			assert_true(KD_NET_PREFIX_SIZE + d.size <= plain_size);
			assert_memory_equal(scratch + KD_NET_HEADER_SIZE, plain,
					    KD_NET_PREFIX_SIZE + d.size);
		}
		assert_int_equal(kd_net_seal(net_crypto(&no_random), &keys, &d, again,
					     sizeof(again), &again_size),
				 KD_OK);
		assert_int_equal(again_size, size);
		assert_memory_equal(again, bytes, size);
	}
}

/* The first 8 bytes of V9 are not recorded; the packet in it is. */
static void test_state_change(void **state)
{
	struct kd_net_keys keys = net_data_keys(NET_SESSION_B);
	size_t size = net_vector_bytes("V9 state change", bytes), k4_size = 0;
	struct kd_net_datagram d;

	(void)state;
	for (size_t i = 0; i < n_wire_vectors; i++)
		if (strncmp(wire_vectors[i].name, "K4 ", 3) == 0)
			k4_size = wire_hex(plain, sizeof(plain), wire_vectors[i].hex);
	assert_int_equal(kd_net_open(net_crypto(&no_random), &keys, bytes, size, scratch, &d),
			 KD_OK);
	assert_false(d.is_to_target);
	assert_int_equal(d.size, k4_size);
	assert_memory_equal(d.body, plain, k4_size);
}

static void test_damage(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_net_vectors; i++) {
		const struct net_vector *v = &net_vectors[i];
		struct kd_net_keys keys = keys_of(v), other = keys_of(v);
		size_t size = wire_hex(bytes, sizeof(bytes), v->hex);
		struct kd_net_datagram d;

		for (size_t n = 0; n < size; n++)
			assert_int_not_equal(
				kd_net_open(net_crypto(&no_random), &keys, bytes, n, scratch, &d),
				KD_OK);
		for (size_t bit = 0; bit < 8 * size; bit++) {
			enum kd_status s;

			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			s = kd_net_open(net_crypto(&no_random), &keys, bytes, size, scratch, &d);
			assert_true(s == KD_E_MISMATCH || (s == KD_E_MALFORMED && bit < 48));
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		other.cipher[0] ^= 1;
		assert_int_equal(
			kd_net_open(net_crypto(&no_random), &other, bytes, size, scratch, &d),
			KD_E_MISMATCH);
	}
}

static void test_limits(void **state)
{
	struct kd_net_keys keys = net_control_keys(NET_SESSION_A);
	static uint8_t body[KD_NET_BODY_MAX + 1];
	struct kd_net_datagram d = { .version = 1, .body = body }, back;
	size_t size = 0;

	(void)state;
	for (d.size = 0; d.size <= KD_NET_BODY_MAX; d.size++) {
		assert_int_equal(
			kd_net_seal(net_crypto(&no_random), &keys, &d, again, sizeof(again), &size),
			KD_OK);
		assert_true(size <= KD_NET_DATAGRAM_MAX);
		assert_int_equal(
			kd_net_open(net_crypto(&no_random), &keys, again, size, scratch, &back),
			KD_OK);
		assert_int_equal(back.size, d.size);
		if (d.size == 64)
			d.size = KD_NET_BODY_MAX - 64;
	}
	assert_int_equal(
		kd_net_seal(net_crypto(&no_random), &keys, &d, again, sizeof(again), &size),
		KD_E_TOO_BIG);
	d.size = 0;
	d.sequence = KD_NET_SEQUENCE_MAX + 1;
	assert_int_equal(
		kd_net_seal(net_crypto(&no_random), &keys, &d, again, sizeof(again), &size),
		KD_E_TOO_BIG);
	d.sequence = KD_NET_SEQUENCE_MAX;
	assert_int_equal(kd_net_seal(net_crypto(&no_random), &keys, &d, again, 37, &size),
			 KD_E_TOO_BIG);
}

static void test_messages(void **state)
{
	struct kd_net_poke poke;
	struct kd_net_response response;
	uint8_t out[KD_NET_POKE_SIZE], ip[4];
	struct kd_net_address self = net_address(192, 168, 2, 72, 51111),
			      debugger = net_address(192, 168, 2, 1, 51111);

	(void)state;
	net_vector_plain(&net_vectors[0], plain);
	assert_int_equal(kd_net_poke_decode(&poke, plain + 8, KD_NET_POKE_SIZE), KD_OK);
	assert_true(kd_net_address_is_same(&poke.target, &self));
	assert_true(kd_net_address_is_same(&poke.configured, &debugger));
	assert_int_equal(poke.connected.port, 0);
	kd_net_poke_encode(out, &poke);
	assert_memory_equal(out, plain + 8, KD_NET_POKE_SIZE);
	for (size_t n = 0; n < KD_NET_POKE_SIZE; n++)
		assert_int_equal(kd_net_poke_decode(&poke, plain + 8, n), KD_E_TRUNCATED);
	assert_int_equal(kd_net_poke_decode(&poke, plain + 8, KD_NET_POKE_SIZE + 1),
			 KD_E_MALFORMED);
	assert_int_equal(kd_net_response_decode(&response, plain + 8, KD_NET_RESPONSE_SIZE),
			 KD_E_MALFORMED);

	net_vector_plain(&net_vectors[1], plain);
	assert_int_equal(kd_net_response_decode(&response, plain + 8, KD_NET_RESPONSE_SIZE), KD_OK);
	assert_memory_equal(response.nonce, poke.nonce, sizeof(poke.nonce));
	kd_net_response_encode(out, &response);
	assert_memory_equal(out, plain + 8, KD_NET_RESPONSE_SIZE);
	assert_int_equal(kd_net_poke_decode(&poke, plain + 8, KD_NET_RESPONSE_SIZE),
			 KD_E_MALFORMED);

	net_vector_plain(&net_vectors[2], plain);
	assert_int_equal(kd_net_check_decode(ip, plain + 8, KD_NET_CHECK_SIZE), KD_OK);
	assert_memory_equal(ip, debugger.ip + 12, 4);
	kd_net_check_encode(out, ip);
	assert_memory_equal(out, plain + 8, KD_NET_CHECK_SIZE);
	plain[8] = 1;
	assert_int_equal(kd_net_check_decode(ip, plain + 8, KD_NET_CHECK_SIZE), KD_E_MALFORMED);
}

static void test_key_texts(void **state)
{
	static const struct {
		const char *text, *hex; /* NULL: no key */
		enum kd_net_key_problem problem;
		size_t word;
	} rows[] = {
		{ "8.8.8.8", "08 00*7 08 00*7 08 00*7 08 00*7", 0, 3 },
		{ "1.1.1.1", "01 00*7 01 00*7 01 00*7 01 00*7", 0, 3 },
		{ "5.6.a.b", "05 00*7 06 00*7 0a 00*7 0b 00*7", 0, 3 },
		{ "5.6.A.B", "05 00*7 06 00*7 0a 00*7 0b 00*7", 0, 3 },
		{ "1.z.10.3w5e11264sgsf", "01 00*7 23 00*7 24 00*7 ff*8", 0, 3 },
		{ "abc.de12.0.zzzzzzzzzzzz", "3834 00*6 46880900 00*4 00*8 ffffffe0b81cc241", 0,
		  3 },
		{ "1.2.3.3w5e11264sgsg", NULL, KD_NET_KEY_TOO_LARGE, 3 },
		{ "1.2.3w5e11264sgsff.4", NULL, KD_NET_KEY_TOO_LARGE, 2 },
		{ "00000000000001.2.3.4", NULL, KD_NET_KEY_TOO_LARGE, 0 },
		{ "zzzzzzzzzzzzz.2.3.4", NULL, KD_NET_KEY_TOO_LARGE, 0 },
		{ "", NULL, KD_NET_KEY_EMPTY_WORD, 0 },
		{ "1..3.4", NULL, KD_NET_KEY_EMPTY_WORD, 1 },
		{ "1.2.3.", NULL, KD_NET_KEY_EMPTY_WORD, 3 },
		{ "1.2.3", NULL, KD_NET_KEY_FEW_WORDS, 3 },
		{ "1", NULL, KD_NET_KEY_FEW_WORDS, 1 },
		{ "1.2.3.4.5", NULL, KD_NET_KEY_MANY_WORDS, 3 },
		{ "1.2.-3.4", NULL, KD_NET_KEY_BAD_DIGIT, 2 },
		{ "1.2.3.4 ", NULL, KD_NET_KEY_BAD_DIGIT, 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t want[KD_NET_KEY_SIZE];
		struct kd_net_keys keys;
		enum kd_net_key_problem problem;
		size_t word;
		enum kd_status s = kd_net_key_parse(rows[i].text, strlen(rows[i].text), &keys,
						    &problem, &word);

		print_message("%s\n", rows[i].text);
		assert_int_equal(problem, rows[i].problem);
		assert_int_equal(word, rows[i].word);
		assert_int_equal(s, rows[i].hex ? KD_OK : KD_E_SYNTAX);
		if (!rows[i].hex)
			continue;
		assert_int_equal(wire_hex(want, sizeof(want), rows[i].hex), sizeof(want));
		assert_memory_equal(keys.cipher, want, sizeof(want));
		for (size_t k = 0; k < sizeof(want); k++)
			assert_int_equal(keys.hmac[k], (uint8_t)~want[k]);
	}
}

/* --- our ends in the recorded session A --- */

static const struct kd_net_address *target_at(void)
{
	static struct kd_net_address a;

	a = net_address(192, 168, 2, 72, 51111);
	return &a;
}

static const struct kd_net_address *debugger_at(void)
{
	static struct kd_net_address a;

	a = net_address(192, 168, 2, 1, 51111);
	return &a;
}

static void must_say(struct kd_net *n, const char *vector, const struct kd_net_address *to)
{
	size_t want = net_vector_bytes(vector, bytes), size;
	struct kd_net_address where;
	const uint8_t *out = kd_net_next_output(n, &where, &size);

	print_message("%s\n", vector);
	assert_non_null(out);
	assert_true(kd_net_address_is_same(&where, to));
	assert_int_equal(size, want);
	assert_memory_equal(out, bytes, want);
	kd_net_output_done(n, 1);
}

static void must_take(struct kd_net *n, const char *vector, const struct kd_net_address *from)
{
	size_t size = net_vector_bytes(vector, bytes);

	print_message("%s\n", vector);
	assert_int_equal(kd_net_feed(n, from, bytes, size, 1), KD_OK);
	/* Once more is once too much. */
	while (n->n_events || n->link.n_events) {
		struct kd_net_event ev;

		assert_true(kd_net_next_event(n, &ev));
	}
	assert_int_equal(kd_net_feed(n, from, bytes, size, 1), KD_E_STALE);
	assert_int_equal(kd_net_counters(n)->forged, 0);
	assert_null(kd__net_check(n));
}

static void init(struct kd_net *n, enum kd_link_role role, struct net_random *random)
{
	struct kd_net_config cfg;

	kd_net_config_init(&cfg, role);
	cfg.keys = net_control_keys(NET_SESSION_A);
	cfg.crypto = net_crypto(random);
	cfg.self = *target_at();
	cfg.debugger = *debugger_at();
	assert_int_equal(kd_net_init(n, &cfg, 0), KD_OK);
}

static void test_host(void **state)
{
	static struct kd_net n;
	static uint8_t response[KD_NET_PLAIN_MAX];
	struct net_random random = { .next = response + 8 + 34, .next_size = KD_NET_RANDOM_SIZE };
	struct kd_net_address to;
	size_t size;

	(void)state;
	net_vector_plain(&net_vectors[1], response);
	init(&n, KD_LINK_DEBUGGER, &random);
	assert_null(kd_net_next_output(&n, &to, &size));
	must_take(&n, "V1 poke", target_at());
	assert_false(kd_net_is_connected(&n));
	must_say(&n, "V2 response", target_at());
	must_take(&n, "V3 connection check", target_at());
	assert_true(kd_net_is_connected(&n));
	must_say(&n, "V4 RESEND of the debugger", target_at());
	assert_null(kd_net_next_output(&n, &to, &size));
	kd_net_deinit(&n);
	for (size_t i = 0; i < sizeof(n); i++)
		assert_int_equal(((uint8_t *)&n)[i], 0);
}

static void test_target(void **state)
{
	static struct kd_net n;
	uint8_t nonce[KD_NET_NONCE_SIZE];
	struct net_random random = { .next = nonce, .next_size = sizeof(nonce) };
	struct kd_net_address to;
	size_t size;

	(void)state;
	net_vector_plain(&net_vectors[0], plain);
	memcpy(nonce, plain + 8 + 2, sizeof(nonce));
	nonce[0]--; /* each poke counts first */
	init(&n, KD_LINK_TARGET, &random);
	assert_int_equal(kd_net_deadline(&n), 0);
	kd_net_timeout(&n, 0);
	must_say(&n, "V1 poke", debugger_at());
	must_take(&n, "V2 response", debugger_at());
	must_say(&n, "V3 connection check", debugger_at());
	must_take(&n, "V4 RESEND of the debugger", debugger_at());
	assert_null(kd_net_next_output(&n, &to, &size));
}

/* Session B had begun before the recording did: our debugger is put into it. */
static void test_break_in_and_reset(void **state)
{
	static struct kd_net n;
	struct net_random random = { 0 };

	(void)state;
	init(&n, KD_LINK_DEBUGGER, &random);
	n.sessions[0] = (struct kd_net_session){
		.is_used = true,
		.version = 2,
		.keys = net_data_keys(NET_SESSION_B),
		.peer = *target_at(),
		.tx_sequence = 1,
	};
	kd_net_link_break_in(kd_net_link(&n), 1);
	must_say(&n, "V6 break-in", target_at());
	/* A target with ids of its own: RESET instead of an ACK, and the packet is to come again.
	 */
	must_take(&n, "V9 state change", target_at());
	assert_int_equal(kd_net_link_counters(kd_net_link(&n))->rx_packets, 0);
	must_say(&n, "V7 RESET of the debugger", target_at());
	must_take(&n, "V7 RESET of the target", target_at());
	assert_true(kd_net_link_is_synced(kd_net_link(&n)));
	assert_int_equal(kd_net_link(&n)->expected, 0x926);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_keys),    cmocka_unit_test(test_open_and_seal),
		cmocka_unit_test(test_state_change), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_limits),       cmocka_unit_test(test_messages),
		cmocka_unit_test(test_key_texts),    cmocka_unit_test(test_host),
		cmocka_unit_test(test_target),       cmocka_unit_test(test_break_in_and_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
