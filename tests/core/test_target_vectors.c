/* SPDX-License-Identifier: MIT */
/*
 * The recorded sessions once more, from the other side: a target that holds what the recorded one
 * held gives the recorded answers, byte for byte, junk of the debugger's request included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/target/target.h"
#include "tests/core/wire_vectors.h"

enum { N_PIECES = 4, SPECIAL_8_1 = 0xE0 };

/* A machine as far as a recording shows it. */
struct machine {
	struct {
		uint64_t address;
		uint8_t bytes[256];
		size_t size;
	} pieces[N_PIECES];
	size_t n_pieces;
	uint8_t context[KD_CONTEXT_SIZE_AMD64];
	uint8_t special[SPECIAL_8_1];
	uint64_t thread;
};

static struct machine machine;
static struct kd_w_version version;
static struct kd_target target;

struct payload {
	uint8_t bytes[KD_PAYLOAD_ACCEPT];
	size_t size;
};

/* The payload of the vector whose name begins so. */
static struct payload load(const char *name)
{
	uint8_t packet[KD_PACKET_MAX];
	struct payload p = { .size = 0 };

	for (size_t i = 0; i < n_wire_vectors; i++) {
		if (strncmp(wire_vectors[i].name, name, strlen(name)) != 0)
			continue;
		wire_hex(packet, sizeof(packet), wire_vectors[i].hex);
		p.size = kd_get16(packet + 6);
		memcpy(p.bytes, packet + KD_HDR_SIZE, p.size);
		return p;
	}
	fail_msg("no vector %s", name);
	return p;
}

static size_t read_memory(void *user, const struct kd_target_memory *from, uint8_t *out,
			  size_t size)
{
	const struct machine *m = user;

	for (size_t i = 0; i < m->n_pieces; i++) {
		const uint64_t at = from->address - m->pieces[i].address;

		if (at >= m->pieces[i].size)
			continue;
		if (size > m->pieces[i].size - at)
			size = m->pieces[i].size - (size_t)at;
		memcpy(out, m->pieces[i].bytes + at, size);
		return size;
	}
	return 0;
}

static size_t write_memory(void *user, const struct kd_target_memory *to, const uint8_t *bytes,
			   size_t size)
{
	(void)user;
	(void)to;
	(void)bytes;
	(void)size;
	return 0;
}

static bool get_context(void *user, uint16_t processor, uint8_t *out)
{
	(void)processor;
	memcpy(out, ((struct machine *)user)->context, KD_CONTEXT_SIZE_AMD64);
	return true;
}

static bool set_context(void *user, uint16_t processor, const uint8_t *bytes)
{
	(void)processor;
	memcpy(((struct machine *)user)->context, bytes, KD_CONTEXT_SIZE_AMD64);
	return true;
}

static bool get_special(void *user, uint16_t processor, uint8_t *out)
{
	(void)processor;
	memcpy(out, ((struct machine *)user)->special, SPECIAL_8_1);
	return true;
}

static bool set_special(void *user, uint16_t processor, const uint8_t *bytes)
{
	(void)processor;
	memcpy(((struct machine *)user)->special, bytes, SPECIAL_8_1);
	return true;
}

static uint16_t count_processors(void *user)
{
	(void)user;
	return 1;
}

static uint64_t get_pointer(void *user, uint16_t processor, enum kd_target_pointer which)
{
	(void)processor;
	(void)which;
	return ((struct machine *)user)->thread;
}

static const struct kd_target_ops ops = {
	.read_memory = read_memory,
	.write_memory = write_memory,
	.get_context = get_context,
	.set_context = set_context,
	.get_special = get_special,
	.set_special = set_special,
	.count_processors = count_processors,
	.get_pointer = get_pointer,
};

static void hold(uint64_t address, const uint8_t *bytes, size_t size)
{
	machine.pieces[machine.n_pieces].address = address;
	memcpy(machine.pieces[machine.n_pieces].bytes, bytes, size);
	machine.pieces[machine.n_pieces++].size = size;
}

static void init(uint16_t level, const char *version_reply)
{
	const struct payload v = load(version_reply);
	struct kd_target_config config = { .version = &version,
					   .processor_level = level,
					   .special_size = SPECIAL_8_1 };

	memset(&machine, 0, sizeof(machine));
	kd_w_version_decode(&version, v.bytes + 16);
	assert_int_equal(kd_target_init(&target, &config, &ops, &machine), KD_OK);
}

/* What the boot debugger of Windows 10 1511 had. */
static int setup_winload(void **state)
{
	const struct payload context = load("K14b"), special = load("K16b"), list = load("K9b"),
			     entry = load("K10");

	(void)state;
	init(0, "K2");
	hold(0xAD5E60, list.bytes + 56, 16);
	hold(0xFFFFF8017BC49E30, entry.bytes + 56, 0x88);
	memcpy(machine.context, context.bytes + 56, sizeof(machine.context));
	memcpy(machine.special, special.bytes + 56, sizeof(machine.special));
	return 0;
}

/* And the kernel of Windows 8.1. */
static int setup_windows_8(void **state)
{
	const struct payload context = load("K15"), stop = load("K4");

	(void)state;
	init(6, "K3");
	memcpy(machine.context, context.bytes + 56, sizeof(machine.context));
	memcpy(machine.special + 0x40, stop.bytes + 192, 16); /* KernelDr6, KernelDr7 */
	hold(kd_get64(stop.bytes + 24), stop.bytes + 216, 16);
	machine.thread = kd_get64(stop.bytes + 16);
	return 0;
}

static void expect_reply(const char *request, const char *reply)
{
	const struct payload in = load(request), want = load(reply);
	struct kd_target_action action;
	uint8_t out[KD_PAYLOAD_MAX];

	assert_int_equal(kd_target_request(&target, in.bytes, in.size, out, sizeof(out), &action),
			 KD_TARGET_REPLY);
	assert_int_equal(action.reply_size, want.size);
	assert_memory_equal(out, want.bytes, want.size);
}

static void test_winload_session(void **state)
{
	(void)state;
	expect_reply("K1", "K2");
	expect_reply("K9a", "K9b");
	expect_reply("K11a", "K11b");
	expect_reply("K12a", "K12b");
	expect_reply("K14a", "K14b");
	expect_reply("K16a", "K16b");
	expect_reply("K17a", "K17b");
	/* It took the PC of K17. */
	assert_int_equal(kd_get64(machine.context + 0xF8), 0xA79686);
}

/* It did not know the API, whatever number it gave as its maximum. */
static void test_winload_without_context_ex(void **state)
{
	(void)state;
	version.max_manipulate = KD_API_GET_CONTEXT_EX - KD_API_READ_VIRTUAL;
	expect_reply("K13a", "K13b");
}

static void test_module_entry(void **state)
{
	const struct payload want = load("K10");
	uint8_t request[KD_MANIPULATE_SIZE], out[KD_PAYLOAD_MAX];
	struct kd_target_action action;

	(void)state;
	memcpy(request, want.bytes, sizeof(request));
	kd_put32(request + 28, 0x12345678); /* only known from the reply: ActualBytesRead */
	kd_target_request(&target, request, sizeof(request), out, sizeof(out), &action);
	assert_int_equal(action.reply_size, want.size);
	assert_memory_equal(out, want.bytes, want.size);
}

static void test_write_control(void **state)
{
	const struct payload want = load("K18"), special = load("K16b");
	uint8_t request[KD_MANIPULATE_SIZE + SPECIAL_8_1], out[KD_PAYLOAD_MAX];
	struct kd_target_action action;

	(void)state;
	memcpy(request, want.bytes, KD_MANIPULATE_SIZE);
	kd_put32(request + 28, 0);
	memcpy(request + KD_MANIPULATE_SIZE, special.bytes + 56, SPECIAL_8_1);
	kd_target_request(&target, request, sizeof(request), out, sizeof(out), &action);
	assert_int_equal(action.reply_size, want.size);
	assert_memory_equal(out, want.bytes, want.size);
}

static void continues_with(const char *request, bool has_control_set)
{
	const struct payload in = load(request);
	struct kd_target_action action;
	uint8_t out[KD_PAYLOAD_MAX];

	assert_int_equal(kd_target_request(&target, in.bytes, in.size, out, sizeof(out), &action),
			 KD_TARGET_CONTINUE);
	assert_int_equal(action.reply_size, 0);
	assert_int_equal(action.continue_status, KD_NT_DBG_CONTINUE);
	assert_int_equal(action.has_control_set, has_control_set);
}

static void test_continue(void **state)
{
	(void)state;
	continues_with("K21", false);
	assert_int_equal(kd_get64(machine.special + 0x40), 0xFFFE0FF0);
	continues_with("K19", true);
	assert_int_equal(kd_get64(machine.special + 0x40), 0);
	assert_int_equal(kd_get64(machine.special + 0x48), 0x400);
	continues_with("S7", true);
	assert_int_equal(kd_get32(machine.context + 0x44) & 0x100, 0x100);
}

static void test_get_context_ex(void **state)
{
	const struct payload want = load("K15");
	uint8_t request[KD_MANIPULATE_SIZE], out[KD_PAYLOAD_MAX];
	struct kd_target_action action;

	(void)state;
	memcpy(request, want.bytes, sizeof(request));
	kd_put32(request + 24, 0); /* BytesCopied */
	kd_target_request(&target, request, sizeof(request), out, sizeof(out), &action);
	assert_int_equal(action.reply_size, want.size);
	assert_memory_equal(out, want.bytes, want.size);
}

static void test_break_in_state_change(void **state)
{
	const struct payload want = load("K4");
	struct kd_w_exception e;
	uint8_t out[KD_STATE_CHANGE_SIZE];
	size_t size;

	(void)state;
	kd_w_exception_decode(&e, want.bytes + 32);
	assert_int_equal(kd_target_exception(&target, 0, &e, out, sizeof(out), &size), KD_OK);
	assert_int_equal(size, want.size);
	assert_memory_equal(out, want.bytes, 72);            /* to information[0] */
	assert_memory_equal(out + 184, want.bytes + 184, 4); /* FirstChance */
	assert_memory_equal(out + 192, want.bytes + 192, 48);
}

static void test_load_symbols(void **state)
{
	const struct payload want = load("K5");
	struct kd_w_load_symbols l;
	uint8_t out[KD_PAYLOAD_MAX];
	size_t size;

	(void)state;
	kd_w_load_symbols_decode(&l, want.bytes + 32);
	hold(kd_get64(want.bytes + 24), want.bytes + 216, 16);
	kd_put64(machine.special + 0x40, 0xFFFE0FF0);
	assert_int_equal(
		kd_target_load_symbols(&target, 0, &l, "winload.efi", 11, out, sizeof(out), &size),
		KD_OK);
	assert_int_equal(size, want.size);
	assert_memory_equal(out, want.bytes, 36);           /* padding is junk there */
	assert_memory_equal(out + 40, want.bytes + 40, 25); /* to UnloadSymbols */
	assert_memory_equal(out + 192, want.bytes + 192, 22);
	/* ReportFlags at 214: the boot debugger does not call its 0x10 standard, NT (K4) does. */
	assert_memory_equal(out + 216, want.bytes + 216, 24 + 12); /* stream, segments, name */
}

static void test_print(void **state)
{
	const struct payload want = load("S1");
	uint8_t out[64];
	size_t size, taken;

	(void)state;
	assert_int_equal(kd_target_print(&target, 0, "Hi\n", 3, out, sizeof(out), &size, &taken),
			 KD_OK);
	assert_int_equal(size, want.size);
	assert_memory_equal(out, want.bytes, want.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_winload_session, setup_winload),
		cmocka_unit_test_setup(test_winload_without_context_ex, setup_winload),
		cmocka_unit_test_setup(test_module_entry, setup_winload),
		cmocka_unit_test_setup(test_write_control, setup_winload),
		cmocka_unit_test_setup(test_continue, setup_winload),
		cmocka_unit_test_setup(test_load_symbols, setup_winload),
		cmocka_unit_test_setup(test_get_context_ex, setup_windows_8),
		cmocka_unit_test_setup(test_break_in_state_change, setup_windows_8),
		cmocka_unit_test_setup(test_print, setup_windows_8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
