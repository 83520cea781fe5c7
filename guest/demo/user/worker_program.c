/* SPDX-License-Identifier: MIT */
/* worker.exe: counts primes, a slice at a time, and says now and then on which processor. */
#include "guest/demo/user/user.h"

volatile ULONG64 WorkerPrimes;
volatile ULONG64 WorkerCandidate = 2;
volatile ULONG WorkerRounds;
volatile BOOLEAN WorkerSpins;
volatile ULONG WorkerProcessors; /* one bit for each processor it ran on */

static BOOLEAN is_prime(ULONG64 n)
{
	for (ULONG64 d = 2; d * d <= n; d++) {
		if (n % d == 0)
			return FALSE;
	}
	return n >= 2;
}

__attribute__((noinline)) static VOID WorkerSlice(ULONG Count)
{
	for (ULONG i = 0; i < Count; i++) {
		if (is_prime(WorkerCandidate))
			WorkerPrimes++;
		WorkerCandidate++;
	}
	WorkerRounds++;
}

static VOID fault(ULONG64 address)
{
	*(volatile ULONG *)(ULONG_PTR)address = 1;
}

static VOID obey(ULONG command)
{
	switch (command) {
	case UserExit: NtTerminateProcess((HANDLE)(LONG_PTR)-1, STATUS_SUCCESS); break;
	case UserReadFault: fault(0x10); break;
	case UserBreakpoint: DbgBreakPoint(); break;
	case UserDivide: __asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0)); break;
	case UserSpin: WorkerSpins = TRUE; break;
	case UserPrivileged: __asm__ volatile("hlt"); break;
	default: break;
	}
}

NTSTATUS ProgramStart(PPEB Peb)
{
	LARGE_INTEGER pause = { .QuadPart = -200000 }; /* 20 ms */
	UNICODE_STRING hello = { 36, 38, (PWCHAR)(ULONG_PTR)L"worker is counting" };
	ULONG command;

	NtDisplayString(&hello);
	for (;;) {
		WorkerSlice(200);
		WorkerProcessors |= 1u << NtGetCurrentProcessorNumber();
		if (NT_SUCCESS(NtQueryDemoCommand(&command)))
			obey(command);
		if (!WorkerSpins)
			NtDelayExecution(FALSE, &pause);
		while (WorkerSpins)
			WorkerSlice(1);
	}
}
