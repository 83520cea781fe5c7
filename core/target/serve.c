/* SPDX-License-Identifier: MIT */
#include "core/target/serve.h"

#include "core/bytes.h"

void kd_server_init(struct kd_server *s, struct kd_target *target,
		    const struct kd_link_config *config)
{
	kd_zero(s, sizeof(*s));
	s->target = target;
	kd_link_init(&s->link, config);
}

void kd_server_restart(struct kd_server *s, uint64_t now)
{
	struct kd_target *const target = s->target;

	kd_link_restart(&s->link, now);
	kd_link_want(&s->link, 0);
	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++)
		target->breakpoints[i].state = KD_TARGET_BP_FREE;
	s->state = KD_SERVER_RUNNING;
	s->report_wanted = false;
	s->is_reporting = false;
	s->resume_on_ack = false;
	s->break_pending = false;
	s->event.kind = KD_SERVER_NONE;
}

static uint32_t number_of(const uint8_t *payload, size_t size)
{
	return size >= 4 ? kd_get32(payload) : 0;
}

/* What NT gives up after its retries, because it can live without an answer. */
static bool is_abandonable(const struct kd_server *s)
{
	const uint32_t number = number_of(s->report, s->report_size);

	return number == KD_STATE_LOAD_SYMBOLS || number == KD_FILE_CREATE;
}

static void send_report(struct kd_server *s, uint64_t now)
{
	if (!s->report_wanted || kd_link_is_busy(&s->link))
		return;
	if (kd_link_send(&s->link, s->report_type, s->report, s->report_size, NULL, 0,
			 is_abandonable(s), now) == KD_OK) {
		s->report_wanted = false;
		s->is_reporting = true;
	}
}

static void begin_report(struct kd_server *s, enum kd_server_state state, uint16_t type,
			 size_t size, uint16_t want, uint64_t now)
{
	s->state = state;
	s->report_type = type;
	s->report_size = size;
	s->report_wanted = true;
	kd_link_want(&s->link, want);
	send_report(s, now);
}

void kd_server_report(struct kd_server *s, size_t size, uint64_t now)
{
	begin_report(s, KD_SERVER_STOPPED, KD_PACKET_STATE_CHANGE64, size,
		     KD_PACKET_STATE_MANIPULATE, now);
}

enum kd_status kd_server_ask(struct kd_server *s, uint16_t type, size_t size, uint64_t now)
{
	if (!kd_server_is_idle(s))
		return KD_E_BUSY;
	begin_report(s, KD_SERVER_ASKING, type, size, type, now);
	return KD_OK;
}

enum kd_status kd_server_print(struct kd_server *s, size_t size, uint64_t now)
{
	if (!kd_server_is_idle(s))
		return KD_E_BUSY;
	s->is_reporting = false;
	return kd_link_send(&s->link, KD_PACKET_DEBUG_IO, s->reply, size, NULL, 0, true, now);
}

bool kd_server_is_idle(const struct kd_server *s)
{
	return s->state == KD_SERVER_RUNNING && !kd_link_is_busy(&s->link) &&
	       s->event.kind == KD_SERVER_NONE;
}

bool kd_server_take_break(struct kd_server *s)
{
	const bool pending = s->break_pending;

	s->break_pending = false;
	return pending;
}

/* --- what the link says --- */

static void resume(struct kd_server *s, const struct kd_server_event *event)
{
	s->state = KD_SERVER_RUNNING;
	s->report_wanted = false;
	s->event = *event;
	kd_link_want(&s->link, 0);
}

static void reply(struct kd_server *s, size_t size, uint64_t now)
{
	s->is_reporting = false;
	/* Requests are only delivered while nothing is outstanding: it can't be busy. */
	(void)kd_link_send(&s->link, KD_PACKET_STATE_MANIPULATE, s->reply, size, NULL, 0, false,
			   now);
}

static void on_request(struct kd_server *s, const struct kd_link_event *packet, uint64_t now)
{
	struct kd_server_event event = { .kind = KD_SERVER_NONE };
	struct kd_target_action *action = &event.action;

	switch (kd_target_request(s->target, packet->payload, packet->length, s->reply,
				  sizeof(s->reply), action)) {
	case KD_TARGET_REPLY: reply(s, action->reply_size, now); return;
	case KD_TARGET_STAY:
	case KD_TARGET_MALFORMED: return;
	case KD_TARGET_RESEND_STATE:
		s->report_wanted = true;
		send_report(s, now);
		return;
	case KD_TARGET_CONTINUE: event.kind = KD_SERVER_CONTINUE; break;
	case KD_TARGET_SWITCH:
		event.kind = KD_SERVER_SWITCH;
		s->event = event;
		return;
	case KD_TARGET_REBOOT: event.kind = KD_SERVER_REBOOT; break;
	case KD_TARGET_BUGCHECK: event.kind = KD_SERVER_BUGCHECK; break;
	}
	if (action->reply_size) {
		reply(s, action->reply_size, now);
		s->delayed = event;
		s->resume_on_ack = true;
	} else {
		resume(s, &event);
	}
}

static void on_packet(struct kd_server *s, const struct kd_link_event *packet, uint64_t now)
{
	struct kd_server_event answer = { .kind = KD_SERVER_ANSWER,
					  .payload = packet->payload,
					  .size = packet->length };

	if (s->state == KD_SERVER_STOPPED && packet->type == KD_PACKET_STATE_MANIPULATE)
		on_request(s, packet, now);
	else if (s->state == KD_SERVER_ASKING && packet->type == s->report_type)
		resume(s, &answer);
}

static void on_given_up(struct kd_server *s)
{
	struct kd_server_event event = { .kind = KD_SERVER_GONE, .debugger_is_gone = true };

	if (s->is_reporting && s->state == KD_SERVER_STOPPED) {
		event.kind = KD_SERVER_CONTINUE;
		event.action.kind = KD_TARGET_CONTINUE;
		event.action.continue_status = KD_NT_DBG_CONTINUE;
	}
	resume(s, &event);
}

static void on_event(struct kd_server *s, const struct kd_link_event *event, uint64_t now)
{
	switch (event->kind) {
	case KD_LINK_PACKET: on_packet(s, event, now); break;
	case KD_LINK_ACKED:
		if (s->resume_on_ack) {
			s->resume_on_ack = false;
			resume(s, &s->delayed);
		}
		break;
	case KD_LINK_GAVE_UP: on_given_up(s); break;
	case KD_LINK_RESEND_ASKED:
	case KD_LINK_RESET_SEEN:
		/* An outstanding packet is repeated by the link. */
		s->report_wanted = s->state != KD_SERVER_RUNNING &&
				   (s->report_wanted || !kd_link_is_busy(&s->link));
		break;
	case KD_LINK_BREAKIN: s->break_pending = true; break;
	case KD_LINK_RESTARTED:
	case KD_LINK_NOISE: break;
	}
}

static void work(struct kd_server *s, uint64_t now)
{
	struct kd_link_event event;

	while (s->event.kind == KD_SERVER_NONE && kd_link_next_event(&s->link, &event))
		on_event(s, &event, now);
	send_report(s, now);
}

/* --- bytes and time --- */

static bool is_listening(const struct kd_server *s)
{
	return s->state != KD_SERVER_RUNNING || kd_link_is_busy(&s->link);
}

/* One byte per poll, as of a running NT. */
static void poll(struct kd_server *s, uint8_t byte, uint64_t now)
{
	if (kd_link_poll_byte(&s->link, byte, now))
		s->event = (struct kd_server_event){ .kind = KD_SERVER_BREAK_IN };
}

size_t kd_server_feed(struct kd_server *s, const uint8_t *bytes, size_t size, uint64_t now)
{
	size_t done = 0;

	work(s, now);
	while (done < size && s->event.kind == KD_SERVER_NONE) {
		if (is_listening(s))
			done += kd_link_feed(&s->link, bytes + done, size - done, now);
		else
			poll(s, bytes[done++], now);
		work(s, now);
	}
	return done;
}

bool kd_server_next_event(struct kd_server *s, struct kd_server_event *event_ret)
{
	if (s->event.kind == KD_SERVER_NONE)
		return false;
	*event_ret = s->event;
	s->event.kind = KD_SERVER_NONE;
	return true;
}

const uint8_t *kd_server_next_output(struct kd_server *s, size_t *size_ret)
{
	return kd_link_next_output(&s->link, size_ret);
}

void kd_server_output_done(struct kd_server *s, size_t size, uint64_t now)
{
	kd_link_output_done(&s->link, size, now);
}

uint64_t kd_server_deadline(const struct kd_server *s)
{
	return kd_link_deadline(&s->link);
}

void kd_server_timeout(struct kd_server *s, uint64_t now)
{
	kd_link_timeout(&s->link, now);
	work(s, now);
}
