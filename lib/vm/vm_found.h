/* SPDX-License-Identifier: MIT */
/*
 * What a look around finds: one row a virtual machine, whoever runs it. The texts are those of the
 * VMs' owners, as they stand: clean them before they go to a terminal or into a file name.
 */
#ifndef KD_LIB_VM_VM_FOUND_H
#define KD_LIB_VM_VM_FOUND_H

#include <openkd/vm.h>

#include "lib/base.h"
#include "lib/vm/qemu_process.h"

enum {
	KD_VM_FOUND_MAX = 4096, /* rows that are kept */
	KD_VM_SERIALS_MAX = 4,
	KD_VM_MONITORS_MAX = 4,
};

struct kd_vm_found {
	enum kd_vm_source source;
	enum kd_vm_state state;
	char name[KD_QEMU_TEXT_SIZE];
	char id[KD_QEMU_PATH_SIZE]; /* UUID, file; "": none */
	char connection[KD_QEMU_PATH_SIZE];
	bool is_remote;            /* its paths are of another machine */
	struct kd_qemu_id process; /* pid 0: unknown */
	size_t n_serials;
	struct kd_qemu_port serials[KD_VM_SERIALS_MAX]; /* by index: 0 is COM1 */
	size_t n_monitors;                              /* QMP on unix sockets */
	char monitors[KD_VM_MONITORS_MAX][KD_QEMU_PATH_SIZE];
	const char *memory;   /* static; as in <openkd/vm.h>; NULL: unknown */
	bool monitor_is_busy; /* none of them answered in time: others use them */
};

struct kd_vm_rows {
	struct kd_vm_found *row;
	size_t n, size;
};

/* A zeroed row at the end, valid until the next one; NULL: no memory, or KD_VM_FOUND_MAX. */
struct kd_vm_found *kd__vm_rows_add(struct kd_vm_rows *rows);
void kd__vm_rows_deinit(struct kd_vm_rows *rows);

/* Plain QEMU processes. KD_E_NO_MEMORY; KD_E_IO: no /proc. */
enum kd_status kd__vm_find_qemu(struct kd_vm_rows *rows, struct kd_error *err);

/* Ask the VM's first free monitor for its state; leaves it UNKNOWN when there is none. */
void kd__vm_ask_monitor(struct kd_vm_found *vm, uint64_t deadline);

/*
 * What a .vbox file or a .vmx file says. KD_E_MALFORMED, KD_E_TOO_BIG, KD_E_NO_MEMORY. `path` is
 * for names that the file leaves out.
 */
enum kd_status kd__vbox_parse(const char *text, size_t size, const char *path,
			      struct kd_vm_found *ret, struct kd_error *err);
enum kd_status kd__vmx_parse(const char *text, size_t size, const char *path,
			     struct kd_vm_found *ret, struct kd_error *err);
/* What libvirt's XML of a domain says about its serial ports. */
enum kd_status kd__libvirt_xml_parse(const char *text, size_t size, struct kd_vm_found *ret,
				     struct kd_error *err);

enum { KD_VM_FILE_MAX = 4 << 20, KD_VM_FILES_MAX = 512 };

/*
 * The machines that VirtualBox and VMware have registered for this user, by their files alone.
 * KD_E_NO_MEMORY; files that can't be read are passed over.
 */
enum kd_status kd__vm_find_virtualbox(struct kd_vm_rows *rows, struct kd_error *err);
enum kd_status kd__vm_find_vmware(struct kd_vm_rows *rows, struct kd_error *err);

/*
 * The domains of a libvirt connection. KD_E_UNSUPPORTED: libvirt is not installed; KD_E_CLOSED: no
 * daemon; KD_E_DENIED; KD_E_TIMEOUT; KD_E_IO: *err has libvirt's words.
 */
enum kd_status kd__vm_find_libvirt(const char *uri, uint64_t deadline, struct kd_vm_rows *rows,
				   struct kd_error *err);

/* Is there a daemon's socket for qemu:///system (or session) at all? */
bool kd__libvirt_listens(bool is_system);

#endif
