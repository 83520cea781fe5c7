# SPDX-License-Identifier: MIT
"""A client of a session's socket (docs/session-socket.md)."""
import json
import socket

from kd_console import check, check_schema


class Client:
    """with Client(path) as c: c.hello is what the session says first."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(15)
        self.socket.connect(str(path))
        self.buffer = b""
        self.events = []
        self.hello = self.line()

    def line(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the session closed the connection")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def send(self, fds=(), **request):
        data = json.dumps(request).encode() + b"\n"
        if fds:
            socket.send_fds(self.socket, [data], list(fds))
        else:
            self.socket.sendall(data)

    def ask(self, op, fds=(), **request):
        """The answer with the same id; events before it are kept."""
        self.send(fds, id=7, op=op, **request)
        while True:
            value = self.line()
            if "event" not in value:
                check(value["id"] == 7, value)
                return value
            self.keep(value)

    def keep(self, event):
        check_schema("traffic-event" if event["event"] == "traffic" else "event", event)
        self.events.append(event)

    def wait_event(self, kind):
        while not any(e["event"] == kind for e in self.events):
            self.keep(self.line())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
