/* SPDX-License-Identifier: MIT */
/* What exceptions mean on x86, and the interrupts' way to their routines. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntmm.h"

#define UNEXPECTED_KERNEL_MODE_TRAP  0x7Fu
#define PAGE_FAULT_IN_NONPAGED_AREA  0x50u
#define STATUS_ARRAY_BOUNDS_EXCEEDED ((NTSTATUS)0xC000008C)
#define STATUS_FLOAT_INVALID         ((NTSTATUS)0xC0000090)
#define STATUS_FLOAT_MULTIPLE_TRAPS  ((NTSTATUS)0xC00002B4)
#define STATUS_STACK_BUFFER_OVERRUN  ((NTSTATUS)0xC0000409)

enum {
	TRAP_DEBUG = 1,
	TRAP_BREAKPOINT = 3,
	TRAP_PROTECTION = 13,
	TRAP_PAGE_FAULT = 14,
	TRAP_FAIL_FAST = 0x29,
	TRAP_ASSERTION = 0x2C,
	TRAP_DEBUG_SERVICE = 0x2D,
};

VOID KiTrapHandler(ULONG Vector, PKTRAP_FRAME TrapFrame);
VOID KiInterruptHandler(ULONG Number, PKTRAP_FRAME TrapFrame);
NORETURN VOID KiTaskTrap(ULONG Code, PKTSS Tss);
extern const UCHAR KiFastCallEntry[] __asm__("_KiFastCallEntry@0");
extern const UCHAR KiFastCallEntry2[] __asm__("_KiFastCallEntry2@0");

/* --- exceptions --- */

struct parameters {
	ULONG Count;
	ULONG_PTR Value[3];
};

static VOID raise(PKTRAP_FRAME tf, NTSTATUS code, struct parameters p)
{
	EXCEPTION_RECORD record = {
		.ExceptionCode = code,
		.ExceptionAddress = (PVOID)(ULONG_PTR)tf->Eip,
		.NumberParameters = p.Count,
		.ExceptionInformation = { p.Value[0], p.Value[1], p.Value[2] },
	};

	KiDispatchException(&record, NULL, tf, TRAP_IS_USER(tf) ? UserMode : KernelMode, TRUE);
}

static VOID page_fault(PKTRAP_FRAME tf, ULONG_PTR address)
{
	/* error code bits: 1 write, 4 fetch -> access 0 read, 1 write, 8 execute */
	ULONG_PTR access = (tf->ErrCode >> 1 & 1) | (tf->ErrCode >> 1 & 8);
	ULONG code = MmAccessFault(tf, address);

	if (code == 0)
		return;
	if (code == 1)
		raise(tf, STATUS_ACCESS_VIOLATION, (struct parameters){ 2, { access, address } });
	else if (code == PAGE_FAULT_IN_NONPAGED_AREA)
		KeBugCheckEx(code, address, access, tf->Eip, 0);
	else
		KeBugCheckEx(code, address, KeGetCurrentIrql(), access, tf->Eip);
}

static VOID protection_fault(PKTRAP_FRAME tf)
{
	/* No address is known: all ones, as on NT. */
	raise(tf, KiProtectionFaultStatus(tf), (struct parameters){ 2, { 0, ~(ULONG_PTR)0 } });
}

/* Faults that become an exception without parameters at the interrupted instruction. */
static const struct {
	UCHAR Vector;
	NTSTATUS Code;
} KiSimpleFaults[] = {
	{ 0, STATUS_INTEGER_DIVIDE_BY_ZERO },
	{ TRAP_DEBUG, STATUS_SINGLE_STEP },
	{ 4, STATUS_INTEGER_OVERFLOW },
	{ 5, STATUS_ARRAY_BOUNDS_EXCEEDED },
	{ 6, STATUS_ILLEGAL_INSTRUCTION },
	{ 16, STATUS_FLOAT_INVALID },
	{ 17, STATUS_DATATYPE_MISALIGNMENT },
	{ 19, STATUS_FLOAT_MULTIPLE_TRAPS },
	{ TRAP_ASSERTION, STATUS_ASSERTION_FAILURE },
};

static VOID simple_fault(ULONG vector, PKTRAP_FRAME tf)
{
	for (ULONG i = 0; i < RTL_NUMBER_OF(KiSimpleFaults); i++) {
		if (KiSimpleFaults[i].Vector == vector) {
			raise(tf, KiSimpleFaults[i].Code, (struct parameters){ 0 });
			return;
		}
	}
	/* After these nothing can be trusted. */
	KeBugCheckEx(UNEXPECTED_KERNEL_MODE_TRAP, vector, tf->ErrCode, tf->Eip,
		     (ULONG_PTR)&tf->HardwareEsp);
}

/* Whoever steps into SYSENTER traps on its first instruction here: the step is to end in user mode,
 * behind the system call. */
static BOOLEAN is_entry_trap(ULONG vector, PKTRAP_FRAME tf)
{
	if (vector != TRAP_DEBUG || tf->Eip != (ULONG)(ULONG_PTR)KiFastCallEntry)
		return FALSE;
	tf->Eip = (ULONG)(ULONG_PTR)KiFastCallEntry2;
	tf->EFlags &= ~EFLAGS_TF;
	return TRUE;
}

static BOOLEAN is_foreseen(ULONG vector, PKTRAP_FRAME tf)
{
	return is_entry_trap(vector, tf) ||
	       ((vector == TRAP_PROTECTION || vector == TRAP_PAGE_FAULT) && KiRecoverFault(tf));
}

/** Interrupts are off. */
VOID KiTrapHandler(ULONG Vector, PKTRAP_FRAME TrapFrame)
{
	PKTRAP_FRAME tf = TrapFrame;
	ULONG_PTR cr2 = KiReadCr2();

	if (is_foreseen(Vector, tf))
		return;
	if ((tf->EFlags & EFLAGS_IF) != 0)
		KiEnableInterrupts();
	switch (Vector) {
	case TRAP_BREAKPOINT: /* the reported address is that of the int3 itself */
		tf->Eip--;
		raise(tf, STATUS_BREAKPOINT, (struct parameters){ 1, { BREAKPOINT_BREAK } });
		break;
	case TRAP_DEBUG_SERVICE:
		raise(tf, STATUS_BREAKPOINT,
		      (struct parameters){ 3, { tf->Eax, tf->Ecx, tf->Edx } });
		break;
	case TRAP_ASSERTION:
		tf->Eip -= 2;
		simple_fault(Vector, tf);
		break;
	case TRAP_FAIL_FAST:
		tf->Eip -= 2;
		raise(tf, STATUS_STACK_BUFFER_OVERRUN, (struct parameters){ 1, { tf->Ecx } });
		break;
	case TRAP_PROTECTION: protection_fault(tf); break;
	case TRAP_PAGE_FAULT: page_fault(tf, cr2); break;
	default: simple_fault(Vector, tf); break;
	}
}

/** Double fault and NMI, on the stacks of their task gates. */
NORETURN VOID KiTaskTrap(ULONG Code, PKTSS Tss)
{
	if (Code == UNEXPECTED_KERNEL_MODE_TRAP)
		KeBugCheckEx(Code, 8, (ULONG_PTR)Tss, Tss->Eip, Tss->Esp);
	KeBugCheckEx(Code, Tss->Eip, 0, 0, 0);
}

/* --- interrupts --- */

static VOID device0(PKTRAP_FRAME tf)
{
	KiDeviceInterruptNotify(tf, 0);
}

static VOID device1(PKTRAP_FRAME tf)
{
	KiDeviceInterruptNotify(tf, 1);
}

static VOID device2(PKTRAP_FRAME tf)
{
	KiDeviceInterruptNotify(tf, 2);
}

static VOID device3(PKTRAP_FRAME tf)
{
	KiDeviceInterruptNotify(tf, 3);
}

static const struct {
	KIRQL Irql;
	VOID (*Routine)(PKTRAP_FRAME);
} KiInterrupts[] = {
	{ DISPATCH_LEVEL, KiDispatchInterrupt },
	{ CLOCK_LEVEL, KeClockInterruptNotify },
	{ IPI_LEVEL, KiIpiServiceRoutine },
	{ KI_DEVICE_IRQL, device0 },
	{ KI_DEVICE_IRQL, device1 },
	{ KI_DEVICE_IRQL, device2 },
	{ KI_DEVICE_IRQL, device3 },
};

VOID KiInterruptHandler(ULONG Number, PKTRAP_FRAME TrapFrame)
{
	KIRQL old = KfRaiseIrql(KiInterrupts[Number].Irql);

	KeGetCurrentPrcb()->InterruptedIrql = old;
	KiInterrupts[Number].Routine(TrapFrame);
	KiDisableInterrupts();
	KfLowerIrql(old);
}

/* There is no exception frame to make. */
VOID KiIpiWithExceptionFrame(PKTRAP_FRAME TrapFrame)
{
	KiFreezeTargetExecution(TrapFrame, NULL);
}
