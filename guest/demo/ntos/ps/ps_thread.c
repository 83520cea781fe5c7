/* SPDX-License-Identifier: MIT */
/* Threads from creation to the reaper. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntio.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/ob.h"
#include "guest/demo/ntos/inc/psp.h"

#define TAG_THREAD POOL_TAG('T', 'h', 'r', 'e')

enum { SYSTEM_THREAD_PRIORITY = 8 };

static LIST_ENTRY PspReaperList = { &PspReaperList, &PspReaperList };
static KEVENT PspReaperEvent = {
	{ .Type = EventSynchronizationObject,
	  .WaitListHead = { &PspReaperEvent.Header.WaitListHead,
			    &PspReaperEvent.Header.WaitListHead } },
};

/* The last reference is gone: of a thread that ended, whose stack the reaper has freed, or of one
 * that never ran. */
static VOID delete_thread(PVOID Object)
{
	PETHREAD thread = Object;

	if (thread->Tcb.StateSaveArea != NULL)
		ExFreePoolWithTag(thread->Tcb.StateSaveArea, TAG_THREAD);
	ObFreeObject(thread);
}

/** A thread that is not ready yet. StartRoutine NULL: it begins in user mode. */
PETHREAD PspCreateThread(PEPROCESS Process, PKSTART_ROUTINE StartRoutine, PVOID StartContext,
			 CHAR Priority)
{
	PETHREAD thread = ObAllocateObject(sizeof(*thread), delete_thread);
	KIRQL irql;

	if (thread == NULL)
		return NULL;
	thread->Tcb.StackAllocation = MmCreateKernelStack();
	if (StartRoutine == NULL)
		thread->Tcb.StateSaveArea = ExAllocatePoolWithTag(NonPagedPool,
								  sizeof(XSAVE_FORMAT), TAG_THREAD);
	if (thread->Tcb.StackAllocation == NULL ||
	    (StartRoutine == NULL && thread->Tcb.StateSaveArea == NULL)) {
		ObfDereferenceObject(thread);
		return NULL;
	}
	if (thread->Tcb.StateSaveArea != NULL) {
		thread->Tcb.StateSaveArea->ControlWord = 0x27F;
		thread->Tcb.StateSaveArea->MxCsr = 0x1F80;
	}
	thread->StartAddress = (PVOID)(ULONG_PTR)StartRoutine;
	thread->Win32StartAddress = thread->StartAddress;
	thread->StartContext = StartContext;
	thread->CreateTime.QuadPart = (LONGLONG)(PsBootTime + KiQueryInterruptTime());
	thread->ExitStatus = STATUS_PENDING;
	thread->Cid.UniqueProcess = Process->UniqueProcessId;
	thread->Cid.UniqueThread = (HANDLE)(ULONG_PTR)PspAllocateCid();
	InitializeListHead(&thread->IrpList);
	if (StartRoutine == NULL)
		StartRoutine = PspUserThreadStartup;
	KeInitializeThread(&thread->Tcb, &Process->Pcb, (PVOID)(ULONG_PTR)StartRoutine,
			   StartContext, Priority);
	irql = KiLockDispatcher();
	InsertTailList(&Process->Pcb.ThreadListHead, &thread->Tcb.ThreadListEntry);
	InsertTailList(&Process->ThreadListHead, &thread->ThreadListEntry);
	Process->ActiveThreads++;
	KiUnlockDispatcher(irql);
	return thread;
}

static VOID make_ready(PETHREAD thread)
{
	KIRQL irql = KiLockDispatcher();

	KiReadyThread(&thread->Tcb);
	KiUnlockDispatcher(irql);
}

NTSTATUS PspStartSystemThread(PKSTART_ROUTINE StartRoutine, PVOID StartContext, CHAR Priority)
{
	PETHREAD thread = PspCreateThread(PsInitialSystemProcess, StartRoutine, StartContext,
					  Priority);

	if (thread == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	make_ready(thread);
	return STATUS_SUCCESS;
}

NTSTATUS PsCreateSystemThread(PHANDLE ThreadHandle, ULONG DesiredAccess, PVOID ObjectAttributes,
			      HANDLE ProcessHandle, PCLIENT_ID ClientId,
			      PKSTART_ROUTINE StartRoutine, PVOID StartContext)
{
	PETHREAD thread;
	NTSTATUS status;

	if (ProcessHandle != NULL) /* there are no handles of processes */
		return STATUS_INVALID_HANDLE;
	thread = PspCreateThread(PsInitialSystemProcess, StartRoutine, StartContext,
				 SYSTEM_THREAD_PRIORITY);
	if (thread == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	status = ObInsertObject(thread, ThreadHandle);
	if (!NT_SUCCESS(status)) {
		KIRQL irql = KiLockDispatcher();

		RemoveEntryList(&thread->Tcb.ThreadListEntry);
		RemoveEntryList(&thread->ThreadListEntry);
		PsInitialSystemProcess->ActiveThreads--;
		KiUnlockDispatcher(irql);
		MmDeleteKernelStack(thread->Tcb.StackAllocation);
		ObfDereferenceObject(thread);
		return status;
	}
	if (ClientId != NULL)
		*ClientId = thread->Cid;
	make_ready(thread);
	return STATUS_SUCCESS;
}

HANDLE PsGetCurrentProcessId(VOID)
{
	return PsGetCurrentThread()->Cid.UniqueProcess;
}

HANDLE PsGetCurrentThreadId(VOID)
{
	return PsGetCurrentThread()->Cid.UniqueThread;
}

NORETURN VOID PspThreadStartup(PKSTART_ROUTINE StartRoutine, PVOID StartContext)
{
	StartRoutine(StartContext);
	PspExitThread(STATUS_SUCCESS);
}

/** What returning to user mode owes; interrupts are off. */
VOID KiUserModeExit(PKTRAP_FRAME TrapFrame)
{
	PKTHREAD thread = KeGetCurrentThread();

	if (thread->TerminationRequest != 0) {
		KiEnableInterrupts();
		PspExitThread(PsGetCurrentProcess()->ExitStatus);
	}
	thread->TrapFrame = NULL;
}

NORETURN VOID PspExitThread(NTSTATUS ExitStatus)
{
	PETHREAD thread = PsGetCurrentThread();
	PEPROCESS process = (PEPROCESS)thread->Tcb.Process;

	if (process != PsInitialSystemProcess && process->ActiveThreads == 1)
		IoCloseAllFiles();
	KiLockDispatcher();
	thread->ExitStatus = ExitStatus;
	thread->ExitTime.QuadPart = (LONGLONG)(PsBootTime + KiQueryInterruptTime());
	thread->Tcb.State = Terminated;
	thread->Tcb.WaitReason = WrTerminated;
	RemoveEntryList(&thread->Tcb.ThreadListEntry);
	RemoveEntryList(&thread->ThreadListEntry);
	if (--process->ActiveThreads == 0 && process != PsInitialSystemProcess) {
		process->ExitTime = thread->ExitTime;
		RemoveEntryList(&process->ActiveProcessLinks);
		KiSignalObject(&process->Pcb.Header);
	}
	KiSignalObject(&thread->Tcb.Header);
	InsertTailList(&PspReaperList, &thread->ReaperLink);
	KiSignalObject(&PspReaperEvent.Header);
	KiSwapThread();
	__builtin_unreachable();
}

NORETURN NTSTATUS PsTerminateSystemThread(NTSTATUS ExitStatus)
{
	PspExitThread(ExitStatus);
}

/* A thread on the list may still be on its stack; it lets go of the dispatcher lock only after. */
static PETHREAD take_dead(VOID)
{
	PETHREAD thread = NULL;
	KIRQL irql = KiLockDispatcher();

	if (!IsListEmpty(&PspReaperList))
		thread = CONTAINING_RECORD(RemoveHeadList(&PspReaperList), ETHREAD, ReaperLink);
	KiUnlockDispatcher(irql);
	return thread;
}

VOID PspReaperThread(PVOID Context)
{
	PETHREAD thread;

	for (;;) {
		KeWaitForSingleObject(&PspReaperEvent, Executive, KernelMode, FALSE, NULL);
		while ((thread = take_dead()) != NULL) {
			PEPROCESS process = (PEPROCESS)thread->Tcb.Process;

			MmDeleteKernelStack(thread->Tcb.StackAllocation);
			ObfDereferenceObject(thread); /* who has a handle sees that it ended */
			if (process->ActiveThreads == 0 && process != PsInitialSystemProcess)
				PspDeleteProcess(process);
		}
	}
}
