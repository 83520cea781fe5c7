#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same PDB in another container must give the same answers: rewrite_msf.py SYM_DUMP PDB

Writes the streams of a PDB into containers that linkers seldom make: other block sizes, blocks in
random order (no stream lies in one piece), a thousand streams; then with an OMAP pair, as moved
kernels have it, where addresses must follow.
"""
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

SYM_DUMP, PDB = sys.argv[1], pathlib.Path(sys.argv[2])
MAGIC = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
NIL = 0xFFFFFFFF
DBI, SHIFT = 3, 0x100000
problems = []


def blocks(size, block_size):
    return (size + block_size - 1) // block_size


def read_streams(data):
    block_size, _, _, size, _, first = struct.unpack_from("<6I", data, 32)
    n_blocks = blocks(size, block_size)
    numbers = struct.unpack_from(f"<{n_blocks}I", data, first * block_size)
    part = lambda n: data[n * block_size:(n + 1) * block_size]
    directory = b"".join(map(part, numbers))[:size]
    count, = struct.unpack_from("<I", directory)
    sizes = struct.unpack_from(f"<{count}I", directory, 4)
    at, streams = 4 + 4 * count, []
    for size in sizes:
        n = 0 if size == NIL else blocks(size, block_size)
        numbers = struct.unpack_from(f"<{n}I", directory, at)
        at += 4 * n
        streams.append(None if size == NIL else b"".join(map(part, numbers))[:size])
    return streams


def write_streams(streams, block_size, seed):
    """Blocks 0 to 2 are the superblock's and the free maps'; the others come in random order."""
    parts, lists = [], []
    for stream in streams:
        lists.append(range(len(parts), len(parts) + blocks(len(stream or b""), block_size)))
        parts += [(stream or b"")[i:i + block_size]
                  for i in range(0, len(stream or b""), block_size)]
    order = list(range(len(parts)))
    random.Random(seed).shuffle(order)
    place = {part: 3 + at for at, part in enumerate(order)}
    directory = struct.pack("<I", len(streams))
    directory += b"".join(struct.pack("<I", NIL if s is None else len(s)) for s in streams)
    directory += b"".join(struct.pack("<I", place[i]) for l in lists for i in l)
    file = {0: b"", 1: b"\xff" * block_size, 2: b"\xff" * block_size}
    for part, at in place.items():
        file[at] = parts[part]
    n = 3 + len(parts)
    pieces = [directory[i:i + block_size] for i in range(0, len(directory), block_size)]
    numbers = b"".join(struct.pack("<I", n + i) for i in range(len(pieces)))
    file.update({n + i: p for i, p in enumerate(pieces)})
    n += len(pieces)
    maps = [numbers[i:i + block_size] for i in range(0, len(numbers), block_size)]
    file.update({n + i: m for i, m in enumerate(maps)})
    file[0] = MAGIC + struct.pack("<5I", block_size, 1, n + len(maps), len(directory), 0)
    file[0] += b"".join(struct.pack("<I", n + i) for i in range(len(maps)))
    return b"".join(file[i].ljust(block_size, b"\0") for i in range(n + len(maps)))


def dump(what, path):
    done = subprocess.run([SYM_DUMP, what, path], capture_output=True, encoding="utf-8")
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"


def with_omap(streams):
    """All code moved up by SHIFT, but for the INIT section, which was discarded."""
    streams = list(streams)
    dbi = bytearray(streams[DBI])
    table_size, = struct.unpack_from("<i", dbi, 0x30)
    table = len(dbi) - table_size
    headers = streams[struct.unpack_from("<H", dbi, table + 2 * 5)[0]]
    omap = []
    for i in range(0, len(headers), 40):
        rva, = struct.unpack_from("<I", headers, i + 12)
        omap.append((rva, 0 if headers[i:i + 4] == b"INIT" else rva + SHIFT))
    streams.append(b"".join(struct.pack("<II", *row) for row in sorted(omap)))
    struct.pack_into("<H", dbi, table + 2 * 4, len(streams) - 1)
    streams.append(headers)
    struct.pack_into("<H", dbi, table + 2 * 10, len(streams) - 1)
    streams[DBI] = bytes(dbi)
    init = [(struct.unpack_from("<I", headers, i + 12)[0], struct.unpack_from("<I", headers, i + 8)[0])
            for i in range(0, len(headers), 40) if headers[i:i + 4] == b"INIT"]
    return streams, init[0]


def places(text):
    return {(int(line.split()[0], 16), line.split(" ", 3)[3]) for line in text.splitlines()}


def main():
    streams = read_streams(PDB.read_bytes())
    wanted = {what: dump(what, PDB) for what in ("symbols", "types")}
    assert len(wanted["symbols"].splitlines()) > 5 and len(wanted["types"].splitlines()) > 10
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "other.pdb"
        for name, block_size, more in (("512", 512, 0), ("1024", 1024, 0), ("4096", 4096, 0),
                                       ("8192", 8192, 0), ("65536", 65536, 0),
                                       ("many streams", 4096, 1000)):
            path.write_bytes(write_streams(streams + [None, b"x", b""] * more, block_size, 7))
            for what, text in wanted.items():
                if dump(what, path) != text:
                    problems.append(f"{name}: other {what}: {dump(what, path)[:200]}")
        moved, (init, init_size) = with_omap(streams)
        path.write_bytes(write_streams(moved, 4096, 1))
        theirs = {(rva + SHIFT, name) for rva, name in places(wanted["symbols"])
                  if not init <= rva < init + init_size}
        if places(dump("symbols", path)) != theirs or not theirs:
            problems.append(f"OMAP: {dump('symbols', path)[:300]}")
        path.write_bytes(PDB.read_bytes()[:-1])
        if "cut short" not in dump("symbols", path):
            problems.append("a file that ends early is not told so")
    print("\n".join(problems) or "all containers alike")
    return 1 if problems else 0


sys.exit(main())
