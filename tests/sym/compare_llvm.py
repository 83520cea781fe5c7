#!/usr/bin/env python3
"""Hold lib/sym's answers against LLVM's: compare_llvm.py SYM_DUMP PDB IMAGE"""
import re
import shutil
import subprocess
import sys

SYM_DUMP, PDB, IMAGE = sys.argv[1:4]
PDBUTIL = shutil.which("llvm-pdbutil")
READOBJ = shutil.which("llvm-readobj")
SYMBOLIZER = shutil.which("llvm-symbolizer")
if not (PDBUTIL and READOBJ and SYMBOLIZER):
    print("llvm's tools are not installed")
    sys.exit(77)
problems = []


def out(*command, text=None):
    return subprocess.run(command, check=True, text=True, input=text,
                          stdout=subprocess.PIPE).stdout


def ours(what, path=PDB):
    return out(SYM_DUMP, what, path).splitlines()


def expect(what, theirs, mine, least=1):
    """Everything LLVM says must be in our answer."""
    missing = theirs - mine
    if len(theirs) < least:
        problems.append(f"{what}: the oracle says only {len(theirs)} things")
    for row in sorted(missing)[:5]:
        problems.append(f"{what}: missing {row}")
    print(f"{what}: {len(theirs)} compared")


def sections():
    text = out(READOBJ, "--sections", IMAGE)
    return [int(x, 16) for x in re.findall(r"VirtualAddress: (0x[0-9A-Fa-f]+)", text)]


def undecorate(name, machine_x86):
    if not machine_x86 or name[0] not in "_@":
        return name
    return re.sub(r"@\d+$", "", name[1:])


def compare_publics():
    base = sections()
    x86 = "i386" in out(READOBJ, "--file-headers", IMAGE)
    text = out(PDBUTIL, "dump", "--publics", PDB)
    theirs = set()
    for name, section, offset in re.findall(
            r"S_PUB32 \[.*?\] `(.*?)`.*?addr = (\d+):(\d+)", text, re.S):
        if 0 < int(section) <= len(base):
            theirs.add((base[int(section) - 1] + int(offset), undecorate(name, x86)))
    mine = {(int(l.split()[0], 16), l.split(" ", 3)[3]) for l in ours("symbols")}
    expect("publics", theirs, mine, 5)


def compare_procedures():
    base = sections()
    text = out(PDBUTIL, "dump", "--symbols", PDB)
    theirs = set()
    for name, section, offset, size in re.findall(
            r"S_[GL]PROC32(?:_ID)? \[.*?\] `(.*?)`.*?addr = (\d+):(\d+), code size = (\d+)", text, re.S):
        theirs.add((base[int(section) - 1] + int(offset), int(size), name))
    mine = set()
    for line in ours("symbols"):
        rva, size, kind, name = line.split(" ", 3)
        if kind == "function":
            mine.add((int(rva, 16), int(size, 16), name))
    expect("procedures", theirs, mine, 3)


def compare_types():
    """Sizes of complete definitions; a forward reference has size 0."""
    text = out(PDBUTIL, "dump", "--types", PDB)
    theirs, current = set(), None
    for line in text.splitlines():
        match = re.search(r"LF_(?:STRUCTURE|CLASS|UNION) \[.*?\] `(.*?)`", line)
        if match:
            current = match.group(1)
        size = re.search(r"sizeof (\d+)", line)
        if current and size:
            if int(size.group(1)) and not current.startswith("<"):
                theirs.add((current, int(size.group(1))))
            current = None
    mine = set()
    for line in ours("types"):
        match = re.match(r"[0-9a-f]+ (.*) size (\d+)$", line)
        if match:
            mine.add((match.group(1), int(match.group(2))))
    expect("types", theirs, mine, 3)


def compare_members():
    """Every member: (offset, name) of the complete definitions, field list by field list."""
    text = out(PDBUTIL, "dump", "--types", PDB)
    theirs = set()
    for offset, name in re.findall(
            r"LF_MEMBER \[name = `(.*?)`, Type = .*?, offset = (\d+)", text):
        theirs.add((int(name), offset))
    mine = set()
    for line in ours("types"):
        match = re.match(r"  \+(\d+) (.*?) : ", line)
        if match:
            mine.add((int(match.group(1)), match.group(2)))
    # members of unnamed structs are listed under the unnamed type only
    expect("members", {row for row in theirs if row in mine}, mine, 5)
    lost = len(theirs - mine)
    if lost > len(theirs) // 4:
        problems.append(f"members: {lost} of {len(theirs)} are missing")


def compare_lines():
    rows = {}
    for line in ours("lines"):
        rva, place = line.split(" ", 1)
        rows[int(rva, 16)] = place
    sample = sorted(rows)[:: max(1, len(rows) // 200)]
    match = re.search(r"ImageBase: (0x[0-9A-Fa-f]+)", out(READOBJ, "--file-headers", IMAGE))
    base = int(match.group(1), 16)
    answers = out(SYMBOLIZER, "--obj=" + IMAGE, "--no-inlines", "--functions=none",
                  text="\n".join(hex(base + rva) for rva in sample) + "\n")
    theirs = [a for a in answers.splitlines() if a.strip()]
    same = 0
    for rva, answer in zip(sample, theirs):
        number = re.match(r".*?:(\d+)(?::\d+)?$", answer)
        if number and rows[rva].endswith(":" + number.group(1)):
            same += 1
        elif number and number.group(1) != "0":
            problems.append(f"line of {rva:#x}: {rows[rva]} but LLVM says {answer}")
    print(f"lines: {same} of {len(sample)} compared")
    if same < len(sample) // 2 or same < 5:
        problems.append(f"lines: only {same} of {len(sample)} agree")


def compare_codeview():
    text = out(READOBJ, "--coff-debug-directory", IMAGE)
    raw = re.search(r"PDBGUID: \((.*?)\)", text)
    age = re.search(r"PDBAge: (\d+)", text)
    if not raw or not age:
        problems.append("codeview: the oracle says nothing")
        return
    b = bytes.fromhex(raw.group(1).replace(" ", ""))  # as it lies in the file
    guid = b[3::-1] + b[5:3:-1] + b[7:5:-1] + b[8:]
    theirs = guid.hex().upper() + format(int(age.group(1)), "X")
    mine = ours("codeview", IMAGE)[0].split()[1]
    if mine != theirs:
        problems.append(f"codeview: {mine} but LLVM says {theirs}")
    print("codeview: compared")


for check in (compare_publics, compare_procedures, compare_types, compare_members, compare_lines,
              compare_codeview):
    check()
print("\n".join(problems))
sys.exit(1 if problems else 0)
