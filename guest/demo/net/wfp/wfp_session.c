/* SPDX-License-Identifier: MIT */
/*
 * Sessions and transactions. One change at a time: WfpWriter is set while nobody makes any. A
 * function outside a transaction is a transaction of its own.
 */
#include "guest/demo/net/wfp/wfp_management.h"

static LIST_ENTRY WfpSessions = { &WfpSessions, &WfpSessions };
static KEVENT WfpWriter = { { .Type = EventSynchronizationObject,
			      .SignalState = 1,
			      .WaitListHead = { &WfpWriter.Header.WaitListHead,
						&WfpWriter.Header.WaitListHead } } };

enum { DEFAULT_WAIT_MS = 15000 };

BOOLEAN WfpIsSession(HANDLE Handle)
{
	BOOLEAN found = FALSE;
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	for (PLIST_ENTRY at = WfpSessions.Flink; at != &WfpSessions; at = at->Flink) {
		if (CONTAINING_RECORD(at, struct wfp_session, link) == Handle)
			found = TRUE;
	}
	KeReleaseSpinLock(&WfpLock, irql);
	return found;
}

NTSTATUS WfpBeginChange(PCSTR Function, HANDLE Handle, struct wfp_session **Session)
{
	struct wfp_session *session = Handle;
	LARGE_INTEGER wait;

	if (!WfpCheckIrql(Function, PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (!WfpIsSession(Handle)) {
		WfpViolation("%s on an engine that is not open\n", Function);
		return STATUS_INVALID_HANDLE;
	}
	*Session = session;
	if (session->in_transaction)
		return STATUS_SUCCESS;
	wait.QuadPart = -(LONGLONG)session->wait_ms * 10000;
	if (KeWaitForSingleObject(&WfpWriter, Executive, KernelMode, FALSE, &wait) != STATUS_WAIT_0)
		return STATUS_FWP_TIMEOUT;
	return STATUS_SUCCESS;
}

NTSTATUS WfpEndChange(struct wfp_session *Session, NTSTATUS Status)
{
	if (Session->in_transaction)
		return Status;
	if (NT_SUCCESS(Status))
		Status = WfpCommitObjects(Session);
	if (!NT_SUCCESS(Status))
		WfpAbortObjects(Session);
	KeSetEvent(&WfpWriter, 0, FALSE);
	return Status;
}

NTSTATUS NTAPI FwpmTransactionBegin0(HANDLE engineHandle, ULONG flags)
{
	struct wfp_session *session = engineHandle;
	NTSTATUS status;

	if (WfpIsSession(engineHandle) && session->in_transaction)
		return STATUS_FWP_TXN_IN_PROGRESS;
	status = WfpBeginChange("FwpmTransactionBegin0", engineHandle, &session);
	if (NT_SUCCESS(status))
		session->in_transaction = TRUE;
	return status;
}

static NTSTATUS end_transaction(PCSTR function, HANDLE handle, NTSTATUS wish)
{
	struct wfp_session *session = handle;

	if (!WfpCheckIrql(function, PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (!WfpIsSession(handle))
		return STATUS_INVALID_HANDLE;
	if (!session->in_transaction)
		return STATUS_FWP_NO_TXN_IN_PROGRESS;
	session->in_transaction = FALSE;
	return WfpEndChange(session, wish);
}

NTSTATUS NTAPI FwpmTransactionCommit0(HANDLE engineHandle)
{
	return end_transaction("FwpmTransactionCommit0", engineHandle, STATUS_SUCCESS);
}

NTSTATUS NTAPI FwpmTransactionAbort0(HANDLE engineHandle)
{
	NTSTATUS status = end_transaction("FwpmTransactionAbort0", engineHandle,
					  STATUS_FWP_TXN_ABORTED);

	return status == STATUS_FWP_TXN_ABORTED ? STATUS_SUCCESS : status;
}

NTSTATUS NTAPI FwpmEngineOpen0(const WCHAR *serverName, ULONG authnService, PVOID authIdentity,
			       const FWPM_SESSION0 *session, HANDLE *engineHandle)
{
	struct wfp_session *opened;
	KIRQL irql;

	if (!WfpCheckIrql("FwpmEngineOpen0", PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (engineHandle == NULL)
		return STATUS_FWP_NULL_POINTER;
	if (serverName != NULL ||
	    (authnService != RPC_C_AUTHN_WINNT && authnService != RPC_C_AUTHN_DEFAULT))
		return STATUS_FWP_INVALID_PARAMETER;
	if (FwpmBfeStateGet0() != FWPM_SERVICE_RUNNING)
		return STATUS_RPC_SERVER_UNAVAILABLE;
	opened = WfpAllocate(sizeof(*opened));
	if (opened == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	opened->wait_ms = DEFAULT_WAIT_MS;
	if (session != NULL) {
		opened->is_dynamic = (session->flags & FWPM_SESSION_FLAG_DYNAMIC) != 0;
		if (session->txnWaitTimeoutInMSec != 0)
			opened->wait_ms = session->txnWaitTimeoutInMSec;
	}
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	InsertTailList(&WfpSessions, &opened->link);
	KeReleaseSpinLock(&WfpLock, irql);
	*engineHandle = opened;
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmEngineClose0(HANDLE engineHandle)
{
	struct wfp_session *session;
	NTSTATUS status;
	KIRQL irql;

	if (WfpIsSession(engineHandle) && ((struct wfp_session *)engineHandle)->in_transaction)
		FwpmTransactionAbort0(engineHandle);
	status = WfpBeginChange("FwpmEngineClose0", engineHandle, &session);
	if (!NT_SUCCESS(status))
		return status;
	WfpLeaveSession(session); /* dynamic: all that is its own goes, else it stays without */
	WfpEndChange(session, STATUS_SUCCESS);
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	RemoveEntryList(&session->link);
	KeReleaseSpinLock(&WfpLock, irql);
	WfpFree(session);
	return STATUS_SUCCESS;
}
