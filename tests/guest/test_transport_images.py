#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The transport DLLs as an NT kernel and its loader see them, by llvm-readobj: exports, imports, form.

usage: test_transport_images.py DLL...
"""
import re
import subprocess
import sys

# vm-transport facts 1.3: what XP to 11 import of kdcom.dll, without decoration on every machine
EXPORTS = {"KdD0Transition", "KdD3Transition", "KdDebuggerInitialize0", "KdDebuggerInitialize1",
           "KdInitialize", "KdPower", "KdReceivePacket", "KdRestore", "KdSave", "KdSendPacket",
           "KdSetHiberRange"}
# guest/transport/README.md: all that is called or touched of the system
IMPORTS = {"kdserial.dll": {"KdDebuggerNotPresent", "KdComPortInUse"},
           "kdring.dll": {"KdDebuggerNotPresent", "KdComPortInUse", "MmGetPhysicalAddress",
                           "HalPrivateDispatchTable"}}
MODULES = {"ntoskrnl.exe", "hal.dll"}
failures = 0


def check(condition, text):
    global failures
    if not condition:
        failures += 1
    print(f"{'ok' if condition else 'not ok'} - {text}")


def readobj(path, *options):
    return subprocess.run(["llvm-readobj", *options, path], check=True, capture_output=True,
                          text=True).stdout


def check_image(path):
    name = path.rsplit("/", 1)[-1]
    headers = readobj(path, "--file-headers")
    machine = re.search(r"Machine: IMAGE_FILE_MACHINE_(\w+)", headers)[1]
    label = f"{name} ({machine})"
    exports = set(re.findall(r"^  Name: (\S+)", readobj(path, "--coff-exports"), re.M))
    imports = readobj(path, "--coff-imports")
    check(exports == EXPORTS, f"{label} exports {sorted(exports ^ EXPORTS) or 'what it should'}")
    symbols = set(re.findall(r"Symbol: (\S+)", imports))
    check(symbols == IMPORTS[name],
          f"{label} imports {sorted(symbols ^ IMPORTS[name]) or 'what it should'}")
    check(set(re.findall(r"^  Name: (\S+)", imports, re.M)) <= MODULES, f"{label} imports from "
          f"{' and '.join(sorted(MODULES))} only")
    check("IMAGE_SUBSYSTEM_NATIVE" in headers, f"{label} is native")
    check("IMAGE_FILE_RELOCS_STRIPPED" not in headers and
          re.search(r"BaseRelocationTableSize: 0x[1-9A-F]", headers), f"{label} can be relocated")
    check(re.search(r"AddressOfEntryPoint: 0x0$", headers, re.M), f"{label} has no entry point")
    check(not re.search(r"CheckSum: 0x0$|CheckSum: 0$", headers, re.M), f"{label} has a checksum")
    return machine, name


def main():
    seen = {check_image(path) for path in sys.argv[1:]}
    check(seen == {(m, n) for m in ("AMD64", "I386") for n in IMPORTS}, "both DLLs, both machines")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
