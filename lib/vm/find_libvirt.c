/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/vm/libvirt_job.h"

/* "scheme://host/..." names another machine, "scheme:///..." does not. */
static bool is_remote(const char *uri)
{
	const char *host = strstr(uri, "://");

	return host && host[3] && host[3] != '/';
}

static enum kd_vm_state state_of(int state)
{
	switch (state) {
	case VIR_DOMAIN_RUNNING: return KD_VM_RUNNING;
	case VIR_DOMAIN_BLOCKED: return KD_VM_RUNNING;
	case VIR_DOMAIN_PAUSED: return KD_VM_PAUSED;
	case VIR_DOMAIN_PMSUSPENDED: return KD_VM_PAUSED;
	case VIR_DOMAIN_SHUTDOWN: return KD_VM_OFF;
	case VIR_DOMAIN_SHUTOFF: return KD_VM_OFF;
	case VIR_DOMAIN_CRASHED: return KD_VM_CRASHED;
	default: return KD_VM_UNKNOWN;
	}
}

static void take_domain(struct kd__libvirt_job *job, const struct kd__libvirt *v,
			virDomainPtr domain)
{
	struct kd_vm_found *vm = kd__vm_rows_add(&job->rows);
	int state = VIR_DOMAIN_NOSTATE;
	char *xml;

	if (!vm)
		return;
	vm->source = KD_VM_LIBVIRT;
	vm->is_remote = is_remote(job->uri);
	snprintf(vm->connection, sizeof vm->connection, "%s", job->uri);
	snprintf(vm->name, sizeof vm->name, "%s", v->virDomainGetName(domain));
	if (v->virDomainGetState(domain, &state, NULL, 0) == 0)
		vm->state = state_of(state);
	xml = v->virDomainGetXMLDesc(domain, 0);
	if (xml && strlen(xml) <= KD_VM_FILE_MAX)
		kd__libvirt_xml_parse(xml, strlen(xml), vm, NULL);
	if (!vm->id[0])
		snprintf(vm->id, sizeof vm->id, "%.100s/%.100s", job->uri, vm->name);
	free(xml);
}

static enum kd_status list(struct kd__libvirt_job *job, const struct kd__libvirt *v,
			   virConnectPtr connection)
{
	virDomainPtr *domains = NULL;
	int n = v->virConnectListAllDomains(connection, &domains, 0);

	if (n < 0)
		return kd__libvirt_failed(v, "cannot list its domains", &job->error);
	for (int i = 0; i < n; i++) {
		take_domain(job, v, domains[i]);
		v->virDomainFree(domains[i]);
	}
	free(domains);
	return KD_OK;
}

static enum kd_status move_rows(struct kd_vm_rows *to, const struct kd_vm_rows *from,
				struct kd_error *err)
{
	for (size_t i = 0; i < from->n; i++) {
		struct kd_vm_found *row = kd__vm_rows_add(to);

		if (!row)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		*row = from->row[i];
	}
	return KD_OK;
}

enum kd_status kd__vm_find_libvirt(const char *uri, uint64_t deadline, struct kd_vm_rows *rows,
				   struct kd_error *err)
{
	struct kd__libvirt_job *job = kd__libvirt_job_new(uri);
	enum kd_status s;

	if (!job)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	job->run = list;
	s = kd__libvirt_job_run(job, deadline, err);
	if (s == KD_OK)
		s = move_rows(rows, &job->rows, err);
	kd__libvirt_job_unref(job);
	return s;
}

/* --- where a daemon listens --- */

static bool is_socket(const char *folder, const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof path, "%s/libvirt/%s", folder, name);
	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

bool kd__libvirt_listens(bool is_system)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *folder = is_system ? "/run" : runtime;

	/* The session of root is the system's. */
	if (!folder || (!is_system && geteuid() == 0))
		return false;
	return is_socket(folder, "libvirt-sock") || is_socket(folder, "virtqemud-sock");
}
