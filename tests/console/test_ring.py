#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kdring.dll: the ring is taken, left, survived; QEMU's monitor is the witness."""
import os
import re
import signal
import subprocess
import sys
import time

os.environ["KD_DEMO_TRANSPORT"] = "RING"

from kd_console import (Folder, Guest, Kd, Monitor, PC, addresses_of, check, check_runs, kill, main,
                        run_kd, wait_for)
from test_terminal import CTRL_C, attached


def road(text):
    found = re.search(r"over the (.*); memory by", text)
    return found[1] if found else text


def monitor_command(monitor, line):
    return monitor.ask("human-monitor-command", **{"command-line": line})


def test_taken():
    """The ring is taken, from the first stop on and by whoever comes later"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        for _ in range(2):
            done = run_kd(folder, [*guest.arguments, "-c",
                                   "bp demo!DemoTick; g; .status; lm; u demo!DemoTick; q"])
            check(done.returncode == 0, done.stderr)
            check(road(done.stdout) == "ring in guest RAM", done.stdout)
            noise = re.search(r"^ *(\d+)  bytes outside of packets", done.stdout, re.M)
            check(int(noise[1]) < 60, "the announcement (about 60) counts as noise: " + noise[1])


def test_two_processors():
    """With two processors, a switch between them included"""
    with Folder() as folder, Guest(folder, "--smp", "2") as guest:
        done = run_kd(folder, [*guest.arguments, "-c",
                               "bp demo!DemoTick; g; ~0s; k 2; ~1s; k 2; .status; q"])
        check(done.returncode == 0, done.stderr)
        check(road(done.stdout) == "ring in guest RAM", done.stdout)


def test_process_road():
    """Without shared memory, through QEMU's process"""
    with Folder() as folder, Guest(folder, "--smp", "1", "--private-ram") as guest:
        done = run_kd(folder, [*guest.arguments, "-c", "lm; k; .status; q"])
        check(done.returncode == 0, done.stderr)
        if "ptrace" in road(done.stdout) or "denied" in road(done.stdout):
            print("# this machine forbids it:", road(done.stdout))
        else:
            check(road(done.stdout) == "ring in guest RAM", done.stdout)


def device(folder, *more):
    """An ivshmem device, and RAM that nobody may look into."""
    return ["--private-ram", "--qmp", "none", "--options", "/DEBUG /DEBUGPORT=RING ring=ivshmem", "--",
            "-object", f"memory-backend-file,id=kd,size=1M,share=on,mem-path={folder.path}/shared",
            "-device", "ivshmem-plain,memdev=kd,master=on", *more]


def test_ivshmem():
    """In an ivshmem device: no monitor, no shared RAM; what stands in the way is told"""
    for processors in ("1", "2"):
        with Folder() as folder, Guest(folder, "--smp", processors, *device(folder)) as guest:
            for _ in range(2):
                done = run_kd(folder, [*guest.arguments, "-c",
                                       "bp demo!DemoTick 0n10; g; .status; lm; u demo!DemoTick; q"])
                check(done.returncode == 0, done.stderr)
                check(road(done.stdout) == "ring in guest RAM", done.stdout)
    with Folder() as folder, Guest(folder, "--smp", "1", *device(folder)[:-4]) as guest:
        done = run_kd(folder, [*guest.arguments, "-c", "bp demo!DemoTick 0n10; g; .status; q"])
        check(road(done.stdout).startswith("serial line"), done.stdout) # no such device


def test_foreign_line():
    """Through a proxy nobody can tell which VM it is: the serial line does it all"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        path = folder.path / "proxy.sock"
        proxy = subprocess.Popen(["socat", f"UNIX-LISTEN:{path}", f"UNIX-CONNECT:{guest.socket}"])
        wait_for("the proxy", path.exists)
        done = run_kd(folder, ["-k", f"unix:{path}", *guest.arguments[2:], "-c",
                               "bp demo!DemoTick; g; k 2; .status; q"])
        proxy.kill()
        proxy.wait()
        check(done.returncode == 0, done.stderr)
        check(road(done.stdout).startswith("serial line"), done.stdout)


def test_killed_at_a_stop():
    """SIGKILL while the target is stopped: it runs on by itself"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        tick, ticks = addresses_of(folder, guest, "demo!DemoTick", "demo!DemoTicks")
        monitor = Monitor(guest.qmp)
        before = monitor.bytes_at(tick, 16)
        with Kd(folder, guest.arguments) as kd:
            kd.send("bp demo!DemoTick; g; .status; .echo there")
            kd.wait_text("there\n")
            check(road(kd.text) == "ring in guest RAM", kd.text)
            kill(kd.process, signal.SIGKILL)
            kd.process.wait()
        start = time.monotonic()
        check_runs(monitor, ticks)
        print(f"# ran on after {time.monotonic() - start:.2f} s")
        check(monitor.bytes_at(tick, 16) == before, "a breakpoint is left")
        monitor.close()


def test_killed_while_running():
    """SIGKILL while the target runs with breakpoints in it: they are taken out, it runs on"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        tick, recursion, ticks = addresses_of(folder, guest, "demo!DemoTick",
                                              "demo!DemoRecursion", "demo!DemoTicks")
        monitor = Monitor(guest.qmp)
        before = monitor.bytes_at(recursion, 16)
        with Kd(folder, guest.arguments) as kd:
            kd.send('bp demo!DemoRecursion; ba w4 demo!DemoLastWork; .echo planted; '
                    'bp demo!DemoTick "gc"; g')
            kd.wait_text("planted\n")
            wait_for("the breakpoint", lambda: monitor.bytes_at(recursion, 1) == b"\xcc")
            kill(kd.process, signal.SIGKILL)
            kd.process.wait()
        wait_for("the breakpoints to be out", lambda: monitor.bytes_at(recursion, 16) == before, 5)
        wait_for("the other one to be out", lambda: monitor.bytes_at(tick, 1) != b"\xcc", 2)
        for _ in range(3):
            check_runs(monitor, ticks)
        monitor.close()


def test_left_while_paused():
    """kd leaves a paused VM with breakpoints in it: when it goes on they are taken out"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        recursion, ticks = addresses_of(folder, guest, "demo!DemoRecursion", "demo!DemoTicks")
        monitor = Monitor(guest.qmp)
        before = monitor.bytes_at(recursion, 16)
        with Kd(folder, guest.arguments) as kd:
            kd.send("bp demo!DemoRecursion; .echo planted; g")
            kd.wait_text("planted\n")
            wait_for("the breakpoint", lambda: monitor.bytes_at(recursion, 1) == b"\xcc")
            monitor.ask("stop")
            kd.process.terminate()
            kd.process.wait(20)
        monitor.ask("cont")
        wait_for("the breakpoint to be out", lambda: monitor.bytes_at(recursion, 16) == before, 5)
        check_runs(monitor, ticks)
        monitor.close()


def test_snapshot():
    """A snapshot is taken back under a session, stopped and running: it goes on"""
    with Folder() as folder, \
            Guest(folder, "--smp", "1", "--disk", str(folder.path / "disk.qcow2")) as guest:
        monitor = Monitor(guest.qmp)
        with Kd(folder, guest.arguments) as kd:
            kd.send("bp demo!DemoTick; g; .echo first")
            kd.wait_text("first\n")
            check(not monitor_command(monitor, "savevm one"), "savevm")
            kd.send("g; g; g; .echo second; bc *")
            kd.wait_text("second\n")
            check(not monitor_command(monitor, "loadvm one"), "loadvm")
            time.sleep(0.5)
            kd.send(f"r {PC}; .status; .echo third")
            kd.wait_text("third\n")
            kd.send("bp demo!DemoWork; g; .echo fourth; lm; .status; q")
            kd.wait_text("fourth\n")
            check(kd.wait_end() == 0, kd.errors)
            check(kd.text.count("over the ring in guest RAM;") == 2, kd.text)
        monitor.close()


def test_reset():
    """The machine is reset under a running session: the next boot's ring is taken"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        monitor = Monitor(guest.qmp)
        with attached(folder, guest) as kd:
            kd.type("g\n")
            time.sleep(0.5)
            kd.type("")
            monitor.ask("system_reset")
            kd.wait("the target restarted")
            kd.wait("ModLoad")
            time.sleep(0.5)
            kd.type(CTRL_C)
            kd.wait(r"kd> $")
            check(road(kd.command(".status")) == "ring in guest RAM", kd.text)
        monitor.close()


def test_stopped_debugger():
    """Ctrl-Z for a while: the guest goes its way; fg: the session finds it again"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        ticks, = addresses_of(folder, guest, "demo!DemoTicks")
        monitor = Monitor(guest.qmp)
        with Kd(folder, guest.arguments) as kd:
            kd.send("bp demo!DemoTick; g; .echo first")
            kd.wait_text("first\n")
            kill(kd.process, signal.SIGSTOP)
            check_runs(monitor, ticks)
            kill(kd.process, signal.SIGCONT)
            kd.wait_text("(?s)Stopped as asked for.*Stopped as asked for.*int")
            kd.send("k 2; lm; bp demo!DemoWork; g; .status; .echo still here; q")
            check(kd.wait_end() == 0, kd.errors)
            check("KdCheckForDebugBreak" in kd.text, kd.text)
            check(road(kd.text) == "ring in guest RAM", kd.text)
            check(kd.text.count("Breakpoint 0 hit") == 2, kd.text)
        check_runs(monitor, ticks)
        monitor.close()


if __name__ == "__main__":
    tests = [test_taken, test_two_processors, test_process_road, test_ivshmem, test_foreign_line,
             test_killed_at_a_stop, test_killed_while_running, test_left_while_paused,
             test_snapshot, test_reset,
             test_stopped_debugger]
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ == "test_" + sys.argv[1]]
    sys.exit(main(tests))
