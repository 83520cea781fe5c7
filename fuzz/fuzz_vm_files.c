/* SPDX-License-Identifier: MIT */
/*
 * .vbox, .vmx and libvirt's XML, by the first byte. Oracle: whatever is read fits its bounds, is
 * terminated, and is the same at the second reading; a refusal has one printable line.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/vm/vm_control.h"
#include "lib/vm/vm_found.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum kd_status parse(uint8_t kind, const char *text, size_t size, struct kd_vm_found *vm,
			    struct kd_error *err)
{
	memset(vm, 0, sizeof *vm);
	switch (kind % 3) {
	case 0: return kd__vbox_parse(text, size, "/x/y.vbox", vm, err);
	case 1: return kd__vmx_parse(text, size, "/x/y.vmx", vm, err);
	default: return kd__libvirt_xml_parse(text, size, vm, err);
	}
}

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
}

static void check(const struct kd_vm_found *vm)
{
	check_text(vm->name, sizeof vm->name);
	check_text(vm->id, sizeof vm->id);
	check_text(vm->connection, sizeof vm->connection);
	if (vm->n_serials > KD_VM_SERIALS_MAX)
		abort();
	for (size_t i = 0; i < vm->n_serials; i++) {
		check_text(vm->serials[i].path, sizeof vm->serials[i].path);
		if (vm->serials[i].index > 255 || vm->serials[i].use != KD_QEMU_SERIAL)
			abort();
	}
}

static void count(void *context, const char *name)
{
	*(size_t *)context += 1 + strlen(name);
}

/* What the hypervisors' programs print. */
static void parse_names(const char *text, size_t size)
{
	size_t n = 0;
	char *copy;

	for (int i = 0; i < 3; i++) {
		/* Not strndup: strict sanitizers want its source to be terminated. */
		copy = calloc(1, size + 1);
		if (!copy)
			abort();
		memcpy(copy, text, size);
		if (i == 0)
			kd__snapshots_of_qemu(copy, count, &n);
		else if (i == 1)
			kd__snapshots_of_virtualbox(copy, count, &n);
		else
			kd__snapshots_of_vmware(copy, count, &n);
		free(copy);
	}
	if (n > 3 * (2 * size + 2))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kd_vm_found vm, again;
	struct kd_error err = { 0 };
	enum kd_status s;

	if (!size)
		return 0;
	s = parse(data[0], (const char *)data + 1, size - 1, &vm, &err);
	if (s == KD_OK)
		check(&vm);
	else if (err.status != s || !err.text[0])
		abort();
	if (parse(data[0], (const char *)data + 1, size - 1, &again, NULL) != s ||
	    (s == KD_OK && memcmp(&vm, &again, sizeof vm) != 0))
		abort();
	parse_names((const char *)data + 1, size - 1);
	return 0;
}
