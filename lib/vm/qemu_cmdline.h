/* SPDX-License-Identifier: MIT */
/*
 * What a QEMU command line tells about the VM: its name, its ports, its memory. Bytes in, values
 * out. Both spellings of -object and -device are read: `a=b,c=d` (",," is a comma) and JSON.
 *
 * Names and paths are those of the VM's owner, as they stand: clean them before they go to a
 * terminal, into a path or a file name.
 */
#ifndef KD_LIB_VM_QEMU_CMDLINE_H
#define KD_LIB_VM_QEMU_CMDLINE_H

#include "lib/base.h"

enum {
	KD_QEMU_CMDLINE_MAX = 256 << 10, /* bytes that are looked at */
	KD_QEMU_PORTS_MAX = 32,
	KD_QEMU_BACKENDS_MAX = 16,
	KD_QEMU_IVSHMEM_MAX = 4,
	KD_QEMU_ID_SIZE = 64,
	KD_QEMU_TEXT_SIZE = 128,
	KD_QEMU_PATH_SIZE = 512,
};

enum kd_qemu_use { KD_QEMU_QMP, KD_QEMU_MONITOR, KD_QEMU_SERIAL, KD_QEMU_GDB };

enum kd_qemu_port_kind {
	KD_QEMU_PORT_NONE, /* null, vc, a chardev that is not there: nobody can connect */
	KD_QEMU_PORT_UNIX, /* path */
	KD_QEMU_PORT_TCP,  /* path is the host (empty: any), port */
	KD_QEMU_PORT_FD,   /* a socket that somebody (libvirt) handed over: only /proc knows it */
	KD_QEMU_PORT_PTY,  /* query-chardev knows the device */
	KD_QEMU_PORT_FILE, /* path; one way */
	KD_QEMU_PORT_PIPE, /* path */
	KD_QEMU_PORT_TTY,  /* path of a device of the host */
	KD_QEMU_PORT_STDIO,
};

struct kd_qemu_port {
	enum kd_qemu_use use;
	enum kd_qemu_port_kind kind;
	unsigned index;           /* SERIAL: 0 is COM1 */
	bool is_server;           /* UNIX, TCP: QEMU listens */
	bool waits;               /* ... and does not start before somebody connects */
	uint16_t port;            /* TCP */
	char id[KD_QEMU_ID_SIZE]; /* of the chardev; empty: it has none */
	char path[KD_QEMU_PATH_SIZE];
};

enum kd_qemu_backend_kind {
	KD_QEMU_BACKEND_RAM,
	KD_QEMU_BACKEND_MEMFD,
	KD_QEMU_BACKEND_FILE,
	KD_QEMU_BACKEND_OTHER,
};

struct kd_qemu_backend {
	enum kd_qemu_backend_kind kind;
	bool is_shared;
	uint64_t size; /* bytes; 0: not told */
	char id[KD_QEMU_ID_SIZE];
	char path[KD_QEMU_PATH_SIZE]; /* FILE */
};

struct kd_qemu_cmdline {
	char program[KD_QEMU_TEXT_SIZE]; /* base name */
	char name[KD_QEMU_TEXT_SIZE];    /* -name; empty: none */
	char uuid[KD_QEMU_ID_SIZE];
	char machine[KD_QEMU_ID_SIZE];
	char memory_backend[KD_QEMU_ID_SIZE]; /* -machine memory-backend=; empty: QEMU's own */
	char accel[KD_QEMU_ID_SIZE];          /* the first choice: "tcg", "kvm"; empty: default */
	uint64_t memory_size;                 /* -m in bytes; 0: default */
	unsigned n_cpus;                      /* at start; 1 when not told */
	size_t n_ports, n_backends, n_ivshmem;
	struct kd_qemu_port ports[KD_QEMU_PORTS_MAX];
	struct kd_qemu_backend backends[KD_QEMU_BACKENDS_MAX];
	char ivshmem[KD_QEMU_IVSHMEM_MAX][KD_QEMU_ID_SIZE]; /* memdev ids of ivshmem-plain */
	bool is_cut; /* something was longer or more than there is room for, and left out */
};

/*
 * Is it a system emulator of QEMU, by the base name of its argv[0] or its executable?
 * qemu-system-*, qemu-kvm, kvm.
 */
bool kd_qemu_is_program(const char *path);

/*
 * `bytes` are arguments, each ended by a NUL (the last one may lack it), as /proc/PID/cmdline has
 * them. What is not understood is passed over. KD_E_NO_MEMORY; KD_E_MALFORMED: not one argument.
 */
enum kd_status kd_qemu_cmdline_parse(const char *bytes, size_t size, struct kd_qemu_cmdline *ret,
				     struct kd_error *err);

/* The first port of that use (and index, for serial ports), or NULL. */
const struct kd_qemu_port *kd_qemu_port_find(const struct kd_qemu_cmdline *c, enum kd_qemu_use use,
					     unsigned index);
const struct kd_qemu_backend *kd_qemu_backend_find(const struct kd_qemu_cmdline *c, const char *id);

#endif
