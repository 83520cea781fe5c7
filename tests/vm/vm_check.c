/* SPDX-License-Identifier: MIT */
#include "tests/vm/vm_check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/link/link.h"

/* --- the scripted monitor --- */

static struct {
	int listener;
	const struct monitor_step *steps;
	size_t n;
	pthread_t thread;
	unsigned n_unexpected;
} monitor;

static bool read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && recv(fd, line + n, 1, 0) == 1)
		if (line[n++] == '\n') {
			line[n] = '\0';
			return true;
		}
	line[n] = '\0';
	return false;
}

static void say(int fd, const char *text, const char *id)
{
	const char *at;

	while ((at = strstr(text, "$ID"))) {
		send(fd, text, (size_t)(at - text), MSG_NOSIGNAL);
		send(fd, id, strlen(id), MSG_NOSIGNAL);
		text = at + 3;
	}
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void id_of(const char *line, char *id, size_t size)
{
	const char *at = strstr(line, "\"id\":\"");

	snprintf(id, size, "%.*s", at ? (int)strcspn(at + 6, "\"") : 0, at ? at + 6 : "");
}

static void *run_monitor(void *unused)
{
	int fd = accept4(monitor.listener, NULL, NULL, SOCK_CLOEXEC);
	char line[4096], id[64] = "";

	(void)unused;
	for (size_t i = 0; i < monitor.n && fd >= 0; i++) {
		const struct monitor_step *s = &monitor.steps[i];

		if (s->expect) {
			if (!read_line(fd, line, sizeof line))
				break;
			monitor.n_unexpected += !strstr(line, s->expect);
			id_of(line, id, sizeof id);
		}
		if (s->send)
			say(fd, s->send, id);
		if (s->act)
			s->act(fd);
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

const char *monitor_start(const struct monitor_step *steps, size_t n)
{
	const char *path = io_path("monitor.sock");
	int flags;

	monitor.listener = io_unix_listen(path);
	flags = fcntl(monitor.listener, F_GETFL);
	fcntl(monitor.listener, F_SETFL, flags & ~O_NONBLOCK);
	monitor.steps = steps;
	monitor.n = n;
	monitor.n_unexpected = 0;
	assert_int_equal(pthread_create(&monitor.thread, NULL, run_monitor, NULL), 0);
	return path;
}

unsigned monitor_stop(void)
{
	/* Ends an accept() that nobody came for. */
	shutdown(monitor.listener, SHUT_RDWR);
	pthread_join(monitor.thread, NULL);
	close(monitor.listener);
	return monitor.n_unexpected;
}

/* --- QEMU --- */

bool vm_has_qemu(void)
{
	return io_has_program("qemu-system-x86_64");
}

static struct kd_qmp *connect_when_ready(const char *path)
{
	uint64_t deadline = kd_deadline_after_ms(QEMU_MS);
	struct kd_error err = { 0 };
	struct kd_qmp *qmp = NULL;

	for (;;) {
		enum kd_status s = kd_qmp_open(path, deadline, NULL, &qmp, &err);

		if (s == KD_OK)
			return qmp;
		if ((s != KD_E_NOT_FOUND && s != KD_E_CLOSED) || kd_now_ns() > deadline)
			fail_msg("no monitor: %s", err.text);
		kd_wait(NULL, 0, kd_deadline_after_ms(5), NULL, NULL);
	}
}

struct vm vm_start(const char *const *args)
{
	static unsigned number;
	const char *argv[VM_ARGS_MAX] = { "qemu-system-x86_64",
					  "-S",
					  "-nodefaults",
					  "-display",
					  "none",
					  "-accel",
					  "tcg",
					  "-qmp" };
	size_t n = 8;
	struct vm vm = { .qmp_path = io_path(io_text("qmp-%u.sock", number++)) };

	argv[n++] = io_text("unix:%s,server=on,wait=off", vm.qmp_path);
	for (; args && *args; args++) {
		assert_true(n + 1 < VM_ARGS_MAX);
		argv[n++] = *args;
	}
	vm.child = io_spawn(argv);
	vm.qmp = connect_when_ready(vm.qmp_path);
	return vm;
}

void vm_stop(struct vm *vm)
{
	kd_qmp_close(vm->qmp);
	vm->qmp = NULL;
	io_child_kill(&vm->child, SIGKILL);
}
