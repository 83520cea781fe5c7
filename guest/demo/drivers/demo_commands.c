/* SPDX-License-Identifier: MIT */
/* The commands of demo.sys, one function each. */
#include "guest/demo/drivers/demo_driver.h"
#include "guest/demo/inc/loader_block.h"

typedef ULONG64 COMMAND(ULONG64 Argument);

static const WCHAR late_service[] =
	L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\late";
static const WCHAR netprobe_service[] =
	L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\netprobe";

static NTSTATUS DemoReadAt(PVOID Address)
{
	return (NTSTATUS) * (volatile ULONG *)Address & 0x7FFFFFFF;
}

static NTSTATUS DemoWriteAt(PVOID Address)
{
	*(volatile ULONG *)Address = 0x12345678;
	return STATUS_SUCCESS;
}

static NTSTATUS DemoDivideBy(PVOID Divisor)
{
	ULONG quotient, remainder;

	/* by hand: a compiler may do anything with a division by zero */
	__asm__ volatile("divl %4"
			 : "=a"(quotient), "=d"(remainder)
			 : "a"(100), "d"(0), "r"((ULONG)(ULONG_PTR)Divisor));
	return (NTSTATUS)quotient;
}

static NTSTATUS DemoIllegal(PVOID Context)
{
	__asm__ volatile("ud2");
	return STATUS_SUCCESS;
}

static ULONG64 read_fault_handled(ULONG64 argument)
{
	return (ULONG)ExTryCall(DemoReadAt, (PVOID)(ULONG_PTR)argument);
}

static ULONG64 read_fault_unhandled(ULONG64 argument)
{
	return (ULONG)DemoReadAt((PVOID)(ULONG_PTR)argument);
}

static ULONG64 write_fault(ULONG64 argument)
{
	return (ULONG)ExTryCall(DemoWriteAt, (PVOID)(ULONG_PTR)argument);
}

static ULONG64 divide(ULONG64 argument)
{
	return (ULONG)ExTryCall(DemoDivideBy, (PVOID)(ULONG_PTR)argument);
}

static ULONG64 illegal_instruction(ULONG64 argument)
{
	return (ULONG)ExTryCall(DemoIllegal, NULL);
}

static ULONG64 breakpoint(ULONG64 argument)
{
	DbgBreakPoint();
	return argument;
}

static ULONG64 assertion(ULONG64 argument)
{
	ASSERT_FAILURE();
	return argument;
}

static ULONG64 print(ULONG64 argument)
{
	for (ULONG64 i = 0; i < argument; i++)
		DbgPrint("demo: line %u of %u\n", (ULONG)i + 1, (ULONG)argument);
	return argument;
}

static ULONG64 prompt(ULONG64 argument)
{
	return DbgPrompt("demo: what now? ", DemoText, sizeof(DemoText));
}

static ULONG64 bugcheck(ULONG64 argument)
{
	KeBugCheckEx((ULONG)argument, 1, 2, 3, 4);
}

static ULONG64 load_driver(ULONG64 argument)
{
	UNICODE_STRING name;

	RtlInitUnicodeString(&name, late_service);
	return (ULONG)ZwLoadDriver(&name);
}

static ULONG64 unload_driver(ULONG64 argument)
{
	UNICODE_STRING name;

	RtlInitUnicodeString(&name, late_service);
	return (ULONG)ZwUnloadDriver(&name);
}

static ULONG64 load_netprobe(ULONG64 argument)
{
	UNICODE_STRING name;

	RtlInitUnicodeString(&name, netprobe_service);
	return (ULONG)(argument != 0 ? ZwLoadDriver(&name) : ZwUnloadDriver(&name));
}

__attribute__((noinline)) ULONG DemoRecursion(ULONG Level, ULONG Depth)
{
	ULONG below = 0;

	if (Level < Depth)
		below = DemoRecursion(Level + 1, Depth);
	__asm__ volatile("" : "+r"(below)); /* no loop, no tail call */
	return below + 1;
}

static ULONG64 recurse(ULONG64 argument)
{
	const ULONG64 max = 100; /* a kernel stack has 24 KB */

	return DemoRecursion(1, (ULONG)(argument < max ? argument : max));
}

static ULONG64 reboot(ULONG64 argument)
{
	ExShutdownSystem();
	return 0;
}

static ULONG64 user_command(ULONG64 argument)
{
	PspUserCommand = (ULONG)argument;
	return 0;
}

static ULONG64 start_program(ULONG64 argument)
{
	HANDLE pid = NULL;
	NTSTATUS status = argument == 0 ? PsCreateUserProcess("worker.exe", "worker.exe", &pid)
					: PsCreateUserProcess("pinger.exe", "pinger.exe", &pid);

	return NT_SUCCESS(status) ? (ULONG64)(ULONG_PTR)pid : (ULONG)status;
}

static ULONG64 pool_fault(ULONG64 argument)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);
	ULONG64 value = (ULONG)DemoReadAt((PVOID)(ULONG_PTR)KSEG_SYSTEM_PTES);

	KeLowerIrql(irql);
	return value;
}

static ULONG64 kill_program(ULONG64 argument)
{
	static const PCSTR programs[] = { "worker.exe", "pinger.exe", "bulk.exe", "webserv.exe" };

	if (argument >= RTL_NUMBER_OF(programs))
		return (ULONG)STATUS_INVALID_PARAMETER;
	return (ULONG)PsTerminateProcessByName(programs[argument], STATUS_SUCCESS);
}

static ULONG64 stack_overflow(ULONG64 argument)
{
	return DemoRecursion(1, ~0u);
}

static ULONG64 call_work(ULONG64 argument)
{
	for (ULONG64 i = 0; i < argument; i++)
		DemoLastWork = DemoWork((ULONG)i, 1);
	return argument;
}

static COMMAND *const commands[DemoCommandCount] = {
	[DemoReadFaultHandled] = read_fault_handled,
	[DemoReadFaultUnhandled] = read_fault_unhandled,
	[DemoDivide] = divide,
	[DemoBreakpoint] = breakpoint,
	[DemoAssertion] = assertion,
	[DemoPrint] = print,
	[DemoPrompt] = prompt,
	[DemoBugCheck] = bugcheck,
	[DemoLoadDriver] = load_driver,
	[DemoUnloadDriver] = unload_driver,
	[DemoRecurse] = recurse,
	[DemoReboot] = reboot,
	[DemoUserCommand] = user_command,
	[DemoStartProgram] = start_program,
	[DemoWriteFault] = write_fault,
	[DemoPoolFault] = pool_fault,
	[DemoIllegalInstruction] = illegal_instruction,
	[DemoStackOverflow] = stack_overflow,
	[DemoKillProgram] = kill_program,
	[DemoCallWork] = call_work,
	[DemoLoadNetprobe] = load_netprobe,
};

ULONG64 DemoRun(DEMO_COMMAND Command, ULONG64 Argument)
{
	return commands[Command](Argument);
}
