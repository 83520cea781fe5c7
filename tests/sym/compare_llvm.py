#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold lib/sym's answers against LLVM's: compare_llvm.py SYM_DUMP PDB IMAGE

Everything is compared, both ways where both sides list it: publics, procedures, constants, types
with all their members, source lines row by row, exports, imports, the function table, the PDB's id.
"""
import collections
import re
import shutil
import subprocess
import sys

SYM_DUMP, PDB, IMAGE = sys.argv[1:4]
PDBUTIL = shutil.which("llvm-pdbutil")
READOBJ = shutil.which("llvm-readobj")
if not (PDBUTIL and READOBJ):
    print("llvm-pdbutil and llvm-readobj are not installed (Debian: llvm)")
    sys.exit(77)
problems = []


def out(*command, text=None):
    return subprocess.run(command, check=True, input=text, encoding="utf-8", errors="replace",
                          stdout=subprocess.PIPE).stdout


def ours(what, path=PDB, text=None):
    return [line.split("\t") for line in out(SYM_DUMP, what, path, text=text).splitlines()]


def report(what, theirs, mine, least, exact=True):
    """theirs and mine are sets; exact: ours may say nothing that LLVM does not."""
    if len(theirs) < least:
        problems.append(f"{what}: the oracle says only {len(theirs)} things")
    for row in sorted(theirs - mine, key=str)[:5]:
        problems.append(f"{what}: missing {row}")
    for row in sorted(mine - theirs, key=str)[:5] if exact else ():
        problems.append(f"{what}: not LLVM's: {row}")
    print(f"{what}: {len(theirs)} compared")


HEADERS = out(READOBJ, "--file-headers", "--sections", IMAGE)
BASES = [int(x, 16) for x in re.findall(r"VirtualAddress: (0x[0-9A-Fa-f]+)", HEADERS)]
IS_X86 = "IMAGE_FILE_MACHINE_I386" in HEADERS
IMAGE_BASE = int(re.search(r"ImageBase: (0x[0-9A-Fa-f]+)", HEADERS).group(1), 16)


def rva(section, offset):
    return BASES[section - 1] + offset if 0 < section <= len(BASES) else None


def undecorate(name):
    if not IS_X86 or name[0] not in "_@":
        return name
    return re.sub(r"(?<=.)@\d+$", "", name[1:])


def symbols():
    rows = []
    for line in out(SYM_DUMP, "symbols", PDB).splitlines():
        address, size, kind, name = line.split(" ", 3)
        rows.append((int(address, 16), int(size, 16), kind, name))
    if [r[0] for r in rows] != sorted(r[0] for r in rows):
        problems.append("symbols: not by address")
    return rows


def compare_symbols():
    mine = symbols()
    theirs = set()
    text = out(PDBUTIL, "dump", "--publics", PDB)
    for name, section, offset in re.findall(
            r"S_PUB32 \[size = \d+\] `(.*)`\n.*addr = (\d+):(\d+)", text):
        place = rva(int(section), int(offset))
        if place is not None:
            theirs.add((place, undecorate(name)))
    publics = {(r[0], r[3]) for r in mine if r[2].startswith("public")}
    report("publics", theirs, {(r[0], r[3]) for r in mine}, 5, exact=False)
    report("publics of ours", publics, theirs, 0, exact=False)
    theirs = set()
    text = out(PDBUTIL, "dump", "--symbols", PDB)
    for name, section, offset, size in re.findall(
            r"S_[GL]PROC32(?:_ID)? \[size = \d+\] `(.*)`\n.*addr = (\d+):(\d+), "
            r"code size = (\d+)", text):
        place = rva(int(section), int(offset))
        if place is not None and name:
            theirs.add((place, int(size), name))
    report("procedures", theirs, {(r[0], r[1], r[3]) for r in mine if r[2] == "function"}, 3,
           exact=False)


def compare_constants():
    theirs = {}
    for name, type_, value in re.findall(
            r"S_CONSTANT \[size = \d+\] `(.*)`\n\s*type = (0x[0-9A-F]+).*, value = (-?\d+)",
            out(PDBUTIL, "dump", "--globals", PDB)):
        theirs.setdefault(name, set()).add((int(value), int(type_, 16)))
    mine = ours("constants", text="".join(name + "\n" for name in theirs))
    found = {name: (int(value), int(type_, 16)) for value, type_, name in mine}
    for name, values in theirs.items():
        signed = {((v + 2**63) % 2**64 - 2**63, t) for v, t in values}
        if found.get(name) not in signed:
            problems.append(f"constant {name}: {found.get(name)} is none of {values}")
    print(f"constants: {len(theirs)} compared")


MEMBERS = re.compile(
    r"- LF_(?:(?P<member>MEMBER) \[name = `(?P<mname>.*)`, Type = (?P<mtype>\w+).*?, offset = "
    r"(?P<moffset>\d+)"
    r"|(?P<static>STMEMBER) \[name = `(?P<sname>.*)`, type = (?P<stype>\w+)"
    r"|(?P<enumerator>ENUMERATE) \[(?P<ename>.*) = (?P<evalue>-?\d+)\]"
    r"|(?P<base>BCLASS)"
    r"|(?P<index>INDEX) \[.*?(?P<itype>0x[0-9A-F]+))")


def parse_types():
    """Field lists, definitions and bit fields of llvm-pdbutil's dump."""
    lists, definitions, bits, now = collections.defaultdict(list), {}, {}, None
    lines = out(PDBUTIL, "dump", "--types", PDB).splitlines()
    for at, line in enumerate(lines):
        head = re.match(r"\s*(0x[0-9A-F]+) \| (LF_\w+) \[size = \d+\](?: `(.*)`)?$", line)
        if head:
            now, kind, name = int(head.group(1), 16), head.group(2), head.group(3)
            if kind in ("LF_STRUCTURE", "LF_CLASS", "LF_UNION", "LF_ENUM"):
                body = "\n".join(lines[at + 1:at + 5])
                definitions[now] = (kind, name, body.split(" | ")[0])
            elif kind == "LF_BITFIELD":
                found = re.search(r"bit offset = (\d+), # bits = (\d+)", lines[at + 1])
                bits[now] = (int(found.group(1)), int(found.group(2)))
        elif "- LF_" in line:
            found = MEMBERS.search(line)
            if found:
                # base classes have their offset in the next lines
                more = re.search(r"type = (\w+).*?offset = (\d+)",
                                 " ".join(lines[at:at + 2])) if found["base"] else None
                lists[now].append((found, more))
    return lists, definitions, bits


def expand(lists, bits, index, depth=0):
    for found, more in lists.get(index, ()):
        if found["member"]:
            type_ = int(found["mtype"], 16)
            yield ("member", int(found["moffset"]), type_, *bits.get(type_, (0, 0)),
                   found["mname"])
        elif found["static"]:
            yield ("static", 0, int(found["stype"], 16), 0, 0, found["sname"])
        elif found["base"] and more:
            yield ("base", int(more.group(2)), int(more.group(1), 16), 0, 0, "")
        elif found["enumerator"]:
            value = (int(found["evalue"]) + 2**63) % 2**64 - 2**63
            yield ("enumerator", value, found["ename"])
        elif found["index"] and depth < 8:
            yield from expand(lists, bits, int(found["itype"], 16), depth + 1)


def our_types():
    types, now = {}, None
    for row in ours("types"):
        if row[0]:
            now = int(row[0], 16)
            types[now] = (int(row[1]), row[2], [])
        elif row[1] == "enumerator":
            types[now][2].append((row[1], int(row[2]), row[3]))
        else:
            types[now][2].append((row[1], int(row[2]), int(row[3], 16), int(row[4]), int(row[5]),
                                  row[6]))
    return types


def compare_types():
    lists, definitions, bits = parse_types()
    mine, n, n_members = our_types(), 0, 0
    for index, (kind, name, body) in definitions.items():
        size = re.search(r"sizeof (\d+)", body)
        if "forward ref" in body or not name or name.startswith("<"):
            continue
        n += 1
        if index not in mine:
            problems.append(f"type {index:#x} {name}: missing")
            continue
        if mine[index][1] != name or (size and mine[index][0] != int(size.group(1))):
            problems.append(f"type {index:#x}: {mine[index][:2]}, LLVM: {name} {size}")
        field_list = re.search(r"field list: (0x[0-9A-F]+)", body)
        theirs = list(expand(lists, bits, int(field_list.group(1), 16))) if field_list else []
        n_members += len(theirs)
        if theirs != mine[index][2]:
            problems.append(f"type {index:#x} {name}: {mine[index][2][:9]}, LLVM: {theirs[:9]}")
    if n < 3 or n_members < 10:
        problems.append(f"types: the oracle says only {n} and {n_members} members")
    print(f"types: {n} with {n_members} members compared")


def parse_lines():
    """Blocks of rows: (begin, end, [(address, line, file)])."""
    blocks = []
    section = file = None
    for line in out(PDBUTIL, "dump", "-l", PDB).splitlines():
        head = re.match(r"  (\d{4}):([0-9A-F]{8})-([0-9A-F]{8}), line/addr", line)
        if head:
            section = int(head.group(1))
            blocks.append((rva(section, int(head.group(2), 16)),
                           rva(section, int(head.group(3), 16)), []))
        elif section and re.fullmatch(r"(\d+ [0-9A-F]{8}[ !]*)+", line.strip()):
            for number, offset in re.findall(r"(\d+) ([0-9A-F]{8})", line):
                if int(number) not in (0xFEEFEE, 0xF00F00):
                    blocks[-1][2].append((rva(section, int(offset, 16)), int(number), file))
        else:
            section = None
            name = re.match(r"(\S.*) \((?:MD5|SHA-1|SHA-256|no checksum)", line)
            file = name.group(1) if name else file
    return blocks


def is_folded(blocks, address, answer):
    """Code of several functions in one place (/OPT:ICF): any of them may answer."""
    covering = [rows for begin, end, rows in blocks if begin <= address < end]
    return len(covering) > 1 and any(answer == (line, file) for rows in covering
                                     for _, line, file in rows)


def compare_lines():
    """Every row of every line table: the address must lead to one of the lines that begin there."""
    blocks = parse_lines()
    theirs = collections.defaultdict(set)
    for _, _, rows in blocks:
        for address, line, file in rows:
            theirs[address].add((line, file))
    n = folded = 0
    for text, number, name, _, _ in ours("places", text="".join(f"{a:x}\n" for a in theirs)):
        address, answer = int(text, 16), (int(number), name)
        n += len(theirs[address])
        if answer in theirs[address]:
            continue
        if is_folded(blocks, address, answer):
            folded += 1
        else:
            problems.append(f"line of {address:#x}: {answer}, LLVM: {theirs[address]}")
    if n < 5:
        problems.append(f"lines: the oracle says only {n}")
    print(f"lines: {n} compared, {folded} in folded code")


def compare_image():
    text = out(READOBJ, "--coff-debug-directory", IMAGE)
    raw = re.search(r"PDBGUID: \((.*?)\)", text)
    age = re.search(r"PDBAge: (\d+)", text)
    name = re.search(r"PDBFileName: (.*)", text)
    b = bytes.fromhex(raw.group(1).replace(" ", ""))  # as it lies in the file
    guid = b[3::-1] + b[5:3:-1] + b[7:5:-1] + b[8:]
    mine = out(SYM_DUMP, "codeview", IMAGE).split()
    theirs = [re.split(r"[\\/]", name.group(1))[-1],
              guid.hex().upper() + format(int(age.group(1)), "X")]
    if mine != theirs:
        problems.append(f"codeview: {mine}, LLVM: {theirs}")
    exports = {(int(address, 16), int(ordinal), label) for ordinal, label, address in re.findall(
        r"Ordinal: (\d+)\n\s*Name: (.*)\n\s*RVA: (\w+)", out(READOBJ, "--coff-exports", IMAGE))}
    if exports:
        report("exports", exports, {(int(a, 16), int(o), n) for a, o, n in ours("exports", IMAGE)},
               1)
    imports = set()
    for dll, body in re.findall(r"^Import \{\n\s*Name: ([^\n]*)\n(.*?)^\}",
                                out(READOBJ, "--coff-imports", IMAGE), re.S | re.M):
        for symbol, ordinal in re.findall(r"Symbol: (.*?) ?\((\d+)\)", body):
            imports.add((dll, symbol) if symbol else (dll, int(ordinal)))
    if imports:
        report("imports", imports,
               {(d, n) if n else (d, int(o)) for d, o, n in ours("imports", IMAGE)}, 1)


def compare_functions():
    if "IMAGE_FILE_MACHINE_AMD64" not in HEADERS:
        return
    done = subprocess.run([READOBJ, "--unwind", IMAGE], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace")
    if done.returncode:  # it dies on version 2
        print("functions: llvm-readobj failed")
        return
    places = [[int(x, 16) - IMAGE_BASE for x in re.findall(r"\((0x[0-9A-F]+)\)", block)]
              for block in re.findall(r"RuntimeFunction \{\n(.*?)UnwindInfo \{", done.stdout, re.S)]
    theirs = {tuple(p) for p in places if len(p) == 3}
    mine = {tuple(int(x, 16) for x in line.split())
            for line in out(SYM_DUMP, "functions", IMAGE).splitlines()}
    report("functions", theirs, mine, 1)


for check in (compare_symbols, compare_constants, compare_types, compare_lines, compare_image,
              compare_functions):
    check()
print("\n".join(problems[:40]))
sys.exit(1 if problems else 0)
