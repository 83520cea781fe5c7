/* SPDX-License-Identifier: MIT */
/*
 * One request and its answer. Losses are the link's business (retransmission, RESEND); what is left
 * to this level is the desynchronised target: it acknowledged and does not answer. Then: ask it
 * to repeat, then RESET, and issue the request again if doing it twice is harmless.
 */
#include <string.h>

#include "lib/engine/event.h"
#include "lib/engine/memory.h"
#include "lib/engine/wire_private.h"

static const uint64_t ms = UINT64_C(1000000);

enum { TRIES_MAX = 6 };

/* Doing these twice is not the same as doing them once. */
static bool is_repeatable(uint32_t api)
{
	switch (api) {
	case KD_API_CONTINUE:
	case KD_API_CONTINUE2:
	case KD_API_SWITCH_PROCESSOR:
	case KD_API_REBOOT:
	case KD_API_CAUSE_BUGCHECK:
	case KD_API_READ_IO: /* ports may have side effects */
	case KD_API_WRITE_IO:
	case KD_API_READ_IO_EXTENDED:
	case KD_API_WRITE_IO_EXTENDED: return false;
	default: return true;
	}
}

/* Whether the target did it must be known: a cancel waits until it is. */
static bool is_only_read(uint32_t api)
{
	switch (api) {
	case KD_API_READ_VIRTUAL:
	case KD_API_READ_PHYSICAL:
	case KD_API_GET_CONTEXT:
	case KD_API_GET_CONTEXT_EX:
	case KD_API_READ_CONTROL_SPACE:
	case KD_API_READ_MSR:
	case KD_API_GET_VERSION:
	case KD_API_SEARCH_MEMORY:
	case KD_API_QUERY_MEMORY: return true;
	default: return false;
	}
}

static uint64_t reply_wait(const struct kd__wire *w)
{
	return (w->is_serial_line ? 3000 : 1000) * ms;
}

static uint64_t limit(const struct kd_session *s)
{
	uint64_t own = s->options.request_timeout_ms * ms;

	if (s->wire->request_limit)
		return s->wire->request_limit;
	return kd__wire_is_replay(s) ? KD_MIN(own, 2000 * ms) : own;
}

/*
 * After a RESET the answer to an earlier issue of a request may still come. Targets echo the
 * request, so its own parameters tell which answer this is.
 */
static size_t echoed_bytes(uint32_t api)
{
	static const struct {
		uint16_t api;
		uint8_t size;
	} rows[] = {
		{ KD_API_READ_VIRTUAL, 12 },      { KD_API_WRITE_VIRTUAL, 12 },
		{ KD_API_READ_PHYSICAL, 12 },     { KD_API_WRITE_PHYSICAL, 12 },
		{ KD_API_READ_CONTROL_SPACE, 8 }, { KD_API_WRITE_CONTROL_SPACE, 8 },
		{ KD_API_WRITE_BREAKPOINT, 8 },   { KD_API_RESTORE_BREAKPOINT, 4 },
		{ KD_API_READ_IO, 12 },           { KD_API_WRITE_IO, 12 },
		{ KD_API_READ_MSR, 4 },           { KD_API_WRITE_MSR, 4 },
		{ KD_API_GET_CONTEXT_EX, 8 },
	};

	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++)
		if (rows[i].api == api)
			return rows[i].size;
	return 0;
}

bool kd__wire_is_reply(const struct kd__wire *w, const uint8_t *payload, size_t size)
{
	uint32_t api = kd_get32(w->request);
	size_t echoed = echoed_bytes(api);

	if (!w->is_waiting || size < 12 || kd_get32(payload) != api)
		return false;
	if (size < KD_MANIPULATE_SIZE)
		return true; /* VirtualBox refuses with 16 bytes */
	return !memcmp(payload + 6, w->request + 6, 2) &&
	       !memcmp(payload + 16, w->request + 16, echoed);
}

static void note_latency(struct kd__wire *w, uint64_t ns)
{
	w->latencies[w->at_latency] = (uint32_t)KD_MIN(ns / 1000, (uint64_t)UINT32_MAX);
	w->at_latency = (w->at_latency + 1) % KD__LATENCIES;
	w->n_latencies = KD_MIN(w->n_latencies + 1, (size_t)KD__LATENCIES);
}

/* Wait until the link can take a packet (an answer of ours may be on its way). */
static enum kd_status wait_idle(struct kd_session *s, uint64_t deadline, struct kd_error *err)
{
	enum kd_status status = KD_OK;

	while (status == KD_OK && (kd_carrier_is_busy(s->wire->carrier) || s->wire->pending_size))
		status = kd__wire_step(s, deadline, err);
	return status;
}

static enum kd_status transmit(struct kd_session *s, const struct kd_manipulate *m,
			       uint64_t deadline, struct kd_error *err)
{
	struct kd__wire *w = s->wire;
	enum kd_status status = wait_idle(s, deadline, err);

	if (status != KD_OK)
		return status;
	kd_manipulate_encode_hdr(w->request, m);
	w->seen = (struct kd__seen){ 0 };
	w->is_waiting = true;
	status = kd_carrier_send(w->carrier, KD_PACKET_STATE_MANIPULATE, w->request,
				 sizeof w->request, m->data, m->data_size);
	if (status == KD_E_FULL)
		return kd_error_set(err, status, 0, "the target does not read what it is sent");
	return status == KD_OK ? KD_OK : kd_error_set(err, status, 0, "the request is too large");
}

enum outcome { ANSWERED, AGAIN, FAILED };

/* Targets repeat their state byte for byte. */
static bool is_repeated_stop(const struct kd__wire *w)
{
	return w->has_stop && w->stop_size == w->last_stop_size &&
	       !memcmp(w->stop, w->last_stop, w->stop_size);
}

static enum kd_status another_boot(struct kd_error *err)
{
	return kd_error_set(err, KD_E_RESET, 0, "the target restarted");
}

/*
 * A state change while an answer is waited for. The same again: the target lost its step and
 * repeats its state. Another one: it is not in the stop any more that the request was meant for.
 */
static enum outcome on_stop_instead(const struct kd__wire *w, enum kd_status *status_ret,
				    struct kd_error *err)
{
	if (is_repeated_stop(w))
		return AGAIN;
	*status_ret = kd_error_set(err, KD_E_RESET, 0,
				   "the target stopped anew during the request");
	return FAILED;
}

/* One issue of the request: until the reply, or until it is clear that none will come. */
static enum outcome attempt(struct kd_session *s, const struct kd_manipulate *m, bool want_reply,
			    uint64_t deadline, enum kd_status *status_ret, struct kd_error *err)
{
	struct kd__wire *w = s->wire;
	struct kd__seen *seen = &w->seen;
	uint64_t patience = 0;
	int nudges = 0;

	*status_ret = transmit(s, m, deadline, err);
	while (*status_ret == KD_OK) {
		if (want_reply ? seen->reply : seen->acked)
			return ANSWERED;
		if (seen->restarted) {
			*status_ret = kd_error_set(err, KD_E_RESET, 0,
						   "the target restarted during the request");
			return FAILED;
		}
		if (seen->gave_up)
			return AGAIN;
		if (w->has_stop && want_reply)
			return on_stop_instead(w, status_ret, err);
		if (is_repeated_stop(w))
			w->has_stop = false; /* it has not heard the order yet */
		else if (w->has_stop)
			return ANSWERED; /* a continue whose ACK was lost */
		if (seen->acked && !patience)
			patience = kd_now_ns() + reply_wait(w);
		*status_ret = kd__wire_step(s, patience ? KD_MIN(patience, deadline) : deadline,
					    err);
		if (*status_ret == KD_E_TIMEOUT && patience && kd_now_ns() < deadline) {
			kd__memory_note_loss(s);
			if (nudges++ == 0)
				kd_carrier_ask_resend(w->carrier);
			else
				kd_carrier_reset(w->carrier);
			patience = kd_now_ns() + reply_wait(w);
			*status_ret = nudges > 4 ? *status_ret : KD_OK;
		}
	}
	return FAILED;
}

/* The wait may end before the limit: repetitions that nobody answers tell enough. */
static enum kd_status no_answer(struct kd_session *s, const struct kd_manipulate *m, uint64_t start,
				struct kd_error *err)
{
	const struct kd_api_info *info = kd_api_find(m->hdr.api);
	enum kd_status status;

	if (kd__wire_is_replay(s))
		return kd_error_set(err, KD_E_TIMEOUT, 0,
				    "the recording has no answer to %s here: this session asks "
				    "something else than the recorded one did",
				    info ? info->name : "the request");
	status = kd_error_set(
		err, KD_E_TIMEOUT, 0,
		"the target did not answer %s in %.1f s%s: it may be paused, or the link "
		"is broken (.kdresync tries again)",
		info ? info->name : "the request", (double)(kd_now_ns() - start) / 1e9,
		kd_now_ns() - start < limit(s) ? ", asked several times" : "");
	if (err)
		err->api = m->hdr.api;
	return status;
}

/* A repeated state change belongs to the exchange that provoked it. */
static void swallow_repeated_stop(struct kd__wire *w)
{
	if (is_repeated_stop(w))
		w->has_stop = false;
}

/* What tells of bytes lost or damaged; a retransmission alone may only tell of a busy machine. */
static uint64_t count_losses(const struct kd__wire *w)
{
	struct kd_link_counters c;

	kd_carrier_counters(w->carrier, &c);
	return c.resends_sent + c.resends_seen + c.checksum_errors;
}

static enum kd_status exchange(struct kd_session *s, struct kd_manipulate *m, bool want_reply,
			       struct kd_error *err)
{
	struct kd__wire *w = s->wire;
	uint64_t start = kd_now_ns(), deadline = start + limit(s), losses;
	enum kd_status status = KD_E_TIMEOUT;

	if (!w)
		return kd_error_set(err, KD_E_CLOSED, 0, "the session was closed");
	if (w->boot)
		return another_boot(err); /* what is asked was meant for the one before */
	losses = count_losses(w);
	for (int i = 0; i < TRIES_MAX; i++) {
		enum outcome outcome;

		w->cancel_holds += !is_only_read(m->hdr.api);
		outcome = attempt(s, m, want_reply, deadline, &status, err);
		w->cancel_holds -= !is_only_read(m->hdr.api);
		if (outcome == ANSWERED) {
			w->requests++;
			note_latency(w, kd_now_ns() - start);
			if (count_losses(w) != losses)
				kd__memory_note_loss(s);
			return KD_OK;
		}
		if (outcome == FAILED && status != KD_E_TIMEOUT)
			break;
		if (outcome == FAILED || !is_repeatable(m->hdr.api))
			return no_answer(s, m, start, err);
		w->retries++;
		swallow_repeated_stop(w);
		kd__memory_note_loss(s);
	}
	kd_carrier_cancel(w->carrier);
	w->is_waiting = false;
	return status == KD_OK ? no_answer(s, m, start, err) : status;
}

enum kd_status kd__request(struct kd_session *s, struct kd_manipulate *m, struct kd_error *err)
{
	uint32_t api = m->hdr.api;
	enum kd_status status = exchange(s, m, true, err);

	if (status != KD_OK)
		return status;
	s->wire->is_waiting = false;
	status = kd_manipulate_decode_reply(m, s->machine, s->wire->reply, s->wire->reply_size);
	if (status != KD_OK)
		return kd_error_set(err, KD_E_MALFORMED, 0,
				    "the reply to API 0x%x has only %zu bytes", api,
				    s->wire->reply_size);
	return KD_OK;
}

enum kd_status kd__request_checked(struct kd_session *s, struct kd_manipulate *m,
				   struct kd_error *err)
{
	uint32_t api = m->hdr.api;
	const struct kd_api_info *info = kd_api_find(api);
	enum kd_status status = kd__request(s, m, err);
	const char *name;

	if (status != KD_OK || (int32_t)m->hdr.return_status >= 0)
		return status;
	name = kd_nt_name(m->hdr.return_status);
	kd_error_set(err, KD_E_TARGET, 0, "the target refused %s: 0x%08x%s%s",
		     info ? info->name : "the request", m->hdr.return_status, name ? " " : "",
		     name ? name : "");
	if (err) {
		err->nt_status = m->hdr.return_status;
		err->api = api;
	}
	return KD_E_TARGET;
}

enum kd_status kd__wire_order(struct kd_session *s, struct kd_manipulate *m, struct kd_error *err)
{
	enum kd_status status = exchange(s, m, false, err);

	s->wire->is_waiting = false;
	return status;
}

enum kd_status kd__wire_resync(struct kd_session *s, struct kd_error *err)
{
	struct kd__wire *w = s->wire;
	uint64_t deadline = kd_now_ns() + KD_MIN(limit(s), 5000 * ms);
	enum kd_status status = KD_OK;

	if (!w)
		return kd_error_set(err, KD_E_CLOSED, 0, "the session was closed");
	kd_carrier_cancel(w->carrier);
	w->seen = (struct kd__seen){ 0 };
	w->has_stop = false;
	kd_carrier_reset(w->carrier);
	while (status == KD_OK && !w->has_stop)
		status = kd__wire_step(s, deadline, err);
	if (status == KD_E_TIMEOUT)
		return kd_error_set(err, status, 0,
				    "the target did not answer the RESET: it runs, or it is gone");
	if (status == KD_OK && s->state == KD_SESSION_STOPPED && !w->boot)
		swallow_repeated_stop(w); /* the stop under way, told again */
	return status;
}
