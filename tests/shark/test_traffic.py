#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""netprobe.sys in the demo guest against real peers: seen, held, changed, put back, and nothing lost.

usage: test_traffic.py AGENT RUN-DEMO IMAGES [CASE...]
Each case is a function case_*; one machine serves them all. Output is TAP. KD_DEMO_ARCH=x86 runs a part.
KD_TRAFFIC_LONG=1 is `./test --long traffic`: a gigabyte each through capture and intercept.
"""
import os
import shutil
import socket
import sys
import tempfile
import threading
import time

from traffic_machine import ARCH, KILL, LOAD_NETPROBE, AgentError, Qmp, TrafficMachine

import test_demo_net
from net_machine import (ASK_NAMES, GET_AT_ONCE, HOST4, HOST6, RECEIVE_BULK, RESET_BULK, SEND_BULK, SERVE_BULK,
                         SERVE_LINES, SERVE_NAMES, SERVE_PAGES, TALK_LINES, Received, TcpServer, hash_of,
                         pattern, pattern_hash, send_pattern)
from test_demo_net import STATUS_RESET, WebServer, answer_names, check, equal, good

LONG = bool(os.environ.get("KD_TRAFFIC_LONG"))
SIZE = 3_000_000
EDITED = 1_000_000  # hashed byte by byte in Python
GIGABYTE = 1_000_000_000
KILL_BULK = 2
SILENCE = 2.0  # seconds: the driver lets all go after so long without a debugger
SMOKE = {"case_capture", "case_intercept", "case_edit", "case_datagrams", "case_killed_debugger", "case_unload"}
BOTH = ((HOST4, "127.0.0.1"), (HOST6, "::1"))


class Bytes:
    """What a bulk server got, kept."""

    def __init__(self):
        self.data, self.end = bytearray(), None

    def take(self, connection):
        try:
            while piece := connection.recv(1 << 20):
                self.data += piece
            self.end = "closed"
        except ConnectionResetError:
            self.end = "reset"


def wait_for(what, condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come")
        time.sleep(0.02)
    return value


class Watch:
    """What the counters did since; nothing goes by itself, nothing is refused, no contract is broken."""

    def __init__(self, m):
        self.m, self.before = m, m.counters()

    def counted(self):
        now = self.m.counters()
        return {k: v - self.before[k] for k, v in now.items() if type(v) is int}

    def clean(self):
        # the driver publishes its counters every 50 ms
        wait_for("published counters", lambda: self.m.counters()["held_now"] == 0)
        c = self.counted()
        for name in ("auto", "lost", "refused", "inject_errors", "late"):
            equal(c[name], 0, name)
        return c


def start(m, mode, hook="none", filter_text="", intercept=""):
    """The traffic object, in this state whatever the case before left."""
    if not getattr(m.agent, "has_traffic", False):
        m.ask(f"start {mode}")
        m.agent.has_traffic = True
    m.ask(f"mode {mode}")
    m.ask(f"filter {filter_text}")
    m.ask(f"intercept {intercept}")
    m.ask(f"hook {hook}")
    return Watch(m)


def flow_of(m, port, seconds=5, **what):
    """The flow with this remote port, once it is closed (is_open=False) or open."""
    def find():
        found = [f for f in m.flows() if f["remote_port"] == port and all(f[k] == v for k, v in what.items())]
        return found[-1:]
    return wait_for(f"a flow to {port} with {what}", find, seconds)[0]


# --- seen


def both_ways(m, address, host, size=SIZE, seconds=40):
    """Bulk to the host and from it; the flows' ports, and the jobs."""
    got = Received()
    with TcpServer(got.take, host) as server:
        sent = good(m.do(SEND_BULK, seconds, address=address, port=server.port, size=size), 1)
        wait_for("the host's end", lambda: got.end)
    equal((got.length, got.good, got.end), (size, True, "closed"), "what the host got")
    with TcpServer(lambda c: send_pattern(c, size), host) as other:
        job = good(m.do(RECEIVE_BULK, seconds, address=address, port=other.port), 1)
    equal((job.received, job.received_hash), (size, pattern_hash(size)), "received")
    return (server.port, sent), (other.port, job)


def seen(m, direction, port, job, size):
    flow = flow_of(m, port, is_open=False)
    equal((flow["process"], flow["pid"], flow["protocol"]), ("bulk.exe", job.pid, 6), "whose flow it is")
    equal(flow[direction], size, f"bytes {direction} that were shown")


def case_capture(m):
    w = start(m, "capture")
    for address, host in BOTH:
        out, back = both_ways(m, address, host)
        c = w.counted()
        equal(c["lost"], 0, "lost")
        seen(m, "out", *out, SIZE)
        seen(m, "in", *back, SIZE)
        equal({f["family"] for f in m.flows() if f["remote_port"] == out[0]}, {6 if ":" in address else 4}, "family")
    wait_for("all counted", lambda: w.counted()["bytes"] >= 4 * SIZE)
    c = w.clean()
    equal((c["held"], c["bytes"], c["items"]), (0, 4 * SIZE, c["shown"]), "held, bytes, items as shown")


# --- held and let go


def case_intercept(m):
    w = start(m, "intercept", "pass")
    for address, host in BOTH:
        out, back = both_ways(m, address, host)
        seen(m, "out", *out, SIZE)
        seen(m, "in", *back, SIZE)
    wait_for("all counted", lambda: w.counted()["bytes"] >= 4 * SIZE)
    c = w.clean()
    equal((c["bytes"], c["held"]), (4 * SIZE, c["passed"]), "bytes; passed of those held")


def sum_of(m, inbound, size=None):
    """What the hook made of a direction, of one flow."""
    found = [s for s in m.ask("sums")["sums"] if s["inbound"] == inbound and s["size"]]
    check(len(found) == 1, f"one flow's bytes: {found}")
    return found[0]["size"], found[0]["hash"]


def case_edit(m):
    """Payloads grow, shrink and change on the way; the hash is what the edits make it."""
    for n, (address, host) in enumerate(BOTH):
        w = start(m, "intercept", f"edit {n + 1}")
        got = Bytes()
        with TcpServer(got.take, host) as server:
            good(m.do(SEND_BULK, address=address, port=server.port, size=EDITED), 1)
            wait_for("the host's end", lambda: got.end)
        equal((len(got.data), hash_of(got.data)), sum_of(m, False), "what the host got")
        m.ask(f"hook edit {n + 11}")
        with TcpServer(lambda c: send_pattern(c, EDITED), host) as server:
            job = good(m.do(RECEIVE_BULK, address=address, port=server.port), 1)
        equal((job.received, job.received_hash), sum_of(m, True), "what the guest got")
        check(m.counters()["edits"] > 0 and w.clean()["edited"] > 0, "edits")


def case_loopback(m):
    """Both ends are flows; each byte is shown once, where it is sent."""
    answer = 200_000
    for n, (address, everywhere) in enumerate((("127.0.0.1", "0.0.0.0"), ("::1", "::"))):
        w = start(m, "intercept", f"edit {n + 21}")
        server = m.serve(SERVE_BULK, address=everywhere, port=9000, size=answer)
        client = good(m.do(SEND_BULK, address=address, port=9000, size=EDITED), 1)
        served = good(m.finish(server), 1)
        sums = {s["port"] == 9000: (s["size"], s["hash"]) for s in m.ask("sums")["sums"] if s["size"]}
        equal((served.received, served.received_hash), sums[False], "what the server got")
        equal((client.received, client.received_hash), sums[True], "the answer")
        flows = [flow_of(m, 9000, is_open=False), [f for f in m.flows() if f["local_port"] == 9000][-1]]
        equal([f["is_loopback"] for f in flows], [True, True], "loopback")
        equal([(f["out"], f["in"]) for f in flows], [(EDITED, 0), (answer, 0)], "shown where sent")
        equal([f["pid"] for f in flows], [client.pid, served.pid], "whose they are")
        w.clean()


def case_many(m):
    w = start(m, "intercept", "pass")
    page = pattern(20_000)
    with WebServer(page) as web:
        job = good(m.do(GET_AT_ONCE, address=HOST4, port=web.port, connections=100), 100)
        check(job.received > 100 * len(page), f"{job.received} bytes of a hundred pages")
    server = m.serve(SERVE_PAGES, address="0.0.0.0", port=9002, size=30_000)
    good(m.do(GET_AT_ONCE, address="127.0.0.1", port=9002, connections=100), 100)
    m.stop_job(server)
    server = m.serve(SERVE_LINES, address="0.0.0.0", port=9001)
    good(m.do(TALK_LINES, address="127.0.0.1", port=9001, connections=20, count=20), 400)
    m.stop_job(server)
    c = w.clean()
    equal(c["held"], c["passed"], "passed of those held")
    wait_for("flows that are gone", lambda: m.counters()["flows_now"] == 0)


def case_ends(m):
    """A half-close, a reset by the guest, one by the host: each ends the flow and holds nothing up."""
    w = start(m, "intercept", "pass")
    test_demo_net.case_half_close_and_reset(m)
    wait_for("flows that are gone", lambda: m.counters()["flows_now"] == 0)
    equal(m.counters()["held_now"], 0, "held")
    equal(w.counted()["auto"], 0, "passed by themselves")


def case_datagrams(m):
    w = start(m, "intercept", "pass")
    for family, host, address in ((socket.AF_INET, "127.0.0.1", HOST4), (socket.AF_INET6, "::1", HOST6)):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            threading.Thread(target=answer_names, args=(sock,), daemon=True).start()
            good(m.do(ASK_NAMES, address=address, port=sock.getsockname()[1], count=50), 50)
    for address, everywhere in (("127.0.0.1", "0.0.0.0"), ("::1", "::")):
        server = m.serve(SERVE_NAMES, address=everywhere, port=53)
        good(m.do(ASK_NAMES, address=address, port=53, count=50), 50)
        equal(m.stop_job(server).done, 50, "questions answered")
    c = w.clean()
    check(c["held"] == c["passed"] >= 400, f"passed {c['passed']} of {c['held']} held")


def one_held(m, **what):
    return wait_for("a held item", lambda: [i for i in m.held() if all(i[k] == v for k, v in what.items())])[0]


def case_datagrams_edited(m):
    """A question and its answer are changed by hand: the checksums are right, or nobody would take them."""
    start(m, "intercept")
    for family, host, address in ((socket.AF_INET, "127.0.0.1", HOST4), (socket.AF_INET6, "::1", HOST6)):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            sock.settimeout(10)
            job = m.start(ASK_NAMES, address=address, port=sock.getsockname()[1], count=1)
            item = one_held(m, inbound=False)
            # 12 bytes of header, the name, then type and class: longer than it was
            m.ask(f"change {item['id']} " + (b"\x12\x34 a question by hand, " * 20).hex())
            m.ask(f"decide {item['id']} pass")
            question, who = sock.recvfrom(2048)
            equal(question, b"\x12\x34 a question by hand, " * 20, "the question")
            sock.sendto(b"nonsense", who)
            item = one_held(m, inbound=True)
            equal(item["size"], 8, "the answer")
            m.ask(f"decide {item['id']} drop")
            m.ask("hook pass")
            # it asks again; from now on by the book
            threading.Thread(target=answer_names, args=(sock,), daemon=True).start()
            good(m.finish(job), 1)
            m.ask("hook none")


# --- filters


def bulk_seen(m, filter_text, size=50_000):
    """The bytes that are shown of one bulk transfer to the host under this filter."""
    m.ask(f"filter {filter_text}")
    got = Received()
    before = m.counters()["shown_bytes"]
    with TcpServer(got.take) as server:
        job = good(m.do(SEND_BULK, address=HOST4, port=server.port, size=size), 1)
    time.sleep(0.12)  # the driver publishes every 50 ms
    return m.counters()["shown_bytes"] - before, job, server.port


def case_filters(m):
    size = 50_000
    start(m, "capture")
    for text, shown in (("tcp", size), ("udp", 0), ("host 10.0.2.2 and len > 1", size), ("ip6", 0),
                        ("[process=bulk.exe]", size), ("[process=BULK*] tcp", size), ("[process=web*]", 0),
                        ("[out]", size), ("[in]", 0), ("[loopback]", 0), ("[!loopback] ip", size),
                        ("[pid=4]", 0), ("[ignore process=bulk.exe]", 0), ("[local=1-1023]", 0),
                        ("[local=1024-65535]", size), ("[process=x.exe] [process=bulk.exe]", size)):
        equal(bulk_seen(m, text)[0], shown, f"bytes shown under {text!r}")
    got = Received()
    with TcpServer(got.take) as server:
        m.ask(f"filter tcp port {server.port}")
        before = m.counters()["shown_bytes"]
        good(m.do(SEND_BULK, address=HOST4, port=server.port, size=size), 1)
        time.sleep(0.12)
        equal(m.counters()["shown_bytes"] - before, size, "bytes shown by port")


def refused(m, command, words, where=None):
    try:
        m.ask(command)
    except AgentError as error:
        check(words in error.text, f"{command}: {error.text!r} without {words!r}")
        if where is not None:
            equal(error.where, where, f"{command}: column")
        return
    raise AssertionError(f"{command}: accepted")


def case_refusals(m):
    start(m, "intercept")
    refused(m, "filter tcp prot 80", "filter", 4)
    refused(m, "filter [process] tcp", "process", 1)
    refused(m, "intercept [pid=x] tcp", "intercept, column")
    refused(m, "filter [process=a", "")
    got = Received()
    with TcpServer(got.take) as server:
        job = m.start(SEND_BULK, address=HOST4, port=server.port, size=40_000)
        item = one_held(m, inbound=False)
        refused(m, f"grow {item['id']} 65537", "too many")
        m.ask(f"grow {item['id']} 65536")
        refused(m, f"decide {item['id'] + 9999} pass", "not held")
        refused(m, f"inject {item['flow'] + 9999} out 4142", "no flow")
        m.ask(f"decide {item['id']} pass")
        refused(m, f"decide {item['id']} drop", "released already")
        m.ask("mode capture")
        good(m.finish(job), 1)
        wait_for("the host's end", lambda: got.end)
    equal(got.length, 65536 + max(0, 40_000 - item["size"]), "the payload, grown to what a flow allows")


def case_injected(m):
    """Bytes of ours behind what is queued and before an end that waits; none behind an end that is gone."""
    w = start(m, "intercept")
    got = Bytes()

    def serve(connection):
        connection.sendall(b"hello")
        got.take(connection)

    with TcpServer(serve) as server:
        job = m.start(SEND_BULK, address=HOST4, port=server.port, size=10)
        end = one_held(m, inbound=False, is_end=True)
        one_held(m, inbound=True)
        flow = end["flow"]
        m.ask(f"inject {flow} in {b' world'.hex()}")
        m.ask(f"inject {flow} out {b' and more'.hex()}")
        wait_for("both", lambda: m.counters()["injected"] == w.before["injected"] + 2)
        for item in m.held():
            if not item["is_end"]:
                m.ask(f"decide {item['id']} pass")
        wait_for("what the host got", lambda: bytes(got.data) == pattern(10) + b" and more")
        equal(got.end, None, "the end")
        m.ask(f"decide {end['id']} pass")
        wait_for("the host's end", lambda: got.end)
        late = m.counters()["late"]
        if flow_of(m, server.port)["is_open"]:
            m.ask(f"inject {flow} out {b'too late'.hex()}")
            wait_for("a refusal", lambda: m.counters()["late"] == late + 1)
        m.ask("mode capture")
        done = good(m.finish(job), 1)
    equal((done.received, done.received_hash), (11, hash_of(b"hello world")), "what the guest got")
    equal(bytes(got.data), pattern(10) + b" and more", "what the host got")


# --- bad times


class Requests:
    """A web server that knows when requests came."""

    def __init__(self):
        self.times = []
        self.page = pattern(5000)

    def serve(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(65536)
            if not piece:
                return
            request += piece
        self.times.append(time.monotonic())
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.page) + self.page)


def hundred_held(m, port):
    job = m.start(GET_AT_ONCE, address=HOST4, port=port, connections=100)
    wait_for("a hundred requests on hold", lambda: len(m.held()) >= 100, 20)
    return job


def case_killed_debugger(m):
    """-9 in the middle of intercepting a hundred flows: they flow on, and the next debugger takes over."""
    start(m, "intercept")
    requests = Requests()
    with TcpServer(requests.serve) as server:
        job = hundred_held(m, server.port)
        equal(len(requests.times), 0, "requests that came through")
        killed = time.monotonic()
        m.agent.kill()
        wait_for("all requests", lambda: len(requests.times) == 100, 10)
        took = max(requests.times) - killed
        check(took < SILENCE + 1, f"flowed on after {took:.1f} s")
        check(min(requests.times) - killed > SILENCE / 2, "not before the debugger was silent for long")
        m.debug_running()
        good(m.finish(job), 100)
        start(m, "intercept", "pass")
        c = m.counters()
        check(c["silence"] >= 100, f"{c['silence']} let go for silence")
        good(m.do(GET_AT_ONCE, address=HOST4, port=server.port, connections=20), 20)
    wait_for("flows that are gone", lambda: m.counters()["flows_now"] == 0)


def case_taken_over(m):
    """The next debugger comes before the driver has missed the last one: what is held is shown to it again."""
    start(m, "intercept")
    requests = Requests()
    with TcpServer(requests.serve) as server:
        job = hundred_held(m, server.port)
        silence = m.counters()["silence"]
        held = {i["id"] for i in m.held()}
        m.agent.kill()
        m.debug()  # the guest stands still: nothing passes
        m.ask("start intercept")
        m.agent.has_traffic = True
        m.agent.go()
        wait_for("what the other one held", lambda: {i["id"] for i in m.held()} >= held)
        equal(len(requests.times), 0, "requests that came through")
        equal(m.counters()["silence"], silence, "let go for silence")
        m.ask("hook pass")
        for item in m.held():
            m.ask(f"decide {item['id']} pass")
        good(m.finish(job), 100)


def case_stopped_long(m):
    """A breakpoint longer than the silence: the guest slept, nobody was silent."""
    w = start(m, "intercept")
    got = Received()
    with TcpServer(got.take) as server:
        job = m.start(SEND_BULK, address=HOST4, port=server.port, size=1000)
        item = one_held(m)
        m.agent.stop()
        time.sleep(SILENCE + 0.7)
        m.agent.go()
        time.sleep(0.3)
        check(item["id"] in [i["id"] for i in m.held()], "held still")
        equal(w.counted()["auto"], 0, "passed by themselves")
        m.ask("mode capture")
        good(m.finish(job), 1)


def case_aborted(m):
    """Connections that end in the middle, by either side, by the debugger, by the program's death."""
    pool = None
    for turn in range(3):
        for how in ("host", "reset", "killed", "debugger"):
            start(m, "intercept", "none" if how == "debugger" else "pass")
            connections = []
            with TcpServer(lambda c: (connections.append(c), time.sleep(1))) as server:
                job = m.start(SEND_BULK, address=HOST4, port=server.port, size=GIGABYTE)
                wait_for("a connection", lambda: connections)
                if how == "debugger":
                    m.ask(f"decide {one_held(m)['id']} reset")
                elif how == "killed":
                    wait_for("data", lambda: m.counters()["held"])
                    equal(m.demo(KILL, KILL_BULK), 0, "killed")
                else:
                    if how == "reset":
                        connections[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    else:
                        connections[0].shutdown(socket.SHUT_RDWR)
                    connections[0].close()
                if how != "killed":
                    equal(m.finish(job).failed, 1, f"{how}: failed")
            m.ask("hook pass")
            wait_for(f"{how}: flows that are gone", lambda: m.counters()["flows_now"] == 0)
            equal((m.counters()["held_now"], m.counters()["held_bytes"]), (0, 0), f"{how}: held")
        now, made, gone = m.numbers("nt!MmPoolInUse", "tcpip!NetFlowsMade", "tcpip!NetFlowsGone")
        equal(gone, made, "flows that are gone, of those made")
        if turn == 1:  # lwIP's blocks are never given back: the first turn takes them
            pool = now
    check(now <= pool + 64 * 1024, f"pool: {now} bytes, {pool} a turn ago")
    both_ways(m, HOST4, "127.0.0.1")


def case_snapshot(m):
    """The guest goes back to a snapshot of another time, under a debugger that intercepts."""
    w = start(m, "intercept", "pass")
    qmp = Qmp(m.serial + ".qmp")
    both_ways(m, HOST4, "127.0.0.1", 100_000)
    with m.agent.stopped():
        answer = qmp.human("savevm one")
        equal(answer.get("return"), "", "savevm")
    both_ways(m, HOST4, "127.0.0.1", 1_000_000)
    with m.agent.stopped():
        equal(qmp.human("loadvm one").get("return"), "", "loadvm")
    qmp.ask("cont")
    m.next_job = 0
    both_ways(m, HOST4, "127.0.0.1", 1_000_000)
    equal(w.m.counters()["is_alive"], True, "the driver is heard")


def case_stops(m):
    """Through breakpoints; -9 there: the next debugger, who looks at no traffic, finds the guest whole."""
    m.ask("stop")
    m.ask("start intercept stops")
    m.ask("hook pass")
    requests = Requests()
    with TcpServer(requests.serve) as server:
        good(m.do(GET_AT_ONCE, address=HOST4, port=server.port, connections=20), 20)
        got = Bytes()
        with TcpServer(got.take) as sink:
            good(m.do(SEND_BULK, address=HOST4, port=sink.port, size=500_000), 1)
            wait_for("the host's end", lambda: got.end)
        equal(bytes(got.data) == pattern(500_000), True, "bytes through breakpoints")
        m.ask("hook none")
        job = m.start(GET_AT_ONCE, address=HOST4, port=server.port, connections=20)
        wait_for("requests on hold", lambda: len(m.held()) >= 10, 20)
        m.agent.kill()
        m.debug().go()
        good(m.finish(job), 20)
    equal(len(requests.times), 40, "requests")


def case_unload(m):
    """The driver goes while a hundred requests are on hold: they go on. It can be loaded again."""
    start(m, "intercept")
    requests = Requests()
    with TcpServer(requests.serve) as server:
        job = hundred_held(m, server.port)
        equal(m.demo(LOAD_NETPROBE, 0), 0, "unloaded")
        good(m.finish(job), 100)
        equal(len(requests.times), 100, "requests")
        good(m.do(GET_AT_ONCE, address=HOST4, port=server.port, connections=20), 20)
        m.ask("stop")
        m.agent.has_traffic = False
        try:
            m.ask("start capture")
        except AgentError as error:
            check("netprobe" in error.text, error.text)
        else:
            raise AssertionError("started without a driver")
        equal(m.demo(LOAD_NETPROBE, 1), 0, "loaded again")
        w = start(m, "intercept", "pass")
        good(m.do(GET_AT_ONCE, address=HOST4, port=server.port, connections=20), 20)
        check(w.clean()["passed"] >= 40, "seen by the new one")


def case_zz_contract(m):
    """The filter engine had nothing to complain about in all of this."""
    log = m.log()
    check("WFP contract violation" not in log, log[-3000:])
    equal(m.number("fwpkclnt!WfpViolations"), 0, "violations")


# --- a gigabyte


def case_long_capture(m):
    w = start(m, "capture")
    half = GIGABYTE // 2
    both_ways(m, HOST4, "127.0.0.1", half, 600)
    time.sleep(0.2)
    c = w.counted()
    equal(c["bytes"], 2 * half, "bytes")
    equal(c["shown_bytes"] + c["lost_bytes"], 2 * half, "shown and counted lost")


def case_long_edit(m):
    """Every byte: TCP over IPv4, IPv6 and loopback, edits at random; UDP beside it."""
    part = GIGABYTE // 5
    for n, (address, host) in enumerate(BOTH):
        start(m, "intercept", f"edit {n + 31}")
        with tempfile.NamedTemporaryFile() as got:
            ended = []

            def take(connection):
                while piece := connection.recv(1 << 20):
                    got.write(piece)
                got.flush()
                ended.append(True)

            with TcpServer(take, host) as server:
                good(m.do(SEND_BULK, 600, address=address, port=server.port, size=part), 1)
                wait_for("the host's end", lambda: ended, 60)
            hashed = m.ask(f"hash {got.name}")
        equal((hashed["size"], hashed["hash"]), sum_of(m, False), "what the host got")
        m.ask(f"hook edit {n + 41}")
        with TcpServer(lambda c: send_pattern(c, part), host) as server:
            job = good(m.do(RECEIVE_BULK, 600, address=address, port=server.port), 1)
        equal((job.received, job.received_hash), sum_of(m, True), "what the guest got")
    start(m, "intercept", "edit 51")
    server = m.serve(SERVE_BULK, address="0.0.0.0", port=9000)
    good(m.do(SEND_BULK, 600, address="127.0.0.1", port=9000, size=part), 1)
    served = good(m.finish(server), 1)
    equal((served.received, served.received_hash), sum_of(m, False), "over loopback")
    case_datagrams(m)


def main():
    agent, run_demo, images, *named = sys.argv[1:]
    folder = os.path.join(images, "x86") if ARCH != "x64" else images
    if not shutil.which("qemu-system-x86_64"):
        print("1..0 # SKIP needs qemu-system-x86_64")
        return 0
    if not os.path.exists(os.path.join(folder, "netprobe.sys")) or \
            not os.path.exists(os.path.join(folder, "tcpip.sys")):
        print("1..0 # SKIP no tcpip.sys: lwIP's sources were not there (scripts/fetch-lwip)")
        return 0
    cases = {name: case for name, case in globals().items() if name.startswith("case_")}
    names = named or [n for n in cases if (n in SMOKE or ARCH == "x64" or n == "case_zz_contract") and
                      LONG == n.startswith("case_long")]
    failed = 0
    print(f"1..{len(names)}")
    with tempfile.TemporaryDirectory() as folder, \
            TrafficMachine(agent, run_demo, images, more=["--disk", os.path.join(folder, "disk")]) as m:
        for number, name in enumerate(names, 1):
            begin = time.monotonic()
            try:
                cases[name](m)
                print(f"ok {number} - {name}\n# {time.monotonic() - begin:.1f} s", flush=True)
            except Exception as error:  # report and go on with the next case
                failed += 1
                text = f"{type(error).__name__}: {error}".replace("\n", "\n# ")
                print(f"not ok {number} - {name}\n# {text}", flush=True)
                if m.agent.process.poll() is not None:
                    m.debug_running()
        m.agent.quit()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
