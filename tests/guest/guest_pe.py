# SPDX-License-Identifier: MIT
"""Symbols and unwind data of the demo guest's modules, for the tests.

Symbols come from llvm-pdbutil, unwind data from the PE files: nothing of our own reader is used, so
these tests and lib/sym check each other.
"""
import re
import struct
import subprocess


class Module:
    """One PE file with its PDB: names to addresses, addresses to names, unwind information."""

    def __init__(self, image_path, pdb_path):
        with open(image_path, "rb") as f:
            self.file = f.read()
        nt = struct.unpack_from("<I", self.file, 0x3C)[0]
        n_sections, opt_size = struct.unpack_from("<H12xH", self.file, nt + 6)
        opt = nt + 24
        self.size = struct.unpack_from("<I", self.file, opt + 0x38)[0]
        self.is_x86 = struct.unpack_from("<H", self.file, nt + 4)[0] == 0x14C
        self.pdata = struct.unpack_from("<II", self.file, opt + (0x60 if self.is_x86 else 0x70) + 8 * 3)
        self.sections = []
        for i in range(n_sections):
            name, vsize, rva, rsize, roff = struct.unpack_from(
                "<8sIIII", self.file, opt + opt_size + 40 * i)
            flags = struct.unpack_from("<I", self.file, opt + opt_size + 40 * i + 36)[0]
            self.sections.append((name.rstrip(b"\0").decode(), rva, vsize, roff, rsize, flags))
        self.base = 0
        self.names = {}
        self.functions = []  # (rva, size or 0, name), sorted
        self._read_pdb(pdb_path)

    def _read_pdb(self, path):
        text = subprocess.run(["llvm-pdbutil", "dump", "-publics", "-symbols", "-globals", path],
                              check=True, capture_output=True, text=True).stdout
        kind = name = None
        for line in text.splitlines():
            m = re.search(r"\| (S_\w+) .*`(.*)`", line)
            if m:
                kind, name = m.groups()
                if kind == "S_PUB32" and self.is_x86:  # _cdecl, _stdcall@4, @fastcall@4
                    name = re.sub(r"^[_@](\w+?)(@\d+)?$", r"\1", name)
                continue
            m = re.search(r"addr = (\d+):(\d+)(?:, code size = (\d+))?", line)
            if m and kind in ("S_PUB32", "S_GPROC32", "S_LPROC32", "S_GDATA32", "S_LDATA32"):
                section, offset, size = int(m[1]), int(m[2]), int(m[3] or 0)
                if 1 <= section <= len(self.sections):
                    rva = self.sections[section - 1][1] + offset
                    self.names.setdefault(name, rva)
                    if size or "function" in line:
                        self.functions.append((rva, size, name))
        self.functions.sort()

    def __getitem__(self, name):
        """Run-time address of a symbol."""
        return self.base + self.names[name]

    def function_at(self, address):
        best = None
        for rva, size, name in self.functions:
            if rva > address - self.base:
                break
            best = name
        return best

    def at_rva(self, rva, size):
        for _, start, vsize, off, rsize, _ in self.sections:
            if start <= rva < start + max(vsize, rsize):
                data = self.file[off + rva - start:off + min(rva - start + size, rsize)]
                return data + bytes(size - len(data))
        raise ValueError(f"rva {rva:#x} in no section")

    def runtime_function(self, rva):
        start, size = self.pdata
        table = self.at_rva(start, size)
        for i in range(0, size - 11, 12):
            begin, end, info = struct.unpack_from("<III", table, i)
            if begin <= rva < end:
                return begin, info
        return None


REGS = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] + [f"r{i}" for i in range(8, 16)]


def unwind_step(module, regs, read_u64, exact):
    """Undo one frame in place; regs maps names to values. Returns True after a machine frame."""
    rva = regs["rip"] - module.base - (0 if exact else 1)
    entry = module.runtime_function(rva)
    if entry is None:
        regs["rip"] = read_u64(regs["rsp"])
        regs["rsp"] += 8
        return False
    begin, info = entry
    flags, prolog, count, frame = struct.unpack("<4B", module.at_rva(info, 4))
    codes = module.at_rva(info + 4, 2 * count)
    done = regs["rip"] - module.base - begin
    i = 0
    machine = False
    while i < count:
        offset, op = codes[2 * i], codes[2 * i + 1] & 15
        extra = codes[2 * i + 1] >> 4
        u16 = struct.unpack_from("<H", codes, 2 * i + 2)[0] if i + 1 < count else 0
        u32 = struct.unpack_from("<I", codes, 2 * i + 2)[0] if i + 2 < count else 0
        slots = {0: 1, 1: 3 if extra else 2, 2: 1, 3: 1, 4: 2, 5: 3, 8: 2, 9: 3, 10: 1}[op]
        i += slots
        if done < prolog and offset > done:
            continue
        if op == 0:
            regs[REGS[extra]] = read_u64(regs["rsp"])
            regs["rsp"] += 8
        elif op == 1:
            regs["rsp"] += u32 if extra else u16 * 8
        elif op == 2:
            regs["rsp"] += extra * 8 + 8
        elif op == 3:
            regs["rsp"] = regs[REGS[frame & 15]] - (frame >> 4) * 16
        elif op == 4:
            regs[REGS[extra]] = read_u64(regs["rsp"] + u16 * 8)
        elif op == 5:
            regs[REGS[extra]] = read_u64(regs["rsp"] + u32)
        elif op == 10:
            at = regs["rsp"] + (8 if extra else 0)
            regs["rip"] = read_u64(at)
            regs["cs"] = read_u64(at + 8)
            regs["rsp"] = read_u64(at + 24)
            machine = True
    if not machine:
        regs["rip"] = read_u64(regs["rsp"])
        regs["rsp"] += 8
    return machine


def walk(modules, regs, read_u64, limit=40):
    """Names of the frames, innermost first, down to the bottom of the stack or user mode."""
    regs = dict(regs)
    names = []
    exact = True
    while len(names) < limit and regs["rip"] >> 47:
        module = next((m for m in modules if m.base <= regs["rip"] < m.base + m.size), None)
        if module is None:
            names.append(f"?{regs['rip']:#x}")
            break
        names.append(module.function_at(regs["rip"] - (0 if exact else 1)))
        exact = unwind_step(module, regs, read_u64, exact)
    names.append("bottom" if regs["rip"] == 0 else f"user {regs['rip']:#x}")
    return names
