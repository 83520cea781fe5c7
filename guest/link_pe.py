#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run lld-link and fill in the PE checksum, which lld 14 leaves 0 and NT insists on for boot modules.

usage: link_pe.py LLD-LINK ARGUMENT...     (one argument is /out:FILE)
"""
import struct
import subprocess
import sys


def checksum(data, field):
    """16-bit words with end-around carry, the field itself as zero, plus the length of the file."""
    data = data[:field] + bytes(4) + data[field + 4:]
    total = sum(struct.unpack(f"<{len(data + bytes(len(data) & 1)) // 2}H",
                              data + bytes(len(data) & 1)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(data)


def main():
    status = subprocess.run(sys.argv[1:], check=False).returncode
    if status != 0:
        return status
    path = next(a[5:] for a in sys.argv if a.startswith("/out:"))
    with open(path, "r+b") as f:
        data = f.read()
        field = struct.unpack_from("<I", data, 0x3C)[0] + 24 + 0x40
        f.seek(field)
        f.write(struct.pack("<I", checksum(data, field)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
