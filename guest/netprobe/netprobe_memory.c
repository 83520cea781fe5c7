/* SPDX-License-Identifier: MIT */
#include "guest/netprobe/netprobe.h"

/*
 * Where the memory is, for the debugger: it finds the export by its name, or these bytes by their
 * signature.
 */
enum { DIRECTORY_SIZE = KD_PROBE_SIZE_directory + KD_PROBE_RUNS_MAX * KD_PROBE_SIZE_run };
extern UCHAR NetprobeDirectory[DIRECTORY_SIZE];
UCHAR NetprobeDirectory[DIRECTORY_SIZE] = KD_PROBE_SIGNATURE;

/* Sizes to try, largest first: guest to host, host to guest. */
static const struct {
	ULONG Up, Down;
} sizes[] = { { 16 << 20, 1 << 20 },
	      { 4 << 20, 1 << 20 },
	      { 2 << 20, 512 << 10 },
	      { 512 << 10, 256 << 10 } };

static ULONG total_size(unsigned i)
{
	return KD_PROBE_PAGE + sizes[i].Up + sizes[i].Down;
}

static BOOLEAN allocate_contiguous(unsigned i)
{
	LARGE_INTEGER anywhere = { .QuadPart = INT64_MAX };

	Netprobe->MemorySize = total_size(i);
	Netprobe->Memory = MmAllocateContiguousMemory(Netprobe->MemorySize, anywhere);
	Netprobe->IsContiguous = Netprobe->Memory != NULL;
	return Netprobe->IsContiguous;
}

/* The pages of the memory, neighbours joined. 0: there are too many pieces to tell. */
static ULONG describe_pages(PUCHAR to)
{
	struct kd_probe_w_run run = { 0, 0 };
	ULONG n = 0;

	for (SIZE_T at = 0; at < Netprobe->MemorySize; at += PAGE_SIZE) {
		LARGE_INTEGER page = MmGetPhysicalAddress((PUCHAR)Netprobe->Memory + at);

		if (n != 0 && run.address + run.size == (ULONG64)page.QuadPart) {
			run.size += PAGE_SIZE;
		} else {
			if (n == KD_PROBE_RUNS_MAX)
				return 0;
			run = (struct kd_probe_w_run){ (ULONG64)page.QuadPart, PAGE_SIZE };
			n++;
		}
		kd_probe_w_run_encode(to + (n - 1) * KD_PROBE_SIZE_run, &run);
	}
	return n;
}

static VOID publish(VOID)
{
	struct kd_probe_w_directory directory = {
		.signature = KD_PROBE_SIGNATURE,
		.version = KD_PROBE_VERSION,
		.memory = (ULONG64)(ULONG_PTR)Netprobe->Memory,
		.memory_size = (ULONG)Netprobe->MemorySize,
		.inspect = (ULONG64)(ULONG_PTR)NetprobeInspect,
		.inject = (ULONG64)(ULONG_PTR)NetprobeInject,
	};

	directory.n_runs = describe_pages(NetprobeDirectory + KD_PROBE_SIZE_directory);
	kd_probe_w_directory_encode(NetprobeDirectory, &directory);
}

NTSTATUS ProbeCreateMemory(VOID)
{
	struct kd_probe_shape shape = { 0 };
	unsigned i = 0;

	while (i < RTL_NUMBER_OF(sizes) && !allocate_contiguous(i))
		i++;
	if (i == RTL_NUMBER_OF(sizes)) {
		/* scattered pages: enough for the stubs, perhaps for more */
		Netprobe->MemorySize = total_size(--i);
		Netprobe->Memory = ProbeAllocate(Netprobe->MemorySize);
	}
	if (Netprobe->Memory == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	shape.size = (ULONG)Netprobe->MemorySize;
	shape.up = KD_PROBE_PAGE;
	shape.up_size = sizes[i].Up;
	shape.down = KD_PROBE_PAGE + sizes[i].Up;
	shape.down_size = sizes[i].Down;
	shape.boot = ProbeNow();
	kd_probe_init(&Netprobe->Probe, Netprobe->Memory, &shape, sizeof(PVOID));
	publish();
	return STATUS_SUCCESS;
}

VOID ProbeDeleteMemory(VOID)
{
	static const struct kd_probe_w_directory nothing = { .signature = KD_PROBE_SIGNATURE,
							     .version = KD_PROBE_VERSION };

	if (Netprobe->Memory == NULL)
		return;
	kd_probe_deinit(&Netprobe->Probe);
	kd_probe_w_directory_encode(NetprobeDirectory, &nothing);
	if (Netprobe->IsContiguous)
		MmFreeContiguousMemory(Netprobe->Memory);
	else
		ProbeFree(Netprobe->Memory);
	Netprobe->Memory = NULL;
}
