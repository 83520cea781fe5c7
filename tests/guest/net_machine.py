# SPDX-License-Identifier: MIT
"""The demo guest with a network: its jobs, and what stands on the host's side."""
import contextlib
import socket
import socketserver
import struct
import threading
import time

from guest_machine import Machine

# guest/demo/net/inc/afd.h
FREE, START, RUNNING, DONE, STOP = 0, 1, 2, 3, 4
GET_PAGE, GET_AT_ONCE, SERVE_PAGES, TALK_LINES, SERVE_LINES, ASK_NAMES, SERVE_NAMES, SEND_BULK, \
    RECEIVE_BULK, SERVE_BULK, RESET_BULK = range(1, 12)
JOB = struct.Struct("<IIHHI16sQIIiIIIQQIIII")
HOST4, HOST6 = "10.0.2.2", "fec0::2"


def hash_of(data, seed=0):
    """NetHash of the programs; the data is a whole number of times a short pattern or short itself."""
    for byte in data:
        seed = (seed * 0x01000193 + byte) & 0xFFFFFFFF
    return seed


def pattern(length, start=0):
    cycle = bytes(range(251))
    start %= 251
    return (cycle * ((start + length) // 251 + 1))[start:start + length]


def pattern_hash(length):
    """hash_of(pattern(length)) without a step for each byte: a cycle is one affine step."""
    prime, cycle = 0x01000193, hash_of(bytes(range(251)))
    turn = pow(prime, 251, 1 << 32)
    rounds, rest = divmod(length, 251)
    value, factor, step = 0, turn, cycle
    while rounds:  # repeated squaring of x -> factor x + step
        if rounds & 1:
            value = (value * factor + step) & 0xFFFFFFFF
        step = (step * factor + step) & 0xFFFFFFFF
        factor = factor * factor & 0xFFFFFFFF
        rounds >>= 1
    return hash_of(bytes(range(rest)), value)


class Job:
    NAMES = ("state", "kind", "family", "port", "connections", "address", "bytes", "count", "delay",
             "status", "done", "failed", "milliseconds", "sent", "received", "sent_hash",
             "received_hash", "pid", "ready")

    def __init__(self, raw):
        for name, value in zip(self.NAMES, JOB.unpack(raw)):
            setattr(self, name, value)

    def __str__(self):
        return (f"job {self.kind}: state {self.state}, status {self.status & 0xFFFFFFFF:#x}, {self.done} done, "
                f"{self.failed} failed, {self.sent} sent, {self.received} received, {self.milliseconds} ms")


class NetMachine(Machine):
    """A machine that runs on while its jobs are looked at: it is stopped for the moment only."""

    def __init__(self, folder, smp=2, options="", forward=None, memory=128, more=None):
        super().__init__(folder, smp=smp, options=options, memory=memory, forward=forward or {},
                         more=more)
        self.free = 0

    def boot(self):
        self.expect(r"init: system is up")
        self.attach()
        self.stub.go()
        return self

    @contextlib.contextmanager
    def held(self):
        self.stub.stop()
        try:
            yield
        finally:
            self.stub.go()

    def start(self, kind, address="127.0.0.1", port=0, connections=1, size=0, count=0, delay=0):
        """Begin a job; its number."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address).ljust(16, b"\0")
        job = JOB.pack(0, kind, 23 if ":" in address else 2, port, connections, raw, size, count,
                       delay, *[0] * 10)
        number = self.free % 16
        self.free += 1
        at = self.modules["tcpip"]["NetJobs"] + number * JOB.size
        with self.held():
            self.stub.write(at, job)
            self.stub.write(at, struct.pack("<I", START))
        return number

    def job(self, number):
        with self.held():
            return Job(self.stub.read(self.modules["tcpip"]["NetJobs"] + number * JOB.size, JOB.size))

    def serve(self, kind, **what):
        """Begin a job that serves; its number, when it listens."""
        number = self.start(kind, **what)
        deadline = time.monotonic() + 10
        while not (job := self.job(number)).ready:
            if job.state == DONE or time.monotonic() > deadline:
                raise AssertionError(f"does not listen: {job}; console:\n{self.log()}")
            time.sleep(0.02)
        return number

    def stop_job(self, number):
        with self.held():
            self.stub.write(self.modules["tcpip"]["NetJobs"] + number * JOB.size, struct.pack("<I", STOP))
        return self.finish(number)

    def finish(self, number, seconds=30):
        """Wait until a job is done; its results."""
        deadline = time.monotonic() + seconds
        pause = 0.02
        while True:
            job = self.job(number)
            if job.state == DONE:
                return job
            if time.monotonic() > deadline:
                raise AssertionError(f"not done after {seconds} s: {job}; console:\n{self.log()}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)

    def do(self, kind, seconds=30, **what):
        return self.finish(self.start(kind, **what), seconds)


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.serve(self.request)


class TcpServer(socketserver.ThreadingTCPServer):
    """with TcpServer(function) as server: the function gets each connection; server.port."""
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, serve, address="127.0.0.1"):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.allow_reuse_address = True
        self.serve = serve
        super().__init__((address, 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *exc):
        self.shutdown()
        self.server_close()


class Received:
    """What a bulk server got: length and hash."""

    def __init__(self):
        self.length = 0
        self.good = True
        self.end = None

    def take(self, connection):
        """Read to the end, holding every byte against the pattern."""
        whole = pattern(251 + (1 << 20))
        try:
            while data := connection.recv(1 << 20):
                at = self.length % 251
                self.good = self.good and data == whole[at:at + len(data)]
                self.length += len(data)
            self.end = "closed"
        except ConnectionResetError:
            self.end = "reset"


def send_pattern(connection, size):
    whole = pattern(251 + (1 << 18))
    sent = 0
    while sent < size:
        n = min(1 << 18, size - sent)
        at = sent % 251
        connection.sendall(whole[at:at + n])
        sent += n


def timed(m, kind, **what):
    """A job and how long it took by this host's clock, its program's start included."""
    begin = time.monotonic()
    number = m.start(kind, **what)
    while m.job(number).state != DONE:
        time.sleep(0.01)
    return m.job(number), time.monotonic() - begin


def rate(count, seconds):
    """Mb/s"""
    return round(count * 8 / seconds / 1e6)
