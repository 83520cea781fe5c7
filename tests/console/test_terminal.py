#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kd at a terminal, on the demo guest: the prompt, editing, completion, history, Ctrl-C, Ctrl-D."""
import os
import pty
import re
import select
import signal
import sys
import time

from kd_console import (Folder, Guest, KD, Monitor, PC, addresses_of, check, check_runs, main)

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]")
CTRL_A, CTRL_C, CTRL_D, CTRL_U, TAB, UP = "\x01", "\x03", "\x04", "\x15", "\t", "\x1b[A"


class Terminal:
    """kd with a terminal of its own."""

    def __init__(self, folder, arguments):
        self.raw = ""
        self.mark = 0
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(KD, [KD, *arguments], folder.environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    @property
    def text(self):
        """What came since the last `type`, without control sequences."""
        return CONTROL.sub("", self.raw[self.mark:]).replace("\r", "")

    def type(self, keys):
        self.mark = len(self.raw)
        os.write(self.fd, keys.encode())

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            got = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.raw += got.decode(errors="replace")
        return bool(got)

    def wait(self, pattern, seconds=20):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text, re.M):
            check(time.monotonic() < deadline, f"no {pattern!r} in {seconds} s, but {self.text!r}")
            check(self._read(0.2), f"kd ended without {pattern!r}: {self.text!r}")

    def command(self, line):
        """Type a line; its output, when the prompt is back."""
        self.type(line + "\n")
        self.wait(r"\n(\d+: )?kd> $")
        return self.text.split("\n", 1)[1].rsplit("\n", 1)[0]

    def wait_end(self, seconds=20):
        deadline = time.monotonic() + seconds
        while self._read(0.1):
            check(time.monotonic() < deadline, f"kd did not end in {seconds} s: {self.text!r}")
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status


def attached(folder, guest):
    kd = Terminal(folder, [*guest.arguments, "-b"])
    kd.wait(r"^(\d: )?kd> $")
    return kd


def test_completion():
    """TAB: commands, symbols, types, fields of the type, fields inside a field"""
    with Folder() as folder, Guest(folder) as guest, attached(folder, guest) as kd:
        kd.command("x nt!KeBugCheckEx")
        for typed, line in [("vert", "vertarget "),
                            ("bp demo!DemoTi", "bp demo!DemoTick"),
                            ("u nt!KeBugCheckE", "u nt!KeBugCheckEx"),
                            ("dt nt!_EPROC", "dt nt!_EPROCESS"),
                            ("dt nt!_KTHREAD Hea", "dt nt!_KTHREAD Header"),
                            ("dt -v nt!_KTHREAD Header.Ty", "dt -v nt!_KTHREAD Header.Type"),
                            (f"r {PC[0]}s", f"r {PC[0]}s")]:
            if "demo!" in typed:
                kd.command("x demo!DemoTick")
            kd.type(typed + TAB)
            kd.wait(re.escape(line) + r"$")
            kd.type(CTRL_U + ".echo clean\n")
            kd.wait(r"clean\n(\d: )?kd> $")
        kd.type(f"r {PC[0]}s" + TAB)
        kd.wait(rf"^{PC[0]}si$")
        kd.wait(rf"^{PC[0]}sp$")
        kd.wait(rf"^(\d: )?kd> r {PC[0]}s$")  # the line again, below the list


def test_editing_and_history():
    """Editing, the last lines back by the arrow keys, and in the next kd too; Enter repeats"""
    with Folder() as folder, Guest(folder) as guest:
        with attached(folder, guest) as kd:
            kd.type("cho one" + CTRL_A + ".e\n")
            kd.wait(r"^one\n(\d: )?kd> $")
            kd.type(UP + " two\n")
            kd.wait(r"^one two\n(\d: )?kd> $")
            kd.command("db nt L10")
            check("4d 5a" not in kd.command(""), "Enter did not go on behind the last dump")
            kd.type("q\n")
            check(kd.wait_end() == 0, kd.text)
        with attached(folder, guest) as kd:
            kd.type(UP * 3 + "\n")
            kd.wait(r"^one two\n(\d: )?kd> $")


def test_control_c():
    """Ctrl-C drops the line, cancels a command, breaks in; at the prompt nothing is lost"""
    with Folder() as folder, Guest(folder) as guest, attached(folder, guest) as kd:
        kd.type("bp nonsense" + CTRL_C)
        kd.wait(r"(\d: )?kd> $")
        check("nonsense" not in kd.command("bl"), kd.text)
        kd.type(".for (r $t0=0; 1; r $t0=@$t0+1) { db nt L1 }\n")
        kd.wait(r"4d +M")
        kd.type(CTRL_C)
        kd.wait(r"(\d: )?kd> $")
        kd.type("g\n")
        time.sleep(0.3)
        kd.type(CTRL_C)
        kd.wait(r"Break instruction exception[^$]*kd> $")
        check("nt" in kd.command("lm1m"), kd.text)


def test_before_the_first_stop():
    """A target that is not heard: .live says what it needs, .breakin stops it, then .live works"""
    look = ".live dq nt!PsLoadedModuleList L2\n"
    with Folder() as folder, Guest(folder) as guest:
        [ticks] = addresses_of(folder, guest, "demo!DemoTicks")
        monitor = Monitor(guest.qmp)
        check_runs(monitor, ticks)  # it runs and has nothing to say
        monitor.close()
        with Terminal(folder, guest.arguments) as kd:
            kd.wait(r"Ctrl-C gives up")
            kd.type(look)
            kd.wait(r"one stop is needed first.*\.breakin")
            kd.type(".breakin\n")
            kd.wait(r"^(\d: )?kd> $")
            kd.type("g\n")
            time.sleep(0.3)
            kd.type(look)
            kd.wait(r"the target is running[^$]*fffff8|the target is running[^$]*\b8[0-9a-f]{7}")


def test_leaving():
    """Ctrl-D on an empty line detaches; the guest runs on"""
    with Folder() as folder, Guest(folder) as guest:
        [ticks] = addresses_of(folder, guest, "demo!DemoTicks")
        monitor = Monitor(guest.qmp)
        with attached(folder, guest) as kd:
            kd.type(CTRL_D)
            check(kd.wait_end() == 0, kd.text)
        check_runs(monitor, ticks)
        monitor.close()


def test_colours():
    """Colours at a terminal, none with NO_COLOR"""
    with Folder() as folder, Guest(folder) as guest:
        with attached(folder, guest) as kd:
            kd.command("u @$ip L2")
            check(re.search(r"\x1b\[\d+(;\d+)*m", kd.raw[kd.mark:]), "no colour at all")
        folder.environment["NO_COLOR"] = "1"
        with attached(folder, guest) as kd:
            kd.command("u @$ip L2")
            check(not re.search(r"\x1b\[[1-9]\d*(;\d+)*m", kd.raw[kd.mark:]), "there is colour")


if __name__ == "__main__":
    tests = [test_completion, test_editing_and_history, test_control_c,
             test_before_the_first_stop, test_leaving, test_colours]
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ == "test_" + sys.argv[1]]
    sys.exit(main(tests))
