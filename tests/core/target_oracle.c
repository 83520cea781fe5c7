/* SPDX-License-Identifier: MIT */
#include "tests/core/target_oracle.h"

#include <string.h>

#include "core/bytes.h"

enum { CANARY = 0xC7, SEARCH_MAX = 1 << 20 };

struct kd_fake *target_oracle_create(uint16_t machine)
{
	const struct kd_w_exception e = { .code = (uint32_t)KD_NT_BREAKPOINT };
	struct kd_fake *f = kd_fake_create(&(struct kd_fake_config){
		.machine = machine, .n_processors = 2, .ram_size = 512 << 10 });
	uint8_t payload[KD_STATE_CHANGE_SIZE];
	size_t size;

	f->target.config.search_max = SEARCH_MAX;
	f->version.max_manipulate = 0;
	(void)kd_target_exception(&f->target, 0, &e, payload, sizeof(payload), &size);
	return f;
}

static const char *check_reply(const struct kd_fake *f, const struct kd_manipulate *in,
			       const uint8_t *reply, size_t size)
{
	struct kd_manipulate out;
	size_t promised;

	if (kd_manipulate_decode(&out, f->config.machine, reply, size) != KD_OK)
		return "the reply is no manipulate packet";
	if (out.hdr.api != in->hdr.api || out.hdr.processor != in->hdr.processor ||
	    out.hdr.processor_level != in->hdr.processor_level)
		return "the header is not echoed";
	/* A refusal echoes the request's counts; only reads say how far they came. */
	if (out.hdr.return_status != KD_NT_SUCCESS && out.kind != KD_MEMBER_read_memory)
		return NULL;
	if (kd_manipulate_data_size(&out, true, &promised) != KD_OK || promised != out.data_size)
		return "the reply's length field does not fit its data";
	return NULL;
}

static bool overlap(const struct kd_target_breakpoint *a, const struct kd_target_breakpoint *b)
{
	return a->address - b->address < b->size || b->address - a->address < a->size;
}

static const char *check_table(const struct kd_fake *f)
{
	const struct kd_target_breakpoint *table = f->target.breakpoints;

	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++) {
		if (table[i].state == KD_TARGET_BP_FREE)
			continue;
		if (!table[i].size || table[i].size > KD_TARGET_INSTRUCTION_MAX)
			return "a breakpoint has an impossible size";
		for (size_t j = 0; j < i; j++)
			if (table[j].state != KD_TARGET_BP_FREE && overlap(&table[i], &table[j]))
				return "two breakpoints overlap";
	}
	return NULL;
}

const char *target_oracle_request(struct kd_fake *f, const uint8_t *payload, size_t size,
				  size_t reply_cap)
{
	uint8_t reply[KD_PAYLOAD_MAX + 64];
	struct kd_target_action action;
	struct kd_manipulate in;
	const char *wrong = NULL;

	if (reply_cap > KD_PAYLOAD_MAX)
		reply_cap = KD_PAYLOAD_MAX;
	memset(reply, CANARY, sizeof(reply));
	kd_target_request(&f->target, payload, size, reply, reply_cap, &action);
	for (size_t i = reply_cap; i < sizeof(reply); i++)
		if (reply[i] != CANARY)
			return "the reply left its buffer";
	if (action.reply_size > reply_cap)
		return "the reply is larger than its buffer";
	if ((action.kind == KD_TARGET_MALFORMED) !=
	    (size < KD_MANIPULATE_SIZE || reply_cap < KD_MANIPULATE_SIZE))
		return "malformed is what is too short";
	if (action.kind == KD_TARGET_REPLY && !action.reply_size)
		return "a reply without a reply";
	if (action.reply_size) {
		(void)kd_manipulate_decode(&in, f->config.machine, payload, size);
		wrong = check_reply(f, &in, reply, action.reply_size);
	}
	return wrong ? wrong : check_table(f);
}

const char *target_oracle_leaves_no_trace(struct kd_fake *f)
{
	const struct kd_target *t = &f->target;

	kd_target_remove_breakpoints(&f->target);
	kd_target_settle_breakpoints(&f->target);
	for (size_t i = 0; i < KD_TARGET_N_BREAKPOINTS; i++) {
		/* One that is leaving waits for a page that is not there. */
		uint8_t byte;

		if (t->breakpoints[i].state == KD_TARGET_BP_FREE)
			continue;
		if (t->breakpoints[i].state != KD_TARGET_BP_LEAVING ||
		    kd_fake_read(f, t->breakpoints[i].address, &byte, 1))
			return "a breakpoint stays";
	}
	return NULL;
}
