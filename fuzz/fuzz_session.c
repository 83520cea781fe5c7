/* SPDX-License-Identifier: MIT */
/*
 * A hostile target against the whole engine. Its link is a real one (framing, ids and checksums
 * are right), so that every byte of the input becomes something a target says: state changes,
 * replies to requests with lies in every field, prints, prompts, file requests. Oracle: no crash,
 * no leak, no request that does not end, bounded memory (libFuzzer's limits and sanitizers).
 */
#include <stdlib.h>
#include <string.h>

#include <openkd/breakpoint.h>
#include <openkd/code.h>
#include <openkd/event.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/process.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "core/link/link.h"
#include "core/wire/message.h"
#include "lib/engine/engine.h"
#include "lib/io/transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENTS_MAX = 32, FRAMES = 32 };

struct hostile {
	struct kd_transport base;
	struct kd_link link;
	const uint8_t *data;
	size_t size;
	uint64_t now;
	bool is_started;
	int idle; /* reads without anything to say, since the debugger's last word */
};

static size_t take(struct hostile *h, uint8_t *out, size_t size)
{
	size_t n = KD_MIN(size, h->size);

	memcpy(out, h->data, n);
	memset(out + n, 0, size - n);
	h->data += n;
	h->size -= n;
	return n;
}

static uint8_t take8(struct hostile *h)
{
	uint8_t byte;

	take(h, &byte, 1);
	return byte;
}

static void say(struct hostile *h, uint16_t type, const uint8_t *bytes, size_t size)
{
	kd_link_send(&h->link, type, bytes, size, NULL, 0, false, h->now);
}

/* A state change: the kind is plausible, the rest is the input's. */
static void say_stop(struct hostile *h)
{
	uint8_t bytes[KD_STATE_CHANGE_SIZE + 64];
	uint8_t kind = take8(h);

	take(h, bytes, sizeof bytes);
	kd_put32(bytes, KD_STATE_EXCEPTION + kind % 3);
	kd_put32(bytes + 8, 1 + kind % 4);
	if (kind & 0x10)
		kd_put32(bytes + 32, 0x80000003u + (kind >> 5 & 1));
	say(h, KD_PACKET_STATE_CHANGE64, bytes, KD_STATE_CHANGE_SIZE + (kind & 0x3F));
}

static void say_something(struct hostile *h)
{
	static const uint16_t types[] = { KD_PACKET_DEBUG_IO, KD_PACKET_FILE_IO, KD_PACKET_TRACE_IO,
					  KD_PACKET_CONTROL_REQUEST };
	uint8_t what = take8(h), bytes[200];

	if (what & 0x80) {
		say_stop(h);
		return;
	}
	take(h, bytes, sizeof bytes);
	if (types[what % 4] == KD_PACKET_DEBUG_IO)
		kd_put32(bytes, KD_IO_PRINT_STRING + (what >> 6));
	say(h, types[what % 4], bytes, 64 + what);
}

/* An answer: the request's header, with what the input wants changed, and its data. */
static void answer(struct hostile *h, const struct kd_link_event *e)
{
	uint8_t bytes[KD_PAYLOAD_MAX], how = take8(h);
	uint32_t api = kd_get32(e->payload);
	size_t n = KD_MANIPULATE_SIZE;

	memcpy(bytes, e->payload, KD_MANIPULATE_SIZE);
	kd_put32(bytes + 8, how & 1 ? KD__NT(UNSUCCESSFUL) : 0);
	if (api == KD_API_GET_VERSION) {
		take(h, bytes + 16, 40);
		kd_put16(bytes + 24, how & 2 ? KD_MACHINE_X86 : KD_MACHINE_AMD64);
		bytes[20] = 6;
	} else if (how & 4) {
		take(h, bytes + 28, 28);
	} else if (api == KD_API_READ_VIRTUAL || api == KD_API_READ_PHYSICAL ||
		   api == KD_API_READ_CONTROL_SPACE) {
		n += KD_MIN(kd_get32(bytes + 24), (uint32_t)KD_READ_MAX);
		kd_put32(bytes + 28, (uint32_t)(n - KD_MANIPULATE_SIZE));
		take(h, bytes + KD_MANIPULATE_SIZE, n - KD_MANIPULATE_SIZE);
		say(h, KD_PACKET_STATE_MANIPULATE, bytes, n);
		return;
	} else {
		kd_put32(bytes + 28, kd_get32(bytes + 24));
	}
	n += take(h, bytes + n, api == KD_API_GET_CONTEXT ? KD_CONTEXT_MAX : how * 4u);
	say(h, KD_PACKET_STATE_MANIPULATE, bytes, n);
}

static bool wants_reply(uint32_t api)
{
	const struct kd_api_info *info = kd_api_find(api);

	return !info || info->answered != KD_ANSWERED_ACK_ONLY;
}

static void serve(struct hostile *h)
{
	struct kd_link_event e;

	while (kd_link_next_event(&h->link, &e)) {
		if (e.kind != KD_LINK_PACKET || e.type != KD_PACKET_STATE_MANIPULATE ||
		    e.length < KD_MANIPULATE_SIZE)
			continue;
		if (wants_reply(kd_get32(e.payload)))
			answer(h, &e);
	}
	if (!h->is_started || (!kd_link_is_busy(&h->link) && h->size && take8(h) == 0xFF)) {
		h->is_started = true;
		say_something(h);
	}
}

static enum kd_status hostile_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				    size_t *n_ret, struct kd_error *err)
{
	struct hostile *h = (struct hostile *)t;
	size_t at = 0;

	(void)err;
	h->idle = 0;
	while (at < size) {
		at += kd_link_feed(&h->link, buf + at, size - at, h->now);
		serve(h);
	}
	*n_ret = size;
	return KD_OK;
}

static enum kd_status hostile_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
				   struct kd_error *err)
{
	struct hostile *h = (struct hostile *)t;
	const uint8_t *out;
	size_t n;

	h->now += 1000000;
	if (!h->is_started)
		say_stop(h);
	h->is_started = true;
	serve(h);
	out = kd_link_next_output(&h->link, &n);
	if (!out && h->size && !kd_link_is_busy(&h->link)) {
		say_something(h);
		out = kd_link_next_output(&h->link, &n);
	}
	if (!out && ++h->idle < 4)
		return KD_E_AGAIN; /* the debugger's turn */
	if (!out)
		return kd_error_set(err, KD_E_CLOSED, 0, "nobody has anything to say");
	*n_ret = KD_MIN(n, size);
	memcpy(buf, out, *n_ret);
	kd_link_output_done(&h->link, *n_ret, h->now);
	return KD_OK;
}

static void hostile_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	(void)t;
	*ret = (struct kd_poll){ .fd = -1, .is_ready = true, .deadline = UINT64_MAX };
}

static void hostile_destroy(struct kd_transport *t)
{
	(void)t;
}

static const struct kd_transport_ops ops = {
	.scheme = "hostile",
	.read = hostile_read,
	.write = hostile_write,
	.poll = hostile_poll,
	.destroy = hostile_destroy,
};

static bool each_process(void *context, const struct kd_process *p)
{
	return ++*(int *)context < 50 && p;
}

static bool each_thread(void *context, const struct kd_thread *t)
{
	return ++*(int *)context < 50 && t;
}

/* Everything that a user may look at, at a stop. */
static void look(struct kd_session *s)
{
	const struct kd_module *const *modules;
	struct kd_frame frames[FRAMES];
	struct kd_instruction insn;
	struct kd_translation translation;
	uint64_t value = 0, bugcheck[5];
	struct kd_symbol symbol;
	struct kd_process process;
	char text[256];
	size_t n;
	int count = 0;

	kd_register_pc(s, &value, NULL);
	kd_code_decode(s, value, &insn, NULL);
	kd_code_before(s, value, 4, &value, NULL);
	kd_stack_walk(s, frames, FRAMES, &n, text, sizeof text, NULL);
	kd_module_list(s, &modules, &n, NULL);
	kd_symbol_find(s, "nt!KeBugCheckEx", &symbol, NULL);
	kd_symbol_format(s, value, text, sizeof text);
	kd_process_enumerate(s, each_process, &count, NULL);
	if (kd_process_current(s, &process, NULL) == KD_OK) {
		count = 0;
		kd_thread_enumerate(s, process.address, each_thread, &count, NULL);
		kd_process_set(s, process.address, NULL);
	}
	kd_expression_evaluate(s, "poi(@rsp)+@$proc", NULL, &value, NULL);
	kd_memory_translate(s, 0, value, &translation, NULL);
	kd_memory_read_string(s, value, true, 100, text, sizeof text, NULL);
	kd_session_bugcheck(s, bugcheck, NULL);
}

static void act(struct kd_session *s, unsigned turn)
{
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;
	uint64_t pc = 0;

	kd_register_pc(s, &pc, NULL);
	spec.address = pc + 1;
	spec.condition = turn & 1 ? "poi(@rsp) == 0" : NULL;
	kd_breakpoint_add(s, -1, &spec, NULL, NULL);
	if (turn % 3 == 0)
		kd_session_go(s, KD_GO, NULL);
	else
		kd_session_step(s, (enum kd_step)(turn % 8), turn & 1, pc + 2, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct hostile *h = calloc(1, sizeof *h);
	struct kd_link_config cfg;
	struct kd_session *s;
	struct kd_event event;

	if (!h)
		abort();
	h->base.ops = &ops;
	h->base.info.is_up = true;
	h->data = data;
	h->size = size;
	kd_link_config_init(&cfg, KD_LINK_TARGET, false);
	kd_link_init(&h->link, &cfg);
	options.symbol_path = "";
	options.request_timeout_ms = 50;
	if (kd__session_create_on(&h->base, &options, &s, NULL) == KD_OK) {
		for (unsigned i = 0; i < EVENTS_MAX; i++) {
			if (kd_session_wait(s, 20, &event, NULL) != KD_OK)
				break;
			if (event.kind == KD_EVENT_PROMPT)
				kd_session_answer(s, "b", 1, NULL);
			if (event.kind == KD_EVENT_STOP) {
				look(s);
				act(s, i);
			}
		}
		kd_session_destroy(s);
	}
	free(h);
	return 0;
}
