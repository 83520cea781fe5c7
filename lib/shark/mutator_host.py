# SPDX-License-Identifier: MIT
# Runs a user's mutator: python3 -c THIS FILE.PY. Frames on standard input and output, each a header in
# JSON behind its length (four bytes, little-endian), then as many bytes as header["size"] says. What the
# user prints goes to standard error.
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


class Item:
    """What is known about a payload; `random` is seeded by it, so that runs can be repeated."""
    DROP, RESET = DROP, RESET

    def __init__(self, header):
        self.__dict__.update(header)
        self.random = random.Random(self.seed)

    def __repr__(self):
        return "<item %d: %d bytes %s, %s[%d]>" % (self.id, self.size, self.direction, self.process, self.pid)


def answer(verdict, data=b"", **more):
    header = json.dumps(dict(more, verdict=verdict, size=len(data))).encode()
    sink.write(struct.pack("<I", len(header)) + header + data)
    sink.flush()


def complain():
    kind, value, trace = sys.exc_info()
    places = [f for f in traceback.extract_tb(trace) if f.filename == path]
    line = getattr(value, "lineno", None) if isinstance(value, SyntaxError) else places[-1].lineno if places else None
    traceback.print_exc()
    answer("error", error=("%s%s: %s" % ("line %d: " % line if line else "", kind.__name__, value))[:300])


path = sys.argv[1]
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
