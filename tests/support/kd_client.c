/* SPDX-License-Identifier: MIT */
#include "tests/support/kd_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "tests/support/kd_fake_target.h"

/* --- what arrives --- */

static void append(char *text, size_t *size, const void *bytes, size_t n)
{
	if (n > KD_CLIENT_TEXT_SIZE - 1 - *size)
		n = KD_CLIENT_TEXT_SIZE - 1 - *size;
	memcpy(text + *size, bytes, n);
	*size += n;
	text[*size] = 0;
}

static void on_stop(struct kd_client *c, const struct kd_link_event *e)
{
	memcpy(c->stop_bytes, e->payload, e->length);
	if (kd_state_change_decode(&c->stop, c->stop_bytes, e->length) != KD_OK)
		return;
	c->is_stopped = true;
	c->n_stops++;
}

static void on_reply(struct kd_client *c, const struct kd_link_event *e)
{
	memcpy(c->reply_bytes, e->payload, e->length);
	c->has_reply = kd_manipulate_decode(&c->reply, c->machine, c->reply_bytes, e->length) ==
		       KD_OK;
}

static void answer_prompt(struct kd_client *c, const struct kd_debug_io *d)
{
	struct kd_debug_io reply = *d;
	uint8_t bytes[KD_PAYLOAD_MAX];
	size_t size;

	c->n_prompts++;
	snprintf(c->prompt, sizeof(c->prompt), "%.*s", (int)d->hdr.length_of_string,
		 (const char *)d->text);
	if (!c->answer)
		return;
	reply.text = (const uint8_t *)c->answer;
	reply.text_size = strlen(c->answer);
	if (reply.text_size > d->hdr.length_of_string_read)
		reply.text_size = d->hdr.length_of_string_read;
	reply.hdr.length_of_string_read = (uint32_t)reply.text_size;
	reply.tail_size = 0;
	if (kd_debug_io_encode(bytes, sizeof(bytes), &size, &reply) == KD_OK)
		(void)kd_link_send(&c->link, KD_PACKET_DEBUG_IO, bytes, size, NULL, 0, false,
				   c->now);
}

static void on_debug_io(struct kd_client *c, const struct kd_link_event *e)
{
	struct kd_debug_io d;

	if (kd_debug_io_decode(&d, e->payload, e->length) != KD_OK)
		return;
	if (d.hdr.api == KD_IO_PRINT_STRING)
		append(c->text, &c->text_size, d.text, d.text_size);
	else if (d.hdr.api == KD_IO_GET_STRING)
		answer_prompt(c, &d);
}

static void on_file_io(struct kd_client *c, const struct kd_link_event *e)
{
	uint8_t bytes[KD_FILE_IO_SIZE];
	size_t n = 0;

	if (e->length < KD_FILE_IO_SIZE)
		return;
	memcpy(bytes, e->payload, sizeof(bytes));
	for (size_t i = KD_FILE_IO_SIZE; i + 1 < e->length && n < sizeof(c->file_name) - 1; i += 2)
		c->file_name[n++] = (char)e->payload[i];
	c->file_name[n] = 0;
	kd_put32(bytes + 4, (uint32_t)KD_NT_NO_SUCH_FILE);
	(void)kd_link_send(&c->link, KD_PACKET_FILE_IO, bytes, sizeof(bytes), NULL, 0, false,
			   c->now);
}

static void on_packet(struct kd_client *c, const struct kd_link_event *e)
{
	if (!c->has_first_id) {
		c->has_first_id = true;
		c->first_id = e->id;
	}
	switch (e->type) {
	case KD_PACKET_STATE_CHANGE64: on_stop(c, e); break;
	case KD_PACKET_STATE_MANIPULATE: on_reply(c, e); break;
	case KD_PACKET_DEBUG_IO: on_debug_io(c, e); break;
	case KD_PACKET_FILE_IO: on_file_io(c, e); break;
	default: break;
	}
}

static void take_events(struct kd_client *c)
{
	struct kd_link_event e;

	while (kd_link_next_event(&c->link, &e)) {
		switch (e.kind) {
		case KD_LINK_PACKET: on_packet(c, &e); break;
		case KD_LINK_NOISE: append(c->noise, &c->noise_size, e.payload, e.length); break;
		case KD_LINK_RESTARTED:
			c->n_restarts++;
			c->is_stopped = false;
			break;
		case KD_LINK_RESET_SEEN: c->n_resets++; break;
		default: break;
		}
	}
}

static void feed(struct kd_client *c, const uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		done += kd_link_feed(&c->link, bytes + done, size - done, c->now);
		take_events(c);
	}
}

/* --- the two kinds of other side --- */

static bool fake_moves(struct kd_client *c)
{
	const uint8_t *bytes;
	size_t size;
	bool any = false;

	while ((bytes = kd_link_next_output(&c->link, &size)) != NULL) {
		uint8_t copy[KD_PACKET_MAX];

		memcpy(copy, bytes, size);
		kd_link_output_done(&c->link, size, c->now);
		kd_fake_feed(c->fake, copy, size, c->now);
		any = true;
	}
	any = kd_fake_run(c->fake, c->now) || any;
	while ((bytes = kd_fake_next_output(c->fake, &size)) != NULL) {
		uint8_t copy[KD_PACKET_MAX];

		memcpy(copy, bytes, size);
		kd_fake_output_done(c->fake, size, c->now);
		feed(c, copy, size);
		any = true;
	}
	return any;
}

/* A slice of execution takes a moment; otherwise time passes when nobody has anything to say. */
static bool exchange_fake(struct kd_client *c, uint64_t wait)
{
	enum { SLICE_NS = 20000 };
	const uint64_t fake_deadline = kd_fake_deadline(c->fake);
	uint64_t until = c->now + wait;

	if (fake_moves(c)) {
		c->now += SLICE_NS;
		return true;
	}
	if (until > fake_deadline && fake_deadline > c->now)
		until = fake_deadline;
	c->now = until;
	return true;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool write_all(struct kd_client *c)
{
	const uint8_t *bytes;
	size_t size;

	while ((bytes = kd_link_next_output(&c->link, &size)) != NULL) {
		ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		kd_link_output_done(&c->link, (size_t)n, clock_ns());
	}
	return true;
}

static bool exchange_fd(struct kd_client *c, uint64_t wait)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	struct timespec ts = { .tv_sec = (time_t)(wait / 1000000000u),
			       .tv_nsec = (long)(wait % 1000000000u) };
	uint8_t bytes[8192];
	ssize_t n;

	ppoll(&p, 1, &ts, NULL);
	c->now = clock_ns();
	if (!p.revents)
		return true;
	n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0)
		feed(c, bytes, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void init(struct kd_client *c)
{
	struct kd_link_config config;

	memset(c, 0, sizeof(*c));
	kd_link_config_init(&config, KD_LINK_DEBUGGER, false);
	kd_link_init(&c->link, &config);
	c->machine = KD_MACHINE_AMD64;
	c->limit_ms = 60000; /* of a guest that shares two cores with much else, too */
	c->fd = -1;
}

void kd_client_init_fake(struct kd_client *c, struct kd_fake *fake)
{
	init(c);
	c->fake = fake;
	c->machine = fake->config.machine;
	c->exchange = exchange_fake;
	c->now = fake->now;
}

void kd_client_init_fd(struct kd_client *c, int fd)
{
	init(c);
	c->fd = fd;
	c->exchange = exchange_fd;
	c->now = clock_ns();
}

int kd_client_connect(const char *path, unsigned limit_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	for (unsigned waited = 0;; waited += 20) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
		if (waited >= limit_ms)
			return -1;
		usleep(20000);
	}
}

void kd_client_deinit(struct kd_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* --- waiting --- */

/* What waits to be written has no deadline yet: it goes out first. */
static bool step(struct kd_client *c, uint64_t until)
{
	uint64_t wait = until > c->now ? until - c->now : 0, deadline;

	if (c->fd >= 0 && !write_all(c))
		return false;
	deadline = kd_link_deadline(&c->link);
	if (c->now >= deadline) {
		kd_link_timeout(&c->link, c->now);
		take_events(c);
		wait = 0;
	} else if (deadline - c->now < wait) {
		wait = deadline - c->now;
	}
	return c->exchange(c, wait);
}

static uint64_t limit(const struct kd_client *c)
{
	return c->now + (uint64_t)c->limit_ms * KD_NS_PER_MS;
}

bool kd_client_idle(struct kd_client *c, unsigned ms)
{
	const uint64_t until = c->now + (uint64_t)ms * KD_NS_PER_MS;

	while (c->now < until)
		if (!step(c, until))
			return false;
	return true;
}

bool kd_client_wait_stop(struct kd_client *c)
{
	const uint64_t until = limit(c);

	while (!c->is_stopped)
		if (c->now >= until || !step(c, until))
			return false;
	return true;
}

bool kd_client_wait_text(struct kd_client *c, const char *text)
{
	const uint64_t until = limit(c);

	while (!strstr(c->text, text))
		if (c->now >= until || !step(c, until))
			return false;
	return true;
}

static bool wait_sent(struct kd_client *c)
{
	const uint64_t until = limit(c);

	while (kd_link_is_busy(&c->link))
		if (c->now >= until || !step(c, until))
			return false;
	return true;
}

static bool send_request(struct kd_client *c, const struct kd_manipulate *m)
{
	uint8_t bytes[KD_PAYLOAD_MAX];
	size_t size;

	if (!c->is_stopped || !wait_sent(c) ||
	    kd_manipulate_encode(bytes, sizeof(bytes), &size, m) != KD_OK)
		return false;
	c->has_reply = false;
	return kd_link_send(&c->link, KD_PACKET_STATE_MANIPULATE, bytes, size, NULL, 0, false,
			    c->now) == KD_OK;
}

bool kd_client_request(struct kd_client *c, const struct kd_manipulate *m)
{
	const uint64_t until = limit(c);

	if (!send_request(c, m))
		return false;
	while (!c->has_reply || c->reply.hdr.api != m->hdr.api)
		if (c->now >= until || !step(c, until))
			return false;
	return true;
}

bool kd_client_command(struct kd_client *c, const struct kd_manipulate *m)
{
	if (!send_request(c, m))
		return false;
	c->is_stopped = false;
	return wait_sent(c);
}

/* --- requests --- */

bool kd_client_is_exception(const struct kd_client *c, uint32_t code)
{
	return c->is_stopped && c->stop.hdr.new_state == KD_STATE_EXCEPTION &&
	       c->stop.u.exception.code == code;
}

bool kd_client_go_with(struct kd_client *c, uint32_t status, bool trace, uint64_t dr7)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_CONTINUE2, c->machine, c->stop.hdr.processor);
	if (m.kind == KD_MEMBER_continue2_x86) {
		m.u.continue2_x86 = (struct kd_w_continue2_x86){
			.continue_status = status,
			.trace_flag = trace,
			.dr7 = (uint32_t)dr7,
			.symbol_start = 1,
		};
	} else {
		m.u.continue2_amd64 = (struct kd_w_continue2_amd64){
			.continue_status = status,
			.trace_flag = trace,
			.dr7 = dr7,
			.symbol_start = 1,
		};
	}
	return kd_client_command(c, &m);
}

bool kd_client_go(struct kd_client *c, bool trace)
{
	struct kd_w_report_amd64 amd64;
	struct kd_w_report_x86 x86;

	kd_w_report_amd64_decode(&amd64, c->stop.report);
	kd_w_report_x86_decode(&x86, c->stop.report);
	return kd_client_go_with(c, KD_NT_DBG_CONTINUE, trace,
				 c->machine == KD_MACHINE_X86 ? x86.dr7 : amd64.dr7);
}

bool kd_client_break_in(struct kd_client *c)
{
	kd_link_break_in(&c->link, c->now);
	return kd_client_wait_stop(c);
}

bool kd_client_read(struct kd_client *c, uint64_t address, void *out, size_t size)
{
	struct kd_manipulate m;
	size_t done = 0;

	while (done < size) {
		size_t n = size - done < KD_READ_MAX ? size - done : KD_READ_MAX;

		kd_manipulate_init(&m, KD_API_READ_VIRTUAL, c->machine, 0);
		m.u.read_memory.address = address + done;
		m.u.read_memory.count = (uint32_t)n;
		if (!kd_client_request(c, &m) || c->reply.hdr.return_status != KD_NT_SUCCESS ||
		    c->reply.data_size < n)
			return false;
		memcpy((uint8_t *)out + done, c->reply.data, n);
		done += n;
	}
	return true;
}

bool kd_client_write(struct kd_client *c, uint64_t address, const void *bytes, size_t size)
{
	struct kd_manipulate m;
	size_t done = 0;

	while (done < size) {
		size_t n = size - done < KD_READ_MAX ? size - done : KD_READ_MAX;

		kd_manipulate_init(&m, KD_API_WRITE_VIRTUAL, c->machine, 0);
		m.u.write_memory.address = address + done;
		m.u.write_memory.count = (uint32_t)n;
		m.data = (const uint8_t *)bytes + done;
		m.data_size = n;
		if (!kd_client_request(c, &m) || c->reply.hdr.return_status != KD_NT_SUCCESS)
			return false;
		done += n;
	}
	return true;
}

uint64_t kd_client_read64(struct kd_client *c, uint64_t address)
{
	uint8_t bytes[8] = { 0 };

	kd_client_read(c, address, bytes, sizeof(bytes));
	return kd_get64(bytes);
}

uint32_t kd_client_read32(struct kd_client *c, uint64_t address)
{
	uint8_t bytes[4] = { 0 };

	kd_client_read(c, address, bytes, sizeof(bytes));
	return kd_get32(bytes);
}

bool kd_client_get_context(struct kd_client *c, uint16_t processor, uint8_t *out)
{
	const size_t size = kd_context_layout(c->machine)->size;
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_GET_CONTEXT, c->machine, processor);
	if (!kd_client_request(c, &m) || c->reply.hdr.return_status != KD_NT_SUCCESS ||
	    c->reply.data_size != size)
		return false;
	memcpy(out, c->reply.data, size);
	return true;
}

bool kd_client_set_context(struct kd_client *c, uint16_t processor, const uint8_t *bytes)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_SET_CONTEXT, c->machine, processor);
	m.data = bytes;
	m.data_size = kd_context_layout(c->machine)->size;
	return kd_client_request(c, &m) && c->reply.hdr.return_status == KD_NT_SUCCESS;
}

uint64_t kd_client_get_register(struct kd_client *c, uint16_t processor, const char *name)
{
	const struct kd_reg_field *field = kd_reg_find(kd_context_layout(c->machine), name);
	uint8_t context[KD_CONTEXT_MAX];

	if (!field || !kd_client_get_context(c, processor, context))
		return UINT64_MAX;
	return kd_reg_get(context, field);
}

bool kd_client_set_register(struct kd_client *c, uint16_t processor, const char *name,
			    uint64_t value)
{
	const struct kd_reg_field *field = kd_reg_find(kd_context_layout(c->machine), name);
	uint8_t context[KD_CONTEXT_MAX];

	if (!field || !kd_client_get_context(c, processor, context))
		return false;
	kd_reg_set(context, field, value);
	return kd_client_set_context(c, processor, context);
}

bool kd_client_read_control(struct kd_client *c, uint16_t processor, uint64_t selector, void *out,
			    size_t size)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_READ_CONTROL_SPACE, c->machine, processor);
	m.u.read_memory.address = selector;
	m.u.read_memory.count = (uint32_t)size;
	if (!kd_client_request(c, &m) || c->reply.hdr.return_status != KD_NT_SUCCESS ||
	    c->reply.data_size != size)
		return false;
	memcpy(out, c->reply.data, size);
	return true;
}

bool kd_client_write_control(struct kd_client *c, uint16_t processor, uint64_t selector,
			     const void *bytes, size_t size)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_WRITE_CONTROL_SPACE, c->machine, processor);
	m.u.write_memory.address = selector;
	m.u.write_memory.count = (uint32_t)size;
	m.data = bytes;
	m.data_size = size;
	return kd_client_request(c, &m) && c->reply.hdr.return_status == KD_NT_SUCCESS;
}

uint32_t kd_client_set_breakpoint(struct kd_client *c, uint64_t address)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_WRITE_BREAKPOINT, c->machine, 0);
	m.u.write_breakpoint.address = address;
	if (!kd_client_request(c, &m) || c->reply.hdr.return_status != KD_NT_SUCCESS)
		return 0;
	return c->reply.u.write_breakpoint.handle;
}

bool kd_client_clear_breakpoint(struct kd_client *c, uint32_t handle)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_RESTORE_BREAKPOINT, c->machine, 0);
	m.u.restore_breakpoint.handle = handle;
	return kd_client_request(c, &m) && c->reply.hdr.return_status == KD_NT_SUCCESS;
}
