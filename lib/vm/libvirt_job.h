/* SPDX-License-Identifier: MIT */
/*
 * Something to do over a libvirt connection, within a time: libvirt's own calls have none (a
 * connection by ssh may wait for ever), so a thread makes them and is left behind when it is late.
 */
#ifndef KD_LIB_VM_LIBVIRT_JOB_H
#define KD_LIB_VM_LIBVIRT_JOB_H

#include "lib/vm/libvirt_load.h"
#include "lib/vm/vm_found.h"

enum { KD__LIBVIRT_NAMES_MAX = 256 };

struct kd__libvirt_job {
	/* Runs in the thread. `connection` is closed behind it. */
	enum kd_status (*run)(struct kd__libvirt_job *job, const struct kd__libvirt *v,
			      virConnectPtr connection);
	char uri[KD_QEMU_PATH_SIZE], domain[KD_QEMU_PATH_SIZE], name[128];
	enum kd_vm_action action;
	struct kd_vm_rows rows; /* what was found */
	size_t n_names;
	char (*names)[128];  /* of snapshots */
	char *line, *answer; /* to and from QEMU's monitor; free()d with the job */
	struct kd_error error;
};

/* Zeroed, with a reference for the caller; NULL: no memory. */
struct kd__libvirt_job *kd__libvirt_job_new(const char *uri);
void kd__libvirt_job_unref(struct kd__libvirt_job *job);

/*
 * Run it. After KD_E_TIMEOUT nothing of the job may be looked at any more (the thread still has
 * it); after all other statuses it is the caller's alone.
 */
enum kd_status kd__libvirt_job_run(struct kd__libvirt_job *job, uint64_t deadline,
				   struct kd_error *err);

/* kd_vm_do() and kd_vm_snapshots() for domains. `domain` is a UUID or a name. */
enum kd_status kd__libvirt_do(const char *uri, const char *domain, enum kd_vm_action action,
			      const char *name, uint64_t deadline, struct kd_error *err);
enum kd_status kd__libvirt_snapshots(const char *uri, const char *domain,
				     void (*fn)(void *ctx, const char *name), void *ctx,
				     uint64_t deadline, struct kd_error *err);

/*
 * A line of QMP for a domain of QEMU's, by the monitor that libvirt holds. *answer_ret is to be
 * free()d. Besides what libvirt says: KD_E_UNSUPPORTED no libvirt, or none for QEMU.
 */
enum kd_status kd__libvirt_monitor(const char *uri, const char *domain, const char *line,
				   uint64_t deadline, char **answer_ret, struct kd_error *err);

#endif
