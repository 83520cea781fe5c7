#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kdmon on the demo guest in QEMU: found, attached by name, paused, reset, taken back; the ring."""
import json
import os
import re
import shutil
import subprocess
import sys
import time

from kdmon_world import Monitor, check, done, kdmon, refused, vm, wait_for
from kd_console import (Folder, Guest, IMAGES, Kd, Monitor as Qmp, SYMBOLS, addresses_of, main,
                        run_kd)
from test_kdmon import Watch, says
from test_kdnet import KEY, NetGuest
from test_screen import Terminal

CLEAN = "clean"


def name(folder):
    """Of the VM: others on this machine have others."""
    return folder.path.name


class Named(Guest):
    """A guest with a name and a disk for snapshots. Its only monitor is for everybody."""

    def __init__(self, folder, *qemu, ring=False, options=()):
        self.ring = ring
        disk = ["--disk", str(folder.path / "disk.qcow2")]
        debug = ["--options", "/DEBUG /DEBUGPORT=RING"] if ring else []
        super().__init__(folder, *disk, *debug, *options, "--", "-name", f"{name(folder)},debug-threads=on",
                         *qemu)

    @staticmethod
    def ring_options(folder, options):
        return []


def jobs(kd):
    """What `ok` of --json lines says, for lines that came."""
    return [json.loads(line) for line in kd.text.splitlines() if line.startswith("{")]


def stopped(folder):
    return Kd(folder, [name(folder), "-y", IMAGES, "-b", "--session", "demo"])


def look(kd, mark):
    """The session answers: the kernel's own symbol at its place."""
    before = kd.text.count(mark)
    kd.send(f'.printf "{mark} %y\\n", nt!KeBugCheckEx')
    wait_text(kd, mark, before + 1)


def wait_text(kd, text, count):
    def there():
        kd._read(0.1)
        return kd.text.count(text) >= count
    wait_for(f"{count} times {text!r} in {kd.text[-600:]!r} {kd.errors[-300:]!r}", there, 25)


def test_found():
    """Found by name with port, state and process; what stands in the way of others is said"""
    with Folder() as folder, Named(folder) as guest:
        wait_for("its state", lambda: vm(folder, name(folder))["state"] == "running")
        seen = vm(folder, name(folder))
        check(seen["source"] == "qemu", seen)
        check(seen["endpoint"] == f"unix:{guest.socket}" and seen["pid"] == guest.process.pid, seen)
        check(seen["obstacles"] == [] and seen["debugger"]["kind"] == "none", seen)
        check(seen["memory"] == "shared", seen["memory"])
        os.chmod(guest.socket, 0o600)
        done(folder, "pause", name(folder))
        wait_for("the pause", lambda: vm(folder, name(folder))["state"] == "paused")
        refused(folder, "UNSUPPORTED", "is paused", "break", name(folder))
        with Monitor(folder):
            refused(folder, "UNSUPPORTED", "is paused", "break", name(folder))
        with Kd(folder, [name(folder), "--session", "none"]) as kd:
            says(kd, f"kd: {name(folder)} is paused: .* kdmon resume {name(folder)}\n")
        done(folder, "resume", name(folder))
        wait_for("the end of it", lambda: vm(folder, name(folder))["state"] == "running")
        got = run_kd(folder, [name(folder), "-y", IMAGES, "-c", "lm; q"])
        check(got.returncode == 0 and "demo" in got.stdout, got.stderr)


def test_two():
    """Two of one name: refused with their ids, which work; a VM without a usable port says how"""
    with Folder() as folder, Folder() as other, Named(folder) as guest:
        with Guest(other, "--", "-name", name(folder), "-serial", "null") as second:
            refused(folder, "AMBIGUOUS", f"pid-{guest.process.pid}", "status", name(folder))
            check(vm(folder, f"pid-{guest.process.pid}")["name"] == name(folder), "by id")
            got = run_kd(folder, [name(folder), "-c", "q"])
            check(got.returncode == 2 and "2 VMs are called" in got.stderr, got.stderr)
            refused(folder, "UNSUPPORTED", "qcow2", "snapshot", f"pid-{second.process.pid}", CLEAN)


def test_no_port():
    """Ports that can't be used: each says why, and what to do instead"""
    with Folder() as folder:
        for arguments, text in ((["-serial", "file:/dev/null"], "into a file"),
                                (["-serial", "none"], "-serial")):
            q = subprocess.Popen(["qemu-system-x86_64", "-S", "-accel", "tcg", "-display", "none",
                                  "-nodefaults", "-name", name(folder), *arguments])
            try:
                wait_for("the VM", lambda: kdmon(folder, "status", name(folder)).returncode == 0)
                seen = vm(folder, name(folder))
                check(seen["memory"] == "private" and "share=on" in
                      kdmon(folder, "status", name(folder)).stdout, "what to do about it")
                check(seen["endpoint"] == "" and text in seen["obstacles"][0] and
                      "server=on,wait=off" in seen["obstacles"][0], seen["obstacles"])
                refused(folder, "UNSUPPORTED", "-qmp", "pause", name(folder))
                got = run_kd(folder, [name(folder), "-c", "q"])
                check(got.returncode == 2 and text in got.stderr, got.stderr)
            finally:
                q.kill()
                q.wait()


def snapshots_survive(folder, kd):
    kd.wait_text("lets the target run")
    look(kd, "before")
    done(folder, "snapshot", name(folder), CLEAN)
    check(done(folder, "snapshots", name(folder))["snapshots"] == [CLEAN], "its name")
    refused(folder, "EXISTS", f"delvm {CLEAN}", "snapshot", name(folder), CLEAN)
    refused(folder, "NOT_FOUND", "no snapshot", "revert", name(folder), "dirty")
    look(kd, "taken")
    kd.send("g")
    done(folder, "pause", name(folder))
    done(folder, "resume", name(folder))
    done(folder, "revert", name(folder), CLEAN)
    # The machine is stopped in the debugger again, as it was.
    wait_text(kd, "Break instruction exception", 2)
    look(kd, "reverted")


def byte_at(guest, address):
    qmp = Qmp(guest.qmp)
    try:
        return qmp.bytes_at(address, 1)[0]
    finally:
        qmp.close()


def breakpoints_survive(folder, guest, kd):
    """A breakpoint younger than the snapshot is set again in the machine that went back, which runs on"""
    look(kd, "here")
    kd.send("? nt!KeBugCheckEx; g")
    kd.wait_text("(?m)= [0-9a-f`]{17}$")
    address = int(re.search("(?m)= ([0-9a-f`]{17})$", kd.text)[1].replace("`", ""), 16)
    wait_for("running", lambda: vm(folder, name(folder))["session_state"] == "running")
    done(folder, "snapshot", name(folder), CLEAN)
    done(folder, "break", name(folder))
    wait_text(kd, "Break instruction exception", 2)
    kd.send("bp nt!KeBugCheckEx; g")
    wait_for("the breakpoint", lambda: byte_at(guest, address) == 0xCC)
    wait_for("running", lambda: vm(folder, name(folder))["session_state"] == "running")
    for _ in range(2):
        done(folder, "revert", name(folder), CLEAN)
        wait_for("it again", lambda: byte_at(guest, address) == 0xCC)
        wait_for("running", lambda: vm(folder, name(folder))["session_state"] == "running")
    kd._read(0.2)
    check(kd.text.count("Break instruction exception") == 2, kd.text)
    done(folder, "break", name(folder))
    wait_text(kd, "Break instruction exception", 3)
    look(kd, "there")


def test_revert_breakpoints():
    """Breakpoints after a revert: over the serial line"""
    with Folder() as folder, Named(folder) as guest, stopped(folder) as kd:
        breakpoints_survive(folder, guest, kd)


def test_revert_breakpoints_by_proxy():
    """The same behind a proxy"""
    with Folder() as folder, Named(folder) as guest, Monitor(folder):
        done(folder, "proxy", name(folder))
        with stopped(folder) as kd:
            breakpoints_survive(folder, guest, kd)


def test_revert_breakpoints_on_ring():
    """The same on the ring"""
    with Folder() as folder, Named(folder, ring=True) as guest, stopped(folder) as kd:
        breakpoints_survive(folder, guest, kd)


def test_revert_breakpoints_by_ring():
    """The same behind a proxy that takes the ring"""
    with Folder() as folder, Named(folder, ring=True) as guest, Monitor(folder):
        done(folder, "proxy", name(folder), "--fast")
        with stopped(folder) as kd:
            breakpoints_survive(folder, guest, kd)


def test_snapshot():
    """Snapshot and revert under a session of kd: it goes on"""
    with Folder() as folder, Named(folder), stopped(folder) as kd:
        snapshots_survive(folder, kd)


def test_snapshot_on_screen():
    """The screen's `v` lists what there is to go back to"""
    with Folder() as folder, Named(folder), Terminal(folder) as t:
        wait_for("its state", lambda: vm(folder, name(folder))["state"] == "running")
        t.wait(f"^{name(folder)}")
        row = [line.split()[0] for line in t.text.splitlines()[2:] if line].index(name(folder))
        t.type("Home", *["j"] * row)
        t.type("v")
        t.wait(f"{name(folder)}: 0 snapshots")
        for snapshot in ("first", "second"):
            done(folder, "snapshot", name(folder), snapshot)
        t.type("v")
        t.wait(r"(?s): 2 snapshots.*  first\n.*  second\n.*Snapshot to go back to:")
        t.type("first", "Enter")
        t.wait(f"revert {name(folder)}: done")


def test_snapshot_by_proxy():
    """The same behind a proxy"""
    with Folder() as folder, Named(folder), Monitor(folder):
        done(folder, "proxy", name(folder))
        with stopped(folder) as kd:
            snapshots_survive(folder, kd)


def test_snapshot_by_ring():
    """The same behind a proxy that takes the ring"""
    with Folder() as folder, Named(folder, ring=True), Monitor(folder):
        done(folder, "proxy", name(folder), "--fast")
        with stopped(folder) as kd:
            kd.wait_text("lets the target run")
            look(kd, "first")
            wait_for("the ring", lambda: vm(folder, name(folder))["proxy"]["road"] == "ring in guest RAM")
            snapshots_survive(folder, kd)


def test_reset():
    """Reset and .reboot behind a proxy: the debugger follows, the proxy stays, only a restart is one"""
    with Folder() as folder, Named(folder) as guest, Monitor(folder), Watch(folder) as watch:
        addresses_of(folder, guest, "demo!DemoTicks")  # it is up
        watch.wait("appeared")
        done(folder, "break", name(folder))
        watch.wait("stopped")
        with stopped(folder) as kd:
            kd.wait_text("lets the target run|was stopped already")
            kd.send("g")
            wait_for("running", lambda: not vm(folder, name(folder))["proxy"]["is_stopped"])
            check(not any(e["event"] == "restarted" for e in watch.events()), "nobody restarted it")
            done(folder, "reset", name(folder))
            wait_text(kd, "ntoskrnl.exe", 1)
            watch.wait("restarted")
            done(folder, "break", name(folder))
            wait_text(kd, "Break instruction exception", 2)
            look(kd, "after-reset")
            kd.send(".reboot")
            kd.wait_text("(?i)(restart|reboot)")
            check(vm(folder, name(folder))["proxy"]["is_up"], "the proxy stays")


def test_fast():
    """The ring as a plain serial port: kd behind it, ten times faster than bytes; killed, let go"""
    with Folder() as folder, Named(folder, ring=True) as guest, Monitor(folder):
        done(folder, "proxy", name(folder), "--fast")
        got = run_kd(folder, [name(folder), "-y", IMAGES, "-c", "lm; k; dq nt!KdDebuggerDataBlock; q"])
        check(got.returncode == 0 and "00000380`4742444b" in got.stdout, got.stdout + got.stderr)
        got = run_kd(folder, [name(folder), "-y", IMAGES, "-c", "lm; k; q"])
        check(got.returncode == 0, got.stderr)
        seen = vm(folder, name(folder))
        check(seen["proxy"]["road"] == "ring in guest RAM", seen["proxy"])
        with stopped(folder) as kd:
            kd.wait_text("lets the target run")
            kd.process.kill()
            kd.process.wait()
            wait_for("the target", lambda: not vm(folder, name(folder))["proxy"]["is_stopped"], 5)
        text = guest.says()
        check(re.search(r".", text), "the guest lives")


def check_ticks(guest, ticks, what):
    """The guest counts on, seen by QEMU."""
    qmp = Qmp(guest.qmp)
    try:
        before = qmp.bytes_at(ticks, 4)
        wait_for(f"the guest after {what}", lambda: qmp.bytes_at(ticks, 4) != before, 5)
    finally:
        qmp.close()


AT_STOP = "bp demo!DemoTick; g; .echo AT_BP; .sleep 60000"
RUNNING = "bp nt!KeBugCheckEx; .echo AT_BP; g"


def at_breakpoint(folder, commands):
    kd = Kd(folder, [name(folder), "-y", SYMBOLS, "-c", commands, "--session", "none"])
    kd.wait_text("AT_BP", 30)
    wait_for("where it is to be",
             lambda: vm(folder, name(folder))["proxy"]["is_stopped"] == (commands == AT_STOP))
    return kd


def ends_with_debugger(*options, ring=False):
    """Its debugger lives and stands at a breakpoint: the guest is let go on, the breakpoint out."""
    with Folder() as folder, Named(folder, ring=ring) as guest:
        ticks, = addresses_of(folder, guest, "demo!DemoTicks")
        code = addresses_of(folder, guest, "demo!DemoTick", "nt!KeBugCheckEx")
        for end, commands in (("proxy off", AT_STOP), ("SIGTERM", AT_STOP), ("SIGTERM", RUNNING)):
            with Monitor(folder) as monitor:
                done(folder, "proxy", name(folder), *options)
                with at_breakpoint(folder, commands) as kd:
                    start = time.monotonic()
                    if end == "SIGTERM":
                        check(monitor.stop() == 0, "status 0")
                    else:
                        done(folder, "proxy", name(folder), "off")
                    took = time.monotonic() - start
                    check(took < 8, f"{end} took {took:.1f} s")
                    check_ticks(guest, ticks, end)
                    kd.process.kill()
                    kd.process.wait()
            qmp = Qmp(guest.qmp)
            check(all(qmp.bytes_at(a, 1) != b"\xcc" for a in code), f"{end}: the breakpoint is out")
            qmp.close()
        left = [p.name for p in (folder.path / "runtime" / "openkd").glob("*.kd")]
        check(not left, f"left behind: {left}")


def test_end_under_debugger():
    """A proxy ends while its debugger stands at a breakpoint: the guest goes on without it"""
    ends_with_debugger()
    ends_with_debugger("--keep-stopped")


def test_end_paused():
    """The proxy of a machine that is paused at a breakpoint ends: it is said what is left in it"""
    with Folder() as folder, Named(folder) as guest, Monitor(folder):
        ticks, = addresses_of(folder, guest, "demo!DemoTicks")
        done(folder, "proxy", name(folder))
        with at_breakpoint(folder, AT_STOP) as kd:
            done(folder, "pause", name(folder))
            refused(folder, "TIMEOUT", f"kd {name(folder)}, then q", "proxy", name(folder), "off")
            kd.process.kill()
            kd.process.wait()
        done(folder, "resume", name(folder))
        got = run_kd(folder, [name(folder), "-y", SYMBOLS, "-b", "-c", "q"])
        check(got.returncode == 0, got.stderr)
        check_ticks(guest, ticks, "q")


def test_end_under_debugger_fast():
    """The same over the ring"""
    ends_with_debugger("--fast", ring=True)


def test_kdnet():
    """KDNET as a plain serial port: a named target with its key, which is shown nowhere"""
    with Folder() as folder, NetGuest(folder, "--smp", "1") as guest:
        folder.configure(f"[target far]\nendpoint = net:port={guest.port},key={KEY}\n")
        with Monitor(folder) as monitor:
            refused(folder, "SYNTAX", "has to be a fast one", "proxy", "far")
            done(folder, "proxy", "far", "--fast")
            check(done(folder, "log", "far", "on", "-o", folder.path / "log"), "a log")
            for _ in range(2):
                got = run_kd(folder, ["far", "-y", IMAGES, "-c", "bp demo!DemoTick; g; k 3; lm; q"])
                check(got.returncode == 0 and "demo!DemoTick" in got.stdout, got.stdout + got.stderr)
            shown = json.dumps(done(folder, "list")) + (folder.path / "log").read_text()
            check("READ_VIRTUAL" in shown and "net:port" in vm(folder, "far")["proxy"]["road"],
                  vm(folder, "far")["proxy"])
            check(KEY not in shown + got.stdout + got.stderr, "the key is shown")
            monitor.stop()
            check(KEY not in monitor.process.stderr.read().decode(), "the key is shown")


if __name__ == "__main__":
    tests = [test_found, test_two, test_no_port, test_snapshot, test_snapshot_by_proxy,
             test_snapshot_by_ring, test_revert_breakpoints, test_revert_breakpoints_by_proxy,
             test_revert_breakpoints_on_ring, test_revert_breakpoints_by_ring,
             *([test_snapshot_on_screen] if shutil.which("tmux") else []), test_reset, test_fast,
             test_end_under_debugger, test_end_under_debugger_fast, test_end_paused, test_kdnet]
    chosen = [t for t in tests if t.__name__ in sys.argv[1:]]
    sys.exit(main(chosen or tests))
