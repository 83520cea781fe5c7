# SPDX-License-Identifier: MIT
"""The demo guest with a network, netprobe.sys and a debug port, its jobs started from outside (QEMU's
gdb stub), servers on this host, and clients of a session's socket."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "guest"), str(ROOT / "tests" / "console")]
from guest_machine import IMAGES, LAYOUT, NET_MODULES  # noqa: E402
from guest_pe import Module  # noqa: E402
import kd_console  # noqa: E402
from kd_console import check_schema, listens, wait_for  # noqa: E402
from net_machine import NetMachine  # noqa: E402
from session_client import Client as SessionClient  # noqa: E402
from stream_check import Failure, check, check_clean, fields, tshark  # noqa: E402
from test_demo_net import answer_names  # noqa: E402

kd_console.Failure = Failure  # one kind of failure for all


class Skip(Exception):
    """Something that a test needs is not installed."""


class Lab(NetMachine):
    """with Lab(images) as lab: the guest is up, lab.endpoint is its debug port."""

    def __init__(self, folder):  # pylint: disable=super-init-not-called
        folder = pathlib.Path(folder)
        self.dir = tempfile.TemporaryDirectory(prefix="kd-lab-")
        self.path = pathlib.Path(self.dir.name)
        self.log_path = str(self.path / "console")
        self.gdb_path = str(self.path / "gdb")
        self.socket = self.path / "target.sock"
        arch = ["--arch", "x86"] if LAYOUT.is_x86 else []
        # Away from where tests end programs that were forgotten: a group of its own.
        self.process = subprocess.Popen(
            [str(ROOT / "guest/demo/run-demo"), "--images", str(folder), *arch, "--smp", "1", "--net",
             "--driver", "netprobe", "--serial", str(self.socket), "--console", self.log_path,
             "--gdb", self.gdb_path], stdin=subprocess.DEVNULL)
        self.images = folder / "x86" if LAYOUT.is_x86 else folder
        self.modules = {name: Module(str(self.images / image), str(self.images / pdb))
                        for name, (image, pdb) in {**IMAGES, **NET_MODULES}.items()}
        self.stub = None
        self.free = 0

    def __enter__(self):
        self.boot()
        return self

    @property
    def endpoint(self):
        return f"unix:{self.socket}"


class Client(SessionClient):
    """What tests of traffic ask."""

    def good(self, op, **request):
        answer = self.ask(op, **request)
        check(answer["ok"], f"{op} {request}: {answer}")
        return answer

    def bad(self, op, status, **request):
        answer = self.ask(op, **request)
        check(not answer["ok"] and answer["status"] == status, f"{op} {request}: {answer}")
        return answer

    def wait_kind(self, kind, seconds=15):
        """The next event about traffic of that kind; it and those before are taken away."""
        deadline = time.monotonic() + seconds
        while True:
            for i, event in enumerate(self.events):
                if event.get("kind") == kind:
                    del self.events[:i + 1]
                    return event
            check(time.monotonic() < deadline, f"no {kind} in {seconds} s")
            self.keep(self.line())

    def forget(self):
        """What happened up to now is nobody's business any more."""
        self.good("ping")
        self.events.clear()


class Session:
    """with Session(kd, lab) as s: kd is on the lab's guest, which runs; s.socket."""

    def __init__(self, kd, lab, name="vm", more=(), **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="kd-extcap-")
        self.path = pathlib.Path(self.folder.name)
        self.environment = {**private_environment(self.path), **environment}
        self.socket = self.path / "runtime" / "openkd" / f"{name}.sock"
        self.log = open(self.path / "kd.log", "wb")
        self.kd = subprocess.Popen([kd, "-k", lab.endpoint, "-y", str(lab.images), "--session", name, *more],
                                   stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
                                   env=self.environment)

    def __enter__(self):
        wait_for("the session's socket", lambda: listens(self.socket))
        with Client(self.socket) as c:
            self.let_run(c)
        return self

    @staticmethod
    def let_run(client, calm=0.25):
        """A target that knew a debugger stops for the new one; another one has to be stopped first."""
        began = since = time.monotonic()
        asked_to = False
        while time.monotonic() - since < calm:
            state = client.good("status")["state"]
            check(time.monotonic() - began < 15, f"the target is {state} still")
            if state != "running":
                since = time.monotonic()
            if state == "stopped":
                client.good("run", command="g")
            elif state == "connecting" and not asked_to and time.monotonic() - began > 0.5:
                asked_to = client.good("break")
            time.sleep(0.02)

    def says(self):
        return (self.path / "kd.log").read_text(errors="replace")

    def send(self, line):
        self.kd.stdin.write(line.encode() + b"\n")
        self.kd.stdin.flush()

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.kd.stdin.close()
        try:
            self.kd.wait(10)
        except subprocess.TimeoutExpired:
            self.kd.kill()
            self.kd.wait()
        self.log.close()
        self.folder.cleanup()


def http(body=b"<html>hello</html>\n", seen=None, patience=20):
    """What a TcpServer does as a web server of HTTP/1.0; requests are kept. One that was dropped does
    not come: after so many seconds it is given up."""
    def serve(connection):
        data = b""
        connection.settimeout(patience)
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in data and (chunk := connection.recv(65536)):
                data += chunk
            if seen is not None:
                seen.append(data)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: "
                               b"%d\r\n\r\n%s" % (len(body), body))
    return serve


@contextlib.contextmanager
def names_server(family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        threading.Thread(target=answer_names, args=(sock,), daemon=True).start()
        yield sock.getsockname()[1]


def private_environment(folder):
    """Everything of a user's own in one folder."""
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    for name in ("config", "state", "runtime"):
        (folder / name).mkdir(mode=0o700)
        environment["XDG_RUNTIME_DIR" if name == "runtime" else f"XDG_{name.upper()}_HOME"] = \
            str(folder / name)
    for name in ("_NT_SYMBOL_PATH", "_NT_DEBUG_PORT", "DISPLAY", "WAYLAND_DISPLAY"):
        environment.pop(name, None)
    return environment


def run_tests(functions, images, names):
    """Each test_NAME, or those that are named, on one machine; TAP. An exit status."""
    tests = [f for n, f in functions.items() if n.startswith("test_") and callable(f)]
    tests = [t for t in tests if not names or t.__name__.removeprefix("test_") in names]
    if not shutil.which("tshark"):
        print("1..0 # SKIP no tshark")
        return 0
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    with Lab(images) as lab:
        for i, test in enumerate(tests, 1):
            begin = time.monotonic()
            try:
                test(lab)
                word = "ok"
            except Skip as why:
                print(f"ok {i} - {test.__doc__} # SKIP {why}", flush=True)
                continue
            except (Failure, AssertionError, OSError, EOFError, KeyError, subprocess.TimeoutExpired) as e:
                failed, word = failed + 1, "not ok"
                print("\n".join(f"# {line}" for line in f"{type(e).__name__}: {e}".splitlines()))
            print(f"{word} {i} - {test.__doc__} ({time.monotonic() - begin:.1f} s)", flush=True)
    return 1 if failed else 0


__all__ = ["Client", "Failure", "Lab", "ROOT", "Session", "Skip", "check", "check_clean", "check_schema", "fields",
           "http",
           "names_server", "private_environment", "run_tests", "tshark", "wait_for"]
