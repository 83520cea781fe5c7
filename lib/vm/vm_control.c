/* SPDX-License-Identifier: MIT */
#include "lib/vm/vm_control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/libvirt_job.h"
#include "lib/vm/qmp.h"
#include "lib/vm/qmp_message.h"
#include "lib/vm/tool.h"
#include "lib/wait.h"

enum { GREETING_MS = 1500, ARGUMENTS_MAX = 8, STEPS_MAX = 3 };

/* --- QEMU, by its monitor --- */

static enum kd_status open_monitor(const struct kd_vm_found *vm, uint64_t deadline,
				   struct kd_qmp **ret, struct kd_error *err)
{
	enum kd_status s = kd_error_set(
		err, KD_E_UNSUPPORTED, 0,
		"%s has no monitor: add -qmp unix:PATH,server=on,wait=off to its command line",
		vm->name);

	for (size_t i = 0; i < vm->n_monitors && s != KD_OK; i++)
		s = kd_qmp_open(vm->monitors[i],
				KD_MIN(deadline, kd_deadline_after_ms(GREETING_MS)), NULL, ret,
				err);
	return s;
}

struct search {
	const char *name;
	bool is_there;
};

static void compare(void *context, const char *name)
{
	struct search *s = context;

	s->is_there |= strcmp(s->name, name) == 0;
}

static enum kd_status monitor_line(struct kd_qmp *q, const char *line, uint64_t deadline,
				   char **text_ret, struct kd_error *err)
{
	return kd_qmp_monitor_command(q, line, deadline, NULL, text_ret, err);
}

static enum kd_status has_snapshot(struct kd_qmp *q, const char *name, uint64_t deadline, bool *ret,
				   struct kd_error *err)
{
	struct search search = { name, false };
	char *text = NULL;
	enum kd_status s = monitor_line(q, "info snapshots", deadline, &text, err);

	if (s == KD_OK)
		kd__snapshots_of_qemu(text, compare, &search);
	free(text);
	*ret = search.is_there;
	return s;
}

/* savevm and loadvm say nothing when all went well. */
static enum kd_status silent_line(struct kd_qmp *q, const char *line, uint64_t deadline,
				  struct kd_error *err)
{
	char *text = NULL, why[KD_ERROR_TEXT_SIZE];
	enum kd_status s = monitor_line(q, line, deadline, &text, err);

	if (s == KD_OK && text[0]) {
		text[strcspn(text, "\r\n")] = '\0';
		kd__vm_printable(text, why, sizeof why);
		s = strstr(why, "block device can") || strstr(why, "does not support")
			    ? kd_error_set(
				      err, KD_E_UNSUPPORTED, 0,
				      "snapshots need all writable disks to be qcow2, and one at "
				      "least, even an empty one (qemu-img convert -O qcow2); QEMU "
				      "says: %.80s",
				      why)
			    : kd_error_set(err, KD_E_TARGET, 0, "QEMU says: %s", why);
	}
	free(text);
	return s;
}

static enum kd_status qemu_snapshot(struct kd_qmp *q, const char *name, bool reverts,
				    uint64_t deadline, struct kd_error *err)
{
	char line[192];
	bool is_there;
	enum kd_status s = has_snapshot(q, name, deadline, &is_there, err);

	if (s != KD_OK)
		return s;
	if (reverts && !is_there)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "there is no snapshot %s", name);
	if (!reverts && is_there)
		return kd_error_set(
			err, KD_E_EXISTS, 0,
			"there is a snapshot %s already: choose another name, or delete "
			"it in QEMU's monitor (delvm %s)",
			name, name);
	snprintf(line, sizeof line, "%s %s", reverts ? "loadvm" : "savevm", name);
	return silent_line(q, line, deadline, err);
}

static enum kd_status qemu_do(const struct kd_vm_found *vm, enum kd_vm_action action,
			      const char *name, uint64_t deadline, struct kd_error *err)
{
	static const char *const commands[] = {
		[KD_VM_PAUSE] = "stop", [KD_VM_RESUME] = "cont", [KD_VM_RESET] = "system_reset"
	};
	struct kd_qmp *q;
	enum kd_status s = open_monitor(vm, deadline, &q, err);

	if (s != KD_OK)
		return s;
	if (action == KD_VM_SNAPSHOT || action == KD_VM_REVERT)
		s = qemu_snapshot(q, name, action == KD_VM_REVERT, deadline, err);
	else
		s = kd_qmp_execute(q, commands[action], NULL, deadline, NULL, NULL, err);
	kd_qmp_close(q);
	return s;
}

static enum kd_status qemu_snapshots(const struct kd_vm_found *vm,
				     void (*fn)(void *ctx, const char *name), void *ctx,
				     uint64_t deadline, struct kd_error *err)
{
	char *text = NULL;
	struct kd_qmp *q;
	enum kd_status s = open_monitor(vm, deadline, &q, err);

	if (s != KD_OK)
		return s;
	s = monitor_line(q, "info snapshots", deadline, &text, err);
	if (s == KD_OK)
		kd__snapshots_of_qemu(text, fn, ctx);
	free(text);
	kd_qmp_close(q);
	return s;
}

/*
 * List of snapshots present on all disks:
 * ID        TAG               VM SIZE                DATE     VM CLOCK     ICOUNT
 * --        clean             4.2 MiB ...
 */
void kd__snapshots_of_qemu(char *text, void (*fn)(void *ctx, const char *name), void *ctx)
{
	bool in_table = false;
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		char id[32], tag[128];

		if (sscanf(line, "%31s %127s", id, tag) != 2)
			continue;
		if (strcmp(id, "ID") == 0)
			in_table = true;
		else if (in_table)
			fn(ctx, tag);
	}
}

/* --- VirtualBox and VMware, by their programs --- */

/* Words of a command; "{vm}" and "{name}" are put in. A step that may fail begins with "?". */
struct recipe {
	const char *step[STEPS_MAX][ARGUMENTS_MAX];
};

/* clang-format off */
static const struct recipe virtualbox[] = {
	[KD_VM_PAUSE]    = { { { "VBoxManage", "controlvm", "{vm}", "pause" } } },
	[KD_VM_RESUME]   = { { { "VBoxManage", "controlvm", "{vm}", "resume" } } },
	[KD_VM_RESET]    = { { { "VBoxManage", "controlvm", "{vm}", "reset" } } },
	[KD_VM_SNAPSHOT] = { { { "VBoxManage", "snapshot", "{vm}", "take", "{name}" } } },
	/* It must be off for that. */
	[KD_VM_REVERT]   = { { { "?", "VBoxManage", "controlvm", "{vm}", "poweroff" },
	                       { "VBoxManage", "snapshot", "{vm}", "restore", "{name}" },
	                       { "VBoxManage", "startvm", "{vm}", "--type", "headless" } } },
}, vmware[] = {
	[KD_VM_PAUSE]    = { { { "vmrun", "pause", "{vm}" } } },
	[KD_VM_RESUME]   = { { { "vmrun", "unpause", "{vm}" } } },
	[KD_VM_RESET]    = { { { "vmrun", "reset", "{vm}", "hard" } } },
	[KD_VM_SNAPSHOT] = { { { "vmrun", "snapshot", "{vm}", "{name}" } } },
	/* Afterwards it is off or suspended. */
	[KD_VM_REVERT]   = { { { "vmrun", "revertToSnapshot", "{vm}", "{name}" },
	                       { "vmrun", "start", "{vm}", "nogui" } } },
};
/* clang-format on */

static enum kd_status run_step(const struct kd_vm_found *vm, const char *const *words,
			       const char *name, uint64_t deadline, char **text_ret,
			       struct kd_error *err)
{
	const char *argv[ARGUMENTS_MAX + 1] = { NULL };

	for (size_t i = 0; i < ARGUMENTS_MAX && words[i]; i++)
		argv[i] = strcmp(words[i], "{vm}") == 0     ? vm->id
			  : strcmp(words[i], "{name}") == 0 ? name
							    : words[i];
	return kd__tool_run(argv, deadline, text_ret, err);
}

static enum kd_status cook(const struct kd_vm_found *vm, const struct recipe *recipe,
			   const char *name, uint64_t deadline, struct kd_error *err)
{
	for (size_t i = 0; i < STEPS_MAX && recipe->step[i][0]; i++) {
		bool may_fail = strcmp(recipe->step[i][0], "?") == 0;
		char *text = NULL;
		enum kd_status s = run_step(vm, recipe->step[i] + may_fail, name, deadline, &text,
					    err);

		free(text);
		if (s != KD_OK && !(may_fail && s == KD_E_TARGET))
			return s;
	}
	return KD_OK;
}

/* SnapshotName="base", SnapshotName-1="later"; CurrentSnapshotName is one of them. */
void kd__snapshots_of_virtualbox(char *text, void (*fn)(void *ctx, const char *name), void *ctx)
{
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '"');

		if (strncmp(line, "SnapshotName", 12) != 0 || !value)
			continue;
		value++;
		value[strcspn(value, "\"\r")] = '\0';
		fn(ctx, value);
	}
}

/* Total snapshots: 2, then a name a line. */
void kd__snapshots_of_vmware(char *text, void (*fn)(void *ctx, const char *name), void *ctx)
{
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		line[strcspn(line, "\r")] = '\0';
		if (*line && strncmp(line, "Total snapshots:", 16) != 0)
			fn(ctx, line);
	}
}

static enum kd_status tool_snapshots(const struct kd_vm_found *vm,
				     void (*fn)(void *ctx, const char *name), void *ctx,
				     uint64_t deadline, struct kd_error *err)
{
	static const char *const box[ARGUMENTS_MAX] = { "VBoxManage", "snapshot", "{vm}", "list",
							"--machinereadable" };
	static const char *const ware[ARGUMENTS_MAX] = { "vmrun", "listSnapshots", "{vm}" };
	bool is_box = vm->source == KD_VM_VIRTUALBOX;
	char *text = NULL;
	enum kd_status s = run_step(vm, is_box ? box : ware, NULL, deadline, &text, err);

	if (s == KD_OK && is_box)
		kd__snapshots_of_virtualbox(text, fn, ctx);
	else if (s == KD_OK)
		kd__snapshots_of_vmware(text, fn, ctx);
	else if (s == KD_E_TARGET && is_box && text && strstr(text, "does not have any snapshots"))
		s = KD_OK;
	free(text);
	return s;
}

/* --- all --- */

static enum kd_status no_control(const struct kd_vm_found *vm, struct kd_error *err)
{
	return kd_error_set(
		err, KD_E_UNSUPPORTED, 0,
		"%s is a name in the configuration file, no VM of this machine: nothing "
		"controls it",
		vm->name);
}

enum kd_status kd__vm_do(const struct kd_vm_found *vm, enum kd_vm_action action, const char *name,
			 uint64_t deadline, struct kd_error *err)
{
	switch (vm->source) {
	case KD_VM_QEMU: return qemu_do(vm, action, name, deadline, err);
	case KD_VM_LIBVIRT:
		return kd__libvirt_do(vm->connection, vm->id, action, name, deadline, err);
	case KD_VM_VIRTUALBOX: return cook(vm, &virtualbox[action], name, deadline, err);
	case KD_VM_VMWARE: return cook(vm, &vmware[action], name, deadline, err);
	case KD_VM_NAMED: break;
	}
	return no_control(vm, err);
}

enum kd_status kd__vm_snapshots(const struct kd_vm_found *vm,
				void (*fn)(void *ctx, const char *name), void *ctx,
				uint64_t deadline, struct kd_error *err)
{
	switch (vm->source) {
	case KD_VM_QEMU: return qemu_snapshots(vm, fn, ctx, deadline, err);
	case KD_VM_LIBVIRT:
		return kd__libvirt_snapshots(vm->connection, vm->id, fn, ctx, deadline, err);
	case KD_VM_VIRTUALBOX:
	case KD_VM_VMWARE: return tool_snapshots(vm, fn, ctx, deadline, err);
	case KD_VM_NAMED: break;
	}
	return no_control(vm, err);
}
