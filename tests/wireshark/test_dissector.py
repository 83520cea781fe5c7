#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Wireshark dissector in tshark, packet for packet and field for field against `kd decode`.

    test_dissector.py KD FAKE-TARGET DISSECTOR [NAME]      OPENKD_DATA: folder of the KDNET capture
"""
import collections
import gzip
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

KD, FAKE, LUA = sys.argv[1:4]
KEY = "8.8.8.8"  # of the published capture
COMMANDS = ("r; k; lm; db @rsp L100; bp @rip+10; bl; bc *; rdmsr 10; ob 80 1; ib 80; r rax=5; eb @rsp 1; "
            "!db 1000 L10; ~1s; ~0s; vertarget; x *!*nothing*; t; p; q")


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def run(*command, **kwargs):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, **kwargs)
    check(done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')[-2000:]}")
    check(b"Lua: Error" not in done.stdout + done.stderr and b"Lua Error" not in done.stdout +
          done.stderr, done.stdout[-1500:] + done.stderr[-1500:])
    return done.stdout.decode(errors="replace")


def environment(folder):
    return {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder),
            "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}


def tshark(path, *more):
    return run("tshark", "-X", f"lua_script:{LUA}", "-r", path, *more)


def record(folder):
    """A session with the fake target, on disk."""
    path = folder / "session.pcapng"
    socket = folder / "target.sock"
    target = subprocess.Popen([FAKE, "--listen", str(socket), "--seconds", "60"],
                              stdout=subprocess.DEVNULL)
    while not socket.exists():
        time.sleep(0.01)
    try:
        # Some of the commands fail on the fake target: their packets count all the same.
        subprocess.run([KD, "-k", f"unix:{socket}", "--keep-going", "--record", str(path), "-c",
                        COMMANDS], env=environment(folder), stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
    finally:
        target.terminate()
        target.wait()
    check(path.exists(), "nothing was recorded")
    return path


# --- both sides as lists of packets: (name, {field: value}) ---

NOT_COMPARED = {"packet"}  # shown by both in their own words


def by_kd(path, folder):
    packets = []
    for line in run(KD, "decode", "--json", path, env=environment(folder)).splitlines():
        entry = json.loads(line)
        if entry["kind"] != "packet":
            continue
        fields = collections.defaultdict(list)
        for f in entry["fields"]:
            fields[f"kd.{f['structure']}.{f['name']}"].append(f)
        packets.append((entry, fields))
    return packets


def leaves(node, found):
    """All `field: value` of tshark's JSON, in order; protocol trees are entered."""
    for name, value in node:
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            leaves(value, found)
        elif isinstance(value, str):
            found.append((name, value))


def by_tshark(path):
    """One dictionary a KD packet: tshark's names and values, of frames with several in their order."""
    packets = []
    for frame in json.loads(tshark(path, "-T", "json"), object_pairs_hook=list):
        layers = dict(dict(frame)["_source"])["layers"]
        found = []
        leaves(layers, found)
        for name, value in found:
            if name == "kd.packet.leader":
                packets.append(collections.defaultdict(list))
            if packets and name.startswith("kd."):
                packets[-1][name].append(value)
    return packets


def number(text):
    return int(text, 16) if text.startswith("0x") else int(text)


def same_value(field, shown):
    """A field of kd's JSON and tshark's text for it."""
    value = field["value"]
    if ":" in shown and all(len(p) == 2 for p in shown.split(":")):
        return isinstance(value, str) and shown.replace(":", "") == value.replace("0x", "") or \
            isinstance(value, list)
    if isinstance(value, (int, float)):
        return number(shown) == value
    if isinstance(value, str) and value.startswith("0x"):
        return number(shown) == int(value, 16)
    return isinstance(value, (str, list))


def compare(path, folder):
    ours, theirs = by_kd(path, folder), by_tshark(path)
    check(len(ours) == len(theirs), f"kd sees {len(ours)} packets, tshark {len(theirs)}")
    n_fields = 0
    for (entry, fields), shown in zip(ours, theirs):
        where = f"packet {entry['number']} {entry['summary']}"
        check(number(shown["kd.packet.type"][0]) == entry["type"], f"{where}: {shown}")
        check(number(shown["kd.packet.id"][0]) == int(entry["id"], 16), where)
        if entry["name"]:
            check(shown["kd.name"][0] == entry["name"], f"{where}: {shown['kd.name']}")
        for name, values in fields.items():
            if name.split(".")[1] in NOT_COMPARED or name.endswith(".unnamed") or \
                    name.startswith(("kd.data.", "kd.undecoded.")):
                continue
            check(len(shown[name]) == len(values), f"{where}: {name}: {values} / {shown[name]}")
            for value, text in zip(values, shown[name]):
                check(same_value(value, text), f"{where}: {name}: {value} / {text}")
                n_fields += 1
    return len(ours), n_fields


def test_session(folder):
    """A session with the fake target: every packet and field as `kd decode` has it"""
    path = record(folder)
    n, n_fields = compare(path, folder)
    check(n > 100 and n_fields > 1000, f"only {n} packets, {n_fields} fields")
    print(f"# {n} packets, {n_fields} fields")


def test_filters(folder):
    """Field names as filters; questions find their answers; checksums are checked"""
    path = record(folder)
    count = lambda *f: len(tshark(path, "-Y", *f).splitlines())
    check(count("kd.manipulate_hdr.api == 0x3146") >= 2, "GetVersion")
    check(count('kd.name == "STATE_EXCEPTION"') >= 1, "state changes")
    check(count("kd.packet.checksum_good == 0") == 0, "bad checksums")
    check(count("kd.answer_to") >= 20 and count("kd.answer_to") == count("kd.time"), "answers")
    check(count("kd.to_target == 1") > 20 and count("kd.to_target == 0") > 20, "directions")
    check(count("kd.context.rip") >= 1, "registers")
    check("malformed" not in tshark(path, "-V").lower(), "malformed")


def block(type_, body):
    body += b"\0" * (-len(body) % 4)
    size = 12 + len(body)
    return struct.pack("<II", type_, size) + body + struct.pack("<I", size)


def pcapng(pieces):
    """pieces: (to target?, bytes)"""
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack("<HHI", 147, 0, 262144))
    for i, (to_target, data) in enumerate(pieces):
        options = struct.pack("<HHIHH", 2, 4, 2 if to_target else 1, 0, 0)
        padded = data + b"\0" * (-len(data) % 4)
        out += block(6, struct.pack("<IIIII", 0, 0, i, len(data), len(data)) + padded + options)
    return out


def packet(type_, payload, ident=0x80800000):
    control = type_ in (4, 5, 6)
    head = struct.pack("<IHHII", 0x69696969 if control else 0x30303030, type_, len(payload), ident,
                       sum(payload))
    return head + payload + (b"" if control else b"\xaa")


def test_every_api(folder):
    """Every API, state, I/O and file code, whole and cut short, in pieces of any size: as kd decode"""
    dice = random.Random(7)
    stream = b""
    for code in [*range(0x3130, 0x3163), 0x3FFF]:
        for size in (56, 56 + 48, 56 + 1232, 30):
            body = bytes(dice.randrange(256) for _ in range(size - 4))
            stream += packet(2, struct.pack("<I", code) + body, dice.choice((0x80800000, 0x80800001)))
    for type_, codes, size in ((7, (0x3030, 0x3031, 0x3032, 0x3039), 240), (3, (0x3230, 0x3231), 16),
                               (11, (0x3430, 0x3431, 0x3432, 0x3433), 64), (9, (0x3330,), 64),
                               (10, (0x4300, 0x4301), 12), (1, (0x3030, 0x3031), 104)):
        for code in codes:
            for more in (0, 24):
                stream += packet(type_, struct.pack("<I", code) +
                                 bytes(dice.randrange(1, 127) for _ in range(size - 4 + more)))
    pieces = []
    while stream:
        n = dice.choice((1, 3, 16, 200, 3000))
        pieces.append((False, stream[:n]))
        stream = stream[n:]
    path = folder / "apis.pcapng"
    path.write_bytes(pcapng(pieces))
    n, n_fields = compare(path, folder)
    check(n >= 220, f"{n} packets")
    print(f"# {n} packets, {n_fields} fields")


def test_nonsense(folder):
    """Random bytes, torn packets and wild lengths: shown, without an error in the dissector"""
    dice = random.Random(11)
    pieces = []
    for _ in range(400):
        data = bytearray(packet(dice.choice((2, 3, 7, 11)), dice.randbytes(dice.randrange(300))))
        for _ in range(dice.randrange(4)):
            data[dice.randrange(len(data))] = dice.choice((0x30, 0x69, 0x62, 0, 0xAA, 0xFF))
        pieces.append((bool(dice.randrange(2)), bytes(data[:dice.randrange(1, len(data) + 1)])))
    path = folder / "nonsense.pcapng"
    path.write_bytes(pcapng(pieces))
    check("Lua" not in tshark(path, "-V"), "an error in the dissector")


def test_kdnet(folder):
    """The KDNET capture: in clear as it came, and decrypted packet for packet"""
    packed = pathlib.Path(os.environ.get("OPENKD_DATA") or "/nowhere") / "windbg-uncut.pcapng.gz"
    if not packed.exists():
        print("# SKIP: the capture is not there: set OPENKD_DATA")
        return
    capture, plain = folder / "capture.pcapng", folder / "plain.pcapng"
    capture.write_bytes(gzip.decompress(packed.read_bytes()))
    seen = tshark(capture, "-Y", "kdnet").splitlines()
    check(len(seen) > 900, f"{len(seen)} datagrams")
    text = run(KD, "decode", "--key", KEY, "-w", plain, capture, env=environment(folder))
    check("READ_VIRTUAL" not in text, "the text is printed, too")
    n, n_fields = compare(plain, folder)
    check(n > 500, f"{n} packets")
    print(f"# {len(seen)} datagrams, {n} packets, {n_fields} fields")


def main():
    tests = [test_session, test_filters, test_every_api, test_nonsense, test_kdnet]
    if len(sys.argv) > 4:
        tests = [t for t in tests if t.__name__ == "test_" + sys.argv[4]]
    print(f"1..{len(tests)}")
    failed = 0
    for i, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix="kd-dissector-") as folder:
            try:
                test(pathlib.Path(folder))
                print(f"ok {i} - {test.__doc__}")
            except (Failure, subprocess.TimeoutExpired) as e:
                failed += 1
                print("\n".join(f"# {line}" for line in f"Failure: {e}".splitlines()))
                print(f"not ok {i} - {test.__doc__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
