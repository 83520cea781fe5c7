/* SPDX-License-Identifier: MIT */
/* Starting KD, the notices of images that come and go, breaking in, and the bugcheck's banner. */
#include "guest/demo/ntos/kd/kdp.h"

#include "guest/common/pe_load.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/rtl.h"

BOOLEAN KdDebuggerEnabled;
BOOLEAN KdDebuggerNotPresent = TRUE;
BOOLEAN KdPitchDebugger = TRUE; /* no debugger was asked for */

/* --- boot options --- */

static CHAR upper(CHAR c)
{
	return c >= 'a' && c <= 'z' ? (CHAR)(c - 'a' + 'A') : c;
}

/* An option that begins with Name, with or without a slash in front. */
static BOOLEAN has_option(PCSTR Options, PCSTR Name)
{
	CHAR before = ' ';

	for (; *Options; before = *Options++) {
		SIZE_T i = 0;

		if (before != ' ' && before != '/')
			continue;
		while (Name[i] && upper(Options[i]) == Name[i])
			i++;
		if (!Name[i])
			return TRUE;
	}
	return FALSE;
}

/* /DEBUGPORT alone means it too, as in NT. */
static BOOLEAN is_wanted(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	return LoaderBlock->LoadOptions && has_option(LoaderBlock->LoadOptions, "DEBUG") &&
	       !has_option(LoaderBlock->LoadOptions, "NODEBUG");
}

/* --- images --- */

static VOID notify(PSTRING FileName, PVOID ImageBase, ULONG_PTR ProcessId, ULONG Service)
{
	KD_SYMBOLS_INFO info = { .BaseOfDll = ImageBase, .ProcessId = ProcessId };
	struct pe_headers pe;
	UCHAR headers[0x400];
	ULONG copied = 0;

	if (ImageBase != KD_REBOOT)
		MmDbgCopyMemory((ULONG_PTR)ImageBase, headers, sizeof(headers), 0, &copied);
	if (NT_SUCCESS(pe_headers_read(headers, copied, &pe))) {
		info.CheckSum = pe.checksum;
		info.SizeOfImage = pe.image_size;
	}
	DebugService2(FileName, &info, Service);
}

VOID DbgLoadImageSymbols(PSTRING FileName, PVOID ImageBase, ULONG_PTR ProcessId)
{
	notify(FileName, ImageBase, ProcessId, BREAKPOINT_LOAD_SYMBOLS);
}

VOID DbgUnLoadImageSymbols(PSTRING FileName, PVOID ImageBase, ULONG_PTR ProcessId)
{
	notify(FileName, ImageBase, ProcessId, BREAKPOINT_UNLOAD_SYMBOLS);
}

VOID DbgCommandString(PSTRING Name, PSTRING Command)
{
	DebugService2(Name, Command, BREAKPOINT_COMMAND_STRING);
}

/* NT reports kernel and HAL; the rest is found by the list of loaded modules. */
static VOID report_boot_images(VOID)
{
	enum { BOOT_IMAGES = 2 };
	PLIST_ENTRY link = PsLoadedModuleList.Flink;

	for (ULONG i = 0; i < BOOT_IMAGES && link != &PsLoadedModuleList; i++) {
		PKLDR_DATA_TABLE_ENTRY entry = CONTAINING_RECORD(link, KLDR_DATA_TABLE_ENTRY,
								 InLoadOrderLinks);
		CHAR path[128];
		STRING name;

		RtlUnicodeToText(path, sizeof(path), &entry->FullDllName);
		RtlInitString(&name, path);
		DbgLoadImageSymbols(&name, entry->DllBase, (ULONG_PTR)-1);
		link = link->Flink;
	}
}

/* --- starting --- */

static BOOLEAN start(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	if (!NT_SUCCESS(KdDebuggerInitialize0(LoaderBlock)))
		return FALSE;
	KdPitchDebugger = FALSE;
	KdDebuggerEnabled = TRUE;
	KdDebuggerNotPresent = FALSE; /* until it turns out that nobody answers */
	*SHARED_KD_DEBUGGER_ENABLED = SHARED_KD_ENABLED | SHARED_KD_PRESENT;
	return TRUE;
}

static BOOLEAN initialize0(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	KdpInitializeData();
	KdpInitializeTarget();
	if (!is_wanted(LoaderBlock) || !start(LoaderBlock))
		return FALSE;
	report_boot_images();
	if (KdPollBreakIn() || has_option(LoaderBlock->LoadOptions, "BREAK"))
		DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
	return TRUE;
}

BOOLEAN KdInitSystem(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	if (Phase == 0 && LoaderBlock)
		return initialize0(LoaderBlock);
	if (Phase == 0)
		return KdDebuggerEnabled || start(NULL);
	KdpUpdateVersion();
	if (KdDebuggerEnabled)
		KdDebuggerInitialize1(LoaderBlock);
	return TRUE;
}

/* --- breaking in --- */

BOOLEAN KdPollBreakIn(VOID)
{
	BOOLEAN enabled, pending;

	if (!KdDebuggerEnabled)
		return FALSE;
	enabled = KeDisableInterrupts();
	pending = KdpContext.KdpControlCPending;
	KdpContext.KdpControlCPending = FALSE;
	if (!pending)
		pending = KdReceivePacket(KD_PACKET_POLL_BREAKIN, NULL, NULL, NULL, NULL) ==
			  KdPacketReceived;
	KeRestoreInterrupts(enabled);
	return pending;
}

VOID KdCheckForDebugBreak(VOID)
{
	if (KdDebuggerEnabled && KdPollBreakIn())
		DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
}

/* --- bugcheck --- */

VOID KdBugCheckBanner(ULONG Code, const ULONG_PTR Parameters[4])
{
	if (!KdDebuggerEnabled && !KdInitSystem(0, NULL))
		return;
	DbgPrint("\n*** Fatal System Error: 0x%08x\n"
		 "                       (0x%p,0x%p,0x%p,0x%p)\n\n",
		 Code, (PVOID)Parameters[0], (PVOID)Parameters[1], (PVOID)Parameters[2],
		 (PVOID)Parameters[3]);
}
