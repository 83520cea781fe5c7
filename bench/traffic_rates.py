# SPDX-License-Identifier: MIT
"""What netprobe.sys costs bulk TCP, and how long a verdict takes: the traffic part of bench/run.

One transfer differs from the next by a fifth on these machines, one boot of the guest from the next by a tenth. So all modes are
measured in one guest, which loads and unloads the driver, one after the other in each round; a percentage is the median of the
rounds' own quotients, over several boots.
"""
import pathlib
import random
import socket
import statistics
import time

import net_machine as net
from traffic_machine import LOAD_NETPROBE, TrafficMachine

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZE, SIZE_BY_STOPS, ROUNDS, BOOTS = 30_000_000, 4_000_000, 8, 6
HISTORY = 72_000_000  # both ways together: more than the 64 MB that a debugger keeps

PLAIN = "no driver"
#        the row's name                what the debugger is told before      how much is sent before, and is measured
MODES = ((PLAIN,                       (),                                     SIZE // 10,          SIZE),
         ("driver, off",               (),                                     SIZE // 10,          SIZE),
         ("capture",                   ("start capture",),                     HISTORY // 2,        SIZE),
         ("intercept, pass",           ("start intercept", "hook pass"),       HISTORY // 2,        SIZE),
         ("breakpoint channel, pass",  ("start intercept stops", "hook pass"), SIZE_BY_STOPS // 10, SIZE_BY_STOPS))


class BulkPeer:
    """The host's end of bulk TCP, which does nothing but measure, from the connection to its end."""

    def __init__(self, size):
        self.size, self.done = size, []

    def sink(self, connection):
        begin, got, room = time.monotonic(), 0, bytearray(1 << 20)
        while n := connection.recv_into(room):
            got += n
        self.done.append((got, time.monotonic() - begin))

    def source(self, connection):
        begin, sent, room = time.monotonic(), 0, bytes(range(251)) * 4000
        while sent < self.size:
            sent += connection.send(room[:self.size - sent])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        self.done.append((sent, time.monotonic() - begin))


def rates(m, size):
    """Mb/s to the host and from it. The guest is not stopped meanwhile."""
    found = []
    for kind, way in ((net.SEND_BULK, "sink"), (net.RECEIVE_BULK, "source")):
        peer = BulkPeer(size)
        with net.TcpServer(getattr(peer, way)) as server:
            job = m.start(kind, address=net.HOST4, port=server.port, size=size)
            while not peer.done:
                time.sleep(0.01)
            m.finish(job)
        (got, seconds), = peer.done
        assert got == size, f"{got} of {size} bytes"
        found.append(got * 8 / 1e6 / seconds)
    return found


def enter(m, name, commands):
    """A mode, whatever was before."""
    if m.is_looking:
        m.ask("hook none")
        m.ask("stop")
    if m.has_driver != (name != PLAIN):
        m.has_driver = not m.has_driver
        m.demo(LOAD_NETPROBE, int(m.has_driver))
    for command in commands:
        m.ask(command)
    m.is_looking = bool(commands)


def measure(m, found):
    """found: {mode: [(to the host, from it) of each round]}"""
    m.is_looking, m.has_driver = False, True
    for turn in range(ROUNDS + 1):
        for name, commands, before, size in random.sample(MODES, len(MODES)):
            enter(m, name, commands)
            # QEMU translates the code of what was just loaded. A new debugger's history takes its memory from the system: once,
            # but where freed pages go back to a hypervisor, each costs more than all of the capture.
            rates(m, before)
            pair = rates(m, size)
            if turn:  # and caches fill
                found[name].append(pair)


def rate_row(name, found, base):
    row = {}
    for way, label in enumerate(("to_host", "from_host")):
        row[label + "_mbit_s"] = round(statistics.median(pair[way] for pair in found), 1)
        if found is not base:
            quotients = sorted(100 * pair[way] / plain[way] for pair, plain in zip(found, base))
            quarter = len(quotients) // 4
            row[label + "_percent"] = round(statistics.median(quotients), 1)
            row[label + "_quartiles"] = f"{quotients[quarter]:.0f}-{quotients[-1 - quarter]:.0f}"
    return {"name": name, **row}


def latency_row(m, name):
    """Held to verdict applied, guest's time: lines asked and answered over loopback."""
    enter(m, "verdict", ("start intercept", "hook pass"))
    m.serve(net.SERVE_LINES, address="0.0.0.0", port=9001)
    m.finish(m.start(net.TALK_LINES, address="127.0.0.1", port=9001, count=500))
    job = m.start(net.TALK_LINES, address="127.0.0.1", port=9001, count=1000)
    time.sleep(3)
    job, counters = m.finish(job), m.counters()
    return {"name": name, "median_us": round(counters["wait_ns"] / 1e3, 1),
            "p99_us": round(counters["wait_ns_p99"] / 1e3, 1),
            "us_a_line": round(job.milliseconds * 1e3 / max(1, job.done))}


def rows(build):
    """Of -smp 1, where the figures have to hold, and of -smp 2 beside it."""
    if not (build / "guest/demo/tcpip.sys").exists():
        return
    for processors in (1, 2):
        at, found = f"traffic, -smp {processors}, ", {name: [] for name, *_ in MODES}
        for boot in range(BOOTS):
            with TrafficMachine(str(build / "tests/shark/traffic_agent"), str(ROOT / "guest/demo/run-demo"),
                                str(build / "guest/demo"), smp=processors) as m:
                measure(m, found)
                if boot == BOOTS - 1:
                    latency = latency_row(m, at + "verdict")
        for name, pairs in found.items():
            yield rate_row(at + name, pairs, found[PLAIN])
        yield latency
