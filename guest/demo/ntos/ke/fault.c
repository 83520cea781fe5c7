/* SPDX-License-Identifier: MIT */
/* Faults the kernel expects at a few known instructions, and the meaning of #GP. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

extern const UCHAR KiReadMsrFault[], KiReadMsrRecovery[];
extern const UCHAR KiWriteMsrFault[], KiWriteMsrRecovery[];
extern const UCHAR KiCopyWordFault[], KiCopyWordRecovery[];
extern const UCHAR KiCopyFault[], KiCopyRecovery[];

static const struct {
	const UCHAR *Fault, *Recovery;
} KiRecoveryTable[] = {
	{ KiReadMsrFault, KiReadMsrRecovery },
	{ KiWriteMsrFault, KiWriteMsrRecovery },
	{ KiCopyWordFault, KiCopyWordRecovery },
	{ KiCopyFault, KiCopyRecovery },
};

/** TRUE: the fault was foreseen, the frame resumes at the recovery. Works at any IRQL. */
BOOLEAN KiRecoverFault(PKTRAP_FRAME TrapFrame)
{
	if (TRAP_IS_USER(TrapFrame))
		return FALSE;
	for (ULONG i = 0; i < RTL_NUMBER_OF(KiRecoveryTable); i++) {
		if (TRAP_PC(TrapFrame) == (ULONG_PTR)KiRecoveryTable[i].Fault) {
			TRAP_PC(TrapFrame) = (ULONG_PTR)KiRecoveryTable[i].Recovery;
			return TRUE;
		}
	}
	return FALSE;
}

static BOOLEAN is_privileged(const UCHAR *code, ULONG n)
{
	if (n >= 1 && (code[0] == 0xF4 || code[0] == 0xFA || code[0] == 0xFB)) /* hlt cli sti */
		return TRUE;
	if (n >= 1 && (code[0] & 0xFC) == 0xEC) /* in, out through dx */
		return TRUE;
	if (n >= 1 && (code[0] & 0xFC) == 0xE4)
		return TRUE;
	if (n >= 2 && code[0] == 0x0F)
		return code[1] == 0x30 || code[1] == 0x32 || (code[1] & 0xFC) == 0x20 ||
		       code[1] == 0x01 || code[1] == 0x00 || code[1] == 0x06 || code[1] == 0x09;
	return FALSE;
}

/** #GP: a privileged instruction in user mode, else an access violation at an unknown address. */
NTSTATUS KiProtectionFaultStatus(PKTRAP_FRAME TrapFrame)
{
	UCHAR code[2];

	if (TRAP_IS_USER(TrapFrame) &&
	    NT_SUCCESS(MmCopyFromUser(code, TRAP_PC(TrapFrame), sizeof(code))) &&
	    is_privileged(code, sizeof(code)))
		return STATUS_PRIVILEGED_INSTRUCTION;
	return STATUS_ACCESS_VIOLATION;
}
