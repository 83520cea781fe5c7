/* SPDX-License-Identifier: MIT */
/*
 * How fast two links talk in one process, on one core: JSON lines, then a table. Round trips are
 * what a debugger does: a request, its ACK, the reply, its ACK. The bar is 1 million small data
 * packets a second; packets and bytes of a round trip are counted too, they don't depend on the
 * machine.
 *
 *   bench_link [SECONDS]     per row, default 0.5
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/link/link.h"

enum { BATCH = 256, HEADER = 56, API = 0x3130 };

struct peer {
	struct kd_link link;
	uint64_t n_packets;
};

static struct peer debugger, target;
static uint8_t memory[KD_PAYLOAD_MAX];

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* All that `from` has to say, `piece` bytes at a time; true: a packet arrived. */
static bool carry(struct peer *from, struct peer *to, size_t piece)
{
	uint64_t before = to->n_packets;
	struct kd_link_event ev;
	const uint8_t *bytes;
	size_t size;

	while ((bytes = kd_link_next_output(&from->link, &size))) {
		size_t done = 0;

		size = size < piece ? size : piece;
		while (done < size) {
			done += kd_link_feed(&to->link, bytes + done, size - done, 0);
			while (kd_link_next_event(&to->link, &ev))
				to->n_packets += ev.kind == KD_LINK_PACKET;
		}
		kd_link_output_done(&from->link, size, 0);
	}
	return to->n_packets > before;
}

struct row {
	const char *name;
	size_t data_size; /* of the reply */
	size_t piece;
	double bar; /* packets/s, 0: none */
};

static void round_trip(const struct row *row)
{
	must(kd_link_send(&debugger.link, KD_PACKET_STATE_MANIPULATE, memory, HEADER, NULL, 0,
			  false, 0) == KD_OK);
	must(carry(&debugger, &target, row->piece));
	must(kd_link_send(&target.link, KD_PACKET_STATE_MANIPULATE, memory, HEADER, memory,
			  row->data_size, false, 0) == KD_OK);
	must(carry(&target, &debugger, row->piece));
	carry(&debugger, &target, row->piece);
	must(!kd_link_is_busy(&debugger.link) && !kd_link_is_busy(&target.link));
}

static const struct row rows[] = {
	{ "read of 16 bytes", 16, SIZE_MAX, 1e6 },
	{ "read of 16 bytes, 16 bytes at a time", 16, 16, 0 },
	{ "read of 16 bytes, byte by byte", 16, 1, 0 },
	{ "read of 3944 bytes", KD_PAYLOAD_MAX - HEADER, SIZE_MAX, 0 },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

struct result {
	double packets_per_s, mb_per_s, bytes_per_trip;
};

static uint64_t bytes_written(void)
{
	return kd_link_counters(&debugger.link)->tx_bytes +
	       kd_link_counters(&target.link)->tx_bytes;
}

static struct result measure(const struct row *row, double seconds)
{
	double start = seconds_now(), elapsed = 0, n = 0;
	uint64_t bytes = bytes_written();

	while (elapsed < seconds) {
		for (int i = 0; i < BATCH; i++)
			round_trip(row);
		n += BATCH;
		elapsed = seconds_now() - start;
	}
	bytes = bytes_written() - bytes;
	return (struct result){
		.packets_per_s = 2 * n / elapsed,
		.mb_per_s = (double)bytes / elapsed / 1e6,
		.bytes_per_trip = (double)bytes / n,
	};
}

static void init(struct peer *p, enum kd_link_role role)
{
	struct kd_link_config cfg;

	kd_link_config_init(&cfg, role, false);
	kd_link_init(&p->link, &cfg);
}

/* The first packet of the target carries SYNC. */
static void connect(void)
{
	init(&debugger, KD_LINK_DEBUGGER);
	init(&target, KD_LINK_TARGET);
	must(kd_link_send(&target.link, KD_PACKET_STATE_CHANGE64, memory, 240, NULL, 0, false, 0) ==
	     KD_OK);
	must(carry(&target, &debugger, SIZE_MAX));
	carry(&debugger, &target, SIZE_MAX);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
	struct result results[N_ROWS];

	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 7);
	kd_put32(memory, API);
	connect();
	for (size_t i = 0; i < N_ROWS; i++) {
		results[i] = measure(&rows[i], seconds);
		printf("{\"bench\":\"link\",\"row\":\"%s\",\"packets_per_s\":%.0f,\"mb_per_s\":%."
		       "1f,"
		       "\"bytes_per_round_trip\":%.0f,\"bar_packets_per_s\":%.0f}\n",
		       rows[i].name, results[i].packets_per_s, results[i].mb_per_s,
		       results[i].bytes_per_trip, rows[i].bar);
	}
	printf("\n%-38s %14s %8s %12s %8s\n", "link pair", "data packets/s", "MB/s", "bytes/trip",
	       "bar");
	for (size_t i = 0; i < N_ROWS; i++) {
		bool is_met = results[i].packets_per_s >= rows[i].bar;

		printf("%-38s %14.0f %8.1f %12.0f ", rows[i].name, results[i].packets_per_s,
		       results[i].mb_per_s, results[i].bytes_per_trip);
		printf("%8s\n", rows[i].bar == 0 ? "-" : is_met ? "met" : "MISSED");
	}
	/* A perfect line: anything sent twice is a bug. */
	return kd_link_counters(&debugger.link)->retransmits != 0 ||
	       kd_link_counters(&target.link)->retransmits != 0;
}
