/* SPDX-License-Identifier: MIT */
/* .vbox, .vmx and libvirt's XML: what is read, and what is refused; what the tools print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/vm/vm_control.h"
#include "lib/vm/xml_walk.h"
#include "tests/io/io_check.h"

static enum kd_status parse(enum kd_status (*fn)(const char *, size_t, const char *,
						 struct kd_vm_found *, struct kd_error *),
			    const char *text, struct kd_vm_found *vm, struct kd_error *err)
{
	memset(vm, 0, sizeof *vm);
	memset(err, 0, sizeof *err);
	return fn(text, strlen(text), "/home/me/VMs/win 10.x", vm, err);
}

/* Of the shape that VirtualBox 7 writes; hand-made. */
static const char vbox[] =
	"<?xml version=\"1.0\"?>\n<VirtualBox xmlns=\"http://www.virtualbox.org/\" "
	"version=\"1.19-linux\">\n"
	" <Machine uuid=\"{4b4eb2a0-0001-0002-0003-000000000001}\" name=\"Win 10 &amp; more\" "
	"OSType=\"Windows10_64\" lastStateChange=\"2026-01-01T00:00:00Z\">\n"
	"  <Snapshot name=\"old\"><Hardware><UART><Port slot=\"0\" enabled=\"true\" "
	"hostMode=\"TCP\" path=\"1\"/></UART></Hardware></Snapshot>\n"
	"  <Hardware><CPU count=\"2\"/><UART>\n"
	"   <Port slot=\"0\" enabled=\"true\" IOBase=\"0x3f8\" IRQ=\"4\" path=\"/tmp/win.sock\" "
	"hostMode=\"HostPipe\" server=\"true\"/>\n"
	"   <Port slot=\"1\" enabled=\"false\" hostMode=\"Disconnected\"/>\n"
	"   <Port slot=\"2\" enabled=\"true\" hostMode=\"TCP\" server=\"true\" path=\"5000\"/>\n"
	"  </UART></Hardware>\n </Machine>\n</VirtualBox>\n";

static void test_vbox(void **state)
{
	struct kd_vm_found vm;
	struct kd_error err;

	(void)state;
	assert_status(KD_OK, parse(kd__vbox_parse, vbox, &vm, &err));
	assert_string_equal(vm.name, "Win 10 & more");
	assert_string_equal(vm.id, "4b4eb2a0-0001-0002-0003-000000000001");
	assert_int_equal(vm.state, KD_VM_OFF);
	assert_int_equal(vm.n_serials, 2);
	assert_int_equal(vm.serials[0].kind, KD_QEMU_PORT_UNIX);
	assert_true(vm.serials[0].is_server);
	assert_string_equal(vm.serials[0].path, "/tmp/win.sock");
	assert_int_equal(vm.serials[1].kind, KD_QEMU_PORT_TCP);
	assert_int_equal(vm.serials[1].index, 2);
	assert_int_equal(vm.serials[1].port, 5000);
	/* Every beginning of it is refused, and none is read beyond its end. */
	for (size_t n = 0; n + 2 < sizeof vbox; n++) {
		char *cut = malloc(n + 1);

		memcpy(cut, vbox, n);
		memset(&vm, 0, sizeof vm);
		assert_status(KD_E_MALFORMED, kd__vbox_parse(cut, n, "x", &vm, &err));
		free(cut);
	}
}

static void test_hostile_xml(void **state)
{
	const struct kd__xml_visitor nobody = { 0 };
	char deep[4096] = "", laughs[] = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]>"
					 "<a>&c;</a>";
	struct kd_error err;

	(void)state;
	assert_status(KD_E_MALFORMED, kd__xml_walk(laughs, strlen(laughs), &nobody, &err));
	assert_non_null(strstr(err.text, "document type"));
	for (int i = 0; i < 500; i++)
		strcat(deep, "<a>");
	assert_status(KD_E_TOO_BIG, kd__xml_walk(deep, strlen(deep), &nobody, &err));
	assert_status(KD_E_MALFORMED, kd__xml_walk("", 0, &nobody, &err));
}

static const char domain[] =
	"<domain type='kvm' "
	"id='3'><name>win10</name><uuid>00112233-4455-6677-8899-aabbccddeeff</uuid>"
	"<devices><serial type='unix'><source mode='bind' path='/run/win10.sock'/>"
	"<log file='/tmp/log' append='off'/><target type='isa-serial' port='1'/></serial>"
	"<serial type='pty' tty='/dev/pts/4'><source path='/dev/pts/4'/><target port='0'/></serial>"
	"<serial type='tcp'><source mode='connect' host='10.0.0.1' service='99'/></serial>"
	"<console type='pty'><source path='/dev/pts/9'/></console>"
	"</devices><metadata><name>not this</name></metadata></domain>";

static void test_domain(void **state)
{
	struct kd_vm_found vm = { 0 };
	struct kd_error err;

	(void)state;
	assert_status(KD_OK, kd__libvirt_xml_parse(domain, strlen(domain), &vm, &err));
	assert_string_equal(vm.name, "win10");
	assert_string_equal(vm.id, "00112233-4455-6677-8899-aabbccddeeff");
	assert_int_equal(vm.n_serials, 3);
	assert_string_equal(vm.serials[0].path, "/run/win10.sock");
	assert_int_equal(vm.serials[0].index, 1);
	assert_int_equal(vm.serials[1].kind, KD_QEMU_PORT_PTY);
	assert_string_equal(vm.serials[1].path, "/dev/pts/4");
	assert_int_equal(vm.serials[2].port, 99);
	assert_false(vm.serials[2].is_server);
}

static void test_vmx(void **state)
{
	static const char text[] =
		"#!/usr/bin/vmware\r\n.encoding = \"UTF-8\"\r\n"
		"displayName = \"Win |22XP|22\"\r\nSERIAL0.present = \"TRUE\"\r\n"
		"serial0.fileType = \"pipe\"\nserial0.fileName = \"com 1\"\n"
		"serial0.pipe.endPoint = \"server\"\n"
		"serial1.present = \"FALSE\"\nserial1.fileType = \"device\"\n"
		"serial2.present = \"true\"\nserial2.fileType = \"network\"\n"
		"serial2.fileName = \"telnet://127.0.0.1:4000\"\n"
		"serial9.present = \"TRUE\"\nbroken\nodd = unquoted\n";
	struct kd_vm_found vm;
	struct kd_error err;

	(void)state;
	assert_status(KD_OK, parse(kd__vmx_parse, text, &vm, &err));
	assert_string_equal(vm.name, "Win \"XP\"");
	assert_string_equal(vm.id, "/home/me/VMs/win 10.x");
	assert_int_equal(vm.n_serials, 2);
	assert_string_equal(vm.serials[0].path, "/home/me/VMs/com 1");
	assert_true(vm.serials[0].is_server);
	assert_int_equal(vm.serials[1].kind, KD_QEMU_PORT_TCP);
	assert_string_equal(vm.serials[1].path, "127.0.0.1");
	assert_int_equal(vm.serials[1].port, 4000);
	assert_status(KD_OK, parse(kd__vmx_parse, "a = \"b\"", &vm, &err));
	assert_string_equal(vm.name, "win 10");
	assert_int_equal(vm.n_serials, 0);
	assert_status(KD_E_MALFORMED, parse(kd__vmx_parse, "hello", &vm, &err));
	assert_status(KD_E_MALFORMED, kd__vmx_parse("a = \"b\"\0", 9, "x", &vm, &err));
}

static char names[200];

static void collect(void *context, const char *name)
{
	(void)context;
	strcat(strcat(names, name), ";");
}

static void test_snapshots(void **state)
{
	char qemu[] = "List of snapshots present on all disks:\r\n"
		      "ID        TAG               VM SIZE                DATE     VM CLOCK\r\n"
		      "--        clean             4.2 MiB 2026-11-21 12:00:00 00:00:01.000\r\n"
		      "--        two               4.2 MiB 2026-11-21 12:00:00 00:00:01.000\r\n";
	char none[] = "There is no snapshot available.\r\n";
	char box[] = "SnapshotName=\"base\"\nSnapshotUUID=\"1\"\nSnapshotName-1=\"later one\"\n"
		     "CurrentSnapshotName=\"later one\"\n";
	char ware[] = "Total snapshots: 2\nfirst\nsecond one\n";

	(void)state;
	names[0] = '\0';
	kd__snapshots_of_qemu(qemu, collect, NULL);
	kd__snapshots_of_qemu(none, collect, NULL);
	assert_string_equal(names, "clean;two;");
	names[0] = '\0';
	kd__snapshots_of_virtualbox(box, collect, NULL);
	assert_string_equal(names, "base;later one;");
	names[0] = '\0';
	kd__snapshots_of_vmware(ware, collect, NULL);
	assert_string_equal(names, "first;second one;");
}

/* --- a home folder with machines of both, and their programs, which note what they were told ---
 */

static void write_file(const char *folder, const char *name, const char *text, int mode)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, (mode_t)mode), 0);
}

static void make_folder(const char *folder, const char *name)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void expect_calls(const char *folder, const char *want)
{
	char path[300], text[2000] = "";
	FILE *f;

	snprintf(path, sizeof path, "%s/calls", folder);
	f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	assert_string_equal(text, want);
	unlink(path);
}

static const char registry[] =
	"<VirtualBox><Global><MachineRegistry><MachineEntry uuid=\"{1}\" src=\"w/w.vbox\"/>"
	"<MachineEntry src=\"/no/such.vbox\"/><MachineEntry src=\"w/w.vbox\"/></MachineRegistry>"
	"</Global></VirtualBox>";

static void set_up_home(char folder[64])
{
	char program[400], path[800];

	strcpy(folder, "/tmp/kd-vm-files-XXXXXX");
	assert_non_null(mkdtemp(folder));
	make_folder(folder, ".config");
	make_folder(folder, ".config/VirtualBox");
	make_folder(folder, ".config/VirtualBox/w");
	make_folder(folder, "vmware");
	make_folder(folder, "vmware/xp");
	make_folder(folder, "bin");
	write_file(folder, ".config/VirtualBox/VirtualBox.xml", registry, 0600);
	write_file(folder, ".config/VirtualBox/w/w.vbox", vbox, 0600);
	write_file(folder, "vmware/xp/xp.vmx", "displayName = \"xp\"\n", 0600);
	write_file(folder, "vmware/xp/bad.vmx", "nonsense", 0600);
	/* Restoring a machine that is off: poweroff fails, which is fine. */
	snprintf(program, sizeof program,
		 "#!/bin/sh\necho \"${0##*/} $*\" >> %s/calls\n[ \"$3\" = poweroff ] && exit 1\n"
		 "[ \"$2\" = no ] && { echo Could not find it; exit 1; }\nexit 0\n",
		 folder);
	write_file(folder, "bin/VBoxManage", program, 0700);
	write_file(folder, "bin/vmrun", program, 0700);
	snprintf(path, sizeof path, "%s/bin:%s", folder, getenv("PATH"));
	setenv("HOME", folder, 1);
	setenv("PATH", path, 1);
	unsetenv("VBOX_USER_HOME");
}

static uint64_t soon(void)
{
	return kd_now_ns() + UINT64_C(10000000000);
}

static void test_home(void **state)
{
	struct kd_vm_rows rows = { .n = 0 };
	struct kd_error err;
	char folder[64], want[2000], command[100];

	(void)state;
	set_up_home(folder);
	assert_status(KD_OK, kd__vm_find_virtualbox(&rows, &err));
	assert_status(KD_OK, kd__vm_find_vmware(&rows, &err));
	assert_int_equal(rows.n, 2);
	assert_string_equal(rows.row[0].name, "Win 10 & more");
	assert_string_equal(rows.row[1].name, "xp");
	assert_int_equal(rows.row[1].state, KD_VM_OFF);

	assert_status(KD_OK, kd__vm_do(&rows.row[0], KD_VM_REVERT, "base", soon(), &err));
	snprintf(want, sizeof want,
		 "VBoxManage controlvm %s poweroff\nVBoxManage snapshot %s restore base\n"
		 "VBoxManage startvm %s --type headless\n",
		 rows.row[0].id, rows.row[0].id, rows.row[0].id);
	expect_calls(folder, want);
	assert_status(KD_OK, kd__vm_do(&rows.row[1], KD_VM_REVERT, "base", soon(), &err));
	snprintf(want, sizeof want,
		 "vmrun revertToSnapshot %s/vmware/xp/xp.vmx base\n"
		 "vmrun start %s/vmware/xp/xp.vmx nogui\n",
		 folder, folder);
	expect_calls(folder, want);
	assert_status(KD_OK, kd__vm_do(&rows.row[0], KD_VM_PAUSE, NULL, soon(), &err));
	snprintf(want, sizeof want, "VBoxManage controlvm %s pause\n", rows.row[0].id);
	expect_calls(folder, want);
	strcpy(rows.row[0].id, "no");
	assert_status(KD_E_TARGET, kd__vm_do(&rows.row[0], KD_VM_RESET, NULL, soon(), &err));
	assert_string_equal(err.text, "VBoxManage: Could not find it");
	setenv("PATH", "/no/such/folder", 1);
	assert_status(KD_E_UNSUPPORTED, kd__vm_do(&rows.row[0], KD_VM_RESET, NULL, soon(), &err));
	setenv("PATH", "/usr/bin:/bin", 1);
	kd__vm_rows_deinit(&rows);
	snprintf(command, sizeof command, "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vbox),      cmocka_unit_test(test_hostile_xml),
		cmocka_unit_test(test_domain),    cmocka_unit_test(test_vmx),
		cmocka_unit_test(test_snapshots), cmocka_unit_test(test_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
