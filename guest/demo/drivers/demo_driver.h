/* SPDX-License-Identifier: MIT */
/*
 * demo.sys: does what a debugger's user asks for. Write a number of enum DEMO_COMMAND into
 * demo!DemoCommand (and an argument into demo!DemoArgument first); its thread looks every tick,
 * runs the command, puts the outcome into demo!DemoResult, counts demo!DemoCounter up and sets
 * demo!DemoCommand back to 0. Numbers are fixed: scripts use them. docs/demo-guest.md lists them.
 */
#ifndef KD_DEMO_DRIVER_H
#define KD_DEMO_DRIVER_H

#include "guest/demo/inc/nt_driver.h"

typedef enum _DEMO_COMMAND {
	DemoIdle = 0,
	DemoReadFaultHandled = 1, /* read DemoArgument inside ExTryCall: result = exception code */
	DemoReadFaultUnhandled = 2, /* read DemoArgument (user range): bugcheck 1E when let go */
	DemoDivide = 3,             /* 1 / DemoArgument inside ExTryCall */
	DemoBreakpoint = 4,         /* a hard-coded int3 */
	DemoAssertion = 5,          /* int 2Ch */
	DemoPrint = 6,              /* DemoArgument lines of DbgPrint */
	DemoPrompt = 7,             /* DbgPrompt; result = length of the answer in DemoText */
	DemoBugCheck = 8,           /* KeBugCheckEx(DemoArgument, 1, 2, 3, 4) */
	DemoLoadDriver = 9,         /* late.sys; result = NTSTATUS */
	DemoUnloadDriver = 10,
	DemoRecurse = 11, /* DemoArgument levels deep; result = levels */
	DemoReboot = 12,
	DemoUserCommand = 13,        /* hand DemoArgument to the next program that asks (enum in
					user/user.h); result 0 */
	DemoStartProgram = 14,       /* start worker.exe (argument 0) or pinger.exe (1) once more */
	DemoWriteFault = 15,         /* write to DemoArgument inside ExTryCall */
	DemoPoolFault = 16,          /* touch freed system space at IRQL 2: bugcheck D1 */
	DemoIllegalInstruction = 17, /* ud2 inside ExTryCall */
	DemoStackOverflow = 18,      /* recursion without end: double fault, bugcheck 7F */
	DemoKillProgram = 19,        /* end worker.exe (argument 0), pinger.exe (1), bulk.exe (2) or
					webserv.exe (3); NTSTATUS */
	DemoCallWork = 20,           /* call DemoWork DemoArgument times; result = calls */
	DemoLoadNetprobe = 21,       /* load netprobe.sys (argument 1), unload it (0); NTSTATUS */
	DemoCommandCount = 22,
} DEMO_COMMAND;

extern volatile ULONG DemoCommand;
extern volatile ULONG64 DemoArgument;
extern volatile ULONG64 DemoResult;
extern volatile ULONG DemoCounter;  /* commands done */
extern volatile ULONG DemoTicks;    /* calls of DemoTick */
extern volatile ULONG DemoLastWork; /* what DemoWork returned last */
extern CHAR DemoText[64];

/* Called once a tick, so that breakpoints here hit soon. DemoTick calls DemoWork. */
ULONG DemoTick(ULONG Count, ULONG64 Ticks);
ULONG DemoWork(ULONG Seed, ULONG Rounds);
ULONG DemoRecursion(ULONG Level, ULONG Depth);

ULONG64 DemoRun(DEMO_COMMAND Command, ULONG64 Argument);

#endif
