#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kd -k net:...: the demo guest behind a gateway that speaks KDNET for it."""
import os
import re
import socket
import subprocess
import sys

from kd_console import Folder, Guest, ROOT, check, main, run_kd

GATEWAY = os.environ.get("KD_NET_GATEWAY",
                         str(ROOT / "build" / "tests" / "support" / "kd-net-gateway"))
KEY = "4x5z1abc.2ndpart.3rdpart.zz9plural"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class NetGuest(Guest):
    def __init__(self, folder, *options, key=KEY):
        super().__init__(folder, *options)
        self.port = free_port()
        self.gateway = subprocess.Popen([GATEWAY, f"unix:{self.socket}", str(self.port), key],
                                        stdin=subprocess.PIPE, stderr=self.log)

    def __exit__(self, *rest):
        self.gateway.stdin.close()
        self.gateway.wait(5)
        super().__exit__(*rest)

    @property
    def arguments(self):
        return ["-k", f"net:port={self.port},key={KEY}", "-y", self.symbols]


def test_session():
    """Attach, look, run to a breakpoint, leave; and again"""
    with Folder() as folder, NetGuest(folder, "--smp", "1") as guest:
        for _ in range(2):
            done = run_kd(folder, [*guest.arguments, "-c",
                                   "bp demo!DemoTick; g; k 3; lm; db nt L1000; .status; q"])
            check(done.returncode == 0, done.stderr)
            check("demo!DemoTick" in done.stdout and "KDNET" in done.stdout or
                  "net:port" in done.stdout, done.stdout)
            check(len(re.findall(r"^fffff800`028|^8080", done.stdout, re.M)) >= 256, "a short dump")
            check(KEY not in done.stdout + done.stderr, "the key is shown")


def test_wrong_key():
    """Another key: status 3, and why; no key is shown"""
    other = KEY.replace("zz9", "zz8")
    with Folder() as folder, NetGuest(folder, "--smp", "1", key=other) as guest:
        done = run_kd(folder, [*guest.arguments, "--connect-timeout", "3", "-c", "q"])
        check(done.returncode == 3, f"status {done.returncode}: {done.stderr}")
        check("key" in done.stderr, done.stderr)
        check(KEY not in done.stderr and other not in done.stderr, "a key is shown")


def test_record():
    """--record, then kd decode: no key in it, packets as from any line"""
    with Folder() as folder, NetGuest(folder, "--smp", "1") as guest:
        path = folder.path / "net.pcapng"
        done = run_kd(folder, [*guest.arguments, "--record", str(path), "-c", "lm; q"])
        check(done.returncode == 0, done.stderr)
        check(KEY.encode() not in path.read_bytes(), "the key is in the recording")
        decoded = run_kd(folder, ["decode", str(path)])
        check(decoded.returncode == 0 and "READ_VIRTUAL" in decoded.stdout, decoded.stdout[:2000])


def test_taken_port():
    """A port in use: one line, status 3"""
    with Folder() as folder, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.bind(("::", 0))
        port = taken.getsockname()[1]
        done = run_kd(folder, ["-k", f"net:port={port},key={KEY}", "-c", "q"])
        check(done.returncode == 3, f"status {done.returncode}: {done.stderr}")
        check(f"UDP port {port} is in use by pid {os.getpid()} (" in done.stderr, done.stderr)


if __name__ == "__main__":
    tests = [test_session, test_wrong_key, test_record, test_taken_port]
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ == "test_" + sys.argv[1]]
    sys.exit(main(tests))
