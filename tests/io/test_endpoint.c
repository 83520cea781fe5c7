/* SPDX-License-Identifier: MIT */
/* Endpoint texts: each good row round-trips, each bad one says where and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/endpoint.h"
#include "tests/io/io_check.h"

static struct kd_error err;

#define U KD_ENDPOINT_UNIX
#define S KD_ENDPOINT_SERIAL
#define T KD_ENDPOINT_TCP

/* clang-format off */
static const struct {
	const char *text;
	struct kd_endpoint want;
	const char *canonical; /* NULL: as text */
} good[] = {
	{ "unix:/tmp/x", { .kind = U, .path = "/tmp/x" }, NULL },
	{ "unix:x.sock", { .kind = U, .path = "x.sock" }, NULL },
	{ "UNIX:/tmp/x", { .kind = U, .path = "/tmp/x" }, "unix:/tmp/x" },
	{ "unix:/tmp/x,reconnect", { .kind = U, .path = "/tmp/x", .reconnect = true }, NULL },
	{ "unix:/tmp/x,reconnect=0", { .kind = U, .path = "/tmp/x" }, "unix:/tmp/x" },
	{ "unix:/tmp/x,resets=4,reconnect",
	  { .kind = U, .path = "/tmp/x", .max_resets = 4, .reconnect = true }, NULL },
	{ "unix:/tmp/a,,b", { .kind = U, .path = "/tmp/a,b" }, NULL },
	{ "unix:/tmp/a,,,reconnect", { .kind = U, .path = "/tmp/a,", .reconnect = true }, NULL },
	{ "unix:/tmp/a=b:c", { .kind = U, .path = "/tmp/a=b:c" }, NULL },
	{ "unix:/tmp/\xC3\xA4", { .kind = U, .path = "/tmp/\xC3\xA4" }, NULL },
	{ "unix-listen:/tmp/x", { .kind = KD_ENDPOINT_UNIX_LISTEN, .path = "/tmp/x" }, NULL },
	{ "tcp:localhost:4444", { .kind = T, .path = "localhost", .port = 4444 }, NULL },
	{ "tcp:10.0.0.1:65535", { .kind = T, .path = "10.0.0.1", .port = 65535 }, NULL },
	{ "tcp:[::1]:1", { .kind = T, .path = "::1", .port = 1 }, NULL },
	{ "tcp:[fe80::1%eth0]:1", { .kind = T, .path = "fe80::1%eth0", .port = 1 }, NULL },
	{ "tcp:[host]:1", { .kind = T, .path = "host", .port = 1 }, "tcp:host:1" },
	{ "tcp-listen:0.0.0.0:0", { .kind = KD_ENDPOINT_TCP_LISTEN, .path = "0.0.0.0" }, NULL },
	{ "serial:/dev/ttyS0", { .kind = S, .path = "/dev/ttyS0", .baud = 115200 },
	  "serial:/dev/ttyS0,baud=115200" },
	{ "serial:/dev/ttyUSB1,baud=921600", { .kind = S, .path = "/dev/ttyUSB1", .baud = 921600 },
	  NULL },
	{ "pty:", { .kind = KD_ENDPOINT_PTY }, NULL },
	{ "pty:/dev/pts/3", { .kind = KD_ENDPOINT_PTY, .path = "/dev/pts/3" }, NULL },
	{ "replay:a b.pcapng", { .kind = KD_ENDPOINT_REPLAY, .path = "a b.pcapng" }, NULL },

	{ "com:port=com1", { .kind = S, .path = "/dev/ttyS0", .baud = 115200 },
	  "serial:/dev/ttyS0,baud=115200" },
	{ "com:port=COM12,baud=57600", { .kind = S, .path = "/dev/ttyS11", .baud = 57600 },
	  "serial:/dev/ttyS11,baud=57600" },
	{ "com:port=\\\\.\\com2,baud=19200", { .kind = S, .path = "/dev/ttyS1", .baud = 19200 },
	  "serial:/dev/ttyS1,baud=19200" },
	{ "com:port=/dev/ttyS0,baud=115200", { .kind = S, .path = "/dev/ttyS0", .baud = 115200 },
	  "serial:/dev/ttyS0,baud=115200" },
	{ "com:baud=9600,port=/dev/ttyUSB0", { .kind = S, .path = "/dev/ttyUSB0", .baud = 9600 },
	  "serial:/dev/ttyUSB0,baud=9600" },
	{ "com:pipe,port=/tmp/w.sock,resets=0,reconnect",
	  { .kind = U, .path = "/tmp/w.sock", .reconnect = true }, "unix:/tmp/w.sock,reconnect" },
	{ "com:port=/tmp/w.sock,baud=115200,pipe,reconnect,resets=2",
	  { .kind = U, .path = "/tmp/w.sock", .reconnect = true, .max_resets = 2 },
	  "unix:/tmp/w.sock,resets=2,reconnect" },
	{ "com:pipe,port=\\\\.\\pipe\\com_1", { .kind = U, .path = "/run/t/openkd/com_1" },
	  "unix:/run/t/openkd/com_1" },
	{ "com:ipport=50000,port=10.1.2.3", { .kind = T, .path = "10.1.2.3", .port = 50000 },
	  "tcp:10.1.2.3:50000" },
	{ "com:ipport=5,port=::1", { .kind = T, .path = "::1", .port = 5 }, "tcp:[::1]:5" },
	{ "COM:port=com1", { .kind = S, .path = "/dev/ttyS0", .baud = 115200 },
	  "serial:/dev/ttyS0,baud=115200" },
};

static const struct {
	const char *text;
	enum kd_status status;
	uint64_t where;   /* offset of the offending part */
	const char *says;
} bad[] = {
	{ "", KD_E_SYNTAX, 0, "column 1" },
	{ "unix", KD_E_SYNTAX, 0, "no transport" },
	{ "foo:/x", KD_E_SYNTAX, 0, "\"foo\" at column 1" },
	{ "/tmp/win.sock", KD_E_SYNTAX, 0, "unix:/tmp/win.sock" },
	{ "unix:", KD_E_SYNTAX, 5, "column 6" },
	{ "unix:/x,", KD_E_SYNTAX, 7, "nothing follows the comma at column 8" },
	{ "unix:/x,baud=1", KD_E_SYNTAX, 8, "\"baud\" at column 9 is no option of unix:" },
	{ "unix:/x,foo=1", KD_E_SYNTAX, 8, "known: reconnect, resets" },
	{ "unix:/x,reconnect=yes", KD_E_SYNTAX, 8, "reconnect takes" },
	{ "unix:/x,resets", KD_E_SYNTAX, 8, "resets wants" },
	{ "unix:/x,resets=-1", KD_E_SYNTAX, 8, "resets wants" },
	{ "unix:/a\nb", KD_E_SYNTAX, 7, "control character 0x0A at column 8" },
	{ "ptp\nx", KD_E_SYNTAX, 3, "control character 0x0A at column 4" }, /* found by fuzzing */
	{ "unix:/x,,\x7F", KD_E_SYNTAX, 9, "control character 0x7F at column 10" },
	{ "tcp:", KD_E_SYNTAX, 4, "HOST:PORT" },
	{ "tcp:host", KD_E_SYNTAX, 4, "HOST:PORT is wanted: \"host\" at column 5" },
	{ "tcp:host:", KD_E_SYNTAX, 9, "not a port number" },
	{ "tcp:host:0", KD_E_SYNTAX, 9, "\"0\" at column 10" },
	{ "tcp:host:65536", KD_E_SYNTAX, 9, "not a port number" },
	{ "tcp:host:http", KD_E_SYNTAX, 9, "\"http\" at column 10" },
	{ "tcp::80", KD_E_SYNTAX, 4, "not a host name" },
	{ "tcp:::1:80", KD_E_SYNTAX, 4, "[ADDRESS]" },
	{ "tcp:[::1]", KD_E_SYNTAX, 4, "HOST:PORT" },
	{ "tcp:a b:80", KD_E_SYNTAX, 4, "not a host name" },
	{ "serial:", KD_E_SYNTAX, 7, "wants a path" },
	{ "serial:/dev/ttyS0,baud=fast", KD_E_SYNTAX, 18, "\"baud=fast\" at column 19" },
	{ "serial:/dev/ttyS0,baud=0", KD_E_SYNTAX, 18, "baud wants" },
	{ "serial:/dev/ttyS0,baud=99999999999999999999", KD_E_SYNTAX, 18, "baud wants" },
	{ "replay:x,reconnect", KD_E_SYNTAX, 9, "known: none" },
	{ "com:", KD_E_SYNTAX, 4, "port=" },
	{ "com:pipe", KD_E_SYNTAX, 8, "port=" },
	{ "com:port=com0", KD_E_SYNTAX, 9, "com1..com256" },
	{ "com:port=com257", KD_E_SYNTAX, 9, "com1..com256" },
	{ "com:port=fred", KD_E_SYNTAX, 9, "\"fred\" at column 10" },
	{ "com:port=com1,speed=3", KD_E_SYNTAX, 14, "not this: \"speed=3\" at column 15" },
	{ "com:pipe,port=", KD_E_SYNTAX, 14, "column 15" },
	{ "com:pipe,port=\\\\host\\pipe\\x", KD_E_SYNTAX, 14, "other machines" },
	{ "com:pipe,port=\\\\.\\pipe\\", KD_E_SYNTAX, 14, "not a pipe name" },
	{ "com:pipe,port=\\\\.\\pipe\\..", KD_E_SYNTAX, 14, "not a pipe name" },
	{ "com:pipe,port=\\\\.\\pipe\\a/b", KD_E_SYNTAX, 14, "not a pipe name" },
	{ "com:pipe,port=/x,ipport=5", KD_E_SYNTAX, 24, "exclude" },
	{ "com:ipport=99999,port=h", KD_E_SYNTAX, 11, "not a port number" },
	{ "com:ipport=123456789,port=h", KD_E_SYNTAX, 11, "not a port number" },
	{ "com:ipport=5,port=", KD_E_SYNTAX, 18, "not a host name" },
	{ "net:", KD_E_SYNTAX, 4, "port= is missing" },
	{ "NET:port=50000", KD_E_SYNTAX, 14, "key= is missing" },
	{ "net:key=1.2.3.4", KD_E_SYNTAX, 15, "port= is missing" },
	{ "net:port=0,key=1.2.3.4", KD_E_SYNTAX, 4, "1 to 65535" },
	{ "net:port=x,key=1.2.3.4", KD_E_SYNTAX, 4, "1 to 65535" },
	{ "net:port=50000,key=1.2.3", KD_E_SYNTAX, 15, "the fourth word is missing" },
	{ "net:port=50000,key=1.2.3.4.5", KD_E_SYNTAX, 15, "the fourth word should be the last" },
	{ "net:port=50000,key=1.2..4", KD_E_SYNTAX, 15, "the third word is empty" },
	{ "net:port=50000,key=1.!.3.4", KD_E_SYNTAX, 15, "the second word has a character" },
	{ "net:port=50000,key=3w5e11264sgsg.2.3.4", KD_E_SYNTAX, 15, "the first word is larger" },
	{ "net:port=50000,key", KD_E_SYNTAX, 15, "not an option" },
	{ "net:port=50000,kez=1.2.3.4", KD_E_SYNTAX, 15, "not an option" },
	{ "net:port=50000,key=1.2.3.4,bind=", KD_E_SYNTAX, 27, "bind= wants" },
	{ "net:port=50000,key=1.2.3.4,bind=host", KD_E_SYNTAX, 27, "bind= wants" },
	{ "net:port=50000,key=1.2.3.4,target=x", KD_E_UNSUPPORTED, 27, "let it call" },
	{ "1394:channel=1", KD_E_UNSUPPORTED, 0, "serial" },
	{ "usb:targetname=x", KD_E_UNSUPPORTED, 0, "serial" },
	{ "exdi:CLSID={x}", KD_E_UNSUPPORTED, 0, "unix:" },
	{ "COM:PORT", KD_E_SYNTAX, 4, "\"PORT\" at column 5" },
};
/* clang-format on */

static void assert_same(const struct kd_endpoint *a, const struct kd_endpoint *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_string_equal(a->path, b->path);
	assert_int_equal(a->port, b->port);
	assert_int_equal(a->baud, b->baud);
	assert_int_equal(a->max_resets, b->max_resets);
	assert_int_equal(a->reconnect, b->reconnect);
}

static void test_good(void **state)
{
	char text[KD_ENDPOINT_TEXT_SIZE];
	struct kd_endpoint ep, again;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/t", 1);
	for (size_t i = 0; i < KD_ARRAY_LEN(good); i++) {
		const char *canonical = good[i].canonical ? good[i].canonical : good[i].text;

		assert_status(KD_OK, kd_endpoint_parse(good[i].text, &ep, &err));
		assert_same(&ep, &good[i].want);
		assert_int_equal(kd_endpoint_text(&ep, text, sizeof text), strlen(canonical));
		assert_string_equal(text, canonical);
		assert_status(KD_OK, kd_endpoint_parse(text, &again, &err));
		assert_same(&ep, &again);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(bad); i++) {
		struct kd_endpoint ep = { .kind = 99 };

		err.text[0] = '\0';
		if (kd_endpoint_parse(bad[i].text, &ep, &err) != bad[i].status)
			fail_msg("\"%s\": %s", bad[i].text, err.text);
		assert_int_equal(ep.kind, 99);
		assert_int_equal(err.where, bad[i].where);
		assert_says(bad[i].says);
		assert_null(strchr(err.text, '\n'));
	}
}

/* The canonical form of a net: endpoint shows no key, so it does not parse. */
static void test_net(void **state)
{
	static const struct {
		const char *text, *canonical;
		struct kd_endpoint want;
	} rows[] = {
		{ "net:port=50000,key=1.z.10.3w5e11264sgsf",
		  "net:port=50000",
		  { .port = 50000, .key = "1.z.10.3w5e11264sgsf" } },
		{ "NET:key=1.2.3.4,port=1,bind=127.0.0.1",
		  "net:port=1,bind=127.0.0.1",
		  { .port = 1, .key = "1.2.3.4", .path = "127.0.0.1" } },
		{ "net:port=65535,bind=::1,key=0.0.0.0",
		  "net:port=65535,bind=::1",
		  { .port = 65535, .key = "0.0.0.0", .path = "::1" } },
	};
	char text[KD_ENDPOINT_TEXT_SIZE];
	struct kd_endpoint ep;

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		assert_status(KD_OK, kd_endpoint_parse(rows[i].text, &ep, &err));
		assert_int_equal(ep.kind, KD_ENDPOINT_NET);
		assert_int_equal(ep.port, rows[i].want.port);
		assert_string_equal(ep.path, rows[i].want.path);
		assert_string_equal(ep.key, rows[i].want.key);
		kd_endpoint_text(&ep, text, sizeof text);
		assert_string_equal(text, rows[i].canonical);
	}
}

/* However a net: endpoint is mutilated: no message has a word of its key. */
static void test_key_is_secret(void **state)
{
	static const char whole[] = "net:port=50000,key=secreta.secretb.secretc.secretd,bind=::1";
	static const char damage[] = { ',', '.', '=', '!', ':', ' ', '\0', 'z', '\x01' };
	char text[sizeof whole], shown[KD_ENDPOINT_TEXT_SIZE];
	struct kd_endpoint ep;

	(void)state;
	/* The scheme's name itself may be shown: what is there is no key. */
	for (size_t i = 4; i < sizeof whole - 1; i++)
		for (size_t k = 0; k < KD_ARRAY_LEN(damage); k++) {
			memcpy(text, whole, sizeof text);
			text[i] = damage[k];
			err.text[0] = shown[0] = '\0';
			if (kd_endpoint_parse(text, &ep, &err) == KD_OK)
				kd_endpoint_text(&ep, shown, sizeof shown);
			assert_null(strstr(err.text, "secret"));
			assert_null(strstr(err.text, "ecret"));
			assert_null(strstr(shown, "ecret"));
			assert_true(err.text[0] || shown[0]);
		}
}

/* Every beginning of every row is read or refused, and what is read round-trips. */
static void test_truncations(void **state)
{
	char text[256], back[KD_ENDPOINT_TEXT_SIZE];
	struct kd_endpoint ep, again;

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(good); i++) {
		for (size_t n = 0; n <= strlen(good[i].text); n++) {
			snprintf(text, sizeof text, "%.*s", (int)n, good[i].text);
			if (kd_endpoint_parse(text, &ep, &err) != KD_OK) {
				assert_true(err.where <= n);
				continue;
			}
			kd_endpoint_text(&ep, back, sizeof back);
			assert_status(KD_OK, kd_endpoint_parse(back, &again, &err));
			assert_same(&ep, &again);
		}
	}
}

static void test_limits(void **state)
{
	char text[3000], small[8];
	struct kd_endpoint ep;
	size_t n = strlen("unix:");

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text, "unix:", n);
	text[n + 107] = '\0';
	assert_status(KD_OK, kd_endpoint_parse(text, &ep, &err));
	assert_int_equal(strlen(ep.path), 107);
	/* Cut, terminated, and the whole length told. */
	assert_int_equal(kd_endpoint_text(&ep, small, sizeof small), n + 107);
	assert_string_equal(small, "unix:aa");
	text[n + 107] = 'a';
	text[n + 108] = '\0';
	assert_status(KD_E_SYNTAX, kd_endpoint_parse(text, &ep, &err));
	assert_says("108 bytes");
	assert_says("107");
	text[n + 108] = 'a';
	text[sizeof text - 1] = '\0';
	assert_status(KD_E_SYNTAX, kd_endpoint_parse(text, &ep, &err));
	assert_says("more than 1023 bytes");
	/* The longest path of the longest text: all commas. */
	memset(text, ',', sizeof text);
	memcpy(text, "replay:", 7);
	text[7 + 2 * 1000] = '\0';
	assert_status(KD_OK, kd_endpoint_parse(text, &ep, &err));
	assert_int_equal(strlen(ep.path), 1000);
}

static void test_help(void **state)
{
	size_t n = 0;

	(void)state;
	while (kd_endpoint_help(n)) {
		assert_non_null(strchr(kd_endpoint_help(n), ':'));
		n++;
	}
	assert_int_equal(n, 9); /* eight kinds, and WinDbg's words for three of them */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),        cmocka_unit_test(test_bad),
		cmocka_unit_test(test_net),         cmocka_unit_test(test_key_is_secret),
		cmocka_unit_test(test_truncations), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
