/* SPDX-License-Identifier: MIT */
/*
 * The order of things. Phase 0 on the boot stack, which becomes the idle thread of processor 0;
 * phase 1 on a thread of System.
 */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntio.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/ntshared.h"
#include "guest/demo/ntos/inc/psp.h"
#include "guest/demo/ntos/inc/rtl.h"

PLOADER_PARAMETER_BLOCK KeLoaderBlock;
ULONG NtBuildNumber = NT_BUILD;
ULONG NtGlobalFlag;
/* The mapping slots stay 0 until the memory manager runs, as on a real x64. */
HAL_PRIVATE_DISPATCH HalPrivateDispatchTable = { [HAL_PRIVATE_VERSION] = 21 };
const CHAR NtBuildLab[] = NT_BUILD_LAB;

INIT_FUNCTION static VOID fill_shared_data(VOID)
{
	static const WCHAR root[] = L"C:\\Windows";
	volatile KUSER_SHARED_DATA *shared = KI_USER_SHARED_DATA;

	for (ULONG i = 0; i < RTL_NUMBER_OF(root); i++)
		shared->NtSystemRoot[i] = root[i];
	/* what drivers read before the clock ticks */
	shared->SystemTime.High1Time = shared->SystemTime.High2Time = (LONG)(PsBootTime >> 32);
	shared->SystemTime.LowPart = (ULONG)PsBootTime;
	shared->NtBuildNumber = NtBuildNumber; /* Windows 10 and later */
	shared->NtProductType = 1;
	shared->ProductTypeIsValid = TRUE;
	shared->NativeProcessorArchitecture = NT_CPU(0, 9);
	shared->NtMajorVersion = NT_MAJOR_VERSION;
	shared->NtMinorVersion = NT_MINOR_VERSION;
	shared->NumberOfPhysicalPages = (ULONG)MmNumberOfPhysicalPages;
	shared->TickCountMultiplier = (ULONG)(((ULONG64)KeTimeIncrement << 24) / 10000);
	shared->ActiveProcessorCount = 1;
}

/* CMOS clock to FILETIME, near enough: the RTC is read once. */
INIT_FUNCTION static ULONG64 read_boot_time(VOID)
{
	static const USHORT days_before[] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334
	};
	static const UCHAR index[] = { 0x09, 0x08, 0x07, 0x04, 0x02, 0x00 };
	ULONG v[6];
	ULONG year, days;

	for (ULONG i = 0; i < 6; i++) {
		UCHAR b;

		__outbyte(0x70, index[i]);
		b = __inbyte(0x71);
		v[i] = (ULONG)(b >> 4) * 10 + (b & 15u);
	}
	if (v[1] < 1 || v[1] > 12)
		return 0;
	year = 2000 + v[0];
	days = (year - 1601) * 365 + (year - 1601) / 4 - (year - 1601) / 100 + (year - 1601) / 400;
	days += days_before[v[1] - 1] + v[2] - 1;
	if (v[1] > 2 && year % 4 == 0)
		days++;
	return ((((ULONG64)days * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 10000000;
}

static VOID report(PCSTR what, NTSTATUS status)
{
	if (!NT_SUCCESS(status))
		RtlLog("init: %s could not be started, status 0x%08x\n", what, (ULONG)status);
}

static VOID Phase1Initialization(PVOID Context)
{
	HANDLE pid;

	HalInitSystem(1, KeLoaderBlock);
	HalInitializeProcessor(0);
	HalStartProfileClock(KI_VECTOR_CLOCK, KI_CLOCK_HZ);
	KeStartAllProcessors();
	RtlLog("ke: %u processor(s), %u MB of memory\n", KeNumberProcessors,
	       (ULONG)(MmNumberOfPhysicalPages >> 8));
	KdInitSystem(1, KeLoaderBlock);
	report("the reaper", PspStartSystemThread(PspReaperThread, NULL, 12));
	IoInitSystem();
	MmFreeInitSections();
	report("worker.exe", PsCreateUserProcess("worker.exe", "worker.exe", &pid));
	report("pinger.exe", PsCreateUserProcess("pinger.exe", "pinger.exe /forever", &pid));
	RtlLog("init: system is up%s\n",
	       KdDebuggerEnabled ? KdDebuggerNotPresent ? ", debugging enabled, no debugger yet"
							: ", debugger attached"
				 : ", no debugging");
	PsTerminateSystemThread(STATUS_SUCCESS);
}

VOID KiInitializeKernel(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	KeLoaderBlock = LoaderBlock;
	KiInitializeBootProcessor();
	KfRaiseIrql(HIGH_LEVEL);
	PsInitializeSystem();
	PsInitializeIdleThread(KiPrcbOf(&KiInitialPCR), (PVOID)LoaderBlock->KernelStack,
			       LoaderBlock->Extension->boot_stack_size);
	MiInitializeLoadedModuleList(LoaderBlock);
	HalInitSystem(0, LoaderBlock);
	RtlLog("OpenKD demo guest, NT %u.%u build %u " NT_MACHINE_NAME ", options: %s\n",
	       NT_MAJOR_VERSION, NT_MINOR_VERSION, NtBuildNumber, LoaderBlock->LoadOptions);
	PsBootTime = read_boot_time();
	KdInitSystem(0, LoaderBlock);
	MmInitSystem(LoaderBlock);
	fill_shared_data();
	KeLowerIrql(PASSIVE_LEVEL);
	if (!NT_SUCCESS(PspStartSystemThread(Phase1Initialization, NULL, 8)))
		KeBugCheckEx(0x32, 0, 0, 0, 0); /* PHASE1_INITIALIZATION_FAILED */
	/* Nothing can interrupt us yet: give the processor away once, by hand. */
	KiLockDispatcher();
	KiPrcbOf(&KiInitialPCR)->CurrentThread->State = Ready;
	KiSwapThread();
	KiUnlockDispatcher(PASSIVE_LEVEL);
	KiStartIdle((PVOID)LoaderBlock->KernelStack, KiIdleLoop);
}
