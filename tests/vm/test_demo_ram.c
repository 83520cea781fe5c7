/* SPDX-License-Identifier: MIT */
/*
 * The demo guest's RAM: arguments are the folder of its images and run-demo. Every byte is the same
 * on both roads and by QEMU's own hand, and the kernel that the loader put there is found.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/vm/guest_ram.h"
#include "tests/vm/vm_check.h"

enum { BOOT_MS = 20000, PAGE = 4096, HEADERS = 512, MEMORY_MB = 48 };

static const char *images, *run_demo;
static struct kd_error err;
static struct kd_ram_refusals why;

static uint64_t soon(void)
{
	return kd_deadline_after_ms(LIMIT_MS);
}

static void execute(struct kd_qmp *q, const char *command)
{
	assert_status(KD_OK, kd_qmp_execute(q, command, NULL, soon(), NULL, NULL, &err));
}

static struct kd_qmp *open_when_ready(const char *path)
{
	uint64_t deadline = kd_deadline_after_ms(BOOT_MS);
	struct kd_qmp *q = NULL;

	while (kd_qmp_open(path, deadline, NULL, &q, &err) != KD_OK) {
		assert_true(kd_now_ns() < deadline);
		usleep(5000);
	}
	return q;
}

/* The guest, booted as far as "until" on its console, then stopped. */
static struct io_child boot(const char *option, const char *until, struct kd_qmp **q_ret)
{
	const char *serial = io_path(io_text("com1%s", option));
	struct io_child c = io_spawn((const char *const[]){
		run_demo, "--images", images, "--memory", io_text("%d", MEMORY_MB), "--smp", "1",
		"--serial", serial, "--options", "", "--console", io_path("console"), option,
		NULL });
	uint64_t deadline = kd_deadline_after_ms(BOOT_MS);
	bool is_up = false;

	*q_ret = open_when_ready(io_text("%s.qmp", serial));
	while (!is_up) {
		size_t size;
		char *text = (char *)io_read_file(io_path("console"), &size);

		is_up = strstr(text, until) != NULL;
		free(text);
		assert_true(kd_now_ns() < deadline);
		usleep(10000);
	}
	execute(*q_ret, "stop");
	return c;
}

/* Page by page; holes are zeros. */
static uint8_t *read_all(struct kd_guest_ram *ram)
{
	uint8_t *all = calloc(MEMORY_MB, 1 << 20);
	size_t done;

	assert_non_null(all);
	for (size_t at = 0; at < (size_t)MEMORY_MB << 20; at += PAGE) {
		enum kd_status s = kd_guest_ram_read(ram, at, all + at, PAGE, &done, &err);

		assert_true(s == KD_OK ? done == PAGE : s == KD_E_UNREADABLE);
	}
	return all;
}

static uint8_t *saved_by_qemu(struct kd_qmp *q)
{
	const char *path = io_path("saved");
	size_t size;
	uint8_t *all;

	assert_status(KD_OK, kd_qmp_execute(q, "pmemsave",
					    json_pack("{s:i, s:i, s:s}", "val", 0, "size",
						      MEMORY_MB << 20, "filename", path),
					    kd_deadline_after_ms(BOOT_MS), NULL, NULL, &err));
	all = io_read_file(path, &size);
	assert_int_equal(size, (size_t)MEMORY_MB << 20);
	return all;
}

/* Pages of RAM that are equal; those that are no RAM of the VM's backend are passed over. */
static void compare(struct kd_guest_ram *ram, const uint8_t *a, const uint8_t *b)
{
	const struct kd_ram_layout *layout = kd_guest_ram_info(ram).layout;

	for (size_t at = 0; at < (size_t)MEMORY_MB << 20; at += PAGE)
		if (kd_ram_range_find(layout, at) && memcmp(a + at, b + at, PAGE) != 0)
			fail_msg("page %zx differs", at);
}

/* The headers of the kernel's image, which the loader copies as they are, on a page's start. */
static void find_kernel(const uint8_t *all)
{
	size_t size, n = 0;
	uint8_t *image = io_read_file(io_text("%s/ntoskrnl.exe", images), &size);

	for (size_t at = 0; at < (size_t)MEMORY_MB << 20; at += PAGE)
		n += memcmp(all + at, image, HEADERS) == 0;
	free(image);
	assert_in_range(n, 1, 4);
}

static void check_guest(const char *option, enum kd_ram_road best)
{
	struct kd_qemu_process *p = calloc(1, sizeof *p);
	struct kd_guest_ram *ram;
	struct kd_qmp *q;
	struct io_child c = boot(option, "system is up", &q);
	uint8_t *truth = saved_by_qemu(q);

	assert_non_null(p);
	assert_status(KD_OK, kd_qemu_process_of_socket(kd_qmp_fd(q), kd_qmp_path(q), p, &err));
	assert_int_equal(p->id.pid, c.pid);
	find_kernel(truth);
	for (unsigned road = KD_RAM_MAPPED; road <= KD_RAM_PROCESS; road++) {
		enum kd_status s = kd_guest_ram_open(q, &p->id, road, soon(), NULL, &why, &ram,
						     &err);
		uint8_t *all;

		if (road == KD_RAM_MAPPED && best == KD_RAM_PROCESS) {
			assert_int_equal(s, KD_E_UNSUPPORTED);
			continue;
		}
		if (road == KD_RAM_PROCESS && s == KD_E_DENIED) {
			print_message("process road: %s\n", why.process);
			continue;
		}
		assert_status(KD_OK, s);
		all = read_all(ram);
		compare(ram, all, truth);
		free(all);
		kd_guest_ram_close(ram);
	}
	free(truth);
	free(p);
	kd_qmp_close(q);
	io_child_kill(&c, SIGKILL);
}

static void test_shared(void **state)
{
	(void)state;
	check_guest("--no-reboot", KD_RAM_MAPPED);
}

static void test_private(void **state)
{
	(void)state;
	check_guest("--private-ram", KD_RAM_PROCESS);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_private),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: test_demo_ram IMAGES RUN-DEMO\n");
		return 2;
	}
	images = argv[1];
	run_demo = argv[2];
	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
