#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""!mutator, !crashflt and the channels: kd, the demo guest's programs, and what a server on this host gets.

    test_mutators.py KD IMAGES [NAME...]      NAME: of a function test_NAME
"""
import contextlib
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "wireshark"))
from traffic_lab import (Client, Lab, Session, check, check_clean, check_schema, fields,  # noqa: E402
                         names_server, run_tests, wait_for)
from net_machine import (ASK_NAMES, GET_AT_ONCE, GET_PAGE, HOST4, SEND_BULK, SERVE_LINES, TALK_LINES,  # noqa: E402
                         Received, TcpServer)

KD, IMAGES = (os.path.abspath(a) for a in sys.argv[1:3])
REQUEST = b"GET /index.html HTTP/1.0\r\nHost: demo\r\nConnection: close\r\n\r\n"
BODY = b"<html><body>" + b"0123456789" * 20 + b"</body></html>\n"
ANSWER = len(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: 227\r\n\r\n") + len(BODY)
USER_COMMAND, STORE_TO_NULL = 13, 2  # demo.sys; what its program then does


def serve(seen=None):
    """A web server that takes whatever comes in one piece for a request: mutations garble them."""
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(BODY)

    def answer(connection):
        connection.settimeout(2)
        with contextlib.suppress(OSError):
            if request := connection.recv(65536):
                if seen is not None:
                    seen.append(request)
                connection.sendall(head + BODY)
    return answer


class Commands(Client):
    """A client of a session that says what a user would."""

    def say(self, line):
        """Its data, or its text."""
        result = self.good("run", command=line)["results"][-1]
        check_schema("command", result)
        check(result["ok"], f"{line}: {result['error']}")
        return result["data"] if result["data"] is not None else result["text"]

    def refused(self, line, *words):
        result = self.ask("run", command=line)["results"][-1]
        check(not result["ok"], f"{line}: accepted: {result}")
        text = result["error"]["text"]
        for word in words:
            check(word in text, f"{line}: {text!r} without {word!r}")
        check("\n" not in text, f"{line}: more than a line: {text!r}")

    def mutator(self, number=0):
        return self.say("!mutator")[number]


@contextlib.contextmanager
def mutating(lab, *lines):
    """A session that intercepts what these commands say."""
    with Session(KD, lab) as session, Commands(session.socket) as c:
        c.folder = session.path
        c.good("subscribe")
        c.say("!traffic start intercept")
        for line in lines:
            c.say(line)
        yield c


def pages(lab, web, count=1, done=None):
    job = lab.do(GET_PAGE, address=HOST4, port=web.port, count=count)
    check((job.done, job.failed) == (count if done is None else done, 0 if done is None else count - done), str(job))
    return job


# --- who mutates ---

def test_builtin(lab):
    """Built-in mutations: the same seed does the same, another one something else; one in N; removed, no more"""
    seen = []
    with TcpServer(serve(seen)) as web:
        got = {}
        for seed in (7, 7, 8):
            with mutating(lab, f"!mutator add bitflip seed={seed} bpf dst port {web.port}") as c:
                pages(lab, web, 4)
                m = c.mutator()
                check_schema("mutators", c.say("!mutator"))
                check((m["seen"], m["changed"], m["failed"]) == (4, 4, 0), m)
                again = got.setdefault(seed, list(seen))
                check(again == seen, f"seed {seed} made {seen} of what it made {again} of")
            check(len(seen) == 4 and all(len(s) == len(REQUEST) and s != REQUEST for s in seen), seen)
            seen.clear()
        check(got[7] != got[8], "two seeds did the same")
        with mutating(lab, f"!mutator add bitflip seed=3 one=4 bpf dst port {web.port}") as c:
            pages(lab, web, 24)
            changed = sum(s != REQUEST for s in seen)
            check(0 < changed < 16, f"{changed} of 24, one in 4")
            check("!pass" in c.say("!mutator remove 1"), "a word about who decides now")
            c.say("!traffic intercept off")
            seen.clear()
            pages(lab, web, 4)
            check(seen == [REQUEST] * 4, seen)


def test_python(lab):
    """A Python file: answers grow, the program gets them; the state of its module stays"""
    with TcpServer(serve()) as web, mutating(lab) as c:
        source = c.folder / "grow.py"
        source.write_text("count = 0\n"
                          "def mutate(payload, item):\n"
                          "    global count\n"
                          "    count += 1\n"
                          "    assert item.process == 'webget.exe' and item.remote == '10.0.2.2', item\n"
                          "    if item.direction == 'in':\n"
                          "        return payload.replace(b'<body>', b'<body>' + b'!' * 1000 * count)\n")
        c.say(f"!mutator add {source} bpf src port {web.port}")
        job = pages(lab, web, 3)
        check(job.received == 3 * ANSWER + 6000, f"{job.received} bytes for {3 * ANSWER} and 6000")
        m = c.mutator()
        check((m["kind"], m["changed"], m["failed"]) == ("python", 3, 0), m)

        c.good("traffic-events")
        c.say(f"!mutator remove {m['id']}")
        talk = c.folder / "talk.py"
        talk.write_text("print('I begin')\n"
                        "def mutate(payload, item):\n"
                        "    print('%d bytes \\x1b[2J' % len(payload), end='')\n"
                        "    for i in range(3): print('', i)\n")
        c.say(f"!mutator add {talk} bpf dst port {web.port}")
        del c.events[:]
        pages(lab, web, 1)
        wanted = ["I begin", f"{len(REQUEST)} bytes .[2J 0", " 1", " 2"]
        wait_for("what it prints", lambda: c.good("status") and said(c) == wanted)
        talk.write_text("import sys\n"
                        "def mutate(payload, item):\n"
                        "    for i in range(100000): sys.stdout.buffer.write(b'\\xff%d\\n' % i)\n")
        c.say(f"!mutator remove {c.mutator()['id']}")
        c.say(f"!mutator add {talk} bpf dst port {web.port}")
        del c.events[:]
        pages(lab, web, 1)
        wanted = ["(99992 lines more)"] + [f"\ufffd{i}" for i in range(99992, 100000)]
        wait_for("the end of what it prints", lambda: c.good("status") and said(c) == wanted)


def said(c):
    """What a mutator printed, as the session tells it."""
    texts = [e["text"] for e in c.events if e["event"] == "traffic" and e["kind"] == "notice"]
    return [t.partition(": ")[2] for t in texts if t.startswith("mutator ")]


def test_program(lab):
    """A program: its output goes on, its exit status is a verdict"""
    seen = []
    with TcpServer(serve(seen)) as web:
        with mutating(lab, f'!mutator add "sed s/demo/$KD_PROCESS-$KD_DIRECTION/" bpf dst port {web.port}'):
            pages(lab, web, 2)
        check(seen == [REQUEST.replace(b"demo", b"webget.exe-out")] * 2, seen)
        seen.clear()
        with mutating(lab, f'!mutator add "echo I see $KD_PROCESS >&2; cat" bpf dst port {web.port}') as c:
            c.good("traffic-events")
            pages(lab, web, 1)
            wait_for("what it says on standard error", lambda: c.good("status") and said(c) == ["I see webget.exe"])
        check(seen == [REQUEST], seen)
        with mutating(lab, f'!mutator add "exit 3" bpf dst port {web.port}') as c:
            pages(lab, web, 1, done=0)
            check(c.mutator()["dropped"] == 1, c.mutator())
        pages(lab, web, 1)


def test_failing(lab):
    """Those that raise, hang, end, or answer nonsense: told about, out of the way, no traffic harmed"""
    seen = []
    bad = {
        "raise.py": ("def mutate(payload, item):\n    return payload[10 ** 9]\n", "line 2: IndexError"),
        "exit.py": ("import os\ndef mutate(payload, item):\n    os._exit(3)\n", ""),
        "hang.py": ("import time\ndef mutate(payload, item):\n    time.sleep(60)\n", ""),
        "type.py": ("def mutate(payload, item):\n    return 3.5\n", "float"),
        "large.py": ("def mutate(payload, item):\n    return b'x' * 70000\n", "65536"),
        "print.py": ("def mutate(payload, item):\n    print('hello')\n    raise OSError('some' + 'thing')\n", "something"),
    }
    with TcpServer(serve(seen)) as web, mutating(lab) as c:
        c.refused("!mutator add /nowhere.py", "/nowhere.py")
        c.refused("!mutator add bitflop", "bitflop")
        c.refused("!mutator add bitflip bpf tcp prt 80", "column 5")
        c.refused("!mutator add bitflip display http.requst", "http.requst")
        c.refused("!mutator add bitflip bpf", "filter is missing")
        for setting in ("one=0", "timeout=0", "timeout=abc", "seed=x", "one=5000000000"):
            c.refused(f"!mutator add bitflip {setting}", setting, "a number")
        c.refused("!mutator add sed s/a/b/", "quotes")
        c.refused("!pass all foo", "foo")
        c.refused("!traffic save my file.pcapng", "file.pcapng")
        c.refused("!traffic unstream 4294967297", "too large")
        c.refused("!traffic unstream -1", "decimal")
        c.refused("!mutator remove 4294967297", "too large")
        c.refused("!strace off now", "now")
        c.refused("!packet zzz abc", "held")
        c.refused("!crashflt work* /proc/nowhere", "/proc/nowhere")
        c.refused(f"!crashflt work* {IMAGES}/worker.exe", "no folder")
        c.say("!traffic intercept off")
        check("!traffic intercept" in c.say("!mutator add bitflip"), "a mutator that sees nothing is told about")
        c.say(f"!mutator remove {c.mutator()['id']}")
        c.say("!traffic intercept on")
        for name, (text, words) in bad.items():
            (c.folder / name).write_text(text)
            c.say(f"!mutator add {c.folder / name} timeout=200 bpf dst port {web.port}")
            pages(lab, web, 2)
            m = c.mutator()
            check(m["changed"] == 0 and m["failed"] + m["late"] == 2, f"{name}: {m}")
            check(m["last_error"] and words in m["last_error"], f"{name}: {m}")
            c.say(f"!mutator remove {m['id']}")
        c.say('!mutator add "sleep 9" timeout=200')
        begin = time.monotonic()
        pages(lab, web, 1)
        check(time.monotonic() - begin < 8, "a program that hangs")
        c.say(f"!mutator remove {c.mutator()['id']}")
        c.say(f'!mutator add "exit 9" bpf dst port {web.port}')
        pages(lab, web, 22)
        m = c.mutator()
        check(m["is_disabled"] and m["failed"] == 20, m)
        broken = c.folder / "syntax.py"
        broken.write_text("def mutate(payload, item)\n    return None\n")
        c.refused(f"!mutator add {broken}", "line 1")
    check(set(seen) == {REQUEST}, f"{set(seen)}")


def test_display_filter(lab):
    """A Wireshark display filter: what matches is edited, nothing else; by one tshark"""
    seen = []
    with TcpServer(serve(seen)) as web, names_server() as names, \
            mutating(lab, '!mutator add "sed s/demo/edited/" display http.request.uri contains index && '
                     f"tcp.dstport == {web.port}",
                     '!mutator add "tr a-z A-Z" display dns.qry.name contains nowhere') as c:
        server = lab.serve(SERVE_LINES, address="0.0.0.0", port=9001)
        pages(lab, web, 3)
        talk = lab.do(TALK_LINES, address="127.0.0.1", port=9001, count=5)
        asked = lab.do(ASK_NAMES, address=HOST4, port=names, count=3)
        lab.stop_job(server)
        check(talk.done == 5 and not talk.failed and asked.done == 3, f"{talk}, {asked}")
        found = c.say("!mutator")
        check(seen == [REQUEST.replace(b"demo", b"edited")] * 3, seen)
        check((found[0]["changed"], found[0]["failed"], found[0]["late"]) == (3, 0, 0), found)
        check(found[1]["changed"] == found[1]["seen"] == 0, found)


# --- again ---

def record_and_crash(lab, web, folder):
    """What the server got, mutated and recorded; the folder of the crash behind it."""
    with mutating(lab, f"!mutator add boundary bpf dst port {web.port}",
                  f"!mutator add insert seed=22 bpf dst port {web.port}",
                  f"!mutator record {folder / 'record'}", f"!crashflt work* {folder}/crashes") as c:
        pages(lab, web, 5)
        check(c.mutator()["changed"] > 0, c.mutator())
        crash(c)
        wait_for("a folder of the crash", lambda: list(folder.glob("crashes/crash-*/traffic.replay")), 20)
        wait_for("the stop", lambda: c.good("status")["state"] == "stopped")
    return next(folder.glob("crashes/crash-*"))


def crash(c):
    """A program of the guest stores to address 0."""
    c.good("break")
    wait_for("a stop", lambda: c.good("status")["state"] == "stopped")
    c.say(f"eq demo!DemoArgument {STORE_TO_NULL}")
    c.say(f"ed demo!DemoCommand 0n{USER_COMMAND}")
    c.say("g")


HELD = "GET /index.html HTTP/1.0"
CRASH_FILES = ("exception.txt", "registers.txt", "stack.txt", "stop.txt", "modules.txt", "processes.txt",
               "flows.txt", "mutators.txt", "mutations.jsonl", "traffic.txt", "traffic.pcapng", "traffic.replay",
               "index.json")


def check_crash(folder, web):
    check(folder.stat().st_mode & 0o77 == 0, "the folder is open to others")
    for name in CRASH_FILES:
        check((folder / name).stat().st_size, f"{name} is empty; there is {sorted(os.listdir(folder))}")
    for name, words in (("exception.txt", "c0000005"), ("stack.txt", "call site"), ("registers.txt", "rip="),
                        ("stack.txt", "worker!"), ("modules.txt", "worker"), ("modules.txt", "netprobe"), ("processes.txt", "worker"), ("mutators.txt", "boundary")):
        text = (folder / name).read_text()
        check(words in text.lower(), f"{name} without {words}:\n{text}")
    check("error" not in (folder / "stop.txt").read_text(), "an error in stop.txt")
    check(not (folder / "bugcheck.txt").exists(), "a bugcheck of a program")
    check_clean(folder / "traffic.pcapng")
    edited = fields(folder / "traffic.pcapng", f'tcp.dstport == {web.port} && frame.comment contains "edited: original"',
                    "frame.packet_id")
    before = fields(folder / "traffic.pcapng", f'frame.interface_name == "openkd-held" && frame contains "{HELD}"',
                    "frame.packet_id")
    check(edited and set(edited) <= set(before), f"edited: {edited}, as they were held: {before}")


def test_again(_):
    """A record, and a crash's folder, replayed in another boot: the server gets the same bytes"""
    seen = []
    with TcpServer(serve(seen)) as web, tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Lab(IMAGES) as lab:
            crashed = record_and_crash(lab, web, folder)
        first = list(seen)
        check(len(first) == 5 and first != [REQUEST] * 5, first)
        check_crash(crashed, web)
        with Lab(IMAGES) as lab:
            for line in (f"!mutator replay {folder / 'record'}", f"!crashflt replay {crashed}"):
                seen.clear()
                with mutating(lab, line) as c:
                    pages(lab, web, 5)
                    check(seen == first, f"{line}: {seen} for {first}")
                    c.say("!traffic stop")
            (folder / "broken").write_text((folder / "record").read_text().replace('"', "'", 1))
            with mutating(lab) as c:
                c.refused(f"!mutator replay {folder / 'broken'}", "broken", "line 1")
                c.refused(f"!crashflt replay {folder}", "traffic.replay")


# --- the other channel ---

def test_stops(lab):
    """Through breakpoints: held, edited, passed, bulk; nothing of us stays behind"""
    seen, got = [], Received()
    with Session(KD, lab) as s, Commands(s.socket) as c, TcpServer(serve(seen)) as web, \
            TcpServer(got.take) as sink:
        c.say("!traffic start intercept stops")
        check("breakpoints" in c.good("run", command="!traffic")["results"][0]["text"], "the channel")
        c.say(f'!mutator add "sed s/demo/edited/" bpf dst port {web.port}')
        c.say(f"!traffic intercept tcp port {web.port}")
        pages(lab, web, 3)
        check(seen == [REQUEST.replace(b"demo", b"edited")] * 3, seen)
        job = lab.do(SEND_BULK, address=HOST4, port=sink.port, size=300_000)
        wait_for("the host's end", lambda: got.end)
        check(job.done == 1 and (got.length, got.good) == (300_000, True), f"{job}, {got.length} bytes")
        # It says what happened at its next stop, half a second away at most.
        wait_for("all of it to be shown", lambda: [f["bytes_out"] for f in c.say("!flows all")
                                                   if f["remote_port"] == sink.port] == [300_000])
        c.say("!traffic stop")
        pages(lab, web, 1)
        c.refused("!traffic start nothing known", "column")


# --- with the target stopped ---

def state(c):
    return c.good("status")["state"]


def test_at_a_stop(lab):
    """A filter that is set at a stop is in force when the target runs; !strace stops for each payload, one by one"""
    seen = []
    with Session(KD, lab) as s, Commands(s.socket) as c, TcpServer(serve(seen)) as web:
        c.refused("!traffic filter tcp", "!traffic start")
        c.refused("!traffic start bogus", "column")
        check("capture" in c.say("!traffic start"), "a filter that was refused is forgotten")
        c.refused("!traffic unstream foo", "decimal")
        c.refused("!inject 1 sideways hi", "out")
        c.good("break")
        wait_for("a stop", lambda: state(c) == "stopped")
        check("runs" in c.say(f"!traffic intercept tcp dst port {web.port}"), "told when")
        c.good("run", command="g")
        job = lab.start(GET_PAGE, address=HOST4, port=web.port)
        wait_for("a request on hold", lambda: c.ask("run", command="!packet")["results"][-1]["ok"])
        c.say(f"!traffic intercept [ignore local=1] tcp dst port {web.port}")
        c.say("!pass all")
        wait_for("the request", lambda: seen == [REQUEST])
        lab.finish(job)
        c.say("!pass all")
        seen.clear()

        c.say("!strace on")
        job, stopped_for = lab.start(GET_AT_ONCE, address=HOST4, port=web.port, connections=3), []
        while len(seen) < 3:
            wait_for("a stop", lambda: state(c) == "stopped")
            item = c.say("!packet")["id"]
            c.refused(f"!packet {len(REQUEST) - 4:x} -5", "can't be removed")
            c.refused("!packet zzz abc", "zzz is no offset")
            check(item not in stopped_for, f"a second stop for {item}, after {stopped_for}")
            stopped_for.append(item)
            c.say("!pass")
            c.good("run", command="g")
            time.sleep(0.05)
        check(len(stopped_for) >= 3, stopped_for)
        c.say("!strace off")
        check("Mode: intercept" in c.good("run", command="!traffic")["results"][0]["text"], "as before !strace")
        c.say("!traffic intercept off")
        Session.let_run(c)
        lab.finish(job)
        c.say("!traffic stop")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), IMAGES, sys.argv[3:]))
