/* SPDX-License-Identifier: MIT */
#include "guest/transport/debugger_present.h"

#include "guest/common/nt_base.h"
#include "guest/common/pe_load.h"
#include "guest/transport/load_options.h"

/* A variable of the kernel, not a pointer to one. */
extern DLLIMPORT BOOLEAN KdDebuggerNotPresent;

#ifdef __x86_64__
#define SHARED_USER_DATA 0xFFFFF78000000000ull
#else
#define SHARED_USER_DATA 0xFFDF0000u
#endif

enum {
	KD_DEBUGGER_ENABLED_OFFSET = 0x2D4,
	SHARED_ENABLED = 1,
	SHARED_PRESENT = 2,
	GLOBAL_DATA_KD_ENABLED = 10, /* number of that byte for RtlSetSystemGlobalData */
	HEADERS_SIZE = 0x1000,
};

typedef NTSTATUS(NTAPI *global_data_fn)(ULONG id, PVOID buffer, ULONG size);

/* NULL: the page is written directly, as every release before the page became read-only allows. */
static global_data_fn get_global_data, set_global_data;

static void *find_export(uint8_t *image, const struct pe_headers *pe, const char *name)
{
	const uint32_t rva = pe_export_find(image, pe, name);

	return rva ? image + rva : NULL;
}

void debugger_present_init(const void *loader_block)
{
	uint8_t *kernel = load_options_kernel_base(loader_block);
	struct pe_headers pe;

	if (!kernel || !NT_SUCCESS(pe_headers_read(kernel, HEADERS_SIZE, &pe)))
		return;
	get_global_data = (global_data_fn)find_export(kernel, &pe, "RtlGetSystemGlobalData");
	set_global_data = (global_data_fn)find_export(kernel, &pe, "RtlSetSystemGlobalData");
}

static UCHAR with_bit(UCHAR value, bool is_present)
{
	return (UCHAR)(is_present ? value | SHARED_PRESENT : value & ~SHARED_PRESENT);
}

static void set_shared(bool is_present)
{
	volatile UCHAR *shared = (volatile UCHAR *)(ULONG_PTR)SHARED_USER_DATA +
				 KD_DEBUGGER_ENABLED_OFFSET;
	UCHAR value = 0;

	if (!get_global_data || !set_global_data) {
		*shared = with_bit(*shared, is_present);
		return;
	}
	if (!NT_SUCCESS(get_global_data(GLOBAL_DATA_KD_ENABLED, &value, sizeof(value))))
		return;
	value = with_bit(value, is_present);
	set_global_data(GLOBAL_DATA_KD_ENABLED, &value, sizeof(value));
}

void debugger_present_set(bool is_present)
{
	if (KdDebuggerNotPresent == !is_present)
		return;
	KdDebuggerNotPresent = !is_present;
	set_shared(is_present);
}
