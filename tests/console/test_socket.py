#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The session's socket, from a client's side: docs/session-socket.md."""
import os
import stat
import sys
import time

from kd_console import (Failure, Fake, Folder, Kd, check, check_result, check_schema, data_schemas,
                        main, wait_for)
from session_client import Client


class Served:
    """A target, kd on it, and the socket's path."""

    def __enter__(self):
        self.folder = Folder()
        self.target = Fake(self.folder, "--module", "demo.sys:0x6000")
        self.kd = Kd(self.folder, [*self.target.arguments, "--session", "vm"])
        self.path = self.folder.path / "runtime" / "openkd" / "vm.sock"
        self.kd.wait_text("g lets the target run")
        return self

    def __exit__(self, *_):
        self.kd.__exit__()
        self.target.__exit__()
        self.folder.__exit__()


def has_place(path):
    """False: one client too many. kd may not have seen yet that others left."""
    try:
        with Client(path) as c:
            return c.ask(op="ping")["ok"]
    except (EOFError, ConnectionError):
        return False


def test_hello():
    """Hello, ping, status; mode 0600"""
    with Served() as s, Client(s.path) as c:
        check(stat.S_IMODE(os.stat(s.path).st_mode) == 0o600, oct(os.stat(s.path).st_mode))
        check(stat.S_IMODE(os.stat(s.path.parent).st_mode) == 0o700, "the folder is open")
        hello = c.hello
        check(hello["hello"] == "openkd" and hello["protocol"] == 1, hello)
        check(hello["session"] == "vm" and hello["state"] == "stopped", hello)
        check(hello["pid"] == s.kd.process.pid, hello)
        check(c.ask(op="ping") == {"id": 7, "ok": True}, "ping")
        status = c.ask(op="status")
        check(status["ok"] and status["state"] == "stopped", status)
        check(status["counters"]["requests"] > 0 and status["stop"], status)


def test_run():
    """Commands: results as --json gives them, one array an answer"""
    with Served() as s, Client(s.path) as c:
        schemas = data_schemas(s.folder)
        answer = c.ask(op="run", command="lm; db nt L4")
        check(answer["ok"] and len(answer["results"]) == 2, answer)
        for result in answer["results"]:
            check_result(result, schemas)
        check("nt" in answer["results"][0]["text"], answer)
        answer = c.ask(op="run", command="nosuch; lm")
        check(not answer["ok"] and len(answer["results"]) == 1, answer)
        check("no such command" in answer["results"][0]["error"]["text"], answer)
        # more than "lm", which names of temporary folders may have in them
        check("db nt" not in s.kd.text and "; lm" not in s.kd.text, "a client's command is shown at the prompt")


def test_running():
    """Run, break in, events; commands that need a stop are refused while the target runs"""
    with Served() as s, Client(s.path) as c, Client(s.path) as other:
        check(c.ask(op="subscribe")["ok"], "subscribe")
        check(c.ask(op="run", command="g")["ok"], "g")
        wait_for("running", lambda: c.ask(op="status")["state"] == "running")
        answer = c.ask(op="run", command="db nt L4")
        check(answer["results"][0]["error"]["status"] == "RUNNING", answer)
        s.target.tell("print heard by clients")
        c.wait_event("print")
        check(other.ask(op="break")["ok"], "break")
        c.wait_event("stop")
        check(other.events == [], "events came without a subscription")
        check(c.ask(op="run", command="db nt L4")["ok"], "db after the stop")


def test_bad_requests():
    """What is no request gets an error; the session goes on"""
    with Served() as s, Client(s.path) as c:
        for line in (b"nonsense\n", b"[1]\n", b"{}\n", b'{"op":"nosuch","id":1}\n',
                     b'{"op":"run"}\n', b'{"op":5}\n', b"\xff\xfe\n", b"\n"):
            c.socket.sendall(line)
            value = c.line()
            check(value["ok"] is False and value["error"], value)
        check(c.ask(op="ping")["ok"], "ping after it")
        # Half a request, then the rest.
        c.socket.sendall(b'{"id":1,"op":')
        time.sleep(0.1)
        c.socket.sendall(b'"ping"}\n{"id":2,"op":"ping"}\n')
        check([c.line()["id"], c.line()["id"]] == [1, 2], "two requests in one write")


def test_limits():
    """A request without end, too many clients, one that never reads: bounded"""
    with Served() as s:
        with Client(s.path) as c:
            try:
                c.socket.sendall(b"x" * (1 << 20))
            except OSError:
                pass
            value = c.line()
            check("160 KB" in value["error"], value)
            try:
                while True:
                    c.line()
            except (EOFError, ConnectionError):
                pass
        clients = [Client(s.path) for _ in range(8)]
        try:
            Client(s.path)
            raise Failure("a ninth client was let in")
        except (EOFError, ConnectionError):
            pass
        # One does not read: 40 answers of 2 MB text each, while another is served.
        lazy, busy = clients[0], clients[1]
        for _ in range(40):
            lazy.send(id=1, op="run", command="db nt L1000; db nt L1000; db nt L1000")
            time.sleep(0.02)
        check(busy.ask(op="ping")["ok"], "the other client is not served")
        for c in clients:
            c.socket.close()
        wait_for("a place after they left", lambda: has_place(s.path))
        check(s.kd.process.poll() is None, "kd died")


def test_client_leaves():
    """A client that leaves in the middle of its command"""
    with Served() as s:
        with Client(s.path) as c:
            c.send(id=1, op="run", command=".sleep 300; lm")
        with Client(s.path) as c:
            check(c.ask(op="run", command="lm")["ok"], "the next client")
        check(s.kd.process.poll() is None, "kd died")


def test_names():
    """Two sessions of one name; the socket goes with the session; `none`"""
    with Served() as s:
        with Folder() as folder, Fake(folder) as target:
            folder.environment["XDG_RUNTIME_DIR"] = s.folder.environment["XDG_RUNTIME_DIR"]
            with Kd(folder, [*target.arguments, "--session", "vm"]) as second:
                second.wait_text("g lets")
                path = s.path.parent / f"vm-{second.process.pid}.sock"
                with Client(path) as c:
                    check(c.hello["session"] == f"vm-{second.process.pid}", c.hello)
                second.process.stdin.close()
                second.wait_end()
                check(not path.exists(), "the socket was left behind")
            with Kd(folder, [*target.arguments, "--session", "none"]) as third:
                third.wait_text("g lets")
                check(len(list(s.path.parent.glob("*.sock"))) == 1, "a socket in spite of `none`")
        s.kd.process.stdin.close()
        s.kd.wait_end()
        check(not s.path.exists(), "the socket was left behind")


def test_killed():
    """A session that was killed leaves its socket; the next takes the name over"""
    with Served() as s:
        s.kd.process.kill()
        s.kd.process.wait()
        check(s.path.exists(), "nothing to take over")
        with Kd(s.folder, [*s.target.arguments, "--session", "vm"]) as kd:
            kd.wait_text("g lets")
            with Client(s.path) as c:
                check(c.hello["pid"] == kd.process.pid, c.hello)


if __name__ == "__main__":
    sys.exit(main([f for n, f in list(globals().items()) if n.startswith("test_")]))
