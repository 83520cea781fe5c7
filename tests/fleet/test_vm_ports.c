/* SPDX-License-Identifier: MIT */
/* Which port is chosen, what is said of others; who holds an endpoint; who reads a socket. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/fleet/vm_port.h"
#include "lib/io/endpoint_holder.h"
#include "tests/io/io_check.h"

static const struct {
	enum kd_vm_source source;
	struct kd_qemu_port port;
	const char *endpoint; /* NULL: none, `says` */
	const char *says;
} rows[] = {
	{ KD_VM_QEMU,
	  { .kind = KD_QEMU_PORT_UNIX, .is_server = true, .path = "/a,b" },
	  "unix:/a,,b",
	  NULL },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_UNIX, .path = "/a" }, NULL, "client mode" },
	{ KD_VM_LIBVIRT, { .kind = KD_QEMU_PORT_UNIX, .is_server = true }, NULL, "virsh edit" },
	{ KD_VM_QEMU,
	  { .kind = KD_QEMU_PORT_TCP, .is_server = true, .path = "", .port = 9 },
	  "tcp:localhost:9",
	  NULL },
	{ KD_VM_QEMU,
	  { .kind = KD_QEMU_PORT_TCP, .is_server = true, .path = "::1", .port = 9 },
	  "tcp:[::1]:9",
	  NULL },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_TCP, .is_server = true }, NULL, "can't be used" },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_FD }, NULL, "qemu:///system" },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_PTY, .path = "/dev/pts/9" }, "pty:/dev/pts/9", NULL },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_PTY }, NULL, "not told" },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_FILE }, NULL, "one way" },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_STDIO }, NULL, "terminal" },
	{ KD_VM_QEMU, { .kind = KD_QEMU_PORT_TTY }, NULL, "other end" },
	{ KD_VM_VIRTUALBOX, { .kind = KD_QEMU_PORT_NONE }, NULL, "--uartmode1 server" },
	{ KD_VM_VMWARE, { .kind = KD_QEMU_PORT_PIPE }, NULL, "serial0.fileType" },
};

static void test_choose(void **state)
{
	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct kd_vm_found vm = { .source = rows[i].source, .n_serials = 1 };
		struct kd__obstacles o = { .n = 0 };
		struct kd_endpoint ep;
		char text[KD_ENDPOINT_TEXT_SIZE];

		vm.serials[0] = rows[i].port;
		if (!rows[i].endpoint) {
			assert_false(kd__vm_port_choose(&vm, &ep, &o));
			assert_int_equal(o.n, 1);
			if (!strstr(o.text[0], rows[i].says))
				fail_msg("row %zu: %s", i, o.text[0]);
			continue;
		}
		assert_true(kd__vm_port_choose(&vm, &ep, &o));
		kd_endpoint_text(&ep, text, sizeof text);
		assert_string_equal(text, rows[i].endpoint);
		assert_int_equal(o.n, 0);
	}
}

static void test_others(void **state)
{
	struct kd_vm_found vm = { .source = KD_VM_LIBVIRT, .is_remote = true, .name = "far" };
	struct kd__obstacles o = { .n = 0 };
	struct kd_endpoint ep = { .kind = KD_ENDPOINT_UNIX };

	(void)state;
	assert_false(kd__vm_port_choose(&vm, &ep, &o));
	assert_non_null(strstr(o.text[0], "ssh HOST kdmon attach far"));
	vm.is_remote = false;
	assert_false(kd__vm_port_choose(&vm, &ep, &o));
	assert_non_null(strstr(o.text[1], "no serial port"));
	o.n = 0;
	snprintf(ep.path, sizeof ep.path, "%s", io_path("none.sock"));
	vm.state = KD_VM_RUNNING;
	kd__vm_port_check(&vm, &ep, &o);
	assert_non_null(strstr(o.text[0], "is not there"));
	for (int i = 0; i < 20; i++)
		kd__obstacle_add(&o, "a\x1b line %d", i);
	assert_int_equal(o.n, KD_OBSTACLES_MAX);
	assert_string_equal(o.text[1], "a? line 0");
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void users_of(const char *path, struct kd_socket_users *ret)
{
	struct kd_socket_table *t;
	struct kd_error err;

	assert_status(KD_OK, kd__socket_table_create(&t, &err));
	kd__socket_users_unix(t, path, true, ret);
	kd__socket_table_destroy(t);
}

static void test_holder(void **state)
{
	const char *path = io_path("held.sock");
	int fd = listen_at(path), accepted;
	struct kd_open_options options = { .instead = "unix:/elsewhere" };
	struct kd_endpoint ep;
	struct kd_endpoint_holder holder;
	struct kd_socket_users users;
	struct kd_transport *t, *second;
	struct kd_error err;

	(void)state;
	users_of(path, &users);
	assert_true(users.is_listening && users.n_connected == 0);
	assert_status(KD_OK, kd_endpoint_parse(io_text("unix:%s", path), &ep, &err));
	assert_false(kd_endpoint_holder_find(&ep, &holder));
	assert_status(KD_OK, kd_transport_open(&ep, &options, &t, &err));
	accepted = accept(fd, NULL, NULL);
	assert_true(kd_endpoint_holder_find(&ep, &holder));
	assert_int_equal(holder.pid, getpid());
	assert_string_equal(holder.instead, "unix:/elsewhere");
	users_of(path, &users);
	assert_int_equal(users.n_connected, 1);
	assert_int_equal(users.pid, getpid());
	assert_status(KD_E_EXISTS, kd_transport_open(&ep, NULL, &second, &err));
	kd_transport_destroy(t);
	assert_false(kd_endpoint_holder_find(&ep, &holder));
	close(accepted);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_holder),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
