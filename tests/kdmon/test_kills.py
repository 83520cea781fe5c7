#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debugger, monitor and VM killed at random points: nobody else hangs; after the debugger's death the
guest runs on in under a second. KILLS says how many times (default 9), KILLS_SEED from where."""
import os
import random
import signal
import sys
import time

from kdmon_world import Monitor, check, done, kdmon, vm, wait_for
from kd_console import Folder, Failure, IMAGES, Kd, Monitor as Qmp, addresses_of, main
from test_kdmon_guest import Named, name

KILLS = int(os.environ.get("KILLS", "6"))
# "In under a second", and what other work on this machine takes.
SECOND = float(os.environ.get("KILLS_SECONDS", "3"))
SEED = int(os.environ.get("KILLS_SEED", "1"))
# What the debugger is at when it is hit: it goes on until then.
WORK = ("bp demo!DemoTick; g; g; g; bc *; g", "lm; k; dt nt!_EPROCESS; g",
        "bp demo!DemoTick \".printf \\\"tick\\\\n\\\"; gc\"; g", "g", "k")


class World:
    def __init__(self, folder, ring):
        self.folder = folder
        self.ring = ring
        self.vm = Named(folder, ring=ring)
        self.ticks, = addresses_of(folder, self.vm, "demo!DemoTicks")
        self.monitor = Monitor(folder)
        self.proxy()

    def proxy(self):
        done(self.folder, "proxy", name(self.folder), *(["--fast"] if self.ring else []))

    def attach(self, random_one):
        # kdmon itself may be there still, to let the guest go on.
        wait_for("a free proxy",
                 lambda: not vm(self.folder, name(self.folder))["proxy"]["has_client"])
        for _ in range(5):
            kd = Kd(self.folder, [name(self.folder), "-y", IMAGES, "-b", "--session", "none"])
            try:
                kd.wait_text("lets the target run|was stopped already", 30)
                break
            except Failure:
                kd.__exit__()
                if "(kdmon)" not in kd.errors:
                    raise
                time.sleep(0.3)  # it began just now to see to the guest
        kd.send(random_one.choice(WORK))
        deadline = time.monotonic() + random_one.random() * 0.6
        while time.monotonic() < deadline:
            kd._read(0.02)
        return kd

    def check_runs(self, seconds):
        """The guest counts on, seen by QEMU."""
        qmp = Qmp(self.vm.qmp)
        try:
            start = time.monotonic()
            before = qmp.bytes_at(self.ticks, 4)
            while qmp.bytes_at(self.ticks, 4) == before:
                check(time.monotonic() - start < seconds, f"the guest stands for {seconds} s")
                time.sleep(0.02)
        finally:
            qmp.close()

    def end(self):
        self.monitor.__exit__()
        self.vm.__exit__()


def kill(process):
    process.kill()
    process.wait()


def ends(kd, seconds=25):
    """It does not hang: told to end, it does."""
    if kd.process.poll() is None:
        kd.process.send_signal(signal.SIGTERM)
    kd.wait_end(seconds)


def kill_debugger(world, kd):
    kill(kd.process)
    world.check_runs(SECOND)
    check(kdmon(world.folder, "list").returncode == 0, "kdmon answers")


def kill_monitor(world, kd):
    kill(world.monitor.process)
    ends(kd)
    world.monitor.__exit__()
    world.monitor = Monitor(world.folder)
    world.proxy()
    # Whatever the debugger left: the next one finds and repairs it.
    with world.attach(random.Random(0)) as again:
        ends(again)
    world.check_runs(3)


def kill_vm(world, kd):
    kill(world.vm.process)
    ends(kd)
    wait_for("kdmon", lambda: kdmon(world.folder, "list").returncode == 0)
    check(kdmon(world.folder, "status", name(world.folder)).returncode == 1, "the VM is gone")
    world.vm.__exit__()
    world.vm.socket.unlink(missing_ok=True)
    world.vm = Named(world.folder, ring=world.ring)
    wait_for("the proxy finds the new one",
             lambda: vm(world.folder, name(world.folder))["proxy"]["is_up"], 15)


VICTIMS = (kill_debugger, kill_monitor, kill_vm)


def run(ring, count, seed):
    source = random.Random(seed)
    with Folder() as folder:
        world = World(folder, ring)
        try:
            for number in range(count):
                victim = VICTIMS[number % len(VICTIMS)]
                try:
                    with world.attach(source) as kd:
                        victim(world, kd)
                except Failure as problem:
                    raise Failure(f"kill {number}, {victim.__name__}, seed {seed}: {problem}") from None
        finally:
            world.end()


def test_serial():
    """Over the serial line"""
    run(False, (KILLS + 1) // 2, SEED)


def test_ring():
    """Over the ring"""
    run(True, KILLS // 2, SEED + 1)


if __name__ == "__main__":
    tests = [test_serial, test_ring]
    chosen = [t for t in tests if t.__name__ in sys.argv[1:]]
    sys.exit(main(chosen or tests))
