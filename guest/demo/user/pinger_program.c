/* SPDX-License-Identifier: MIT */
/* pinger.exe: writes the time to \Device\Null twenty times a second; XMM registers in use. */
#include "guest/demo/user/user.h"

volatile ULONG PingerSent;
volatile ULONG64 PingerLastTime;
volatile NTSTATUS PingerLastStatus;

struct ping {
	ULONG Magic;
	ULONG Sequence;
	LARGE_INTEGER Time;
};

__attribute__((noinline)) static NTSTATUS PingerSend(ULONG Sequence, const LARGE_INTEGER *Time)
{
	static const WCHAR device[] = L"\\Device\\Null";
	UNICODE_STRING name = { sizeof(device) - 2, sizeof(device), (PWCHAR)(ULONG_PTR)device };
	struct ping ping = { 0x474E4950, Sequence, *Time };
	IO_STATUS_BLOCK io;

	return NtWriteDevice(&name, &ping, sizeof(ping), &io);
}

NTSTATUS ProgramStart(PPEB Peb)
{
	LARGE_INTEGER pause = { .QuadPart = -500000 }; /* 50 ms */
	UNICODE_STRING hello = { 36, 38, (PWCHAR)(ULONG_PTR)L"pinger is pinging " };
	const ULONG64 xmm7 = 0x0123456789ABCDEF;
	LARGE_INTEGER now;

	/* Something a debugger can recognize in xmm7, and a context switch must keep. */
	__asm__ volatile("movq %0, %%xmm7" : : "m"(xmm7) : "xmm7");
	NtDisplayString(&hello);
	for (;;) {
		NtQuerySystemTime(&now);
		PingerLastStatus = PingerSend(PingerSent, &now);
		PingerLastTime = (ULONG64)now.QuadPart;
		PingerSent++;
		NtDelayExecution(FALSE, &pause);
	}
}
