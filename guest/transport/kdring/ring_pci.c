/* SPDX-License-Identifier: MIT */
#include "guest/transport/kdring/ring_pci.h"

#include "guest/common/nt_base.h"
#include "guest/transport/ports.h"

/* NT's table of optional services of the HAL; entry 0 is its version. */
extern DLLIMPORT ULONG_PTR HalPrivateDispatchTable[];

enum {
	SLOT_MAP_PHYSICAL = 18, /* KdMapPhysicalMemory64 */
	CONFIG_ADDRESS = 0xCF8, /* configuration mechanism 1 */
	CONFIG_DATA = 0xCFC,
	DEVICE_ID = 0x00,
	COMMAND = 0x04,
	HEADER_TYPE = 0x0C, /* byte 2 of it */
	BAR2 = 0x18,
	BUSES = 256,
	DEVICES = 32,
	FUNCTIONS = 8,
};

#define IVSHMEM_ID         0x11101AF4u
#define COMMAND_MEMORY     2u
#define HEADER_IS_MULTIPLE 0x00800000u
#define BAR_IS_IO          1u
#define BAR_TYPE_MASK      6u
#define BAR_IS_64          4u
#define BAR_ADDRESS        (~UINT64_C(0xF))

struct place {
	uint8_t bus, device, function;
};

static struct {
	struct place place;
	uint64_t physical;
	void *pages; /* NULL: not mapped */
	bool is_absent;
} pci;

/* --- configuration space --- */

static uint32_t config_read(struct place p, unsigned offset)
{
	port_write32(CONFIG_ADDRESS, 0x80000000u | (uint32_t)p.bus << 16 |
					     (uint32_t)p.device << 11 | (uint32_t)p.function << 8 |
					     offset);
	return port_read32(CONFIG_DATA);
}

static void config_write(struct place p, unsigned offset, uint32_t value)
{
	config_read(p, offset); /* leaves the address behind */
	port_write32(CONFIG_DATA, value);
}

/* Bus by bus: most machines have it on the first. */
static bool find_device(struct place *ret)
{
	for (unsigned bus = 0; bus < BUSES; bus++) {
		for (unsigned device = 0; device < DEVICES; device++) {
			for (unsigned function = 0; function < FUNCTIONS; function++) {
				struct place p = { (uint8_t)bus, (uint8_t)device,
						   (uint8_t)function };

				if (config_read(p, DEVICE_ID) == IVSHMEM_ID) {
					*ret = p;
					return true;
				}
				if (function == 0 &&
				    !(config_read(p, HEADER_TYPE) & HEADER_IS_MULTIPLE))
					break;
			}
		}
	}
	return false;
}

/* 0: no memory there, or the firmware gave it no address. */
static uint64_t bar_address(struct place p)
{
	uint32_t low = config_read(p, BAR2), high = 0;

	if (low & BAR_IS_IO)
		return 0;
	if ((low & BAR_TYPE_MASK) == BAR_IS_64)
		high = config_read(p, BAR2 + 4);
	return ((uint64_t)high << 32 | low) & BAR_ADDRESS;
}

/* What bits can be set tells the size. Nobody else runs: we are the debugger, or the boot. */
static uint64_t bar_size(struct place p)
{
	const uint32_t command = config_read(p, COMMAND), before = config_read(p, BAR2);
	uint32_t mask;

	config_write(p, COMMAND, command & ~COMMAND_MEMORY & 0xFFFF);
	config_write(p, BAR2, ~0u);
	mask = config_read(p, BAR2) & (uint32_t)BAR_ADDRESS;
	config_write(p, BAR2, before);
	config_write(p, COMMAND, (command | COMMAND_MEMORY) & 0xFFFF);
	/* Memory of 4 GB and more keeps no bit of the lower half. */
	return mask ? (uint64_t)(~mask + 1) : UINT64_C(1) << 32;
}

/* --- mapping --- */

/*
 * KdMapPhysicalMemory64(address, pages[, flush]): Vista added the third argument. On x86 the callee
 * removes what it takes, so that the stack is put right behind it, whichever it was.
 */
static void *map_physical(ULONG_PTR service, uint64_t physical)
{
#ifdef __x86_64__
	PVOID(*map)
	(uint64_t, ULONG, BOOLEAN) = (PVOID(*)(uint64_t, ULONG, BOOLEAN))service;

	return map(physical, KD_RING_PAGES, FALSE);
#else
	void *va;

	__asm__ volatile("movl %%esp, %%ebx\n\t"
			 "pushl $0\n\t"
			 "pushl %[pages]\n\t"
			 "pushl %[high]\n\t"
			 "pushl %[low]\n\t"
			 "call *%[service]\n\t"
			 "movl %%ebx, %%esp"
			 : "=a"(va)
			 : [service] "S"(service), [low] "D"((uint32_t)physical),
			   [high] "c"((uint32_t)(physical >> 32)), [pages] "i"(KD_RING_PAGES)
			 : "ebx", "edx", "memory", "cc");
	return va;
#endif
}

static bool find_memory(void)
{
	if (!find_device(&pci.place))
		return false;
	pci.physical = bar_address(pci.place);
	return pci.physical != 0 && bar_size(pci.place) >= KD_RING_BYTES;
}

enum ring_pci_result ring_pci_map(void **pages_ret)
{
	const ULONG_PTR service = HalPrivateDispatchTable[SLOT_MAP_PHYSICAL];

	if (pci.is_absent)
		return RING_PCI_NONE;
	if (!pci.pages && pci.physical == 0 && !find_memory()) {
		pci.is_absent = true;
		return RING_PCI_NONE;
	}
	if (!pci.pages && service)
		pci.pages = map_physical(service, pci.physical);
	*pages_ret = pci.pages;
	return pci.pages ? RING_PCI_MAPPED : RING_PCI_NOT_YET;
}

bool ring_pci_describe(struct kd_ring_announcement *where)
{
	where->is_pci = true;
	where->bus = pci.place.bus;
	where->device = pci.place.device;
	where->function = pci.place.function;
	return pci.pages;
}

bool ring_pci_has_moved(void)
{
	return pci.pages && bar_address(pci.place) != pci.physical;
}
