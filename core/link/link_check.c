/* SPDX-License-Identifier: MIT */
/* The invariants of link.c, for tests and fuzzers to assert after every step. */
#include "core/link/link_internal.h"

static const char *check_rx(const struct kd_link *l)
{
	if (l->rx_pos > l->rx_end || l->rx_end > sizeof(l->rx))
		return "rx: 0 <= rx_pos <= rx_end <= size";
	if (l->rx_pos == l->rx_end && l->rx_end != 0)
		return "rx: an empty buffer starts at 0";
	if (l->rx_end - l->rx_pos + l->rx_want > sizeof(l->rx))
		return "rx: what is wanted fits";
	if (l->rx_suspect > sizeof(l->rx))
		return "rx: suspect bytes are buffered bytes";
	if (l->noise_size > sizeof(l->noise) || l->last_size > sizeof(l->last))
		return "rx: storage bounds";
	return NULL;
}

static const char *check_tx(const struct kd_link *l)
{
	if (l->tx_size > sizeof(l->tx))
		return "tx: size";
	if (l->tx_pending ? l->tx_written >= l->tx_size : l->tx_written != 0)
		return "tx: written < size while pending, else 0";
	if (l->tx_pending && !l->tx_outstanding && !l->tx_written)
		return "tx: draining means half written";
	if (l->tx_stale && !(l->tx_pending && l->tx_written))
		return "tx: a stale copy is half written";
	if (l->tx_again && !l->tx_stale)
		return "tx: again only after a stale copy";
	if (l->tx_outstanding && l->tx_cancelled)
		return "tx: outstanding and cancelled";
	if (kd__link_ack_deadline(l) != KD_TIME_NEVER && !(l->tx_outstanding && !l->tx_pending))
		return "tx: a deadline only while waiting";
	return NULL;
}

static const char *check_ids(const struct kd_link *l)
{
	bool is_target = l->cfg.role == KD_LINK_TARGET;

	if (!kd__link_is_stream_id(l->next_send))
		return "ids: next_send is a stream id";
	if (!is_target && (l->next_send & KD_PACKET_ID_SYNC))
		return "ids: debuggers send no SYNC";
	if (l->expected & KD_PACKET_ID_SYNC)
		return "ids: expected has no SYNC";
	if (is_target && !kd__link_is_stream_id(l->expected))
		return "ids: expected of a target is a stream id";
	return NULL;
}

static const char *check_queues(const struct kd_link *l)
{
	if (l->n_events > KD_LINK_N_EVENTS || l->event_head >= KD_LINK_N_EVENTS)
		return "queues: events";
	if (l->n_controls > KD_LINK_N_CONTROLS || l->control_head >= KD_LINK_N_CONTROLS)
		return "queues: controls";
	if (l->control_written && !l->n_controls)
		return "queues: a control packet half written, and gone";
	if (l->control_written && l->tx_written)
		return "queues: two packets half written";
	return NULL;
}

const char *kd__link_check(const struct kd_link *l)
{
	const char *(*const checks[])(const struct kd_link *l) = {
		check_rx,
		check_tx,
		check_ids,
		check_queues,
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const char *broken = checks[i](l);

		if (broken)
			return broken;
	}
	return NULL;
}
