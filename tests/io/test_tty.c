/* SPDX-License-Identifier: MIT */
/* Serial lines and pseudo-terminals; socat's pty pair is the cable. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "core/link/link.h"
#include "lib/io/tty_line.h"
#include "tests/io/io_check.h"

static struct kd_error err;
static uint8_t sent[65536], got[65536];

/* Two terminals, A and B, with a cable between them. */
static struct io_child cable(void)
{
	const char *argv[] = { "socat", io_text("pty,link=%s", io_path("A")),
			       io_text("pty,link=%s", io_path("B")), NULL };
	struct io_child c = io_spawn(argv);

	for (int i = 0; i < 500; i++) {
		if (access(io_path("A"), F_OK) == 0 && access(io_path("B"), F_OK) == 0)
			return c;
		usleep(10000);
	}
	fail_msg("socat made no terminals");
	return c;
}

static bool no_socat(void)
{
	if (io_has_program("socat"))
		return false;
	print_message("skipped: socat is not installed (package socat)\n");
	return true;
}

/* All byte values, at every position: nothing is translated, echoed or eaten. */
static void exchange(struct kd_transport *a, struct kd_transport *b)
{
	for (unsigned turn = 0; turn < 4; turn++) {
		io_pattern(sent, 3000, turn * 50);
		io_write_all(a, sent, 3000);
		io_read_all(b, got, 3000);
		assert_memory_equal(got, sent, 3000);
		io_write_all(b, sent, 3000);
		io_read_all(a, got, 3000);
		assert_memory_equal(got, sent, 3000);
	}
}

/* The device's own opinion. Opened before us: later it is ours alone, except for root. */
static uint32_t baud_of(int fd)
{
	struct kd__tty_saved saved;
	uint32_t baud = 0;

	assert_int_equal(kd__tty_make_raw(fd, 0, &saved, &baud), 0);
	return baud;
}

static void test_serial(void **state)
{
	struct io_child socat;
	struct kd_transport *a, *b;
	struct termios before, after;
	int fd, other_fd;
	size_t n;

	(void)state;
	if (no_socat())
		skip();
	socat = cable();
	fd = open(io_path("A"), O_RDWR | O_NOCTTY | O_CLOEXEC);
	other_fd = open(io_path("B"), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0 && other_fd >= 0);
	assert_int_equal(tcgetattr(fd, &before), 0);
	a = io_open(io_text("serial:%s,baud=115200", io_path("A")));
	b = io_open(io_text("serial:%s,baud=250000", io_path("B")));
	assert_true(kd_transport_info(a)->is_serial_line);
	assert_int_equal(kd_transport_info(a)->baud, 115200);
	assert_false(kd_transport_info(a)->is_vm_socket);
	/* A rate that has no B constant is really set. */
	assert_int_equal(baud_of(fd), 115200);
	assert_int_equal(baud_of(other_fd), 250000);
	exchange(a, b);
	assert_status(KD_E_AGAIN, kd_transport_read(a, got, sizeof got, &n, &err));
	/* The settings are put back. */
	kd_transport_destroy(a);
	assert_int_equal(tcgetattr(fd, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_iflag, before.c_iflag);
	assert_int_equal(cfgetospeed(&after), cfgetospeed(&before));
	close(fd);
	close(other_fd);

	/* The cable is pulled. */
	io_child_kill(&socat, SIGKILL);
	assert_status(KD_E_CLOSED, io_read_to_end(b, &err));
	kd_transport_destroy(b);
	unlink(io_path("A"));
	unlink(io_path("B"));
}

static void test_serial_reconnects(void **state)
{
	struct io_child socat;
	struct kd_transport *a, *b;

	(void)state;
	if (no_socat())
		skip();
	socat = cable();
	a = io_open(io_text("serial:%s,reconnect", io_path("A")));
	io_child_kill(&socat, SIGKILL);
	unlink(io_path("A"));
	unlink(io_path("B"));
	assert_status(KD_E_CLOSED, io_read_to_end(a, &err));
	socat = cable();
	io_until_up(a, true);
	b = io_open(io_text("serial:%s", io_path("B")));
	exchange(a, b);
	kd_transport_destroy(a);
	kd_transport_destroy(b);
	io_child_kill(&socat, SIGTERM);
	unlink(io_path("A"));
	unlink(io_path("B"));
}

static void test_pty(void **state)
{
	struct kd_transport *a = io_open("pty:"), *b;

	(void)state;
	/* The name is what the other program needs. */
	assert_memory_equal(a->name, "pty:/dev/pts/", 13);
	assert_true(kd_transport_info(a)->is_up);
	b = io_open(a->name);
	exchange(a, b);
	/* Nobody at the other end is silence, as on a line. */
	kd_transport_destroy(b);
	assert_status(KD_E_TIMEOUT, kd_transport_wait(a, kd_deadline_after_ms(20), NULL, &err));
	b = io_open(a->name);
	exchange(a, b);
	/* The maker is gone: hangup. */
	kd_transport_destroy(a);
	assert_status(KD_E_CLOSED, io_read_to_end(b, &err));
	kd_transport_destroy(b);
}

/* A reader that sleeps: writes stop, nothing is lost, and they go on. */
static void test_slow_reader(void **state)
{
	struct kd_transport *a = io_open("pty:"), *b = io_open(a->name);
	size_t n, written = 0, n_read = 0;
	enum kd_status s;

	(void)state;
	io_pattern(sent, sizeof sent, 9);
	/* The kernel moves bytes on behind our back: full is what stays full. */
	do {
		while ((s = kd_transport_write(a, sent + written, sizeof sent - written, &n,
					       &err)) == KD_OK)
			written += n;
		assert_status(KD_E_AGAIN, s);
		s = kd_transport_wait(a, kd_deadline_after_ms(50), NULL, &err);
	} while (s == KD_OK);
	assert_status(KD_E_TIMEOUT, s);
	assert_in_range(written, 1024, sizeof sent - 1);
	while (n_read < sizeof sent) {
		size_t size = KD_MIN(sizeof sent - n_read, 1000);

		if (kd_transport_read(b, got + n_read, size, &n, &err) == KD_OK)
			n_read += n;
		if (written < sizeof sent &&
		    kd_transport_write(a, sent + written, sizeof sent - written, &n, &err) == KD_OK)
			written += n;
	}
	assert_memory_equal(got, sent, sizeof sent);
	kd_transport_destroy(a);
	kd_transport_destroy(b);
}

static void test_no_line(void **state)
{
	struct kd_transport *t = NULL;

	(void)state;
	assert_status(KD_E_NOT_FOUND,
		      kd_transport_open_text("serial:/dev/ttyNONE", NULL, &t, &err));
	assert_says("there is no such device");
	io_write_file(io_path("file"), "x", 1);
	assert_status(KD_E_INVALID, kd_transport_open_text(io_text("serial:%s", io_path("file")),
							   NULL, &t, &err));
	assert_says("no serial line");
	assert_status(KD_E_INVALID,
		      kd_transport_open_text(io_text("pty:%s", io_path("file")), NULL, &t, &err));
	assert_status(KD_E_NOT_FOUND,
		      kd_transport_open_text(io_text("pty:%s", io_path("none")), NULL, &t, &err));
}

/* The lock that other terminal programs know. */
static void test_uucp_lock(void **state)
{
	struct kd_transport *made = io_open("pty:"), *t = NULL;
	const char *device = made->name + 4; /* /dev/pts/N */
	const char *endpoint = io_text("serial:%s", device);
	const char *lock = io_text("/run/lock/LCK..%s", strrchr(device, '/') + 1);
	char text[16];
	uint8_t *bytes;
	size_t size;
	pid_t pid;

	(void)state;
	if (access("/run/lock", W_OK) != 0) {
		print_message("skipped: no /run/lock to write to\n");
		kd_transport_destroy(made);
		skip();
	}
	t = io_open(endpoint);
	bytes = io_read_file(lock, &size);
	snprintf(text, sizeof text, "%10d\n", (int)getpid());
	assert_string_equal((char *)bytes, text);
	free(bytes);
	kd_transport_destroy(t);
	assert_int_equal(access(lock, F_OK), -1);

	/* A living program's number counts, a dead one's does not. */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	snprintf(text, sizeof text, "%10d\n", (int)pid);
	io_write_file(lock, text, strlen(text));
	assert_status(KD_E_EXISTS, kd_transport_open_text(endpoint, NULL, &t, &err));
	assert_says(io_text("in use by pid %d", (int)pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	t = io_open(endpoint);
	kd_transport_destroy(t);
	kd_transport_destroy(made);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serial),  cmocka_unit_test(test_serial_reconnects),
		cmocka_unit_test(test_pty),     cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_no_line), cmocka_unit_test(test_uucp_lock),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
