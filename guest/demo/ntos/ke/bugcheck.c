/* SPDX-License-Identifier: MIT */
/* The end: KeBugCheckEx, and leaving in an orderly way. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/rtl.h"

ULONG_PTR KiBugCheckData[5];
static volatile ULONG KiBugCheckOwner = ~0u;

static NORETURN VOID halt_forever(VOID)
{
	for (;;) {
		/* IPIs still come in, so a debugger that stops the machine finds us. */
		KiSetIrql(CLOCK_LEVEL);
		__asm__ volatile("sti; hlt" : : : "memory");
	}
}

static VOID draw_screen(VOID)
{
	CHAR line[160];

	RtlStringPrint(line, sizeof(line), "\n*** STOP: 0x%08x (0x%p, 0x%p, 0x%p, 0x%p)\n",
		       (ULONG)KiBugCheckData[0], (PVOID)KiBugCheckData[1], (PVOID)KiBugCheckData[2],
		       (PVOID)KiBugCheckData[3], (PVOID)KiBugCheckData[4]);
	HalDisplayString(line);
}

static VOID KiBugCheckDebugBreak(ULONG Status)
{
	if (KdDebuggerEnabled && !KdDebuggerNotPresent)
		DbgBreakPointWithStatus(Status);
}

NORETURN VOID KeBugCheckEx(ULONG Code, ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4)
{
	ULONG self = KeGetCurrentProcessorNumber();
	ULONG none = ~0u;

	RtlCaptureContext(&KeGetCurrentPrcb()->ProcessorState.ContextFrame);
	KfRaiseIrql(HIGH_LEVEL);
	if (!__atomic_compare_exchange_n(&KiBugCheckOwner, &none, self, FALSE, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST)) {
		if (none == self) /* a crash in the crash */
			HalReturnToFirmware(HalRebootRoutine);
		halt_forever();
	}
	KiBugCheckData[0] = Code;
	KiBugCheckData[1] = P1;
	KiBugCheckData[2] = P2;
	KiBugCheckData[3] = P3;
	KiBugCheckData[4] = P4;
	draw_screen(); /* first: finding out that no debugger is there takes seconds */
	if (Code != MANUALLY_INITIATED_CRASH) { /* the debugger knows that it asked for this one */
		KdBugCheckBanner(Code, &KiBugCheckData[1]);
		KiBugCheckDebugBreak(DBG_STATUS_BUGCHECK_FIRST);
	}
	KiDisableInterrupts();
	KiBugCheckDebugBreak(DBG_STATUS_BUGCHECK_SECOND);
	if (KdDebuggerEnabled && !KdDebuggerNotPresent)
		ExShutdownSystem();
	HalDisplayString("System halted.\n");
	halt_forever();
}

/** Tell the debugger that everything is about to vanish, then reset. */
VOID ExShutdownSystem(VOID)
{
	HalDisplayString("System is restarting.\n");
	DbgUnLoadImageSymbols(NULL, KD_REBOOT, 0);
	HalReturnToFirmware(HalRebootRoutine);
}
