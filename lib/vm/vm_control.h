/* SPDX-License-Identifier: MIT */
/* kd_vm_do() and kd_vm_snapshots() of <openkd/vm.h>, for rows that were found. */
#ifndef KD_LIB_VM_VM_CONTROL_H
#define KD_LIB_VM_VM_CONTROL_H

#include "lib/vm/vm_found.h"

enum kd_status kd__vm_do(const struct kd_vm_found *vm, enum kd_vm_action action, const char *name,
			 uint64_t deadline, struct kd_error *err);
enum kd_status kd__vm_snapshots(const struct kd_vm_found *vm,
				void (*fn)(void *ctx, const char *name), void *ctx,
				uint64_t deadline, struct kd_error *err);

/*
 * Names of snapshots in what the programs print, one call each: QEMU's "info snapshots",
 * "VBoxManage snapshot X list --machinereadable", "vmrun listSnapshots". The text is changed.
 */
void kd__snapshots_of_qemu(char *text, void (*fn)(void *ctx, const char *name), void *ctx);
void kd__snapshots_of_virtualbox(char *text, void (*fn)(void *ctx, const char *name), void *ctx);
void kd__snapshots_of_vmware(char *text, void (*fn)(void *ctx, const char *name), void *ctx);

#endif
