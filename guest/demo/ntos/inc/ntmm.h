/* SPDX-License-Identifier: MIT */
/* Memory: physical pages, page tables, pool, images. */
#ifndef KD_DEMO_NTMM_H
#define KD_DEMO_NTMM_H

#include "guest/demo/inc/loader_block.h"
#include "guest/demo/ntos/inc/ntps.h"

/* clang-format off */
#define PTE_VALID    0x1ull
#define PTE_WRITE    0x2ull
#define PTE_USER     0x4ull
#define PTE_NOCACHE  0x18ull
#define PTE_LARGE    0x80ull
#define PTE_GLOBAL   0x100ull
#define PTE_NX       0x8000000000000000ull
#define PTE_FRAME    0x000FFFFFFFFFF000ull

#define PTE_KERNEL_DATA (PTE_WRITE | PTE_GLOBAL | PTE_NX)
#define PTE_USER_DATA   (PTE_USER | PTE_WRITE | PTE_NX)
#define PTE_USER_RO     (PTE_USER | PTE_NX)
/* clang-format on */

#define MM_USER_SHARED_ADDRESS 0x7FFE0000ull
#define MM_HIGHEST_USER        NT_CPU(0x7FFEFFFFu, 0x00007FFFFFFEFFFFull)
#define MM_SYSTEM_RANGE_START  NT_CPU(0x80000000u, 0xFFFF800000000000ull)
#define MM_USER_PROBE          NT_CPU(0x7FFF0000u, 0x00007FFFFFFF0000ull)

/* What stands before every pool block: 16 bytes as on every x64 (NT x86 has 8). */
typedef struct _POOL_HEADER {
	USHORT PreviousSize : 8;
	USHORT PoolIndex : 8;
	USHORT BlockSize : 8; /* in 16 bytes, header included; 0: a large block, pages follow */
	USHORT PoolType : 8;
	ULONG PoolTag;
	union {
		ULONG64 ProcessBilled;
		ULONG64 Pages; /* ours: of a large block */
	};
} POOL_HEADER, *PPOOL_HEADER;
C_ASSERT(sizeof(POOL_HEADER) == 16);

VOID MmInitSystem(PLOADER_PARAMETER_BLOCK LoaderBlock);
/** After every processor runs and INIT code is done: drop it. */
VOID MmFreeInitSections(VOID);

/* --- mm_block.c: which pages are RAM --- */
typedef ULONG_PTR PFN_NUMBER;

typedef struct _PHYSICAL_MEMORY_RUN {
	PFN_NUMBER BasePage;
	PFN_NUMBER PageCount;
} PHYSICAL_MEMORY_RUN, *PPHYSICAL_MEMORY_RUN;

typedef struct _PHYSICAL_MEMORY_DESCRIPTOR {
	ULONG NumberOfRuns;
	PFN_NUMBER NumberOfPages;
	PHYSICAL_MEMORY_RUN Run[1];
} PHYSICAL_MEMORY_DESCRIPTOR, *PPHYSICAL_MEMORY_DESCRIPTOR;

extern PPHYSICAL_MEMORY_DESCRIPTOR MmPhysicalMemoryBlock;
VOID MiDescribeMemory(PLOADER_PARAMETER_EXTENSION Ext);

/* --- mm_phys.c: physical pages --- */
VOID MiInitializePages(PLOADER_PARAMETER_EXTENSION Ext);
/** Contiguous, zeroed; 0 if there are none. Align is in pages, a power of two. */
ULONG64 MmAllocatePhysical(ULONG64 Pages, ULONG64 Align);
VOID MmFreePhysical(ULONG64 Physical, ULONG64 Pages);
/** TRUE for RAM the physical window reaches. */
BOOLEAN MmIsRam(ULONG64 Physical);
static inline PVOID MmWindow(ULONG64 Physical)
{
	return (PVOID)(ULONG_PTR)(KSEG_PHYSICAL + Physical);
}

/* --- the processor's paging: amd64/paging_amd64.c, x86/paging_x86.c --- */
/* The levels of the tables, [0] the lowest one. */
typedef struct _MM_PAGING {
	ULONG Levels;
	ULONG EntrySize; /* 4 or 8 */
	ULONG64 Mask;    /* bits an entry has: without NX where the processor has none */
	struct {
		UCHAR Shift;
		USHORT Entries;
	} Level[4];
} MM_PAGING;
extern MM_PAGING MmPaging;

#ifdef __i386__
/** MmPaging by what the loader chose; on the first processor, before KD starts. */
VOID MiChoosePaging(VOID);
#endif
/** Drop the loader's identity map; make the tables every process shares. */
VOID MiPrepareKernelSpace(VOID);
/** Map one LARGE_PAGE_SIZE of pool. FALSE: out of memory. */
BOOLEAN MiMapPool(ULONG64 Va, ULONG64 Pa);
/** A top-level table with the kernel half of every process. 0: out of memory. */
ULONG64 MmCreateAddressSpace(VOID);
/** Frees the user half: tables, and pages whose entries carry no PTE_SHARED mark. */
VOID MmDeleteAddressSpace(ULONG64 Root);
/** An address as the processor compares it: FALSE if there is no such one. */
BOOLEAN MmIsAddress(ULONG64 Va);

/* --- mm_pte.c: page tables; entries are 64 bits wide here, whatever they are in memory --- */
/** Map one page; makes missing tables. FALSE: out of memory. */
BOOLEAN MmMapPage(ULONG64 Root, ULONG64 Va, ULONG64 Pa, ULONG64 Flags);
/** The entry that maps Va (level 1, or large), 0 if none. */
ULONG64 MmGetPte(ULONG64 Root, ULONG64 Va, PULONG64 PageSize);
/** Change the entry that maps Va; there is one. The processor's translation is dropped. */
VOID MmSetPte(ULONG64 Root, ULONG64 Va, ULONG64 Pte);
VOID MmUnmapPage(ULONG64 Root, ULONG64 Va);
/** Free the tables of the first Entries entries of a top-level table, and that table itself. */
VOID MiDeleteTables(ULONG64 Root, ULONG Entries);
#define PTE_SHARED 0x200ull /* software bit: the frame belongs to an image or to the kernel */
extern ULONG64 MmSystemPageTable;
extern PVOID MmPteBase; /* the self map: every PTE of the current address space */

/* --- mm_sysva.c: system PTEs --- */
VOID MiInitializeSystemVa(VOID);
/** Address space for Pages pages with an unmapped page before them; 0 if there is none. */
ULONG64 MmReserveSystemVa(ULONG64 Pages);
VOID MmReleaseSystemVa(ULONG64 Va, ULONG64 Pages);
PVOID MmCreateKernelStack(VOID); /* its limit (lowest byte), KERNEL_STACK_SIZE bytes; or NULL */
VOID MmDeleteKernelStack(PVOID Limit);
PVOID MmMapIoSpace(ULONG64 Physical, SIZE_T Size, ULONG CacheType);
VOID MmUnmapIoSpace(PVOID Va, SIZE_T Size);

/* --- mm_pool.c --- */
VOID MiInitializePool(VOID);
/* What ExAllocatePoolWithTag gives is zeroed here; Windows does not promise that. */
#define POOL_TAG(a, b, c, d) ((ULONG)(a) | (ULONG)(b) << 8 | (ULONG)(c) << 16 | (ULONG)(d) << 24)

/* --- mm_sysload.c: drivers loaded by the running kernel --- */
VOID MiInitializeLoadedModuleList(PLOADER_PARAMETER_BLOCK LoaderBlock);
NTSTATUS MmLoadSystemImage(PCSTR FileName, PKLDR_DATA_TABLE_ENTRY *Entry);
VOID MmUnloadSystemImage(PKLDR_DATA_TABLE_ENTRY Entry);
VOID MiFreeInitSections(PKLDR_DATA_TABLE_ENTRY Entry);
/** A file of the boot file list, NULL if there is none of this name. */
const struct loader_file *MmFindBootFile(PCSTR Name);
PKLDR_DATA_TABLE_ENTRY MmFindLoadedModule(PCSTR BaseName);

/* --- mm_user.c: programs --- */
struct mm_user_image {
	CHAR Name[64];
	ULONG64 Base;
	ULONG ImageSize;
	ULONG EntryRva;
	ULONG TimeDateStamp;
	ULONG CheckSum;
};
/** Map Name into the process; the read-only pages are shared by all who map it. */
NTSTATUS MmMapUserImage(PEPROCESS Process, PCSTR Name, struct mm_user_image *Image);
ULONG64 MmFindUserExport(PCSTR Image, PCSTR Name);
/** Private zeroed pages. */
NTSTATUS MmAllocateUserMemory(PEPROCESS Process, ULONG64 Va, SIZE_T Size);
/** Write into a process's address space through the physical window. */
NTSTATUS MmCopyToProcess(PEPROCESS Process, ULONG64 Va, const VOID *Data, SIZE_T Size);

ULONG MmAccessFault(PKTRAP_FRAME TrapFrame, ULONG_PTR FaultAddress);
/** Can the current process itself read (or write) all of it? TRUE holds while it lives: a driver in
 * its context may use the range at any IRQL. Ours. */
BOOLEAN MmProbeUser(ULONG64 Va, SIZE_T Size, BOOLEAN Write);
/** Copy from user addresses of the current process. */
NTSTATUS MmCopyFromUser(PVOID To, ULONG64 From, SIZE_T Size);

extern ULONG64 MmNumberOfPhysicalPages, MmLowestPhysicalPage, MmHighestPhysicalPage;
extern ULONG64 MmAvailablePages;
extern ULONG_PTR MmHighestUserAddress, MmSystemRangeStart, MmUserProbeAddress;

#endif
