# SPDX-License-Identifier: MIT
"""kdmon itself, its monitor, and targets for it. Paths come from the environment (set by meson)."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "console"))

from kd_console import Failure, check, check_schema, wait_for  # noqa: E402

KDMON = os.environ.get("KDMON", str(ROOT / "build" / "apps" / "kdmon" / "kdmon"))
RUN_AS = {}  # of subprocess: another user, where a test needs one
FLEET = os.environ.get("KD_FAKE_FLEET", str(ROOT / "build/tests/support/kd-fake-fleet"))


def kdmon(folder, *words, timeout=60, **kwargs):
    return subprocess.run([KDMON, *map(str, words)], text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, env=folder.environment,
                          **{**RUN_AS, **kwargs})


def answer(folder, *words, **kwargs):
    """kdmon --json: its one line, as the schema says."""
    done = kdmon(folder, *words, "--json", **kwargs)
    lines = done.stdout.splitlines()
    check(len(lines) == 1, f"kdmon {words}: {done.stdout!r} {done.stderr!r}")
    value = json.loads(lines[0])
    check_schema("monitor-answer", value)
    check(done.returncode == (0 if value["ok"] else 1), f"status {done.returncode} for {value}")
    return value


def done(folder, *words, **kwargs):
    """As `answer`, and it was done."""
    value = answer(folder, *words, **kwargs)
    check(value["ok"], f"kdmon {words}: {value.get('error')}")
    return value


def refused(folder, status, text, *words):
    value = answer(folder, *words)
    check(not value["ok"] and value["status"] == status and text in value["error"],
          f"kdmon {words}: not {status} with {text!r}, but {value}")
    check("\n" not in value["error"], f"more than one line: {value['error']}")


def vm(folder, name):
    return done(folder, "status", name)["vm"]


class Monitor:
    """kdmon serve."""

    def __init__(self, folder, **kwargs):
        self.socket = folder.path / "runtime" / "openkd" / "kdmon.sock"
        self.process = subprocess.Popen([KDMON, "serve"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=folder.environment, **kwargs)
        line = self.process.stdout.readline().decode()
        check("serving" in line, f"kdmon serve: {line} {self.process.poll()}")

    def stop(self, seconds=15):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("kdmon serve did not end") from None
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Fleet:
    """Many fake targets, named t0, t1, ... in the configuration file."""

    def __init__(self, folder, count):
        self.folder = folder
        self.count = count
        self.process = subprocess.Popen([FLEET, str(folder.path), str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(self.process.stdout.readline() == "ok\n", "no fleet")
        folder.configure("".join(f"[target t{i}]\nendpoint = unix:{folder.path}/t{i}.sock\n"
                                 for i in range(count)))

    def tell(self, line):
        """The lines of its answer; "failed" is a failure."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        lines = []
        while True:
            got = self.process.stdout.readline()
            check(got and got != "failed\n", f"fleet: {line}: failed")
            if got == "ok\n":
                return lines
            lines.append(json.loads(got))

    def counters(self):
        return self.tell("counters")

    def drive(self, i, n):
        self.tell(f"drive {i} {self.proxy(i)} {n}")

    def proxy(self, i):
        return self.folder.path / "runtime" / "openkd" / f"proxy-t{i}.kd"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def same_counters(target, shown):
    """What a target counts, and what kdmon shows of it, from the debugger's side."""
    pairs = [("tx_packets", "rx_packets"), ("rx_packets", "tx_packets"),
             ("tx_bytes", "rx_bytes"), ("rx_bytes", "tx_bytes")]
    return all(target[a] == shown[b] for a, b in pairs)


def wait_counters(folder, fleet):
    """All of them, exactly, once the last byte has passed."""
    shown = {}

    def equal():
        nonlocal shown
        shown = {v["name"]: v["counters"] for v in done(folder, "list")["vms"]}
        return all(same_counters(t, shown[f"t{t['target']}"]) for t in fleet.counters())
    try:
        wait_for("equal counters", equal, 5)
    except Failure:
        raise Failure(f"targets {fleet.counters()}, kdmon {shown}") from None
    return shown
