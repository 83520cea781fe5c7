/* SPDX-License-Identifier: MIT */
#include "tests/io/io_debugger.h"

#include <string.h>

static const uint64_t second = UINT64_C(1000000000);

const char *io_fake_target_program;

struct io_child io_fake_target(const char *path, const char *option)
{
	const char *argv[] = { io_fake_target_program,
			       "--listen",
			       path,
			       "--stdin",
			       "--seconds",
			       "100",
			       option,
			       NULL };
	struct io_child c = io_spawn(argv);

	io_child_line(&c, "listening");
	return c;
}

void io_debugger_init(struct io_debugger *d, struct kd_transport *t)
{
	struct kd_link_config cfg;
	struct kd_error err;

	memset(d, 0, sizeof *d);
	assert_status(KD_OK, kd_cancel_init(&d->cancel, &err));
	d->transport = t;
	kd_link_config_init(&cfg, KD_LINK_DEBUGGER, kd_transport_info(t)->is_serial_line);
	kd_link_init(&d->link, &cfg);
	kd_pump_init(&d->pump, t, &d->link, &d->cancel);
}

void io_debugger_deinit(struct io_debugger *d)
{
	kd_transport_destroy(d->transport);
	kd_cancel_deinit(&d->cancel);
}

static void on_print(struct io_debugger *d, const struct kd_link_event *e)
{
	size_t used = strlen(d->text);
	struct kd_debug_io io;

	if (kd_debug_io_decode(&io, e->payload, e->length) == KD_OK && !e->repeat)
		memcpy(d->text + used, io.text, KD_MIN(io.text_size, sizeof d->text - 1 - used));
}

static void on_packet(struct io_debugger *d, const struct kd_link_event *e)
{
	struct kd_state_change stop;

	if (e->type == KD_PACKET_DEBUG_IO)
		on_print(d, e);
	if (e->type == KD_PACKET_STATE_CHANGE64 &&
	    kd_state_change_decode(&stop, e->payload, e->length) == KD_OK) {
		d->is_stopped = true;
		d->n_stops++;
		d->processor = stop.hdr.processor;
	}
	if (e->type == KD_PACKET_STATE_MANIPULATE) {
		memcpy(d->reply_bytes, e->payload, e->length);
		d->has_reply = kd_manipulate_decode(&d->reply, 0, d->reply_bytes, e->length) ==
			       KD_OK;
	}
}

enum kd_status io_debugger_step(struct io_debugger *d, uint64_t deadline)
{
	struct kd_link_event e;
	enum kd_status s = kd_pump_run(&d->pump, deadline, &e, &d->err);

	if (s == KD_E_RESET) {
		d->n_connections++;
		d->is_stopped = false;
		return KD_OK;
	}
	if (s != KD_OK)
		return s;
	d->acked = d->acked || e.kind == KD_LINK_ACKED;
	if (e.kind == KD_LINK_PACKET)
		on_packet(d, &e);
	return KD_OK;
}

void io_debugger_stop(struct io_debugger *d)
{
	uint64_t until = kd_deadline_after_ms(2 * LIMIT_MS);
	unsigned stops = d->n_stops;

	for (unsigned turn = 0; d->n_stops == stops; turn++) {
		uint64_t turn_end = kd_now_ns() + second + second / 2;

		assert_true(kd_now_ns() < until);
		if (turn % 2 == 0)
			kd_link_reset(&d->link, kd_now_ns());
		else
			kd_link_break_in(&d->link, kd_now_ns());
		while (d->n_stops == stops && io_debugger_step(d, turn_end) == KD_OK)
			;
	}
	/* What was attached to in mid-stream counts from the start from here on. */
	stops = d->n_stops;
	if (!kd_link_is_synced(&d->link)) {
		kd_link_reset(&d->link, kd_now_ns());
		while (d->n_stops == stops)
			assert_int_equal(io_debugger_step(d, until), KD_OK);
	}
}

void io_debugger_wait_text(struct io_debugger *d, const char *text)
{
	uint64_t until = kd_deadline_after_ms(LIMIT_MS);

	while (!strstr(d->text, text))
		if (io_debugger_step(d, until) != KD_OK)
			fail_msg("\"%s\" was not printed: %s", text, d->err.text);
}

static void send_manipulate(struct io_debugger *d, const struct kd_manipulate *m)
{
	uint8_t bytes[KD_PAYLOAD_MAX];
	size_t size;

	assert_int_equal(kd_manipulate_encode(bytes, sizeof bytes, &size, m), KD_OK);
	assert_int_equal(kd_link_send(&d->link, KD_PACKET_STATE_MANIPULATE, bytes, size, NULL, 0,
				      false, kd_now_ns()),
			 KD_OK);
	d->acked = d->has_reply = false;
}

void io_debugger_go(struct io_debugger *d)
{
	uint64_t until = kd_deadline_after_ms(LIMIT_MS);
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_CONTINUE2, 0, d->processor);
	m.u.continue2_amd64.continue_status = KD_NT_DBG_CONTINUE;
	m.u.continue2_amd64.dr7 = 0x400;
	send_manipulate(d, &m);
	d->is_stopped = false;
	while (!d->acked)
		assert_int_equal(io_debugger_step(d, until), KD_OK);
}

bool io_debugger_request(struct io_debugger *d, const struct kd_manipulate *m, uint32_t limit_ms)
{
	uint64_t until = kd_deadline_after_ms(limit_ms);

	send_manipulate(d, m);
	while (!d->has_reply)
		if (io_debugger_step(d, until) != KD_OK)
			return false;
	return true;
}

uint64_t io_debugger_kernel_base(struct io_debugger *d)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_GET_VERSION, 0, d->processor);
	if (!io_debugger_request(d, &m, LIMIT_MS))
		fail_msg("no version: %s", d->err.text);
	return d->reply.u.version.kern_base;
}

bool io_debugger_read(struct io_debugger *d, uint64_t address, void *out, uint32_t size)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_READ_VIRTUAL, 0, d->processor);
	m.u.read_memory.address = address;
	m.u.read_memory.count = size;
	if (!io_debugger_request(d, &m, LIMIT_MS) || d->reply.hdr.return_status != KD_NT_SUCCESS ||
	    d->reply.data_size < size)
		return false;
	memcpy(out, d->reply.data, size);
	return true;
}
