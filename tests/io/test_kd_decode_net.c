/* SPDX-License-Identifier: MIT */
/*
 * `kd decode --key`: captures made of the recorded datagrams, wrapped in every link type, among
 * other traffic and with everything that can be wrong with a frame. With --json: one capture as
 * JSON lines, for the schema; with --capture PATH: one as a file, for kd.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openkd/sys/decode.h>

#include "lib/io/pcapng.h"
#include "lib/io/udp_frame.h"
#include "tests/core/net_peer.h"
#include "tests/io/io_check.h"

static struct kd_error err;

/* --- frames --- */

struct bytes {
	size_t size;
	uint8_t at[2000];
};

static void put(struct bytes *b, const void *bytes, size_t size)
{
	memcpy(b->at + b->size, bytes, size);
	b->size += size;
}

static void put_be16(struct bytes *b, size_t v)
{
	put(b, (const uint8_t[2]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

enum shape {
	ETHERNET,
	ETHERNET_VLAN,
	ETHERNET_PADDED,
	ETHERNET_IPV6,
	ETHERNET_IPV6_OPTIONS,
	RAW,
	RAW_IPV6,
	COOKED,
	COOKED_2,
	LOOPBACK,
	N_SHAPES
};

static const struct {
	uint16_t link_type;
	bool is_ipv6;
} shapes[N_SHAPES] = {
	[ETHERNET] = { 1, false },        [ETHERNET_VLAN] = { 1, false },
	[ETHERNET_PADDED] = { 1, false }, [ETHERNET_IPV6] = { 1, true },
	[RAW] = { 101, false },           [ETHERNET_IPV6_OPTIONS] = { 1, true },
	[RAW_IPV6] = { 229, true },       [COOKED] = { 113, false },
	[COOKED_2] = { 276, false },      [LOOPBACK] = { 0, false },
};

static void put_link(struct bytes *b, enum shape shape)
{
	static const uint8_t zeros[20];
	size_t ether = shapes[shape].is_ipv6 ? 0x86DD : 0x0800;

	switch (shapes[shape].link_type) {
	case 1:
		put(b, zeros, 12);
		if (shape == ETHERNET_VLAN) {
			put(b, "\x88\xA8\0\1\x81\0\0\2", 8);
		}
		put_be16(b, ether);
		break;
	case 113:
		put(b, zeros, 14);
		put_be16(b, ether);
		break;
	case 276:
		put_be16(b, ether);
		put(b, zeros, 18);
		break;
	case 0: put(b, "\2\0\0\0", 4); break;
	default: break;
	}
}

static void put_ip(struct bytes *b, enum shape shape, bool is_to_target, size_t udp_size)
{
	static const uint8_t hosts[2][4] = { { 192, 168, 2, 72 }, { 192, 168, 2, 1 } };
	static const uint8_t options[8] = { 17, 0, 1, 4 };
	uint8_t ip6[16] = { 0xFE, 0x80 };

	if (!shapes[shape].is_ipv6) {
		put(b, "\x45\0", 2);
		put_be16(b, 20 + udp_size);
		put(b, "\0\1\x40\0\x40\x11\0\0", 8);
		put(b, hosts[is_to_target], 4);
		put(b, hosts[!is_to_target], 4);
		return;
	}
	put(b, "\x60\0\0\0", 4);
	put_be16(b, udp_size + (shape == ETHERNET_IPV6_OPTIONS ? 8 : 0));
	put(b, shape == ETHERNET_IPV6_OPTIONS ? "\0\x40" : "\x11\x40", 2);
	ip6[15] = is_to_target ? 1 : 72;
	put(b, ip6, 16);
	ip6[15] = is_to_target ? 72 : 1;
	put(b, ip6, 16);
	if (shape == ETHERNET_IPV6_OPTIONS)
		put(b, options, sizeof options);
}

static struct bytes wrap(enum shape shape, bool is_to_target, const uint8_t *payload, size_t size)
{
	struct bytes b = { 0 };

	put_link(&b, shape);
	put_ip(&b, shape, is_to_target, 8 + size);
	put_be16(&b, 51111);
	put_be16(&b, 51111);
	put_be16(&b, 8 + size);
	put_be16(&b, 0);
	put(&b, payload, size);
	if (shape == ETHERNET_PADDED)
		put(&b, "padding", 7);
	return b;
}

/* --- captures --- */

struct capture {
	char path[128];
	struct kd_pcapng_writer *w;
	uint64_t time;
};

static void begin(struct capture *c, const char *folder, const char *name)
{
	snprintf(c->path, sizeof c->path, "%s/%s", folder, name);
	c->time = 1000000000;
	assert_status(KD_OK, kd_pcapng_writer_create(c->path, "test", NULL, 100, &c->w, &err));
}

static void add(struct capture *c, uint16_t link_type, const struct bytes *b)
{
	struct kd_pcapng_packet p = { .time_ns = c->time += 1000, .data = b->at, .size = b->size };

	assert_status(KD_OK,
		      kd_pcapng_add_interface(c->w, link_type, "eth", NULL, &p.interface_id, &err));
	assert_status(KD_OK, kd_pcapng_write(c->w, &p, &err));
}

static void add_vector(struct capture *c, enum shape shape, const char *name)
{
	uint8_t bytes[KD_NET_DATAGRAM_MAX];
	size_t size = net_vector_bytes(name, bytes);
	bool is_to_target = strstr(name, "response") || strstr(name, "of the debugger") ||
			    strstr(name, "request") || strstr(name, "break-in");
	struct bytes b = wrap(shape, is_to_target, bytes, size);

	add(c, shapes[shape].link_type, &b);
}

static void end(struct capture *c)
{
	assert_status(KD_OK, kd_pcapng_writer_close(c->w, &err));
}

static void add_session(struct capture *c, enum shape shape)
{
	static const char *const names[] = { "V1 poke",
					     "V2 response",
					     "V3 connection check",
					     "V4 RESEND of the debugger",
					     "V5 GetVersion request",
					     "V5 GetVersion reply" };

	for (size_t i = 0; i < KD_ARRAY_LEN(names); i++)
		add_vector(c, shape, names[i]);
}

/* --- what the decoder says --- */

static char said[65536];

static void see(void *context, const struct kd_decode_record *r)
{
	(void)context;
	snprintf(said + strlen(said), sizeof said - strlen(said), "%s%s\n",
		 r->kind == KD_DECODE_NOTE             ? "note "
		 : r->direction == KD_DECODE_TO_TARGET ? "> "
						       : "< ",
		 r->summary);
}

static enum kd_status decode(const char *path, const char *key, const char *plain,
			     struct kd_decode_net_counters *c)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;

	config.fn = see;
	said[0] = err.text[0] = '\0';
	return kd_decode_net_file(path, key, plain, &config, c, &err);
}

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_kd_decode_net.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

/* The same session in every wrapping. */
static void test_shapes(void **state)
{
	(void)state;
	for (enum shape shape = 0; shape < N_SHAPES; shape++) {
		struct kd_decode_net_counters n;
		struct capture c;
		char want[1024], target[64], debugger[64];

		snprintf(target, sizeof target, "%s",
			 shapes[shape].is_ipv6 ? "[fe80::48]:51111" : "192.168.2.72:51111");
		snprintf(debugger, sizeof debugger, "%s",
			 shapes[shape].is_ipv6 ? "[fe80::1]:51111" : "192.168.2.1:51111");
		begin(&c, folder, "shape.pcapng");
		add_session(&c, shape);
		end(&c);
		assert_status(KD_OK, decode(c.path, "8.8.8.8", NULL, &n));
		snprintf(want, sizeof want,
			 "note \"poke of %s, which talks to nobody\"\n"
			 "note \"response of %s, protocol 4: a new session key\"\n"
			 "note \"connection check of %s\"\n"
			 "> KD_RESEND\n"
			 "> GET_VERSION\n"
			 "< GET_VERSION reply",
			 target, debugger, target);
		if (strncmp(said, want, strlen(want)) != 0)
			fail_msg("shape %d: %s", (int)shape, said);
		assert_int_equal(n.frames, 6);
		assert_int_equal(n.datagrams, 6);
		assert_int_equal(n.packets, 3);
		assert_int_equal(n.sessions, 1);
		assert_int_equal(n.unread, 0);
	}
}

static void add_bytes(struct capture *c, uint16_t link_type, const void *bytes, size_t size)
{
	struct bytes b = { 0 };

	put(&b, bytes, size);
	add(c, link_type, &b);
}

/* Everything that can be wrong, and what has nothing to do with it. */
static void add_trouble(struct capture *c)
{
	uint8_t bytes[KD_NET_DATAGRAM_MAX];
	size_t size = net_vector_bytes("V5 GetVersion request", bytes);
	struct bytes b = wrap(ETHERNET, true, bytes, size), cut;

	add(c, 1, &b); /* before its session */
	add_session(c, ETHERNET);
	bytes[20] ^= 1;
	b = wrap(ETHERNET, true, bytes, size);
	add(c, 1, &b);                          /* damaged */
	add_vector(c, ETHERNET, "V6 break-in"); /* of another key */
	b.at[14 + 6] = 0x20;
	add(c, 1, &b); /* a fragment */
	b.at[14 + 6] = 0x40;
	cut = b;
	cut.size -= 3;
	add(c, 1, &cut);  /* cut by the capture */
	add(c, 195, &b);  /* a link type that nobody knows */
	b.at[14 + 9] = 6; /* TCP */
	add(c, 1, &b);
	add_bytes(c, 1, "\0\0\0\0\0\0\0\0\0\0\0\0\x08\x06", 14); /* ARP */
	b = wrap(ETHERNET, true, (const uint8_t *)"a name is asked for, say", 24);
	add(c, 1, &b);
	add_bytes(c, KD_LINKTYPE_USER0, "b", 1);
}

static void test_trouble(void **state)
{
	static const char *const want[] = {
		"note \"frame 1, 192.168.2.1:51111 to 192.168.2.72:51111, 102 bytes of KDNET not "
		"decoded: its session began before the capture, or the key is another one\"\n",
		"note \"frame 8, 192.168.2.1:51111 to 192.168.2.72:51111, 102 bytes of KDNET not "
		"decoded: of a session that began before the capture, with another key, or "
		"damaged\"\n",
		"note \"frame 9, ",
		"note \"frame 10 not decoded: a fragment of an IP packet\"\n",
		"note \"frame 11 not decoded: the frame is cut short\"\n",
		"note \"frame 12 not decoded: a link type other than",
	};
	struct kd_decode_net_counters n;
	struct capture c;

	(void)state;
	begin(&c, folder, "trouble.pcapng");
	add_trouble(&c);
	end(&c);
	assert_status(KD_OK, decode(c.path, "8.8.8.8", NULL, &n));
	for (size_t i = 0; i < KD_ARRAY_LEN(want); i++)
		if (!strstr(said, want[i]))
			fail_msg("not said: %s\nbut:\n%s", want[i], said);
	assert_int_equal(n.frames, 16);
	assert_int_equal(n.unread, KD_ARRAY_LEN(want));
	assert_int_equal(n.datagrams, 9);
	assert_int_equal(n.packets, 3);
}

static void test_refusals(void **state)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct capture c;

	(void)state;
	config.fn = see;
	begin(&c, folder, "other.pcapng");
	add_session(&c, ETHERNET);
	end(&c);
	assert_status(KD_E_MISMATCH, decode(c.path, "secret.2.3.4", NULL, NULL));
	assert_says("none of its 6 KDNET datagrams was made with this key");
	assert_null(strstr(err.text, "secret"));
	assert_null(strstr(said, "secret"));
	assert_status(KD_E_SYNTAX, decode(c.path, "secret.2.3", NULL, NULL));
	assert_null(strstr(err.text, "secret"));
	assert_status(KD_E_NOT_FOUND, decode("/nowhere", "1.2.3.4", NULL, NULL));
	assert_status(KD_E_UNSUPPORTED, kd_decode_file(c.path, &config, &err));
	assert_says("--key");

	begin(&c, folder, "none.pcapng");
	add_bytes(&c, 1, "\0\0\0\0\0\0\0\0\0\0\0\0\x08\x06", 14);
	end(&c);
	assert_status(KD_E_UNSUPPORTED, decode(c.path, "1.2.3.4", NULL, NULL));
	assert_says("no KDNET datagram is in it");
	assert_status(KD_E_UNSUPPORTED, kd_decode_file(c.path, &config, &err));
	assert_says("no recorded KD session");
}

/* The decrypted packets as a recording: any reader takes it, but it is not to be played. */
static void test_plain(void **state)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct kd_decode_net_counters n;
	struct kd_pcapng_reader *reader;
	struct kd_pcapng_packet p;
	struct kd_transport *t;
	struct capture c;
	char plain[128], endpoint[160];
	uint8_t byte;
	size_t size;

	(void)state;
	config.fn = see;
	begin(&c, folder, "a.pcapng");
	add_session(&c, ETHERNET);
	end(&c);
	snprintf(plain, sizeof plain, "%s/plain.pcapng", folder);
	assert_status(KD_OK, decode(c.path, "8.8.8.8", plain, &n));
	said[0] = '\0';
	assert_status(KD_OK, kd_decode_file(plain, &config, &err));
	assert_string_not_equal(said, "");
	assert_int_equal(strncmp(said,
				 "note \"link up\"\n> KD_RESEND\n> GET_VERSION\n< GET_VERSION "
				 "reply",
				 60),
			 0);
	assert_status(KD_OK, kd_pcapng_reader_open(plain, &reader, &err));
	assert_status(KD_OK, kd_pcapng_next(reader, &p, &err));
	assert_int_equal(p.size, 0);
	assert_int_equal(p.link_type, KD_LINKTYPE_USER0);
	assert_string_equal(kd_pcapng_interface_name(reader, p.interface_id), "net:port=51111");
	assert_status(KD_OK, kd_pcapng_next(reader, &p, &err));
	assert_int_equal(p.size, 16);
	assert_int_equal(p.direction, KD_PCAPNG_OUTBOUND);
	assert_int_equal(p.time_ns, 1000000000 + 4 * 1000);
	assert_status(KD_OK, kd_pcapng_next(reader, &p, &err));
	assert_int_equal(p.size, 16 + 56 + 1);
	assert_int_equal(p.data[p.size - 1], KD_BYTE_TRAILER);
	kd_pcapng_reader_destroy(reader);

	snprintf(endpoint, sizeof endpoint, "replay:%s", plain);
	assert_status(KD_OK, kd_transport_open_text(endpoint, NULL, &t, &err));
	assert_status(KD_E_UNSUPPORTED, kd_transport_read(t, &byte, 1, &size, &err));
	assert_says("a KDNET session");
	kd_transport_destroy(t);

	/* Onto itself, by whatever name. */
	snprintf(endpoint, sizeof endpoint, "%s/link.pcapng", folder);
	assert_int_equal(symlink(c.path, endpoint), 0);
	assert_status(KD_E_EXISTS, decode(c.path, "8.8.8.8", endpoint, &n));
	assert_status(KD_OK, decode(c.path, "8.8.8.8", NULL, &n));

	/* Nowhere to write it: said, and nothing is left. */
	assert_status(KD_E_NOT_FOUND, decode(c.path, "8.8.8.8", "/nowhere/x.pcapng", &n));
	/* A wrong key leaves no file. */
	snprintf(plain, sizeof plain, "%s/wrong.pcapng", folder);
	assert_status(KD_E_MISMATCH, decode(c.path, "8.8.8.9", plain, &n));
	assert_int_equal(access(plain, F_OK), -1);
}

/* Each frame at each length: nothing is read behind its end (sanitizers), all of it is needed. */
static void test_cut_frames(void **state)
{
	static const uint8_t payload[4] = { 1, 2, 3, 4 };

	(void)state;
	for (enum shape shape = 0; shape < N_SHAPES; shape++) {
		struct bytes b = wrap(shape, true, payload, sizeof payload);
		size_t whole = b.size - (shape == ETHERNET_PADDED ? 7 : 0);

		for (size_t n = 0; n <= whole; n++) {
			uint8_t *exact = malloc(n ? n : 1);
			struct kd__udp udp;
			const char *why = NULL;
			enum kd_status s;

			memcpy(exact, b.at, n);
			s = kd__udp_frame(shapes[shape].link_type, exact, n, &udp, &why);
			if (s != (n == whole ? KD_OK : KD_E_TRUNCATED))
				fail_msg("shape %d, %zu of %zu: %d", (int)shape, n, whole, s);
			if (s == KD_OK)
				assert_memory_equal(udp.payload, payload, sizeof payload);
			else
				assert_non_null(why);
			free(exact);
		}
	}
}

static void print_json(void *context, const struct kd_decode_record *r)
{
	(void)context;
	if (kd_decode_write_json(stdout, r) != KD_OK)
		exit(1);
}

static int json(void)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct capture c;

	config.fn = print_json;
	set_up(NULL);
	begin(&c, folder, "json.pcapng");
	add_trouble(&c);
	end(&c);
	if (kd_decode_net_file(c.path, "8.8.8.8", NULL, &config, NULL, &err) != KD_OK)
		return 1;
	return tear_down(NULL);
}

/* A capture for the console's tests. */
static int capture(const char *path)
{
	struct capture c;

	begin(&c, "", path);
	add_session(&c, ETHERNET);
	end(&c);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),     cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_refusals),   cmocka_unit_test(test_plain),
		cmocka_unit_test(test_cut_frames),
	};

	if (argc > 1 && strcmp(argv[1], "--json") == 0)
		return json();
	if (argc > 2 && strcmp(argv[1], "--capture") == 0)
		return capture(argv[2]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
