/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM read directly, on each road that the VM offers (private RAM: the process only):
 *	bench_ram QMP-SOCKET
 * Random 4 KB pages all over RAM (what a walk of page tables and lists is made of), and all of it
 *in pieces of 1 MB. RAM is read once before the clock starts: its pages exist then. Prints JSON
 *lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/guest_ram.h"
#include "lib/wait.h"

enum { PAGE = 4096, PIECE = 1 << 20, LIMIT_MS = 5000 };

static const uint64_t run_ns = UINT64_C(1000000000);

static void die(const char *what, const struct kd_error *err)
{
	fprintf(stderr, "bench_ram: %s: %s\n", what, err->text);
	exit(1);
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(*state >> 32);
}

/* Bytes of RAM read in one pass over all ranges; what they add up to keeps the copy alive. */
static uint64_t read_all(struct kd_guest_ram *ram, uint8_t *buffer, uint64_t piece, uint64_t *sum)
{
	const struct kd_ram_layout *l = kd_guest_ram_info(ram).layout;
	struct kd_error err = { 0 };
	uint64_t bytes = 0;

	for (size_t i = 0; i < l->n_ranges; i++) {
		const struct kd_ram_range *r = &l->ranges[i];

		for (uint64_t at = 0; at < r->size; at += piece) {
			size_t n = (size_t)KD_MIN(r->size - at, piece);

			if (kd_guest_ram_read(ram, r->start + at, buffer, n, NULL, &err) != KD_OK)
				die("read", &err);
			*sum += buffer[n / 2];
			bytes += n;
		}
	}
	return bytes;
}

static void print(const struct kd_guest_ram *ram, const char *road, const char *what,
		  uint64_t reads, uint64_t bytes, double seconds, uint64_t sum)
{
	printf("{\"name\": \"%s RAM, %s, %s\", \"reads\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"seconds\": %.3f, \"reads_per_s\": %.0f, \"gb_per_s\": %.2f, \"sum\": %" PRIu64
	       "}\n",
	       kd_guest_ram_info(ram).layout->backends[0].is_shared ? "shared" : "private", road,
	       what, reads, bytes, seconds, (double)reads / seconds, (double)bytes / seconds / 1e9,
	       sum);
	fflush(stdout);
}

static void bench_linear(struct kd_guest_ram *ram, const char *road, uint8_t *buffer)
{
	uint64_t sum = 0, bytes = 0, reads = 0, start = kd_now_ns(), now;

	do {
		uint64_t n = read_all(ram, buffer, PIECE, &sum);

		bytes += n;
		reads += (n + PIECE - 1) / PIECE;
		now = kd_now_ns();
	} while (now - start < run_ns);
	print(ram, road, "all of it by 1 MB", reads, bytes, (double)(now - start) / 1e9, sum);
}

static void bench_random(struct kd_guest_ram *ram, const char *road, uint8_t *buffer)
{
	const struct kd_ram_layout *l = kd_guest_ram_info(ram).layout;
	const struct kd_ram_range *r = &l->ranges[0];
	struct kd_error err = { 0 };
	uint64_t random = 42, sum = 0, reads = 0, start = kd_now_ns(), now;

	/* The largest range: nearly all of RAM. */
	for (size_t i = 1; i < l->n_ranges; i++)
		if (l->ranges[i].size > r->size)
			r = &l->ranges[i];
	do {
		for (unsigned i = 0; i < 4096; i++, reads++) {
			uint64_t page = next_random(&random) % (r->size / PAGE);

			if (kd_guest_ram_read(ram, r->start + page * PAGE, buffer, PAGE, NULL,
					      &err) != KD_OK)
				die("read", &err);
			sum += buffer[page % PAGE];
		}
		now = kd_now_ns();
	} while (now - start < run_ns);
	print(ram, road, "random 4 KB", reads, reads * PAGE, (double)(now - start) / 1e9, sum);
}

static void bench_road(struct kd_qmp *q, const struct kd_qemu_id *id, enum kd_ram_road road,
		       const char *name)
{
	uint8_t *buffer = malloc(PIECE);
	struct kd_guest_ram *ram = NULL;
	struct kd_error err = { 0 };
	uint64_t sum = 0;

	if (!buffer)
		exit(1);
	if (kd_guest_ram_open(q, id, road, kd_deadline_after_ms(LIMIT_MS), NULL, NULL, &ram,
			      &err) == KD_OK) {
		read_all(ram, buffer, PAGE, &sum);
		bench_random(ram, name, buffer);
		bench_linear(ram, name, buffer);
	} else if (err.status != KD_E_UNSUPPORTED) {
		die(name, &err);
	}
	kd_guest_ram_close(ram);
	free(buffer);
}

int main(int argc, char **argv)
{
	struct kd_qemu_process *p = calloc(1, sizeof *p);
	struct kd_error err = { 0 };
	struct kd_qmp *q = NULL;

	if (argc != 2 || !p) {
		fprintf(stderr, "usage: bench_ram QMP-SOCKET\n");
		return 2;
	}
	if (kd_qmp_open(argv[1], kd_deadline_after_ms(LIMIT_MS), NULL, &q, &err) != KD_OK ||
	    kd_qemu_process_of_socket(kd_qmp_fd(q), argv[1], p, &err) != KD_OK)
		die(argv[1], &err);
	bench_road(q, &p->id, KD_RAM_MAPPED, "mapped");
	bench_road(q, &p->id, KD_RAM_PROCESS, "process");
	kd_qmp_close(q);
	free(p);
	return 0;
}
