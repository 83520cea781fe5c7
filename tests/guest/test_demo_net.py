#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo guest's network against real peers on this host: HTTP, bulk, datagrams, IPv4 and IPv6.

usage: test_demo_net.py FOLDER [CASE...]     FOLDER: where the images and PDBs are
Each case is a function case_*; one machine serves them all. Output is TAP.
"""
import functools
import hashlib
import http.server
import os
import pathlib
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
import urllib.request

from guest_machine import LAYOUT
from net_machine import (ASK_NAMES, GET_AT_ONCE, GET_PAGE, HOST4, HOST6, RECEIVE_BULK, RESET_BULK,
                         SEND_BULK, SERVE_BULK, SERVE_LINES, SERVE_NAMES, SERVE_PAGES, TALK_LINES,
                         NetMachine, Received, TcpServer, hash_of, pattern, pattern_hash, send_pattern)

BULK, LESS = 50_000_000, 10_000_000
STATUS_REFUSED, STATUS_RESET = 0xC0000236, 0xC000020D
KILL, KILL_BULK = 19, 2
SMOKE = {"case_bulk_to_and_from_host", "case_http_hundred_at_once", "case_loopback", "case_half_close_and_reset",
         "case_datagrams"}  # of x86


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, want, what):
    check(got == want, f"{what}: {got!r}, expected {want!r}")


def good(job, done):
    check(job.status == 0 and job.failed == 0 and job.done == done, f"{job}, expected {done} done")
    return job


class WebServer:
    """python's own HTTP server over a folder with one page."""

    def __init__(self, page):
        self.folder = tempfile.TemporaryDirectory()
        pathlib.Path(self.folder.name, "index.html").write_bytes(page)

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), functools.partial(Quiet, directory=self.folder.name))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()


def case_http_from_host(m):
    page = os.urandom(100_000)
    with WebServer(page) as web:
        job = good(m.do(GET_PAGE, address=HOST4, port=web.port, count=3), 3)
        check(job.received > 3 * len(page), f"{job.received} bytes of three pages")


def case_http_hundred_at_once(m):
    page = pattern(20_000)
    with WebServer(page) as web:
        job = good(m.do(GET_AT_ONCE, address=HOST4, port=web.port, connections=100), 100)
        check(job.received > 100 * len(page), f"{job.received} bytes of a hundred pages")


def case_http_server_of_the_guest(m):
    server = m.serve(SERVE_PAGES, address="0.0.0.0", port=8080, size=100_000)
    for _ in range(3):
        with urllib.request.urlopen(f"http://127.0.0.1:{m.web_port}/x", timeout=10) as answer:
            equal(hashlib.sha256(answer.read()).digest(),
                  hashlib.sha256(pattern(100_000)).digest(), "the page")
    equal(m.stop_job(server).done, 3, "pages served")


def bulk_both_ways(m, address, host, size):
    got = Received()
    with TcpServer(got.take, host) as server:
        job = good(m.do(SEND_BULK, address=address, port=server.port, size=size), 1)
    check(got.good and got.end == "closed", f"what the host got: {got.length} bytes, {got.end}")
    equal((got.length, job.sent, job.sent_hash), (size, size, pattern_hash(size)), "sent")
    with TcpServer(lambda c: send_pattern(c, size), host) as server:
        job = good(m.do(RECEIVE_BULK, address=address, port=server.port), 1)
    equal((job.received, job.received_hash), (size, pattern_hash(size)), "received")


def case_bulk_to_and_from_host(m):
    bulk_both_ways(m, HOST4, "127.0.0.1", BULK)


def case_bulk_ipv6(m):
    bulk_both_ways(m, HOST6, "::1", LESS)


def case_loopback(m):
    for address, everywhere in (("127.0.0.1", "0.0.0.0"), ("::1", "::")):
        server = m.serve(SERVE_BULK, address=everywhere, port=9000, size=100_000)
        job = good(m.do(SEND_BULK, address=address, port=9000, size=LESS), 1)
        equal((job.received, job.received_hash), (100_000, pattern_hash(100_000)), "the answer")
        job = good(m.finish(server), 1)
        equal((job.received, job.received_hash), (LESS, pattern_hash(LESS)), "what the server got")
        server = m.serve(SERVE_LINES, address=everywhere, port=9001)
        good(m.do(TALK_LINES, address=address, port=9001, connections=20, count=50), 1000)
        equal(m.stop_job(server).done, 1000, "lines answered")
    server = m.serve(SERVE_PAGES, address="0.0.0.0", port=9002, size=30_000)
    job = good(m.do(GET_AT_ONCE, address="127.0.0.1", port=9002, connections=100, count=3), 300)
    check(job.received > 300 * 30_000, f"{job.received} bytes of 300 pages")
    equal(m.stop_job(server).done, 300, "pages served")


def case_half_close_and_reset(m):
    heard = {}

    def upper(connection):
        """Answers when the other side is through, and not before."""
        data = b""
        while piece := connection.recv(65536):
            data += piece
        heard["length"] = len(data)
        connection.sendall(data.upper())

    with TcpServer(upper) as server:
        job = good(m.do(SEND_BULK, address=HOST4, port=server.port, size=300_000), 1)
    equal(heard["length"], 300_000, "before the half-close")
    equal((job.received, job.received_hash), (300_000, hash_of(pattern(300_000).upper())), "after it")

    # From the guest: loopback shows it, QEMU's user network turns a reset into a plain end.
    server = m.serve(SERVE_BULK, address="0.0.0.0", port=9003)
    good(m.do(RESET_BULK, address="127.0.0.1", port=9003, size=100_000), 1)
    equal(m.finish(server).status & 0xFFFFFFFF, STATUS_RESET, "reset, as the server sees it")

    def reset(connection):
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with TcpServer(reset) as server:
        job = m.do(SEND_BULK, address=HOST4, port=server.port, size=10_000_000)
    equal((job.failed, job.status & 0xFFFFFFFF), (1, STATUS_RESET), "reset by the host")


def case_refused(m):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        job = m.do(GET_PAGE, address=HOST4, port=closed.getsockname()[1])
    equal((job.failed, job.status & 0xFFFFFFFF), (1, STATUS_REFUSED), "nobody at the host's port")
    job = m.do(GET_PAGE, address="::1", port=9)
    equal((job.failed, job.status & 0xFFFFFFFF), (1, STATUS_REFUSED), "nobody on loopback")


def answer_names(sock):
    """A name server that knows hostN.demo: N is in the last two bytes of the address."""
    while True:
        try:
            question, who = sock.recvfrom(512)
        except OSError:
            return
        number = int(question[13:13 + question[12]].decode().removeprefix("host"))
        answer = question[:2] + b"\x81\x80\0\1\0\1" + question[8:] + \
            b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1" + struct.pack(">H", number)
        sock.sendto(answer, who)


def case_datagrams(m):
    for family, host, address in ((socket.AF_INET, "127.0.0.1", HOST4), (socket.AF_INET6, "::1", HOST6)):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            threading.Thread(target=answer_names, args=(sock,), daemon=True).start()
            good(m.do(ASK_NAMES, address=address, port=sock.getsockname()[1], count=200), 200)
    for address, everywhere in (("127.0.0.1", "0.0.0.0"), ("::1", "::")):
        server = m.serve(SERVE_NAMES, address=everywhere, port=53)
        good(m.do(ASK_NAMES, address=address, port=53, count=200), 200)
        equal(m.stop_job(server).done, 200, "questions answered")


def sockets_open(m):
    with m.held():
        return m.u32(m.modules["tcpip"]["NetSocketCount"])


def case_killed_program(m):
    """What a program leaves behind when it is ended is closed: its peer hears it, nothing leaks."""
    before = sockets_open(m)
    got = Received()

    def slow(connection):
        time.sleep(0.3)
        got.take(connection)

    with TcpServer(slow) as server:
        m.start(SEND_BULK, address=HOST4, port=server.port, size=1 << 40)
        deadline = time.monotonic() + 10
        while not got.length and time.monotonic() < deadline:
            time.sleep(0.02)
        m.stub.stop()
        equal(m.command(KILL, KILL_BULK), 0, "ended")
        m.stub.go()
        while got.end is None and time.monotonic() < deadline:
            time.sleep(0.02)
    check(got.end and got.good, f"the host got {got.length} bytes, end {got.end}")
    deadline = time.monotonic() + 10
    while sockets_open(m) > before and time.monotonic() < deadline:
        time.sleep(0.1)
    equal(sockets_open(m), before, "sockets")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_cases(arguments, cases, smoke, make_machine, image):
    """All cases on one machine, as TAP; those of `smoke` on x86. `image` must have been built."""
    folder, *named = arguments[1:]
    images = os.path.join(folder, "x86") if LAYOUT.is_x86 else folder
    if not shutil.which("qemu-system-x86_64") or not shutil.which("llvm-pdbutil"):
        print("1..0 # SKIP needs qemu-system-x86_64 and llvm-pdbutil")
        return 0
    if not os.path.exists(os.path.join(images, image)):
        print(f"1..0 # SKIP no {image}: lwIP's sources were not there (scripts/fetch-lwip)")
        return 0
    names = named or sorted(n for n in cases if not LAYOUT.is_x86 or n in smoke)
    failed = 0
    print(f"1..{len(names)}")
    with make_machine(folder) as m:
        m.boot()
        for number, name in enumerate(names, 1):
            try:
                cases[name](m)
                print(f"ok {number} - {name}", flush=True)
            except Exception as error:  # report and go on with the next case
                failed += 1
                text = str(error).replace("\n", "\n# ")
                print(f"not ok {number} - {name}\n# {type(error).__name__}: {text}", flush=True)
    return 1 if failed else 0


def with_web_port(folder):
    port = free_port()
    m = NetMachine(folder, smp=2, forward={port: 8080})
    m.web_port = port
    return m


def main():
    cases = {name: case for name, case in globals().items() if name.startswith("case_")}
    return run_cases(sys.argv, cases, SMOKE, with_web_port, "tcpip.sys")


if __name__ == "__main__":
    sys.exit(main())
