/* SPDX-License-Identifier: MIT */
/*
 * The border between the kernel and its debugger support (ntos/kd). First half: what ntos/kd
 * provides and who calls it when. Second half: what the rest of the kernel provides for it.
 *
 * Conventions shared by both sides:
 * Registers are named as on x64; x86 has eip for rip, and services take ecx, edx, ebx, edi.
 *
 *  - int 3 (KiBreakpointTrap): code STATUS_BREAKPOINT, one parameter = BREAKPOINT_BREAK, Rip in the
 *    CONTEXT is the address OF the int3.
 *  - int 2Dh (KiDebugServiceTrap): code STATUS_BREAKPOINT, parameters {service, rcx, rdx}, Rip is
 *    the address after `int 2Dh`, where an int3 stands; KD advances Rip by 1 over it when the
 *    debugger has not changed it. r8 and r9 of the CONTEXT carry arguments 3 and 4; rax is the
 *    return value. Services below.
 *  - int 2Ch (KiRaiseAssertion): STATUS_ASSERTION_FAILURE, Rip is the address of the int 2Ch.
 *  - A frozen CPU has its state in KiProcessorBlock[n]->ProcessorState, and takes it back from
 * there when thawed. The stopped CPU's CONTEXT is the one handed to KiDebugRoutine; its control
 *    registers are in its own PRCB's ProcessorState.SpecialRegisters between freeze and thaw.
 */
#ifndef KD_DEMO_KD_H
#define KD_DEMO_KD_H

#include "guest/demo/inc/loader_block.h"
#include "guest/demo/ntos/inc/kdservice.h"
#include "guest/demo/ntos/inc/ntke.h"
#include "guest/demo/ntos/inc/ntldr.h"

#define DBG_STATUS_CONTROL_C       1
#define DBG_STATUS_BUGCHECK_FIRST  3
#define DBG_STATUS_BUGCHECK_SECOND 4
#define DBG_STATUS_FATAL           5
#define DBG_STATUS_WORKER          7

#define KD_REBOOT ((PVOID)(LONG_PTR)-1) /* BaseOfDll of the last unload before a reset */

typedef struct _KD_SYMBOLS_INFO {
	PVOID BaseOfDll;
	ULONG_PTR ProcessId;
	ULONG CheckSum;
	ULONG SizeOfImage;
} KD_SYMBOLS_INFO, *PKD_SYMBOLS_INFO;

/* ============================ provided by ntos/kd =========================================== */

extern BOOLEAN KdDebuggerEnabled;
extern BOOLEAN KdDebuggerNotPresent;
extern BOOLEAN KdPitchDebugger;

/**
 * Phase 0: called by KiInitializeKernel of processor 0 as soon as traps, the PRCB and the HAL's
 * phase 0 work, and PsLoadedModuleList holds the boot images: before MmInitSystem, interrupts off,
 * IRQL HIGH_LEVEL, no pool. Looks for /DEBUG in LoadOptions, starts the transport, reports kernel
 * and HAL, breaks in when asked to (/BREAK). Phase 1: called by Phase1Initialization on a
 * thread, PASSIVE_LEVEL, all processors running, pool usable.
 * A NULL loader block is a late enable at bugcheck.
 */
BOOLEAN KdInitSystem(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock);

/**
 * The exception hook (KiDebugRoutine of NT): KiDispatchException calls it first and, when nobody
 * handled the exception, a second time. Interrupts and IRQL as at the trap.
 * @return TRUE: handled, resume with *Context; FALSE: go on looking for a handler.
 */
BOOLEAN KdTrap(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
	       PEXCEPTION_RECORD ExceptionRecord, PCONTEXT Context, KPROCESSOR_MODE PreviousMode,
	       BOOLEAN SecondChance);

/**
 * Called on a frozen CPU that KeSwitchFrozenProcessor woke: report STATUS_WAKE_SYSTEM_DEBUGGER for
 * this CPU with *Context (its PRCB's ContextFrame), serve requests until the debugger continues.
 * On return this CPU freezes again and the owner of the stop reports its own stop once more.
 */
VOID KdSwitchProcessor(PCONTEXT Context);

/** Every clock tick of the clock owner (CPU 0), at CLOCK_LEVEL, interrupts off: poll for a break-in
 * byte and, if there was one, DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C). */
VOID KdCheckForDebugBreak(VOID);

/** Poll without breaking: TRUE if a break-in is waiting. */
BOOLEAN KdPollBreakIn(VOID);

/** Bugcheck: print the banner through KD (enabling KD late if it was not on). The other CPUs are
 * halted for good. The caller then breaks with DBG_STATUS_BUGCHECK_FIRST. */
VOID KdBugCheckBanner(ULONG Code, const ULONG_PTR Parameters[4]);

/** Debug services, built on int 2Dh (DebugPrint and friends below). */
ULONG DbgPrompt(PCSTR Prompt, PCHAR Response, ULONG Length);
VOID DbgLoadImageSymbols(PSTRING FileName, PVOID ImageBase, ULONG_PTR ProcessId);
VOID DbgUnLoadImageSymbols(PSTRING FileName, PVOID ImageBase, ULONG_PTR ProcessId);
VOID DbgCommandString(PSTRING Name, PSTRING Command);

/* ============================ provided to ntos/kd =========================================== */

/* amd64/debugserv.S, x86/debugserv_x86.S: each is `int 2Dh; int 3; ret` with the service number in
 * eax. */
NTSTATUS DebugPrint(PSTRING Output, ULONG ComponentId, ULONG Level);
ULONG DebugPrompt(PSTRING Output, PSTRING Input);
NTSTATUS DebugService2(PVOID Argument1, PVOID Argument2, ULONG Service);
VOID DbgBreakPoint(VOID);
VOID DbgBreakPointWithStatus(ULONG Status);          /* in ecx (x86: eax) at the int3 */
extern const UCHAR RtlpBreakWithStatusInstruction[]; /* that int3: KDBG.BreakpointWithStatus */

/**
 * Stop every other CPU (each saves its context and special registers in its PRCB, clears DR7 and
 * halts until an IPI), save and disarm this CPU's debug registers, disable interrupts.
 * Blocks while another CPU owns a stop, answering that CPU's freeze meanwhile.
 * @return whether interrupts were enabled: hand it to KeThawExecution.
 */
BOOLEAN KeFreezeExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);

/** Undo it: reload special registers from the PRCBs, let the other CPUs go on with what their
 * ContextFrame holds now. */
VOID KeThawExecution(BOOLEAN Enable);

/**
 * Between freeze and thaw: let processor Number talk to the debugger (KdSwitchProcessor runs
 * there), halt this one until it is given the word back.
 * For the owner of the stop; on a CPU that was switched to, KD remembers where to go next and
 * returns from KdSwitchProcessor, so that the owner goes on from there.
 * @return FALSE: no such processor, or it is this one.
 */
BOOLEAN KeSwitchFrozenProcessor(ULONG Number);

/* Control registers, descriptor tables, DRs and MSRs of this CPU to and from a processor state.
 * Restore writes DR0-3, DR6, DR7 and CR2; CR0, CR3, CR4, CR8, tables and MSRs only if changed. */
VOID KiSaveProcessorControlState(PKPROCESSOR_STATE State);
VOID KiRestoreProcessorControlState(PKPROCESSOR_STATE State);

VOID KeContextFromKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
			  PCONTEXT Context);
VOID KeContextToKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PCONTEXT Context,
			ULONG ContextFlags, KPROCESSOR_MODE PreviousMode);

#define MMDBG_COPY_WRITE    1u /* buffer -> Address; otherwise Address -> buffer */
#define MMDBG_COPY_PHYSICAL 2u /* Address is physical */

/**
 * Copy without ever faulting or paging: each page is looked up in the page tables of the current
 * CR3 first. Writes reach read-only pages too. Physical addresses outside RAM fail.
 * @param[out] Copied  bytes copied before the first page that could not be reached.
 * @return STATUS_SUCCESS, or STATUS_UNSUCCESSFUL when *Copied < Size.
 */
NTSTATUS MmDbgCopyMemory(ULONG64 Address, PVOID Buffer, ULONG Size, ULONG Flags, PULONG Copied);

/** The PTE (or large PDE) that maps Address in the current CR3, 0 if none; for QueryMemory. */
ULONG64 MmDbgTranslate(ULONG64 Address);

/** RDMSR/WRMSR that survive #GP. */
BOOLEAN KiReadMsrSafe(ULONG Msr, PULONG64 Value);
BOOLEAN KiWriteMsrSafe(ULONG Msr, ULONG64 Value);

/** Reset the machine; does not return. */
NORETURN VOID HalReturnToFirmware(ULONG Action);
#define HalRebootRoutine 3

/** KeBugCheckEx, for DbgKdCauseBugCheckApi and friends. */
NORETURN VOID KeBugCheckEx(ULONG Code, ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4);
#define MANUALLY_INITIATED_CRASH 0xE2u

/** One line of text to the screen and the debug console (port 0xE9), never to COM1. */
VOID HalDisplayString(PCSTR Text);

extern ULONG_PTR KiBugCheckData[5]; /* code, P1..P4 */
extern ULONG NtGlobalFlag;          /* 1 = FLG_STOP_ON_EXCEPTION */
extern const CHAR NtBuildLab[];
extern ULONG NtBuildNumber;
extern ULONG64 MmNumberOfPhysicalPages, MmLowestPhysicalPage, MmHighestPhysicalPage;
extern ULONG_PTR MmHighestUserAddress, MmSystemRangeStart, MmUserProbeAddress;
extern LIST_ENTRY PsActiveProcessHead;

/* KUSER_SHARED_DATA.KdDebuggerEnabled */
#define SHARED_KD_ENABLED          1
#define SHARED_KD_PRESENT          2 /* kept up to date by the transport */
#define SHARED_KD_DEBUGGER_ENABLED ((volatile UCHAR *)(KSEG_USER_SHARED + 0x2D4))

#endif
