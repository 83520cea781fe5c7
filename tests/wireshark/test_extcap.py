#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kd-extcap in a real tshark, and the traffic of a session's socket, with the demo guest's programs.

    test_extcap.py KD KD-EXTCAP IMAGES [NAME...]      NAME: of a function test_NAME
"""
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from traffic_lab import (Client, Failure, Session, Skip, check, check_clean, check_schema, fields, http,
                         names_server, private_environment, run_tests, tshark, wait_for)
from net_machine import (ASK_NAMES, GET_PAGE, HOST4, HOST6, SEND_BULK, SERVE_LINES, TALK_LINES, Received,
                         TcpServer, pattern)

KD, EXTCAP, IMAGES = (os.path.abspath(a) for a in sys.argv[1:4])
REQUEST = b"GET /index.html HTTP/1.0\r\nHost: demo\r\nConnection: close\r\n\r\n"


def output(command, environment, ok=True, seconds=30):
    done = subprocess.run([str(c) for c in command], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=seconds, check=False)
    check(not ok or done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode() + ("" if ok else done.stderr.decode())


class Capture:
    """tshark on an interface of kd-extcap, until stop(); .path is what it wrote."""

    def __init__(self, session_or_environment, interface, *more):
        self.environment = getattr(session_or_environment, "environment", session_or_environment)
        self.folder = pathlib.Path(self.environment["HOME"])
        self.path = self.folder / f"capture-{time.monotonic_ns()}.pcapng"
        output([EXTCAP, "--install"], self.environment)
        self.errors = open(self.folder / "tshark.err", "wb")
        self.process = subprocess.Popen(["tshark", "-i", interface, "-w", str(self.path), *more],
                                        env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.errors)
        wait_for("the capture to begin", self.has_begun, 20)

    def has_begun(self):
        """The interfaces' blocks are there."""
        check(self.process.poll() is None, self.says())
        return self.path.exists() and b"openkd-held" in self.path.read_bytes()

    def says(self):
        self.errors.flush()
        return (self.folder / "tshark.err").read_text(errors="replace")

    def wait_frames(self, n, display_filter="frame", seconds=10):
        """So many packets have come; dumpcap hands them over twice a second."""
        def there():
            with contextlib.suppress(Failure):  # the file's end may be half a block
                return len(fields(self.path, display_filter, "frame.number")) >= n
            return False
        wait_for(f"{n} packets of {display_filter}", there, seconds)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)
        self.errors.close()
        return self.path


def good(job, n):
    check(job.done == n and not job.failed, str(job))


# --- what is listed ---

def test_listing(lab):
    """tshark -D lists VMs and sessions, within a tenth of a second, and nobody asks the VM for it"""
    with tempfile.TemporaryDirectory() as folder:
        environment = private_environment(pathlib.Path(folder))
        said = output([EXTCAP, "--install"], environment)
        check(said.count(" -> ") == 2, said)
        vm = f"openkd-vm-pid-{lab.process.pid}"
        check(f"{vm} (OpenKD: qemu-{lab.process.pid})" in output(["tshark", "-D"], environment), "tshark -D")
        # Its monitor has room for one: that one is there, and nobody else comes.
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(lab.socket) + ".qmp")
            times = []
            for _ in range(5):
                begin = time.monotonic()
                said = output([EXTCAP, "--extcap-interfaces", "--extcap-version=4.0"], environment)
                times.append(time.monotonic() - begin)
            check(min(times) < 0.1, f"it takes {times}")
            check(f"interface {{value={vm}}}" in said, said)
        check("number=258" in output(["tshark", "-i", vm, "-L"], environment, ok=False) or
              "PKTAP" in output(["tshark", "-i", vm, "-L"], environment, ok=False), "tshark -L")
        config = output([EXTCAP, "--extcap-config", "--extcap-interface", vm], environment)
        check(re.findall(r"call=(--\w+)", config) == ["--mode", "--hold", "--editor", "--symbols"], config)
        with Session(KD, lab) as s:
            environment["XDG_RUNTIME_DIR"] = s.environment["XDG_RUNTIME_DIR"]
            listed = output(["tshark", "-D"], environment)
            check(f"openkd-vm (OpenKD: qemu-{lab.process.pid} (vm))" in listed, listed)
            check(vm + " " not in listed, "the VM is listed beside its session")
        check("is gone" in output([EXTCAP, "--uninstall"], environment), "--uninstall")
        check("openkd" not in output(["tshark", "-D"], environment), "after --uninstall")


def test_sentences(_):
    """Every line is an extcap sentence; filters are judged without a target; errors have a status"""
    environment = dict(os.environ)
    for question in ("--extcap-interfaces", "--extcap-dlts", "--extcap-config"):
        for line in output([EXTCAP, question, "--extcap-interface", "x"], environment).splitlines():
            check(re.fullmatch(r"(extcap|interface|dlt|arg|value|control) (\{\w+=[^{}]*\})+", line), line)
    judge = lambda text: subprocess.run([EXTCAP, "--extcap-interface", "x", "--extcap-capture-filter", text],
                                        stdout=subprocess.PIPE, check=False)
    check(judge("[process=web*] tcp port 80") .returncode == 0, "a good filter")
    bad = judge("tcp port 80 and")
    check(bad.returncode == 1 and b"column" in bad.stdout, bad)
    for words, status in ((["--nosuch"], 2), (["--capture"], 2), (["--mode", "x"], 2),
                          (["--capture", "--extcap-interface", "openkd-none", "--fifo", "/dev/null"], 1)):
        done = subprocess.run([EXTCAP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        check(done.returncode == status and done.stderr, f"{words}: {done}")


# --- capturing ---

def check_http(path, port, family=4, n=1):
    check_clean(path)
    seen = fields(path, "http.request", "pktap.cmdname", "http.request.full_uri", "tcp.dstport", "frame.comment",
                  "frame.interface_name", "frame.packet_flags_direction")
    check(len(seen) == n, seen)
    for name, uri, target, comment, interface, direction in seen:
        check((name, uri, target, interface, direction) ==
              ("webget.exe", "http://demo/index.html", str(port), "openkd-wire", "0x00000002"), seen)
        check(re.fullmatch(r"kd: id=\d+ flow=\d+ pid=\d+ img=webget\.exe verdict=pass", comment), comment)
    check(len(fields(path, "http.response.code == 200", "http.response.code")) == n, "answers")
    followed = tshark(path, "-q", "-z", "follow,tcp,ascii,0")
    check("GET /index.html HTTP/1.0" in followed and "<html>hello</html>" in followed, followed)
    check(len(fields(path, f"ipv6 && tcp.port == {port}" if family == 6 else f"ip && tcp.port == {port}",
                     "frame.number")) >= 7 * n, "handshake, data and end")


def test_machine(lab):
    """A VM without a session: attached to for the capture, left running, nothing of us stays"""
    with tempfile.TemporaryDirectory() as folder, TcpServer(http()) as web:
        environment = {**private_environment(pathlib.Path(folder)), "_NT_SYMBOL_PATH": IMAGES}
        capture = Capture(environment, f"openkd-vm-pid-{lab.process.pid}")
        good(lab.do(GET_PAGE, address=HOST4, port=web.port, count=2), 2)
        capture.wait_frames(2, "http.response")
        begin = time.monotonic()
        path = capture.stop()
        check(time.monotonic() - begin < 10, "the end takes too long")
        check_http(path, web.port, n=2)
        good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)
        check(not list(pathlib.Path(folder, "runtime").glob("openkd/*.sock")), "a socket was left")


def test_errors(lab):
    """A VM that another program holds, and one that is gone: tshark says why, and ends"""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as holder:
        environment = private_environment(pathlib.Path(folder))
        output([EXTCAP, "--install"], environment)
        vm = f"openkd-vm-pid-{lab.process.pid}"
        holder.connect(str(lab.socket))
        said = output(["tshark", "-i", vm], environment, ok=False)
        check("is connected to its debug port" in said, said)
        done = subprocess.run([EXTCAP, "--capture", "--extcap-interface", "openkd-vm-pid-1", "--fifo", "-"],
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        check(done.returncode == 1 and b"is gone" in done.stderr and not done.stdout, done)


def test_killed(lab):
    """kd-extcap with a session of its own is killed: what it held goes on, the next one finds the VM"""
    with tempfile.TemporaryDirectory() as folder, TcpServer(http()) as web:
        environment = {**private_environment(pathlib.Path(folder)), "_NT_SYMBOL_PATH": IMAGES}
        for how in (signal.SIGKILL, signal.SIGTERM):
            process = subprocess.Popen(
                [EXTCAP, "--capture", "--extcap-interface", f"openkd-vm-pid-{lab.process.pid}", "--fifo", "-",
                 "--mode", "intercept"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            check(process.stdout.read(4) == b"\x0a\x0d\x0d\x0a", "no section header")
            number = lab.start(GET_PAGE, address=HOST4, port=web.port)
            time.sleep(0.5)
            check(lab.job(number).state == 2, "nothing was held")
            process.send_signal(how)
            process.communicate(timeout=15)
            check(process.returncode == (0 if how == signal.SIGTERM else -how), process.returncode)
            good(lab.finish(number), 1)


def test_session(lab):
    """A session: HTTP, IPv6, UDP with names of programs, loopback, all clean; it ends with tshark"""
    with Session(KD, lab) as s, TcpServer(http()) as web, TcpServer(http(), "::1") as web6, \
            names_server() as names, names_server(socket.AF_INET6) as names6:
        capture = Capture(s, "openkd-vm")
        good(lab.do(GET_PAGE, address=HOST4, port=web.port, count=2), 2)
        good(lab.do(GET_PAGE, address=HOST6, port=web6.port), 1)
        good(lab.do(ASK_NAMES, address=HOST4, port=names, count=3), 3)
        good(lab.do(ASK_NAMES, address=HOST6, port=names6, count=3), 3)
        server = lab.serve(SERVE_LINES, address="0.0.0.0", port=9001)
        good(lab.do(TALK_LINES, address="127.0.0.1", port=9001, count=5), 5)
        lab.stop_job(server)
        capture.wait_frames(3, "http.response")
        capture.wait_frames(6, f"udp.port == {names6}")
        path = capture.stop()
        check_clean(path)
        check(len(fields(path, "http.request", "http.host")) == 3, "requests")
        check(len(fields(path, "ipv6 && http.response", "frame.number")) == 1, "IPv6")
        for port, family in ((names, "ip"), (names6, "ipv6")):
            seen = fields(path, f"{family} && udp.port == {port}", "pktap.cmdname")
            check(seen == [("nameask.exe",)] * 6, f"{port}: {seen}")
        # Two programs that talk to each other are one conversation.
        lines = fields(path, "tcp.port == 9001", "tcp.stream", "tcp.flags.syn", "tcp.len")
        check(len({stream for stream, _, _ in lines}) == 1, f"loopback: {lines}")
        check(sum(syn == "1" for _, syn, _ in lines) == 2 and sum(n != "0" for _, _, n in lines) == 10,
              f"loopback: {lines}")
        wait_for("traffic to end", lambda: not asked(s, "traffic-status")["ok"])
        check(s.kd.poll() is None, "kd ended")


def asked(session, op, **request):
    with Client(session.socket) as c:
        return c.ask(op, **request)


def test_filter(lab):
    """tshark's -f is applied; a bad one is an error that says why"""
    with Session(KD, lab) as s, TcpServer(http()) as web, TcpServer(http()) as other:
        capture = Capture(s, "openkd-vm", "-f", f"[process=webget*] tcp port {web.port}")
        good(lab.do(GET_PAGE, address=HOST4, port=other.port), 1)
        good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)
        capture.wait_frames(1, "http.response")
        path = capture.stop()
        check_http(path, web.port)
        check(not fields(path, f"tcp.port == {other.port}", "frame.number"), "what the filter keeps out")
        said = output([EXTCAP, "--capture", "--extcap-interface", "openkd-vm", "--fifo", "-",
                       "--extcap-capture-filter", "tcp prt 80"], s.environment, ok=False)
        check("column" in said, said)


def test_filter_of_another(lab):
    """A capture's filters on traffic that was looked at before: put back at its end, unless somebody set others"""
    with Session(KD, lab) as s, Client(s.socket) as c:
        c.good("traffic-start", filter="tcp", intercept="tcp port 7")
        now = lambda: [c.good("traffic-status")[key] for key in ("filter", "intercept")]
        capture = Capture(s, "openkd-vm", "-f", "udp")
        check(now() == ["udp", "tcp port 7"], now())
        capture.stop()
        wait_for("the filters as they were", lambda: now() == ["tcp", "tcp port 7"])
        capture = Capture(s, "openkd-vm", "-f", "udp", "-o", "extcap.openkd_vm.hold:udp port 8")
        check(now() == ["udp", "udp port 8"], now())
        c.good("traffic-filter", filter="udp port 9")
        capture.stop()
        wait_for("what nobody changed since", lambda: now() == ["udp port 9", "tcp port 7"])


def test_kinds_of_end(lab):
    """The reader goes, the session is killed, SIGTERM: a clean end each time, the guest unharmed"""
    with Session(KD, lab) as s, TcpServer(http()) as web:
        for how in ("reader", "signal", "session"):
            fifo = s.path / f"{how}.fifo"
            os.mkfifo(fifo)
            process = subprocess.Popen([EXTCAP, "--capture", "--extcap-interface", "openkd-vm", "--fifo",
                                        str(fifo), "--mode", "intercept"], env=s.environment,
                                       stderr=subprocess.PIPE)
            reader = os.open(fifo, os.O_RDONLY)
            check(os.read(reader, 4) == b"\x0a\x0d\x0d\x0a", "no section header")
            number = lab.start(GET_PAGE, address=HOST4, port=web.port)
            wait_for("something to be held", lambda: asked(s, "traffic-status").get("held_now"))
            if how == "reader":
                os.close(reader)
            elif how == "signal":
                process.terminate()
            else:
                s.kd.kill()
            said = process.communicate(timeout=10)[1].decode()
            check(process.returncode == 0 and (how != "session" or "the session ended" in said),
                  f"{how}: {process.returncode}, {said}")
            # What was held for it goes on: at once, or when the driver hears nobody any more.
            good(lab.finish(number), 1)
            if how != "reader":
                os.close(reader)
        good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)


# --- the toolbar ---

def message(control, command, payload=b""):
    return b"T" + struct.pack(">I", len(payload) + 2)[1:] + bytes((control, command)) + payload


class Bar:
    """Wireshark's side of the control pipes and of the FIFO."""

    def __init__(self, session, *more):
        self.names = {n: session.path / n for n in ("fifo", "in", "out")}
        for path in self.names.values():
            os.mkfifo(path)
        self.process = subprocess.Popen(
            [EXTCAP, "--capture", "--extcap-interface", "openkd-vm", "--fifo", str(self.names["fifo"]),
             "--extcap-control-in", str(self.names["in"]), "--extcap-control-out", str(self.names["out"]),
             *more], env=session.environment, stderr=subprocess.PIPE)
        self.said = b""
        # As Wireshark does: reading end of its own first, then its writing end, then dumpcap.
        self.out = os.open(self.names["out"], os.O_RDONLY)
        self.into = os.open(self.names["in"], os.O_WRONLY)
        self.packets = os.open(self.names["fifo"], os.O_RDONLY)
        check(os.read(self.packets, 4) == b"\x0a\x0d\x0d\x0a", "no section header")
        self.press(0, 0)

    def press(self, control, command=1, payload=b""):
        os.write(self.into, message(control, command, payload))

    def expect(self, wanted, seconds=10):
        """These bytes come; what was said up to their end is taken away."""
        deadline = time.monotonic() + seconds
        while wanted not in self.said:
            left = deadline - time.monotonic()
            check(left > 0, f"{wanted} did not come, but {self.said}")
            if select.select([self.out], [], [], left)[0]:
                self.said += os.read(self.out, 65536)
        self.said = self.said[self.said.index(wanted) + len(wanted):]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=10)
        for fd in (self.out, self.into, self.packets):
            os.close(fd)


def test_toolbar(lab):
    """Every control, byte for byte: intercept, pass (n), drop, edit, pass all, hold, flow, log"""
    seen = []
    with Session(KD, lab) as s, TcpServer(http(seen=seen, patience=2)) as web:
        editor = s.path / "editor"
        editor.write_text("#!/bin/sh\nsed -i 's/Host: demo/Host: edited/' \"$1\"\n")
        editor.chmod(0o755)
        with Bar(s, "--editor", str(editor)) as bar:
            for control in (1, 2, 3, 4):
                bar.expect(message(control, 5))  # greyed
            bar.press(0, 1, b"\x01")
            bar.expect(message(8, 2, b"payloads are held\n"))
            check(asked(s, "traffic-status")["mode"] == "intercept", "the mode")
            number = lab.start(GET_PAGE, address=HOST4, port=web.port)
            bar.expect(b"is held\n")
            bar.expect(message(1, 1, b"Pass (1)"))
            for control in (1, 2, 3, 4):
                bar.expect(message(control, 4))
            item = asked(s, "traffic-held")["items"][0]
            bar.press(7, 1, str(item["flow"]).encode())
            bar.press(3)
            bar.expect(b"is in the editor")
            bar.expect(f"item {item['id']} has {len(REQUEST) + 2} bytes now: Pass sends them".encode())
            bar.press(1)
            bar.expect(message(255, 6, f"item {item['id']} passed".encode()))
            bar.expect(f"item {item['id']} of flow {item['flow']}: edited by wireshark\n".encode())
            while lab.job(number).state != 3:
                bar.press(4)
                time.sleep(0.1)
            good(lab.job(number), 1)
            check(seen == [REQUEST.replace(b"demo", b"edited")], seen)
            bar.press(7, 1, b"0")
            # Only what the filter names is held.
            bar.press(5, 1, b"tcp port 1")
            bar.expect(message(255, 6, b"held is: tcp port 1"))
            good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)
            bar.press(5, 1, b"tcp prt 1")
            bar.expect(b"column")
            bar.press(5, 1, b"")
            bar.expect(message(255, 6, b"held is: everything"))
            # Dropped: the server never hears of it.
            for byte in (b"\x00", b"\x01"):
                bar.press(0, 1, byte)  # nothing is left of what was before
                bar.expect(b"held")
                wait_for("what was held to go", lambda: not asked(s, "traffic-status")["held_now"])
            number = lab.start(GET_PAGE, address=HOST4, port=web.port)
            bar.expect(b"is held\n")
            bar.press(2)
            bar.expect(b": dropped by wireshark\n")
            bar.press(0, 1, b"\x00")
            bar.expect(b"nothing is held any more\n")
            check(lab.finish(number).done == 0, "an answer to what was dropped")
            check(len(seen) == 2, seen)
            check(bar.process.poll() is None, "it ended")
            bar.press(0, 77, b"?")       # an unknown command
            bar.press(200, 1, b"?")      # an unknown control
            os.write(bar.into, b"nonsense")
            bar.expect(b"is no message")
            check(bar.process.poll() is None, "nonsense ended the capture")


def test_selector(lab):
    """The selector has the flows of which something is held, and its choice rules the buttons"""
    with Session(KD, lab) as s, TcpServer(http()) as web, Bar(s, "--mode", "intercept") as bar:
        bar.expect(message(0, 1, b"\x01"))
        jobs = [lab.start(GET_PAGE, address=HOST4, port=web.port) for _ in range(3)]
        bar.expect(message(1, 1, b"Pass (3)"))
        held = asked(s, "traffic-held")["items"]
        flows = {f["id"]: f for f in asked(s, "traffic-flows", held=True)["flows"]}
        check(len(held) == 3 and len(flows) == 3, f"{held} {flows}")
        last = flows[held[2]["flow"]]
        bar.press(7, 1, str(last["id"]).encode())
        bar.expect(message(1, 1, b"Pass (1)"))
        bar.press(1)
        bar.expect(message(255, 6, f"item {held[2]['id']} passed".encode()))
        rest = {i["id"] for i in asked(s, "traffic-held")["items"]}
        check({held[0]["id"], held[1]["id"]} <= rest and held[2]["id"] not in rest, rest)
        bar.press(7, 1, b"0")
        bar.press(0, 1, b"\x00")
        for number in jobs:
            good(lab.finish(number), 1)
        bar.expect(message(1, 1, b"Pass"))
        with Client(s.socket) as c:
            c.good("traffic-mode", mode="intercept")
            number = lab.start(GET_PAGE, address=HOST4, port=web.port)
            bar.expect(message(1, 1, b"Pass (1)"))
            flow = c.good("traffic-flows", held=True)["flows"][0]
            # added when it was new, with what people read
            name = f"{flow['id']}\0webget.exe[{flow['pid']}] {HOST4}:{web.port}".encode()
            check(len(message(7, 2, name)) == 6 + len(name), name)
            c.good("traffic-mode", mode="capture")
            good(lab.finish(number), 1)
            bar.expect(message(7, 3, str(flow["id"]).encode()))


class Screen:
    """A display for programs with windows, and a hand for its mouse."""

    def __init__(self, environment):
        self.process = subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten",
                                         "tcp"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        name = self.process.stdout.readline().decode().strip()
        self.environment = {**environment, "DISPLAY": f":{name}"}

    def click(self, x, y):
        subprocess.run(["xdotool", "mousemove", str(x), str(y), "click", "1"], env=self.environment,
                       timeout=10, check=True)

    def click_until(self, what, xs, y, predicate):
        """A control is where its style put it: try along its row."""
        for x in xs:
            self.click(x, y)
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline:
                if predicate():
                    return x
                time.sleep(0.05)
        raise Failure(f"{what}: clicked in vain from {xs[0]} to {xs[-1]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=10)


def test_window(lab):
    """Wireshark itself: packets come, Intercept holds, Pass releases, by mouse"""
    missing = [name for name in ("wireshark", "Xvfb", "xdotool") if not shutil.which(name)]
    if missing:
        raise Skip(f"no {', '.join(missing)}")
    with Session(KD, lab) as s, TcpServer(http()) as web, Screen(s.environment) as screen:
        output([EXTCAP, "--install"], s.environment)
        # The toolbar is hidden until somebody ticks View, Interface Toolbars, once.
        recent = s.path / "config" / "wireshark" / "recent"
        recent.write_text('gui.interface_toolbar_show: "OpenKD"\n')
        recent.with_name("recent_common").write_text("gui.geometry_main_x: 0\ngui.geometry_main_y: 0\n"
                                                     "gui.geometry_main_width: 1200\n"
                                                     "gui.geometry_main_height: 760\n")
        with open(s.path / "wireshark.log", "wb") as log:
            window = subprocess.Popen(["wireshark", "-k", "-i", "openkd-vm"], env=screen.environment,
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for("Wireshark's capture", lambda: asked(s, "traffic-status").get("streams"), 30)
            good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)
            wait_for("packets", lambda: asked(s, "traffic-status")["stream_packets"] >= 7)
            time.sleep(1)  # its window is painted
            mode = lambda: asked(s, "traffic-status")["mode"] == "intercept"
            screen.click_until("Intercept", range(265, 345, 16), 106, mode)
            number = lab.start(GET_PAGE, address=HOST4, port=web.port)
            wait_for("something to be held", lambda: asked(s, "traffic-status")["held_now"])
            time.sleep(0.3)  # the button is no longer grey
            before = asked(s, "traffic-status")["passed"]
            at = screen.click_until("Pass", range(770, 850, 20), 106,
                                    lambda: asked(s, "traffic-status")["passed"] > before)
            while lab.job(number).state != 3:
                screen.click(at, 106)
                time.sleep(0.1)
            good(lab.job(number), 1)
            check(window.poll() is None, "Wireshark ended")
        finally:
            window.terminate()
            window.wait(10)
        wait_for("traffic to end", lambda: not asked(s, "traffic-status")["ok"])


# --- the session's socket ---

def test_requests(lab):
    """Every request of the socket: answers as the schemas say, and what they do to the bytes"""
    seen = []
    with Session(KD, lab) as s, TcpServer(http(seen=seen)) as web, Client(s.socket) as c:
        for op in ("traffic-status", "traffic-held", "traffic-stop", "traffic-pass"):
            c.bad(op, "NOT_FOUND")
        c.bad("traffic-start", "SYNTAX", filter="tcp prt")
        c.bad("traffic-start", "INVALID", mode="x")
        answer = c.good("traffic-start", mode="intercept", intercept=f"tcp port {web.port}")
        check(not answer["was_running"] and c.good("traffic-start")["was_running"], answer)
        status = c.good("traffic-status")
        check_schema("traffic", {k: v for k, v in status.items() if k not in ("id", "ok")})
        c.good("traffic-events")
        number = lab.start(GET_PAGE, address=HOST4, port=web.port)
        item = c.wait_kind("held")["item"]
        check([i["id"] for i in c.good("traffic-held")["items"]] == [item], "held")
        check_schema("flows", c.good("traffic-flows", all=True)["flows"])
        held = c.good("traffic-item", item=item)["item"]
        check_schema("item", held)
        check(bytes.fromhex(held["bytes"]) == REQUEST, held)
        c.bad("traffic-edit", "SYNTAX", item=item, bytes="0g")
        c.bad("traffic-edit", "TOO_BIG", item=item, bytes="00" * 65537)
        c.bad("traffic-edit", "NOT_FOUND", item=item + 1000, bytes="00")
        big = REQUEST.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 60000 + b"\r\n\r\n")
        c.good("traffic-edit", item=item, bytes=big.hex())
        check(c.good("traffic-item")["item"]["is_edited"], "edited")
        c.good("traffic-pass", item=item, by="test")
        check(c.wait_kind("done")["text"] == "edited by test", "done")
        c.bad("traffic-drop", "NOT_FOUND", item=item)
        flow = held["flow"]
        c.wait_kind("held")
        c.good("traffic-flow-mode", flow=flow, mode="released")
        good(lab.finish(number), 1)
        c.forget()
        check(seen.pop() == big, "what the server got")
        c.bad("traffic-inject", "NOT_FOUND", flow=flow, bytes="00")
        c.bad("traffic-flow-mode", "INVALID", flow=flow, mode="x")
        # Reset: the program hears it.
        number = lab.start(GET_PAGE, address=HOST4, port=web.port)
        c.wait_kind("held")
        c.good("traffic-reset")
        check(lab.finish(number).failed == 1, "a reset connection")
        c.forget()
        # Injected before the request, which is dropped.
        number = lab.start(GET_PAGE, address=HOST4, port=web.port)
        flow = c.wait_kind("held")["flow"]
        own = b"GET /own HTTP/1.0\r\n\r\n"
        c.good("traffic-drop", flow=flow)
        c.good("traffic-inject", flow=flow, bytes=own.hex())
        c.good("traffic-mode", mode="capture")
        good(lab.finish(number), 1)
        check(seen.pop() == own, "what was injected")
        c.bad("traffic-filter", "SYNTAX", filter="tcp prt")
        check(not c.good("traffic-filter", filter="udp")["is_pending"], "the driver took it")
        check(c.good("traffic-status")["filter"] == "udp", "the filter is kept")
        check(c.good("traffic-status")["intercept"] == f"tcp port {web.port}", "the other one too")
        c.good("traffic-stop")
        c.bad("traffic-status", "NOT_FOUND")


def test_streams(lab):
    """Descriptors over the socket: pipes only, this client's only, ended when it goes"""
    with Session(KD, lab) as s, TcpServer(http()) as web:
        with Client(s.socket) as c:
            c.good("traffic-start")
            c.bad("traffic-stream", "INVALID")
            with open(s.path / "file", "wb") as f:
                c.bad("traffic-stream", "INVALID", fds=[f.fileno()])
            reader, writer = os.pipe()
            stream = c.good("traffic-stream", fds=[writer])["stream"]
            os.close(writer)
            with Client(s.socket) as other:
                other.bad("traffic-unstream", "NOT_FOUND", stream=stream)
            reader2, writer2 = os.pipe()
            c.good("traffic-stream", fds=[writer2])
            os.close(writer2)
            good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)
            c.good("traffic-unstream", stream=stream)
            first = read_all(reader)
        second = read_all(reader2)  # the client is gone
        for i, data in enumerate((first, second)):
            path = s.path / f"stream-{i}.pcapng"
            path.write_bytes(data)
            check_http(path, web.port)
        wait_for("traffic to end", lambda: not asked(s, "traffic-status")["ok"])
        check(s.kd.poll() is None, s.says())


def read_all(fd):
    data = b""
    while select.select([fd], [], [], 10)[0] and (piece := os.read(fd, 65536)):
        data += piece
    os.close(fd)
    return data


def test_shared(lab):
    """Two clients: traffic stays for the second; the console's own stays without any"""
    with Session(KD, lab) as s:
        check(asked(s, "run", command="!traffic start intercept")["ok"], "the console's")
        with Client(s.socket) as c:
            c.good("traffic-start")
            c.good("traffic-mode", mode="intercept")
        with Client(s.socket) as c:
            check(c.good("traffic-status")["mode"] == "intercept", "the console's holding ended with a client")
        check(asked(s, "run", command="!traffic stop")["ok"], "its end")
        one, two = Client(s.socket), Client(s.socket)
        one.good("traffic-start", mode="intercept")
        two.good("traffic-start")
        one.socket.close()
        wait_for("nothing to be held for who is gone",
                 lambda: two.good("traffic-status")["mode"] == "capture")
        two.socket.close()
        wait_for("traffic to end", lambda: not asked(s, "traffic-status")["ok"])
        check(asked(s, "run", command="!traffic start")["ok"], "the console's")
        with Client(s.socket) as c:
            check(c.good("traffic-start")["was_running"], "it runs")
        check(asked(s, "traffic-status")["ok"], "the console's traffic ended with a client")


def test_stopped(lab):
    """While the target is stopped: everything is answered, and takes effect when it runs"""
    seen = []
    with Session(KD, lab) as s, TcpServer(http(seen=seen)) as web, Client(s.socket) as c:
        c.good("traffic-start", mode="intercept", intercept=f"tcp port {web.port}")
        c.good("traffic-events")
        c.good("subscribe")
        number = lab.start(GET_PAGE, address=HOST4, port=web.port)
        item = c.wait_kind("held")["item"]
        c.good("break")
        wait_for("the stop", lambda: c.ask("status")["state"] == "stopped")
        held = c.good("traffic-item", item=item)["item"]
        c.good("traffic-edit", item=item, bytes=held["bytes"].replace(b"demo".hex(), b"stop".hex()))
        c.good("traffic-pass", item=item)
        check(len(c.good("traffic-flows")["flows"]) == 1, "flows")
        c.good("traffic-mode", mode="capture")
        begin = time.monotonic()
        check(c.good("traffic-filter", filter="udp")["is_pending"], "the driver stands still")
        check(time.monotonic() - begin < 2, "the session waits for a driver that stands still")
        c.good("run", command="g")
        good(lab.finish(number), 1)
        check(seen == [REQUEST.replace(b"demo", b"stop")], seen)
        shown = c.good("traffic-status")["shown"]
        good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)
        check(c.good("traffic-status")["shown"] == shown, "the filter was not taken")
        # One that attaches to a stopped target has its traffic when it runs.
        c.good("break")
        wait_for("the stop", lambda: c.ask("status")["state"] == "stopped")
        c.good("traffic-stop")
        c.good("traffic-start")
        check(c.ask("status")["state"] == "stopped", "it was let run")
        c.good("run", command="g")


# --- kd's own ---

def test_files(lab):
    """!traffic stream: files in rotation, each clean by itself; a FIFO; !traffic save"""
    size = 3_000_000
    got = Received()
    with Session(KD, lab) as s, TcpServer(got.take) as sink, Client(s.socket) as c:
        def run(text, is_fine=True):
            result = c.ask("run", command=text)["results"][-1]
            check(result["ok"] == is_fine, f"{text}: {result}")
            return result

        fifo = s.path / "fifo"
        os.mkfifo(fifo)
        reader = subprocess.Popen(["tshark", "-i", str(fifo), "-w", str(s.path / "fifo.pcapng")],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=s.environment)
        run("!traffic start")
        run(f"!traffic stream {s.path}/r.pcapng 1 2")
        run(f"!traffic stream {fifo}")
        (s.path / "link").symlink_to(s.path)
        for place in (s.path / "r.pcapng", s.path / "link/r.pcapng", fifo):
            error = run(f"!traffic stream {place}", is_fine=False)["error"]["text"]
            check("already" in error, error)
        good(lab.do(SEND_BULK, address=HOST4, port=sink.port, size=size), 1)
        run(f"!traffic save {s.path}/saved.pcapng")
        run("!traffic stop")
        reader.wait(20)
        names = sorted(p.name for p in s.path.glob("r*.pcapng"))
        check(names == ["r-3.pcapng", "r-4.pcapng"], names)
        whole = pattern(size)
        for name in ("fifo.pcapng", "saved.pcapng"):
            check_clean(s.path / name)
            check(tcp_bytes(s.path / name, sink.port) == whole, f"{name}: the bytes")
        for name in names:
            check(not tshark(s.path / name, "-Y", "_ws.malformed || tcp.checksum.status == 0"), name)
        tail = b"".join(tcp_bytes(s.path / name, sink.port) for name in names)
        check(len(tail) > 900_000 and whole.endswith(tail), f"{len(tail)} bytes in the kept files")


def tcp_bytes(path, port):
    return b"".join(bytes.fromhex(data) for (data,) in
                    fields(path, f"tcp.dstport == {port} && tcp.len > 0", "tcp.payload"))


def test_wireshark_command(lab):
    """!wireshark: on a FIFO of ours alone with a display, advice without; FILE"""
    with tempfile.TemporaryDirectory() as folder:
        fake = pathlib.Path(folder, "wireshark")
        fake.write_text("#!/bin/sh\n[ \"$1 $2\" = \"-k -i\" ] || { cp \"$2\" \"$0.file\"; exit; }\n"
                        "stat -c %a \"$3\" >\"$0.mode\"; sleep 0.5; exec cat \"$3\" >\"$0.live\"\n")
        fake.chmod(0o755)
        with Session(KD, lab) as s, TcpServer(http()) as web, Client(s.socket) as c:
            text = c.good("run", command="!wireshark")["results"][0]["text"]
            check("no display" in text and "tshark -i openkd-vm" in text and "--fifo -" in text, text)
            check(not c.ask("traffic-status")["ok"], "traffic began")
        with Session(KD, lab, DISPLAY=":99", PATH=f"{folder}:{os.environ['PATH']}") as s, \
                TcpServer(http()) as web, Client(s.socket) as c:
            c.good("run", command="!wireshark")
            good(lab.do(GET_PAGE, address=HOST4, port=web.port), 1)
            wait_for("Wireshark to read", lambda: os.path.exists(f"{fake}.live"))
            c.good("run", command=f"!wireshark {s.path}/last.pcapng")
            wait_for("the file", lambda: os.path.exists(f"{fake}.file"))
            c.good("run", command="!traffic stop")
            check(pathlib.Path(f"{fake}.mode").read_text() == "600\n", "the FIFO's mode")
            wait_for("the FIFO to go", lambda: not list(s.path.glob("runtime/openkd/*.fifo")))
            for name in ("live", "file"):
                check_http(f"{fake}.{name}", web.port)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), IMAGES, sys.argv[4:]))
