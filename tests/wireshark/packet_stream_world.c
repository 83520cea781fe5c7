/* SPDX-License-Identifier: MIT */
/*
 * A world of conversations, written by lib/shark/packet_stream.c for test_packet_stream.py to read:
 *
 *	packet_stream_world FILE SEED [ROTATE-SIZE KEEP]
 *
 * Prints a line of JSON for each conversation: what must be found in the file. The bytes of a
 * direction are a pattern that goes on from payload to payload, so that each has one right place.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/traffic.h>

#include "core/probe/probe.h"
#include "lib/shark/packet_stream.h"

enum { CONVERSATIONS = 24, STEPS = 24, SLOT = 3, TCP_MAX = 65536, UDP_4 = 65507, UDP_6 = 65527 };

enum ending { OPEN, FINS, RESET, CLOSED };

struct talk {
	struct kd__conversation *c;
	uint64_t bytes[2], items[2], segments[2], edited, held;
	bool is_over[2];
	enum ending ending;
};

static uint64_t state;

static uint32_t dice(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

static uint8_t pattern(int talk, int direction, uint64_t at)
{
	return (uint8_t)(at * 7 + at / 256 * 13 + (unsigned)talk * 31 + (unsigned)direction * 101);
}

/* Around every edge that there is: a byte, segments and their multiples, all there may be. */
static size_t choose_size(const struct kd_probe_facts *f)
{
	size_t segment = f->family == 4 ? 1460 : 1440;
	size_t max = f->protocol == 6 ? TCP_MAX : f->family == 4 ? UDP_4 : UDP_6;
	size_t sizes[] = { 1,
			   2,
			   segment - 1,
			   segment,
			   segment + 1,
			   2 * segment,
			   7 * segment,
			   max,
			   max - 1,
			   1 + dice(3000),
			   1 + dice(200),
			   f->protocol == 6 ? 3 : 0 };

	return sizes[dice(sizeof sizes / sizeof sizes[0])];
}

static void begin(struct talk *t, int i)
{
	static const char path[] = "\\device\\harddiskvolume1\\a program with a long name.exe";
	struct kd_probe_facts f = { .family = i & 1 ? 6 : 4,
				    .protocol = i & 2 ? 17 : 6,
				    .direction = i & 4 ? KD_PROBE_IN : KD_PROBE_OUT,
				    .local_port = (uint16_t)(20000 + i),
				    .remote_port = (uint16_t)(30000 + i),
				    .pid = 1000 + (uint32_t)i,
				    .path_size = sizeof path - 1,
				    .path = (const uint8_t *)path };

	f.local[0] = f.remote[0] = f.family == 4 ? 10 : 0xFD;
	f.local[3] = f.local[15] = 1;
	f.remote[3] = f.remote[15] = 2;
	*t = (struct talk){ .c = kd__conversation_create(&f), .ending = (enum ending)(i / 8 % 4) };
}

static void put(struct kd__packet_stream *s, struct kd__entry *e)
{
	static uint64_t item, time_ns = UINT64_C(1700000000000000000);
	struct kd_error err;

	e->item = ++item;
	e->time_ns = time_ns += 1000 + dice(1000000);
	e->pid = e->conversation->facts.pid;
	if (kd__packet_stream_put(s, e, &err) != KD_OK) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
}

/* A payload: perhaps held before, perhaps changed on its way, perhaps dropped after all. */
static void put_payload(struct kd__packet_stream *s, struct talk *t, int i)
{
	static uint8_t bytes[TCP_MAX];
	const struct kd_probe_facts *f = &t->c->facts;
	enum kd_probe_direction d = dice(2) ? KD_PROBE_IN : KD_PROBE_OUT;
	struct kd__entry e = { .kind = KD__ENTRY_DATA,
			       .conversation = t->c,
			       .direction = d,
			       .flow = (uint64_t)i + 1,
			       .bytes = bytes,
			       .size = choose_size(f),
			       .verdict = "pass" };
	size_t segment = f->family == 4 ? 1460 : 1440;

	if (t->is_over[d])
		return;
	e.original_size = e.size;
	if (dice(4) == 0) { /* held: other bytes than what goes on */
		memset(bytes, 0xEE, e.size);
		e.kind = KD__ENTRY_HELD;
		e.verdict = dice(3) ? "held" : "dropped";
		put(s, &e);
		t->held++;
		if (strcmp(e.verdict, "dropped") == 0)
			return;
		e.kind = KD__ENTRY_DATA;
		e.is_edited = true;
		e.original_size = e.size + 5;
		e.verdict = "edited";
		e.by = "mutator:x seed=1";
		t->edited++;
	}
	for (size_t k = 0; k < e.size; k++)
		bytes[k] = pattern(i, d, t->bytes[d] + k);
	t->bytes[d] += e.size;
	t->items[d]++;
	t->segments[d] += f->protocol == 6 ? (e.size + segment - 1) / segment : 1;
	put(s, &e);
}

static void end(struct kd__packet_stream *s, struct talk *t, int i)
{
	struct kd__entry e = { .conversation = t->c, .flow = (uint64_t)i + 1, .verdict = "pass" };

	for (int d = 0; t->ending == FINS && d < 2; d++) {
		e.kind = KD__ENTRY_END;
		e.direction = d ? KD_PROBE_IN : KD_PROBE_OUT;
		put(s, &e);
		put(s, &e); /* told twice: shown once */
	}
	if (t->ending == RESET) {
		e.kind = KD__ENTRY_RESET;
		e.direction = KD_PROBE_IN;
		put(s, &e);
	}
	if (t->ending != OPEN) { /* nothing more if it ended properly */
		e.kind = KD__ENTRY_CLOSE;
		e.verdict = "closed";
		e.direction = KD_PROBE_OUT;
		put(s, &e);
	}
	t->is_over[0] = t->is_over[1] = true;
}

static void tell(const struct talk *t, int i)
{
	static const char *const endings[] = { "open", "fins", "reset", "closed" };
	const struct kd_probe_facts *f = &t->c->facts;

	printf("{\"i\": %d, \"family\": %u, \"protocol\": %u, \"began\": \"%s\", \"local\": %u, "
	       "\"remote\": %u, \"bytes\": {\"out\": %" PRIu64 ", \"in\": %" PRIu64
	       "}, \"items\": %" PRIu64 ", \"segments\": %" PRIu64 ", \"edited\": %" PRIu64
	       ", \"held\": %" PRIu64 ", \"ending\": \"%s\"}\n",
	       i, f->family, f->protocol, f->direction == KD_PROBE_OUT ? "out" : "in",
	       f->local_port, f->remote_port, t->bytes[KD_PROBE_OUT], t->bytes[KD_PROBE_IN],
	       t->items[0] + t->items[1], t->segments[0] + t->segments[1], t->edited, t->held,
	       endings[t->ending]);
}

int main(int argc, char **argv)
{
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	struct talk talks[CONVERSATIONS];
	struct kd__packet_stream *s;
	struct kd_error err = { 0 };

	if (argc < 3)
		return 2;
	options.path = argv[1];
	state = strtoull(argv[2], NULL, 10);
	if (argc > 4) {
		options.rotate_size = strtoull(argv[3], NULL, 10);
		options.rotate_keep = (unsigned)strtoul(argv[4], NULL, 10);
	}
	if (kd__packet_stream_create(&options, SLOT, "a test", &s, &err) != KD_OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (int i = 0; i < CONVERSATIONS; i++)
		begin(&talks[i], i);
	for (int n = 0; n < CONVERSATIONS * STEPS; n++) {
		int i = (int)dice(CONVERSATIONS);

		put_payload(s, &talks[i], i);
	}
	for (int i = 0; i < CONVERSATIONS; i++) {
		end(s, &talks[i], i);
		tell(&talks[i], i);
		kd__conversation_unref(talks[i].c);
	}
	if (kd__packet_stream_close(s, &err) != KD_OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return 0;
}
