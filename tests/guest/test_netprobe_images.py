#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""netprobe.sys as Windows 7 to 11 would load it, by llvm-readobj: imports, exports, form.

usage: test_netprobe_images.py NETPROBE.SYS...
"""
import re
import struct
import subprocess
import sys

# What every Windows from 7 on exports (traffic facts 2.5; what begins with 8 is not here). A function
# that is newer is looked for at run time, or the driver would not load where it is missing.
EVERYWHERE = {
    "fwpkclnt.sys": {
        "FwpmBfeStateGet0", "FwpmBfeStateSubscribeChanges0", "FwpmBfeStateUnsubscribeChanges0",
        "FwpmCalloutAdd0", "FwpmCalloutDeleteByKey0", "FwpmEngineClose0", "FwpmEngineOpen0",
        "FwpmFilterAdd0", "FwpmFilterDeleteById0", "FwpmProviderAdd0", "FwpmSubLayerAdd0",
        "FwpmSubLayerDeleteByKey0", "FwpmTransactionAbort0", "FwpmTransactionBegin0",
        "FwpmTransactionCommit0", "FwpsAllocateCloneNetBufferList0",
        "FwpsAllocateNetBufferAndNetBufferList0", "FwpsCalloutRegister1",
        "FwpsCalloutUnregisterById0", "FwpsCloneStreamData0",
        "FwpsConstructIpHeaderForTransportPacket0", "FwpsCopyStreamDataToBuffer0",
        "FwpsDereferenceNetBufferList0", "FwpsDiscardClonedStreamData0",
        "FwpsFlowAssociateContext0", "FwpsFlowRemoveContext0", "FwpsFreeCloneNetBufferList0",
        "FwpsFreeNetBufferList0", "FwpsInjectTransportReceiveAsync0",
        "FwpsInjectTransportSendAsync0", "FwpsInjectTransportSendAsync1",
        "FwpsInjectionHandleCreate0", "FwpsInjectionHandleDestroy0",
        "FwpsQueryPacketInjectionState0", "FwpsReferenceNetBufferList0", "FwpsStreamContinue0",
        "FwpsStreamInjectAsync0"},
    "ndis.sys": {
        "NdisAdvanceNetBufferDataStart", "NdisAllocateGenericObject",
        "NdisAllocateNetBufferListPool", "NdisCopyFromNetBufferToNetBuffer",
        "NdisFreeGenericObject", "NdisFreeNetBufferListPool", "NdisGetDataBuffer",
        "NdisRetreatNetBufferDataStart"},
    "ntoskrnl.exe": {
        "DbgPrintEx", "ExAllocatePoolWithTag", "ExFreePoolWithTag", "ExSetTimerResolution",
        "IoAllocateMdl", "IoCreateDevice", "IoDeleteDevice", "IoFreeMdl", "KdDebuggerNotPresent",
        "KeDelayExecutionThread", "KeInitializeEvent", "KeSetEvent", "KeSetPriorityThread",
        "KeWaitForSingleObject",
        "MmAllocateContiguousMemory", "MmBuildMdlForNonPagedPool", "MmFreeContiguousMemory",
        "MmGetPhysicalAddress", "ObReferenceObjectByHandle", "ObfDereferenceObject",
        "PsCreateSystemThread", "PsTerminateSystemThread", "RtlInitUnicodeString", "ZwClose"},
    "hal.dll": {"KeQueryPerformanceCounter"},
}
BY_MACHINE = {
    "AMD64": {"ntoskrnl.exe": {"KeAcquireSpinLockRaiseToDpc", "KeReleaseSpinLock"}, "hal.dll": set()},
    "I386": {"ntoskrnl.exe": set(), "hal.dll": {"KfAcquireSpinLock", "KfReleaseSpinLock"}},
}
EXPORTS = {"NetprobeDirectory", "NetprobeInject", "NetprobeInspect"}
failures = 0


def check(condition, text):
    global failures
    failures += not condition
    print(f"{'ok' if condition else 'not ok'} - {text}")


def readobj(path, *options):
    return subprocess.run(["llvm-readobj", *options, path], check=True, capture_output=True,
                          text=True).stdout


def imports_of(path):
    found = {}
    for block in readobj(path, "--coff-imports").split("Import {")[1:]:
        name = re.search(r"Name: (\S+)", block)[1].lower()
        found[name] = set(re.findall(r"Symbol: (\S+)", block))
    return found


def checksum_of(data):
    """The sum that the kernel wants to see, over the file with the field as zero."""
    at = struct.unpack_from("<I", data, 0x3C)[0] + 24 + 64
    data = data[:at] + bytes(4) + data[at + 4:] + bytes(len(data) % 2)
    total = sum(struct.unpack(f"<{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(data)


def check_image(path):
    headers = readobj(path, "--file-headers")
    machine = re.search(r"Machine: IMAGE_FILE_MACHINE_(\w+)", headers)[1]
    label = f"netprobe.sys ({machine})"
    for module, names in imports_of(path).items():
        known = EVERYWHERE.get(module, set()) | BY_MACHINE[machine].get(module, set())
        check(names <= known, f"{label} imports from {module} {sorted(names - known) or 'what all have'}")
    exports = readobj(path, "--coff-exports")
    check(set(re.findall(r"^  Name: (\S+)", exports, re.M)) == EXPORTS, f"{label} exports what it should")
    places = re.findall(r"^  RVA: (\S+)", exports, re.M)
    check(len(set(places)) == len(places), f"{label}: an address for each export")
    check("IMAGE_SUBSYSTEM_NATIVE" in headers and "IMAGE_FILE_DLL" not in headers, f"{label} is a driver")
    check(re.search(r"BaseRelocationTableSize: 0x[1-9A-F]", headers), f"{label} can be relocated")
    check(machine != "AMD64" or re.search(r"ExceptionTableSize: 0x[1-9A-F]", headers), f"{label} can be unwound")
    data = open(path, "rb").read()
    at = struct.unpack_from("<I", data, 0x3C)[0] + 24 + 64
    check(struct.unpack_from("<I", data, at)[0] == checksum_of(data), f"{label}: its checksum is right")
    check(b"netprobe.pdb" in data, f"{label} names its PDB")


for name in sys.argv[1:]:
    check_image(name)
print(f"1..{(len(sys.argv) - 1) * 11}" if not failures else f"# {failures} failed")
sys.exit(failures != 0)
