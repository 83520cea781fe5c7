/* SPDX-License-Identifier: MIT */
/* Processes: the two the kernel starts with, and programs with PEB, TEB and module list. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/ntshared.h"
#include "guest/demo/ntos/inc/psp.h"
#include "guest/demo/ntos/inc/rtl.h"

#define TAG_PROCESS POOL_TAG('P', 'r', 'o', 'c')

/* User address space of every program; one stack, one thread. */
#define USER_STACK_TOP  0x00200000u
#define USER_STACK_SIZE 0x10000u
#define USER_PEB        0x7FFD0000u
#define USER_LDR        0x7FFD1000u
#define USER_PARAMETERS 0x7FFD2000u
#define USER_TEB        0x7FFD4000u
#define USER_BLOCK_SIZE 0x6000u

LIST_ENTRY PsActiveProcessHead = { &PsActiveProcessHead, &PsActiveProcessHead };
PEPROCESS PsInitialSystemProcess;
PEPROCESS PsIdleProcess;
ULONG64 PsBootTime;
volatile ULONG PspUserCommand;

static EPROCESS PspSystemProcess, PspIdleProcess;
static ETHREAD PspIdleThreads[MAXIMUM_PROCESSORS];
static volatile ULONG64 PspNextCid = 4;

/* Process and thread ids: one sequence, multiples of 4. */
ULONG64 PspAllocateCid(VOID)
{
	return __atomic_fetch_add(&PspNextCid, 4, __ATOMIC_RELAXED);
}

static VOID initialize_process(PEPROCESS process, ULONG64 pid, ULONG64 page_table, PCSTR name)
{
	process->Pcb.Header.Type = ProcessObject;
	InitializeListHead(&process->Pcb.Header.WaitListHead);
	InitializeListHead(&process->Pcb.ProfileListHead);
	InitializeListHead(&process->Pcb.ThreadListHead);
	InitializeListHead(&process->ThreadListHead);
	KiSetRoot(&process->Pcb, page_table);
	process->UniqueProcessId = (HANDLE)(ULONG_PTR)pid;
	process->CreateTime.QuadPart = (LONGLONG)(PsBootTime + KiQueryInterruptTime());
	process->ExitStatus = STATUS_PENDING;
	RtlStringCopy(process->ImageFileName, sizeof(process->ImageFileName), name);
}

VOID PsInitializeIdleThread(PKPRCB Prcb, PVOID StackTop, ULONG StackSize)
{
	PETHREAD thread = &PspIdleThreads[Prcb->Number];

	KiInitializeIdleThread(Prcb, thread, StackTop, StackSize);
	thread->Tcb.Process = &PspIdleProcess.Pcb;
	thread->Tcb.ApcState.Process = &PspIdleProcess.Pcb;
	InsertTailList(&PspIdleProcess.Pcb.ThreadListHead, &thread->Tcb.ThreadListEntry);
	InsertTailList(&PspIdleProcess.ThreadListHead, &thread->ThreadListEntry);
	PspIdleProcess.ActiveThreads++;
}

INIT_FUNCTION VOID PsInitializeSystem(VOID)
{
	ULONG64 page_table = KeLoaderBlock->Extension->page_table;

	PsIdleProcess = &PspIdleProcess;
	initialize_process(PsIdleProcess, 0, page_table, "Idle");
	PsInitialSystemProcess = &PspSystemProcess;
	initialize_process(PsInitialSystemProcess, PspAllocateCid(), page_table, "System");
	InsertTailList(&PsActiveProcessHead, &PsInitialSystemProcess->ActiveProcessLinks);
}

/* --- programs --- */

/* Builds one page of user data whose pointers are user addresses. */
struct user_page {
	PUCHAR bytes; /* kernel view */
	ULONG64 va;
	ULONG used;
};

static PVOID user_alloc(struct user_page *page, ULONG size, ULONG64 *va)
{
	ULONG at = (page->used + 15) & ~15u;

	if (at + size > PAGE_SIZE)
		return NULL;
	page->used = at + size;
	*va = page->va + at;
	return page->bytes + at;
}

static BOOLEAN user_string(struct user_page *page, PUNICODE_STRING string, PCSTR prefix, PCSTR text)
{
	ULONG n_prefix = (ULONG)RtlStringLength(prefix);
	ULONG n = n_prefix + (ULONG)RtlStringLength(text);
	ULONG64 va;
	PWCHAR to = user_alloc(page, 2 * n + 2, &va);

	if (to == NULL)
		return FALSE;
	for (ULONG i = 0; i < n; i++)
		to[i] = (WCHAR)(UCHAR)(i < n_prefix ? prefix[i] : text[i - n_prefix]);
	string->Buffer = (PWCHAR)(ULONG_PTR)va;
	string->Length = (USHORT)(2 * n);
	string->MaximumLength = (USHORT)(2 * n + 2);
	return TRUE;
}

/* Append the entry at user address va (kernel view `entry`) to one of the three lists. */
static VOID user_link(struct user_page *page, PLIST_ENTRY head, PLIST_ENTRY entry)
{
	ULONG64 entry_va = page->va + (ULONG64)((PUCHAR)entry - page->bytes);
	ULONG64 head_va = page->va + (ULONG64)((PUCHAR)head - page->bytes);
	PLIST_ENTRY last = (PLIST_ENTRY)(page->bytes +
					 ((ULONG64)(ULONG_PTR)head->Blink - page->va));

	entry->Flink = (PLIST_ENTRY)(ULONG_PTR)head_va;
	entry->Blink = head->Blink;
	last->Flink = (PLIST_ENTRY)(ULONG_PTR)entry_va;
	head->Blink = (PLIST_ENTRY)(ULONG_PTR)entry_va;
}

static VOID user_list_init(struct user_page *page, PLIST_ENTRY head)
{
	head->Flink = head->Blink = (PLIST_ENTRY)(ULONG_PTR)(page->va +
							     (ULONG64)((PUCHAR)head - page->bytes));
}

static NTSTATUS build_ldr(struct user_page *page, const struct mm_user_image *images, ULONG n)
{
	ULONG64 va;
	PPEB_LDR_DATA ldr = user_alloc(page, sizeof(*ldr), &va);

	ldr->Length = sizeof(*ldr);
	ldr->Initialized = 1;
	user_list_init(page, &ldr->InLoadOrderModuleList);
	user_list_init(page, &ldr->InMemoryOrderModuleList);
	user_list_init(page, &ldr->InInitializationOrderModuleList);
	for (ULONG i = 0; i < n; i++) {
		PLDR_DATA_TABLE_ENTRY e = user_alloc(page, sizeof(*e), &va);

		if (e == NULL ||
		    !user_string(page, &e->FullDllName, "C:\\Windows\\System32\\",
				 images[i].Name) ||
		    !user_string(page, &e->BaseDllName, "", images[i].Name))
			return STATUS_BUFFER_TOO_SMALL;
		e->DllBase = (PVOID)(ULONG_PTR)images[i].Base;
		e->EntryPoint = (PVOID)(ULONG_PTR)(images[i].Base + images[i].EntryRva);
		e->SizeOfImage = images[i].ImageSize;
		e->TimeDateStamp = images[i].TimeDateStamp;
		e->ObsoleteLoadCount = 1;
		user_list_init(page, &e->HashLinks);
		user_link(page, &ldr->InLoadOrderModuleList, &e->InLoadOrderLinks);
		user_link(page, &ldr->InMemoryOrderModuleList, &e->InMemoryOrderLinks);
		if (i != 0) /* the program itself is in no initialization order */
			user_link(page, &ldr->InInitializationOrderModuleList,
				  &e->InInitializationOrderLinks);
	}
	return STATUS_SUCCESS;
}

static NTSTATUS build_parameters(struct user_page *page, PCSTR image, PCSTR command_line)
{
	ULONG64 va;
	PRTL_USER_PROCESS_PARAMETERS p = user_alloc(page, sizeof(*p), &va);

	p->MaximumLength = p->Length = sizeof(*p);
	p->Flags = 1; /* normalized: addresses, not offsets */
	if (!user_string(page, &p->ImagePathName, "C:\\Windows\\System32\\", image) ||
	    !user_string(page, &p->CommandLine, "", command_line) ||
	    !user_string(page, &p->CurrentDirectory.DosPath, "C:\\Windows\\", ""))
		return STATUS_BUFFER_TOO_SMALL;
	return STATUS_SUCCESS;
}

static VOID fill_peb(PPEB peb, const struct mm_user_image *image)
{
	peb->ImageBaseAddress = (PVOID)(ULONG_PTR)image->Base;
	peb->Ldr = (PPEB_LDR_DATA)(ULONG_PTR)USER_LDR;
	peb->ProcessParameters = (PRTL_USER_PROCESS_PARAMETERS)(ULONG_PTR)USER_PARAMETERS;
	peb->NumberOfProcessors = KeNumberProcessors;
	peb->NtGlobalFlag = NtGlobalFlag;
	peb->OSMajorVersion = NT_MAJOR_VERSION;
	peb->OSMinorVersion = NT_MINOR_VERSION;
	peb->OSBuildNumber = (USHORT)NtBuildNumber;
	peb->OSPlatformId = 2;
}

static NTSTATUS build_user_page(PEPROCESS process, ULONG64 va, const struct mm_user_image *images,
				ULONG n, PCSTR command_line)
{
	struct user_page page = { ExAllocatePoolWithTag(NonPagedPool, PAGE_SIZE, TAG_PROCESS), va,
				  0 };
	NTSTATUS status = STATUS_SUCCESS;

	if (page.bytes == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	if (va == USER_PEB)
		fill_peb((PPEB)page.bytes, &images[0]);
	else if (va == USER_LDR)
		status = build_ldr(&page, images, n);
	else
		status = build_parameters(&page, images[0].Name, command_line);
	if (NT_SUCCESS(status))
		status = MmCopyToProcess(process, va, page.bytes, PAGE_SIZE);
	ExFreePoolWithTag(page.bytes, TAG_PROCESS);
	return status;
}

static NTSTATUS build_teb(PEPROCESS process, PETHREAD thread)
{
	TEB teb;

	__builtin_memset(&teb, 0, 0x70);
	teb.NtTib.StackBase = (PVOID)(ULONG_PTR)USER_STACK_TOP;
	teb.NtTib.StackLimit = (PVOID)(ULONG_PTR)(USER_STACK_TOP - USER_STACK_SIZE);
	teb.NtTib.Self = (PNT_TIB)(ULONG_PTR)USER_TEB;
	teb.ClientId = thread->Cid;
	teb.ProcessEnvironmentBlock = (PPEB)(ULONG_PTR)USER_PEB;
	return MmCopyToProcess(process, USER_TEB, &teb, 0x70);
}

static NTSTATUS build_address_space(PEPROCESS process, PCSTR image, PCSTR command_line,
				    struct mm_user_image *main_image)
{
	static const ULONG64 pages[] = { USER_PEB, USER_LDR, USER_PARAMETERS };
	ULONG64 shared = (ULONG64)MmGetPhysicalAddress((PVOID)(ULONG_PTR)KSEG_USER_SHARED).QuadPart;
	struct mm_user_image images[2];
	NTSTATUS status = MmMapUserImage(process, image, &images[0]);

	if (NT_SUCCESS(status))
		status = MmMapUserImage(process, "ntdll.dll", &images[1]);
	if (NT_SUCCESS(status))
		KiSetUserEntryPoints();
	if (NT_SUCCESS(status))
		status = MmAllocateUserMemory(process, USER_STACK_TOP - USER_STACK_SIZE,
					      USER_STACK_SIZE);
	if (NT_SUCCESS(status))
		status = MmAllocateUserMemory(process, USER_PEB, USER_BLOCK_SIZE);
	for (ULONG i = 0; i < RTL_NUMBER_OF(pages) && NT_SUCCESS(status); i++)
		status = build_user_page(process, pages[i], images, 2, command_line);
	if (NT_SUCCESS(status) && !MmMapPage(KiRootOf(&process->Pcb), MM_USER_SHARED_ADDRESS,
					     shared, PTE_USER_RO | PTE_SHARED))
		status = STATUS_INSUFFICIENT_RESOURCES;
	*main_image = images[0];
	return status;
}

NTSTATUS PsCreateUserProcess(PCSTR Image, PCSTR CommandLine, HANDLE *ProcessId)
{
	PEPROCESS process = ExAllocatePoolWithTag(NonPagedPool, sizeof(*process), TAG_PROCESS);
	struct mm_user_image image;
	PETHREAD thread = NULL;
	ULONG64 page_table;
	NTSTATUS status;
	KIRQL irql;

	if (process == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	page_table = MmCreateAddressSpace();
	if (page_table == 0) {
		ExFreePoolWithTag(process, TAG_PROCESS);
		return STATUS_INSUFFICIENT_RESOURCES;
	}
	initialize_process(process, PspAllocateCid(), page_table, Image);
	process->InheritedFromUniqueProcessId = PsGetCurrentProcess()->UniqueProcessId;
	status = build_address_space(process, Image, CommandLine, &image);
	if (NT_SUCCESS(status)) {
		process->SectionBaseAddress = (PVOID)(ULONG_PTR)image.Base;
		process->Peb = (PPEB)(ULONG_PTR)USER_PEB;
		thread = PspCreateThread(process, NULL, NULL, 8);
		status = thread != NULL ? build_teb(process, thread)
					: STATUS_INSUFFICIENT_RESOURCES;
	}
	if (!NT_SUCCESS(status)) {
		MmDeleteAddressSpace(page_table);
		ExFreePoolWithTag(process, TAG_PROCESS);
		return status;
	}
	thread->Tcb.Teb = (PVOID)(ULONG_PTR)USER_TEB;
	thread->Win32StartAddress = (PVOID)(ULONG_PTR)(image.Base + image.EntryRva);
	thread->StartAddress = (PVOID)(ULONG_PTR)MmFindUserExport("ntdll.dll",
								  "RtlUserThreadStart");
	*ProcessId = process->UniqueProcessId;
	irql = KiLockDispatcher();
	InsertTailList(&PsActiveProcessHead, &process->ActiveProcessLinks);
	KiReadyThread(&thread->Tcb);
	KiUnlockDispatcher(irql);
	return STATUS_SUCCESS;
}

/** First kernel code of a program's thread: leave for ntdll!RtlUserThreadStart(entry, PEB). */
NORETURN VOID PspUserThreadStartup(PVOID Context)
{
	PETHREAD thread = PsGetCurrentThread();
	KTRAP_FRAME frame;

	KiInitializeUserFrame(&frame, (ULONG_PTR)thread->StartAddress, USER_STACK_TOP,
			      (ULONG_PTR)thread->Win32StartAddress, USER_PEB);
	thread->Tcb.PreviousMode = UserMode;
	KiReturnToUser(&frame);
}

/* --- ends --- */

/* Dispatcher lock held. */
static VOID terminate(PEPROCESS process, NTSTATUS exit_status)
{
	process->ExitStatus = exit_status;
	for (PLIST_ENTRY at = process->ThreadListHead.Flink; at != &process->ThreadListHead;
	     at = at->Flink) {
		PETHREAD thread = CONTAINING_RECORD(at, ETHREAD, ThreadListEntry);

		thread->Tcb.TerminationRequest = 1;
		if (thread->Tcb.State == Waiting)
			KiUnwaitThread(&thread->Tcb, STATUS_UNSUCCESSFUL);
	}
}

NTSTATUS PspTerminateProcess(PEPROCESS Process, NTSTATUS ExitStatus)
{
	KIRQL irql;

	if (Process == PsInitialSystemProcess || Process == PsIdleProcess)
		return STATUS_INVALID_PARAMETER;
	irql = KiLockDispatcher();
	terminate(Process, ExitStatus);
	KiUnlockDispatcher(irql);
	return STATUS_SUCCESS;
}

/** By the reaper, after the last thread is gone. */
VOID PspDeleteProcess(PEPROCESS Process)
{
	MmDeleteAddressSpace(KiRootOf(&Process->Pcb));
	RtlLog("ps: %s (%u) ended with status 0x%08x\n", Process->ImageFileName,
	       (ULONG)(ULONG_PTR)Process->UniqueProcessId, (ULONG)Process->ExitStatus);
	ExFreePoolWithTag(Process, TAG_PROCESS);
}

HANDLE PsGetProcessId(PEPROCESS Process)
{
	return Process->UniqueProcessId;
}

static BOOLEAN same_name(PCSTR a, PCSTR b)
{
	ULONG i = 0;

	while (i < 14 && a[i] != '\0' && a[i] == b[i])
		i++;
	return i == 14 || a[i] == b[i];
}

NTSTATUS PsTerminateProcessByName(PCSTR ImageFileName, NTSTATUS ExitStatus)
{
	NTSTATUS status = STATUS_OBJECT_NAME_NOT_FOUND;
	KIRQL irql = KiLockDispatcher();

	for (PLIST_ENTRY at = PsActiveProcessHead.Flink;
	     at != &PsActiveProcessHead && !NT_SUCCESS(status); at = at->Flink) {
		PEPROCESS process = CONTAINING_RECORD(at, EPROCESS, ActiveProcessLinks);

		if (process != PsInitialSystemProcess &&
		    same_name(process->ImageFileName, ImageFileName)) {
			terminate(process, ExitStatus);
			status = STATUS_SUCCESS;
		}
	}
	KiUnlockDispatcher(irql);
	return status;
}
