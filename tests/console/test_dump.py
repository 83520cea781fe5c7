#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`.dump /f`: every page held against what QEMU itself says is in RAM, the header against libmagic,
and a file that is whole or not there."""
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

from kd_console import Folder, Guest, IS_X86, Kd, PC, check, main, run_kd

PAGE = 4096
TO_WORK = "bp demo!DemoTick 3; g; "
EXIT_BUGCHECK = 6
# Where the header of this machine's dumps has a thing, and how wide it is.
SP = PC[0] + "sp"
WORD, PC_AT, SP_AT, EXCEPTION_AT, CODE_AT = (("<I", 0xB8, 0xC4, 0x7D0, 0x28) if IS_X86 else
                                             ("<Q", 0xF8, 0x98, 0xF00, 0x38))
MAGIC = "32bit crash dump" if IS_X86 else "64bit crash dump, full dump"


class Dump:
    """A reader of full dumps, for the tests: not the product's."""

    def __init__(self, path):
        self.file = open(path, "rb")
        head = self.file.read(0x2000)
        self.is_64bit = head[:8] == b"PAGEDU64"
        check(self.is_64bit or head[:8] == b"PAGEDUMP", f"magic {head[:8]}")
        self.start, word, at = (0x2000, 8, 0x88) if self.is_64bit else (0x1000, 4, 0x64)
        form = "<Q" if word == 8 else "<I"
        number = lambda offset: struct.unpack_from(form, head, offset)[0]
        self.runs = [(number(at + 2 * word * (i + 1)), number(at + 2 * word * (i + 1) + word))
                     for i in range(number(at) & 0xFFFFFFFF)]
        check(number(at + word) == sum(n for _, n in self.runs), "pages of the runs")
        self.context_offset = 0x348 if self.is_64bit else 0x320
        self.head = head
        self.comment = head[0xFB0 if self.is_64bit else 0x820:][:128].split(b"\0")[0].decode()

    def pages(self):
        """(physical address, offset in the file)"""
        offset = self.start
        for base, n in self.runs:
            for page in range(base, base + n):
                yield page * PAGE, offset
                offset += PAGE

    def read(self, physical, size=PAGE):
        for base, n in self.runs:
            if base * PAGE <= physical < (base + n) * PAGE:
                before = sum(m for b, m in self.runs if b < base)
                self.file.seek(self.start + before * PAGE + physical - base * PAGE)
                return self.file.read(size)
        raise KeyError(hex(physical))


class Monitor:
    """QEMU's own word about its RAM."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.execute("qmp_capabilities")

    def execute(self, name, **arguments):
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "event" not in answer:
                check("return" in answer, f"{name}: {answer}")
                return answer["return"]

    def save(self, start, size, path):
        self.execute("pmemsave", val=start, size=size, filename=str(path))
        return path.read_bytes()


def differing(dump, ram, base):
    """Physical addresses of the dump's pages that are not as RAM says."""
    different = []
    for physical, offset in dump.pages():
        if base <= physical < base + len(ram):
            dump.file.seek(offset)
            if dump.file.read(PAGE) != ram[physical - base:physical - base + PAGE]:
                different.append(physical)
    return different


def compare(*options, road="auto", memory="128"):
    """All pages of a dump with a breakpoint planted. Those of the transport, the kernel's packet
    buffers and the stopped processor's stack change by the talk of kd with the target."""
    with Folder() as folder, Guest(folder, "--smp", "2", "--memory", memory, "--qmp",
                                   str(folder.path / "qmp.sock"), *options,
                                   "--", "-qmp", f"unix:{folder.path}/test.sock,server=on,wait=off"
                                   ) as guest:
        path = folder.path / "x.dmp"
        with Kd(folder, [*guest.arguments, "--memory", road]) as kd:
            kd.send(TO_WORK + "bp nt!KeBugCheckEx; ? poi(nt!KeBugCheckEx); g; "
                    "!vtop 0 nt!KeBugCheckEx; db nt!KeBugCheckEx L1; "
                    f".dump /c \"by a test\" /f {path}; ~0s; r; ~1s; r; ~0s; .echo at-end")
            kd.wait_text(r"(?m)^at-end", 60)
            ram = Monitor(folder.path / "test.sock").save(0, int(memory) << 20,
                                                          folder.path / "ram")
            kd.send("q")
            kd.process.wait(20)
        dump = Dump(path)
        different = differing(dump, ram, 0)
        pages = sum(n for _, n in dump.runs)
        check(pages > int(memory) * 240, f"{pages} pages")
        print(f"# {pages} pages, {len(different)} changed since: "
              f"{' '.join(map(hex, different))}")
        check(len(different) <= 32, f"{len(different)} of {pages} pages differ")
        check("by a test" in dump.comment and "unreadable" not in dump.comment, dump.comment)
        return path.name, kd.text, dump


def test_every_page():
    """128 MB out of RAM: each page as QEMU says, no breakpoint in it, the header as libmagic reads it"""
    _, text, dump = compare()
    check(dump.is_64bit != IS_X86, "form")
    check("of memory in" in text, text)


def test_by_kd():
    """The same through KD, page for page"""
    compare("--options", "/DEBUG /DEBUGPORT=RING", road="kd", memory="32")


def test_contexts():
    """Registers of every processor where readers look for them; code without our breakpoints"""
    with Folder() as folder, Guest(folder, "--smp", "2") as guest:
        path = folder.path / "x.dmp"
        done = run_kd(folder, [*guest.arguments, "-c", TO_WORK +
                               "bp nt!KeBugCheckEx; g; .printf \"code %p\\n\", nt!KeBugCheckEx; "
                               "u nt!KeBugCheckEx L1; !vtop 0 nt!KeBugCheckEx; "
                               f".dump /f {path}; r {PC}; r {SP}; q"])
        check(done.returncode == 0, done.stdout + done.stderr)
        magic = subprocess.run(["file", "-b", path], capture_output=True, text=True).stdout
        dump = Dump(path)
        pages = sum(n for _, n in dump.runs)
        check(MAGIC in magic and f"{pages} pages" in magic, magic)
        values = dict(line.split("=") for line in done.stdout.splitlines()
                      if line.startswith((PC + "=", SP + "=")))
        context = dump.head[dump.context_offset:]
        check(struct.unpack_from(WORD, context, PC_AT)[0] == int(values[PC], 16), done.stdout)
        check(struct.unpack_from(WORD, context, SP_AT)[0] == int(values[SP], 16), done.stdout)
        check(path.stat().st_mode & 0o777 == 0o600, "others may read it")
        check(struct.unpack_from("<I", dump.head, EXCEPTION_AT)[0] == 0x80000003, "exception code")
        check(struct.unpack_from("<I", dump.head, CODE_AT)[0] == 0x161, "bugcheck code")


def test_crash():
    """After a bugcheck: code and arguments are in the header"""
    with Folder() as folder, Guest(folder, "--smp", "1", "--no-reboot") as guest:
        path = folder.path / "x.dmp"
        done = run_kd(folder, [*guest.arguments, "-c", TO_WORK + ".crash; .bugcheck; "
                               f".dump /f {path}; q"])
        check(done.returncode == EXIT_BUGCHECK, done.stdout + done.stderr)
        check(struct.unpack_from("<I", Dump(path).head, CODE_AT)[0] == 0xE2,
              f"{Dump(path).head[0x30:0x68].hex()}")


def test_refusals():
    """A file that is there, a folder that is not, other kinds: one line, and nothing is touched"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        path = folder.path / "good.dmp"
        path.write_text("precious")
        cases = [(f".dump /f {path}", "is there already"),
                 (f".dump /f {folder.path}", "is a folder"),
                 (f".dump /f {folder.path}/none/x.dmp", "No such file"),
                 (f".dump {folder.path}/x.dmp", "without /f"),
                 (f".dump /m {folder.path}/x.dmp", "small dump"),
                 (".dump /f", "which file"), (".dump /z /f x", "no switch")]
        for command, text in cases:
            done = run_kd(folder, [*guest.arguments, "-c", TO_WORK + command])
            check(done.returncode != 0 and text in done.stdout + done.stderr,
                  f"{command}: {done.stdout}{done.stderr}")
        check(path.read_text() == "precious", "it was touched")
        done = run_kd(folder, [*guest.arguments, "-c", TO_WORK + f".dump /o /f {path}; q"])
        check(done.returncode == 0 and path.stat().st_size > 100 << 20, done.stdout + done.stderr)
        check(not [p for p in folder.path.iterdir() if p.name.endswith(".part")], "left behind")


def test_interrupted():
    """Ctrl-C in the middle of a slow dump: no file, nothing beside it, and the session goes on"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        path = folder.path / "x.dmp"
        with Kd(folder, [*guest.arguments, "--memory", "kd", "--json"]) as kd:
            kd.send(TO_WORK)
            kd.wait_text("DemoTick", 30)
            kd.send(f".dump /f {path}")
            time.sleep(1.5)
            kd.process.send_signal(signal.SIGINT)
            kd.wait_text("cancelled", 10)
        check(not path.exists(), "a file is there")
        check(not [p for p in folder.path.iterdir() if p.name.endswith(".part")], "left behind")


def limit_files():  # SIGXFSZ is as kd finds it: deadly
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def test_no_room():
    """A full disk (here: a limit on files): one clear line, the old file stays"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        path = folder.path / "good.dmp"
        path.write_text("precious")
        done = subprocess.run([os.environ.get("KD"), *guest.arguments, "-c",
                               TO_WORK + f".dump /o /f {path}"],
                              env=folder.environment, text=True, capture_output=True,
                              preexec_fn=limit_files, restore_signals=False, timeout=60)
        check(done.returncode != 0 and "cannot write the dump" in done.stdout + done.stderr,
              done.stdout + done.stderr)
        check(path.read_text() == "precious", "it was touched")


if __name__ == "__main__":
    shutil.which("file") or sys.exit("1..0 # SKIP the program `file` is not installed")
    os.environ.setdefault("KD", "build/apps/kd/kd")
    tests = [test_every_page, test_by_kd, test_contexts, test_crash, test_refusals,
             test_interrupted, test_no_room]
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ == "test_" + sys.argv[1]]
    sys.exit(main(tests))
