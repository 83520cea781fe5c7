/* SPDX-License-Identifier: MIT */
/* The operations core/target answers requests with, on this machine. */
#include "guest/demo/ntos/kd/kdp.h"

#include "guest/demo/ntos/inc/ntmm.h"

struct kd_target KdpTarget;

/* The CONTEXT a processor will resume with, where it is not the one in its PRCB. */
static PCONTEXT KdpContexts[MAXIMUM_PROCESSORS];

VOID KdpSetContext(ULONG Processor, PCONTEXT Context)
{
	KdpContexts[Processor] = Context;
}

static PCONTEXT context_of(uint16_t processor)
{
	return KdpContexts[processor] ? KdpContexts[processor]
				      : &KiProcessorBlock[processor]->ProcessorState.ContextFrame;
}

static size_t copy_memory(const struct kd_target_memory *where, void *buffer, size_t size,
			  ULONG flags)
{
	ULONG copied = 0;

	if (where->space == KD_TARGET_PHYSICAL)
		flags |= MMDBG_COPY_PHYSICAL;
	MmDbgCopyMemory(where->address, buffer, (ULONG)size, flags, &copied);
	return copied;
}

static size_t read_memory(void *user, const struct kd_target_memory *from, uint8_t *out,
			  size_t size)
{
	return copy_memory(from, out, size, 0);
}

static size_t write_memory(void *user, const struct kd_target_memory *to, const uint8_t *bytes,
			   size_t size)
{
	return copy_memory(to, (void *)(uintptr_t)bytes, size, MMDBG_COPY_WRITE);
}

static bool get_context(void *user, uint16_t processor, uint8_t *out)
{
	__builtin_memcpy(out, context_of(processor), sizeof(CONTEXT));
	return true;
}

static bool set_context(void *user, uint16_t processor, const uint8_t *bytes)
{
	__builtin_memcpy(context_of(processor), bytes, sizeof(CONTEXT));
	return true;
}

static PKSPECIAL_REGISTERS special_of(uint16_t processor)
{
	return &KiProcessorBlock[processor]->ProcessorState.SpecialRegisters;
}

static bool get_special(void *user, uint16_t processor, uint8_t *out)
{
	__builtin_memcpy(out, special_of(processor), sizeof(KSPECIAL_REGISTERS));
	return true;
}

static bool set_special(void *user, uint16_t processor, const uint8_t *bytes)
{
	__builtin_memcpy(special_of(processor), bytes, sizeof(KSPECIAL_REGISTERS));
	return true;
}

static uint16_t count_processors(void *user)
{
	return KeNumberProcessors;
}

static uint64_t get_pointer(void *user, uint16_t processor, enum kd_target_pointer which)
{
	PKPRCB prcb = KiProcessorBlock[processor];

	switch (which) {
	case KD_TARGET_KPCR: return (ULONG_PTR)KiPcrOf(prcb);
	case KD_TARGET_KPRCB: return (ULONG_PTR)prcb;
	default: return (ULONG_PTR)prcb->CurrentThread;
	}
}

static ULONG64 find_pte(uint64_t address, PULONG64 size)
{
	return MmIsAddress(address) ? MmGetPte(KiReadCr3() & PTE_FRAME, (ULONG_PTR)address, size)
				    : 0;
}

static bool translate(void *user, uint64_t address, uint64_t *physical_ret)
{
	ULONG64 size;
	ULONG64 pte = find_pte(address, &size);

	if (!pte)
		return false;
	*physical_ret = (pte & PTE_FRAME & ~(size - 1)) | (address & (size - 1));
	return MmIsRam(*physical_ret);
}

static bool query_memory(void *user, uint64_t address, uint32_t *space_ret, uint32_t *flags_ret)
{
	ULONG64 size;
	ULONG64 pte = find_pte(address, &size);

	if (!pte)
		return false;
	*space_ret = (ULONG_PTR)address >= MmSystemRangeStart ? KD_TARGET_MEMORY_KERNEL
							      : KD_TARGET_MEMORY_PROCESS;
	*flags_ret = KD_TARGET_MEMORY_READ | KD_TARGET_MEMORY_FIXED; /* nothing is ever paged */
	if (pte & PTE_WRITE)
		*flags_ret |= KD_TARGET_MEMORY_WRITE;
	if (!(pte & PTE_NX))
		*flags_ret |= KD_TARGET_MEMORY_EXECUTE;
	return true;
}

static bool read_msr(void *user, uint16_t processor, uint32_t msr, uint64_t *value_ret)
{
	return KiReadMsrSafe(msr, value_ret);
}

static bool write_msr(void *user, uint16_t processor, uint32_t msr, uint64_t value)
{
	return KiWriteMsrSafe(msr, value);
}

/* --- ports and the PCI bus --- */

static bool is_port(const struct kd_target_port *port)
{
	enum { ISA = 1, IO = 1 };

	return port->interface_type == ISA && port->bus_number == 0 && port->address_space == IO &&
	       port->address <= 0xFFFF;
}

static uint32_t read_port(void *user, const struct kd_target_port *port, uint32_t *value_ret)
{
	const USHORT number = (USHORT)port->address;

	if (!is_port(port))
		return (uint32_t)STATUS_UNSUCCESSFUL;
	switch (port->size) {
	case 1: *value_ret = __inbyte(number); break;
	case 2: *value_ret = __inword(number); break;
	default: *value_ret = __indword(number); break;
	}
	return STATUS_SUCCESS;
}

static uint32_t write_port(void *user, const struct kd_target_port *port, uint32_t value)
{
	const USHORT number = (USHORT)port->address;

	if (!is_port(port))
		return (uint32_t)STATUS_UNSUCCESSFUL;
	switch (port->size) {
	case 1: __outbyte(number, (UCHAR)value); break;
	case 2: __outword(number, (USHORT)value); break;
	default: __outdword(number, value); break;
	}
	return STATUS_SUCCESS;
}

enum { PCI_ADDRESS = 0xCF8, PCI_DATA = 0xCFC, PCI_SPACE = 256, BUS_PCI_CONFIGURATION = 4 };

/* Select the dword of configuration space that holds the byte; its port. Slot: device in bits 0-4,
 * function in 5-7. */
static USHORT pci_select(const struct kd_target_bus *bus, ULONG offset)
{
	const ULONG device = bus->slot_number & 31, function = bus->slot_number >> 5 & 7;

	__outdword(PCI_ADDRESS, 0x80000000u | (bus->bus_number & 0xFF) << 16 | device << 11 |
					function << 8 | (offset & 0xFC));
	return (USHORT)(PCI_DATA + (offset & 3));
}

static size_t pci_room(const struct kd_target_bus *bus, size_t size)
{
	if (bus->bus_data_type != BUS_PCI_CONFIGURATION || bus->bus_number > 255 ||
	    bus->slot_number > 255 || bus->offset >= PCI_SPACE)
		return 0;
	return size < PCI_SPACE - bus->offset ? size : PCI_SPACE - bus->offset;
}

static size_t read_bus(void *user, const struct kd_target_bus *from, uint8_t *out, size_t size)
{
	const size_t n = pci_room(from, size);

	for (size_t i = 0; i < n; i++)
		out[i] = __inbyte(pci_select(from, from->offset + (ULONG)i));
	return n;
}

static size_t write_bus(void *user, const struct kd_target_bus *to, const uint8_t *bytes,
			size_t size)
{
	const size_t n = pci_room(to, size);

	for (size_t i = 0; i < n; i++)
		__outbyte(pci_select(to, to->offset + (ULONG)i), bytes[i]);
	return n;
}

static const struct kd_target_ops KdpTargetOps = {
	.read_memory = read_memory,
	.write_memory = write_memory,
	.get_context = get_context,
	.set_context = set_context,
	.get_special = get_special,
	.set_special = set_special,
	.count_processors = count_processors,
	.get_pointer = get_pointer,
	.translate = translate,
	.query_memory = query_memory,
	.read_msr = read_msr,
	.write_msr = write_msr,
	.read_port = read_port,
	.write_port = write_port,
	.read_bus = read_bus,
	.write_bus = write_bus,
};

VOID KdpInitializeTarget(VOID)
{
	const struct kd_target_config config = {
		.version = &KdpWireVersion,
		.processor_level = 6,
		.special_size = sizeof(KSPECIAL_REGISTERS),
	};

	if (kd_target_init(&KdpTarget, &config, &KdpTargetOps, NULL) != KD_OK)
		KeBugCheckEx(MANUALLY_INITIATED_CRASH, 0, 0, 0, 0); /* a wrong table of ours */
}
