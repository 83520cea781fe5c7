/* SPDX-License-Identifier: MIT */
#include "lib/vm/libvirt_load.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "lib/vm/qmp_message.h"

static struct kd__libvirt functions;
static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Errors come back to the caller; libvirt would print them, too. */
static void be_quiet(void *context, virErrorPtr error)
{
	(void)context;
	(void)error;
}

static void load_for_qemu(void)
{
	void *library = dlopen("libvirt-qemu.so.0", RTLD_NOW | RTLD_LOCAL);

	if (library)
		*(void **)&functions.virDomainQemuMonitorCommand = dlsym(
			library, "virDomainQemuMonitorCommand");
}

static void load(void)
{
	void *library = dlopen("libvirt.so.0", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return;
	is_loaded = true;
#define KD_X(name)                                         \
	*(void **)&functions.name = dlsym(library, #name); \
	is_loaded &= functions.name != NULL;
	KD__LIBVIRT_FUNCTIONS(KD_X)
#undef KD_X
	if (is_loaded && functions.virInitialize() < 0)
		is_loaded = false;
	if (is_loaded) {
		functions.virSetErrorFunc(NULL, be_quiet);
		load_for_qemu();
	}
}

enum kd_status kd__libvirt_load(const struct kd__libvirt **ret, struct kd_error *err)
{
	pthread_once(&once, load);
	if (!is_loaded)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "libvirt is not installed: apt install libvirt0");
	*ret = &functions;
	return KD_OK;
}

static const struct {
	int code;
	enum kd_status status;
} rows[] = {
	{ VIR_ERR_NO_DOMAIN, KD_E_NOT_FOUND },
	{ VIR_ERR_NO_DOMAIN_SNAPSHOT, KD_E_NOT_FOUND },
	{ VIR_ERR_NO_CONNECT, KD_E_CLOSED },
	{ VIR_ERR_RPC, KD_E_CLOSED },
	{ VIR_ERR_AUTH_FAILED, KD_E_DENIED },
	{ VIR_ERR_AUTH_CANCELLED, KD_E_DENIED },
	{ VIR_ERR_AUTH_UNAVAILABLE, KD_E_DENIED },
	{ VIR_ERR_ACCESS_DENIED, KD_E_DENIED },
	{ VIR_ERR_OPERATION_DENIED, KD_E_DENIED },
	{ VIR_ERR_NO_SUPPORT, KD_E_UNSUPPORTED },
	{ VIR_ERR_CONFIG_UNSUPPORTED, KD_E_UNSUPPORTED },
	{ VIR_ERR_OPERATION_UNSUPPORTED, KD_E_UNSUPPORTED },
	{ VIR_ERR_OPERATION_INVALID, KD_E_TARGET },
	{ VIR_ERR_OPERATION_TIMEOUT, KD_E_TIMEOUT },
};

enum kd_status kd__libvirt_failed(const struct kd__libvirt *v, const char *what,
				  struct kd_error *err)
{
	virErrorPtr e = v->virGetLastError();
	enum kd_status status = KD_E_IO;
	char text[KD_ERROR_TEXT_SIZE];

	for (size_t i = 0; e && i < KD_ARRAY_LEN(rows); i++)
		if (rows[i].code == e->code)
			status = rows[i].status;
	kd__vm_printable(e && e->message ? e->message : "no reason given", text, sizeof text);
	return kd_error_set(err, status, 0, "%s: %s", what, text);
}
