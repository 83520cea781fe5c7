/* SPDX-License-Identifier: MIT */
/*
 * Programs. An image is loaded once, at one address for every process: its read-only pages are
 * shared (so a breakpoint written into ntdll is seen by all), each process has its own copy of the
 * writable ones.
 */
#include "guest/common/pe_load.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/rtl.h"

enum { MAX_SECTIONS = 16 };

#define USER_IMAGES_START NT_CPU(0x01000000ull, 0x00007FF640000000ull)
#define USER_IMAGES_STEP  0x00100000ull

struct section {
	struct mm_user_image image;
	struct pe_headers pe;
	ULONG64 physical; /* master copy, contiguous */
};

static struct section MiSections[MAX_SECTIONS];
static ULONG MiSectionCount;

static struct section *section_get(PCSTR name, NTSTATUS *status);

static uint64_t resolve(void *context, const char *dll, const char *name, NTSTATUS *status)
{
	struct section *s = section_get(dll, status);
	uint32_t rva;

	if (s == NULL)
		return 0;
	rva = pe_export_find(MmWindow(s->physical), &s->pe, name);
	*status = STATUS_ENTRYPOINT_NOT_FOUND;
	return rva != 0 ? s->image.Base + rva : 0;
}

static NTSTATUS section_load(struct section *s, const struct loader_file *file)
{
	const UCHAR *bytes = MmWindow(file->physical);
	NTSTATUS status = pe_headers_read(bytes, file->size, &s->pe);
	PUCHAR image;

	if (!NT_SUCCESS(status))
		return status;
	if (s->pe.machine != PE_MACHINE_OURS)
		return STATUS_INVALID_IMAGE_FORMAT;
	s->physical = MmAllocatePhysical(s->pe.image_size / PAGE_SIZE, 1);
	if (s->physical == 0)
		return STATUS_INSUFFICIENT_RESOURCES;
	image = MmWindow(s->physical);
	status = pe_image_map(bytes, file->size, &s->pe, image);
	if (NT_SUCCESS(status))
		status = pe_image_relocate(image, &s->pe, s->image.Base);
	if (NT_SUCCESS(status))
		status = pe_imports_bind(image, &s->pe, resolve, NULL);
	if (!NT_SUCCESS(status)) {
		MmFreePhysical(s->physical, s->pe.image_size / PAGE_SIZE);
		s->physical = 0;
	}
	return status;
}

/* Programs are started by one thread at a time, so the table needs no lock. */
static struct section *section_get(PCSTR name, NTSTATUS *status)
{
	const struct loader_file *file = MmFindBootFile(name);
	struct section *s;

	for (ULONG i = 0; i < MiSectionCount; i++) {
		if (pe_name_equal(MiSections[i].image.Name, name))
			return &MiSections[i];
	}
	*status = STATUS_NO_SUCH_FILE;
	if (file == NULL)
		return NULL;
	*status = STATUS_INSUFFICIENT_RESOURCES;
	if (MiSectionCount == MAX_SECTIONS)
		return NULL;
	s = &MiSections[MiSectionCount++];
	s->image.Base = USER_IMAGES_START + (MiSectionCount - 1) * USER_IMAGES_STEP;
	RtlStringCopy(s->image.Name, sizeof(s->image.Name), file->name);
	*status = section_load(s, file);
	if (!NT_SUCCESS(*status)) {
		s->image.Name[0] = '\0';
		return NULL;
	}
	s->image.ImageSize = s->pe.image_size;
	s->image.EntryRva = s->pe.entry_rva;
	s->image.TimeDateStamp = s->pe.time_date_stamp;
	s->image.CheckSum = s->pe.checksum;
	return s;
}

static BOOLEAN map_shared(PEPROCESS process, const struct section *s, ULONG rva, ULONG64 flags)
{
	return MmMapPage(KiRootOf(&process->Pcb), s->image.Base + rva, s->physical + rva,
			 flags | PTE_USER | PTE_SHARED);
}

static BOOLEAN map_private(PEPROCESS process, const struct section *s, ULONG rva, ULONG64 flags)
{
	ULONG64 page = MmAllocatePhysical(1, 1);

	if (page == 0)
		return FALSE;
	__builtin_memcpy(MmWindow(page), MmWindow(s->physical + rva), PAGE_SIZE);
	return MmMapPage(KiRootOf(&process->Pcb), s->image.Base + rva, page,
			 flags | PTE_USER | PTE_WRITE);
}

static BOOLEAN map_section(PEPROCESS process, const struct section *s, const struct pe_section *ps)
{
	ULONG64 nx = (ps->flags & PE_SCN_EXECUTE) != 0 ? 0 : PTE_NX;

	for (ULONG off = 0; off < ps->virtual_size; off += PAGE_SIZE) {
		BOOLEAN ok = (ps->flags & PE_SCN_WRITE) != 0
				     ? map_private(process, s, ps->rva + off, nx)
				     : map_shared(process, s, ps->rva + off, nx);

		if (!ok)
			return FALSE;
	}
	return TRUE;
}

NTSTATUS MmMapUserImage(PEPROCESS Process, PCSTR Name, struct mm_user_image *Image)
{
	NTSTATUS status = STATUS_SUCCESS;
	struct section *s = section_get(Name, &status);
	struct pe_section ps;

	if (s == NULL)
		return status;
	for (ULONG off = 0; off < s->pe.headers_size; off += PAGE_SIZE) {
		if (!map_shared(Process, s, off, PTE_NX))
			return STATUS_INSUFFICIENT_RESOURCES;
	}
	for (unsigned i = 0; i < s->pe.n_sections; i++) {
		status = pe_section_read(MmWindow(s->physical), s->pe.image_size, &s->pe, i, &ps);
		if (!NT_SUCCESS(status))
			return status;
		if (!map_section(Process, s, &ps))
			return STATUS_INSUFFICIENT_RESOURCES;
	}
	*Image = s->image;
	return STATUS_SUCCESS;
}

ULONG64 MmFindUserExport(PCSTR Image, PCSTR Name)
{
	NTSTATUS status;

	return resolve(NULL, Image, Name, &status);
}

NTSTATUS MmAllocateUserMemory(PEPROCESS Process, ULONG64 Va, SIZE_T Size)
{
	for (SIZE_T off = 0; off < Size; off += PAGE_SIZE) {
		ULONG64 page = MmAllocatePhysical(1, 1);

		if (page == 0 || !MmMapPage(KiRootOf(&Process->Pcb), Va + off, page, PTE_USER_DATA))
			return STATUS_INSUFFICIENT_RESOURCES;
	}
	return STATUS_SUCCESS;
}

NTSTATUS MmCopyToProcess(PEPROCESS Process, ULONG64 Va, const VOID *Data, SIZE_T Size)
{
	const UCHAR *data = Data;

	while (Size != 0) {
		ULONG64 page_size;
		ULONG64 pte = MmGetPte(KiRootOf(&Process->Pcb), Va, &page_size);
		SIZE_T n = PAGE_SIZE - (Va & (PAGE_SIZE - 1));

		if (pte == 0)
			return STATUS_ACCESS_VIOLATION;
		if (n > Size)
			n = Size;
		__builtin_memcpy((PUCHAR)MmWindow(pte & PTE_FRAME) + (Va & (PAGE_SIZE - 1)), data,
				 n);
		Va += n;
		data += n;
		Size -= n;
	}
	return STATUS_SUCCESS;
}
