/* SPDX-License-Identifier: MIT */
/*
 * A user of openkd/traffic.h that does what it is told on standard input, a command a line, and
 * answers each with a line of JSON: for tests and benchmarks, which play the network.
 *
 *	traffic_agent ENDPOINT SYMBOLS
 *
 *	start capture|intercept [auto|ram|stops]   hook none|pass|edit SEED
 *	filter TEXT / intercept TEXT               poke EXPRESSION HEX, peek EXPRESSION
 *	mode capture|intercept                     go, break
 *	held, decide ITEM pass|drop|reset          flows, counters, sums
 *	change ITEM HEX, grow ITEM SIZE            inject FLOW in|out HEX|end
 *	stream PATH, unstream, hash PATH           stop, quit
 *
 * The edit hook changes every third payload or so, by a generator that SEED starts, and keeps a sum
 * (NetHash of the guest's programs) of what each flow and direction must have become.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openkd/event.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/traffic.h>

#include "bench/bench_session.h"

enum { FLOWS = 4096, LINE = 1 << 16, SETTLE = 80 /* turns of 5 ms */ };

/* What a flow's direction must have become; by the port of the guest's side. */
struct sum {
	uint64_t flow;
	uint16_t port;
	bool inbound;
	uint64_t size;
	uint32_t hash;
};

static struct kd_session *session;
static struct kd_traffic *traffic;
static struct sum sums[FLOWS];
static size_t n_sums;
static uint64_t seed, edits;
static bool shall_run;

/* --- hooks --- */

static uint32_t next_random(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 11) % below;
}

static struct sum *sum_of(const struct kd_traffic_item *item, const struct kd_traffic_flow *flow)
{
	for (size_t i = 0; i < n_sums; i++)
		if (sums[i].flow == item->flow && sums[i].inbound == item->is_inbound)
			return &sums[i];
	if (n_sums == FLOWS)
		return &sums[0];
	sums[n_sums] = (struct sum){ item->flow, flow->local_port, item->is_inbound, 0, 0 };
	return &sums[n_sums++];
}

static void add_up(struct sum *s, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->hash = s->hash * 0x01000193u + bytes[i];
	s->size += n;
}

/* A break-in that was sent twice stops the target when nobody is there who would go on. */
static void serve(void)
{
	struct kd_event event;

	kd_session_wait(session, 5, &event, NULL);
	if (shall_run && kd_session_state(session) == KD_SESSION_STOPPED)
		kd_session_go(session, KD_GO, NULL);
}

/* Cut, grown, or changed in place. */
static void edit(struct kd_traffic_item *item)
{
	size_t n = item->n_bytes, grown;
	uint8_t *more;

	switch (next_random(9)) {
	case 0: item->n_bytes -= next_random((uint32_t)(n < 100 ? n : 100)); break;
	case 1:
		grown = n + 1 + next_random(200);
		more = grown <= 65536 ? realloc(item->bytes, grown) : NULL;
		if (!more)
			return;
		memset(more + n, 'x', grown - n);
		item->bytes = more;
		item->n_bytes = grown;
		break;
	case 2: item->bytes[next_random((uint32_t)n)] ^= (uint8_t)(1 + next_random(255)); break;
	default: return;
	}
	edits++;
}

static enum kd_hook_answer edit_hook(void *context, struct kd_traffic_item *item,
				     const struct kd_traffic_flow *flow, char *by, size_t by_size)
{
	(void)context;
	snprintf(by, by_size, "edit");
	if (item->n_bytes && !item->is_datagram)
		edit(item);
	add_up(sum_of(item, flow), item->bytes, item->n_bytes);
	return KD_HOOK_PASS;
}

static enum kd_hook_answer pass_hook(void *context, struct kd_traffic_item *item,
				     const struct kd_traffic_flow *flow, char *by, size_t by_size)
{
	(void)context;
	(void)item;
	(void)flow;
	snprintf(by, by_size, "pass");
	return KD_HOOK_PASS;
}

/* --- commands --- */

static void good(enum kd_status s)
{
	if (s == KD_OK) {
		printf("{\"ok\": true}\n");
		return;
	}
	printf("{\"ok\": false, \"status\": %d, \"where\": %" PRIu64 ", \"text\": \"", s,
	       bench_err.where);
	for (const char *c = bench_err.text; *c; c++)
		printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	printf("\"}\n");
}

static size_t from_hex(const char *hex, uint8_t *bytes, size_t room)
{
	size_t n = 0;

	for (unsigned v; n < room && sscanf(hex + 2 * n, "%2x", &v) == 1; n++)
		bytes[n] = (uint8_t)v;
	return n;
}

static void do_start(char *rest)
{
	struct kd_traffic_options options = KD_TRAFFIC_OPTIONS_INIT;
	enum kd_status s;

	options.mode = strstr(rest, "intercept") ? KD_TRAFFIC_INTERCEPT : KD_TRAFFIC_CAPTURE;
	options.channel = strstr(rest, "stops") ? KD_TRAFFIC_STOPS
			  : strstr(rest, "ram") ? KD_TRAFFIC_RAM
						: KD_TRAFFIC_AUTO;
	s = kd_traffic_start(session, &options, &traffic, &bench_err);
	for (int i = 0; shall_run && i < SETTLE; i++)
		serve();
	good(s);
}

static void do_hook(char *rest)
{
	kd_traffic_remove_hook(traffic, edit_hook, NULL);
	kd_traffic_remove_hook(traffic, pass_hook, NULL);
	n_sums = 0;
	edits = 0;
	if (strncmp(rest, "pass", 4) == 0) {
		good(kd_traffic_add_hook(traffic, pass_hook, NULL, &bench_err));
	} else if (strncmp(rest, "edit", 4) == 0) {
		seed = strtoull(rest + 4, NULL, 10) * 2654435761u + 1;
		good(kd_traffic_add_hook(traffic, edit_hook, NULL, &bench_err));
	} else {
		good(KD_OK);
	}
}

static void do_filter(char *rest)
{
	good(kd_traffic_set_filter(traffic, rest, NULL, &bench_err));
}

static void do_intercept(char *rest)
{
	good(kd_traffic_set_filter(traffic, NULL, rest, &bench_err));
}

static void do_poke(char *rest)
{
	char *hex = strchr(rest, ' ');
	uint8_t bytes[512];
	uint64_t address;
	size_t n;
	enum kd_status s;

	if (!hex)
		return good(KD_E_SYNTAX);
	*hex++ = '\0';
	n = from_hex(hex, bytes, sizeof bytes);
	s = kd_expression_evaluate(session, rest, NULL, &address, &bench_err);
	good(s == KD_OK ? kd_memory_write(session, address, bytes, n, NULL, &bench_err) : s);
}

static void do_peek(char *rest)
{
	uint8_t bytes[512];
	uint64_t address;
	size_t n = 96;
	enum kd_status s = kd_expression_evaluate(session, rest, NULL, &address, &bench_err);

	if (s == KD_OK)
		s = kd_memory_read(session, address, bytes, n, NULL, &bench_err);
	if (s != KD_OK)
		return good(s);
	printf("{\"ok\": true, \"bytes\": \"");
	for (size_t i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	printf("\"}\n");
}

static void do_go(char *rest)
{
	(void)rest;
	shall_run = true;
	good(kd_session_go(session, KD_GO, &bench_err));
}

static void do_break(char *rest)
{
	(void)rest;
	shall_run = false;
	if (kd_session_state(session) != KD_SESSION_STOPPED) {
		kd_session_break_in(session);
		bench_wait_stop(session);
	}
	good(KD_OK);
}

static void do_flows(char *rest)
{
	struct kd_traffic_flow *flows;
	size_t n;

	(void)rest;
	if (kd_traffic_flows(traffic, &flows, &n, &bench_err) != KD_OK)
		return good(bench_err.status);
	printf("{\"ok\": true, \"flows\": [");
	for (size_t i = 0; i < n; i++)
		printf("%s{\"id\": %" PRIu64 ", \"process\": \"%s\", \"pid\": %u, \"family\": %u, "
		       "\"protocol\": %u, \"local_port\": %u, \"remote_port\": %u, \"out\": "
		       "%" PRIu64 ", \"in\": %" PRIu64
		       ", \"held\": %u, \"is_open\": %s, \"is_loopback\": %s}",
		       i ? ", " : "", flows[i].id, flows[i].process, flows[i].pid, flows[i].family,
		       flows[i].protocol, flows[i].local_port, flows[i].remote_port,
		       flows[i].bytes_out, flows[i].bytes_in, flows[i].held,
		       flows[i].state == KD_TRAFFIC_FLOW_OPEN ? "true" : "false",
		       flows[i].is_loopback ? "true" : "false");
	printf("]}\n");
	free(flows);
}

static void do_mode(char *rest)
{
	good(kd_traffic_set_mode(
		traffic, strstr(rest, "intercept") ? KD_TRAFFIC_INTERCEPT : KD_TRAFFIC_CAPTURE,
		&bench_err));
}

static void print_held(uint64_t id, bool is_first)
{
	struct kd_traffic_item item;

	if (kd_traffic_item_get(traffic, id, &item, &bench_err) != KD_OK)
		return;
	printf("%s{\"id\": %" PRIu64 ", \"flow\": %" PRIu64
	       ", \"inbound\": %s, \"size\": %zu, \"is_end\": %s, \"pid\": %u}",
	       is_first ? "" : ", ", item.id, item.flow, item.is_inbound ? "true" : "false",
	       item.n_bytes, item.is_end ? "true" : "false", item.pid);
	free(item.bytes);
}

static void do_held(char *rest)
{
	uint64_t *ids;
	size_t n;

	(void)rest;
	if (kd_traffic_held(traffic, &ids, &n, &bench_err) != KD_OK)
		return good(bench_err.status);
	printf("{\"ok\": true, \"items\": [");
	for (size_t i = 0; i < n; i++)
		print_held(ids[i], i == 0);
	printf("]}\n");
	free(ids);
}

static void do_decide(char *rest)
{
	uint64_t id = strtoull(rest, &rest, 10);
	enum kd_verdict verdict = strstr(rest, "drop")    ? KD_VERDICT_DROP
				  : strstr(rest, "reset") ? KD_VERDICT_RESET
							  : KD_VERDICT_PASS;

	good(kd_traffic_decide(traffic, id, verdict, NULL, &bench_err));
}

static void do_change(char *rest)
{
	static uint8_t bytes[LINE];
	uint64_t id = strtoull(rest, &rest, 10);
	size_t n = from_hex(rest + strspn(rest, " "), bytes, sizeof bytes);

	good(kd_traffic_edit(traffic, id, bytes, n, &bench_err));
}

static void do_grow(char *rest)
{
	uint64_t id = strtoull(rest, &rest, 10);
	size_t n = strtoul(rest, NULL, 10);
	uint8_t *bytes = calloc(1, n + 1);

	if (!bytes)
		return good(KD_E_NO_MEMORY);
	good(kd_traffic_edit(traffic, id, bytes, n, &bench_err));
	free(bytes);
}

static void do_inject(char *rest)
{
	static uint8_t bytes[LINE];
	uint64_t flow = strtoull(rest, &rest, 10);
	bool is_inbound = strncmp(rest, " in ", 4) == 0, is_end = strstr(rest, "end") != NULL;
	size_t n = 0;

	if (!is_end && strlen(rest) > 4)
		n = from_hex(rest + (is_inbound ? 4 : 5), bytes, sizeof bytes);
	good(kd_traffic_inject(traffic, flow, is_inbound, bytes, n, is_end, &bench_err));
}

static void do_counters(char *rest)
{
	struct kd_traffic_counters c;

	(void)rest;
	kd_traffic_counters(traffic, &c);
	printf("{\"ok\": true, \"items\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"shown\": %" PRIu64
	       ", \"shown_bytes\": %" PRIu64 ", \"held\": %" PRIu64 ", \"held_now\": %" PRIu64
	       ", \"passed\": %" PRIu64 ", \"edited\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"auto\": %" PRIu64 ", \"silence\": %" PRIu64 ", \"inject_errors\": %" PRIu64
	       ", \"refused\": %" PRIu64 ", \"deferred\": %" PRIu64 ", \"wait_ns\": %" PRIu64
	       ", \"wait_ns_p99\": %" PRIu64 ", \"edits\": %" PRIu64 ", \"is_alive\": %s"
	       ", \"lost_bytes\": %" PRIu64 ", \"held_bytes\": %" PRIu64 ", \"flows_now\": %" PRIu64
	       ", \"late\": %" PRIu64 ", \"ended\": %" PRIu64 ", \"dropped\": %" PRIu64
	       ", \"reset\": %" PRIu64 ", \"injected\": %" PRIu64 "}\n",
	       c.items, c.bytes, c.shown, c.shown_bytes, c.held, c.held_now, c.passed, c.edited,
	       c.lost, c.auto_timeout + c.auto_memory + c.auto_silence + c.auto_ring,
	       c.auto_silence, c.inject_errors, c.refused, c.deferred, c.wait_ns_median,
	       c.wait_ns_p99, edits, c.is_alive ? "true" : "false", c.lost_bytes, c.held_bytes,
	       c.flows_now, c.late, c.ended, c.dropped, c.reset, c.injected);
}

static void do_sums(char *rest)
{
	(void)rest;
	printf("{\"ok\": true, \"sums\": [");
	for (size_t i = 0; i < n_sums; i++)
		printf("%s{\"flow\": %" PRIu64 ", \"port\": %u, \"inbound\": %s, \"size\": %" PRIu64
		       ", \"hash\": %u}",
		       i ? ", " : "", sums[i].flow, sums[i].port,
		       sums[i].inbound ? "true" : "false", sums[i].size, sums[i].hash);
	printf("]}\n");
}

/* Of a file, as the sums are. */
static void do_hash(char *rest)
{
	static uint8_t bytes[1 << 20];
	FILE *f = fopen(rest, "rb");
	struct sum s = { 0 };

	if (!f)
		return good(KD_E_NOT_FOUND);
	for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
		add_up(&s, bytes, n);
	fclose(f);
	printf("{\"ok\": true, \"size\": %" PRIu64 ", \"hash\": %u}\n", s.size, s.hash);
}

static unsigned stream;

static void do_stream(char *rest)
{
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;

	options.path = rest;
	good(kd_traffic_add_stream(traffic, &options, &stream, &bench_err));
}

static void do_unstream(char *rest)
{
	(void)rest;
	good(kd_traffic_remove_stream(traffic, stream, &bench_err));
}

static void do_stop(char *rest)
{
	(void)rest;
	kd_traffic_stop(traffic);
	traffic = NULL;
	good(KD_OK);
}

static const struct {
	const char *name;
	void (*run)(char *rest);
	bool needs_traffic;
} commands[] = {
	{ "start", do_start, false },  { "hook", do_hook, true },
	{ "filter", do_filter, true }, { "intercept", do_intercept, true },
	{ "poke", do_poke, false },    { "peek", do_peek, false },
	{ "go", do_go, false },        { "break", do_break, false },
	{ "flows", do_flows, true },   { "counters", do_counters, true },
	{ "sums", do_sums, true },     { "mode", do_mode, true },
	{ "held", do_held, true },     { "decide", do_decide, true },
	{ "change", do_change, true }, { "grow", do_grow, true },
	{ "inject", do_inject, true }, { "hash", do_hash, false },
	{ "stream", do_stream, true }, { "unstream", do_unstream, true },
	{ "stop", do_stop, true },
};

static void obey(char *line)
{
	size_t n = strcspn(line, " ");
	char *rest = line + n + strspn(line + n, " ");

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strlen(commands[i].name) == n && strncmp(line, commands[i].name, n) == 0) {
			if (commands[i].needs_traffic && !traffic)
				break;
			commands[i].run(rest);
			return;
		}
	printf("{\"ok\": false, \"text\": \"not understood\"}\n");
}

/* Between commands the session is served: the target may stop, say something, be lost. */
static bool wait_for_line(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	while (poll(&p, 1, 0) == 0) {
		serve();
		for (struct kd_traffic_event e; traffic && kd_traffic_next_event(traffic, &e);)
			if (e.kind == KD_TRAFFIC_EVENT_NOTICE || e.kind == KD_TRAFFIC_EVENT_ENDED)
				fprintf(stderr, "traffic: %s\n", e.text);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	static char line[LINE];

	if (argc != 3) {
		fprintf(stderr, "usage: traffic_agent ENDPOINT SYMBOLS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	options.symbol_path = argv[2];
	session = bench_attach(argv[1], &options);
	printf("{\"ok\": true}\n");
	while (wait_for_line() && fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "quit") == 0)
			break;
		obey(line);
	}
	kd_traffic_stop(traffic);
	kd_session_destroy(session);
	return 0;
}
