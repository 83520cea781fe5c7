/* SPDX-License-Identifier: MIT */
#include "tests/core/wire_check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/describe.h"
#include "core/wire/message.h"
#include "tests/core/wire_vectors.h"

size_t wire_hex(uint8_t *out, size_t cap, const char *hex)
{
	size_t n = 0;

	while (*hex) {
		unsigned value, times = 1;
		int used = 0;

		if (*hex == ' ') {
			hex++;
			continue;
		}
		if (sscanf(hex, "%2x%n", &value, &used) != 1 || used != 2)
			goto bad;
		hex += used;
		if (*hex == '*') {
			times = (unsigned)strtoul(hex + 1, (char **)&hex, 10);
		}
		if (times > cap - n)
			goto bad;
		memset(out + n, (int)value, times);
		n += times;
	}
	return n;
bad:
	fprintf(stderr, "wire_hex: at '%.20s'\n", hex);
	abort();
}

struct wanted {
	const char *name, *value; /* "api" or "packet.id"; "0x10", "16" or of byte fields hex */
	bool is_found, is_equal;
	char got[256];
};

static bool is_named(const struct kd_described *d, const char *name)
{
	char full[128];

	snprintf(full, sizeof(full), "%s.%s", d->structure, d->name);
	return strcmp(name, strchr(name, '.') ? full : d->name) == 0;
}

static void look(void *ctx, const struct kd_described *d)
{
	static uint8_t bytes[KD_PAYLOAD_ACCEPT];
	struct wanted *w = ctx;

	if (w->is_found || !is_named(d, w->name))
		return;
	w->is_found = true;
	kd_described_text(w->got, sizeof(w->got), d);
	if (kd_described_is_number(d))
		w->is_equal = d->value == strtoull(w->value, NULL, 0);
	else
		w->is_equal = wire_hex(bytes, sizeof(bytes), w->value) == d->size &&
			      memcmp(bytes, d->bytes, d->size) == 0;
}

const char *wire_check_fields(const struct kd_packet_hdr *hdr, uint16_t machine,
			      const uint8_t *payload, size_t size, const char *expect)
{
	static char message[1024];
	char name[128], value[512];
	int used = 0;

	for (; sscanf(expect, " %127[^=]=%511s%n", name, value, &used) == 2; expect += used) {
		struct wanted w = { .name = name, .value = value };

		kd_describe_packet(hdr, payload, size, machine, look, &w);
		if (w.is_equal)
			continue;
		snprintf(message, sizeof(message), "%s: expected %s, got %s", name, value,
			 w.is_found ? w.got : "no such field");
		return message;
	}
	if (expect[strspn(expect, " ")] != '\0')
		return "the expectations are not of the form name=value";
	return NULL;
}

static int is_manipulate_cut_seen(uint16_t machine, int is_reply, const uint8_t *payload, size_t n)
{
	struct kd_manipulate m;
	size_t data_size;

	if (kd_manipulate_decode(&m, machine, payload, n) != KD_OK)
		return 1;
	return kd_manipulate_data_size(&m, is_reply, &data_size) != KD_OK;
}

int wire_is_truncation_seen(uint16_t type, uint16_t machine, int is_reply, const uint8_t *payload,
			    size_t n)
{
	struct kd_state_change s;
	struct kd_debug_io d;
	struct kd_file_io f;
	struct kd_trace_io t;
	struct kd_w_control_request c;
	size_t data_size;

	switch (type) {
	case KD_PACKET_STATE_MANIPULATE:
		return is_manipulate_cut_seen(machine, is_reply, payload, n);
	case KD_PACKET_STATE_CHANGE64: return kd_state_change_decode(&s, payload, n) != KD_OK;
	case KD_PACKET_DEBUG_IO: return kd_debug_io_decode(&d, payload, n) != KD_OK;
	case KD_PACKET_FILE_IO:
		return kd_file_io_decode(&f, payload, n) != KD_OK ||
		       kd_file_io_data_size(&f, is_reply, &data_size) != KD_OK;
	case KD_PACKET_TRACE_IO: return kd_trace_io_decode(&t, payload, n) != KD_OK;
	case KD_PACKET_CONTROL_REQUEST: return kd_control_request_decode(&c, payload, n) != KD_OK;
	default: return 0;
	}
}
