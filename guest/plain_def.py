#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A module definition without the decorations of x86.

The descriptions in common/import/ name functions as compilers for x86 do, because an import library
for x86 must: Name@BYTES (stdcall), @Name@BYTES (fastcall), Name (cdecl). Exports carry the bare name
on every machine. Lines that end in "; x86 only" or "; x64 only" are left out for others.

usage: plain_def.py MACHINE IN OUT      (MACHINE: x86 or x64)
"""
import re
import sys


def plain(line, machine):
    if line.startswith(";"):
        return line
    text, _, remark = line.partition(";")
    if remark.strip().endswith(" only") and remark.split()[0] != machine:
        return ""
    return re.sub(r"^(\s+)@?(\w+)@\d+", r"\1\2", text).rstrip() + "\n"


def main():
    machine, source, target = sys.argv[1:]
    with open(source, encoding="ascii") as f, open(target, "w", encoding="ascii") as out:
        out.writelines(plain(line, machine) for line in f)


if __name__ == "__main__":
    main()
