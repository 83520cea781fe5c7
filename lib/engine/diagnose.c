/* SPDX-License-Identifier: MIT */
/* What stands between us and the target, in words (docs/connecting.md has the same table). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/memory_ram.h"
#include "lib/engine/wire_private.h"

static int compare(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x < y ? -1 : x > y;
}

void kd__wire_counters(const struct kd_session *s, struct kd_session_counters *ret)
{
	const struct kd__wire *w = s->wire;
	struct kd_link_counters c;
	uint32_t sorted[KD__LATENCIES];

	if (!w)
		return;
	kd_carrier_counters(w->carrier, &c);
	ret->requests = w->requests;
	ret->retries = w->retries;
	ret->prints = w->prints;
	ret->rx_bytes = c.rx_bytes;
	ret->tx_bytes = c.tx_bytes;
	ret->rx_packets = c.rx_packets;
	ret->tx_packets = c.tx_packets;
	ret->retransmits = c.retransmits;
	ret->resends = c.resends_sent + c.resends_seen;
	ret->resets = c.resets_sent + c.resets_seen;
	ret->checksum_errors = c.checksum_errors;
	ret->noise_bytes = c.noise_bytes;
	if (!w->n_latencies)
		return;
	memcpy(sorted, w->latencies, w->n_latencies * sizeof sorted[0]);
	qsort(sorted, w->n_latencies, sizeof sorted[0], compare);
	ret->round_trip_ns_median = sorted[w->n_latencies / 2] * UINT64_C(1000);
	ret->round_trip_ns_p99 = sorted[w->n_latencies * 99 / 100] * UINT64_C(1000);
}

static void quote(char *out, size_t size, const uint8_t *bytes, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at + 2 < size; i++)
		out[at++] = (char)(bytes[i] >= 0x20 && bytes[i] < 0x7F ? bytes[i] : '.');
	out[at] = '\0';
}

static void describe_silence(const struct kd__wire *w, uint64_t seconds, char *text, size_t size)
{
	snprintf(text, size,
		 "no byte came from %s for %llu s: the target is off, kernel debugging is not "
		 "enabled in it or uses another port, the VM is paused, another program holds its "
		 "port, or it runs and has nothing to say.\n"
		 "Break in (.breakin, or kd -b), or restart the target; in Windows 'bcdedit "
		 "/dbgsettings' "
		 "shows its port and 'bcdedit /debug on' enables debugging",
		 w->transport->name, (unsigned long long)seconds);
}

static void describe_unheard(const struct kd__wire *w, char *text, size_t size)
{
	struct kd_link_counters c;
	uint64_t seconds = (kd_now_ns() - w->opened) / UINT64_C(1000000000);
	char noise[KD__NOISE_KEPT + 1];

	kd_carrier_counters(w->carrier, &c);
	if (kd_transport_net_host(w->transport)) {
		kd_carrier_describe(w->carrier, text, size);
	} else if (!kd_transport_info(w->transport)->is_up && w->transport->trouble[0]) {
		snprintf(text, size, "%s", w->transport->trouble);
	} else if (c.rx_bytes == 0) {
		describe_silence(w, seconds, text, size);
	} else if (c.checksum_errors || c.trailer_errors) {
		snprintf(text, size,
			 "packets arrive but their checksums fail (%llu of them): a wrong baud "
			 "rate, "
			 "or something between here and the target translates bytes (CR/LF, "
			 "XON/XOFF)",
			 (unsigned long long)(c.checksum_errors + c.trailer_errors));
	} else if (c.resets_seen > 3) {
		snprintf(text, size,
			 "resets go back and forth and nothing else: two debuggers on one line, or "
			 "the target does not receive what we send (TX not connected)");
	} else {
		quote(noise, sizeof noise, w->noise, w->noise_size);
		snprintf(text, size,
			 "bytes arrive but none of them is KD (a boot loader, EMS or a console?); "
			 "the "
			 "first are: \"%s\"",
			 noise);
	}
}

void kd__wire_describe(const struct kd_session *s, char *text, size_t size)
{
	static const char *const texts[] = {
		[KD_SESSION_DISCONNECTED] = "not connected",
		[KD_SESSION_CONNECTING] = "waiting for the target",
		[KD_SESSION_RUNNING] = "the target is running",
		[KD_SESSION_STOPPED] = "the target is stopped",
		[KD_SESSION_RESYNC] = "the link is being restarted",
	};

	char road[KD_ERROR_TEXT_SIZE + 64], memory[KD_ERROR_TEXT_SIZE + 64];

	if (s->wire && s->state == KD_SESSION_CONNECTING && !s->wire->heard) {
		describe_unheard(s->wire, text, size);
	} else if (s->wire && s->state != KD_SESSION_DISCONNECTED) {
		kd_carrier_describe(s->wire->carrier, road, sizeof road);
		kd__ram_describe(s, memory, sizeof memory);
		snprintf(text, size, "%s, over the %s; memory by %s", texts[s->state], road,
			 memory);
	} else {
		snprintf(text, size, "%s", texts[s->state]);
	}
}
