/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader hands to the kernel. The head has the shape of Windows 10's
 * LOADER_PARAMETER_BLOCK (x86: Server 2003's), so that a transport DLL finds LoadOptions where it
 * finds it there; the rest of what our own kernel wants to know is in the extension.
 *
 * All pointers are kernel virtual addresses in the physical-memory window.
 */
#ifndef KD_DEMO_LOADER_BLOCK_H
#define KD_DEMO_LOADER_BLOCK_H

#include "guest/common/nt_base.h"

/* Kernel address space; everything not listed is unmapped. */
#ifdef __i386__
#define KSEG_BOOT_IMAGES  0x80800000u /* PE modules loaded by the loader */
#define KSEG_POOL         0x82000000u /* nonpaged pool, 4 KB pages */
#define KSEG_PHYSICAL     0xA0000000u /* the first 512 MB of RAM, large pages */
#define KSEG_PHYSICAL_MAX 0x20000000u
#define KSEG_SELF_MAP     0xC0000000u /* page tables */
#define KSEG_SYSTEM_PTES  0xF6000000u /* stacks and drivers loaded later, 4 KB pages */
#define KSEG_USER_SHARED  0xFFDF0000u /* KUSER_SHARED_DATA */
#define KSEG_BOOT_PCR     0xFFDFF000u /* KPCR of processor 0 */
#define KSEG_LOCAL_APIC   0xFFFE0000u
#else
#define KSEG_USER_SHARED  0xFFFFF78000000000ull /* KUSER_SHARED_DATA */
#define KSEG_BOOT_IMAGES  0xFFFFF80002800000ull /* PE modules loaded by the loader */
#define KSEG_SYSTEM_PTES  0xFFFFF88000000000ull /* stacks and drivers loaded later, 4 KB pages */
#define KSEG_PHYSICAL     0xFFFFFA8000000000ull /* all of RAM, 2 MB pages, never executable */
#define KSEG_PHYSICAL_MAX 0x10000000000ull
#define KSEG_POOL         0xFFFFE00000000000ull /* nonpaged pool, 2 MB pages */
#define KSEG_SELF_MAP     0xFFFFF68000000000ull /* page tables, slot 0x1ED of every PML4 */
#define KSEG_LOCAL_APIC   0xFFFFFFFFFFFE0000ull
#endif

#define LOADER_MAX_FILES   32
#define LOADER_MAX_MEMORY  32
#define LOADER_BLOCK_MAGIC 0x4B44424Cu /* "KDBL" */

enum loader_memory_type {
	LOADER_FREE = 0,
	LOADER_RESERVED, /* firmware, holes */
	LOADER_FIRST_MB, /* free, but below 1 MB: kept for processor start-up */
	LOADER_LOADED,   /* loader block, boot images, page tables, boot files: in use for good */
};

/* Sorted by base, no overlaps; bytes, page aligned. */
struct loader_memory {
	uint64_t base;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

/* One file of QEMU's -initrd list, whole, as it came. */
struct loader_file {
	char name[64]; /* base name, NUL-terminated */
	uint64_t physical;
	uint64_t size;
	uint32_t loaded; /* 1: mapped as a boot image */
	uint32_t reserved;
};

typedef struct _LOADER_PARAMETER_EXTENSION {
	uint32_t magic;
	uint32_t size;
	uint64_t page_table;      /* physical address of the top-level page table in use */
	uint64_t ram_end;         /* end of RAM covered by the physical window */
	uint64_t boot_image_end;  /* first free address after the boot images */
	uint32_t boot_stack_size; /* of KernelStack, bytes */
	uint32_t memory_count;
	uint32_t file_count;
	uint32_t reserved;
	struct loader_memory memory[LOADER_MAX_MEMORY];
	struct loader_file files[LOADER_MAX_FILES];
} LOADER_PARAMETER_EXTENSION, *PLOADER_PARAMETER_EXTENSION;

typedef struct _LOADER_PARAMETER_BLOCK {
#ifdef __x86_64__
	ULONG OsMajorVersion;
	ULONG OsMinorVersion;
	ULONG Size;
	ULONG OsLoaderSecurityVersion;
#endif
	LIST_ENTRY LoadOrderListHead; /* KLDR_DATA_TABLE_ENTRY: kernel first, then hal */
	LIST_ENTRY MemoryDescriptorListHead;
	LIST_ENTRY BootDriverListHead;
#ifdef __x86_64__
	LIST_ENTRY EarlyLaunchListHead;
	LIST_ENTRY CoreDriverListHead;
	LIST_ENTRY CoreExtensionsDriverListHead;
	LIST_ENTRY TpmCoreDriverListHead;
#endif
	ULONG_PTR KernelStack; /* top of the boot stack */
	ULONG_PTR Prcb;
	ULONG_PTR Process;
	ULONG_PTR Thread;
#ifdef __x86_64__
	ULONG KernelStackSize;
#endif
	ULONG RegistryLength;
	PVOID RegistryBase;
	PVOID ConfigurationRoot;
	PCHAR ArcBootDeviceName;
	PCHAR ArcHalDeviceName;
	PCHAR NtBootPathName;
	PCHAR NtHalPathName;
	PCHAR LoadOptions; /* upper case as typed, e.g. "/DEBUG /DEBUGPORT=COM1" */
	PVOID NlsData;
	PVOID ArcDiskInformation;
#ifdef __i386__
	PVOID OemFontFile;
	PVOID SetupLoaderBlock;
#endif
	PLOADER_PARAMETER_EXTENSION Extension;
} LOADER_PARAMETER_BLOCK, *PLOADER_PARAMETER_BLOCK;
ASSERT_OFFSET(LOADER_PARAMETER_BLOCK, LoadOrderListHead, NT_CPU(0x00, 0x10));
ASSERT_OFFSET(LOADER_PARAMETER_BLOCK, KernelStack, NT_CPU(0x18, 0x80));
ASSERT_OFFSET(LOADER_PARAMETER_BLOCK, LoadOptions, NT_CPU(0x44, 0xD8));
ASSERT_OFFSET(LOADER_PARAMETER_BLOCK, Extension, NT_CPU(0x58, 0xF0));

extern PLOADER_PARAMETER_BLOCK KeLoaderBlock; /* valid as long as the system runs */

#endif
