# SPDX-License-Identifier: MIT
"""Targets, kd itself and JSON schemas, for the console's tests. Paths come from the environment:
KD, KD_FAKE_TARGET, KD_DEMO_IMAGES, KD_DEMO_TRANSPORT (COM1, RING), KD_DEMO_ARCH (x64, x86,
x86-nopae)."""
import functools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KD = os.environ.get("KD", str(ROOT / "build" / "apps" / "kd" / "kd"))
FAKE = os.environ.get("KD_FAKE_TARGET", str(ROOT / "build" / "tests" / "support" / "kd-fake-target"))
TRANSPORT = os.environ.get("KD_DEMO_TRANSPORT", "COM1")
IMAGES = os.environ.get("KD_DEMO_IMAGES", str(ROOT / "build" / "guest" / "demo"))
ARCH = os.environ.get("KD_DEMO_ARCH", "x64")
ARCH_OPTIONS = {"x64": [], "x86": ["--arch", "x86"], "x86-nopae": ["--arch", "x86", "--no-pae"]}[ARCH]
IS_X86 = ARCH != "x64"
SYMBOLS = f"{IMAGES}/x86" if IS_X86 else IMAGES
# Where the guest's window onto its RAM begins, as kd reads numbers, and the program counter's name.
WINDOW = "a0000000" if IS_X86 else "fffffa80`00000000"
PC = "eip" if IS_X86 else "rip"


class Failure(Exception):
    """A check that did not hold."""


def check(condition, text):
    if not condition:
        raise Failure(text)


class Folder:
    """A private folder with everything kd would keep in the user's."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="kd-test-"))
        self.environment = {**os.environ, "HOME": str(self.path), "TERM": "xterm",
                            "LC_ALL": "C.UTF-8"}
        for name in ("config", "state", "runtime"):
            (self.path / name).mkdir(mode=0o700)
            variable = "XDG_RUNTIME_DIR" if name == "runtime" else f"XDG_{name.upper()}_HOME"
            self.environment[variable] = str(self.path / name)
        for name in ("_NT_SYMBOL_PATH", "_NT_DEBUG_PORT", "NO_COLOR"):
            self.environment.pop(name, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def configure(self, text):
        (self.path / "config" / "openkd").mkdir(exist_ok=True)
        (self.path / "config" / "openkd" / "config").write_text(text)


def wait_for(what, predicate, seconds=10):
    deadline = time.monotonic() + seconds
    while not predicate():
        check(time.monotonic() < deadline, f"{what} took more than {seconds} s")
        time.sleep(0.01)


def listens(path):
    """Somebody is behind the socket: between bind() and listen() its file is there already."""
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[7] == str(path) and int(fields[3], 16) & 0x10000:
            return True
    return False


class Target:
    """A process with a debug port on a Unix socket."""

    symbols = ""

    def __init__(self, folder, command, **kwargs):
        self.socket = folder.path / "target.sock"
        self.log = open(folder.path / "target.log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.log,
                                        stderr=self.log, **kwargs)
        wait_for("the target's socket", lambda: listens(self.socket))

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    @property
    def arguments(self):
        return ["-k", f"unix:{self.socket}"] + (["-y", self.symbols] if self.symbols else [])


class Fake(Target):
    def __init__(self, folder, *options):
        path = folder.path / "target.sock"
        super().__init__(folder, [FAKE, "--listen", str(path), "--seconds", "120", "--stdin",
                                  *options])


class Guest(Target):
    symbols = SYMBOLS

    def __init__(self, folder, *options):
        self.console = folder.path / "console.txt"
        self.qmp = folder.path / "qmp.sock"
        super().__init__(folder, [str(ROOT / "guest" / "demo" / "run-demo"), "--images", IMAGES, *ARCH_OPTIONS,
                                  "--serial", str(folder.path / "target.sock"),
                                  "--options", f"/DEBUG /DEBUGPORT={TRANSPORT}",
                                  "--qmp", str(self.qmp), "--console", str(self.console),
                                  *options, *self.ring_options(folder, options)])

    @staticmethod
    def ring_options(folder, options):
        """A monitor for kd: tests hold the other one. Those who name QEMU's options name all."""
        if TRANSPORT != "RING" or "--" in options:
            return []
        return ["--", "-qmp", f"unix:{folder.path}/kd-qmp.sock,server=on,wait=off"]

    def says(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""


def make_target(folder, kind, *options):
    return {"fake": Fake, "guest": Guest}[kind](folder, *options)


def run_kd(folder, arguments, stdin="", timeout=60):
    """Run kd to its end; a CompletedProcess with text, and .seconds."""
    start = time.monotonic()
    done = subprocess.run([KD, *arguments], input=stdin, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          env=folder.environment)
    done.seconds = time.monotonic() - start
    return done


class Kd:
    """kd in the background, its output as it comes."""

    def __init__(self, folder, arguments, **kwargs):
        self.process = subprocess.Popen([KD, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=folder.environment, **kwargs)
        self.text = ""   # all of standard output
        self.errors = ""
        self.lines_taken = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def _read(self, seconds):
        streams = [s for s in (self.process.stdout, self.process.stderr) if not s.closed]
        ready, _, _ = select.select(streams, [], [], seconds)
        got = b""
        for stream in ready:
            data = os.read(stream.fileno(), 65536)
            got += data
            if stream is self.process.stdout:
                self.text += data.decode(errors="replace")
            else:
                self.errors += data.decode(errors="replace")
        return got

    def wait_text(self, pattern, seconds=20):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            check(time.monotonic() < deadline,
                  f"no {pattern!r} in {seconds} s; there is:\n{self.text}\n{self.errors}")
            if not self._read(0.2) and self.process.poll() is not None:
                self._read(0.2)
                check(re.search(pattern, self.text),
                      f"kd ended without {pattern!r}:\n{self.text}\n{self.errors}")

    def next_json(self, seconds=20):
        """The next line as JSON."""
        deadline = time.monotonic() + seconds
        while self.text.count("\n") <= self.lines_taken:
            check(time.monotonic() < deadline, f"no line in {seconds} s; errors: {self.errors}")
            if not self._read(0.2):
                check(self.process.poll() is None or self.text.count("\n") > self.lines_taken,
                      f"kd ended: {self.errors}")
        line = self.text.split("\n")[self.lines_taken]
        self.lines_taken += 1
        return json.loads(line)

    def wait_end(self, seconds=20):
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            check(time.monotonic() < deadline, f"kd did not end in {seconds} s:\n{self.text}")
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode


# --- the guest from outside ---

class Monitor:
    """QEMU's QMP."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                check("return" in answer, answer)
                return answer["return"]

    def bytes_at(self, address, n):
        """Kernel memory as the machine sees it, without KD."""
        text = self.ask("human-monitor-command", **{"command-line": f"x /{n}xb {address:#x}"})
        return bytes(int(b, 16) for b in re.findall(r"0x([0-9a-f]{2})\b", text))

    def close(self):
        self.file.close()
        self.socket.close()


def addresses_of(folder, guest, *symbols):
    """Addresses by kd itself, and the target running again."""
    commands = "; ".join(f"? {s}" for s in symbols)
    done = run_kd(folder, [*guest.arguments, "-c", f"{commands}; q"])
    check(done.returncode == 0, done.stderr)
    return [int(m.replace("`", ""), 16)
            for m in re.findall(r"= ([0-9a-f`]{8,17})$", done.stdout, re.M)]


def check_runs(monitor, ticks):
    """The demo driver still counts."""
    before = monitor.bytes_at(ticks, 4)
    wait_for("the guest's next tick", lambda: monitor.bytes_at(ticks, 4) != before)


# --- JSON schemas ---

SCHEMAS = ROOT / "docs" / "schema"


@functools.cache
def validator(name):
    """Of docs/schema/NAME.schema.json; references between the files are followed."""
    store = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
    schema = store[f"{name}.schema.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    resolver = jsonschema.RefResolver("", schema, store)
    return jsonschema.Draft202012Validator(schema, resolver=resolver)


def check_schema(name, value):
    errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
              for e in validator(name).iter_errors(value)]
    check(not errors, f"not as docs/schema/{name}.schema.json says: {'; '.join(errors[:3])}")


def data_schemas(folder):
    """name of a command -> name of its data's schema, out of kd's own help document."""
    text = run_kd(folder, ["--help-commands"]).stdout
    schemas = {}
    for block in text.split("\n### ")[1:]:
        names = re.findall(r"`([^`]+)`", block.split("\n", 1)[0])
        found = re.search(r"\(schema/([a-z-]+)\.schema\.json\)", block)
        for name in names:
            schemas[name] = found[1] if found else None
    return schemas


def command_name(text, schemas):
    """The longest command that a line begins with."""
    text = re.sub(r"^\d+(?=[a-z])", "", text.strip())
    fits = [n for n in schemas if text.startswith(n)]
    check(fits, f"no command begins {text!r}")
    return max(fits, key=len)


def check_result(value, schemas):
    """One line of --json, whole."""
    if "event" in value:
        check_schema("event", value)
        return
    check_schema("command", value)
    if value["data"] is not None:
        name = command_name(value["cmd"], schemas)
        check(schemas[name], f"{name} has data but no schema")
        check_schema(schemas[name], value["data"])


def main(tests):
    """Run functions; TAP. Those that raise Failure fail with its text."""
    print(f"1..{len(tests)}", flush=True)
    bad = 0
    for number, test in enumerate(tests, 1):
        start = time.monotonic()
        try:
            test()
            result = "ok"
        except (Failure, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as problem:
            result, bad = "not ok", bad + 1
            for line in f"{type(problem).__name__}: {problem}".splitlines():
                print(f"# {line}")
        print(f"{result} {number} - {test.__doc__ or test.__name__} "
              f"({time.monotonic() - start:.1f} s)", flush=True)
    return 1 if bad else 0


def kill(process, number=signal.SIGTERM):
    os.kill(process.pid, number)
