#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kdmon and its monitor, on fake targets: names, proxies, counters, logs, traces, debuggers."""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

from kdmon_world import (KDMON, Fleet, Monitor, answer, check, check_schema, done, kdmon, refused,
                         same_counters, vm, wait_counters, wait_for)
from kd_console import KD, Failure, Fake, Folder, Kd, check_result, data_schemas, main, run_kd


def target(folder, *options):
    fake = Fake(folder, "--module", "demo.sys:0x6000", *options)
    folder.configure(f"[target fake]\nendpoint = unix:{fake.socket}\n")
    return fake


def proxy_path(folder, name="fake"):
    return folder.path / "runtime" / "openkd" / f"proxy-{name}.kd"


def test_names():
    """Names that match none or two, a target that is off, a bad endpoint: one line, and the remedy"""
    with Folder() as folder, target(folder) as fake:
        check(vm(folder, "fake")["debugger"]["kind"] == "none", "nobody is attached")
        check(vm(folder, "fake")["state"] == "running", "it listens")
        refused(folder, "NOT_FOUND", "no VM is called 'nobody'; there are: ", "status", "nobody")
        folder.configure(f"[target one]\nendpoint = unix:{folder.path}/off.sock\n"
                         f"[target bad]\nendpoint = smoke:signals\n")
        off = vm(folder, "one")
        check(off["state"] == "off" and "start it" in off["obstacles"][0], off)
        check("its endpoint" in vm(folder, "bad")["obstacles"][0], "what is wrong with it")
        refused(folder, "NOT_FOUND", "smoke", "attach", "bad")
        refused(folder, "NOT_CONNECTED", "kdmon serve", "log", "one", "on")
        refused(folder, "NOT_CONNECTED", "kd one", "break", "one")
        refused(folder, "UNSUPPORTED", "configuration file", "pause", "one")
        refused(folder, "INVALID", "letters, digits", "snapshot", "one", "a b")


def test_command_line():
    """Wrong command lines have status 2 and one line; help and version are printed"""
    with Folder() as folder:
        for words, text in ((["fly"], "no verb 'fly'"), (["status"], "usage: kdmon status VM"),
                            (["log", "a", "maybe"], "usage: kdmon log VM on"),
                            (["log", "a", "on", "--format", "xml"], "text, json or pcapng"),
                            (["attach", "a", "now"], "kdmon attach VM off"),
                            (["--bogus"], "no option '--bogus'"), (["list", "x"], "kdmon list"),
                            (["log", "a", "on", "--format"], "wants FORMAT"), ([], "which verb")):
            got = kdmon(folder, *words)
            check(got.returncode == 2 and text in got.stderr and got.stderr.count("\n") == 1,
                  f"{words}: {got.returncode} {got.stderr}")
        check("proxy VM" in kdmon(folder, "--help").stdout, "help")
        check(kdmon(folder, "--version").stdout.startswith("kdmon (OpenKD) "), "version")
        folder.environment["XDG_RUNTIME_DIR"] = str(folder.path / "none")
        got = kdmon(folder, "serve")
        check(got.returncode == 1 and "export XDG_RUNTIME_DIR=" in got.stderr and
              got.stderr.count("\n") == 1, got.stderr)
        folder.configure("nonsense\n")
        check(kdmon(folder, "list").returncode == 2, "a bad configuration file")


def test_session():
    """A session of kd: who, its state, its counters and its target, from its own socket; break"""
    with Folder() as folder, target(folder) as fake:
        with Kd(folder, [*fake.arguments, "-b", "--session", "mine"]) as kd:
            kd.wait_text("lets the target run")
            seen = vm(folder, "fake")
            check(seen["debugger"] == {"kind": "session", "pid": kd.process.pid, "program": "kd"},
                  seen)
            check(seen["session"].endswith("/mine.sock") and seen["session_state"] == "stopped", seen)
            check(seen["os"].startswith("x64, build 19041"), seen["os"])
            check(seen["counters"]["stops"] == 1 and seen["counters"]["rx_packets"] > 5, seen)
            refused(folder, "EXISTS", f"pid {kd.process.pid}", "attach", "fake")
            kd.send("g")
            wait_for("running", lambda: vm(folder, "fake")["session_state"] == "running")
            kd.process.send_signal(signal.SIGSTOP)  # as if it were in the middle of a command
            threading.Timer(0.8, kd.process.send_signal, (signal.SIGCONT,)).start()
            done(folder, "break", "fake")
            wait_for("stopped", lambda: vm(folder, "fake")["session_state"] == "stopped")
        check(vm(folder, "fake")["counters"] is None, "nobody counts any more")


def test_other_reader():
    """Another program on the socket: it is named, and attaching is refused"""
    with Folder() as folder, target(folder) as fake, socket.socket(socket.AF_UNIX) as s:
        s.connect(str(fake.socket))
        wait_for("the reader", lambda: vm(folder, "fake")["debugger"]["kind"] == "other")
        seen = vm(folder, "fake")
        check(seen["debugger"]["pid"] == os.getpid(), f"{seen['debugger']}, not {os.getpid()}")
        check("two readers" in seen["obstacles"][0], seen["obstacles"])
        refused(folder, "EXISTS", str(os.getpid()), "attach", "fake")
        with Kd(folder, ["fake", "--session", "none"]) as kd:
            says(kd, f"kd: fake: .*pid {os.getpid()}.* two readers .* end it, or let it attach to a proxy")


def says(kd, pattern):
    """On stderr, while it waits."""
    def there():
        kd._read(0.1)
        return re.search(pattern, kd.errors)
    wait_for(f"{pattern} in {kd.errors!r}", there)


def test_tcp_reader():
    """The same at a TCP port of this machine, as far as that can be seen"""
    with Folder() as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        folder.configure(f"[target far]\nendpoint = tcp:127.0.0.1:{port}\n")
        seen = vm(folder, "far")
        check(seen["debugger"]["kind"] == "none" and seen["state"] == "running", seen)
        with socket.create_connection(("127.0.0.1", port)):
            wait_for("the reader", lambda: vm(folder, "far")["debugger"]["kind"] == "other")
            check("another program is connected" in vm(folder, "far")["obstacles"][0], "said")


def test_proxy():
    """A proxy: kd NAME finds it, the target's own socket is refused and says where to go"""
    with Folder() as folder, target(folder) as fake, Monitor(folder):
        made = done(folder, "proxy", "fake")["proxy"]
        check(made["endpoint"] == f"unix:{proxy_path(folder)}", made)
        check(stat.S_IMODE(proxy_path(folder).stat().st_mode) == 0o600, "0600")
        refused(folder, "EXISTS", "has a proxy already", "proxy", "fake")
        direct = run_kd(folder, [*fake.arguments, "-c", "q"])
        check(direct.returncode == 3 and f"attach to its unix:{proxy_path(folder)}" in direct.stderr,
              direct.stderr)
        got = run_kd(folder, ["fake", "-c", "lm; q"])
        check(got.returncode == 0 and "demo" in got.stdout, got.stdout + got.stderr)
        seen = vm(folder, "fake")
        check(seen["debugger"]["kind"] == "relay" and seen["os"] == "x64, build 19041", seen)
        check(seen["counters"]["stops"] == 1 and not seen["proxy"]["is_stopped"], seen)
        done(folder, "proxy", "fake", "off")
        check(not proxy_path(folder).exists(), "the socket is gone")
        check(run_kd(folder, [*fake.arguments, "-c", "q"]).returncode == 0, "the port is free again")


def test_places():
    """Proxies at TCP and at a pseudo-terminal; places that are taken or no places"""
    with Folder() as folder, target(folder), Monitor(folder):
        refused(folder, "SYNTAX", "unix-listen:PATH", "proxy", "fake", "unix:/nowhere")
        refused(folder, "NOT_FOUND", "/no/folder", "proxy", "fake", "unix-listen:/no/folder/x")
        (folder.path / "file").write_text("mine")
        refused(folder, "EXISTS", "no socket", "proxy", "fake", f"unix-listen:{folder.path}/file")
        check((folder.path / "file").read_text() == "mine", "left alone")
        for place in ("tcp-listen:localhost:0", "pty:"):
            at = done(folder, "proxy", "fake", place)["proxy"]["endpoint"]
            got = run_kd(folder, ["-k", at, "-c", "lm; q"])
            check(got.returncode == 0 and "demo" in got.stdout, f"{at}: {got.stderr}")
            done(folder, "proxy", "fake", "off")


def test_one_at_a_time():
    """A second debugger is refused at once, the first one does not notice"""
    with Folder() as folder, target(folder), Monitor(folder):
        done(folder, "proxy", "fake")
        with Kd(folder, ["fake", "-b", "--session", "none"]) as kd, \
                socket.socket(socket.AF_UNIX) as second:
            kd.wait_text("lets the target run")
            second.settimeout(5)
            second.connect(str(proxy_path(folder)))
            check(second.recv(1) == b"", "not closed")
            proxy = vm(folder, "fake")["proxy"]
            check(proxy["refused"] == 1 and proxy["client_pid"] == kd.process.pid, proxy)
            refused(folder, "EXISTS", f"pid {kd.process.pid}", "attach", "fake")
            kd.send("lm; q")
            check(kd.wait_end() == 0 and "demo" in kd.text, kd.text)


def test_break():
    """Instant break: the debugger at the proxy sees it; without one the stop waits for one"""
    with Folder() as folder, target(folder), Monitor(folder):
        done(folder, "proxy", "fake", "--keep-stopped")
        with Kd(folder, ["fake", "-c", "g", "--session", "none"]) as kd:
            wait_for("kd", lambda: vm(folder, "fake")["counters"]["stops"] == 1)
            wait_for("the target to run", lambda: not vm(folder, "fake")["proxy"]["is_stopped"])
            done(folder, "break", "fake")
            kd.wait_text("(?s)Break instruction exception.*Break instruction exception")
            kd.send("q")
            kd.wait_end()
        done(folder, "break", "fake")
        wait_for("the stop", lambda: vm(folder, "fake")["proxy"]["is_stopped"])
        got = run_kd(folder, ["fake", "-c", "r rip; q"])
        check(got.returncode == 0 and "rip=" in got.stdout, got.stdout + got.stderr)
        check(not vm(folder, "fake")["proxy"]["is_stopped"], "it runs on")


def test_break_and_resume():
    """Break makes the proxy that it needs, says how to go on; resume does; a debugger's stop is its own"""
    with Folder() as folder, target(folder), Monitor(folder):
        got = kdmon(folder, "break", "fake")
        check(got.returncode == 0 and "kdmon resume fake" in got.stdout, got.stdout + got.stderr)
        wait_for("the stop", lambda: vm(folder, "fake")["proxy"]["is_stopped"])
        time.sleep(0.5)
        check(vm(folder, "fake")["proxy"]["is_stopped"], "it stays")
        done(folder, "resume", "fake")
        seen = vm(folder, "fake")["proxy"]
        check(not seen["is_stopped"] and not seen["is_held"], seen)
        done(folder, "break", "fake")
        done(folder, "resume", "fake")  # at once
        time.sleep(0.5)
        check(not vm(folder, "fake")["proxy"]["is_stopped"], "it stopped later")
        with Kd(folder, ["fake", "-b", "--session", "none"]) as kd:
            kd.wait_text("lets the target run")
            refused(folder, "EXISTS", f"pid {kd.process.pid}", "resume", "fake")
            kd.send("g")
            wait_for("running", lambda: not vm(folder, "fake")["proxy"]["is_stopped"])
            refused(folder, "UNSUPPORTED", "configuration file", "resume", "fake")
        with socket.socket(socket.AF_UNIX) as s:
            done(folder, "proxy", "fake", "off")
            wait_for("a free port", lambda: vm(folder, "fake")["debugger"]["kind"] == "none")
            s.connect(str(folder.path / "target.sock"))
            wait_for("the reader", lambda: vm(folder, "fake")["debugger"]["kind"] == "other")
            refused(folder, "EXISTS", f"pid {os.getpid()}", "break", "fake")


def test_killed_debugger():
    """kill -9 of the debugger: within a second the target runs on, its breakpoints out"""
    with Folder() as folder, target(folder), Monitor(folder):
        done(folder, "proxy", "fake")
        with Kd(folder, ["fake", "-b", "--session", "none"]) as kd:
            kd.wait_text("lets the target run")
            kd.process.kill()
            start = time.monotonic()
            kd.process.wait()
            wait_for("the target",
                     lambda: not vm(folder, "fake")["proxy"]["is_stopped"], 5)
            check(time.monotonic() - start < 1.5, f"{time.monotonic() - start:.2f} s")


def test_terminal():
    """A debugger counts while it has the pseudo-terminal open; killed there, the target is let go"""
    with Folder() as folder, target(folder), Monitor(folder):
        made = done(folder, "proxy", "fake", "pty:")["proxy"]
        check(not vm(folder, "fake")["proxy"]["has_client"], "nobody has it open yet")
        for _ in range(2):
            with Kd(folder, ["-k", made["endpoint"], "-b", "--session", "none"]) as kd:
                kd.wait_text("lets the target run")
                check(vm(folder, "fake")["proxy"]["has_client"], "it is there")
                kd.process.kill()
                kd.process.wait()
            wait_for("the target", lambda: not vm(folder, "fake")["proxy"]["is_stopped"], 5)
            wait_for("the end of it", lambda: not vm(folder, "fake")["proxy"]["has_client"], 5)


def test_ending():
    """The monitor ends with SIGTERM: nothing is left behind, no target is left standing"""
    with Folder() as folder, target(folder) as fake, Monitor(folder) as monitor:
        done(folder, "proxy", "fake", )
        done(folder, "log", "fake", "on", "--format", "pcapng", "-o", folder.path / "log.pcapng")
        done(folder, "break", "fake")
        wait_for("the stop", lambda: vm(folder, "fake")["proxy"]["is_stopped"])
        check(monitor.stop() == 0, "status 0")
        left = [p.name for p in (folder.path / "runtime" / "openkd").iterdir()]
        check(not left, f"left behind: {left}")
        log = run_kd(folder, ["decode", str(folder.path / "log.pcapng")])
        check(log.returncode == 0 and "CONTINUE" in log.stdout, f"let go on: {log.stdout}")


def test_killed_monitor():
    """kill -9 of the monitor: the port is free, the next one takes the socket over"""
    with Folder() as folder, target(folder) as fake:
        with Monitor(folder) as monitor:
            done(folder, "proxy", "fake")
            monitor.process.kill()
            monitor.process.wait()
            check(run_kd(folder, [*fake.arguments, "-c", "q"]).returncode == 0, "the port is free")
        with Monitor(folder) as monitor:
            second = kdmon(folder, "serve")
            check(second.returncode == 1 and "runs already" in second.stderr, second.stderr)
            done(folder, "proxy", "fake")


def test_log():
    """Logs on and off at run time: text, JSON as its schema says, pcapng that kd decode reads"""
    with Folder() as folder, target(folder), Monitor(folder):
        refused(folder, "NOT_FOUND", "no log", "log", "fake", "off")
        refused(folder, "NOT_FOUND", "/no/where", "log", "fake", "on", "-o", "/no/where/x")
        refused(folder, "NOT_FOUND", "no trace", "trace", "fake", "x", "off")
        refused(folder, "NOT_FOUND", "nothing is started", "attach", "fake", "off")
        check(not vm(folder, "fake")["proxy"], "a proxy was left by what did not work")
        for form in ("text", "json", "pcapng"):
            path = folder.path / f"log.{form}"
            check(done(folder, "log", "fake", "on", "--format", form, "-o", path)["path"] == str(path),
                  "its path")
            check(vm(folder, "fake")["proxy"]["log"] == str(path), "shown")
            check(run_kd(folder, ["fake", "-c", "lm; q"]).returncode == 0, "kd")
            done(folder, "log", "fake", "off")
            check(stat.S_IMODE(path.stat().st_mode) == 0o600, f"{path} is not 0600")
        text = (folder.path / "log.text").read_text()
        check("READ_VIRTUAL" in text and "STATE_EXCEPTION" in text, text[:500])
        rows = [json.loads(l) for l in (folder.path / "log.json").read_text().splitlines()]
        check(len(rows) > 20, f"{len(rows)} rows")
        for row in rows:
            check_schema("decode", row)
        decoded = run_kd(folder, ["decode", str(folder.path / "log.pcapng")])
        check(decoded.returncode == 0 and "READ_VIRTUAL" in decoded.stdout, decoded.stderr)
        refused(folder, "EXISTS", "remove it, or choose another", "log", "fake", "on",
                "--format", "pcapng", "-o", folder.path / "log.pcapng")
        check(run_kd(folder, ["decode", str(folder.path / "log.pcapng")]).stdout == decoded.stdout,
              "the capture is what it was")
        refused(folder, "NOT_FOUND", "no log", "log", "fake", "off")
        unused = done(folder, "log", "fake", "on")["path"]
        done(folder, "log", "fake", "off")
        check(not os.path.exists(unused), "an empty log stays")
        made = done(folder, "log", "fake", "on")["path"]
        check(made.startswith(str(folder.path / "state" / "openkd" / "fake-")), made)
        refused(folder, "NOT_FOUND", "/no/where", "log", "fake", "on", "-o", "/no/where/x")
        check(vm(folder, "fake")["proxy"]["log"] == made, "the one that ran goes on")
        capture = folder.path / "new.pcapng"
        done(folder, "log", "fake", "on", "--format", "pcapng", "-o", capture)
        refused(folder, "EXISTS", "goes to", "log", "fake", "on", "-o", capture)
        check(vm(folder, "fake")["proxy"]["log"] == str(capture), "it goes on")


def test_trace():
    """Prints go by their prefix into files, with and without a debugger; control characters stay out"""
    with Folder() as folder, Fleet(folder, 1) as fleet, Monitor(folder):
        mine, everything = folder.path / "mine.log", folder.path / "all.log"
        done(folder, "trace", "t0", "MINE:", mine)
        done(folder, "trace", "t0", "", everything)
        refused(folder, "EXISTS", "MINE:", "trace", "t0", "MINE:", folder.path / "x")
        refused(folder, "NOT_FOUND", "YOURS", "trace", "t0", "YOURS", "off")
        with Kd(folder, ["t0", "-b", "--session", "none"]) as kd:
            kd.wait_text("lets the target run")
            kd.send("g")
            wait_for("running", lambda: not vm(folder, "t0")["proxy"]["is_stopped"])
            for line in ("MINE: one", "yours: two", "MINE: \x1b[31mthree"):
                fleet.tell(f"print 0 {line}")
            wait_for("the lines", lambda: everything.read_text().count("\n") == 3 if
                     everything.exists() else False)
            kd.wait_text("three")
        check(mine.read_text() == "MINE: one\nMINE: [31mthree\n", mine.read_text())
        done(folder, "trace", "t0", "MINE:", "off")


def test_attach():
    """attach: by template, now, and when the target stops; its words are not a shell's"""
    with Folder() as folder, target(folder) as fake, Monitor(folder):
        note = folder.path / "note"
        script = folder.path / "debugger.sh"
        script.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {note}\n"
                          f"exec {KD} -k \"$2\" -c 'lm; q' --session none > {folder.path}/kd.out 2>&1\n")
        script.chmod(0o700)
        done(folder, "attach", "fake", "--command", f"{script} '{{vm}}; rm x' {{endpoint}} \\$HOME")
        check(note.read_text().splitlines() == ["fake; rm x", f"unix:{fake.socket}", "$HOME"],
              note.read_text())
        failed = answer(folder, "attach", "fake", "--command", "/no/such/debugger")
        check(not failed["ok"] and "/no/such/debugger" in failed["error"], failed)
        check("quote" in answer(folder, "attach", "fake", "--command", "a 'b")["error"], "quotes")
        check(answer(folder, "attach", "fake", "--command", "sh -c 'exit 7'")["exit_status"] == 7,
              "its status")
        note.unlink()
        (folder.path / "kd.out").unlink()
        done(folder, "attach", "fake", "--when-stopped", "--command", f"{script} {{vm}} {{endpoint}}")
        check("debugger.sh" in vm(folder, "fake")["proxy"]["attach"], "shown")
        done(folder, "break", "fake")
        wait_for("the debugger", lambda: (folder.path / "kd.out").exists() and
                 "demo" in (folder.path / "kd.out").read_text(), 20)
        check(note.read_text().splitlines() == ["fake", f"unix:{proxy_path(folder)}"],
              note.read_text())
        wait_for("the target runs", lambda: not vm(folder, "fake")["proxy"]["is_stopped"])
        done(folder, "attach", "fake", "off")
        check(vm(folder, "fake")["proxy"]["attach"] == "", "off")


class Watch:
    def __init__(self, folder):
        self.process = subprocess.Popen([KDMON, "watch", "--json"], stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, env=folder.environment)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def events(self):
        self.text += (self.process.stdout.read() or b"").decode(errors="replace")
        return [json.loads(line) for line in self.text.splitlines(True) if line.endswith("\n")]

    def wait(self, kind, text=""):
        wait_for(f"event {kind} {text}",
                 lambda: any(e["event"] == kind and text in e["text"] for e in self.events()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(5)
        self.process.stdout.close()


def test_watch():
    """watch --json: events as their schema says, with the monitor and without"""
    with Folder() as folder, target(folder) as fake:
        with Watch(folder) as watch:
            watch.wait("appeared", "running")
            with Kd(folder, [*fake.arguments, "-b"]) as kd:
                kd.wait_text("lets the target run")
                watch.wait("debugger", "session")
        with Monitor(folder), Watch(folder) as watch:
            watch.wait("appeared")
            done(folder, "proxy", "fake")
            with Kd(folder, ["fake", "-b", "--session", "none"]) as kd:
                kd.wait_text("lets the target run")
                kd.send("g")
                watch.wait("running")
                fake.tell("print hello there")
                watch.wait("print", "hello there")
                kd.process.terminate()
                kd.wait_end()
            for kind in ("attached", "stopped", "detached"):
                watch.wait(kind)
            check(not any(e["event"] == "restarted" for e in watch.events()), "nobody restarted it")
            for event in watch.events():
                check_schema("monitor-event", event)


def test_configured():
    """Proxies and debuggers that the configuration asks for are there when the monitor begins"""
    with Folder() as folder, Fleet(folder, 2):
        config = folder.path / "config" / "openkd" / "config"
        note = folder.path / "note"
        config.write_text(config.read_text().replace("[target t1]", f"proxy = on\n[target t1]") +
                          f"proxy = tcp-listen:localhost:0\nattach = touch {note}\n" +
                          "[target t2]\nendpoint = replay:x\nproxy = on\n")
        with Monitor(folder) as monitor:
            wait_for("t0", lambda: vm(folder, "t0")["proxy"])
            check(vm(folder, "t1")["proxy"]["endpoint"].startswith("tcp:localhost:"), "its place")
            done(folder, "break", "t1")
            wait_for("the debugger", note.exists)
            monitor.stop()
            check("target t2: a recording" in monitor.process.stderr.read().decode(), "why not t2")


def test_exact():
    """Eight targets behind proxies: packets and bytes are those that the targets saw, to the last"""
    with Folder() as folder, Fleet(folder, 8) as fleet, Monitor(folder):
        for i in range(8):
            done(folder, "proxy", f"t{i}")
        for i in range(8):
            fleet.drive(i, 10 + 7 * i)
        shown = wait_counters(folder, fleet)
        for i in range(8):
            check(shown[f"t{i}"]["stops"] == 1, shown[f"t{i}"])
            check(shown[f"t{i}"]["tx_packets"] == 10 + 7 * i + 3, shown[f"t{i}"])
            check(shown[f"t{i}"]["round_trip_ns_median"] > 0, shown[f"t{i}"])
        fleet.tell("print 3 a line")
        wait_for("the print", lambda: vm(folder, "t3")["counters"]["prints"] == 1)
        check(vm(folder, "t2")["counters"]["prints"] == 0, "of another one")


def test_hostile_clients():
    """Nonsense on the monitor's socket is answered or dropped; the monitor goes on"""
    with Folder() as folder, target(folder), Monitor(folder) as monitor:
        for text in (b"hello\n", b"{}\n", b'{"op":"fly"}\n', b'{"op":"status"}\n', b"[1]\n",
                     b'{"op":"log","vm":"fake","format":7,"on":true,"path":[]}\n',
                     b'{"op":"proxy","vm":"fake","endpoint":"unix-listen:"}\n', b"\0" * 100 + b"\n"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(str(monitor.socket))
                f = s.makefile("rb")
                check(json.loads(f.readline())["hello"] == "kdmon", "hello")
                s.sendall(text)
                got = json.loads(f.readline())
                check("ok" in got, f"{text}: {got}")
                check_schema("monitor-answer", got)
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(monitor.socket))
            try:
                s.sendall(b"x" * (1 << 20))
            except OSError:
                pass
            s.recv(1000)
        check(done(folder, "list")["vms"], "it goes on")


def test_hostile_target():
    """A target that sends noise without end: the monitor stays and counts it"""
    with Folder() as folder:
        path = folder.path / "noise.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        folder.configure(f"[target noise]\nendpoint = unix:{path}\n")
        with Monitor(folder):
            done(folder, "log", "noise", "on", "-o", folder.path / "log")
            peer, _ = listener.accept()
            sent = 0
            for chunk in (os.urandom(1 << 16), b"\x30" * (1 << 16), b"\x69" * 70000,
                          b"0000\x07\x00\xff\xff" * 5000):
                peer.sendall(chunk)
                sent += len(chunk)
            wait_for("all of it",
                     lambda: vm(folder, "noise")["counters"]["rx_bytes"] == sent)
            peer.close()
        listener.close()


if __name__ == "__main__":
    tests = [test_names, test_command_line, test_session, test_other_reader, test_tcp_reader,
             test_proxy, test_places,
             test_one_at_a_time, test_break, test_break_and_resume, test_killed_debugger, test_terminal, test_ending, test_killed_monitor,
             test_log, test_trace, test_attach, test_watch, test_configured, test_exact, test_hostile_clients,
             test_hostile_target]
    chosen = [t for t in tests if t.__name__ in sys.argv[1:]]
    sys.exit(main(chosen or tests))
