/* SPDX-License-Identifier: MIT */
/*
 *   relay's thread            bridge's thread
 *   write() -> [in]  --feed--> link (target's role) --packets--> carrier -> target
 *   read()  <- [out] <-output- link                 <--packets-- carrier <- target
 *
 * What the target waits in (a stop, a prompt) is kept until it is answered: a debugger that comes
 * late, or asks again, gets it.
 */
#include "lib/fleet/relay_bridge.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/link/link.h"
#include "core/wire/message.h"
#include "lib/engine/vm_road.h"
#include "lib/io/carrier.h"
#include "lib/io/carrier_ring.h"
#include "lib/wait.h"

enum {
	IN_SIZE = 64 << 10,
	OUT_SIZE = 256 << 10,
	QUEUE_MAX = 256,   /* packets of the target that wait for the debugger's link */
	COUNT_AT = 16 + 8, /* of a read, in its payload */
};

struct packet {
	uint16_t type;
	size_t size;
	uint8_t bytes[KD_PAYLOAD_MAX];
};

struct bridge {
	struct kd_transport base; /* first */
	pthread_t thread;
	struct kd_cancel wake; /* something came in, or the end */
	int news_fd;           /* readable: something is to be read */

	pthread_mutex_t lock; /* from here ... */
	bool is_ending, has_client;
	size_t in_n, out_first, out_n;
	uint8_t in[IN_SIZE], out[OUT_SIZE];
	struct kd_error over; /* status != KD_OK: the line is gone */
	bool line_is_up;
	uint32_t line_generation;
	char road[KD_ERROR_TEXT_SIZE];
	/* ... to here. The rest is the thread's. */

	struct kd__vm_road *vm;
	struct kd_carrier *carrier;
	struct kd_link link; /* towards the debugger */
	bool knows_client;   /* has_client as the thread saw it last */
	bool is_waiting;     /* the target waits in `wait` for an answer */
	bool wait_is_due;    /* ... and the debugger has to hear of it (again) */
	struct packet wait;
	bool has_request; /* the carrier was busy */
	struct packet request;
	/* The request that waits for its answer; said again when the road changed under it. */
	bool is_asked;
	struct packet asked;
	uint64_t asked_at;
	uint32_t asked_road, roads; /* how many changes of road there were */
	uint32_t count;       /* of the last read, as it was asked for; 0: it was not shortened */
	uint64_t ask_stop_at; /* ask then where the target stands; KD_TIME_NEVER: no need */
	size_t first, n;
	struct packet *queue; /* QUEUE_MAX */
};

/* An answer over the new road comes sooner, or not at all. */
static const uint64_t patience_ns = 200000000;
/* A target that was told to stop and does not say so may have said it to somebody else. */
static const uint64_t stop_ns = 1000000000;

static struct bridge *of(struct kd_transport *t)
{
	return (struct bridge *)t;
}

static bool keep(struct packet *p, uint16_t type, const uint8_t *bytes, size_t size)
{
	if (size > sizeof p->bytes)
		return false;
	p->type = type;
	p->size = size;
	memcpy(p->bytes, bytes, size);
	return true;
}

static uint32_t number_of(const struct packet *p)
{
	return p->size >= 4 ? kd_get32(p->bytes) : 0;
}

/* --- to the target --- */

static bool resumes(const struct packet *p)
{
	switch (number_of(p)) {
	case KD_API_CONTINUE:
	case KD_API_CONTINUE2:
	case KD_API_REBOOT:
	case KD_API_CAUSE_BUGCHECK:
	case KD_API_SWITCH_PROCESSOR: return p->type == KD_PACKET_STATE_MANIPULATE;
	default: return p->type != KD_PACKET_STATE_MANIPULATE; /* an answer */
	}
}

static void send_request(struct bridge *b)
{
	const struct kd_packet_info *info = kd_packet_find(b->request.type);
	size_t fixed = info ? KD_MIN((size_t)info->fixed_size, b->request.size) : 0;
	enum kd_status s;

	if (!b->has_request)
		return;
	s = kd_carrier_send(b->carrier, b->request.type, b->request.bytes, fixed,
			    b->request.bytes + fixed, b->request.size - fixed);
	if (s == KD_E_BUSY)
		return;
	b->has_request = false;
	if (s != KD_OK)
		return;
	if (resumes(&b->request)) {
		b->is_waiting = b->wait_is_due = b->is_asked = false;
	} else {
		b->asked = b->request;
		b->is_asked = true;
		b->asked_at = kd_now_ns();
		b->asked_road = b->roads;
	}
}

static uint64_t ask_again_at(const struct bridge *b)
{
	return b->is_asked && b->asked_road != b->roads ? b->asked_at + patience_ns : KD_TIME_NEVER;
}

/* A request that was on the line when the ring was taken is lost, and its debugger would wait. */
static void ask_again(struct bridge *b, uint64_t now)
{
	if (b->has_request || now < ask_again_at(b))
		return;
	b->request = b->asked;
	b->has_request = true;
	send_request(b);
}

static bool is_read(const struct packet *p)
{
	uint32_t api = number_of(p);

	return p->type == KD_PACKET_STATE_MANIPULATE && p->size >= COUNT_AT + 4 &&
	       (api == KD_API_READ_VIRTUAL || api == KD_API_READ_PHYSICAL);
}

/*
 * A debugger of serial lines asks for more than a datagram holds. It gets less, and asks for the
 * rest: the answer, which repeats its own count, tells how much it is.
 */
static void shorten(struct bridge *b, struct packet *p)
{
	uint32_t read_max = b->carrier->read_max;

	b->count = 0;
	if (!is_read(p) || kd_get32(p->bytes + COUNT_AT) <= read_max)
		return;
	b->count = kd_get32(p->bytes + COUNT_AT);
	kd_put32(p->bytes + COUNT_AT, read_max);
}

static void restore_count(struct bridge *b, struct packet *p)
{
	if (b->count && is_read(p))
		kd_put32(p->bytes + COUNT_AT, b->count);
}

/* A request for a target that runs is lost on the wire, too. */
static void on_request(struct bridge *b, const struct kd_link_event *e)
{
	uint16_t wanted = b->wait.type == KD_PACKET_STATE_CHANGE64 ? KD_PACKET_STATE_MANIPULATE
								   : b->wait.type;

	if (!b->is_waiting || e->type != wanted || b->has_request)
		return;
	b->has_request = keep(&b->request, e->type, e->payload, e->length);
	if (b->has_request)
		shorten(b, &b->request);
	send_request(b);
}

static void break_in(struct bridge *b, uint64_t now)
{
	kd_carrier_break_in(b->carrier);
	b->ask_stop_at = KD_MIN(b->ask_stop_at, now + stop_ns);
}

/* Its stop was lost between two roads, or came before we did. */
static void ask_where_it_stands(struct bridge *b, uint64_t now)
{
	if (b->is_waiting)
		b->ask_stop_at = KD_TIME_NEVER;
	if (now < b->ask_stop_at)
		return;
	b->ask_stop_at = KD_TIME_NEVER;
	kd_carrier_ask_resend(b->carrier);
}

/* What a system does that nobody debugs. */
static void answer_ourselves(struct bridge *b)
{
	struct kd_manipulate m;
	struct kd_file_io f;
	uint32_t number = number_of(&b->wait);

	if (b->wait.type == KD_PACKET_STATE_CHANGE64 && number == KD_STATE_LOAD_SYMBOLS) {
		kd_manipulate_init(&m, KD_API_CONTINUE, KD_MACHINE_AMD64, 0);
		m.u.cont.continue_status = KD_NT_DBG_CONTINUE;
		b->request.type = KD_PACKET_STATE_MANIPULATE;
		b->request.size = 56;
		kd_manipulate_encode_hdr(b->request.bytes, &m);
	} else if (b->wait.type == KD_PACKET_FILE_IO &&
		   kd_file_io_decode(&f, b->wait.bytes, b->wait.size) == KD_OK) {
		f.hdr.status = number == KD_FILE_CLOSE ? 0 : 0xC000000Fu; /* NO_SUCH_FILE */
		f.data_size = 0;
		b->request.type = KD_PACKET_FILE_IO;
		if (kd_file_io_encode(b->request.bytes, sizeof b->request.bytes, &b->request.size,
				      &f) != KD_OK)
			return;
	} else {
		return;
	}
	b->has_request = true;
	send_request(b);
}

/* --- to the debugger --- */

static void enqueue(struct bridge *b, const struct kd_link_event *e)
{
	if (b->n == QUEUE_MAX) { /* the oldest print goes */
		b->first = (b->first + 1) % QUEUE_MAX;
		b->n--;
	}
	if (keep(&b->queue[(b->first + b->n) % QUEUE_MAX], e->type, e->payload, e->length))
		b->n++;
}

static bool is_abandonable(const struct packet *p)
{
	struct kd_debug_io d;

	if (p->type == KD_PACKET_DEBUG_IO)
		return kd_debug_io_decode(&d, p->bytes, p->size) == KD_OK &&
		       d.hdr.api == KD_IO_PRINT_STRING;
	return number_of(p) == KD_STATE_LOAD_SYMBOLS || number_of(p) == KD_FILE_CREATE;
}

static bool say(struct bridge *b, const struct packet *p, uint64_t now)
{
	return kd_link_send(&b->link, p->type, p->bytes, p->size, NULL, 0, is_abandonable(p),
			    now) == KD_OK;
}

/* Prints before the stop that follows them. */
static void say_next(struct bridge *b, uint64_t now)
{
	if (kd_link_is_busy(&b->link))
		return;
	if (b->n) {
		if (say(b, &b->queue[b->first], now)) {
			b->first = (b->first + 1) % QUEUE_MAX;
			b->n--;
		}
	} else if (b->is_waiting && b->wait_is_due) {
		b->wait_is_due = !say(b, &b->wait, now);
	}
}

static void on_wait(struct bridge *b, const struct kd_link_event *e)
{
	/* Said again when the road changes, or because we asked. */
	bool is_known = b->is_waiting && e->type == b->wait.type && e->length == b->wait.size &&
			memcmp(e->payload, b->wait.bytes, e->length) == 0;

	if (!keep(&b->wait, e->type, e->payload, e->length))
		return;
	b->is_waiting = true;
	b->wait_is_due |= !is_known;
	if (!b->knows_client)
		answer_ourselves(b);
}

static bool is_print(const struct kd_link_event *e)
{
	struct kd_debug_io d;

	return e->type == KD_PACKET_DEBUG_IO &&
	       kd_debug_io_decode(&d, e->payload, e->length) == KD_OK &&
	       d.hdr.api == KD_IO_PRINT_STRING;
}

static void on_target_packet(struct bridge *b, const struct kd_link_event *e)
{
	switch (e->type) {
	case KD_PACKET_STATE_CHANGE64:
	case KD_PACKET_FILE_IO:
	case KD_PACKET_CONTROL_REQUEST: on_wait(b, e); break;
	case KD_PACKET_DEBUG_IO:
		if (is_print(e))
			enqueue(b, e);
		else
			on_wait(b, e);
		break;
	case KD_PACKET_STATE_MANIPULATE:
		b->is_asked = false;
		enqueue(b, e);
		if (b->n)
			restore_count(b, &b->queue[(b->first + b->n - 1) % QUEUE_MAX]);
		break;
	default: enqueue(b, e); break;
	}
}

static void on_target(struct bridge *b, const struct kd_link_event *e, uint64_t now)
{
	if (e->kind == KD_LINK_PACKET) {
		on_target_packet(b, e);
	} else if (e->kind == KD_LINK_RESTARTED) {
		b->is_waiting = b->wait_is_due = b->has_request = b->is_asked = false;
		b->n = 0;
		kd_link_restart(&b->link, now); /* the next packet says so */
		b->ask_stop_at = now + patience_ns;
	}
}

/* --- from the debugger --- */

static void on_client(struct bridge *b, const struct kd_link_event *e, uint64_t now)
{
	switch (e->kind) {
	case KD_LINK_PACKET: on_request(b, e); break;
	case KD_LINK_RESEND_ASKED:
	case KD_LINK_RESET_SEEN:
		if (!kd_link_is_busy(&b->link))
			b->wait_is_due = b->is_waiting;
		if (!b->is_waiting)
			b->ask_stop_at = now;
		break;
	case KD_LINK_BREAKIN: break_in(b, now); break;
	case KD_LINK_GAVE_UP: b->wait_is_due = false; break;
	default: break;
	}
}

static void client_events(struct bridge *b, uint64_t now)
{
	struct kd_link_event e;

	while (kd_link_next_event(&b->link, &e))
		on_client(b, &e, now);
	say_next(b, now);
}

/* A running target takes break-ins only, one byte a look. */
static void feed(struct bridge *b, const uint8_t *bytes, size_t n, uint64_t now)
{
	for (size_t done = 0; done < n;) {
		if (b->is_waiting || kd_link_is_busy(&b->link))
			done += kd_link_feed(&b->link, bytes + done, n - done, now);
		else if (kd_link_poll_byte(&b->link, bytes[done++], now))
			break_in(b, now);
		client_events(b, now);
	}
}

static void take_in(struct bridge *b, uint64_t now)
{
	uint8_t bytes[4096];
	size_t n;

	do {
		pthread_mutex_lock(&b->lock);
		n = KD_MIN(b->in_n, sizeof bytes);
		memcpy(bytes, b->in, n);
		memmove(b->in, b->in + n, b->in_n - n);
		b->in_n -= n;
		pthread_mutex_unlock(&b->lock);
		feed(b, bytes, n, now);
	} while (n);
}

static void signal_news(struct bridge *b)
{
	if (eventfd_write(b->news_fd, 1) != 0)
		return; /* it is readable already */
}

static void give_out(struct bridge *b, uint64_t now)
{
	const uint8_t *bytes;
	size_t n;
	bool any = false;

	while ((bytes = kd_link_next_output(&b->link, &n))) {
		pthread_mutex_lock(&b->lock);
		n = KD_MIN(n, sizeof b->out - b->out_n);
		for (size_t i = 0; i < n; i++)
			b->out[(b->out_first + b->out_n + i) % sizeof b->out] = bytes[i];
		b->out_n += n;
		pthread_mutex_unlock(&b->lock);
		if (!n)
			break;
		any = true;
		kd_link_output_done(&b->link, n, now);
	}
	if (any)
		signal_news(b);
}

/* Nobody will acknowledge: it was said, that is all. */
static void forget_unheard(struct bridge *b, uint64_t now)
{
	while (!b->knows_client && kd_link_is_busy(&b->link)) {
		kd_link_cancel(&b->link);
		say_next(b, now);
		give_out(b, now);
		if (kd_link_is_busy(&b->link) && !b->n && !b->wait_is_due) {
			kd_link_cancel(&b->link);
			break;
		}
	}
}

static void look_at_client(struct bridge *b)
{
	bool has_client;

	pthread_mutex_lock(&b->lock);
	has_client = b->has_client;
	pthread_mutex_unlock(&b->lock);
	if (has_client == b->knows_client)
		return;
	b->knows_client = has_client;
	if (has_client)
		b->wait_is_due = b->is_waiting;
	else
		kd_link_cancel(&b->link);
}

/* --- the thread --- */

static void note_line(struct bridge *b)
{
	const struct kd_transport_info *info = kd_transport_info(b->carrier->transport);
	char road[sizeof b->road];

	pthread_mutex_lock(&b->lock);
	if (b->line_is_up != info->is_up || b->line_generation != info->generation) {
		b->line_is_up = info->is_up;
		b->line_generation = info->generation;
		signal_news(b);
	}
	kd_carrier_describe(b->carrier, road, sizeof road);
	if (strcmp(road, b->road) != 0) {
		b->roads++;
		memcpy(b->road, road, sizeof b->road);
	}
	pthread_mutex_unlock(&b->lock);
}

/* Whoever comes next starts anew. */
static void forget_target(struct bridge *b)
{
	b->is_waiting = b->wait_is_due = b->has_request = b->is_asked = false;
	b->ask_stop_at = KD_TIME_NEVER;
	kd_link_cancel(&b->link);
}

/* False: the line is gone for good. */
static bool run_target(struct bridge *b)
{
	struct kd_link_event event;
	struct kd_error err;
	uint64_t deadline = KD_MIN(KD_MIN(kd_link_deadline(&b->link), ask_again_at(b)),
				   b->ask_stop_at);
	enum kd_status s = kd_carrier_run(b->carrier, deadline, &event, &err);
	uint64_t now = kd_now_ns();

	switch (s) {
	case KD_OK: on_target(b, &event, now); return true;
	case KD_E_TIMEOUT: kd_link_timeout(&b->link, now); return true;
	case KD_E_CANCELLED: kd_cancel_clear(&b->wake); return true;
	case KD_E_RESET: forget_target(b); return true; /* another connection */
	default: break;
	}
	forget_target(b);
	if (kd_transport_info(b->carrier->transport)->is_reconnecting)
		return true; /* the VM ended; it may come back */
	pthread_mutex_lock(&b->lock);
	b->over = err;
	b->over.status = s;
	pthread_mutex_unlock(&b->lock);
	signal_news(b);
	return false;
}

static bool is_ending(struct bridge *b)
{
	bool ending;

	pthread_mutex_lock(&b->lock);
	ending = b->is_ending;
	pthread_mutex_unlock(&b->lock);
	return ending;
}

static void *run(void *context)
{
	struct bridge *b = context;

	do {
		uint64_t now = kd_now_ns();

		look_at_client(b);
		take_in(b, now);
		ask_again(b, now);
		ask_where_it_stands(b, now);
		send_request(b);
		client_events(b, now);
		give_out(b, now);
		forget_unheard(b, now);
		note_line(b);
	} while (!is_ending(b) && run_target(b));
	return NULL;
}

/* --- as a transport --- */

static enum kd_status bridge_connect(struct kd_transport *t, struct kd_error *err)
{
	(void)t;
	(void)err;
	return KD_OK;
}

static enum kd_status bridge_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
				  struct kd_error *err)
{
	struct bridge *b = of(t);
	enum kd_status s = KD_E_AGAIN;
	eventfd_t unused;
	size_t n;

	eventfd_read(b->news_fd, &unused);
	pthread_mutex_lock(&b->lock);
	t->info.is_up = b->line_is_up;
	t->info.generation = b->line_generation;
	n = KD_MIN(size, b->out_n);
	for (size_t i = 0; i < n; i++)
		buf[i] = b->out[(b->out_first + i) % sizeof b->out];
	b->out_first = (b->out_first + n) % sizeof b->out;
	b->out_n -= n;
	if (n) {
		s = KD_OK;
		*n_ret = n;
	} else if (b->over.status != KD_OK) {
		t->info.is_up = false;
		if (err)
			*err = b->over;
		s = b->over.status;
	}
	pthread_mutex_unlock(&b->lock);
	return s;
}

static enum kd_status bridge_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				   size_t *n_ret, struct kd_error *err)
{
	struct bridge *b = of(t);
	size_t n;

	(void)err;
	pthread_mutex_lock(&b->lock);
	n = KD_MIN(size, sizeof b->in - b->in_n);
	memcpy(b->in + b->in_n, buf, n);
	b->in_n += n;
	pthread_mutex_unlock(&b->lock);
	kd_cancel_trigger(&b->wake);
	*n_ret = n;
	return n ? KD_OK : KD_E_AGAIN;
}

static void bridge_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	const struct bridge *b = (const struct bridge *)t;

	*ret = (struct kd_poll){ .fd = b->news_fd, .want_read = true, .deadline = KD_TIME_NEVER };
}

static void bridge_destroy(struct kd_transport *t)
{
	struct bridge *b = of(t);

	pthread_mutex_lock(&b->lock);
	b->is_ending = true;
	pthread_mutex_unlock(&b->lock);
	kd_cancel_trigger(&b->wake);
	if (b->thread)
		pthread_join(b->thread, NULL);
	kd_carrier_destroy(b->carrier);
	kd__vm_road_destroy(b->vm);
	kd_cancel_deinit(&b->wake);
	pthread_mutex_destroy(&b->lock);
	if (b->news_fd >= 0)
		close(b->news_fd);
	free(b->queue);
	free(b);
}

static const struct kd_transport_ops ops = { "bridge",     bridge_connect, bridge_read,
					     bridge_write, bridge_poll,    bridge_destroy };

static enum kd_status create_carrier(struct bridge *b, struct kd_transport *line,
				     struct kd_error *err)
{
	struct kd_ring_mapper mapper;
	struct kd_carrier *link;
	enum kd_status s;

	if (kd_transport_net_host(line))
		return kd_carrier_net_create(line, &b->wake, &b->carrier, err);
	s = kd_carrier_link_create(line, &b->wake, &link, err);
	if (s != KD_OK || !kd_transport_info(line)->is_vm_socket) {
		b->carrier = link;
		return s;
	}
	s = kd__vm_road_create(line, &b->vm, err);
	if (s != KD_OK) {
		kd_carrier_destroy(link);
		return s;
	}
	mapper = kd__vm_road_mapper(b->vm);
	return kd_carrier_ring_create(link, &b->wake, &mapper, &b->carrier, err);
}

static struct bridge *new_bridge(struct kd_transport *line, struct kd_error *err)
{
	struct bridge *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->base.ops = &ops;
	b->base.info.is_reconnecting = true;
	b->ask_stop_at = KD_TIME_NEVER;
	snprintf(b->base.name, sizeof b->base.name, "%s", line->name);
	pthread_mutex_init(&b->lock, NULL);
	b->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->queue = calloc(QUEUE_MAX, sizeof *b->queue);
	if (kd_cancel_init(&b->wake, err) != KD_OK || b->news_fd < 0 || !b->queue) {
		bridge_destroy(&b->base);
		return NULL;
	}
	return b;
}

enum kd_status kd__relay_bridge_create(struct kd_transport *line, struct kd_transport **t_ret,
				       struct kd_error *err)
{
	struct bridge *b = new_bridge(line, err);
	struct kd_link_config config;
	enum kd_status s;

	if (!b) {
		kd_transport_destroy(line);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory or descriptors");
	}
	kd_link_config_init(&config, KD_LINK_TARGET, false);
	kd_link_init(&b->link, &config);
	s = create_carrier(b, line, err);
	if (s == KD_OK && pthread_create(&b->thread, NULL, run, b) != 0) {
		b->thread = 0;
		s = kd_error_set(err, KD_E_IO, 0, "no thread to be had");
	}
	if (s != KD_OK) {
		bridge_destroy(&b->base);
		return s;
	}
	*t_ret = &b->base;
	return KD_OK;
}

void kd__relay_bridge_set_client(struct kd_transport *t, bool is_there)
{
	struct bridge *b = of(t);

	pthread_mutex_lock(&b->lock);
	b->has_client = is_there;
	pthread_mutex_unlock(&b->lock);
	kd_cancel_trigger(&b->wake);
}

void kd__relay_bridge_road(struct kd_transport *t, char *text, size_t size)
{
	struct bridge *b = of(t);

	pthread_mutex_lock(&b->lock);
	snprintf(text, size, "%s", b->road);
	pthread_mutex_unlock(&b->lock);
}
