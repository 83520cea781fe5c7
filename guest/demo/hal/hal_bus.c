/* SPDX-License-Identifier: MIT */
/* PCI configuration space through ports CF8h and CFCh, and what a device writes to interrupt us. */
#include "guest/demo/hal/hal.h"

enum {
	PORT_ADDRESS = 0xCF8,
	PORT_DATA = 0xCFC,
	CONFIGURATION_SIZE = 256,
};
#define ADDRESS_ENABLE  0x80000000u
#define MESSAGE_ADDRESS 0xFEE00000u

static KSPIN_LOCK configuration_lock;

static VOID select(ULONG bus, ULONG slot, ULONG offset)
{
	ULONG device = slot & 31, function = slot >> 5 & 7;

	__outdword(PORT_ADDRESS, ADDRESS_ENABLE | (bus & 255) << 16 | device << 11 | function << 8 |
					 (offset & 0xFC));
}

static ULONG transfer(ULONG bus, ULONG slot, PUCHAR bytes, ULONG offset, ULONG length,
		      BOOLEAN write)
{
	BOOLEAN enable = KeDisableInterrupts();
	ULONG n = 0;

	KxAcquireSpinLock(&configuration_lock);
	while (n < length && offset + n < CONFIGURATION_SIZE) {
		ULONG at = offset + n;
		BOOLEAN whole = (at & 3) == 0 && length - n >= 4;
		USHORT port = (USHORT)(PORT_DATA + (at & 3));

		select(bus, slot, at);
		if (whole && write) {
			ULONG value;

			__builtin_memcpy(&value, bytes + n, sizeof(value));
			__outdword(port, value);
		} else if (whole) {
			ULONG value = __indword(port);

			__builtin_memcpy(bytes + n, &value, sizeof(value));
		} else if ((at & 1) == 0 && length - n >= 2) {
			USHORT value;

			__builtin_memcpy(&value, bytes + n, sizeof(value));
			if (write)
				__outword(port, value);
			else
				value = __inword(port);
			__builtin_memcpy(bytes + n, &value, sizeof(value));
			n += 2;
			continue;
		} else if (write) {
			__outbyte(port, bytes[n]);
		} else {
			bytes[n] = __inbyte(port);
		}
		n += whole ? 4 : 1;
	}
	KxReleaseSpinLock(&configuration_lock);
	KeRestoreInterrupts(enable);
	return n;
}

ULONG HalGetBusDataByOffset(ULONG BusDataType, ULONG BusNumber, ULONG SlotNumber, PVOID Buffer,
			    ULONG Offset, ULONG Length)
{
	if (BusDataType != PCI_CONFIGURATION)
		return 0;
	return transfer(BusNumber, SlotNumber, Buffer, Offset, Length, FALSE);
}

ULONG HalSetBusDataByOffset(ULONG BusDataType, ULONG BusNumber, ULONG SlotNumber, PVOID Buffer,
			    ULONG Offset, ULONG Length)
{
	if (BusDataType != PCI_CONFIGURATION)
		return 0;
	return transfer(BusNumber, SlotNumber, Buffer, Offset, Length, TRUE);
}

VOID HalDescribeMessage(ULONG Vector, ULONG Processor, PULONG64 Address, PULONG Data)
{
	*Address = MESSAGE_ADDRESS | (ULONG64)HalpApicIds[Processor] << 12;
	*Data = Vector; /* fixed delivery, edge */
}
