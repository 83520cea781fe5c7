/* SPDX-License-Identifier: MIT */
/* The exception hook: which exceptions are the debugger's, and the debug services of int 2Dh. */
#include "guest/demo/ntos/kd/kdp.h"

enum { FLG_STOP_ON_EXCEPTION = 1 };

/* --- debug services --- */

/* Copy what a service points at; its caller may be a program. Returns how much could be read. */
static ULONG capture(PVOID to, ULONG64 from, ULONG size)
{
	ULONG copied = 0;

	MmDbgCopyMemory(from, to, size, 0, &copied);
	return copied;
}

static ULONG min_ulong(ULONG64 a, ULONG b)
{
	return a < b ? (ULONG)a : b;
}

static NTSTATUS service_print(PCONTEXT context, KPROCESSOR_MODE mode)
{
	static CHAR text[KDP_PRINT_MAX];
	const ULONG length = capture(
		text, KiDebugServiceArgument(context, 1),
		min_ulong((USHORT)KiDebugServiceArgument(context, 2), sizeof(text)));

	/* The kernel's own prints are in the buffer already: see DbgPrintEx. */
	if (mode == UserMode)
		KdLogDbgPrint(text, length);
	if (KdDebuggerNotPresent)
		return STATUS_SUCCESS;
	return KdpPrintString(text, length) ? STATUS_BREAKPOINT : STATUS_SUCCESS;
}

/* The answer's length is the service's result. */
static NTSTATUS service_prompt(PCONTEXT context, KPROCESSOR_MODE mode)
{
	static CHAR prompt[KDP_PRINT_MAX], answer[KDP_ANSWER_MAX];
	const ULONG length = capture(
		prompt, KiDebugServiceArgument(context, 1),
		min_ulong((USHORT)KiDebugServiceArgument(context, 2), sizeof(prompt)));
	ULONG n, copied = 0;

	if (KdDebuggerNotPresent)
		return 0;
	n = KdpPromptString(prompt, length, answer,
			    min_ulong((USHORT)KiDebugServiceArgument(context, 4), sizeof(answer)));
	MmDbgCopyMemory(KiDebugServiceArgument(context, 3), answer, n, MMDBG_COPY_WRITE, &copied);
	return (NTSTATUS)copied;
}

/* Where STRINGs of services are copied to. */
static CHAR KdpPathBuffer[2][KDP_PRINT_MAX];

static STRING capture_string(ULONG64 address, ULONG which)
{
	STRING s = { 0 };

	if (!address || capture(&s, address, sizeof(s)) != sizeof(s))
		return (STRING){ 0 };
	s.Length = (USHORT)capture(KdpPathBuffer[which], (ULONG_PTR)s.Buffer,
				   min_ulong(s.Length, sizeof(KdpPathBuffer[which])));
	s.Buffer = KdpPathBuffer[which];
	return s;
}

static NTSTATUS service_symbols(PCONTEXT context, bool is_unload)
{
	static struct kdp_report report;
	KD_SYMBOLS_INFO info;

	if (KdDebuggerNotPresent ||
	    capture(&info, KiDebugServiceArgument(context, 2), sizeof(info)) != sizeof(info))
		return STATUS_SUCCESS;
	report = (struct kdp_report){
		.kind = KDP_SYMBOLS,
		.symbols = { .base = (ULONG_PTR)info.BaseOfDll,
			     .process_id = info.ProcessId,
			     .checksum = info.CheckSum,
			     .size_of_image = info.SizeOfImage,
			     .unload = is_unload },
		.text = { capture_string(KiDebugServiceArgument(context, 1), 0) },
	};
	KdpStop(&report, context);
	return STATUS_SUCCESS;
}

static NTSTATUS service_load_symbols(PCONTEXT context, KPROCESSOR_MODE mode)
{
	return service_symbols(context, false);
}

static NTSTATUS service_unload_symbols(PCONTEXT context, KPROCESSOR_MODE mode)
{
	return service_symbols(context, true);
}

static NTSTATUS service_command(PCONTEXT context, KPROCESSOR_MODE mode)
{
	static struct kdp_report report;

	if (KdDebuggerNotPresent)
		return STATUS_SUCCESS;
	report = (struct kdp_report){
		.kind = KDP_COMMAND,
		.text = { capture_string(KiDebugServiceArgument(context, 1), 0),
			  capture_string(KiDebugServiceArgument(context, 2), 1) },
	};
	KdpStop(&report, context);
	return STATUS_SUCCESS;
}

static NTSTATUS (*const services[])(PCONTEXT context, KPROCESSOR_MODE mode) = {
	[BREAKPOINT_PRINT] = service_print,
	[BREAKPOINT_PROMPT] = service_prompt,
	[BREAKPOINT_LOAD_SYMBOLS] = service_load_symbols,
	[BREAKPOINT_UNLOAD_SYMBOLS] = service_unload_symbols,
	[BREAKPOINT_COMMAND_STRING] = service_command,
};

/* The program counter is on the int3 behind int 2Dh: step over it, unless the debugger did so or
 * went elsewhere. */
static VOID finish_service(PCONTEXT context, ULONG_PTR pc, NTSTATUS result)
{
	if (CONTEXT_PC(context) == pc)
		CONTEXT_PC(context)++;
	KiSetDebugServiceResult(context, (ULONG)result);
}

static VOID run_service(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, ULONG_PTR Service,
			PCONTEXT Context, KPROCESSOR_MODE PreviousMode)
{
	const ULONG_PTR pc = CONTEXT_PC(Context);
	NTSTATUS result = STATUS_SUCCESS;
	BOOLEAN enable;

	if (Service < RTL_NUMBER_OF(services) && KdDebuggerEnabled &&
	    KdEnterDebugger(TrapFrame, ExceptionFrame, &enable)) {
		result = services[Service](Context, PreviousMode);
		KdExitDebugger(enable);
	}
	finish_service(Context, pc, result);
}

/* --- exceptions --- */

static bool is_always_reported(NTSTATUS code)
{
	return code == STATUS_BREAKPOINT || code == STATUS_SINGLE_STEP ||
	       code == STATUS_ASSERTION_FAILURE;
}

static VOID describe(struct kdp_report *report, const EXCEPTION_RECORD *Record,
		     BOOLEAN SecondChance)
{
	struct kd_w_exception *e = &report->exception;

	*report = (struct kdp_report){ .kind = KDP_EXCEPTION };
	e->code = (uint32_t)Record->ExceptionCode;
	e->flags = Record->ExceptionFlags;
	e->record = (ULONG_PTR)Record->ExceptionRecord;
	e->address = (ULONG_PTR)Record->ExceptionAddress;
	e->n_parameters = Record->NumberParameters;
	e->first_chance = !SecondChance;
	for (ULONG i = 0; i < Record->NumberParameters && i < EXCEPTION_MAXIMUM_PARAMETERS; i++)
		e->information[i] = Record->ExceptionInformation[i];
}

static BOOLEAN report_exception(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
				const EXCEPTION_RECORD *Record, PCONTEXT Context,
				BOOLEAN SecondChance)
{
	static struct kdp_report report;
	NTSTATUS status;
	BOOLEAN enable;

	if (!KdEnterDebugger(TrapFrame, ExceptionFrame, &enable))
		return FALSE;
	describe(&report, Record, SecondChance);
	/* One step is one step: going on with Continue must not repeat it. */
	if (Record->ExceptionCode == STATUS_SINGLE_STEP)
		Context->EFlags &= ~EFLAGS_TF;
	status = KdpStop(&report, Context);
	KdExitDebugger(enable);
	return NT_SUCCESS(status);
}

BOOLEAN KdTrap(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
	       PEXCEPTION_RECORD ExceptionRecord, PCONTEXT Context, KPROCESSOR_MODE PreviousMode,
	       BOOLEAN SecondChance)
{
	const NTSTATUS code = ExceptionRecord->ExceptionCode;
	const ULONG_PTR service = ExceptionRecord->ExceptionInformation[0];

	if (code == STATUS_BREAKPOINT && service != BREAKPOINT_BREAK) {
		run_service(TrapFrame, ExceptionFrame, service, Context, PreviousMode);
		return TRUE;
	}
	if (!KdDebuggerEnabled)
		return FALSE;
	if (!SecondChance && !is_always_reported(code) && !(NtGlobalFlag & FLG_STOP_ON_EXCEPTION))
		return FALSE;
	return report_exception(TrapFrame, ExceptionFrame, ExceptionRecord, Context, SecondChance);
}
