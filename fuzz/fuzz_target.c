/* SPDX-License-Identifier: MIT */
/*
 * Requests to the answering end. Input: one byte of machine, then requests: length (2 bytes), room
 * for the reply (1), which known request to begin with (1), whether to aim it at mapped memory (1),
 * and bytes that are XORed over it. Oracle: tests/core/target_oracle.h, and the sanitizers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "tests/core/target_oracle.h"
#include "tests/core/wire_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INTRO = 5, MAX_REQUESTS = 64, MAX_FILL = 1 << 20 };

static void must_hold(const char *wrong)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_target: %s\n", wrong);
	abort();
}

static void aim(const struct kd_fake *f, uint8_t *request, uint8_t where)
{
	const uint64_t at[] = { 0, f->kernel_base, f->kernel_base + 0xFF0, f->kdbg, f->idle };

	if (where)
		kd_put64(request + 16, at[where % (sizeof(at) / sizeof(at[0]))]);
}

/* Reading on behind the request must be seen: it gets a block of its own size. */
static void give(struct kd_fake *f, const uint8_t *intro, const uint8_t *bytes, size_t size)
{
	uint8_t known[WIRE_ROW_MAX] = { 0 };
	uint8_t *request = malloc(size ? size : 1);

	if (!request)
		return;
	wire_row_payload(known, &wire_rows[intro[3] % n_wire_rows], 0);
	aim(f, known, intro[4]);
	for (size_t i = 0; i < size; i++)
		request[i] = (uint8_t)(bytes[i] ^ (i < sizeof(known) ? known[i] : 0));
	/* Gigabytes into holes cost time and find nothing. */
	if (size >= 28 && kd_get32(request) == KD_API_FILL_MEMORY)
		kd_put32(request + 24, kd_get32(request + 24) % MAX_FILL);
	must_hold(target_oracle_request(f, request, size,
					intro[2] ? 16u * intro[2] : KD_PAYLOAD_MAX));
	free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_fake *f;

	if (!size)
		return 0;
	f = target_oracle_create(data[0] & 1 ? KD_MACHINE_X86 : KD_MACHINE_AMD64);
	data++;
	size--;
	for (int i = 0; i < MAX_REQUESTS && size > INTRO; i++) {
		size_t n = kd_get16(data) % (KD_PAYLOAD_MAX + 1);

		if (n > size - INTRO)
			n = size - INTRO;
		give(f, data, data + INTRO, n);
		data += INTRO + n;
		size -= INTRO + n;
	}
	must_hold(target_oracle_leaves_no_trace(f));
	kd_fake_destroy(f);
	return 0;
}
