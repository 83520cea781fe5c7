/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/libvirt_job.h"

static virDomainPtr find(struct kd__libvirt_job *job, const struct kd__libvirt *v,
			 virConnectPtr connection)
{
	virDomainPtr domain = v->virDomainLookupByUUIDString(connection, job->domain);

	return domain ? domain : v->virDomainLookupByName(connection, job->domain);
}

static enum kd_status take_snapshot(struct kd__libvirt_job *job, const struct kd__libvirt *v,
				    virDomainPtr domain)
{
	virDomainSnapshotPtr there = v->virDomainSnapshotLookupByName(domain, job->name, 0);
	char xml[256];

	if (there) {
		v->virDomainSnapshotFree(there);
		return kd_error_set(
			&job->error, KD_E_EXISTS, 0,
			"there is a snapshot %s already: choose another name, or delete "
			"it (virsh snapshot-delete %.60s %s)",
			job->name, job->domain, job->name);
	}
	/* The name is of letters, digits and -_. only. */
	snprintf(xml, sizeof xml, "<domainsnapshot><name>%s</name></domainsnapshot>", job->name);
	there = v->virDomainSnapshotCreateXML(domain, xml, 0);
	if (!there)
		return kd__libvirt_failed(v, "no snapshot (are all writable disks qcow2?)",
					  &job->error);
	v->virDomainSnapshotFree(there);
	return KD_OK;
}

static enum kd_status revert(struct kd__libvirt_job *job, const struct kd__libvirt *v,
			     virDomainPtr domain)
{
	virDomainSnapshotPtr snapshot = v->virDomainSnapshotLookupByName(domain, job->name, 0);
	int failed;

	if (!snapshot)
		return kd_error_set(&job->error, KD_E_NOT_FOUND, 0, "there is no snapshot %s",
				    job->name);
	failed = v->virDomainRevertToSnapshot(snapshot, 0);
	/* "Risky": the present state is lost. It was asked for. */
	if (failed && v->virGetLastError() &&
	    v->virGetLastError()->code == VIR_ERR_SNAPSHOT_REVERT_RISKY)
		failed = v->virDomainRevertToSnapshot(snapshot, VIR_DOMAIN_SNAPSHOT_REVERT_FORCE);
	v->virDomainSnapshotFree(snapshot);
	return failed ? kd__libvirt_failed(v, "not reverted", &job->error) : KD_OK;
}

static enum kd_status act(struct kd__libvirt_job *job, const struct kd__libvirt *v,
			  virDomainPtr domain)
{
	int failed = -1;

	switch (job->action) {
	case KD_VM_PAUSE: failed = v->virDomainSuspend(domain); break;
	case KD_VM_RESUME: failed = v->virDomainResume(domain); break;
	case KD_VM_RESET: failed = v->virDomainReset(domain, 0); break;
	case KD_VM_SNAPSHOT: return take_snapshot(job, v, domain);
	case KD_VM_REVERT: return revert(job, v, domain);
	}
	return failed ? kd__libvirt_failed(v, job->uri, &job->error) : KD_OK;
}

static enum kd_status run_action(struct kd__libvirt_job *job, const struct kd__libvirt *v,
				 virConnectPtr connection)
{
	virDomainPtr domain = find(job, v, connection);
	enum kd_status s;

	if (!domain)
		return kd__libvirt_failed(v, job->uri, &job->error);
	s = act(job, v, domain);
	v->virDomainFree(domain);
	return s;
}

static enum kd_status run_names(struct kd__libvirt_job *job, const struct kd__libvirt *v,
				virConnectPtr connection)
{
	virDomainPtr domain = find(job, v, connection);
	virDomainSnapshotPtr *list = NULL;
	int n = domain ? v->virDomainListAllSnapshots(domain, &list, 0) : -1;

	if (n >= 0)
		job->names = calloc(KD__LIBVIRT_NAMES_MAX, sizeof job->names[0]);
	for (int i = 0; i < n; i++) {
		if (job->names && job->n_names < KD__LIBVIRT_NAMES_MAX)
			snprintf(job->names[job->n_names++], sizeof job->names[0], "%s",
				 v->virDomainSnapshotGetName(list[i]));
		v->virDomainSnapshotFree(list[i]);
	}
	free(list);
	if (n < 0)
		kd__libvirt_failed(v, job->uri, &job->error);
	if (domain)
		v->virDomainFree(domain);
	return n < 0 ? job->error.status : KD_OK;
}

static struct kd__libvirt_job *new_job(const char *uri, const char *domain, struct kd_error *err)
{
	struct kd__libvirt_job *job = kd__libvirt_job_new(uri);

	if (job)
		snprintf(job->domain, sizeof job->domain, "%s", domain);
	else
		kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return job;
}

enum kd_status kd__libvirt_do(const char *uri, const char *domain, enum kd_vm_action action,
			      const char *name, uint64_t deadline, struct kd_error *err)
{
	struct kd__libvirt_job *job = new_job(uri, domain, err);
	enum kd_status s;

	if (!job)
		return KD_E_NO_MEMORY;
	job->run = run_action;
	job->action = action;
	snprintf(job->name, sizeof job->name, "%s", name ? name : "");
	s = kd__libvirt_job_run(job, deadline, err);
	kd__libvirt_job_unref(job);
	return s;
}

enum kd_status kd__libvirt_snapshots(const char *uri, const char *domain,
				     void (*fn)(void *ctx, const char *name), void *ctx,
				     uint64_t deadline, struct kd_error *err)
{
	struct kd__libvirt_job *job = new_job(uri, domain, err);
	enum kd_status s;

	if (!job)
		return KD_E_NO_MEMORY;
	job->run = run_names;
	s = kd__libvirt_job_run(job, deadline, err);
	for (size_t i = 0; s == KD_OK && i < job->n_names; i++)
		fn(ctx, job->names[i]);
	kd__libvirt_job_unref(job);
	return s;
}

static enum kd_status run_line(struct kd__libvirt_job *job, const struct kd__libvirt *v,
			       virConnectPtr connection)
{
	virDomainPtr domain;
	enum kd_status s = KD_OK;

	if (!v->virDomainQemuMonitorCommand)
		return kd_error_set(&job->error, KD_E_UNSUPPORTED, 0,
				    "libvirt's library for QEMU is not installed: apt install "
				    "libvirt0");
	domain = find(job, v, connection);
	if (!domain)
		return kd__libvirt_failed(v, job->uri, &job->error);
	if (v->virDomainQemuMonitorCommand(domain, job->line, &job->answer, 0) < 0)
		s = kd__libvirt_failed(v, "QEMU's monitor, by libvirt", &job->error);
	v->virDomainFree(domain); /* the words of a failure go with it */
	return s;
}

enum kd_status kd__libvirt_monitor(const char *uri, const char *domain, const char *line,
				   uint64_t deadline, char **answer_ret, struct kd_error *err)
{
	struct kd__libvirt_job *job = new_job(uri, domain, err);
	enum kd_status s;

	*answer_ret = NULL;
	if (!job)
		return KD_E_NO_MEMORY;
	job->run = run_line;
	job->line = strdup(line);
	s = job->line ? kd__libvirt_job_run(job, deadline, err)
		      : kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	if (s == KD_OK) {
		*answer_ret = job->answer;
		job->answer = NULL;
	}
	kd__libvirt_job_unref(job);
	return s;
}
