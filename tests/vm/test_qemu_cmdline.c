/* SPDX-License-Identifier: MIT */
/* Command lines of QEMU: a table, the ways people and libvirt write them. */
#include <string.h>

#include "lib/vm/qemu_cmdline.h"
#include "lib/vm/qemu_options.h"
#include "tests/vm/vm_check.h"

static struct kd_error err;
static struct kd_qemu_cmdline got;

/* Words divided by '|' become arguments. */
static const struct kd_qemu_cmdline *parse(const char *words)
{
	char bytes[2048];
	size_t n = strlen(words);

	assert_true(n < sizeof bytes);
	for (size_t i = 0; i <= n; i++)
		bytes[i] = words[i] == '|' ? '\0' : words[i];
	assert_status(KD_OK, kd_qemu_cmdline_parse(bytes, n + 1, &got, &err));
	return &got;
}

static const struct port_row {
	const char *words;
	struct kd_qemu_port port; /* the only one */
} port_rows[] = {
	{ "q|-serial|unix:/a/b,server=on,wait=off",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_UNIX, 0, true, false, 0, "", "/a/b" } },
	{ "q|--serial|unix:/a/b,server,nowait",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_UNIX, 0, true, false, 0, "", "/a/b" } },
	{ "q|-serial|unix:/a,,b,server=on",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_UNIX, 0, true, true, 0, "", "/a,b" } },
	{ "q|-serial|unix:/a=b", /* "/a" is no option, so the path is not the first part */
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_UNIX, 0, false, false, 0, "", "" } },
	{ "q|-serial|tcp:127.0.0.1:4555,server=on,wait=off",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_TCP, 0, true, false, 4555, "", "127.0.0.1" } },
	{ "q|-serial|tcp:[::1]:4555",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_TCP, 0, false, false, 4555, "", "::1" } },
	{ "q|-serial|telnet::99999",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_TCP, 0, false, false, 0, "", "" } },
	{ "q|-serial|mon:stdio",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_STDIO, 0, false, false, 0, "", "" } },
	{ "q|-serial|pty", { KD_QEMU_SERIAL, KD_QEMU_PORT_PTY, 0, false, false, 0, "", "" } },
	{ "q|-serial|null", { KD_QEMU_SERIAL, KD_QEMU_PORT_NONE, 0, false, false, 0, "", "" } },
	{ "q|-serial|file:/log,x",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_FILE, 0, false, false, 0, "", "/log,x" } },
	{ "q|-serial|pipe:/p",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_PIPE, 0, false, false, 0, "", "/p" } },
	{ "q|-serial|/dev/ttyS0",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_TTY, 0, false, false, 0, "", "/dev/ttyS0" } },
	{ "q|-serial|none|-serial|pty",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_PTY, 0, false, false, 0, "", "" } },
	/* The chardev behind its user, before it, or nowhere. */
	{ "q|-serial|chardev:c|-chardev|socket,id=c,path=/s,server=on,wait=off",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_UNIX, 0, true, false, 0, "c", "/s" } },
	{ "q|-chardev|socket,host=h,port=7,id=c|-serial|chardev:c",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_TCP, 0, false, false, 7, "c", "h" } },
	{ "q|-serial|chardev:none",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_NONE, 0, false, false, 0, "none", "" } },
	{ "q|-chardev|pty,id=c|-device|isa-serial,chardev=c,index=1",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_PTY, 1, false, false, 0, "c", "" } },
	{ "q|-chardev|file,id=c,path=/f|-device|"
	  "{\"driver\":\"isa-serial\",\"chardev\":\"c\",\"index\":3,\"x\":[1]}",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_FILE, 3, false, false, 0, "c", "/f" } },
	{ "q|-chardev|socket,id=charmonitor,fd=23,server=on,wait=off|"
	  "-mon|chardev=charmonitor,id=monitor,mode=control",
	  { KD_QEMU_QMP, KD_QEMU_PORT_FD, 0, true, false, 0, "charmonitor", "" } },
	{ "q|-qmp|unix:/q,server=on,wait=off",
	  { KD_QEMU_QMP, KD_QEMU_PORT_UNIX, 0, true, false, 0, "", "/q" } },
	{ "q|-chardev|stdio,id=c|-mon|c",
	  { KD_QEMU_MONITOR, KD_QEMU_PORT_STDIO, 0, false, false, 0, "c", "" } },
	{ "q|-monitor|unix:/m,server=on",
	  { KD_QEMU_MONITOR, KD_QEMU_PORT_UNIX, 0, true, true, 0, "", "/m" } },
	{ "q|-s", { KD_QEMU_GDB, KD_QEMU_PORT_TCP, 0, true, false, 1234, "", "" } },
	{ "q|-gdb|tcp:localhost:1|-gdb|none",
	  { KD_QEMU_GDB, KD_QEMU_PORT_TCP, 0, true, false, 1, "", "localhost" } },
	{ "q|-gdb|unix:/g,server=on,wait=off",
	  { KD_QEMU_GDB, KD_QEMU_PORT_UNIX, 0, true, false, 0, "", "/g" } },
	/* Values that look like options. */
	{ "q|-append|-s|-kernel|-qmp|-serial|pty",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_PTY, 0, false, false, 0, "", "" } },
	/* An option of the future, with and without a value. */
	{ "q|-brand-new|-s", { KD_QEMU_GDB, KD_QEMU_PORT_TCP, 0, true, false, 1234, "", "" } },
	{ "q|-brand-new|value|-serial|pty|-last",
	  { KD_QEMU_SERIAL, KD_QEMU_PORT_PTY, 0, false, false, 0, "", "" } },
};

static void test_ports(void **state)
{
	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(port_rows); i++) {
		const struct kd_qemu_port *want = &port_rows[i].port;
		const struct kd_qemu_cmdline *c = parse(port_rows[i].words);
		const struct kd_qemu_port *p = &c->ports[0];

		if (c->n_ports != 1 || p->use != want->use || p->kind != want->kind ||
		    p->index != want->index || p->is_server != want->is_server ||
		    p->waits != want->waits || p->port != want->port ||
		    strcmp(p->id, want->id) != 0 || strcmp(p->path, want->path) != 0)
			fail_msg("%s: %zu ports, kind %d, index %u, \"%s\" \"%s\" %u %d %d",
				 port_rows[i].words, c->n_ports, p->kind, p->index, p->id, p->path,
				 p->port, p->is_server, p->waits);
	}
}

static void test_serial_numbers(void **state)
{
	const struct kd_qemu_cmdline *c = parse("q|-serial|null|-serial|pty|-serial|stdio|-s");

	(void)state;
	assert_int_equal(kd_qemu_port_find(c, KD_QEMU_SERIAL, 1)->kind, KD_QEMU_PORT_PTY);
	assert_int_equal(kd_qemu_port_find(c, KD_QEMU_SERIAL, 2)->kind, KD_QEMU_PORT_STDIO);
	assert_null(kd_qemu_port_find(c, KD_QEMU_SERIAL, 3));
	assert_null(kd_qemu_port_find(c, KD_QEMU_QMP, 0));
	assert_non_null(kd_qemu_port_find(c, KD_QEMU_GDB, 0));
}

static void test_machine(void **state)
{
	static const struct {
		const char *words, *name, *machine, *backend, *accel;
		uint64_t memory;
		unsigned n_cpus;
	} rows[] = {
		{ "q", "", "", "", "", 0, 1 },
		{ "q|-name|vm|-m|512|-smp|2", "vm", "", "", "", UINT64_C(512) << 20, 2 },
		{ "q|-name|guest=a,,b,debug-threads=on", "a,b", "", "", "", 0, 1 },
		{ "q|-m|size=8G,slots=4,maxmem=16G", "", "", "", "", UINT64_C(8) << 30, 1 },
		{ "q|-m|1.5G", "", "", "", "", UINT64_C(1536) << 20, 1 },
		{ "q|-m|65536k", "", "", "", "", UINT64_C(64) << 20, 1 },
		{ "q|-m|-5|-m|nonsense|-m|99999999999999999P", "", "", "", "", 0, 1 },
		{ "q|-smp|sockets=2,cores=3,threads=2", "", "", "", "", 0, 12 },
		{ "q|-smp|4,sockets=1,cores=4", "", "", "", "", 0, 4 },
		{ "q|-smp|sockets=65535,cores=65535,threads=65535", "", "", "", "", 0, 65535 },
		{ "q|-machine|pc,memory-backend=m0,accel=kvm:tcg", "", "pc", "m0", "kvm", 0, 1 },
		{ "q|-M|q35|-accel|tcg,thread=multi|-accel|kvm", "", "q35", "", "tcg", 0, 1 },
		{ "q|-machine|accel=tcg|-enable-kvm", "", "", "", "kvm", 0, 1 },
		{ "q|-machine|type=pc-q35-7.2,usb=off|-machine|memory-backend=pc.ram", "",
		  "pc-q35-7.2", "pc.ram", "", 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		const struct kd_qemu_cmdline *c = parse(rows[i].words);

		if (strcmp(c->name, rows[i].name) != 0 ||
		    strcmp(c->machine, rows[i].machine) != 0 ||
		    strcmp(c->memory_backend, rows[i].backend) != 0 ||
		    strcmp(c->accel, rows[i].accel) != 0 || c->memory_size != rows[i].memory ||
		    c->n_cpus != rows[i].n_cpus)
			fail_msg("%s: \"%s\" \"%s\" \"%s\" \"%s\" %llu %u", rows[i].words, c->name,
				 c->machine, c->memory_backend, c->accel,
				 (unsigned long long)c->memory_size, c->n_cpus);
	}
}

static void test_backends(void **state)
{
	static const struct {
		const char *words;
		struct kd_qemu_backend b;
	} rows[] = {
		{ "q|-object|memory-backend-memfd,id=m,size=512M",
		  { KD_QEMU_BACKEND_MEMFD, true, UINT64_C(512) << 20, "m", "" } },
		{ "q|-object|memory-backend-memfd,id=m,size=4096,share=off",
		  { KD_QEMU_BACKEND_MEMFD, false, 4096, "m", "" } },
		{ "q|-object|memory-backend-file,id=ram,size=1G,mem-path=/dev/shm/x,share=on",
		  { KD_QEMU_BACKEND_FILE, true, UINT64_C(1) << 30, "ram", "/dev/shm/x" } },
		{ "q|-object|memory-backend-file,id=ram,size=1G,mem-path=/dev/shm/x",
		  { KD_QEMU_BACKEND_FILE, false, UINT64_C(1) << 30, "ram", "/dev/shm/x" } },
		{ "q|-object|qom-type=memory-backend-ram,id=r,size=8k,share=yes",
		  { KD_QEMU_BACKEND_RAM, true, 8192, "r", "" } },
		{ "q|-object|{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\","
		  "\"x-use-canonical-path-for-ramblock-id\":false,\"share\":true,"
		  "\"size\":536870912}",
		  { KD_QEMU_BACKEND_MEMFD, true, UINT64_C(512) << 20, "pc.ram", "" } },
		{ "q|-object|memory-backend-epc,id=e,size=1M",
		  { KD_QEMU_BACKEND_OTHER, false, 1 << 20, "e", "" } },
		{ "q|-m|64|-mem-path|/huge",
		  { KD_QEMU_BACKEND_FILE, false, 64 << 20, "pc.ram", "/huge" } },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		const struct kd_qemu_cmdline *c = parse(rows[i].words);
		const struct kd_qemu_backend *b = kd_qemu_backend_find(c, rows[i].b.id);

		if (c->n_backends != 1 || !b || b->kind != rows[i].b.kind ||
		    b->is_shared != rows[i].b.is_shared || b->size != rows[i].b.size ||
		    strcmp(b->path, rows[i].b.path) != 0)
			fail_msg("%s", rows[i].words);
	}
	assert_int_equal(parse("q|-object|rng-random,id=r|-object|{broken")->n_backends, 0);
	assert_null(kd_qemu_backend_find(&got, "r"));
	assert_string_equal(
		parse("q|-device|ivshmem-plain,memdev=sh,master=on|-device|e1000")->ivshmem[0],
		"sh");
	assert_int_equal(got.n_ivshmem, 1);
}

static void test_limits(void **state)
{
	char words[KD_QEMU_PATH_SIZE + 64];

	(void)state;
	assert_status(KD_E_MALFORMED, kd_qemu_cmdline_parse("", 0, &got, &err));
	assert_status(KD_E_MALFORMED, kd_qemu_cmdline_parse("\0-s", 4, &got, &err));
	/* An option without its value, a line without its last NUL. */
	assert_status(KD_OK,
		      kd_qemu_cmdline_parse("/usr/bin/qemu-system-i386\0-serial", 33, &got, &err));
	assert_string_equal(got.program, "qemu-system-i386");
	assert_int_equal(got.n_ports, 0);
	assert_false(got.is_cut);

	/* A path that does not fit is none at all. */
	strcpy(words, "q|-serial|unix:/");
	memset(words + strlen(words), 'x', KD_QEMU_PATH_SIZE);
	strcpy(words + 16 + KD_QEMU_PATH_SIZE, ",server=on");
	assert_string_equal(parse(words)->ports[0].path, "");
	assert_true(got.ports[0].is_server);
	assert_true(got.is_cut);

	strcpy(words, "q");
	for (int i = 0; i < KD_QEMU_PORTS_MAX; i++)
		strcat(words, "|-s");
	assert_int_equal(parse(words)->n_ports, KD_QEMU_PORTS_MAX);
	assert_false(got.is_cut);
	strcat(words, "|-s");
	assert_int_equal(parse(words)->n_ports, KD_QEMU_PORTS_MAX);
	assert_true(got.is_cut);
}

static void test_programs(void **state)
{
	(void)state;
	assert_true(kd_qemu_is_program("/usr/bin/qemu-system-x86_64"));
	assert_true(kd_qemu_is_program("qemu-system-i386"));
	assert_true(kd_qemu_is_program("/usr/libexec/qemu-kvm"));
	assert_true(kd_qemu_is_program("kvm"));
	assert_false(kd_qemu_is_program("kvmtool"));
	assert_false(kd_qemu_is_program("/qemu-system-x86_64/timeout"));
	assert_false(kd_qemu_is_program("qemu-img"));
	assert_false(kd_qemu_is_program(""));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),   cmocka_unit_test(test_serial_numbers),
		cmocka_unit_test(test_machine), cmocka_unit_test(test_backends),
		cmocka_unit_test(test_limits),  cmocka_unit_test(test_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
