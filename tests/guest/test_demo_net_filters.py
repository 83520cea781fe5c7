#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo guest's stack and filter engine together: streamtap.sys does what Windows lets a callout do.

usage: test_demo_net_filters.py FOLDER [CASE...]     FOLDER: where the images and PDBs are
"""
import socket
import struct
import sys
import threading
import time

from guest_machine import TAP
from net_machine import (ASK_NAMES, GET_AT_ONCE, HOST4, HOST6, RECEIVE_BULK, RESET_BULK, SEND_BULK,
                         SERVE_BULK, SERVE_LINES, SERVE_NAMES, SERVE_PAGES, TALK_LINES, NetMachine, Received,
                         TcpServer, pattern_hash, send_pattern)
from test_demo_net import (KILL, KILL_BULK, STATUS_RESET, answer_names, check, equal, good, run_cases,
                           sockets_open)

LOOK, RELAY, PIECES, DEFER, DROP, BLOCK, KEEP = range(7)  # streamtap!StreamtapMode
SIZE, ANSWER = 3_000_000, 100_000
STATUS_ABORTED, STATUS_TIMEOUT, STATUS_NONE = 0xC0000241, 0x102, 0xC0000034
REQUEST_MAX = 65536  # what the programs send at once, at most: BUFFER_SIZE of net_program.h
SMOKE = {"case_relayed", "case_deferred", "case_kept"}  # of x86


class Tap:
    """What streamtap.sys counts, while it is in one mode."""
    PAIRS = ("StreamtapEnds", "StreamtapAborts", "StreamtapDatagrams")
    SINGLE = ("StreamtapInjected", "StreamtapFailed", "StreamtapContinued")

    def __init__(self, m, mode):
        self.m = m
        with m.held():
            tap = m.modules["streamtap"]
            for name in (*self.PAIRS, "StreamtapBytes"):
                m.stub.write(tap[name], bytes(8 if name in self.PAIRS else 16))
            for name in self.SINGLE:
                m.stub.write(tap[name], bytes(4))
            m.stub.write(tap["StreamtapMode"], struct.pack("<I", mode))

    def read(self):
        """bytes, ends, aborts, datagrams as (in, out); injected, failed, continued"""
        m, tap = self.m, self.m.modules["streamtap"]
        with m.held():
            self.bytes = m.u64(tap["StreamtapBytes"]), m.u64(tap["StreamtapBytes"] + 8)
            self.ends, self.aborts, self.datagrams = (
                (m.u32(tap[name]), m.u32(tap[name] + 4)) for name in self.PAIRS)
            self.injected, self.failed, self.continued = (m.u32(tap[name]) for name in self.SINGLE)
        return self


def flows_are_gone(m):
    with m.held():
        tcpip = m.modules["tcpip"]
        made, gone = m.u32(tcpip["NetFlowsMade"]), m.u32(tcpip["NetFlowsGone"])
        violations = m.u32(m.modules["fwpkclnt"]["WfpViolations"])
    equal(gone, made, "flows that are gone, of those made")
    equal(violations, 0, "what breaks the platform's contract")


def exchanges(m, address, local, host):
    """To the host, from the host, and over loopback, where both ends are flows."""
    got = Received()
    with TcpServer(got.take, host) as server:
        good(m.do(SEND_BULK, address=address, port=server.port, size=SIZE), 1)
    check(got.good and got.end == "closed", f"what the host got: {got.length} bytes, {got.end}")
    equal(got.length, SIZE, "what the host got")
    with TcpServer(lambda c: send_pattern(c, SIZE), host) as server:
        job = good(m.do(RECEIVE_BULK, address=address, port=server.port), 1)
    equal((job.received, job.received_hash), (SIZE, pattern_hash(SIZE)), "received")
    server = m.serve(SERVE_BULK, address="::" if ":" in local else "0.0.0.0", port=9000, size=ANSWER)
    job = good(m.do(SEND_BULK, address=local, port=9000, size=SIZE), 1)
    equal((job.received, job.received_hash), (ANSWER, pattern_hash(ANSWER)), "the answer")
    job = good(m.finish(server), 1)
    equal((job.received, job.received_hash), (SIZE, pattern_hash(SIZE)), "what the server got")


def everything(m, mode, address=HOST4, local="127.0.0.1", host="127.0.0.1"):
    tap = Tap(m, mode)
    exchanges(m, address, local, host)
    tap.read()
    equal(tap.bytes, (2 * SIZE + ANSWER, 2 * SIZE + ANSWER), "bytes shown, in and out")
    equal(tap.ends, (4, 4), "ends shown, in and out")
    equal((tap.aborts, tap.failed), ((0, 0), 0), "aborts, failed injections")
    flows_are_gone(m)
    return tap


def case_looked_at(m):
    equal(everything(m, LOOK).injected, 0, "injections")
    everything(m, LOOK, HOST6, "::1", "::1")


def case_relayed(m):
    """Absorbed, both directions and their ends, and injected by a thread."""
    check(everything(m, RELAY).injected > 50, "injections")
    everything(m, RELAY, HOST6, "::1", "::1")


def case_relayed_many(m):
    tap = Tap(m, RELAY)
    server = m.serve(SERVE_PAGES, address="0.0.0.0", port=9002, size=30_000)
    job = good(m.do(GET_AT_ONCE, address="127.0.0.1", port=9002, connections=100), 100)
    check(job.received > 100 * 30_000, f"{job.received} bytes of 100 pages")
    m.stop_job(server)
    server = m.serve(SERVE_LINES, address="0.0.0.0", port=9001)
    good(m.do(TALK_LINES, address="127.0.0.1", port=9001, connections=20, count=20), 400)
    m.stop_job(server)
    equal(tap.read().failed, 0, "failed injections")
    flows_are_gone(m)


def case_in_pieces(m):
    everything(m, PIECES)


def case_deferred(m):
    tap = everything(m, DEFER)
    check(tap.continued > 10, f"continued {tap.continued} times")


def case_dropped(m):
    Tap(m, DROP)
    got = Received()
    with TcpServer(got.take) as server:
        job = m.do(SEND_BULK, address=HOST4, port=server.port, size=SIZE)
    equal((job.failed, job.status & 0xFFFFFFFF), (1, STATUS_ABORTED), "sent into a dropped connection")
    check(job.sent < SIZE and got.length < SIZE, f"{job.sent} sent, {got.length} arrived")
    flows_are_gone(m)


def case_reset_is_shown(m):
    tap = Tap(m, LOOK)
    server = m.serve(SERVE_BULK, address="0.0.0.0", port=9003)
    good(m.do(RESET_BULK, address="127.0.0.1", port=9003, size=100_000), 1)
    equal(m.finish(server).status & 0xFFFFFFFF, STATUS_RESET, "reset, as the server sees it")
    equal(tap.read().aborts, (1, 1), "aborts shown, in and out")
    flows_are_gone(m)


def case_datagrams(m):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        threading.Thread(target=answer_names, args=(sock,), daemon=True).start()
        port = sock.getsockname()[1]
        tap = Tap(m, LOOK)
        good(m.do(ASK_NAMES, address=HOST4, port=port, count=50), 50)
        equal(tap.read().datagrams, (50, 50), "datagrams shown, in and out")
        tap = Tap(m, RELAY)
        good(m.do(ASK_NAMES, address=HOST4, port=port, count=50), 50)
        tap.read()
        equal((tap.datagrams, tap.injected, tap.failed), ((50, 50), 100, 0), "datagrams relayed")
        tap = Tap(m, BLOCK)
        job = m.do(ASK_NAMES, address=HOST4, port=port, count=1)
        equal((job.failed, job.status), (1, STATUS_TIMEOUT), "a question that is blocked")
        equal(tap.read().datagrams, (0, 3), "and tried three times")
    for address, everywhere in (("127.0.0.1", "0.0.0.0"), ("::1", "::")):
        tap = Tap(m, RELAY)
        server = m.serve(SERVE_NAMES, address=everywhere, port=53)
        good(m.do(ASK_NAMES, address=address, port=53, count=50), 50)
        equal(m.stop_job(server).done, 50, "questions answered")
        tap.read()
        equal((tap.datagrams, tap.injected, tap.failed), ((100, 100), 200, 0), "relayed on loopback")
    flows_are_gone(m)


def pause(m, paused):
    with m.held():
        m.stub.write(m.modules["streamtap"]["StreamtapPaused"], struct.pack("<I", paused))


def bytes_shown_out(m):
    with m.held():
        return m.u64(m.modules["streamtap"]["StreamtapBytes"] + 8)


def case_kept(m):
    """While somebody has clones of what a program sends, its request is not done: it sends no more."""
    tap = Tap(m, KEEP)
    exchanges(m, HOST4, "127.0.0.1", "127.0.0.1")
    equal(tap.read().failed, 0, "failed injections")
    for address, host in ((HOST4, "127.0.0.1"), (HOST6, "::1")):
        tap, got = Tap(m, KEEP), Received()
        pause(m, 1)
        with TcpServer(got.take, host) as server:
            job = m.start(SEND_BULK, address=address, port=server.port, size=SIZE)
            time.sleep(0.5)
            shown = bytes_shown_out(m)
            check(0 < shown <= REQUEST_MAX, f"{shown} bytes sent by who has to wait")
            equal(got.length, 0, "arrived meanwhile")
            pause(m, 0)
            good(m.finish(job), 1)
        equal((got.length, got.good), (SIZE, True), "what the host got")
    flows_are_gone(m)


def case_kept_and_killed(m):
    """A program that ends, and a reset, do not wait for who keeps its buffers."""
    tap, before = Tap(m, KEEP), sockets_open(m)
    pause(m, 1)
    with TcpServer(Received().take) as server:
        m.start(SEND_BULK, address=HOST4, port=server.port, size=SIZE)
        deadline = time.monotonic() + 10
        while not bytes_shown_out(m) and time.monotonic() < deadline:
            time.sleep(0.02)
        with m.held():
            equal(m.command(KILL, KILL_BULK), 0, "ended")
    # its FIN is the filter's, which is paused: the socket waits for that, the program does not
    time.sleep(0.2)
    with m.held():
        equal(m.command(KILL, KILL_BULK), STATUS_NONE, "what to end is gone")
    pause(m, 0)
    deadline = time.monotonic() + 10
    while sockets_open(m) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(sockets_open(m), before, "sockets")
    server = m.serve(SERVE_BULK, address="0.0.0.0", port=9003)
    good(m.do(RESET_BULK, address="127.0.0.1", port=9003, size=100_000), 1)
    equal(m.finish(server).status & 0xFFFFFFFF, STATUS_RESET, "reset, as the server sees it")
    flows_are_gone(m)


def case_without_callouts_again(m):
    """The same machine goes back to its plain way, and nothing is left from before."""
    everything(m, LOOK)
    with m.held():
        equal(m.u32(m.modules["tcpip"]["NetSocketCount"]), 0, "sockets")


def main():
    cases = {name: case for name, case in globals().items() if name.startswith("case_")}
    return run_cases(sys.argv, cases, SMOKE, lambda folder: NetMachine(folder, smp=2, more=TAP),
                     "streamtap.sys")


if __name__ == "__main__":
    sys.exit(main())
