/* SPDX-License-Identifier: MIT */
/*
 * Bytes to events: runs the link over the transport, answers what must be answered at once (file
 * requests), keeps state changes and replies for those who wait for them, and sends break-ins and
 * connection probes when the time has come.
 */
#include "lib/engine/wire_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/event.h"
#include "lib/engine/vm_road.h"

enum { LATE_STEPS_MAX = 16 };

static const uint64_t second = UINT64_C(1000000000);
static const uint64_t break_retry = UINT64_C(1500000000);
/* A break-in byte that was not answered in this time was eaten. */
static const uint64_t break_forgotten = UINT64_C(
	5000000000); /* a break-in byte needs silence after it */

/* The serial link, and beside it the ring where there may be a VM on this machine. */
static enum kd_status create_carrier(struct kd_session *s, struct kd_transport *transport,
				     struct kd_carrier **ret, struct kd__vm_road **road_ret,
				     struct kd_error *err)
{
	struct kd_ring_mapper mapper;
	struct kd_carrier *line;
	enum kd_status status;

	if (kd_transport_net_host(transport))
		return kd_carrier_net_create(transport, &s->wake, ret, err);
	status = kd_carrier_link_create(transport, &s->wake, &line, err);
	if (status != KD_OK || !kd_transport_info(transport)->is_vm_socket) {
		*ret = line;
		return status;
	}
	status = kd__vm_road_create(transport, road_ret, err);
	if (status != KD_OK) {
		kd_carrier_destroy(line);
		return status;
	}
	mapper = kd__vm_road_mapper(*road_ret);
	return kd_carrier_ring_create(line, &s->wake, &mapper, ret, err);
}

enum kd_status kd__wire_create(struct kd_session *s, struct kd_transport *transport,
			       struct kd_error *err)
{
	struct kd__wire *w = calloc(1, sizeof *w);
	enum kd_status status;

	if (!w) {
		kd_transport_destroy(transport);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	status = create_carrier(s, transport, &w->carrier, &w->road, err);
	if (status != KD_OK) {
		kd__vm_road_destroy(w->road);
		free(w);
		return status;
	}
	s->wire = w;
	w->transport = transport;
	w->is_serial_line = kd_transport_info(transport)->is_serial_line;
	w->opened = kd_now_ns();
	w->next_probe = w->opened;
	return KD_OK;
}

/* Its trouble while it went on was told then: note_recording(). */
static enum kd_status finish_recording(struct kd__wire *w, struct kd_error *err)
{
	if (w->recording_failed || kd_transport_tap_status(w->transport, NULL) == KD_E_NOT_FOUND)
		return KD_OK;
	return kd_transport_tap_finish(w->transport, err);
}

enum kd_status kd__wire_destroy(struct kd_session *s, struct kd_error *err)
{
	struct kd__wire *w = s->wire;
	enum kd_status status;

	if (!w)
		return KD_OK;
	kd__wire_counters(s, &s->counters); /* they outlive the connection */
	status = finish_recording(w, err);
	kd_carrier_destroy(w->carrier);
	kd__vm_road_destroy(w->road);
	free(w);
	s->wire = NULL;
	return status;
}

bool kd__wire_is_open(const struct kd_session *s)
{
	return s->wire;
}

/* --- what the target says by itself --- */

static void on_print(struct kd_session *s, const struct kd_debug_io *d)
{
	s->wire->prints++;
	kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_PRINT }, (const char *)d->text,
			d->text_size);
}

static void on_debug_io(struct kd_session *s, const struct kd_link_event *e)
{
	struct kd_debug_io d;

	if (kd_debug_io_decode(&d, e->payload, e->length) != KD_OK)
		return;
	if (d.hdr.api == KD_IO_PRINT_STRING) {
		on_print(s, &d);
		return;
	}
	s->wire->prompt = d.hdr;
	s->wire->prompt_open = true;
	kd__events_push(s,
			(struct kd_event){ .kind = KD_EVENT_PROMPT,
					   .max_answer = d.hdr.length_of_string_read },
			(const char *)d.text, d.text_size);
}

static void queue_answer(struct kd__wire *w, uint16_t type, const uint8_t *bytes, size_t size)
{
	memcpy(w->pending, bytes, size);
	w->pending_size = size;
	w->pending_type = type;
}

/* A file request without an answer hangs the boot: say that there is no such file. */
static void on_file_io(struct kd_session *s, const struct kd_link_event *e)
{
	struct kd_file_io f;
	uint8_t out[KD_FILE_IO_SIZE];
	size_t size;

	if (kd_file_io_decode(&f, e->payload, e->length) != KD_OK)
		return;
	f.hdr.status = f.hdr.api == KD_FILE_CLOSE ? KD__NT(SUCCESS) : KD__NT(NO_SUCH_FILE);
	f.data_size = 0;
	if (kd_file_io_encode(out, sizeof out, &size, &f) == KD_OK)
		queue_answer(s->wire, KD_PACKET_FILE_IO, out, size);
}

static void on_control_request(struct kd_session *s, const struct kd_link_event *e)
{
	struct kd_w_control_request c;
	uint8_t out[KD_W_SIZE_control_request];
	size_t size;

	if (kd_control_request_decode(&c, e->payload, e->length) != KD_OK)
		return;
	c.available = 0; /* debug registers are the debugger's */
	if (kd_control_request_encode(out, sizeof out, &size, &c) == KD_OK)
		queue_answer(s->wire, KD_PACKET_CONTROL_REQUEST, out, size);
}

static void on_state_change(struct kd_session *s, const struct kd_link_event *e)
{
	struct kd__wire *w = s->wire;

	if (e->length > sizeof w->stop)
		return;
	memcpy(w->stop, e->payload, e->length);
	w->stop_size = e->length;
	w->has_stop = true;
}

static void on_reply(struct kd_session *s, const struct kd_link_event *e)
{
	struct kd__wire *w = s->wire;

	if (e->repeat || e->length > sizeof w->reply ||
	    !kd__wire_is_reply(w, e->payload, e->length))
		return;
	memcpy(w->reply, e->payload, e->length);
	w->reply_size = e->length;
	w->seen.reply = true;
}

static void on_packet(struct kd_session *s, const struct kd_link_event *e)
{
	s->wire->heard = true;
	switch (e->type) {
	case KD_PACKET_STATE_MANIPULATE: on_reply(s, e); break;
	case KD_PACKET_STATE_CHANGE64: on_state_change(s, e); break;
	case KD_PACKET_DEBUG_IO: on_debug_io(s, e); break;
	case KD_PACKET_FILE_IO: on_file_io(s, e); break;
	case KD_PACKET_CONTROL_REQUEST: on_control_request(s, e); break;
	case KD_PACKET_STATE_CHANGE32:
		kd__events_notice(s, "the target speaks the KD protocol of NT 4: not supported");
		break;
	default: break; /* trace I/O: acknowledged, not used */
	}
	if (e->type != KD_PACKET_STATE_CHANGE64 && s->state == KD_SESSION_CONNECTING)
		s->state = KD_SESSION_RUNNING;
}

static void on_noise(struct kd__wire *w, const struct kd_link_event *e)
{
	size_t n = KD_MIN(e->length, sizeof w->noise - w->noise_size);

	memcpy(w->noise + w->noise_size, e->payload, n);
	w->noise_size += n;
}

static void on_event(struct kd_session *s, const struct kd_link_event *e)
{
	struct kd__wire *w = s->wire;

	switch (e->kind) {
	case KD_LINK_PACKET: on_packet(s, e); break;
	case KD_LINK_ACKED: w->seen.acked = true; break;
	case KD_LINK_GAVE_UP: w->seen.gave_up = true; break;
	case KD_LINK_RESET_SEEN: w->seen.reset = true; break;
	case KD_LINK_RESTARTED:
		w->seen.restarted = true;
		w->boot = true;
		w->has_stop = w->prompt_open = false;
		break;
	case KD_LINK_NOISE: on_noise(w, e); break;
	case KD_LINK_RESEND_ASKED:
	case KD_LINK_BREAKIN: break;
	}
}

/* --- what we say by ourselves --- */

static bool may_break(const struct kd_session *s)
{
	return s->state != KD_SESSION_STOPPED && !s->wire->has_stop && !s->wire->prompt_open &&
	       !s->wire->is_passing;
}

static void send_break(struct kd_session *s, uint64_t now)
{
	struct kd__wire *w = s->wire;

	w->break_served = false;
	w->break_repeats += w->break_outstanding;
	kd_carrier_break_in(w->carrier);
	w->break_sent = now;
	w->break_outstanding = true;
}

/* One that the target has not answered is repeated after a while only. */
static uint64_t break_due(const struct kd__wire *w)
{
	return w->break_outstanding ? w->break_sent + break_retry : 0;
}

static bool may_probe_by_reset(const struct kd_session *s, bool want_break)
{
	const struct kd__wire *w = s->wire;
	uint32_t limit = kd_transport_info(w->transport)->max_resets; /* 0: none */

	return s->state == KD_SESSION_CONNECTING && (w->probes == 0 || want_break) &&
	       w->probes % 2 == 0 && (!limit || w->probe_resets < limit);
}

/* Somebody waits for the target to stop, or we do. */
static bool wants_break(const struct kd_session *s)
{
	return s->wire->is_rejoining || atomic_load(&s->break_wanted) ||
	       (s->options.initial_break && !s->wire->initial_break_done);
}

/*
 * While nobody answers: RESET (a halted target repeats its state), then, if the user wants to stop
 * a running one, a break-in byte and the silence that makes it count; then again. A target that was
 * heard to run gets no RESET: its break-in poll would eat it byte by byte.
 */
static void probe(struct kd_session *s, uint64_t now)
{
	struct kd__wire *w = s->wire;
	bool want_break = wants_break(s) && may_break(s);

	if (now < w->next_probe)
		return;
	if (may_probe_by_reset(s, want_break)) {
		w->probe_resets++;
		kd_carrier_reset(w->carrier);
		w->next_probe = now + (w->is_serial_line ? second : second / 4);
	} else {
		if (want_break && now >= break_due(w))
			send_break(s, now);
		w->next_probe = now + break_retry;
	}
	w->probes++;
}

static void speak(struct kd_session *s, uint64_t now)
{
	struct kd__wire *w = s->wire;

	if (w->pending_size && !kd_carrier_is_busy(w->carrier) &&
	    kd_carrier_send(w->carrier, w->pending_type, w->pending, w->pending_size, NULL, 0) ==
		    KD_OK)
		w->pending_size = 0;
	if (atomic_load(&s->break_wanted) && may_break(s) && now >= break_due(w))
		send_break(s, now);
	if (s->state == KD_SESSION_CONNECTING ||
	    (s->state == KD_SESSION_RUNNING && s->options.initial_break && !w->initial_break_done))
		probe(s, now);
}

static uint64_t next_deadline(const struct kd_session *s, uint64_t deadline)
{
	const struct kd__wire *w = s->wire;

	if (atomic_load(&s->break_wanted) && may_break(s))
		deadline = KD_MIN(deadline, break_due(w));
	if (s->state == KD_SESSION_CONNECTING ||
	    (s->state == KD_SESSION_RUNNING && s->options.initial_break && !w->initial_break_done))
		deadline = KD_MIN(deadline, w->next_probe);
	return deadline;
}

/* Nothing that was on its way belongs to what comes now; the target is looked for anew. */
static void start_over(struct kd_session *s)
{
	struct kd__wire *w = s->wire;

	w->heard = w->has_stop = w->prompt_open = false;
	w->pending_size = 0;
	w->seen.restarted = true;
	w->probes = w->probe_resets = 0;
	w->next_probe = kd_now_ns();
	s->state = KD_SESSION_CONNECTING;
}

/* The VM's socket closed (reset, restart), perhaps to be opened again. */
static enum kd_status on_closed(struct kd_session *s)
{
	static const char text[] =
		"the connection to the target was closed; waiting for it to come "
		"back";

	if (!kd_transport_info(s->wire->transport)->is_reconnecting) {
		s->state = KD_SESSION_DISCONNECTED;
		return KD_E_CLOSED;
	}
	if (s->state != KD_SESSION_CONNECTING || s->wire->heard) {
		start_over(s);
		kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_LOST }, text,
				sizeof text - 1);
	}
	return KD_OK;
}

/*
 * It was opened again, by the same boot or by another; or what carries packets noticed that the
 * target need not be where we left it.
 */
static enum kd_status on_reconnected(struct kd_session *s)
{
	static const char text[] = "the target is looked for anew";
	bool was_told = s->state == KD_SESSION_CONNECTING && !s->wire->heard;

	/* Whoever had it stopped goes on with it stopped. */
	if (s->state == KD_SESSION_STOPPED)
		atomic_store(&s->break_wanted, true);
	start_over(s);
	if (!was_told)
		kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_LOST }, text,
				sizeof text - 1);
	s->wire->reconnected = true;
	return KD_OK;
}

/*
 * The target is there, but not where we left it: a snapshot was taken back, or it ran on without
 * us. Its breakpoints and ours are no longer the same. It is stopped for a moment, and goes on if
 * it ran before.
 */
static void rejoin(struct kd_session *s, const char *why)
{
	if (s->state == KD_SESSION_STOPPED && !s->wire->is_leaving)
		atomic_store(&s->break_wanted, true);
	else
		s->wire->is_rejoining = !s->wire->is_leaving;
	start_over(s);
	s->wire->heard = true;
	s->wire->reconnected = true;
	kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_REJOIN }, why, strlen(why));
}

static void note_carrier(struct kd_session *s)
{
	char *notice = s->wire->carrier->notice;

	if (notice[0])
		kd__events_notice(s, "%s", notice);
	notice[0] = '\0';
}

static enum kd_status on_anew(struct kd_session *s)
{
	struct kd_carrier *c = s->wire->carrier;

	if (!c->went_back || !s->wire->heard) {
		c->went_back = false;
		note_carrier(s);
		return on_reconnected(s);
	}
	c->went_back = false;
	rejoin(s, c->notice);
	c->notice[0] = '\0';
	return KD_OK;
}

/* Nothing is known yet of a target that was not heard. The ring needs nobody to tell it. */
static void heed_rejoin(struct kd_session *s)
{
	if (!atomic_exchange(&s->rejoin_wanted, false) || !s->wire->heard ||
	    s->state == KD_SESSION_DISCONNECTED || kd_carrier_notices_reverts(s->wire->carrier))
		return;
	rejoin(s, "the target went back to a snapshot");
}

/* A recording that ends early (the disk is full) is said once; the session goes on. */
static void note_recording(struct kd_session *s)
{
	struct kd_error why = { 0 };
	char text[sizeof why.text + 64];
	enum kd_status status;

	if (s->wire->recording_failed)
		return;
	status = kd_transport_tap_status(s->wire->transport, &why);
	if (status == KD_OK || status == KD_E_NOT_FOUND)
		return;
	s->wire->recording_failed = true;
	snprintf(text, sizeof text, "The recording ended early: %s", why.text);
	kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_NOTICE }, text, strlen(text));
}

bool kd__wire_has_vm(const struct kd_session *s)
{
	return s->wire && s->wire->road && kd__vm_road_is_vm(s->wire->road);
}

struct kd_guest_ram *kd__wire_ram(const struct kd_session *s, struct kd_error *err)
{
	return kd__vm_road_ram(s->wire->road, err);
}

enum kd_status kd__wire_open_ram(const struct kd_session *s, struct kd_guest_ram **ret,
				 struct kd_error *err)
{
	if (!s->wire || !s->wire->road)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "no QEMU of this machine is at the other end");
	return kd__vm_road_open_ram(s->wire->road, ret, err);
}

uint32_t kd__wire_read_max(const struct kd_session *s)
{
	return s->wire ? s->wire->carrier->read_max : KD_READ_MAX;
}

/* What a target says without a pause must not keep us beyond a deadline. */
static bool is_outrun(struct kd__wire *w, uint64_t deadline)
{
	if (deadline == UINT64_MAX || kd_now_ns() < deadline) {
		w->late_steps = 0;
		return false;
	}
	if (++w->late_steps <= LATE_STEPS_MAX)
		return false;
	w->late_steps = 0;
	return true;
}

enum kd_status kd__wire_step(struct kd_session *s, uint64_t deadline, struct kd_error *err)
{
	struct kd__wire *w = s->wire;
	struct kd_link_event event;
	enum kd_status status;
	uint64_t mine;

	if (!w)
		return kd_error_set(err, KD_E_CLOSED, 0, "the session was closed");
	if (!w->cancel_holds && atomic_exchange(&s->cancel_wanted, false)) {
		kd_cancel_clear(&s->wake);
		if (!w->is_leaving)
			return kd_error_set(err, KD_E_CANCELLED, 0, "cancelled");
	}
	if (is_outrun(w, deadline))
		return kd_error_set(err, KD_E_TIMEOUT, 0, "the target talks without an end");
	heed_rejoin(s);
	speak(s, kd_now_ns());
	note_recording(s);
	mine = next_deadline(s, deadline);
	status = kd_carrier_run(w->carrier, mine, &event, err);
	if (status != KD_E_RESET)
		note_carrier(s);
	switch (status) {
	case KD_OK: on_event(s, &event); return KD_OK;
	case KD_E_CANCELLED:
		kd_cancel_clear(&s->wake); /* somebody wants something: the flags tell what */
		return KD_OK;
	case KD_E_CLOSED: return on_closed(s);
	case KD_E_RESET: return on_anew(s);
	case KD_E_TIMEOUT:
		if (mine < deadline)
			return KD_OK;
		w->late_steps = 0;
		return kd_error_set(err, KD_E_TIMEOUT, 0, "nothing came from the target");
	default: return status;
	}
}

bool kd__wire_has_stop(const struct kd_session *s)
{
	return s->wire && s->wire->has_stop;
}

bool kd__wire_take_stop(struct kd_session *s, struct kd_state_change *ret)
{
	struct kd__wire *w = s->wire;

	if (!kd__wire_has_stop(s))
		return false;
	w->has_stop = false;
	memcpy(w->last_stop, w->stop, w->stop_size);
	w->last_stop_size = w->stop_size;
	if (kd_state_change_decode(ret, w->last_stop, w->last_stop_size) != KD_OK) {
		kd__events_notice(s, "a state change of %zu bytes cannot be read", w->stop_size);
		return false;
	}
	return true;
}

enum kd_status kd__wire_answer(struct kd_session *s, const char *text, size_t size,
			       struct kd_error *err)
{
	struct kd__wire *w = s->wire;
	struct kd_debug_io d;

	if (!w || !w->prompt_open)
		return kd_error_set(err, KD_E_INVALID, 0, "the target does not wait for an answer");
	size = KD_MIN(size, (size_t)w->prompt.length_of_string_read);
	size = KD_MIN(size, sizeof w->pending - KD_DEBUG_IO_SIZE);
	d = (struct kd_debug_io){ .hdr = w->prompt,
				  .text = (const uint8_t *)text,
				  .text_size = size };
	d.hdr.length_of_string_read = (uint32_t)size;
	w->pending_type = KD_PACKET_DEBUG_IO;
	w->prompt_open = false;
	return kd_debug_io_encode(w->pending, sizeof w->pending, &w->pending_size, &d);
}

/* --- flags from other threads and signal handlers --- */

void kd__wire_break_in(struct kd_session *s)
{
	atomic_store(&s->break_wanted, true);
	kd_cancel_trigger(&s->wake);
}

void kd__wire_rejoin(struct kd_session *s)
{
	atomic_store(&s->rejoin_wanted, true);
	kd_cancel_trigger(&s->wake);
}

bool kd__wire_is_rejoining(const struct kd_session *s)
{
	return s->wire->is_rejoining && s->wire->break_outstanding &&
	       !atomic_load(&s->break_wanted);
}

void kd__wire_rejoined(struct kd_session *s)
{
	s->wire->is_rejoining = false;
}

void kd__wire_cancel(struct kd_session *s)
{
	atomic_store(&s->cancel_wanted, true);
	kd_cancel_trigger(&s->wake);
}

bool kd__wire_take_cancel(struct kd_session *s)
{
	if (s->wire && s->wire->cancel_holds)
		return false;
	return atomic_exchange(&s->cancel_wanted, false) && !(s->wire && s->wire->is_leaving);
}

void kd__wire_hold_cancel(struct kd_session *s, bool holds)
{
	if (s->wire)
		s->wire->cancel_holds += holds ? 1u : -1u;
}

void kd__wire_clear_cancel(struct kd_session *s)
{
	atomic_store(&s->cancel_wanted, false);
}

bool kd__wire_break_outstanding(const struct kd_session *s)
{
	return s->wire->break_outstanding;
}

void kd__wire_break_seen(struct kd_session *s)
{
	struct kd__wire *w = s->wire;

	if (w->break_outstanding)
		w->breaks_to_come = w->break_repeats;
	else if (w->breaks_to_come)
		w->breaks_to_come--;
	w->break_repeats = 0;
	w->break_outstanding = w->break_served = false;
	w->initial_break_done = true;
}

void kd__wire_forget_break(struct kd_session *s)
{
	atomic_store(&s->break_wanted, false);
}

void kd__wire_stop_given(struct kd_session *s)
{
	kd__wire_forget_break(s);
	s->wire->initial_break_done = true; /* any stop will do */
	s->wire->break_served = s->wire->break_outstanding;
}

bool kd__wire_break_was_served(const struct kd_session *s)
{
	const struct kd__wire *w = s->wire;

	return ((w->break_outstanding && w->break_served) ||
		(!w->break_outstanding && w->breaks_to_come)) &&
	       !atomic_load(&s->break_wanted) && kd_now_ns() - w->break_sent < break_forgotten;
}

bool kd__wire_needs_reset(const struct kd_session *s)
{
	return !kd_carrier_is_synced(s->wire->carrier);
}

void kd__wire_begin_leaving(struct kd_session *s)
{
	atomic_store(&s->break_wanted, false);
	s->wire->is_leaving = true;
	s->wire->is_rejoining = false;
	s->wire->initial_break_done = true;
	if (s->wire->prompt_open)
		kd__wire_answer(s, "", 0, NULL);
}

void kd__wire_abandon(struct kd_session *s)
{
	if (s->wire)
		s->wire->carrier->is_abandoned = true;
}

void kd__wire_begin_passing(struct kd_session *s)
{
	atomic_store(&s->break_wanted, false);
	s->wire->is_passing = true;
}

bool kd__wire_is_busy(const struct kd_session *s)
{
	return s->wire->pending_size || kd_carrier_is_busy(s->wire->carrier);
}

bool kd__wire_has_restart(const struct kd_session *s)
{
	return s->wire && s->wire->boot;
}

uint64_t kd__wire_break_sent(const struct kd_session *s)
{
	return s->wire->break_sent;
}

bool kd__wire_was_heard(const struct kd_session *s)
{
	return s->wire->heard;
}

bool kd__wire_take_restart(struct kd_session *s)
{
	bool boot = s->wire && s->wire->boot;

	if (boot)
		s->wire->boot = false;
	return boot;
}

bool kd__wire_take_reconnect(struct kd_session *s)
{
	bool reconnected = s->wire && s->wire->reconnected;

	if (reconnected)
		s->wire->reconnected = false;
	return reconnected;
}

void kd__wire_limit_requests(struct kd_session *s, uint64_t limit_ns)
{
	s->wire->request_limit = limit_ns;
}

const char *kd__wire_endpoint(const struct kd_session *s)
{
	return s->wire->transport->name;
}

bool kd__wire_is_replay(const struct kd_session *s)
{
	return kd_transport_info(s->wire->transport)->is_replay;
}

bool kd__wire_is_vm_socket(const struct kd_session *s)
{
	return kd_transport_info(s->wire->transport)->is_vm_socket;
}
