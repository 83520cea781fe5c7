#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kd without a terminal, against the fake target: exit statuses, signals, ends, bad input."""
import gzip
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

from kd_console import ROOT, Fake, Folder, Kd, check, kill, main, run_kd

# mov ecx,1000; again: nop; dec ecx; jnz again; int3; hlt
LOOP = "eb demo+1000 b9 e8 03 0 0 90 ff c9 75 fb cc f4"


def decoded(folder, path):
    done = run_kd(folder, ["decode", "--json", str(path)])
    check(done.returncode == 0, f"decode: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def silent_socket(folder):
    listener = socket.socket(socket.AF_UNIX)
    path = folder.path / "silent.sock"
    listener.bind(str(path))
    listener.listen(4)
    return listener, path


def test_silent():
    """A silent socket: status 3 in time, with the diagnosis"""
    with Folder() as folder:
        listener, path = silent_socket(folder)
        done = run_kd(folder, ["-k", f"unix:{path}", "--connect-timeout", "2", "-c", "q"])
        listener.close()
        check(done.returncode == 3, f"status {done.returncode}")
        check(1.9 < done.seconds < 2.5, f"it took {done.seconds:.2f} s")
        check("byte" in done.stderr and "debug" in done.stderr, done.stderr)
        # What is advised works before the target was heard, where Ctrl-C gives up.
        check("Break in (.breakin, or kd -b)" in done.stderr, done.stderr)
        check("Ctrl-C" not in done.stderr and "paused" in done.stderr, done.stderr)


def resets_heard(folder, option):
    """RESET packets that kd sends to somebody silent in 2.5 seconds."""
    listener, path = silent_socket(folder)
    with Kd(folder, ["-k", f"com:pipe,port={path}{option}", "-b", "--connect-timeout", "2.5"]) as kd:
        peer, _ = listener.accept()
        peer.settimeout(0.2)
        heard = b""
        while kd.process.poll() is None:
            try:
                heard += peer.recv(4096)
            except TimeoutError:
                pass
        peer.close()
    listener.close()
    path.unlink()
    return heard.count(b"iiii\x06\0")


def test_resets():
    """resets=N: so many RESETs while nobody answers, without it they go on"""
    with Folder() as folder:
        check(resets_heard(folder, ",resets=1") == 1, "resets=1")
        check(resets_heard(folder, ",resets=0") > 1, "resets=0: no limit")


def test_recording_ends():
    """A recording that cannot go on: said, the session goes on"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        fifo = folder.path / "fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        with Kd(folder, [*target.arguments, "--record", str(fifo), "--keep-going"]) as kd:
            kd.wait_text("g lets")
            os.close(reader)
            kd.send("db demo L400; .echo went on")
            kd.wait_text("went on")
            kd.wait_text("recording ended early")
            kd.process.stdin.close()
            kd.wait_end()


def test_interrupt_attach():
    """Ctrl-C while attaching: status 130 within 150 ms"""
    with Folder() as folder:
        listener, path = silent_socket(folder)
        with Kd(folder, ["-k", f"unix:{path}"]) as kd:
            peer, _ = listener.accept()
            time.sleep(0.5)
            start = time.monotonic()
            kill(kd.process, signal.SIGINT)
            status = kd.wait_end()
            took = time.monotonic() - start
            peer.close()
        listener.close()
        check(status == 130, f"status {status}")
        check(took < 0.15, f"it took {took * 1000:.0f} ms")


def test_garbage_first():
    """1 MiB of random bytes, then a target: it is found"""
    with Folder() as folder, Fake(folder) as target:
        listener, path = silent_socket(folder)

        def relay():
            near, _ = listener.accept()
            near.sendall(random.Random(7).randbytes(1 << 20))
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(target.socket))
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    (far if ready is near else near).sendall(data)

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        done = run_kd(folder, ["-k", f"unix:{path}", "--connect-timeout", "30", "-c", "lm; q"])
        check(done.returncode == 0, f"status {done.returncode}: {done.stderr}")
        check("nt" in done.stdout, done.stdout)


def leave_with(way):
    """kd stopped with ten breakpoints planted, and how it ends: (status, records)"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        record = folder.path / "r.pcapng"
        sets = "; ".join(f"bp demo+{0x2000 + 16 * i:x}" for i in range(10))
        with Kd(folder, [*target.arguments, "--record", str(record)]) as kd:
            kd.send(f"{sets}; bl")
            kd.send("eb demo+1000 90 cc 90 f4; r rip=demo+1000; g; .echo stopped")
            kd.wait_text("stopped")
            way(kd)
            status = kd.wait_end()
        records = decoded(folder, record)
        # The target goes on and can be attached to again.
        again = run_kd(folder, [*target.arguments, "-c", "lm; q"])
        check(again.returncode == 0, f"attaching again: {again.stderr}")
        return status, records


def planted_at_the_end(records):
    planted = set()
    for r in records:
        values = {f["name"]: f.get("value") for f in r["fields"] if f.get("value") is not None}
        if r["direction"] != "from_target" and r["direction"] != "T>D":
            if r["name"] == "RESTORE_BREAKPOINT":
                planted.discard(values.get("handle"))
        elif r["name"] == "WRITE_BREAKPOINT" and values.get("handle"):
            planted.add(values["handle"])
    return planted


def check_left_clean(records):
    names = [r["name"] for r in records if r["name"]]
    written = sum(n == "WRITE_BREAKPOINT" for n in names)
    check(written >= 20, f"only {written} WRITE_BREAKPOINT packets: nothing was planted")
    left = planted_at_the_end(records)
    check(not left, f"breakpoints {left} were left in the target")
    last = [r for r in records if r["name"]][-1]
    check(last["name"].startswith("CONTINUE"), f"the last packet is {last['name']}")


def test_sigterm():
    """SIGTERM while stopped with 10 breakpoints: all restored, target continued, status 143"""
    status, records = leave_with(lambda kd: kill(kd.process, signal.SIGTERM))
    check(status == 143, f"status {status}")
    check_left_clean(records)


def test_sighup():
    """SIGHUP: the same, status 129"""
    status, records = leave_with(lambda kd: kill(kd.process, signal.SIGHUP))
    check(status == 129, f"status {status}")
    check_left_clean(records)


def test_end_of_input():
    """End of input: the same, status 0"""
    status, records = leave_with(lambda kd: kd.process.stdin.close())
    check(status == 0, f"status {status}")
    check_left_clean(records)


def test_sigterm_running():
    """SIGTERM while the target runs: stopped for a moment, cleaned, continued"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        record = folder.path / "r.pcapng"
        with Kd(folder, [*target.arguments, "--record", str(record)]) as kd:
            kd.send("bp demo+2000; .echo armed; g")
            kd.wait_text("armed")
            time.sleep(0.5)
            kill(kd.process, signal.SIGTERM)
            status = kd.wait_end()
        records = decoded(folder, record)
        check(status == 143, f"status {status}")
        check(not planted_at_the_end(records), "a breakpoint was left")
        check([r for r in records if r["name"]][-1]["name"].startswith("CONTINUE"), "not continued")


def test_33_breakpoints():
    """The 33rd breakpoint is refused with an explanation"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        sets = "; ".join(f"bp demo+{0x1000 + 16 * i:x}" for i in range(33))
        done = run_kd(folder, [*target.arguments, "--keep-going", "-c", f"{sets}; bl; g; q",
                               "--wait-timeout", "3"])
        check("32" in done.stderr and "breakpoint" in done.stderr, done.stderr)
        check(" 31 e" in done.stdout and " 32 e" not in done.stdout, done.stdout)
        check("0x" not in done.stderr.split("32")[0], f"a protocol error: {done.stderr}")


def test_condition_1000():
    """A condition that is false 1000 times: always resumed, hits counted exactly"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        done = run_kd(folder, [*target.arguments, "-v", "--wait-timeout", "50", "-c",
                               f"{LOOP}; r rip=demo+1000; bp /w \"@ecx == 0\" demo+1005; g; r ecx; "
                               ".status; q"])
        check(done.returncode == 0, done.stderr)
        check("ecx=00000000" in done.stdout, "the loop did not run to its end: " + done.stdout)
        stops = int(re.search(r"(\d+)  stops", done.stdout)[1])
        # Attaching, the end, and for each hit itself and the step off it.
        check(2000 <= stops <= 2003, f"{stops} stops")
        print(f"# 1000 hits in {done.seconds:.1f} s")


def test_commands_1000():
    """A command that ends in gc, 500 times: nothing nests"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        done = run_kd(folder, [*target.arguments, "--wait-timeout", "50", "-c",
                               f"{LOOP}; eb demo+1001 f4 01; r rip=demo+1000; "
                               "bp demo+1005 \"r $t0=@$t0+1; gc\"; g; bl; ? @$t0; q"])
        check(done.returncode == 0, done.stderr)
        check("[500 hits]" in done.stdout and "Evaluate expression: 500 =" in done.stdout,
              done.stdout[-500:])
        check("Breakpoint 0 hit" not in done.stdout, "a hit that went on was told as a stop")


def test_command_that_stops():
    """A breakpoint's command that leaves the target stopped: its output, then the stop's banner"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        done = run_kd(folder, [*target.arguments, "--wait-timeout", "50", "-c", LOOP,
                               "-c", "r rip=demo+1000; bp demo+1005 \".echo looked; r ecx\"; g",
                               "-c", ".echo later; q"])
        check(done.returncode == 0, done.stderr)
        order = [done.stdout.find(t) for t in ("looked", "ecx=", "Breakpoint 0 hit", "later")]
        check(-1 not in order and order == sorted(order), done.stdout)


def test_unknown_command():
    """An unknown command: one line, status 1, the rest skipped; with --keep-going not"""
    with Folder() as folder, Fake(folder) as target:
        done = run_kd(folder, [*target.arguments, "-c", "nosuch; .echo later; q"])
        check(done.returncode == 1, f"status {done.returncode}")
        check(done.stderr == "error: no such command 'nosuch'; see .help\n", done.stderr)
        check("later" not in done.stdout, done.stdout)
        done = run_kd(folder, [*target.arguments, "--keep-going", "-c", "nosuch; .echo later; q"])
        check(done.returncode == 1 and "later" in done.stdout, f"{done.returncode} {done.stdout}")
        done = run_kd(folder, target.arguments, stdin="nosuch\n.echo later\n")
        check(done.returncode == 1 and "later" not in done.stdout, "from a pipe")


def test_bad_input():
    """A bad expression, an unreadable address, a missing PDB: one clear line each"""
    with Folder() as folder, Fake(folder) as target:
        for command, words in (("? (1", "column"), ("db 10 L4", "not readable"),
                               ("x nt!Foo; dt nt!_EPROCESS", "nt"), ("bc 5", "no breakpoint 5"),
                               (".logopen /nowhere/x", "No such file"), ("bp", None)):
            done = run_kd(folder, [*target.arguments, "-c", f"{command}; q"])
            if words is None:
                check(done.returncode == 0, done.stderr)
                continue
            check(done.returncode == 1, f"{command}: status {done.returncode}")
            check(words in done.stderr and done.stderr.count("\n") == 1,
                  f"{command}: {done.stderr!r}")


def test_from_a_pipe():
    """Commands from a pipe wait for stops; comments and empty lines do nothing"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        done = run_kd(folder, target.arguments, stdin=f"* note\n\n{LOOP}\nr rip=demo+1000\n"
                                                      "bp demo+1005\ng\nr ecx\n$$ end\nbc *\ng\n"
                                                      ".echo at the int3\n")
        check(done.returncode == 0, done.stderr)
        check("ecx=000003e8" in done.stdout and "at the int3" in done.stdout, done.stdout)
        check("kd>" not in done.stdout, "there are prompts in piped output")


def test_many_from_a_pipe():
    """A script longer than the queue of lines, and at once: none of it is lost"""
    with Folder() as folder, Fake(folder) as target:
        done = run_kd(folder, target.arguments, stdin="".join(f".echo line {n}\n" for n in range(20000)))
        check(done.stdout.count("line ") == 20000, done.stdout[-200:] + done.stderr[-200:])


def test_script_file():
    """-cf: lines are shown as they run; -c comes after it"""
    with Folder() as folder, Fake(folder) as target:
        script = folder.path / "s.kd"
        script.write_text("$$ a comment\n.echo from the file\nlm1m\n")
        done = run_kd(folder, [*target.arguments, "-cf", str(script), "-c", ".echo then; q"])
        check(done.returncode == 0, done.stderr)
        text = done.stdout
        check(text.index("from the file") < text.index("kd> lm1m") < text.index("then"), text)
        check("kd> .echo" not in text and "comment" not in text, text)
        block = folder.path / "b.kd"
        block.write_text(".if (1) {\n  .echo inner\n}\n.echo ${$arg1}\n")
        done = run_kd(folder, [*target.arguments, "-c", f"$$>a<{block} given; q"])
        check("inner" in done.stdout and "given" in done.stdout, done.stdout + done.stderr)
        done = run_kd(folder, [*target.arguments, "-cf", "/nowhere/x"])
        check(done.returncode == 2 and "/nowhere/x" in done.stderr, done.stderr)


def test_wait_timeout():
    """--wait-timeout: status 7"""
    with Folder() as folder, Fake(folder) as target:
        done = run_kd(folder, [*target.arguments, "--wait-timeout", "1", "-c", "g; k; q"])
        check(done.returncode == 7, f"status {done.returncode}")
        check(1 <= done.seconds < 4 and "did not stop" in done.stderr, done.stderr)
        done = run_kd(folder, [*target.arguments, "--wait-timeout", "1", "-c", "g; q", "--json"])
        check(done.returncode == 7, f"status {done.returncode} with --json")


def test_lost():
    """The target's process dies: status 4, and why"""
    with Folder() as folder, Fake(folder) as target:
        with Kd(folder, [*target.arguments, "--connect-timeout", "1"]) as kd:
            kd.send(".echo here")
            kd.wait_text("here")
            target.process.kill()
            target.socket.unlink()
            status = kd.wait_end()
            check(status == 4, f"status {status}: {kd.text} {kd.errors}")
            check("lost" in kd.text + kd.errors, kd.errors)


def test_bugcheck():
    """The target crashed: status 6"""
    with Folder() as folder, Fake(folder) as target:
        with Kd(folder, target.arguments) as kd:
            kd.wait_text("g lets the target run")
            target.tell("bugcheck")
            kd.send("g; .lastevent; q")
            status = kd.wait_end()
            check(status == 6, f"status {status}: {kd.text} {kd.errors}")


def test_interrupt_batch():
    """Ctrl-C while commands of -c run: status 130, the target runs on"""
    with Folder() as folder, Fake(folder) as target:
        with Kd(folder, [*target.arguments, "-c", ".while (1) { .sleep 10 }; q"]) as kd:
            kd.wait_text("g lets the target run")
            time.sleep(0.3)
            start = time.monotonic()
            kill(kd.process, signal.SIGINT)
            status = kd.wait_end()
            check(status == 130, f"status {status}")
            check(time.monotonic() - start < 1, "it took more than 1 s")
        done = run_kd(folder, [*target.arguments, "-c", "q"])
        check(done.returncode == 0, done.stderr)


def test_usage():
    """Wrong options, targets and configuration: status 2 and one line"""
    with Folder() as folder:
        for arguments, words in ((["--nosuch"], "--nosuch"), ([], "which target"),
                                 (["win10"], "no VM is called 'win10'"), (["-k"], "ENDPOINT"),
                                 (["-k", "foo:bar"], "foo"), (["decode"], "decode"),
                                 (["-k", "unix:/x", "--session", "a/b"], "--session")):
            done = run_kd(folder, arguments)
            check(done.returncode == 2, f"{arguments}: status {done.returncode} {done.stderr}")
            check(words in done.stderr, f"{arguments}: {done.stderr}")
        folder.configure("color = never\nnonsense\n")
        done = run_kd(folder, ["-k", "unix:/x"])
        check(done.returncode == 2 and "config:2:" in done.stderr, done.stderr)
        done = run_kd(folder, ["decode", "/nowhere.pcapng"])
        check(done.returncode == 1 and "/nowhere.pcapng" in done.stderr, done.stderr)


def test_no_socket():
    """A dead endpoint: status 3 and what to do"""
    with Folder() as folder:
        done = run_kd(folder, ["-k", f"unix:{folder.path}/none.sock", "-c", "q"])
        check(done.returncode == 3 and "none.sock" in done.stderr, done.stderr)
        done = run_kd(folder, ["-k", "tcp:127.0.0.1:1", "-c", "q"])
        check(done.returncode == 3 and "127.0.0.1" in done.stderr, done.stderr)


def test_in_use():
    """A port that another debugger holds: it is named"""
    with Folder() as folder, Fake(folder) as target:
        with Kd(folder, target.arguments) as first:
            first.send(".echo here")
            first.wait_text("here")
            done = run_kd(folder, [*target.arguments, "-c", "q", "--connect-timeout", "2"])
            check(done.returncode == 3, f"status {done.returncode} {done.stderr}")
            check(str(first.process.pid) in done.stderr or "in use" in done.stderr, done.stderr)
            first.process.stdin.close()
            check(first.wait_end() == 0, first.errors)


def test_named_target():
    """A target of the configuration file, with its startup commands"""
    with Folder() as folder, Fake(folder) as target:
        folder.configure(
            f"startup = .echo for all\nsympath = /syms\n[target vm]\n"
            f"endpoint = unix:{target.socket}\nstartup = .echo for vm\nsympath = /first\n")
        done = run_kd(folder, ["vm", "-c", ".sympath; .status; q"])
        check(done.returncode == 0, done.stderr)
        text = done.stdout
        check(text.index("for all") < text.index("for vm") < text.index("/first;/syms"), text)
        check(f"{folder.path}/runtime/openkd/vm.sock" in text, text)


def test_read_only():
    """--read-only: looking is fine, changing is refused"""
    with Folder() as folder, Fake(folder) as target:
        done = run_kd(folder, [*target.arguments, "--read-only", "--keep-going", "-c",
                               "db nt L4; eb nt 0; bp nt; r rax=1; g; q", "--wait-timeout", "1"])
        check(done.stderr.count("--read-only") == 3, done.stderr)
        check("4d 5a" in done.stdout, done.stdout)


def test_prompt():
    """DbgPrompt: the next line is the answer"""
    with Folder() as folder, Fake(folder) as target:
        with Kd(folder, [*target.arguments, "--json"]) as kd:
            kd.wait_text('"event":"stop"')
            target.tell("prompt what now? ")
            kd.send("g")
            kd.wait_text('"event":"prompt"')
            kd.send("nothing")
            target.tell("print after the answer")
            kd.wait_text("after the answer")
            kd.process.stdin.close()
            status = kd.wait_end()
            check(status == 0, f"status {status}: {kd.text} {kd.errors}")


def test_first_load():
    """-d: a stop at the first module load"""
    with Folder() as folder, Fake(folder, "--module", "demo.sys:0x6000") as target:
        with Kd(folder, [*target.arguments, "-d", "--json"]) as kd:
            while kd.next_json()["event"] != "stop":
                pass
            kd.send("g")
            target.tell("load 1")
            seen = kd.next_json()
            while "cmd" not in seen:
                seen = kd.next_json()
            check(seen["stop"]["reason"] == "module", seen)
            kd.process.stdin.close()
            check(kd.wait_end() == 0, kd.errors)


def test_record():
    """--record, then kd decode as text and as JSON"""
    with Folder() as folder, Fake(folder) as target:
        record = folder.path / "r.pcapng"
        done = run_kd(folder, [*target.arguments, "--record", str(record), "-c", "db nt L4; q"])
        check(done.returncode == 0, done.stderr)
        names = [r["name"] for r in decoded(folder, record)]
        check("READ_VIRTUAL" in names and "GET_VERSION" in names, names)
        out = folder.path / "out.txt"
        done = run_kd(folder, ["decode", str(record), "-w", str(out)])
        check(done.returncode == 0 and "READ_VIRTUAL" in out.read_text(), done.stderr)
        done = run_kd(folder, ["decode", "-v", str(record)])
        check("actual" in done.stdout, "no fields with -v")


def test_decode_onto_itself():
    """kd decode -w and --record never cost a recording: onto itself, unreadable input, nothing heard"""
    with Folder() as folder, Fake(folder) as target:
        record, link, out = (folder.path / name for name in ("r.pcapng", "l.pcapng", "out.txt"))
        done = run_kd(folder, [*target.arguments, "--record", str(record), "-c", "db nt L4; q"])
        check(done.returncode == 0, done.stderr)
        before = record.read_bytes()
        link.symlink_to(record)
        for options in ([], ["--key", "1.2.3.4"]):
            done = run_kd(folder, ["decode", str(record), *options, "-w", str(link)])
            check(done.returncode == 2 and "file to be read" in done.stderr, done.stderr)
            check(record.read_bytes() == before and link.is_symlink(), "the recording was touched")
        done = run_kd(folder, ["-k", f"replay:{record}", "--record", str(record), "-c", "q"])
        check(done.returncode == 3 and "another file" in done.stderr, done.stderr)
        done = run_kd(folder, ["-k", f"unix:{folder.path}/none", "--record", str(record), "-c", "q"])
        check(done.returncode == 3, done.stderr)
        listener, path = silent_socket(folder)
        done = run_kd(folder, ["-k", f"unix:{path}", "--record", str(record), "-c", "q",
                               "--connect-timeout", "0.5"])
        listener.close()
        check(done.returncode == 3, done.stderr)
        check(record.read_bytes() == before, "the recording was touched")
        out.write_text("precious")
        (folder.path / "bad").write_text("no recording at all, just words")
        done = run_kd(folder, ["decode", str(folder.path / "bad"), "-w", str(out)])
        check(done.returncode == 1 and out.read_text() == "precious", done.stderr)
        check(not list(folder.path.glob("*.part")) + list(folder.path.glob(".*.part")), "a rest")


def test_decode_texts():
    """kd decode of what is no recording: each said once, with what to do"""
    with Folder() as folder:
        (folder.path / "x.gz").write_bytes(gzip.compress(b"words"))
        for words, status, says in ((["x.gz"], 1, "gunzip it"), (["a", "b"], 2, "one file at a time"),
                                    (["none"], 1, "No such file")):
            done = run_kd(folder, ["decode", *(str(folder.path / word) for word in words)])
            check(done.returncode == status and says in done.stderr, done.stderr)
            check(done.stderr.count(str(folder.path / words[0])) == 1, done.stderr)


def test_decode_plain():
    """kd decode --key -w x.pcapng: a recording instead of the text"""
    maker = os.environ.get("KD_NET_CAPTURE") or str(ROOT / "build/tests/io/test_kd_decode_net")
    with Folder() as folder:
        capture, plain = folder.path / "capture.pcapng", folder.path / "plain.pcapng"
        subprocess.run([maker, "--capture", str(capture)], check=True, timeout=20)
        before = capture.read_bytes()
        words = ["decode", "--key", "8.8.8.8", str(capture)]
        done = run_kd(folder, words)
        check(done.returncode == 0 and "GET_VERSION" in done.stdout, done.stderr)
        done = run_kd(folder, [*words, "-w", str(plain)])
        check(done.returncode == 0 and done.stdout == "", done.stdout + done.stderr)
        check("GET_VERSION" in [r["name"] for r in decoded(folder, plain)], "no packets in it")
        done = run_kd(folder, [*words, "-w", str(capture)])
        check(done.returncode == 2 and capture.read_bytes() == before, done.stderr)


def test_decode_net():
    """kd decode --key: a key that is none, a file that is no capture; the key is not repeated"""
    with Folder() as folder, Fake(folder) as target:
        record = folder.path / "r.pcapng"
        done = run_kd(folder, [*target.arguments, "--record", str(record), "-c", "q"])
        for key, says in (("hush.2.3", "fourth word is missing"), ("hush.2.3.4", "no KDNET")):
            done = run_kd(folder, ["decode", "--key", key, str(record)])
            check(done.returncode == (2 if "missing" in says else 1), done.returncode)
            check(says in done.stderr, done.stderr)
            check("hush" not in done.stderr + done.stdout, done.stderr)


def test_round_trips():
    """-v tells what each command cost; neighbouring fields cost one request"""
    with Folder() as folder, Fake(folder, *(["--module", "m.sys"] * 5)) as target:
        done = run_kd(folder, [*target.arguments, "--json", "-c",
                               ".reload; lm; db nt L8; db nt+8 L8; q"])
        rows = {o["cmd"]: o for o in map(json.loads, done.stdout.splitlines()) if "cmd" in o}
        check(len(rows["lm"]["data"]) == 6, rows["lm"]["text"])
        check(rows["lm"]["round_trips"] + rows[".reload"]["round_trips"] <= 6 * 3 + 4, rows["lm"])
        check(rows["db nt+8 L8"]["round_trips"] == 0, rows["db nt+8 L8"])
        done = run_kd(folder, [*target.arguments, "-v", "-c", "db nt L8; q"])
        check("round trips" in done.stdout, done.stdout)


def test_log():
    """.logopen: the transcript"""
    with Folder() as folder, Fake(folder) as target:
        log = folder.path / "log.txt"
        done = run_kd(folder, target.arguments, stdin=f".logopen {log}\nlm1m\nnosuch\n")
        check(done.returncode == 1, done.stderr)
        text = log.read_text()
        check("lm1m\nnt\n" in text and "no such command" in text, text)


def test_environment():
    """$_NT_DEBUG_PORT and $_NT_SYMBOL_PATH"""
    with Folder() as folder, Fake(folder) as target:
        folder.environment["_NT_DEBUG_PORT"] = f"unix:{target.socket}"
        folder.environment["_NT_SYMBOL_PATH"] = "/from/environment"
        done = run_kd(folder, ["-c", ".sympath; q"])
        check(done.returncode == 0 and "/from/environment" in done.stdout,
              done.stdout + done.stderr)


if __name__ == "__main__":
    picked = [f for n, f in list(globals().items()) if n.startswith("test_") and
              (len(sys.argv) < 2 or n in sys.argv[1:])]
    sys.exit(main(picked))
