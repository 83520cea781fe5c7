/* SPDX-License-Identifier: MIT */
/* Bad lines: what is lost is what was asked for, and a debugger gets its answers all the same. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/link/link.h"
#include "lib/io/proxy.h"
#include "tests/io/io_debugger.h"

static struct kd_error err;
static const char *proxy_program;

/* --- the damage --- */

static void test_impair(void **state)
{
	enum { N = 1000000 };
	static uint8_t in[N], out[2 * N], again[2 * N];
	static const struct kd_impair_rates rows[] = {
		{ 0 },
		{ .loss = 1000 },
		{ .flip = 1000 },
		{ .duplicate = 1000 },
		{ .loss = 500, .flip = 20000, .duplicate = 3000 },
		{ .loss = 1000000 },
	};

	(void)state;
	io_pattern(in, N, 3);
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		const struct kd_impair_rates *r = &rows[i];
		struct kd_impair a, b;
		size_t n;

		kd_impair_init(&a, 42, r);
		kd_impair_init(&b, 42, r);
		n = kd_impair_apply(&a, in, N, out);
		/* The same seed does the same, in pieces too. */
		assert_int_equal(
			kd_impair_apply(&b, in, 1234, again) +
				kd_impair_apply(&b, in + 1234, N - 1234, again + b.counters.out),
			n);
		assert_memory_equal(out, again, n);
		assert_int_equal(n, N - a.counters.lost + a.counters.duplicated);
		assert_int_equal(a.counters.out, n);
		/* Five sigmas of what was asked for. */
		assert_true(fabs((double)a.counters.lost - r->loss) <= 5 * sqrt(r->loss));
		assert_true(fabs((double)a.counters.flipped - r->flip * (1 - r->loss / 1e6)) <=
			    5 * sqrt(r->flip));
		assert_true(fabs((double)a.counters.duplicated -
				 r->duplicate * (1 - r->loss / 1e6)) <= 5 * sqrt(r->duplicate));
		if (r->flip && !r->loss && !r->duplicate) {
			uint64_t n_bits = 0;

			for (size_t k = 0; k < N; k++)
				n_bits += (uint64_t)__builtin_popcount(in[k] ^ out[k]);
			assert_int_equal(n_bits, a.counters.flipped);
		}
	}
}

/* --- the proxy in this process --- */

struct line {
	struct kd_proxy *proxy;
	struct kd_transport *ends[2];
};

static struct line make_line(uint64_t seed)
{
	struct kd_transport *inner[2];
	struct line l;

	for (int i = 0; i < 2; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		assert_status(KD_OK, kd_transport_fd_create(pair[0], "end", &l.ends[i], &err));
		assert_status(KD_OK, kd_transport_fd_create(pair[1], "inner", &inner[i], &err));
	}
	assert_status(KD_OK, kd_proxy_create(inner[0], inner[1], seed, &l.proxy, &err));
	return l;
}

static void destroy_line(struct line *l)
{
	kd_proxy_destroy(l->proxy);
	kd_transport_destroy(l->ends[0]);
	kd_transport_destroy(l->ends[1]);
}

/* Everything from one end to the other; how much arrived within a while. */
static size_t push_through(struct line *l, int from, const uint8_t *in, size_t size, uint8_t *out,
			   size_t cap)
{
	size_t written = 0, n_read = 0, n, idle = 0;

	while (idle < 3) {
		bool moved = false;

		if (written < size && kd_transport_write(l->ends[from], in + written,
							 size - written, &n, &err) == KD_OK) {
			written += n;
			moved = true;
		}
		assert_status(KD_E_TIMEOUT,
			      kd_proxy_run(l->proxy, kd_now_ns() + KD_NS_PER_MS, NULL, &err));
		while (n_read < cap && kd_transport_read(l->ends[1 - from], out + n_read,
							 cap - n_read, &n, &err) == KD_OK) {
			n_read += n;
			moved = true;
		}
		idle = moved ? 0 : idle + 1;
	}
	assert_int_equal(written, size);
	return n_read;
}

static void test_clean_line(void **state)
{
	enum { N = 4 << 20 };
	static uint8_t in[N], out[N + 1];
	struct line l = make_line(1);
	struct kd_proxy_counters c;

	(void)state;
	io_pattern(in, N, 8);
	for (int from = 0; from < 2; from++) {
		assert_int_equal(push_through(&l, from, in, N, out, sizeof out), N);
		assert_memory_equal(in, out, N);
	}
	kd_proxy_counters(l.proxy, KD_PROXY_UP, &c);
	assert_int_equal(c.bytes.in, N);
	assert_int_equal(c.bytes.out, N);
	assert_int_equal(c.dropped, 0);
	assert_int_equal(c.connections, 1);
	destroy_line(&l);
}

/* Nobody reads at one end: what is held is bounded, the sender is stopped, nothing is lost. */
static void test_back_pressure(void **state)
{
	enum { N = 8 << 20 };
	static uint8_t in[N], out[N];
	struct line l = make_line(1);
	size_t written = 0, n, n_read = 0;
	unsigned idle = 0;

	(void)state;
	io_pattern(in, N, 8);
	while (idle < 5) {
		idle++;
		while (kd_transport_write(l.ends[0], in + written, N - written, &n, &err) ==
		       KD_OK) {
			written += n;
			idle = 0;
		}
		assert_status(KD_E_TIMEOUT,
			      kd_proxy_run(l.proxy, kd_now_ns() + KD_NS_PER_MS, NULL, &err));
	}
	assert_in_range(written, 1 << 20, 3 << 20);
	while (n_read < written) {
		assert_status(KD_E_TIMEOUT,
			      kd_proxy_run(l.proxy, kd_now_ns() + KD_NS_PER_MS, NULL, &err));
		while (kd_transport_read(l.ends[1], out + n_read, N - n_read, &n, &err) == KD_OK)
			n_read += n;
	}
	assert_int_equal(n_read, written);
	assert_memory_equal(in, out, written);
	destroy_line(&l);
}

static void test_one_way_loss(void **state)
{
	enum { N = 1 << 20 };
	static uint8_t in[N], out[N + 1];
	struct line l = make_line(5);
	struct kd_proxy_counters c;
	size_t n;

	(void)state;
	kd_proxy_set_rates(l.proxy, KD_PROXY_DOWN, &(struct kd_impair_rates){ .loss = 10000 });
	assert_int_equal(push_through(&l, 0, in, N, out, sizeof out), N);
	n = push_through(&l, 1, in, N, out, sizeof out);
	kd_proxy_counters(l.proxy, KD_PROXY_DOWN, &c);
	assert_int_equal(n, N - c.bytes.lost);
	assert_in_range(c.bytes.lost, 10000, 11000);
	/* Rates change at once. */
	kd_proxy_set_rates(l.proxy, KD_PROXY_DOWN, &(struct kd_impair_rates){ 0 });
	assert_int_equal(push_through(&l, 1, in, N, out, sizeof out), N);
	destroy_line(&l);
}

static void test_delay(void **state)
{
	struct line l = make_line(1);
	uint64_t start;
	uint8_t buf[16];
	size_t n;

	(void)state;
	kd_proxy_set_delay(l.proxy, KD_PROXY_UP, 60 * (uint64_t)KD_NS_PER_MS);
	io_write_all(l.ends[0], (const uint8_t *)"late", 4);
	start = kd_now_ns();
	while (kd_transport_read(l.ends[1], buf, sizeof buf, &n, &err) == KD_E_AGAIN)
		assert_status(KD_E_TIMEOUT,
			      kd_proxy_run(l.proxy, kd_now_ns() + KD_NS_PER_MS, NULL, &err));
	assert_int_equal(n, 4);
	assert_in_range(kd_now_ns() - start, 60 * (uint64_t)KD_NS_PER_MS,
			(60 + LATE_MS) * (uint64_t)KD_NS_PER_MS);
	/* The other direction is not held. */
	io_write_all(l.ends[1], (const uint8_t *)"soon", 4);
	assert_status(KD_E_TIMEOUT, kd_proxy_run(l.proxy, kd_now_ns() + KD_NS_PER_MS, NULL, &err));
	io_read_all(l.ends[0], buf, 4);
	destroy_line(&l);
}

static void test_end_and_cancel(void **state)
{
	struct line l = make_line(1);
	struct kd_cancel cancel;
	uint8_t buf[4];

	(void)state;
	assert_status(KD_OK, kd_cancel_init(&cancel, &err));
	kd_cancel_trigger(&cancel);
	assert_status(KD_E_CANCELLED, kd_proxy_run(l.proxy, KD_TIME_NEVER, &cancel, &err));
	kd_cancel_deinit(&cancel);
	io_write_all(l.ends[0], (const uint8_t *)"bye", 3);
	kd_transport_destroy(l.ends[0]);
	assert_status(KD_E_CLOSED, kd_proxy_run(l.proxy, KD_TIME_NEVER, NULL, &err));
	io_read_all(l.ends[1], buf, 3);
	l.ends[0] = NULL;
	destroy_line(&l);
}

/* --- the program, between a debugger and a target --- */

static struct io_child start_proxy(const char *from, const char *to)
{
	const char *argv[] = { proxy_program,
			       "--seed",
			       "7",
			       "--command",
			       "loss 0.1%",
			       "--seconds",
			       "100",
			       io_text("unix-listen:%s,reconnect", from),
			       io_text("unix:%s,reconnect", to),
			       NULL };
	struct io_child c = io_spawn(argv);

	io_child_line(&c, "ready");
	return c;
}

static unsigned long number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	assert_non_null(at);
	return strtoul(at + strlen(key), NULL, 10);
}

/*
 * 0.1 % of the bytes lost both ways: about every tenth exchange of this size is damaged. All
 * answers are right, and repeating stays in proportion to the loss.
 */
static void test_debugger_over_a_bad_line(void **state)
{
	enum { REQUESTS = 200, SIZE = 64 };
	struct io_child target = io_fake_target(io_path("vm"), "--stop-at-boot");
	struct io_child proxy = start_proxy(io_path("bad"), io_path("vm"));
	static struct io_debugger d;
	uint8_t want[SIZE], got[SIZE];
	const char *line;
	unsigned long lost;
	uint64_t base, again;

	(void)state;
	io_debugger_init(&d, io_open(io_text("unix:%s", io_path("bad"))));
	io_child_say(&proxy, "loss 0");
	io_debugger_stop(&d);
	base = io_debugger_kernel_base(&d);
	assert_true(io_debugger_read(&d, base, want, SIZE));
	io_child_say(&proxy, "loss 0.1%");
	for (int i = 0; i < REQUESTS; i++) {
		/* ACKed, and its reply lost for good: asked again, as an engine would. */
		struct kd_manipulate m;

		kd_manipulate_init(&m, KD_API_READ_VIRTUAL, 0, d.processor);
		m.u.read_memory.address = base;
		m.u.read_memory.count = SIZE;
		if (!io_debugger_request(&d, &m, 8000))
			fail_msg("request %d: %s", i, d.err.text);
		assert_int_equal(d.reply.hdr.api, KD_API_READ_VIRTUAL);
		assert_int_equal(d.reply.data_size, SIZE);
		memcpy(got, d.reply.data, SIZE);
		assert_memory_equal(got, want, SIZE);
	}
	io_child_say(&proxy, "counters");
	line = io_child_line(&proxy, "{");
	lost = number_after(line, "\"lost\": ") +
	       number_after(strstr(line, "\"down\""), "\"lost\": ");
	again = kd_link_counters(&d.link)->retransmits + kd_link_counters(&d.link)->resends_sent;
	print_message("%d requests, %lu bytes lost, %llu repeated or asked for again\n", REQUESTS,
		      lost, (unsigned long long)again);
	assert_true(lost > 10);
	assert_true(again <= 4 * lost);
	io_debugger_deinit(&d);
	io_child_kill(&proxy, SIGKILL);
	io_child_kill(&target, SIGTERM);
}

static void test_program(void **state)
{
	struct io_child proxy;
	struct io_child target = io_fake_target(io_path("v2"), "--stop-at-boot");
	const char *line;
	int status;

	(void)state;
	/* Nonsense is refused. */
	io_shell(io_text("%s onlyone 2>/dev/null", proxy_program), &status);
	assert_int_equal(status, 2);
	io_shell(io_text("%s unix:/none/a unix:/none/b 2>&1", proxy_program), &status);
	assert_int_equal(status, 1);
	io_shell(io_text("%s --command 'loss 2' pty: pty: 2>/dev/null", proxy_program), &status);
	assert_int_equal(status, 1);

	/* Either end may come and go. */
	proxy = start_proxy(io_path("p2"), io_path("v2"));
	for (int turn = 0; turn < 2; turn++) {
		static struct io_debugger d;

		io_debugger_init(&d, io_open(io_text("unix:%s", io_path("p2"))));
		io_child_say(&proxy, "loss 0");
		io_debugger_stop(&d);
		assert_true(io_debugger_kernel_base(&d) != 0);
		io_debugger_deinit(&d);
		if (turn == 0) {
			io_child_kill(&target, SIGKILL);
			target = io_fake_target(io_path("v2"), "--stop-at-boot");
			usleep(300000);
		}
	}
	io_child_say(&proxy, "counters");
	line = io_child_line(&proxy, "{");
	assert_int_equal(number_after(line, "\"connections\": "), 2);
	assert_int_equal(number_after(strstr(line, "\"down\""), "\"connections\": "), 2);
	/* SIGTERM: the counters, and a good end. */
	kill(proxy.pid, SIGTERM);
	io_child_line(&proxy, "{");
	assert_int_equal(waitpid(proxy.pid, &status, 0), proxy.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	io_child_kill(&target, SIGTERM);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_impair),
		cmocka_unit_test(test_clean_line),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_one_way_loss),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_end_and_cancel),
		cmocka_unit_test(test_debugger_over_a_bad_line),
		cmocka_unit_test(test_program),
	};

	if (argc < 3)
		return 2;
	io_fake_target_program = argv[1];
	proxy_program = argv[2];
	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
