/* SPDX-License-Identifier: MIT */
/*
 * libvirt, loaded when it is asked for first: it and what it needs are no burden to programs that
 * don't want it, and a machine without it gets one clear line.
 */
#ifndef KD_LIB_VM_LIBVIRT_LOAD_H
#define KD_LIB_VM_LIBVIRT_LOAD_H

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "lib/base.h"

/* The functions that we use: one row each, declared as libvirt's headers do. */
#define KD__LIBVIRT_FUNCTIONS(X)         \
	X(virInitialize)                 \
	X(virSetErrorFunc)               \
	X(virGetLastError)               \
	X(virConnectOpenAuth)            \
	X(virConnectClose)               \
	X(virConnectListAllDomains)      \
	X(virDomainLookupByName)         \
	X(virDomainLookupByUUIDString)   \
	X(virDomainGetName)              \
	X(virDomainGetState)             \
	X(virDomainGetXMLDesc)           \
	X(virDomainFree)                 \
	X(virDomainSuspend)              \
	X(virDomainResume)               \
	X(virDomainReset)                \
	X(virDomainSnapshotCreateXML)    \
	X(virDomainSnapshotLookupByName) \
	X(virDomainSnapshotGetName)      \
	X(virDomainListAllSnapshots)     \
	X(virDomainRevertToSnapshot)     \
	X(virDomainSnapshotFree)

struct kd__libvirt {
#define KD_X(name) __typeof__(&name) name;
	KD__LIBVIRT_FUNCTIONS(KD_X)
#undef KD_X
	/* Of the library for QEMU beside it; NULL: it is not there. */
	__typeof__(&virDomainQemuMonitorCommand) virDomainQemuMonitorCommand;
};

/* KD_E_UNSUPPORTED: it is not installed. Any thread; *ret is static. */
enum kd_status kd__libvirt_load(const struct kd__libvirt **ret, struct kd_error *err);

/* A libvirt call failed in this thread: *err gets its words, "what: words". */
enum kd_status kd__libvirt_failed(const struct kd__libvirt *v, const char *what,
				  struct kd_error *err);

#endif
