/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/link_script.h"

#include "core/link/link_internal.h"
#include "lib/base.h"

enum { TEXT_SIZE = 1024, MAX_WAITING = 64 };

struct run {
	const struct link_case *c;
	struct kd_link link;
	uint64_t now;
	size_t piece;
	const char *line; /* for messages */
	int line_size;
	char events[MAX_WAITING][TEXT_SIZE];
	size_t n_events;
	uint8_t out[1 << 16];
	size_t out_size;
};

static void fail_line(const struct run *r, const char *fmt, ...) KD_PRINTF(2, 3);

static void fail_line(const struct run *r, const char *fmt, ...)
{
	char text[4 * TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_msg("%s (pieces of %zu): at \"%.*s\": %s", r->c->name, r->piece, r->line_size, r->line,
		 text);
}

/* \xNN and \n to bytes. */
static size_t unescape(uint8_t *out, const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] == 'x') {
			char hex[3] = { text[2], text[3], 0 };

			out[n++] = (uint8_t)strtoul(hex, NULL, 16);
			text += 3;
		} else if (text[0] == '\\' && text[1] == 'n') {
			out[n++] = '\n';
			text++;
		} else {
			out[n++] = (uint8_t)*text;
		}
	}
	return n;
}

static void escape(char *out, size_t cap, const uint8_t *bytes, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size && n + 5 < cap; i++) {
		if (bytes[i] == '\n')
			n += (size_t)sprintf(out + n, "\\n");
		else if (isprint(bytes[i]) && bytes[i] != '\\')
			out[n++] = (char)bytes[i];
		else
			n += (size_t)sprintf(out + n, "\\x%02x", bytes[i]);
	}
	out[n] = 0;
}

/* Independent of the codec under test. */
static void put_le(uint8_t *p, uint64_t v, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static size_t build_data(uint8_t *out, unsigned type, uint32_t id, const char *text)
{
	size_t size = unescape(out + 16, text);
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += out[16 + i];
	memset(out, '0', 4);
	put_le(out + 4, type, 2);
	put_le(out + 6, size, 2);
	put_le(out + 8, id, 4);
	put_le(out + 12, sum, 4);
	if (size)
		out[16 + size++] = 0xAA;
	return 16 + size;
}

static size_t build_control(uint8_t *out, unsigned type, uint32_t id)
{
	memset(out, 0, 16);
	memset(out, 'i', 4);
	out[4] = (uint8_t)type;
	put_le(out + 8, id, 4);
	return 16;
}

static size_t build_raw(uint8_t *out, const char *hex)
{
	size_t n = 0;
	unsigned byte;
	int used;

	while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
		out[n++] = (uint8_t)byte;
		hex += used;
	}
	return n;
}

static size_t build(const struct run *r, uint8_t *out, const char *spec)
{
	unsigned type, id;
	int used = 0;

	if (sscanf(spec, "data %u %x %n", &type, &id, &used) == 2 && used)
		return build_data(out, type, id, spec + used);
	if (sscanf(spec, "ack %x", &id) == 1)
		return build_control(out, 4, id);
	if (!strcmp(spec, "resend"))
		return build_control(out, 5, 0);
	if (!strcmp(spec, "reset"))
		return build_control(out, 6, 0);
	if (!strcmp(spec, "break"))
		return unescape(out, "b");
	if (!strncmp(spec, "raw ", 4))
		return build_raw(out, spec + 4);
	if (!strncmp(spec, "text ", 5))
		return unescape(out, spec + 5);
	fail_line(r, "unknown packet");
	return 0;
}

/* `cut=3 lose=0 ... data 3 80800000 x`: the bytes as they arrive. */
static size_t build_damaged(const struct run *r, uint8_t *out, const char *spec)
{
	size_t cut = SIZE_MAX, lose = SIZE_MAX, size;
	int sum = 0, trailer = -1, junk = -1, used;
	unsigned n;

	for (;; spec += used) {
		used = 0;
		if (sscanf(spec, "cut=%u %n", &n, &used) == 1 && used)
			cut = n;
		else if (sscanf(spec, "lose=%u %n", &n, &used) == 1 && used)
			lose = n;
		else if (sscanf(spec, "sum=%d %n", &sum, &used) == 1 && used)
			continue;
		else if (sscanf(spec, "trail=%x %n", &n, &used) == 1 && used)
			trailer = (int)n;
		else if (sscanf(spec, "junk=%x %n", &n, &used) == 1 && used)
			junk = (int)n;
		else
			break;
	}
	size = build(r, out, spec);
	if (sum)
		out[12] = (uint8_t)(out[12] + sum);
	if (trailer >= 0)
		out[size - 1] = (uint8_t)trailer;
	if (junk >= 0)
		memset(out + 6, junk, 10);
	if (lose < size) {
		memmove(out + lose, out + lose + 1, size - lose - 1);
		size--;
	}
	return cut < size ? cut : size;
}

static void check(const struct run *r)
{
	const char *broken = kd__link_check(&r->link);

	if (broken)
		fail_line(r, "invariant: %s", broken);
}

static void note_event(struct run *r, const struct kd_link_event *ev)
{
	static const char *const names[] = {
		[KD_LINK_ACKED] = "acked",
		[KD_LINK_GAVE_UP] = "gave-up",
		[KD_LINK_RESEND_ASKED] = "resend-asked",
		[KD_LINK_RESET_SEEN] = "reset-seen",
		[KD_LINK_BREAKIN] = "breakin",
		[KD_LINK_RESTARTED] = "restarted",
	};
	char text[TEXT_SIZE - 32];
	char *out = r->events[r->n_events];

	assert_true(r->n_events < MAX_WAITING);
	r->n_events++;
	escape(text, sizeof(text), ev->payload, ev->length);
	if (ev->kind == KD_LINK_PACKET)
		snprintf(out, TEXT_SIZE, "%s %u %08x %s", ev->repeat ? "repeat" : "packet",
			 ev->type, ev->id, text);
	else if (ev->kind == KD_LINK_NOISE)
		snprintf(out, TEXT_SIZE, "noise %s", text);
	else
		snprintf(out, TEXT_SIZE, "%s", names[ev->kind]);
}

static void collect(struct run *r)
{
	struct kd_link_event ev;
	const uint8_t *bytes;
	size_t size;

	check(r);
	while (kd_link_next_event(&r->link, &ev))
		note_event(r, &ev);
	check(r);
	while ((bytes = kd_link_next_output(&r->link, &size))) {
		size = size < r->piece ? size : r->piece;
		assert_true(r->out_size + size <= sizeof(r->out));
		memcpy(r->out + r->out_size, bytes, size);
		r->out_size += size;
		kd_link_output_done(&r->link, size, r->now);
		check(r);
	}
}

static void feed(struct run *r, const char *spec)
{
	uint8_t bytes[8192];
	size_t size = build_damaged(r, bytes, spec), done = 0;

	while (done < size) {
		size_t n = size - done < r->piece ? size - done : r->piece;

		done += kd_link_feed(&r->link, bytes + done, n, r->now);
		collect(r);
	}
}

static void pass(struct run *r, uint64_t ms)
{
	uint64_t until = r->now + ms * KD_NS_PER_MS;

	for (;;) {
		uint64_t due = kd_link_deadline(&r->link);

		if (due > until)
			break;
		r->now = due > r->now ? due : r->now;
		kd_link_timeout(&r->link, r->now);
		collect(r);
	}
	r->now = until;
}

static void send(struct run *r, const char *spec, bool abandonable, enum kd_status want)
{
	uint8_t payload[4096];
	unsigned type;
	int used = 0;
	size_t size, half;

	if (sscanf(spec, "%u %n", &type, &used) != 1)
		fail_line(r, "send what?");
	size = unescape(payload, spec + used);
	half = size / 2;
	if (kd_link_send(&r->link, (uint16_t)type, payload, half, payload + half, size - half,
			 abandonable, r->now) != want)
		fail_line(r, "kd_link_send() says something else");
}

static void poll_byte(struct run *r, const char *spec)
{
	unsigned byte;
	char answer[8];

	assert_int_equal(sscanf(spec, "%x %7s", &byte, answer), 2);
	if (kd_link_poll_byte(&r->link, (uint8_t)byte, r->now) != !strcmp(answer, "yes"))
		fail_line(r, "not %s", answer);
}

static void call(struct run *r, const char *verb)
{
	if (!strncmp(verb, "send ", 5))
		send(r, verb + 5, false, KD_OK);
	else if (!strncmp(verb, "print ", 6))
		send(r, verb + 6, true, KD_OK);
	else if (!strncmp(verb, "busy ", 5))
		send(r, verb + 5, false, KD_E_BUSY);
	else if (!strncmp(verb, "poll ", 5))
		poll_byte(r, verb + 5);
	else if (!strncmp(verb, "want ", 5))
		kd_link_want(&r->link, (uint16_t)atoi(verb + 5));
	else if (!strcmp(verb, "cancel"))
		kd_link_cancel(&r->link);
	else if (!strcmp(verb, "break"))
		kd_link_break_in(&r->link, r->now);
	else if (!strcmp(verb, "reset"))
		kd_link_reset(&r->link, r->now);
	else if (!strcmp(verb, "resend"))
		kd_link_ask_resend(&r->link, r->now);
	else if (!strcmp(verb, "restart"))
		kd_link_restart(&r->link, r->now);
	else
		fail_line(r, "unknown verb");
	collect(r);
}

static void expect_output(struct run *r, const char *spec)
{
	uint8_t want[8192];
	char got_text[TEXT_SIZE];
	size_t size = build(r, want, spec);

	escape(got_text, sizeof(got_text), r->out, r->out_size < 64 ? r->out_size : 64);
	if (r->out_size < size || memcmp(want, r->out, size))
		fail_line(r, "sent instead: %s", r->out_size ? got_text : "nothing");
	r->out_size -= size;
	memmove(r->out, r->out + size, r->out_size);
}

static void expect_event(struct run *r, const char *text)
{
	if (!r->n_events)
		fail_line(r, "no event");
	if (strcmp(r->events[0], text) != 0)
		fail_line(r, "event instead: %s", r->events[0]);
	r->n_events--;
	memmove(r->events[0], r->events[1], r->n_events * sizeof(r->events[0]));
}

static void expect_counter(struct run *r, const char *text)
{
#define ROW(name)                                              \
	{                                                      \
#name, offsetof(struct kd_link_counters, name) \
	}
	static const struct {
		const char *name;
		size_t off;
	} rows[] = {
		ROW(rx_packets),    ROW(tx_packets),    ROW(retransmits),     ROW(acks_sent),
		ROW(resends_sent),  ROW(resets_sent),   ROW(acks_seen),       ROW(resends_seen),
		ROW(resets_seen),   ROW(implicit_acks), ROW(duplicates),      ROW(wrong_types),
		ROW(odd_ids),       ROW(given_up),      ROW(checksum_errors), ROW(trailer_errors),
		ROW(header_errors), ROW(gap_timeouts),  ROW(noise_bytes),     ROW(breakins),
	};
#undef ROW
	char name[32];
	unsigned long want;

	assert_int_equal(sscanf(text, "%31s %lu", name, &want), 2);
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		uint64_t got;

		if (strcmp(rows[i].name, name) != 0)
			continue;
		memcpy(&got, (const char *)kd_link_counters(&r->link) + rows[i].off, sizeof(got));
		if (got != want)
			fail_line(r, "it stands at %llu", (unsigned long long)got);
		return;
	}
	fail_line(r, "unknown counter");
}

static void nothing_unsaid(struct run *r)
{
	char text[TEXT_SIZE];

	escape(text, sizeof(text), r->out, r->out_size < 64 ? r->out_size : 64);
	if (r->n_events)
		fail_line(r, "before it, unexpected event: %s", r->events[0]);
	if (r->out_size)
		fail_line(r, "before it, unexpectedly sent: %s", text);
}

static void run_line(struct run *r, const char *line)
{
	const char *rest = line + 2;

	if (strchr("<!+", line[0]))
		nothing_unsaid(r);
	switch (line[0]) {
	case '<': feed(r, rest); break;
	case '>': expect_output(r, rest); break;
	case '!': call(r, rest); break;
	case '=': expect_event(r, rest); break;
	case '+': pass(r, (uint64_t)atoi(rest)); break;
	case '?': expect_counter(r, rest); break;
	default: fail_line(r, "unknown line");
	}
}

void link_script_run(const struct link_case *c, size_t piece)
{
	static struct run r;
	struct kd_link_config cfg;
	char line[TEXT_SIZE];

	memset(&r, 0, sizeof(r));
	r.c = c;
	r.piece = piece;
	r.now = 1000 * (uint64_t)KD_NS_PER_MS;
	kd_link_config_init(&cfg, c->role, false);
	kd_link_init(&r.link, &cfg);
	for (const char *p = c->script; *p; p += r.line_size + 1) {
		r.line = p;
		r.line_size = (int)strcspn(p, "\n");
		assert_true((size_t)r.line_size < sizeof(line));
		memcpy(line, p, (size_t)r.line_size);
		line[r.line_size] = 0;
		run_line(&r, line);
	}
	r.line = "the end";
	r.line_size = 7;
	nothing_unsaid(&r);
}
