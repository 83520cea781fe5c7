/* SPDX-License-Identifier: MIT */
/*
 * The serial port of a real virtual machine, each way QEMU offers it. The machine is a boot sector
 * that echoes what its UART receives.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/link/link.h"
#include "tests/io/io_check.h"

enum { BOOT_MS = 30000, ECHO_SIZE = 1500 };

static struct kd_error err;

/*
 * 16-bit code at 0x7C00. It looks at LSR before it sends: QEMU sends each byte alone, and about 280
 * such bytes fill a unix socket whose reader is busy; what is sent then is lost.
 */
static const uint8_t boot_code[] = {
	0xBA, 0xFD, 0x03, /* 00 mov dx, 3FDh     <-+ */
	0xEC,             /* 03 in al, dx          | */
	0xA8, 0x01,       /* 04 test al, 1         | */
	0x74, 0xF8,       /* 06 jz 00            --+ */
	0xBA, 0xF8, 0x03, /* 08 mov dx, 3F8h       | */
	0xEC,             /* 0B in al, dx          | */
	0x88, 0xC4,       /* 0C mov ah, al         | */
	0xBA, 0xFD, 0x03, /* 0E mov dx, 3FDh       | */
	0xEC,             /* 11 in al, dx    <-+   | */
	0xA8, 0x20,       /* 12 test al, 20h   |   | */
	0x74, 0xFB,       /* 14 jz 11        --+   | */
	0xBA, 0xF8, 0x03, /* 16 mov dx, 3F8h       | */
	0x88, 0xE0,       /* 19 mov al, ah         | */
	0xEE,             /* 1B out dx, al         | */
	0xEB, 0xE2,       /* 1C jmp 00           --+ */
};

static struct io_child start_vm(const char *serial)
{
	uint8_t sector[512] = { 0 };
	const char *argv[] = { "qemu-system-x86_64",
			       "-nodefaults",
			       "-display",
			       "none",
			       "-accel",
			       "tcg",
			       "-m",
			       "4",
			       "-drive",
			       io_text("file=%s,format=raw,if=floppy,readonly=on",
				       io_path("boot.img")),
			       "-serial",
			       serial,
			       NULL };

	memcpy(sector, boot_code, sizeof boot_code);
	sector[510] = 0x55;
	sector[511] = 0xAA;
	io_write_file(io_path("boot.img"), sector, sizeof sector);
	return io_spawn(argv);
}

static bool no_qemu(void)
{
	if (io_has_program("qemu-system-x86_64"))
		return false;
	print_message("skipped: no qemu-system-x86_64 (package qemu-system-x86)\n");
	return true;
}

/* The socket of a VM that was just started is there a moment later. */
static struct kd_transport *open_soon(const char *endpoint)
{
	uint64_t until = kd_deadline_after_ms(LIMIT_MS);
	struct kd_transport *t = NULL;

	while (kd_transport_open_text(endpoint, NULL, &t, &err) != KD_OK) {
		if (kd_now_ns() > until)
			fail_msg("%s", err.text);
		usleep(20000);
	}
	return t;
}

/*
 * Until the machine echoes. A greeting alone would be lost when it boots faster than we connect:
 * QEMU drops what it sends to nobody.
 */
static void wait_ready(struct kd_transport *t)
{
	uint64_t until = kd_deadline_after_ms(BOOT_MS);
	bool is_quiet = false, is_heard = false;
	uint8_t bytes[64];
	size_t n;

	while (!is_heard || !is_quiet) {
		enum kd_status s = kd_transport_read(t, bytes, sizeof bytes, &n, &err);

		assert_true(kd_now_ns() < until);
		if (s == KD_OK) {
			is_heard = true;
			is_quiet = false;
		}
		if (s == KD_E_AGAIN) {
			if (!is_heard)
				io_write_all(t, (const uint8_t *)"?", 1);
			s = kd_transport_wait(t, kd_deadline_after_ms(150), NULL, &err);
			is_quiet = s == KD_E_TIMEOUT;
		}
		if (s != KD_E_TIMEOUT)
			assert_status(KD_OK, s);
	}
}

/* More than any FIFO of the UART holds, with every byte value. */
static void echo(struct kd_transport *t)
{
	uint8_t out[ECHO_SIZE], in[ECHO_SIZE];

	io_pattern(out, sizeof out, 17);
	io_write_all(t, out, sizeof out);
	/* A busy debugger: the socket fills up, the machine waits, nothing is lost. */
	usleep(100000);
	io_read_all(t, in, sizeof in);
	assert_memory_equal(in, out, sizeof in);
}

/*
 * QEMU as the server: a debugger comes and goes, the machine is paused, killed and started again.
 */
static void test_server(void **state)
{
	const char *serial = io_text("unix:%s,server=on,wait=off", io_path("s.sock"));
	const char *endpoint = io_text("unix:%s,reconnect", io_path("s.sock"));
	struct io_child vm;
	struct kd_transport *t;

	(void)state;
	if (no_qemu())
		skip();
	vm = start_vm(serial);
	t = open_soon(endpoint);
	wait_ready(t);
	echo(t);

	kd_transport_destroy(t);
	t = io_open(endpoint);
	echo(t);

	kill(vm.pid, SIGSTOP);
	assert_int_equal(waitpid(vm.pid, NULL, WUNTRACED), vm.pid);
	io_write_all(t, (const uint8_t *)"x", 1);
	assert_status(KD_E_TIMEOUT, kd_transport_wait(t, kd_deadline_after_ms(100), NULL, &err));
	assert_true(kd_transport_info(t)->is_up);
	kill(vm.pid, SIGCONT);
	io_read_all(t, (uint8_t[1]){ 0 }, 1);
	echo(t);

	io_child_kill(&vm, SIGKILL);
	assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	vm = start_vm(serial);
	io_until_up(t, true);
	assert_int_equal(kd_transport_info(t)->generation, 2);
	wait_ready(t);
	echo(t);
	kd_transport_destroy(t);
	io_child_kill(&vm, SIGKILL);
}

static void test_tcp_server(void **state)
{
	/* A port that was free a moment ago. */
	struct kd_transport *probe, *t;
	struct io_child vm;
	const char *address;

	(void)state;
	if (no_qemu())
		skip();
	probe = io_open("tcp-listen:127.0.0.1:0");
	address = io_text("%s", probe->name + strlen("tcp-listen:"));
	kd_transport_destroy(probe);
	vm = start_vm(io_text("tcp:%s,server=on,wait=off", address));
	t = open_soon(io_text("tcp:%s", address));
	wait_ready(t);
	echo(t);
	kd_transport_destroy(t);
	io_child_kill(&vm, SIGKILL);
}

/* QEMU as the client. */
static void test_client(void **state)
{
	struct kd_transport *t;
	struct io_child vm;

	(void)state;
	if (no_qemu())
		skip();
	t = io_open(io_text("unix-listen:%s,reconnect", io_path("c.sock")));
	for (int turn = 0; turn < 2; turn++) {
		vm = start_vm(io_text("unix:%s", io_path("c.sock")));
		io_until_up(t, true);
		wait_ready(t);
		echo(t);
		io_child_kill(&vm, SIGKILL);
		assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	}
	kd_transport_destroy(t);
}

/* Its own pseudo-terminal, and one of ours. */
static void test_ptys(void **state)
{
	struct kd_transport *t;
	struct io_child vm;
	const char *line, *device;

	(void)state;
	if (no_qemu())
		skip();
	vm = start_vm("pty");
	line = io_child_line(&vm, "char device redirected to ");
	device = io_text("%s", strchr(line, '/'));
	t = io_open(io_text("pty:%.*s", (int)strcspn(device, " "), device));
	wait_ready(t);
	echo(t);
	kd_transport_destroy(t);
	io_child_kill(&vm, SIGKILL);

	t = io_open("pty:");
	vm = start_vm(t->name + strlen("pty:"));
	wait_ready(t);
	echo(t);
	io_child_kill(&vm, SIGKILL);
	kd_transport_destroy(t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_tcp_server),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_ptys),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
