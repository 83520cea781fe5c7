/* SPDX-License-Identifier: MIT */
/* What a target says by itself: state changes, text, file requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/core/target_rig.h"

static void test_exception_fields(void **state)
{
	struct kd_w_exception e = { .code = (uint32_t)KD_NT_ACCESS_VIOLATION,
				    .address = 0x80401234,
				    .n_parameters = 99,
				    .information = { 1, 0x80000010 },
				    .first_chance = 1 };
	uint8_t payload[KD_STATE_CHANGE_SIZE];
	struct kd_state_change s;
	size_t size;

	(void)state;
	assert_int_equal(kd_target_exception(target, 0, &e, payload, sizeof(payload) - 1, &size),
			 KD_E_TOO_BIG);
	assert_int_equal(kd_target_exception(target, 2, &e, payload, sizeof(payload), &size),
			 KD_E_INVALID);
	assert_int_equal(kd_target_exception(target, 0, &e, payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(kd_state_change_decode(&s, payload, size), KD_OK);
	/* A 32-bit machine's addresses are sign-extended. */
	assert_int_equal(s.hdr.program_counter, fake->idle);
	assert_int_equal(s.u.exception.address, 0xFFFFFFFF80401234);
	assert_int_equal(s.u.exception.information[0], 1);
	assert_int_equal(s.u.exception.information[1], 0xFFFFFFFF80000010);
	assert_int_equal(s.u.exception.n_parameters, 15);
	assert_int_equal(kd_get16(s.report + 36 - 8), 8); /* SegCs */
}

static void test_load_symbols_name(void **state)
{
	const struct kd_w_load_symbols l = { .base = 0x1000, .size_of_image = 0x2000 };
	uint8_t payload[KD_PAYLOAD_MAX];
	char name[KD_PAYLOAD_MAX];
	struct kd_state_change s;
	size_t size;

	(void)state;
	assert_int_equal(
		kd_target_load_symbols(target, 0, &l, NULL, 0, payload, sizeof(payload), &size),
		KD_OK);
	assert_int_equal(size, KD_STATE_CHANGE_SIZE);
	memset(name, 'x', sizeof(name));
	memcpy(name + sizeof(name) - 4, ".sys", 4);
	assert_int_equal(kd_target_load_symbols(target, 0, &l, name, sizeof(name), payload,
						sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(size, KD_PAYLOAD_MAX);
	assert_int_equal(kd_state_change_decode(&s, payload, size), KD_OK);
	assert_int_equal(s.name_size, KD_PAYLOAD_MAX - KD_STATE_CHANGE_SIZE);
	assert_string_equal(s.name + s.name_size - 5, ".sys");
}

static void test_command_string(void **state)
{
	char name[200], command[KD_PAYLOAD_MAX];
	uint8_t payload[KD_PAYLOAD_MAX];
	size_t size;

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(command, 'c', sizeof(command));
	assert_int_equal(kd_target_command_string(target, 0, name, sizeof(name), command,
						  sizeof(command), payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(size, KD_PAYLOAD_MAX);
	assert_int_equal(kd_get32(payload), KD_STATE_COMMAND_STRING);
	assert_int_equal(strlen((char *)payload + 240), 127);
	assert_int_equal(payload[240 + 128], 'c');
	assert_int_equal(payload[size - 1], 0);
}

static void test_text(void **state)
{
	static const uint8_t s10[] = { 0x31, 0x32, 0, 0, 6, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 'b' };
	uint8_t payload[KD_PAYLOAD_MAX], junk[32] = { 0x30, 0x32 };
	char text[5000];
	const uint8_t *answer;
	size_t size, taken, answer_size;

	(void)state;
	memset(text, 't', sizeof(text));
	assert_int_equal(kd_target_print(target, 1, text, sizeof(text), payload, sizeof(payload),
					 &size, &taken),
			 KD_OK);
	assert_int_equal(size, KD_PAYLOAD_MAX);
	assert_int_equal(taken, KD_PAYLOAD_MAX - 16);
	assert_int_equal(kd_get32(payload), KD_IO_PRINT_STRING);
	assert_int_equal(kd_get16(payload + 6), 1);
	assert_int_equal(kd_get32(payload + 8), taken);
	assert_int_equal(kd_target_print(target, 0, text, 5, payload, 16, &size, &taken),
			 KD_E_TOO_BIG);
	assert_int_equal(
		kd_target_prompt(target, 0, "Yes? ", 5, 80, payload, sizeof(payload), &size),
		KD_OK);
	assert_int_equal(size, 21);
	assert_int_equal(kd_get32(payload + 8), 5);
	assert_int_equal(kd_get32(payload + 12), 80);
	assert_int_equal(kd_target_prompt(target, 0, text, sizeof(text), 80, payload,
					  sizeof(payload), &size),
			 KD_E_TOO_BIG);

	assert_int_equal(kd_target_prompt_answer(s10, sizeof(s10), 80, &answer, &answer_size),
			 KD_OK);
	assert_int_equal(answer_size, 1);
	assert_int_equal(answer[0], 'b');
	assert_int_equal(kd_target_prompt_answer(s10, 16, 80, &answer, &answer_size), KD_OK);
	assert_int_equal(answer_size, 0);
	assert_int_equal(kd_target_prompt_answer(s10, 15, 80, &answer, &answer_size),
			 KD_E_TRUNCATED);
	assert_int_equal(kd_target_prompt_answer(s10, sizeof(s10), 0, &answer, &answer_size),
			 KD_OK);
	assert_int_equal(answer_size, 0);
	assert_int_equal(kd_target_prompt_answer(junk, sizeof(junk), 80, &answer, &answer_size),
			 KD_E_MALFORMED);
}

static void test_files(void **state)
{
	static const uint16_t name[] = { '\\', 'a', '.', 's', 'y', 's' };
	uint8_t payload[KD_PAYLOAD_MAX];
	struct kd_target_file_answer a;
	size_t size;

	(void)state;
	assert_int_equal(kd_target_file_create(name, 6, payload, sizeof(payload), &size), KD_OK);
	assert_int_equal(size, 64 + 14);
	assert_int_equal(kd_get32(payload), KD_FILE_CREATE);
	assert_int_equal(kd_get32(payload + 8), 0x00120089);
	assert_memory_equal(payload + 64, "\\\0a\0.\0s\0y\0s\0\0", 14);
	assert_int_equal(kd_target_file_create(name, 6, payload, 64 + 13, &size), KD_E_TOO_BIG);
	kd_put64(payload + 32, 0x77);
	kd_put64(payload + 40, 5000);
	assert_int_equal(kd_target_file_answer(KD_FILE_CREATE, payload, 64, &a), KD_OK);
	assert_int_equal(a.handle, 0x77);
	assert_int_equal(a.length, 5000);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 64, &a), KD_E_MALFORMED);

	assert_int_equal(kd_target_file_read(0x77, 0x1000, 100, payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(size, 64);
	assert_int_equal(kd_get64(payload + 16), 0x1000);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 64 + 100, &a), KD_OK);
	assert_ptr_equal(a.data, payload + 64);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 64 + 99, &a), KD_E_MALFORMED);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 63, &a), KD_E_TRUNCATED);
	assert_int_equal(kd_target_file_close(0x77, payload, sizeof(payload), &size), KD_OK);
	assert_int_equal(kd_get32(payload), KD_FILE_CLOSE);
	assert_int_equal(kd_get64(payload + 8), 0x77);
	assert_int_equal(kd_target_file_close(0x77, payload, 64, &size), KD_E_TOO_BIG);
}

static void test_init(void **state)
{
	struct kd_w_version version = { .machine = KD_MACHINE_ARM };
	struct kd_target_config config = { .version = &version };
	struct kd_target_ops ops = kd_fake_ops;
	struct kd_target t;

	(void)state;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_UNSUPPORTED);
	version.machine = KD_MACHINE_ARM64;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_OK);
	config.special_size = KD_SPECIAL_SIZE_ARM64 + 1;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_UNSUPPORTED);
	config.special_size = 0;
	config.payload_max = 100;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_INVALID);
	config.payload_max = 0;
	ops.get_special = NULL;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_exception_fields, setup_x86),
		ON(test_load_symbols_name, setup),
		ON(test_command_string, setup),
		ON(test_text, setup),
		ON(test_files, setup),
		ON(test_init, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
