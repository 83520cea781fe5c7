/* SPDX-License-Identifier: MIT */
/*
 * How fast packets become bytes and bytes packets, on one core: JSON lines, then a table. The bar
 * of the codec is 1 GB/s for encode + decode + checksum of packets with 4000 bytes of payload.
 *
 *   bench_codec [SECONDS]     per row, default 0.5
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/wire/message.h"

enum { BATCH = 256 };

struct packet {
	uint8_t bytes[KD_PACKET_MAX];
	size_t size;
};

static uint8_t memory[KD_READ_MAX];
static struct packet packet;
static uint64_t sink; /* what the loops compute, so that they are not optimised away */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As the target does: the reply to a read of `size` bytes. */
static void encode(struct packet *p, uint32_t size)
{
	struct kd_manipulate m;
	size_t payload_size = 0;

	kd_manipulate_init(&m, KD_API_READ_VIRTUAL, KD_MACHINE_AMD64, 0);
	m.u.read_memory.address = 0xFFFFF80000000000u;
	m.u.read_memory.count = size;
	m.u.read_memory.actual = size;
	m.data = memory;
	m.data_size = size;
	if (kd_manipulate_encode(p->bytes + KD_HDR_SIZE, KD_PAYLOAD_MAX, &payload_size, &m))
		abort();

	const struct kd_packet_hdr hdr = {
		.leader = KD_LEADER_DATA,
		.type = KD_PACKET_STATE_MANIPULATE,
		.length = (uint16_t)payload_size,
		.id = KD_PACKET_ID_INITIAL,
		.checksum = kd_checksum(p->bytes + KD_HDR_SIZE, payload_size),
	};

	kd_packet_hdr_encode(p->bytes, &hdr);
	p->bytes[KD_HDR_SIZE + payload_size] = KD_BYTE_TRAILER;
	p->size = KD_HDR_SIZE + payload_size + 1;
}

/* As the debugger does. */
static void decode(const struct packet *p)
{
	struct kd_packet_hdr hdr;
	struct kd_manipulate m;
	size_t data_size = 0;

	if (kd_packet_hdr_decode(&hdr, p->bytes) != KD_OK ||
	    kd_checksum(p->bytes + KD_HDR_SIZE, hdr.length) != hdr.checksum ||
	    kd_manipulate_decode_reply(&m, KD_MACHINE_AMD64, p->bytes + KD_HDR_SIZE, hdr.length) !=
		    KD_OK ||
	    kd_manipulate_data_size(&m, true, &data_size) != KD_OK)
		abort();
	sink += data_size + m.data[0];
}

static void run_both(uint32_t size)
{
	encode(&packet, size);
	decode(&packet);
}

static void run_encode(uint32_t size)
{
	encode(&packet, size);
}

static void run_decode(uint32_t size)
{
	(void)size; /* of the packet that run_both left */
	decode(&packet);
}

static void run_checksum(uint32_t size)
{
	sink += kd_checksum(memory, size);
	packet.size = size;
}

static const struct {
	const char *name;
	void (*run)(uint32_t size);
	uint32_t size; /* bytes of target memory in the packet */
	double bar;    /* GB/s, 0: none */
} rows[] = {
	{ "encode+decode+checksum, 4000-byte payload", run_both, KD_READ_MAX, 1.0 },
	{ "encode+checksum, 4000-byte payload", run_encode, KD_READ_MAX, 0 },
	{ "decode+checksum, 4000-byte payload", run_decode, KD_READ_MAX, 0 },
	{ "checksum alone, 3944 bytes", run_checksum, KD_READ_MAX, 0 },
	{ "encode+decode+checksum, 64-byte payload", run_both, 8, 0 },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

struct result {
	double gb_per_s, packets_per_s;
};

static struct result measure(size_t row, double seconds)
{
	double start = now(), elapsed = 0, n = 0;

	while (elapsed < seconds) {
		for (int i = 0; i < BATCH; i++)
			rows[row].run(rows[row].size);
		n += BATCH;
		elapsed = now() - start;
	}
	return (struct result){ n * (double)packet.size / elapsed / 1e9, n / elapsed };
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
	struct result results[N_ROWS];

	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 7);
	encode(&packet, KD_READ_MAX);
	for (size_t i = 0; i < N_ROWS; i++) {
		results[i] = measure(i, seconds);
		printf("{\"bench\":\"codec\",\"row\":\"%s\",\"gb_per_s\":%.3f,"
		       "\"packets_per_s\":%.0f,\"bar_gb_per_s\":%.1f}\n",
		       rows[i].name, results[i].gb_per_s, results[i].packets_per_s, rows[i].bar);
	}
	printf("\n%-44s %8s %12s %8s\n", "codec", "GB/s", "packets/s", "bar");
	for (size_t i = 0; i < N_ROWS; i++) {
		printf("%-44s %8.2f %12.0f ", rows[i].name, results[i].gb_per_s,
		       results[i].packets_per_s);
		if (rows[i].bar > 0)
			printf("%4.1f %s\n", rows[i].bar,
			       results[i].gb_per_s >= rows[i].bar ? "met" : "MISSED");
		else
			printf("%4s\n", "-");
	}
	return sink == 0; /* never: it only keeps the loops alive */
}
