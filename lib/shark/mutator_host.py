# SPDX-License-Identifier: MIT
# Runs a user's mutator: python3 -c THIS FILE.PY. Frames on standard input and output, each a header in
# JSON behind its length (four bytes, little-endian), then as many bytes as header["size"] says. What the
# user prints goes along with the next answer, as header["said"]; what programs print that the user starts,
# to standard error.
import collections
import io
import json
import os
import random
import struct
import sys
import traceback

source = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
sink = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
os.dup2(2, 1)
os.close(0)
DROP, RESET = object(), object()


class Said(io.RawIOBase):
    """Standard output: its last lines, until somebody takes them."""
    LINES, WIDTH = 8, 120

    def __init__(self):
        self.lines, self.count, self.rest = collections.deque(maxlen=self.LINES), 0, b""

    def writable(self):
        return True

    def write(self, data):
        *lines, rest = (self.rest + bytes(data)).split(b"\n")
        self.rest = rest[:self.WIDTH]
        self.lines.extend(line[:self.WIDTH] for line in lines)
        self.count += len(lines)
        return len(data)

    def take(self):
        if self.rest:
            self.write(b"\n")
        left_out = self.count - len(self.lines)
        lines = (line.decode(errors="replace") for line in self.lines)
        taken = ["(%d lines more)" % left_out] if left_out else []
        taken += ["".join(c if c.isprintable() else "." for c in line) for line in lines]
        self.lines.clear()
        self.count = 0
        return taken


class Item:
    """What is known about a payload; `random` is seeded by it, so that runs can be repeated."""
    DROP, RESET = DROP, RESET

    def __init__(self, header):
        self.__dict__.update(header)
        self.random = random.Random(self.seed)

    def __repr__(self):
        return "<item %d: %d bytes %s, %s[%d]>" % (self.id, self.size, self.direction, self.process, self.pid)


def answer(verdict, data=b"", **more):
    lines = said.take() if verdict != "ready" else []
    header = json.dumps(dict(more, verdict=verdict, size=len(data), said=lines)).encode()
    sink.write(struct.pack("<I", len(header)) + header + data)
    sink.flush()


def complain():
    kind, value, trace = sys.exc_info()
    places = [f for f in traceback.extract_tb(trace) if f.filename == path]
    line = getattr(value, "lineno", None) if isinstance(value, SyntaxError) else places[-1].lineno if places else None
    traceback.print_exc()
    answer("error", error=("%s%s: %s" % ("line %d: " % line if line else "", kind.__name__, value))[:300])


path = sys.argv[1]
said = Said()
sys.stdout = io.TextIOWrapper(said, encoding="utf-8", errors="replace", write_through=True)
try:
    names = {"__name__": "mutator", "__file__": path, "DROP": DROP, "RESET": RESET}
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    with open(path, "rb") as f:
        exec(compile(f.read(), path, "exec"), names)
    mutate = names["mutate"]
except BaseException as e:
    if isinstance(e, KeyError) and "mutate" not in names:
        answer("error", error="there is no function mutate(payload, item)")
    else:
        complain()
    sys.exit(3)
answer("ready")
while True:
    length = source.read(4)
    if len(length) < 4:
        break
    header = json.loads(source.read(struct.unpack("<I", length)[0]))
    payload = source.read(header["size"])
    try:
        result = mutate(payload, Item(header))
        if isinstance(result, str):
            result = result.encode()
        if result is DROP or result is RESET:
            answer("drop" if result is DROP else "reset")
        elif result is None or result is False or result is True:
            answer("pass")
        elif isinstance(result, (bytes, bytearray, memoryview)):
            answer("change", bytes(result))
        else:
            raise TypeError("mutate() returned %s: bytes, text, None, DROP or RESET is wanted" % type(result).__name__)
    except BaseException:
        complain()
