#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kd and the demo guest through bad times: killed debuggers, signals, a paused VM, snapshots, a bad
cable. QEMU's monitor looks behind our back: whatever happens, the guest runs on without a breakpoint.

    test_survival.py KD RUN_DEMO IMAGES LOSSY_PROXY
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

KD, RUN_DEMO, IMAGES, PROXY = sys.argv[1:5]
TRANSPORT = os.environ.get("KD_DEMO_TRANSPORT", "COM1")
ARCH = os.environ.get("KD_DEMO_ARCH", "x64")
ARCH_OPTIONS = {"x64": [], "x86": ["--arch", "x86"], "x86-nopae": ["--arch", "x86", "--no-pae"]}[ARCH]
SYMBOLS = IMAGES if ARCH == "x64" else f"{IMAGES}/x86"
# The program counter, and how addresses of images begin.
PC, CODE = ("rip", "fffff800`") if ARCH == "x64" else ("eip", "808")
TICKS = (0xFFFFF78000000000 if ARCH == "x64" else 0xFFDF0000) + 0x320  # KUSER_SHARED_DATA.TickCount
failures = []


class Monitor:
    """QMP, as far as the tests need it."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rw")
        self.file.readline()
        self.call("qmp_capabilities")

    def call(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer or "error" in answer:
                return answer.get("return", answer.get("error"))

    def human(self, line):
        return self.call("human-monitor-command", **{"command-line": line})

    def byte(self, address):
        return int(re.search(r": (0x[0-9a-f]+)", self.human(f"x/1xb {address:#x}")).group(1), 16)

    def ticks(self):
        return int(re.search(r": (0x[0-9a-f]+)", self.human(f"x/1xw {TICKS:#x}")).group(1), 16)

    def runs(self, seconds=5):
        """Do the guest's ticks advance?"""
        before, deadline = self.ticks(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ticks() > before + 2:
                return True
            time.sleep(0.05)
        return False


class Guest:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="openkd-survival-"))
        self.kd = self.folder / "kd.sock"
        command = [RUN_DEMO, "--images", IMAGES, *ARCH_OPTIONS, "--smp", "2", "--serial", self.kd,
                   "--qmp", self.folder / "qmp.sock", "--disk", self.folder / "disk.qcow2", "--console",
                   self.folder / "console.log", "--options", f"/DEBUG /DEBUGPORT={TRANSPORT}"]
        if TRANSPORT == "RING":  # kd needs a monitor of its own
            command += ["--", "-qmp", f"unix:{self.folder}/kd-qmp.sock,server=on,wait=off"]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                        start_new_session=True)
        deadline = time.monotonic() + 10
        while not (self.folder / "qmp.sock").exists() or not self.kd.exists():
            if time.monotonic() > deadline:
                raise RuntimeError("QEMU did not start")
            time.sleep(0.01)
        self.monitor = Monitor(self.folder / "qmp.sock")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Console:
    """kd on a pipe: commands in, text up to the next mark out."""

    def __init__(self, guest, endpoint=None):
        folder = str(guest.folder)
        environment = {**os.environ, "XDG_STATE_HOME": folder, "XDG_RUNTIME_DIR": folder,
                       "XDG_CONFIG_HOME": folder, "HOME": folder}
        self.process = subprocess.Popen(
            [KD, "-k", endpoint or f"unix:{guest.kd}", "-y", SYMBOLS, "-b", "--keep-going"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment)
        self.mark = 0

    def run(self, commands, seconds=40):
        self.mark += 1
        mark = f"=mark {self.mark}="
        self.process.stdin.write(f"{commands}\n.echo {mark}\n".encode())
        self.process.stdin.flush()
        text, deadline = "", time.monotonic() + seconds
        os.set_blocking(self.process.stdout.fileno(), False)
        while not re.search(rf"^{mark}$", text, re.M):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"no answer to {commands!r}; so far:\n{text}")
            piece = self.process.stdout.read()
            if piece:
                text += piece.decode(errors="replace")
            else:
                time.sleep(0.01)
        return text

    def say(self, commands):
        self.process.stdin.write(f"{commands}\n".encode())
        self.process.stdin.flush()

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(20)

    def quit(self):
        self.say("q")
        self.process.wait(20)


def check(name, good, detail=""):
    print(f"ok: {name}" if good else f"FAILED: {name}\n{detail}")
    if not good:
        failures.append(name)


def address_of(console, symbol):
    text = console.run(f"? {symbol}")
    return int(re.search(r"= ([0-9a-f`]{8,17})$", text, re.M).group(1).replace("`", ""), 16)


def test_killed():
    """kill -9 with breakpoints planted and the guest running; the next kd finds them gone."""
    with Guest() as guest:
        kd = Console(guest)
        kd.run("bp demo!DemoTick 0n10; g; bc *")
        tick, cold = address_of(kd, "demo!DemoTick"), address_of(kd, "nt!KeBugCheckEx")
        original = guest.monitor.byte(cold)
        kd.run("bp nt!KeBugCheckEx")
        kd.say("g")
        time.sleep(0.5)
        check("the breakpoint is planted while running", guest.monitor.byte(cold) == 0xCC)
        kd.end(signal.SIGKILL)
        kd = Console(guest)
        text = kd.run("bl; u nt!KeBugCheckEx L1; db demo!DemoTick L1")
        check("kill -9: the next kd finds no stale breakpoint",
              guest.monitor.byte(cold) == original and guest.monitor.byte(tick) == 0x55, text)
        kd.quit()
        check("and leaves the guest running", guest.monitor.runs())


def test_signals():
    """SIGTERM, SIGHUP and the end of standard input, stopped with breakpoints set."""
    for name, leave in (("SIGTERM", lambda kd: kd.end(signal.SIGTERM)),
                        ("SIGHUP", lambda kd: kd.end(signal.SIGHUP)),
                        ("end of input", lambda kd: (kd.process.stdin.close(),
                                                     kd.process.wait(20)))):
        with Guest() as guest:
            kd = Console(guest)
            kd.run("bp demo!DemoTick 0n10; g; bp nt!KeBugCheckEx; bp demo!DemoWork; g")
            places = [address_of(kd, s) for s in ("demo!DemoTick", "demo!DemoWork")]
            cold = address_of(kd, "nt!KeBugCheckEx")
            leave(kd)
            runs = guest.monitor.runs()
            bytes_now = [guest.monitor.byte(a) for a in places + [cold]]
            check(f"{name}: breakpoints out, guest running", runs and 0xCC not in bytes_now,
                  str([hex(b) for b in bytes_now]))


def test_paused():
    """The VM is paused under a command and goes on: the command is answered."""
    with Guest() as guest:
        kd = Console(guest)
        kd.run("bp demo!DemoTick 0n10; g")
        guest.monitor.call("stop")
        kd.say("dq nt!KiProcessorBlock L2; .echo after the pause")
        time.sleep(2)
        guest.monitor.call("cont")
        text = kd.run(f"r {PC}")
        check("a paused VM answers when it goes on", "after the pause" in text and f"{PC}=" in text,
              text[-300:])
        kd.quit()
        check("and runs afterwards", guest.monitor.runs())


def test_snapshot():
    """A snapshot of the stopped guest is reverted to after it ran on: the session follows."""
    with Guest() as guest:
        kd = Console(guest)
        kd.run("bp demo!DemoTick 0n10; g; bc *")
        said = guest.monitor.human("savevm here")
        check("savevm", not said.strip(), said)
        kd.run("bp demo!DemoWork 0n20; g; bc *")
        said = guest.monitor.human("loadvm here")
        check("loadvm", not said.strip(), said)
        text = kd.run(f".kdresync; r {PC}; k 2; lm", 60)
        check("after a revert the registers are the snapshot's", "demo!DemoTick" in text,
              text[-500:])
        kd.run("bp demo!DemoTick; g; bc *", 60)
        kd.quit()
        check("and the guest runs", guest.monitor.runs())


def test_bad_cable():
    """Bytes are flipped, lost and doubled for a while: every answer that comes is right."""
    with Guest() as guest:
        bad = guest.folder / "bad.sock"
        proxy = subprocess.Popen([PROXY, "--seed", "3", f"unix-listen:{bad}", f"unix:{guest.kd}"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        proxy.stdout.readline()
        try:
            kd = Console(guest, f"unix:{bad}")
            clean = kd.run("bp demo!DemoTick 0n10; g; bc *; db nt L80")
            proxy.stdin.write("loss 0.05%\nflip 0.02%\nduplicate 0.02%\n")
            proxy.stdin.flush()
            wrong = 0
            for _ in range(10):
                text = kd.run(".cache flushall; db nt L80", 90)
                rows = set(re.findall(rf"^{CODE}\S+  .*$", text, re.M))
                wrong += not rows <= set(re.findall(rf"^{CODE}\S+  .*$", clean, re.M))
            check("a bad cable never gives wrong bytes", wrong == 0, f"{wrong} wrong")
            proxy.stdin.write("loss 0\nflip 0\nduplicate 0\n")
            proxy.stdin.flush()
            text = kd.run(f"r {PC}; k 2", 60)
            check("and a good one works again", "demo!DemoTick" in text, text[-300:])
            kd.quit()
            check("and the guest runs", guest.monitor.runs())
        finally:
            proxy.kill()
            proxy.wait()


TESTS = {"killed": test_killed, "signals": test_signals, "paused": test_paused,
         "snapshot": test_snapshot, "cable": test_bad_cable}
for wanted in sys.argv[5:] or TESTS:
    try:
        TESTS[wanted]()
    except (RuntimeError, subprocess.TimeoutExpired, AttributeError) as problem:
        check(wanted, False, str(problem))
sys.exit(1 if failures else 0)
