/* SPDX-License-Identifier: MIT */
/*
 * Jobs: somebody who can write memory (a debugger, a test) fills tcpip!NetJobs[n] and sets its
 * State to NetJobStart; a thread here starts the program of its kind, which takes the job, does it,
 * and reports how it went. In the manner of demo.sys's commands.
 */
#include "guest/demo/net/tcpip/stack.h"

NET_JOB NetJobs[NET_JOBS];

static const struct {
	ULONG First, Last;
	PCSTR Program;
} programs[] = {
	{ NetGetPage, NetGetPagesAtOnce, "webget.exe" },
	{ NetServePages, NetServePages, "webserv.exe" },
	{ NetTalkLines, NetTalkLines, "linetalk.exe" },
	{ NetServeLines, NetServeLines, "lineserv.exe" },
	{ NetAskNames, NetAskNames, "nameask.exe" },
	{ NetServeNames, NetServeNames, "nameserv.exe" },
	{ NetSendBulk, NetResetBulk, "bulk.exe" },
};

static PCSTR program_of(ULONG kind)
{
	for (ULONG i = 0; i < RTL_NUMBER_OF(programs); i++) {
		if (kind >= programs[i].First && kind <= programs[i].Last)
			return programs[i].Program;
	}
	return NULL;
}

static VOID start(PNET_JOB job)
{
	PCSTR program = program_of(job->Kind);
	NTSTATUS status = STATUS_INVALID_PARAMETER;
	HANDLE pid = NULL;

	job->State = NetJobRunning;
	job->ProcessId = 0;
	if (program != NULL)
		status = PsCreateUserProcess(program, program, &pid);
	if (NT_SUCCESS(status)) {
		job->ProcessId = (ULONG)(ULONG_PTR)pid;
		return;
	}
	job->Status = status;
	job->State = NetJobDone;
}

static VOID NetJobThread(PVOID Context)
{
	LARGE_INTEGER tick = { .QuadPart = -100000 }; /* 10 ms */

	for (;;) {
		KeDelayExecutionThread(KernelMode, FALSE, &tick);
		for (ULONG i = 0; i < NET_JOBS; i++) {
			if (NetJobs[i].State == NetJobStart)
				start(&NetJobs[i]);
		}
	}
}

NTSTATUS NetTakeJob(ULONG64 ProcessId, PNET_JOB Job, PULONG Id)
{
	for (ULONG i = 0; i < NET_JOBS; i++) {
		if (NetJobs[i].State == NetJobRunning && NetJobs[i].ProcessId == ProcessId) {
			*Job = NetJobs[i];
			*Id = i;
			return STATUS_SUCCESS;
		}
	}
	return STATUS_OBJECT_NAME_NOT_FOUND;
}

/** Results in, and what the job is told back: NetJobRunning, or NetJobStop. */
NTSTATUS NetReportJob(ULONG Id, const NET_JOB *Job, PULONG State)
{
	PNET_JOB job;

	if (Id >= NET_JOBS)
		return STATUS_INVALID_PARAMETER;
	job = &NetJobs[Id];
	job->Status = Job->Status;
	job->Done = Job->Done;
	job->Failed = Job->Failed;
	job->Milliseconds = Job->Milliseconds;
	job->Ready = Job->Ready;
	job->Sent = Job->Sent;
	job->Received = Job->Received;
	job->SentHash = Job->SentHash;
	job->ReceivedHash = Job->ReceivedHash;
	*State = job->State;
	if (Job->State == NetJobDone)
		job->State = NetJobDone;
	return STATUS_SUCCESS;
}

NTSTATUS NetStartJobs(VOID)
{
	HANDLE thread;
	NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL,
					       NetJobThread, NULL);

	if (NT_SUCCESS(status))
		ZwClose(thread);
	return status;
}
