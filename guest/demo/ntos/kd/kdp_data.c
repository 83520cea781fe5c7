/* SPDX-License-Identifier: MIT */
/*
 * The version block and the debugger data block (KDBG): the first things a debugger asks for, and
 * the addresses and offsets it finds everything else by.
 */
#include "guest/demo/ntos/kd/kdp.h"

#include "guest/demo/ntos/inc/ntmm.h"

enum { KDBG_SIZE = NT_CPU(0x318, 0x380) }; /* Server 2003, Windows 10 1809 */

/* The block field by field from core/wire/kdbg.def: each stands at the offset it says. */
typedef ULONG64 KDBG_U8;
typedef ULONG KDBG_U4;
typedef USHORT KDBG_U2;
/* clang-format off */
typedef union _KDDEBUGGER_DATA64 {
	DBGKD_DEBUG_DATA_HEADER64 Header;
	UCHAR Bytes[KD_KDBG_SIZE_MAX];
#define KD_KDBG(offset, size, name, meaning, since) \
	struct __attribute__((packed)) { UCHAR Before##name[offset]; KDBG_U##size name; };
#include "core/wire/kdbg.def"
#undef KD_KDBG
} KDDEBUGGER_DATA64;
/* clang-format on */
#define KD_KDBG(offset, size, name, meaning, since) ASSERT_OFFSET(KDDEBUGGER_DATA64, name, offset);
#include "core/wire/kdbg.def"
#undef KD_KDBG

KDDEBUGGER_DATA64 KdDebuggerDataBlock;
LIST_ENTRY KdpDebuggerDataListHead;
BOOLEAN KdpDataBlockEncoded; /* never */
DBGKD_GET_VERSION64 KdVersionBlock;
struct kd_w_version KdpWireVersion;

extern CHAR KdPrintDefaultCircularBuffer[];
extern PCHAR KdPrintCircularBuffer, KdPrintWritePointer;
extern ULONG KdPrintBufferSize, KdPrintRolloverCount;

#define ADDRESS(x)  ((ULONG64)(ULONG_PTR) & (x))
#define EXTENDED(p) ((ULONG64)(LONG64)(LONG_PTR)(p)) /* as GetVersion has it; KDBG does not */

static VOID fill_lists_and_variables(KDDEBUGGER_DATA64 *d)
{
	d->KernBase = (ULONG_PTR)KdVersionBlock.KernBase;
	d->BreakpointWithStatus = (ULONG64)(ULONG_PTR)RtlpBreakWithStatusInstruction;
	d->PsLoadedModuleList = ADDRESS(PsLoadedModuleList);
	d->PsActiveProcessHead = ADDRESS(PsActiveProcessHead);
	d->KeTimeIncrement = ADDRESS(KeTimeIncrement);
	d->KiBugcheckData = ADDRESS(KiBugCheckData);
	d->MmLowestPhysicalPage = ADDRESS(MmLowestPhysicalPage);
	d->MmHighestPhysicalPage = ADDRESS(MmHighestPhysicalPage);
	d->MmNumberOfPhysicalPages = ADDRESS(MmNumberOfPhysicalPages);
	d->MmAvailablePages = ADDRESS(MmAvailablePages);
	d->MmPhysicalMemoryBlock = ADDRESS(MmPhysicalMemoryBlock);
	d->MmPageSize = PAGE_SIZE;
	d->MmHighestUserAddress = ADDRESS(MmHighestUserAddress);
	d->MmSystemRangeStart = ADDRESS(MmSystemRangeStart);
	d->MmUserProbeAddress = ADDRESS(MmUserProbeAddress);
	d->KdPrintCircularBuffer = (ULONG64)(ULONG_PTR)KdPrintDefaultCircularBuffer;
	d->KdPrintCircularBufferEnd = d->KdPrintCircularBuffer + KdPrintBufferSize;
	d->KdPrintWritePointer = ADDRESS(KdPrintWritePointer);
	d->KdPrintRolloverCount = ADDRESS(KdPrintRolloverCount);
	d->KdPrintCircularBufferPtr = ADDRESS(KdPrintCircularBuffer);
	d->KdPrintBufferSize = ADDRESS(KdPrintBufferSize);
	d->NtBuildLab = (ULONG64)(ULONG_PTR)NtBuildLab;
	d->KiProcessorBlock = (ULONG64)(ULONG_PTR)KiProcessorBlock;
	d->MmUnloadedDrivers = ADDRESS(MmUnloadedDrivers);
	d->MmLastUnloadedDriver = ADDRESS(MmLastUnloadedDriver);
	d->KeLoaderBlock = ADDRESS(KeLoaderBlock);
	d->PaeEnabled = MmPaging.EntrySize == 8;
	d->PteBase = NT_CPU(0, KSEG_SELF_MAP);
}

static VOID fill_thread_and_process(KDDEBUGGER_DATA64 *d)
{
	d->OffsetKThreadNextProcessor = FIELD_OFFSET(KTHREAD, NextProcessor);
	d->OffsetKThreadTeb = FIELD_OFFSET(KTHREAD, Teb);
	d->OffsetKThreadKernelStack = FIELD_OFFSET(KTHREAD, KernelStack);
	d->OffsetKThreadInitialStack = FIELD_OFFSET(KTHREAD, InitialStack);
	d->OffsetKThreadApcProcess = FIELD_OFFSET(KTHREAD, ApcState.Process);
	d->OffsetKThreadState = FIELD_OFFSET(KTHREAD, State);
	d->OffsetKThreadStackLimit = FIELD_OFFSET(KTHREAD, StackLimit);
	d->OffsetKThreadStackBase = FIELD_OFFSET(KTHREAD, StackBase);
	d->OffsetKThreadQueueListEntry = FIELD_OFFSET(KTHREAD, QueueListEntry);
	d->OffsetKThreadWaitReason = FIELD_OFFSET(KTHREAD, WaitReason);
	d->SizeEThread = sizeof(ETHREAD);
	d->OffsetEThreadIrpList = FIELD_OFFSET(ETHREAD, IrpList);
	d->SizeEProcess = sizeof(EPROCESS);
	d->OffsetEprocessPeb = FIELD_OFFSET(EPROCESS, Peb);
	d->OffsetEprocessParentCID = FIELD_OFFSET(EPROCESS, InheritedFromUniqueProcessId);
	d->OffsetEprocessDirectoryTableBase = FIELD_OFFSET(EPROCESS, Pcb.DirectoryTableBase);
}

static VOID fill_processor(KDDEBUGGER_DATA64 *d)
{
	d->SizePcr = sizeof(KPCR);
	d->SizePrcb = sizeof(KPRCB);
	d->OffsetPrcbCurrentThread = FIELD_OFFSET(KPRCB, CurrentThread);
	d->OffsetPrcbIdleThread = FIELD_OFFSET(KPRCB, IdleThread);
	d->OffsetPrcbMhz = FIELD_OFFSET(KPRCB, MHz);
	d->OffsetPrcbCpuType = FIELD_OFFSET(KPRCB, CpuType);
	d->OffsetPrcbVendorString = FIELD_OFFSET(KPRCB, VendorString);
	d->OffsetPrcbNumber = FIELD_OFFSET(KPRCB, Number);
	d->OffsetPrcbDpcStack = FIELD_OFFSET(KPRCB, DpcStack);
	d->OffsetPrcbProcStateContext = FIELD_OFFSET(KPRCB, ProcessorState.ContextFrame);
	d->OffsetPrcbProcStateSpecialReg = FIELD_OFFSET(KPRCB, ProcessorState.SpecialRegisters);
	d->OffsetPrcbContext = FIELD_OFFSET(KPRCB, Context);
}

static VOID fill_pcr_and_selectors(KDDEBUGGER_DATA64 *d)
{
	d->OffsetPcrContainedPrcb = FIELD_OFFSET(KPCR, KPCR_BLOCK);
#ifdef __i386__
	d->OffsetPcrSelfPcr = FIELD_OFFSET(KPCR, SelfPcr);
	d->OffsetPcrCurrentPrcb = FIELD_OFFSET(KPCR, Prcb);
	d->GdtR0Code = KGDT_R0_CODE;
	d->GdtR0Data = KGDT_R0_DATA;
	d->GdtR0Pcr = KGDT_R0_PCR;
	d->GdtR3Code = KGDT_R3_CODE | RPL_MASK;
	d->GdtR3Data = KGDT_R3_DATA | RPL_MASK;
	d->GdtR3Teb = KGDT_R3_TEB | RPL_MASK;
	d->GdtTss = KGDT_TSS;
#else
	d->OffsetPcrSelfPcr = FIELD_OFFSET(KPCR, Self);
	d->OffsetPcrCurrentPrcb = FIELD_OFFSET(KPCR, CurrentPrcb);
	d->GdtR0Code = KGDT64_R0_CODE;
	d->GdtR0Data = KGDT64_R0_DATA;
	d->GdtR3Code = KGDT64_R3_CODE;
	d->GdtR3Data = KGDT64_R3_DATA;
	d->GdtTss = KGDT64_SYS_TSS;
	d->Gdt64R3CmCode = KGDT64_R3_CMCODE;
	d->Gdt64R3CmTeb = KGDT64_R3_CMTEB;
#endif
}

static VOID fill_version(ULONG64 KernBase)
{
	KdVersionBlock.MajorVersion = 0x000F; /* free build of NT */
	KdVersionBlock.MinorVersion = (USHORT)NtBuildNumber;
	KdVersionBlock.ProtocolVersion = 6;
	KdVersionBlock.KdSecondaryVersion = NT_CPU(0, 2); /* 2: the AMD64 CONTEXT of 1232 bytes */
	KdVersionBlock.MachineType = NT_CPU(KD_MACHINE_X86, KD_MACHINE_AMD64);
	KdVersionBlock.MaxPacketType = 12;
	KdVersionBlock.MaxStateChange = 3;
	KdVersionBlock.MaxManipulate = NT_CPU(KD_MAX_API_8, KD_MAX_API_10);
	KdVersionBlock.KernBase = KernBase;
	KdVersionBlock.PsLoadedModuleList = EXTENDED(&PsLoadedModuleList);
	KdVersionBlock.DebuggerDataList = EXTENDED(&KdpDebuggerDataListHead);
}

VOID KdpUpdateVersion(VOID)
{
	KdVersionBlock.Flags = KD_VERSION_DATA | NT_CPU(0, KD_VERSION_PTR64);
	if (KeNumberProcessors > 1)
		KdVersionBlock.Flags |= KD_VERSION_MP;
	kd_w_version_decode(&KdpWireVersion, (const uint8_t *)&KdVersionBlock);
}

VOID KdpInitializeData(VOID)
{
	PKLDR_DATA_TABLE_ENTRY kernel = CONTAINING_RECORD(PsLoadedModuleList.Flink,
							  KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
	KDDEBUGGER_DATA64 *d = &KdDebuggerDataBlock;

	fill_version(EXTENDED(kernel->DllBase));
	KdpUpdateVersion();
	KeGetPcr()->KdVersionBlock = &KdVersionBlock;

	InitializeListHead(&KdpDebuggerDataListHead);
	d->Header.OwnerTag = KD_KDBG_TAG;
	d->Header.Size = KDBG_SIZE;
	InsertTailList(&KdpDebuggerDataListHead, &d->Header.List);
	fill_lists_and_variables(d);
	fill_thread_and_process(d);
	fill_processor(d);
	fill_pcr_and_selectors(d);
}
