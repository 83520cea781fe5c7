/* SPDX-License-Identifier: MIT */
/* The memory of an ivshmem device through the file that a command line names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/vm/ivshmem.h"

enum { SIZE = 69632, FILE_SIZE = 1 << 20 };

static struct kd_qemu_process vm;
static char path[] = "/tmp/kd-ivshmem-XXXXXX";

/* A command line whose arguments are separated by `|`; FILE is the path of ours. */
static void set_vm(const char *text)
{
	char bytes[1024];
	const char *at = strstr(text, "FILE");
	struct kd_error err;
	int n;

	if (at)
		n = snprintf(bytes, sizeof bytes, "%.*s%s%s", (int)(at - text), text, path, at + 4);
	else
		n = snprintf(bytes, sizeof bytes, "%s", text);
	for (int i = 0; i < n; i++)
		bytes[i] = (char)(bytes[i] == '|' ? '\0' : bytes[i]);
	memset(&vm, 0, sizeof vm);
	vm.id.pid = getpid();
	assert_int_equal(kd_qemu_cmdline_parse(bytes, (size_t)n, &vm.cmdline, &err), KD_OK);
}

#define DEVICE  "|-device|ivshmem-plain,memdev=kd,master=on"
#define BACKEND "|-object|memory-backend-file,id=kd,size=1M,share=on,mem-path=FILE"

static void test_mapped(void **state)
{
	struct kd_ivshmem *device;
	struct kd_error err;
	char back[4] = "";
	void *memory;
	FILE *f;

	(void)state;
	set_vm("qemu-system-x86_64" BACKEND DEVICE);
	assert_int_equal(kd_ivshmem_map(&vm, SIZE, &device, &memory, &err), KD_OK);
	memcpy(memory, "abc", 3);
	f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(back, 1, 3, f), 3);
	fclose(f);
	assert_string_equal(back, "abc");
	kd_ivshmem_unmap(device);
}

static void test_refused(void **state)
{
	static const struct {
		const char *cmdline;
		enum kd_status status;
		const char *text;
	} rows[] = {
		{ "qemu-system-x86_64|-m|64", KD_E_NOT_FOUND, "mem-path=" },
		{ "qemu-system-x86_64" DEVICE, KD_E_UNSUPPORTED, "no file" },
		{ "qemu-system-x86_64|-object|memory-backend-memfd,id=kd,size=1M,share=on" DEVICE,
		  KD_E_UNSUPPORTED, "no file" },
		{ "qemu-system-x86_64" BACKEND DEVICE DEVICE, KD_E_UNSUPPORTED, "2 ivshmem" },
		{ "qemu-system-x86_64|-object|memory-backend-file,id=kd,size=1M,share=on,"
		  "mem-path=/nowhere/x" DEVICE,
		  KD_E_NOT_FOUND, "/nowhere/x" },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct kd_ivshmem *device = NULL;
		struct kd_error err = { 0 };
		void *memory;

		set_vm(rows[i].cmdline);
		assert_int_equal(kd_ivshmem_map(&vm, SIZE, &device, &memory, &err), rows[i].status);
		assert_non_null(strstr(err.text, rows[i].text));
		assert_null(device);
	}
}

static void test_short_file(void **state)
{
	struct kd_ivshmem *device = NULL;
	struct kd_error err = { 0 };
	void *memory;

	(void)state;
	set_vm("qemu-system-x86_64" BACKEND DEVICE);
	assert_int_equal(truncate(path, SIZE - 1), 0);
	assert_int_equal(kd_ivshmem_map(&vm, SIZE, &device, &memory, &err), KD_E_MISMATCH);
	assert_int_equal(truncate(path, FILE_SIZE), 0);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0 || ftruncate(fd, FILE_SIZE) != 0)
		return -1;
	return close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_short_file),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
