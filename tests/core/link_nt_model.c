/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/link_nt_model.h"

#include "lib/base.h"

#define MS ((uint64_t)KD_NS_PER_MS)

enum {
	BYTE_WAIT_MS = 1000,
	TICK_MS = 10,
	RETRIES = 20,
	FIRST_RETRIES = 5,
	NT_SYNC = 0x800,
	INITIAL_PACKETS = 0x80800000,
};

static uint32_t le(const uint8_t *p, int n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static void out(struct nt *m, const void *bytes, size_t size)
{
	assert_true(m->out_size + size <= sizeof(m->out));
	memcpy(m->out + m->out_size, bytes, size);
	m->out_size += size;
}

static void out_header(struct nt *m, uint32_t leader, uint32_t type, uint32_t size, uint32_t id,
		       uint32_t sum)
{
	uint32_t words[4] = { leader, type | size << 16, id, sum };
	uint8_t bytes[16];

	for (int i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
	out(m, bytes, sizeof(bytes));
}

static void control(struct nt *m, uint32_t type, uint32_t id)
{
	out_header(m, 0x69696969, type, 0, id, 0);
}

static void hunt(struct nt *m)
{
	m->place = LEADER;
	m->idx = 0;
	m->brk = false;
	m->n = 0;
}

/* ---- SEND ---- */

static void transmit(struct nt *m)
{
	const struct world_packet *p = &m->sending;
	uint32_t sum = 0;

	for (size_t i = 0; i < p->size; i++)
		sum += p->payload[i];
	out_header(m, 0x30303030, p->type, (uint32_t)p->size, m->next_send, sum);
	out(m, p->payload, p->size);
	out(m, "\xAA", 1);
	m->n_transmits++;
	m->last_byte = m->now;
	hunt(m);
}

static void send(struct nt *m, const struct world_packet *p)
{
	m->sending = *p;
	m->doing = SENDS;
	m->retries = m->present ? RETRIES : FIRST_RETRIES;
	if (!m->booted && p->type == KD_PACKET_STATE_CHANGE64) {
		m->booted = true;
		m->next_send |= NT_SYNC;
		m->fifo_size = 0;
	}
	transmit(m);
}

static void run(struct nt *m)
{
	m->doing = RUNS;
	m->next_tick = m->now + TICK_MS * MS;
}

static void sent(struct nt *m)
{
	m->next_send = (m->next_send ^ 1) & ~(uint32_t)NT_SYNC;
	if (m->sending.type == KD_PACKET_DEBUG_IO) {
		world_kernel_run(m->kernel, m->now);
		run(m);
	} else {
		m->doing = RECEIVES;
		hunt(m);
	}
}

static void give_up(struct nt *m)
{
	m->n_given_up++;
	m->present = false;
	m->next_send = INITIAL_PACKETS | NT_SYNC;
	m->expected = INITIAL_PACKETS;
	world_kernel_run(m->kernel, m->now);
	run(m);
}

static void send_timed_out(struct nt *m)
{
	bool may_give_up = m->sending.type == KD_PACKET_DEBUG_IO ||
			   (m->flavour == REACTOS && m->sending.type == KD_PACKET_STATE_MANIPULATE);

	if (m->retries)
		m->retries--;
	if (!m->retries && may_give_up)
		give_up(m);
	else
		transmit(m);
}

/* ---- what both routines do with control packets; each returns to its own loop ---- */

static void asked_again(struct nt *m)
{
	if (m->doing == SENDS)
		transmit(m);
	else
		send(m, &m->kernel->stop);
}

static void got_reset(struct nt *m)
{
	m->next_send = m->expected = INITIAL_PACKETS;
	control(m, 6, 0);
	asked_again(m);
}

/* ---- RECEIVE ---- */

static void receive_data(struct nt *m, uint32_t type, uint32_t size, uint32_t id, uint32_t sum)
{
	uint32_t real = 0;
	bool is_known = id == INITIAL_PACKETS || id == INITIAL_PACKETS + 1;

	for (size_t i = 0; i < size; i++)
		real += m->data[i];
	hunt(m);
	if (m->flavour == REACTOS && real != sum) {
		control(m, 5, 0);
	} else if (type != 2) {
		control(m, 4, id);
		m->n_dropped++;
	} else if (!is_known && m->flavour == NT) {
		control(m, 5, 0);
	} else if (id != m->expected) {
		control(m, 4, id);
		m->n_dropped++;
	} else if (real != sum) {
		control(m, 5, 0);
	} else {
		control(m, 4, id);
		m->expected ^= 1;
		if (world_kernel_request(m->kernel, m->data, size, m->now))
			send(m, &m->kernel->out);
		else
			run(m);
	}
}

static void data_header(struct nt *m)
{
	uint32_t size = le(m->hdr + 6, 2), id = le(m->hdr + 8, 4);

	if (m->doing == SENDS) {
		hunt(m);
		if (id == m->expected || m->flavour == REACTOS) {
			control(m, 5, 0);
			sent(m);
		} else {
			control(m, 4, id);
		}
	} else if (size > 4000 || size < WORLD_HEAD) {
		control(m, 5, 0);
		hunt(m);
	} else {
		m->place = DATA;
		m->n = 0;
	}
}

static void control_header(struct nt *m)
{
	uint32_t type = le(m->hdr + 4, 2);
	bool is_ours = le(m->hdr + 8, 4) == (m->next_send & ~(uint32_t)NT_SYNC);

	hunt(m);
	if (type == 6)
		got_reset(m);
	else if (type == 4 && m->doing == SENDS && is_ours)
		sent(m);
}

static void hunt_byte(struct nt *m, uint8_t c)
{
	if (c == 0x30 || c == 0x69) {
		m->idx = m->idx && c == m->prev ? m->idx + 1 : 1;
		m->prev = c;
	} else {
		m->brk = c == 0x62;
		m->idx = 0;
	}
	if (m->idx < 4)
		return;
	m->present = true;
	if (m->brk && m->flavour == NT)
		m->ctrl_c = true;
	memset(m->hdr, c, 4);
	m->n = 4;
	m->place = TYPE;
}

static void parse_byte(struct nt *m, uint8_t c)
{
	m->last_byte = m->now;
	m->retries = RETRIES;
	if (m->place == LEADER) {
		hunt_byte(m, c);
		return;
	}
	if (m->place == DATA) {
		m->data[m->n++] = c;
		if (m->n == le(m->hdr + 6, 2))
			m->place = TRAILER;
		return;
	}
	if (m->place == TRAILER) {
		if (c == 0xAA) {
			receive_data(m, le(m->hdr + 4, 2), le(m->hdr + 6, 2), le(m->hdr + 8, 4),
				     le(m->hdr + 12, 4));
		} else {
			control(m, 5, 0);
			hunt(m);
		}
		return;
	}
	m->hdr[m->n++] = c;
	if (m->n == 6 && m->hdr[0] == 0x69 && le(m->hdr + 4, 2) == 5) {
		hunt(m); /* its last ten bytes stay in the stream */
		asked_again(m);
	} else if (m->n == 16 && m->hdr[0] == 0x69) {
		control_header(m);
	} else if (m->n == 16) {
		data_header(m);
	}
}

/* No byte for a second. */
static void byte_timed_out(struct nt *m)
{
	bool was_break = m->place == LEADER && m->brk, in_data = m->place >= DATA;

	m->last_byte = m->now;
	hunt(m);
	if (was_break) {
		m->ctrl_c = true;
		m->present = true;
		asked_again(m);
	} else if (m->doing == SENDS) {
		send_timed_out(m);
	} else if (in_data) {
		control(m, 5, 0);
	}
}

/* ---- the running system ---- */

static void break_in(struct nt *m)
{
	m->ctrl_c = false;
	m->present = true;
	m->kernel->n_prints = 0;
	world_kernel_wake(m->kernel);
	send(m, &m->kernel->out);
}

static void clock_tick(struct nt *m)
{
	bool is_break = m->ctrl_c;

	m->next_tick = m->now + TICK_MS * MS;
	if (!is_break && m->fifo_size) {
		is_break = m->fifo[m->fifo_head] == 0x62;
		m->fifo_head = (m->fifo_head + 1) % sizeof(m->fifo);
		m->fifo_size--;
	}
	if (is_break)
		break_in(m);
}

static void wake(struct nt *m)
{
	/* Nobody listens: prints do not even try. */
	if (!m->present && m->booted && m->kernel->n_prints) {
		m->kernel->n_prints--;
		world_kernel_run(m->kernel, m->now);
		return;
	}
	world_kernel_wake(m->kernel);
	send(m, &m->kernel->out);
}

static void parse_fifo(struct nt *m)
{
	while (m->doing != RUNS && m->fifo_size) {
		uint8_t c = m->fifo[m->fifo_head];

		m->fifo_head = (m->fifo_head + 1) % sizeof(m->fifo);
		m->fifo_size--;
		parse_byte(m, c);
	}
}

static void nt_feed(void *self, const uint8_t *bytes, size_t size, uint64_t now)
{
	struct nt *m = self;

	m->now = now;
	for (size_t i = 0; i < size; i++) {
		assert_true(m->fifo_size < sizeof(m->fifo));
		m->fifo[(m->fifo_head + m->fifo_size++) % sizeof(m->fifo)] = bytes[i];
	}
	parse_fifo(m);
}

static uint64_t nt_deadline(void *self)
{
	const struct nt *m = self;

	if (m->doing == RUNS)
		return KD_MIN(m->kernel->wake, m->next_tick);
	return m->last_byte + BYTE_WAIT_MS * MS;
}

static void nt_tick(void *self, uint64_t now)
{
	struct nt *m = self;

	m->now = now;
	if (m->doing != RUNS)
		byte_timed_out(m);
	else if (now >= m->kernel->wake)
		wake(m);
	else
		clock_tick(m);
	parse_fifo(m);
}

static size_t nt_output(void *self, uint8_t *bytes, size_t cap, uint64_t now)
{
	struct nt *m = self;
	size_t n = KD_MIN(cap, m->out_size);

	memcpy(bytes, m->out, n);
	m->out_size -= n;
	memmove(m->out, m->out + n, m->out_size);
	return n;
}

void nt_boot(struct nt *m, struct world_target *ret, enum nt_flavour flavour,
	     struct world_kernel *k, uint64_t now)
{
	memset(m, 0, sizeof(*m));
	m->flavour = flavour;
	m->kernel = k;
	m->now = now;
	m->next_send = INITIAL_PACKETS | NT_SYNC;
	m->expected = INITIAL_PACKETS;
	m->present = true;
	world_kernel_run(k, now);
	run(m);
	*ret = (struct world_target){
		.self = m,
		.feed = nt_feed,
		.deadline = nt_deadline,
		.tick = nt_tick,
		.output = nt_output,
	};
}
