#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Memory out of the VM's RAM: the same bytes as through KD, and what happens where it can't be had."""
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time

os.environ["KD_DEMO_TRANSPORT"] = "COM1"

from kd_console import Folder, Guest, IS_X86, Kd, ROOT, SYMBOLS, check, main, run_kd

ROADS = os.environ.get("KD_MEMORY_ROADS",
                       str(ROOT / "build" / "tests" / "engine" / "kd-memory-roads"))


def counter(text, name):
    found = re.search(rf"^ *(\d+)  bytes of memory {name}", text, re.M)
    check(found, f"no counter of {name}: {text}")
    return int(found[1])


def compare(*options):
    with Folder() as folder, Guest(folder, "--smp", "1", *options) as guest:
        done = subprocess.run([ROADS, f"unix:{guest.socket}", SYMBOLS], text=True, timeout=100,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=folder.environment)
        check(done.returncode == 0, done.stdout)
        print("#", done.stdout.strip())


def test_mapped():
    """Mapped RAM: 300 kernel pages equal to KD's, breakpoints hidden on both"""
    compare()


def test_process():
    """The same through QEMU's process"""
    compare("--private-ram")


def test_foreign_process():
    """User memory of another process, on both roads"""
    dump = ("bp demo!DemoTick 5; g; !process 0 0 worker.exe; "
            ".foreach /pS 1 /ps 30 (p { !process 0 0 worker.exe }) { .process /p p }; "
            "db 7ffd0000 L20; .status; q")
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        texts = [run_kd(folder, [*guest.arguments, "--memory", road, "-c", dump]).stdout
                 for road in ("auto", "kd")]
        dumps = [re.findall(r"^(?:00000000`)?7ffd0.*$", text, re.M) for text in texts]
        check(dumps[0] and dumps[0] == dumps[1], f"{texts[0]}\n{texts[1]}")
        check(counter(texts[0], "read out of the VM's RAM") > 0, texts[0])


def test_refused():
    """--memory kd, and a VM without a monitor: all through KD, and .status says so"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        done = run_kd(folder, [*guest.arguments, "--memory", "kd", "-c", "k; .status; q"])
        check(done.returncode == 0, done.stderr)
        check(counter(done.stdout, "read out of the VM's RAM") == 0, done.stdout)
        check("memory by KD" in done.stdout, done.stdout)
    with Folder() as folder, Guest(folder, "--smp", "1", "--qmp", "none") as guest:
        done = run_kd(folder, [*guest.arguments, "-c", "k; .status; q"])
        check(done.returncode == 0, done.stderr)
        check(counter(done.stdout, "read out of the VM's RAM") == 0, done.stdout)
        check("-qmp" in done.stdout, done.stdout)


def test_only_ram():
    """--memory ram: nothing of memory through KD; where RAM can't be had, one line says why"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest:
        done = run_kd(folder, [*guest.arguments, "--memory", "ram", "-c",
                               "bp demo!DemoTick 0n20; g; k; !process 0 0; .status; q"])
        check(done.returncode == 0, done.stderr)
        check("demo!DemoTick" in done.stdout and "worker.exe" in done.stdout, done.stdout)
        check(counter(done.stdout, "fetched from the target") <= 64 * 2, done.stdout)
        absent = run_kd(folder, [*guest.arguments, "--memory", "ram", "-c", "db " + ("f0000000" if IS_X86 else "fffff90000000000") + " L4"])
        check(absent.returncode != 0 and "not readable" in absent.stderr + absent.stdout,
              absent.stdout + absent.stderr)
    with Folder() as folder, Guest(folder, "--smp", "1", "--qmp", "none") as guest:
        done = run_kd(folder, [*guest.arguments, "--memory", "ram", "-c", "db nt L4"])
        check(done.returncode != 0 and "-qmp" in done.stderr + done.stdout, done.stdout)


def test_ram_through_proxy():
    """--memory ram where no VM is at the other end: said at the first stop, once, with the remedy"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest, \
            socket.socket(socket.AF_UNIX) as listener:
        path = folder.path / "proxy.sock"
        listener.bind(str(path))
        listener.listen(1)
        threading.Thread(target=relay, args=(listener, guest.socket), daemon=True).start()
        done = run_kd(folder, ["-k", f"unix:{path}", "-y", SYMBOLS, "--memory", "ram",
                               "--keep-going", "-c", "lm; .echo over; q"])
        before = done.stdout.split("over")[0]
        check(before.count("guest RAM cannot be read (--memory ram): no QEMU") == 1, done.stdout)
        check("the VM's own socket" in before, done.stdout)


def relay(listener, target):
    with listener.accept()[0] as near, socket.socket(socket.AF_UNIX) as far:
        far.connect(str(target))
        while True:
            for side in select.select([near, far], [], [])[0]:
                data = side.recv(65536)
                if not data:
                    return
                (far if side is near else near).sendall(data)


def live(kd, command):
    kd.send(f".live {command}")
    answer = {}
    while answer.get("cmd") != f".live {command}": # that of g, whose stop does not come
        answer = kd.next_json()
    return answer


def test_live():
    """.live: memory of a running target, without asking it anything"""
    with Folder() as folder, Guest(folder, "--smp", "1") as guest, \
            Kd(folder, [*guest.arguments, "--json", "--keep-going"]) as kd:
        kd.send("bp demo!DemoTick; g; bc *; bp nt!KeBugCheckEx; g")
        answer = {}
        while answer.get("cmd") != "bp nt!KeBugCheckEx":
            answer = kd.next_json()
        ticks = []
        deadline = time.monotonic() + 10
        while len(set(ticks)) < 3:
            check(time.monotonic() < deadline, f"the target does not tick: {ticks}")
            answer = live(kd, "dd demo!DemoTicks L1")
            check(answer["ok"] and (answer["data"] or {}).get("is_running"), str(answer))
            check(answer["round_trips"] == 0, str(answer))
            check("running" in answer["text"], str(answer))
            ticks.append(answer["text"].split()[-1])
            time.sleep(0.05)
        example = live(kd, "dq nt!PsLoadedModuleList L2")
        check(example["ok"] and "`" in example["text"], str(example))
        code = live(kd, "db nt!KeBugCheckEx L1")
        check(code["ok"] and " cc" not in code["text"], f"our breakpoint is seen: {code}")
        names = live(kd, "!process 0 0")
        check("worker.exe" in names["text"], str(names))
        for command in ("r cs", "dd 7ffe0000 L1", "ed demo!DemoTicks 0", "g", "k"):
            answer = live(kd, command)
            check(not answer["ok"] and answer["error"]["status"] == "RUNNING",
                  f"{command}: {answer}")


if __name__ == "__main__":
    tests = [test_mapped, test_process, test_foreign_process, test_refused, test_only_ram,
             test_ram_through_proxy,
             test_live]
    if len(sys.argv) > 1:
        tests = [t for t in tests if t.__name__ == "test_" + sys.argv[1]]
    sys.exit(main(tests))
