#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Streams of lib/shark/packet_stream.c as tshark reads them, against what was put in.

    test_packet_stream.py WORLD LUA      packet_stream_world, openkd-traffic.lua
"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from stream_check import Failure, check, check_clean, fields, tshark

WORLD, LUA = sys.argv[1:3]


def make(path, seed, *more):
    done = subprocess.run([WORLD, str(path), str(seed), *map(str, more)], stdout=subprocess.PIPE, timeout=60,
                          check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def pattern(talk, direction, size):
    start = talk * 31 + direction * 101
    return bytes((at * 7 + (at >> 8) * 13 + start) & 255 for at in range(size))


def packets(path, protocol):
    """By conversation: its packets as (direction, payload, flags or "", comment)."""
    found = collections.defaultdict(list)
    flags = "tcp.flags" if protocol == "tcp" else "udp.length"
    for source, target, stream, payload, flag, comment, where in fields(
            path, f"{protocol} && frame.interface_name == openkd-wire", f"{protocol}.srcport", f"{protocol}.dstport",
            f"{protocol}.stream", "tcp.payload" if protocol == "tcp" else "udp.payload", flags, "frame.comment",
            "frame.packet_flags_direction"):
        out = int(source) < 30000
        check(int(where, 16) == (2 if out else 1), f"direction of {source} -> {target}: {where}")
        found[(int(source) if out else int(target)) - 20000].append(
            ("out" if out else "in", bytes.fromhex(payload), flag, comment, stream))
    return found


def check_bytes(talk, seen):
    for number, direction in ((0, "out"), (1, "in")):
        data = b"".join(payload for d, payload, *_ in seen if d == direction)
        wanted = talk["bytes"][direction]
        check(len(data) == wanted and data == pattern(talk["i"], number, wanted),
              f"{talk}: {direction}: {len(data)} bytes, wanted {wanted}, or others")


def check_tcp(talk, seen):
    check_bytes(talk, seen)
    check(len({stream for *_, stream in seen}) == 1, f"{talk}: several streams")
    flags = [int(flag, 16) for _, _, flag, _, _ in seen]
    sizes = [len(payload) for _, payload, *_ in seen]
    check(flags[:3] == [2, 0x12, 0x10] and [d for d, *_ in seen[:3]] ==
          ([talk["began"], "in" if talk["began"] == "out" else "out", talk["began"]]), f"{talk}: {flags[:3]}")
    data = [(f, n) for f, n in zip(flags, sizes) if n]
    check(len(data) == talk["segments"], f"{talk}: {len(data)} segments")
    check(max(n for _, n in data) <= (1460 if talk["family"] == 4 else 1440), f"{talk}: too big a segment")
    check(sum(f == 0x18 for f, _ in data) == talk["items"] and all(f in (0x10, 0x18) for f, _ in data),
          f"{talk}: PSH is the last segment's")
    ends = [f for f, n in zip(flags[3:], sizes[3:]) if not n]
    check(ends == {"open": [], "fins": [0x11, 0x11], "reset": [0x14], "closed": [0x14]}[talk["ending"]],
          f"{talk}: {ends}")


def check_udp(talk, seen):
    check_bytes(talk, seen)
    check(len(seen) == talk["items"], f"{talk}: {len(seen)} datagrams")


def check_comments(talk, seen):
    comments = [c for _, payload, _, c, _ in seen if c and (payload or talk["protocol"] == 17)]
    check(len(comments) == talk["items"], f"{talk}: {len(comments)} comments")
    edited = [c for c in comments if "verdict=edited" in c]
    check(len(edited) == talk["edited"] and all("by=mutator:x seed=1" in c and "edited: original" in c
                                                for c in edited), f"{talk}: {edited[:1]}")
    check(all(f"pid={1000 + talk['i']} img=a_program_with_a_long_name.exe " in c for c in comments), comments[:1])


def test_worlds(folder):
    """Random conversations: every byte at its place, clean sequence numbers, checksums, ends, comments"""
    for seed in (1, 2):
        path = folder / f"{seed}.pcapng"
        talks = make(path, seed)
        check_clean(path)
        tcp, udp = packets(path, "tcp"), packets(path, "udp")
        for talk in talks:
            seen = (tcp if talk["protocol"] == 6 else udp)[talk["i"]]
            (check_tcp if talk["protocol"] == 6 else check_udp)(talk, seen)
            check_comments(talk, seen)
        held = fields(path, "frame.interface_name == openkd-held", "frame.comment", "exported_pdu.src_port",
                      "exported_pdu.dst_port")
        check(len(held) == sum(t["held"] for t in talks), f"{len(held)} held")
        check(all("verdict=held" in c or "verdict=dropped" in c for c, _, _ in held), held[:1])
        check({f"{t['family']}" for t in talks} == {"4", "6"}, "families")


def test_names(folder):
    """The process of every packet; names that are too long for PKTAP are cut there only"""
    path = folder / "names.pcapng"
    talks = make(path, 7)
    names = {row[0] for row in fields(path, "pktap", "pktap.cmdname")}
    check(names == {"a program with a lo"}, names)
    check({int(row[0]) for row in fields(path, "pktap", "pktap.pid")} == {1000 + t["i"] for t in talks}, "pids")


def test_tools(folder):
    """Other tools take the streams: editcap makes a copy that tshark reads alike, capinfos names what there is"""
    path, copy = folder / "x.pcapng", folder / "copy.pcapng"
    make(path, 9)
    subprocess.run(["editcap", str(path), str(copy)], check=True, timeout=30)
    check(tshark(path) == tshark(copy), "the copy is not as the original")
    said = subprocess.run(["capinfos", str(path)], stdout=subprocess.PIPE, check=True, timeout=30).stdout.decode()
    check("application traffic of a test" in said and "openkd-held" in said, said)


def test_comment_fields(folder):
    """The Lua part: each comment as fields, edits marked, the versions of a payload linked"""
    path = folder / "x.pcapng"
    make(path, 5)
    lua = ("-X", f"lua_script:{LUA}")
    text = tshark(path, *lua, "-T", "fields", "-e", "frame.comment", "-e", "openkd.verdict", "-e", "openkd.id", "-e",
                  "openkd.by", "-e", "openkd.original_size", "-e", "_ws.col.Info")
    n = 0
    for comment, verdict, item, by, size, info in (line.split("\t") for line in text.splitlines()):
        check(bool(comment) == bool(verdict), (comment, verdict))
        if not comment:
            continue
        n += 1
        check(comment.startswith(f"kd: id={item} ") and f" verdict={verdict}" in comment, comment)
        check((f"edited: original {size} bytes" in comment) == (verdict == "edited"), comment)
        check((by == "mutator:x seed=1") == (verdict == "edited"), comment)
        check(info.startswith(f"[{verdict.upper()}]") == (verdict != "pass"), info)
    check(n > 300, f"{n} comments")
    check("Lua" not in tshark(path, *lua, "-V", "-c", "300"), "an error in the script")


def test_rotation(folder):
    """Files of a rotation: all of it in order when all are kept, the last ones else"""
    path = folder / "all.pcapng"
    talks = make(path, 4, 1_000_000, 0)
    names = [path] + [folder / f"all-{n}.pcapng" for n in range(2, 1 + len(list(folder.glob("all*"))))]
    check(len(names) > 4, f"{len(names)} files")
    tcp = collections.defaultdict(list)
    for name in names:
        check(not tshark(name, "-Y", "_ws.malformed || tcp.checksum.status == 0 || udp.checksum.status == 0"), name)
        check(name.stat().st_size < 1_000_000 + 200_000, name)
        for i, seen in packets(name, "tcp").items():
            tcp[i] += seen
    for talk in talks:
        if talk["protocol"] == 6:
            check_bytes(talk, tcp[talk["i"]])
    make(folder / "few.pcapng", 4, 1_000_000, 3)
    kept = {p.name for p in folder.glob("few*")}
    check(kept == {f"few-{n}.pcapng" for n in range(len(names) - 2, len(names) + 1)}, kept)
    for n in range(len(names) - 2, len(names) + 1):
        check((folder / f"few-{n}.pcapng").read_bytes() == (folder / f"all-{n}.pcapng").read_bytes(), n)


def main():
    tests = [f for n, f in globals().items() if n.startswith("test_") and callable(f)]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for i, test in enumerate(tests, 1):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="kd-stream-") as folder:
            try:
                test(pathlib.Path(folder))
                word = "ok"
            except (Failure, subprocess.SubprocessError) as e:
                failed, word = failed + 1, "not ok"
                print("\n".join(f"# {line}" for line in str(e)[:3000].splitlines()))
        print(f"{word} {i} - {test.__doc__} ({time.monotonic() - begin:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
