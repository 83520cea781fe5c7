/* SPDX-License-Identifier: MIT */
/* Finding QEMU processes: real ones, ended ones, handed-over sockets, look-alikes. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm/qemu_process.h"
#include "tests/vm/vm_check.h"

static struct kd_error err;

static void test_stat_lines(void **state)
{
	static const char rest[] = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
	uint64_t start;
	char letter;

	(void)state;
	assert_true(kd__proc_stat_parse(io_text("12 (a) b) (c) S%s", rest), &letter, &start));
	assert_int_equal(letter, 'S');
	assert_int_equal(start, 777);
	assert_false(kd__proc_stat_parse("12 (a) S 1 2 3", &letter, &start));
	assert_false(kd__proc_stat_parse("", &letter, &start));
	assert_false(kd__proc_stat_parse(")", &letter, &start));
	assert_false(kd__proc_stat_parse(") S", &letter, &start));
	assert_false(kd__proc_stat_parse(") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x",
					 &letter, &start));
}

static const struct kd_qemu_process *in_list(const struct kd_qemu_process *list, size_t n,
					     pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].id.pid == pid)
			return &list[i];
	return NULL;
}

static void test_found_and_ended(void **state)
{
	struct kd_qemu_process *list = NULL, *one = calloc(1, sizeof *one);
	const struct kd_qemu_process *row;
	struct kd_qemu_id before, wrong;
	struct vm vm;
	size_t n;
	int fd, again;

	(void)state;
	NEED_QEMU();
	assert_non_null(one);
	vm = VM_START("-name", "guest=to find,debug-threads=on", "-m", "64", "-serial",
		      io_text("unix:%s/x,,y,server=on,wait=off", io_path(".")));
	assert_status(KD_OK, kd_qemu_process_list(&list, &n, &err));
	row = in_list(list, n, vm.child.pid);
	assert_non_null(row);
	assert_string_equal(row->cmdline.name, "to find");
	assert_string_equal(row->cmdline.program, "qemu-system-x86_64");
	assert_string_equal(row->cmdline.accel, "tcg");
	assert_int_equal(row->cmdline.memory_size, 64 << 20);
	assert_int_equal(row->uid, geteuid());
	assert_string_equal(kd_qemu_port_find(&row->cmdline, KD_QEMU_QMP, 0)->path, vm.qmp_path);
	assert_string_equal(kd_qemu_port_find(&row->cmdline, KD_QEMU_SERIAL, 0)->path,
			    io_path("./x,y"));
	before = row->id;
	free(list);

	assert_status(KD_OK, kd_qemu_process_of_socket(kd_qmp_fd(vm.qmp), vm.qmp_path, one, &err));
	assert_int_equal(one->id.pid, before.pid);
	assert_int_equal(one->id.start_time, before.start_time);
	assert_true(kd_qemu_is_alive(&before));
	wrong = before;
	wrong.start_time++;
	assert_false(kd_qemu_is_alive(&wrong));
	assert_status(KD_E_NOT_FOUND, kd_qemu_open_pidfd(&wrong, &fd, &err));
	assert_status(KD_OK, kd_qemu_open_pidfd(&before, &fd, &err));
	assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0), 0);

	/* Killed, and a zombie as long as nobody waits for it: neither is a running VM. */
	kill(vm.child.pid, SIGKILL);
	assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, LIMIT_MS), 1);
	assert_false(kd_qemu_is_alive(&before));
	assert_status(KD_E_NOT_FOUND, kd_qemu_open_pidfd(&before, &again, &err));
	close(fd);
	vm_stop(&vm);
	assert_status(KD_E_NOT_FOUND, kd_qemu_process_read(before.pid, one, &err));
	assert_status(KD_E_MISMATCH, kd_qemu_process_read(getpid(), one, &err));
	free(one);
}

/* libvirt's way: it makes the socket listen, QEMU gets the descriptor. */
static void test_handed_over_socket(void **state)
{
	const char *path = io_path("handed.sock");
	struct kd_qemu_process *one = calloc(1, sizeof *one);
	struct kd_qmp *q = NULL;
	struct io_child child;
	int listener;

	(void)state;
	NEED_QEMU();
	assert_non_null(one);
	listener = io_unix_listen(path);
	fcntl(listener, F_SETFD, 0);
	child = io_spawn((const char *const[]){
		"qemu-system-x86_64", "-S", "-nodefaults", "-display", "none", "-accel", "tcg",
		"-chardev", io_text("socket,id=c,fd=%d,server=on,wait=off", listener), "-mon",
		"chardev=c,mode=control", NULL });
	close(listener);
	assert_status(KD_OK, kd_qmp_open(path, kd_deadline_after_ms(QEMU_MS), NULL, &q, &err));
	assert_int_equal(kd_qmp_peer(q).pid, getpid());
	assert_status(KD_OK, kd_qemu_process_of_socket(kd_qmp_fd(q), path, one, &err));
	assert_int_equal(one->id.pid, child.pid);
	assert_int_equal(kd_qemu_port_find(&one->cmdline, KD_QEMU_QMP, 0)->kind, KD_QEMU_PORT_FD);
	kd_qmp_close(q);
	io_child_kill(&child, SIGKILL);
	free(one);
}

static void test_sockets_of_others(void **state)
{
	struct kd_qemu_process *one = calloc(1, sizeof *one);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = io_path("ours.sock");
	int listener = io_unix_listen(path), fd = socket(AF_UNIX, SOCK_STREAM, 0), pipes[2];

	(void)state;
	assert_non_null(one);
	strcpy(a.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_status(KD_E_NOT_FOUND, kd_qemu_process_of_socket(fd, path, one, &err));
	assert_says("run as the VM's user");
	close(fd);
	close(listener);
	assert_int_equal(pipe(pipes), 0);
	assert_status(KD_E_INVALID, kd_qemu_process_of_socket(pipes[0], path, one, &err));
	close(pipes[0]);
	close(pipes[1]);
	free(one);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat_lines),
		cmocka_unit_test(test_found_and_ended),
		cmocka_unit_test(test_handed_over_socket),
		cmocka_unit_test(test_sockets_of_others),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
