/* SPDX-License-Identifier: MIT */
/*
 * QEMU processes of this host, by way of /proc. A process is known by its number and its start
 * time: numbers are used again.
 */
#ifndef KD_LIB_VM_QEMU_PROCESS_H
#define KD_LIB_VM_QEMU_PROCESS_H

#include <sys/types.h>

#include "lib/base.h"
#include "lib/vm/qemu_cmdline.h"

struct kd_qemu_id {
	pid_t pid;
	uint64_t start_time; /* clock ticks after the host's start */
};

struct kd_qemu_process {
	struct kd_qemu_id id;
	uid_t uid; /* whose rights it has; (uid_t)-1: not known */
	struct kd_qemu_cmdline cmdline;
};

/*
 * What is known of process `pid`. KD_E_NOT_FOUND no such process, or one that ended; KD_E_MISMATCH
 * it is no QEMU; KD_E_DENIED its command line is hidden (hidepid); KD_E_NO_MEMORY; KD_E_IO.
 */
enum kd_status kd_qemu_process_read(pid_t pid, struct kd_qemu_process *ret, struct kd_error *err);

/*
 * All QEMU processes whose command line can be read, in order of their numbers; free() the list.
 * None is KD_OK, too. KD_E_NO_MEMORY; KD_E_IO: no /proc.
 */
enum kd_status kd_qemu_process_list(struct kd_qemu_process **list_ret, size_t *n_ret,
				    struct kd_error *err);

/*
 * The QEMU at the other end of the connected unix socket `fd`, which was reached by `path`. Who
 * made the socket listen may be another process (libvirt makes QEMU's sockets): then it is the QEMU
 * that holds the socket of that path.
 * KD_E_NOT_FOUND: no QEMU that we may look at holds it; else as kd_qemu_process_read().
 */
enum kd_status kd_qemu_process_of_socket(int fd, const char *path, struct kd_qemu_process *ret,
					 struct kd_error *err);

/*
 * The libvirt connection that the process belongs to ("qemu:///system"), NULL: it is none of
 * libvirt's. Its domain is the command line's UUID.
 */
const char *kd_qemu_libvirt_uri(const struct kd_qemu_process *p);

/* Does that very process run? (A zombie does not.) */
bool kd_qemu_is_alive(const struct kd_qemu_id *id);

/*
 * A descriptor that becomes readable when that very process ends; close() it.
 * KD_E_NOT_FOUND: it ended already; KD_E_IO: none to be had.
 */
enum kd_status kd_qemu_open_pidfd(const struct kd_qemu_id *id, int *fd_ret, struct kd_error *err);

/* Field 22 of /proc/PID/stat and the state letter; false: it is not made like that. */
bool kd__proc_stat_parse(const char *text, char *state_ret, uint64_t *start_time_ret);

#endif
