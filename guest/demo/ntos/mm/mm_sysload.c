/* SPDX-License-Identifier: MIT */
/* The loaded-module list, and drivers loaded and unloaded while the system runs. */
#include "guest/common/pe_load.h"
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/psp.h"
#include "guest/demo/ntos/inc/rtl.h"

#define TAG_LOADER          POOL_TAG('M', 'm', 'L', 'd')
#define NOTIFY_BOOT_PROCESS ((ULONG_PTR)-1) /* what NT names as owner of kernel images */

LIST_ENTRY PsLoadedModuleList;
PUNLOADED_DRIVERS MmUnloadedDrivers;
ULONG MmLastUnloadedDriver;
static KSPIN_LOCK PsLoadedModuleSpinLock;

INIT_FUNCTION VOID MiInitializeLoadedModuleList(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	PLIST_ENTRY head = &LoaderBlock->LoadOrderListHead;

	/* The loader's entries stay where they are; only the head moves into the kernel. */
	PsLoadedModuleList = *head;
	PsLoadedModuleList.Flink->Blink = &PsLoadedModuleList;
	PsLoadedModuleList.Blink->Flink = &PsLoadedModuleList;
	InitializeListHead(head);
}

const struct loader_file *MmFindBootFile(PCSTR Name)
{
	const LOADER_PARAMETER_EXTENSION *ext = KeLoaderBlock->Extension;

	for (ULONG i = 0; i < ext->file_count; i++) {
		if (pe_name_equal(ext->files[i].name, Name))
			return &ext->files[i];
	}
	return NULL;
}

PKLDR_DATA_TABLE_ENTRY MmFindLoadedModule(PCSTR BaseName)
{
	CHAR name[64];

	for (PLIST_ENTRY at = PsLoadedModuleList.Flink; at != &PsLoadedModuleList; at = at->Flink) {
		PKLDR_DATA_TABLE_ENTRY entry = CONTAINING_RECORD(at, KLDR_DATA_TABLE_ENTRY,
								 InLoadOrderLinks);

		RtlUnicodeToText(name, sizeof(name), &entry->BaseDllName);
		if (pe_name_equal(name, BaseName))
			return entry;
	}
	return NULL;
}

static PVOID find_export(PCSTR module, PCSTR name)
{
	PKLDR_DATA_TABLE_ENTRY entry = MmFindLoadedModule(module);
	struct pe_headers pe;
	uint32_t rva;

	if (entry == NULL || !NT_SUCCESS(pe_headers_read(entry->DllBase, entry->SizeOfImage, &pe)))
		return NULL;
	rva = pe_export_find(entry->DllBase, &pe, name);
	return rva != 0 ? (PUCHAR)entry->DllBase + rva : NULL;
}

PVOID MmGetSystemRoutineAddress(PUNICODE_STRING SystemRoutineName)
{
	CHAR name[128];
	PVOID found;

	RtlUnicodeToText(name, sizeof(name), SystemRoutineName);
	found = find_export("ntoskrnl.exe", name);
	return found != NULL ? found : find_export("hal.dll", name);
}

static uint64_t resolve(void *context, const char *dll, const char *name, NTSTATUS *status)
{
	PKLDR_DATA_TABLE_ENTRY entry = MmFindLoadedModule(dll);
	struct pe_headers pe;
	uint32_t rva;

	*status = STATUS_DLL_NOT_FOUND;
	if (entry == NULL || !NT_SUCCESS(pe_headers_read(entry->DllBase, entry->SizeOfImage, &pe)))
		return 0;
	rva = pe_export_find(entry->DllBase, &pe, name);
	*status = STATUS_ENTRYPOINT_NOT_FOUND;
	return rva != 0 ? (ULONG64)(ULONG_PTR)entry->DllBase + rva : 0;
}

static VOID protect(ULONG64 base, ULONG rva, ULONG size, ULONG64 flags)
{
	for (ULONG off = 0; off < size; off += PAGE_SIZE) {
		ULONG64 page_size;
		ULONG64 pte = MmGetPte(MmSystemPageTable, base + rva + off, &page_size);

		MmSetPte(MmSystemPageTable, base + rva + off,
			 (pte & PTE_FRAME) | flags | PTE_GLOBAL | PTE_VALID);
	}
}

/* Write xor execute, by section. The image was mapped writable and not executable. */
static NTSTATUS protect_image(PUCHAR image, const struct pe_headers *pe)
{
	ULONG64 base = (ULONG64)(ULONG_PTR)image;
	struct pe_section s;
	ULONG64 flags;

	for (unsigned i = 0; i < pe->n_sections; i++) {
		NTSTATUS status = pe_section_read(image, pe->image_size, pe, i, &s);

		if (!NT_SUCCESS(status))
			return status;
		flags = (s.flags & PE_SCN_EXECUTE) != 0 ? 0 : PTE_NX;
		if ((s.flags & PE_SCN_WRITE) != 0)
			flags |= PTE_WRITE;
		protect(base, s.rva, s.virtual_size, flags);
	}
	protect(base, 0, pe->headers_size, PTE_NX);
	return STATUS_SUCCESS;
}

static VOID unmap_range(ULONG64 va, ULONG64 pages)
{
	for (ULONG64 i = 0; i < pages; i++) {
		ULONG64 size;
		ULONG64 pte = MmGetPte(MmSystemPageTable, va + i * PAGE_SIZE, &size);

		if (pte != 0) {
			MmUnmapPage(MmSystemPageTable, va + i * PAGE_SIZE);
			MmFreePhysical(pte & PTE_FRAME, 1);
		}
	}
	KeFlushEntireTb();
}

static NTSTATUS map_image(const struct loader_file *file, PUCHAR *image_ret, struct pe_headers *pe)
{
	const UCHAR *bytes = MmWindow(file->physical);
	NTSTATUS status = pe_headers_read(bytes, file->size, pe);
	ULONG64 pages, va;
	PUCHAR image;

	if (!NT_SUCCESS(status))
		return status;
	if (pe->machine != PE_MACHINE_OURS)
		return STATUS_INVALID_IMAGE_FORMAT;
	pages = pe->image_size / PAGE_SIZE;
	va = MmReserveSystemVa(pages);
	if (va == 0)
		return STATUS_INSUFFICIENT_RESOURCES;
	image = (PUCHAR)(ULONG_PTR)va;
	status = STATUS_SUCCESS;
	for (ULONG64 i = 0; i < pages && NT_SUCCESS(status); i++) {
		ULONG64 page = MmAllocatePhysical(1, 1);

		if (page == 0 ||
		    !MmMapPage(MmSystemPageTable, va + i * PAGE_SIZE, page, PTE_KERNEL_DATA))
			status = STATUS_INSUFFICIENT_RESOURCES;
	}
	if (NT_SUCCESS(status))
		status = pe_image_map(bytes, file->size, pe, image);
	if (NT_SUCCESS(status))
		status = pe_image_relocate(image, pe, va);
	if (NT_SUCCESS(status))
		status = pe_imports_bind(image, pe, resolve, NULL);
	if (NT_SUCCESS(status))
		status = protect_image(image, pe);
	if (!NT_SUCCESS(status)) {
		unmap_range(va, pages);
		MmReleaseSystemVa(va, pages);
		return status;
	}
	*image_ret = image;
	return STATUS_SUCCESS;
}

static PKLDR_DATA_TABLE_ENTRY create_entry(PCSTR name, PUCHAR image, const struct pe_headers *pe)
{
	PKLDR_DATA_TABLE_ENTRY entry = ExAllocatePoolWithTag(NonPagedPool, sizeof(*entry),
							     TAG_LOADER);

	if (entry == NULL)
		return NULL;
	if (!NT_SUCCESS(RtlCreateUnicodeString(&entry->FullDllName,
					       "\\SystemRoot\\system32\\drivers\\", name)) ||
	    !NT_SUCCESS(RtlCreateUnicodeString(&entry->BaseDllName, "", name)))
		return NULL;
	entry->DllBase = image;
	entry->EntryPoint = image + pe->entry_rva;
	entry->SizeOfImage = pe->image_size;
	entry->SizeOfImageNotRounded = pe->image_size;
	entry->CheckSum = pe->checksum;
	entry->TimeDateStamp = pe->time_date_stamp;
#ifndef __i386__
	entry->ExceptionTable = image + pe->dir[PE_DIR_EXCEPTION].rva;
	entry->ExceptionTableSize = pe->dir[PE_DIR_EXCEPTION].size;
#endif
	entry->LoadCount = 1;
	entry->Flags = 0x4000;
	return entry;
}

static VOID notify(PKLDR_DATA_TABLE_ENTRY entry, BOOLEAN load)
{
	CHAR path[128];
	STRING name;

	RtlUnicodeToText(path, sizeof(path), &entry->FullDllName);
	RtlInitString(&name, path);
	if (load)
		DbgLoadImageSymbols(&name, entry->DllBase, NOTIFY_BOOT_PROCESS);
	else
		DbgUnLoadImageSymbols(&name, entry->DllBase, NOTIFY_BOOT_PROCESS);
}

NTSTATUS MmLoadSystemImage(PCSTR FileName, PKLDR_DATA_TABLE_ENTRY *Entry)
{
	const struct loader_file *file = MmFindBootFile(FileName);
	PKLDR_DATA_TABLE_ENTRY entry;
	struct pe_headers pe;
	NTSTATUS status;
	PUCHAR image;
	KIRQL irql;

	if (file == NULL)
		return STATUS_NO_SUCH_FILE;
	if (MmFindLoadedModule(FileName) != NULL)
		return STATUS_OBJECT_NAME_COLLISION;
	status = map_image(file, &image, &pe);
	if (!NT_SUCCESS(status))
		return status;
	entry = create_entry(file->name, image, &pe);
	if (entry == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&PsLoadedModuleSpinLock);
	InsertTailList(&PsLoadedModuleList, &entry->InLoadOrderLinks);
	KxReleaseSpinLock(&PsLoadedModuleSpinLock);
	KeLowerIrql(irql);
	notify(entry, TRUE);
	*Entry = entry;
	return STATUS_SUCCESS;
}

/* One the loader brought: its entry and names are the loader's memory, its address not of ours. */
static BOOLEAN is_boot_module(PKLDR_DATA_TABLE_ENTRY entry)
{
	return (ULONG64)(ULONG_PTR)entry->DllBase < KSEG_SYSTEM_PTES;
}

static VOID remember_name(PUNICODE_STRING name, PKLDR_DATA_TABLE_ENTRY entry)
{
	CHAR text[64];

	if (!is_boot_module(entry)) {
		*name = entry->BaseDllName; /* the string changes owner */
		return;
	}
	RtlUnicodeToText(text, sizeof(text), &entry->BaseDllName);
	__builtin_memset(name, 0, sizeof(*name));
	RtlCreateUnicodeString(name, "", text);
}

static VOID remember_unloaded(PKLDR_DATA_TABLE_ENTRY entry)
{
	PUNLOADED_DRIVERS slot;

	if (MmUnloadedDrivers == NULL)
		MmUnloadedDrivers = ExAllocatePoolWithTag(
			NonPagedPool, MI_UNLOADED_DRIVERS * sizeof(*slot), TAG_LOADER);
	if (MmUnloadedDrivers == NULL)
		return;
	slot = &MmUnloadedDrivers[MmLastUnloadedDriver % MI_UNLOADED_DRIVERS];
	if (slot->Name.Buffer != NULL)
		ExFreePoolWithTag(slot->Name.Buffer, 0);
	remember_name(&slot->Name, entry);
	slot->StartAddress = entry->DllBase;
	slot->EndAddress = (PUCHAR)entry->DllBase + entry->SizeOfImage;
	slot->CurrentTime.QuadPart = (LONGLONG)(PsBootTime + KiQueryInterruptTime());
	MmLastUnloadedDriver = (MmLastUnloadedDriver + 1) % MI_UNLOADED_DRIVERS;
}

VOID MmUnloadSystemImage(PKLDR_DATA_TABLE_ENTRY Entry)
{
	ULONG64 va = (ULONG64)(ULONG_PTR)Entry->DllBase;
	ULONG64 pages = Entry->SizeOfImage / PAGE_SIZE;
	KIRQL irql;

	notify(Entry, FALSE);
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&PsLoadedModuleSpinLock);
	RemoveEntryList(&Entry->InLoadOrderLinks);
	KxReleaseSpinLock(&PsLoadedModuleSpinLock);
	KeLowerIrql(irql);
	remember_unloaded(Entry);
	unmap_range(va, pages);
	if (is_boot_module(Entry))
		return;
	MmReleaseSystemVa(va, pages);
	ExFreePoolWithTag(Entry->FullDllName.Buffer, 0);
	ExFreePoolWithTag(Entry, TAG_LOADER);
}

/** Drop the discardable sections (INIT, .reloc) of a module that is through with its start. */
VOID MiFreeInitSections(PKLDR_DATA_TABLE_ENTRY Entry)
{
	PUCHAR image = Entry->DllBase;
	struct pe_headers pe;
	struct pe_section s;

	if (!NT_SUCCESS(pe_headers_read(image, Entry->SizeOfImage, &pe)))
		return;
	for (unsigned i = 0; i < pe.n_sections; i++) {
		if (!NT_SUCCESS(pe_section_read(image, pe.image_size, &pe, i, &s)) ||
		    (s.flags & PE_SCN_DISCARDABLE) == 0)
			continue;
		unmap_range((ULONG64)(ULONG_PTR)image + s.rva,
			    (s.virtual_size + PAGE_SIZE - 1) / PAGE_SIZE);
	}
}

VOID MmFreeInitSections(VOID)
{
	for (PLIST_ENTRY at = PsLoadedModuleList.Flink; at != &PsLoadedModuleList; at = at->Flink)
		MiFreeInitSections(CONTAINING_RECORD(at, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks));
}
