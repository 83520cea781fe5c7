#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kdmon screen at a terminal: the table, its keys, another size, what is left behind."""
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

from kdmon_world import KDMON, Fleet, Monitor, check, vm, wait_for
from kd_console import Folder, main

ROWS, COLUMNS = 30, 150


class Terminal:
    """A terminal of tmux with kdmon in it; another line below tells its status when it has ended."""

    def __init__(self, folder, *words):
        self.folder = folder
        command = " ".join(shlex.quote(w) for w in (KDMON, *words))
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", COLUMNS, "-y", ROWS,
                  f"{command}; s=$?; echo; echo status=$s; exec sleep 100")
        self.tmux("set", "-g", "status", "off")
        self.tmux("set", "-g", "escape-time", "0")
        self.resize(ROWS, COLUMNS)

    def tmux(self, *words):
        run = subprocess.run(["tmux", "-S", str(self.folder.path / "tmux"), *map(str, words)],
                             env=self.folder.environment, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        check(run.returncode == 0, f"tmux {words}: {run.stdout}")
        return run.stdout

    def resize(self, rows, columns):
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")

    @property
    def text(self):
        return self.tmux("capture-pane", "-p")

    @property
    def pid(self):
        shell = int(self.tmux("display", "-p", "#{pane_pid}"))
        with open(f"/proc/{shell}/task/{shell}/children", encoding="ascii") as children:
            return int(children.read().split()[0])

    def wait(self, pattern, seconds=15):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text, re.M):
            check(time.monotonic() < deadline, f"no {pattern!r} on the screen:\n{self.text}")
            time.sleep(0.05)

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def wait_end(self):
        self.wait(r"^status=0")


def select_row(terminal, number, count):
    """Whatever else runs on this machine: t0, t1 ... are the last ones, in their order."""
    terminal.type("End", *["k"] * (count - 1 - number))


def test_table():
    """The table: rows, details, selection; q ends it and gives the terminal back"""
    with Folder() as folder, Fleet(folder, 3), Terminal(folder) as t:
        t.wait(r"^NAME +SOURCE +STATE")
        t.wait(r"^t2 +named +running +- ")
        t.wait("no monitor runs")
        select_row(t, 1, 3)
        t.type("Enter")
        t.wait(r"debug port +unix:.*t1\.sock")
        t.type("Escape")
        t.wait(r"^t2 +named")
        t.type("q")
        t.wait_end()


def test_keys():
    """Keys with a monitor: proxy, break, log, trace, and what they say in the pane"""
    with Folder() as folder, Fleet(folder, 2) as fleet, Monitor(folder), Terminal(folder) as t:
        t.wait(r"^t1 +named")
        select_row(t, 1, 2)
        t.type("x")
        t.wait(r"proxy t1: done")
        t.wait(r"^t1 +named +running +proxy, free")
        t.type("l")
        t.wait(r"log t1: done /")
        check(vm(folder, "t1")["proxy"]["log"], "a log")
        t.type("l")
        t.wait(r"nothing was logged")
        t.type("l")
        t.wait(r"(?s)log t1: done /.*log t1: done /")
        t.type("t")
        t.wait("Lines that begin with:")
        t.type("MY", "Enter")
        t.wait("File")
        t.type(f"{folder.path}/trace", "Enter")
        t.wait(r"trace t1: done")
        fleet.tell("print 1 MY line")
        t.wait("t1: print MY line")
        check((folder.path / "trace").read_text() == "MY line\n", "traced")
        t.type("s")
        t.wait("Name of the new snapshot:")
        t.type("x", "BSpace", "Escape")
        t.wait("q quit")
        t.type("p")
        t.wait("pause t1: .*configuration file")
        t.type("R")
        t.wait(r"^ ?Reset t1\?")
        t.type("n")
        t.wait("q quit")
        check("reset t1" not in t.text, "not asked first")
        t.type("R")
        t.wait(r"^ ?Reset t1\?")
        t.type("y")
        t.wait("reset t1: .*configuration file")
        t.type("v")
        t.wait("snapshots t1: .*configuration file")
        fleet.drive(1, 20)
        t.wait(r"^t1 +named +running +proxy, free +2[0-9]/2[0-9]")
        t.type("x")
        t.wait(r"^t1 +named +running +- ")
        t.type("q")
        t.wait_end()


def test_sizes():
    """Other sizes, tiny ones too; SIGTERM ends it like q"""
    with Folder() as folder, Fleet(folder, 60), Terminal(folder) as t:
        t.wait(r"^t1 +named")
        for rows, columns in ((10, 40), (3, 10), (1, 1), (ROWS, COLUMNS)):
            t.resize(rows, columns)
            time.sleep(0.3)
        t.type("End")
        t.wait(r"^t59 +named")
        os.kill(t.pid, signal.SIGTERM)
        t.wait_end()


if __name__ == "__main__":
    if not shutil.which("tmux"):
        print("1..0 # SKIP tmux is needed")
        sys.exit(0)
    tests = [test_table, test_keys, test_sizes]
    chosen = [t for t in tests if t.__name__ in sys.argv[1:]]
    sys.exit(main(chosen or tests))
