/* SPDX-License-Identifier: MIT */
/* Thread stacks, the processor state that follows a thread, and the way into user mode. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/ntshared.h"

#define EXCEPTION_CHAIN_END ((PVOID)(LONG_PTR)-1)

VOID KiInitializePcr(PKPCR Pcr, ULONG Number)
{
	Pcr->NtTib.ExceptionList = EXCEPTION_CHAIN_END;
	Pcr->SelfPcr = Pcr;
	Pcr->Prcb = &Pcr->PrcbData;
	Pcr->MajorVersion = 1;
	Pcr->MinorVersion = 1;
	Pcr->Number = (UCHAR)Number;
	Pcr->SetMember = 1u << Number;
	Pcr->PrcbData.MajorVersion = 1;
	Pcr->PrcbData.MinorVersion = 1;
	Pcr->PrcbData.Number = (UCHAR)Number;
	Pcr->PrcbData.SetMember = 1u << Number;
	Pcr->PrcbData.Context = &Pcr->PrcbData.ProcessorState.ContextFrame;
}

/* What KiStartSystemThread finds at its esp: the arguments of KiThreadStartup. */
struct start_frame {
	ULONG SystemRoutine;
	ULONG StartRoutine;
	ULONG StartContext;
	ULONG Return; /* 0: the end of the stack */
};

VOID KiInitializeThreadStack(PKTHREAD Thread, PVOID StartRoutine, PVOID StartContext)
{
	PUCHAR top = (PUCHAR)Thread->InitialStack - KERNEL_STACK_TOP;
	struct start_frame *start = (struct start_frame *)top - 1;
	PKSWITCHFRAME sw = (PKSWITCHFRAME)start - 1;

	__builtin_memset(sw, 0, sizeof(*sw) + sizeof(*start));
	start->StartRoutine = (ULONG)(ULONG_PTR)StartRoutine;
	start->StartContext = (ULONG)(ULONG_PTR)StartContext;
	sw->ExceptionList = (ULONG)(ULONG_PTR)EXCEPTION_CHAIN_END;
	sw->RetAddr = (ULONG)(ULONG_PTR)KiStartSystemThread;
	Thread->KernelStack = sw;
}

static VOID set_teb(PKPCR pcr, PVOID teb)
{
	PKGDTENTRY entry = &pcr->GDT[KGDT_R3_TEB / 8];
	ULONG base = (ULONG)(ULONG_PTR)teb;

	entry->BaseLow = (USHORT)base;
	entry->BaseMid = (UCHAR)(base >> 16);
	entry->BaseHi = (UCHAR)(base >> 24);
	pcr->NtTib.Self = teb;
}

VOID KiSetThreadMachine(PKTHREAD Thread)
{
	PKPCR pcr = KeGetPcr();

	pcr->TSS->Esp0 = (ULONG)(ULONG_PTR)Thread->InitialStack - KERNEL_STACK_TOP;
	pcr->TSS->CR3 = (ULONG)KiRootOf(Thread->Process);
	if (Thread->Teb != NULL)
		set_teb(pcr, Thread->Teb);
}

/* --- user mode --- */

VOID KiInitializeUserFrame(PKTRAP_FRAME TrapFrame, ULONG64 Start, ULONG64 Stack, ULONG64 Argument1,
			   ULONG64 Argument2)
{
	const ULONG arguments[] = { 0, (ULONG)Argument1, (ULONG)Argument2 }; /* no way back */
	ULONG esp = (ULONG)Stack - 0x40;

	KiCopySafe((PVOID)(ULONG_PTR)esp, arguments, sizeof(arguments));
	__builtin_memset(TrapFrame, 0, sizeof(*TrapFrame));
	TrapFrame->Eip = (ULONG)Start;
	TrapFrame->SegCs = KGDT_R3_CODE | RPL_MASK;
	TrapFrame->SegDs = KGDT_R3_DATA | RPL_MASK;
	TrapFrame->SegEs = KGDT_R3_DATA | RPL_MASK;
	TrapFrame->SegFs = KGDT_R3_TEB | RPL_MASK;
	TrapFrame->HardwareSegSs = KGDT_R3_DATA | RPL_MASK;
	TrapFrame->EFlags = EFLAGS_IF | 2;
	TrapFrame->HardwareEsp = esp;
	TrapFrame->ExceptionList = (ULONG)(ULONG_PTR)EXCEPTION_CHAIN_END;
}

/* ntdll's stubs call through the shared page, and SYSENTER comes back to where that says. */
VOID KiSetUserEntryPoints(VOID)
{
	KI_USER_SHARED_DATA->SystemCall = (ULONG)MmFindUserExport("ntdll.dll", "KiFastSystemCall");
	KI_USER_SHARED_DATA->SystemCallReturn = (ULONG)MmFindUserExport("ntdll.dll",
									"KiFastSystemCallRet");
}

typedef ULONG_PTR SERVICE(ULONG_PTR A1, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4);
ULONG_PTR KiSystemServiceCall(SERVICE *Service, PKTRAP_FRAME TrapFrame);

/** The arguments lie on the user's stack, above two return addresses. */
ULONG_PTR KiSystemServiceCall(SERVICE *Service, PKTRAP_FRAME TrapFrame)
{
	ULONG_PTR a[4] = { 0 };

	if (TrapFrame->HardwareEsp <= MM_HIGHEST_USER - 8)
		MmCopyFromUser(a, TrapFrame->HardwareEsp + 8, sizeof(a));
	return Service(a[0], a[1], a[2], a[3]);
}
