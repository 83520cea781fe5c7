#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot the demo guest without a debugger and look whether it lives.

usage: test_demo_guest.py FOLDER [CASE...]     FOLDER: where the images and PDBs are
Each case is a function case_*; output is TAP.
"""
import re
import shutil
import struct
import sys
import time

from guest_machine import LAYOUT, Machine

FLG_WRITE, FLG_EXECUTE, FLG_DISCARDABLE = 0x80000000, 0x20000000, 0x02000000
READ_HANDLED, READ_UNHANDLED, DIVIDE, BUGCHECK, LOAD, UNLOAD, RECURSE, REBOOT = 1, 2, 3, 8, 9, 10, 11, 12
USER_COMMAND, START_PROGRAM, WRITE_FAULT, POOL_FAULT, ILLEGAL, OVERFLOW, KILL = 13, 14, 15, 16, 17, 18, 19
USER_EXIT, USER_READ_FAULT, USER_BREAKPOINT, USER_DIVIDE, USER_PRIVILEGED, USER_SPIN = 1, 2, 3, 4, 5, 6
STATE_RUNNING, STATE_WAITING = 2, 5
ZEROS = "0" * (2 * LAYOUT.word - 1)
X64_ONLY = {"case_stacks_unwind", "case_low_stub"}  # unwind data; a shape that only x64 has


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, want, what):
    check(got == want, f"{what}: {got!r}, expected {want!r}")


def started(folder, smp=2, options=""):
    machine = Machine(folder, smp=smp, options=options)
    try:
        machine.expect(r"init: system is up")
        machine.expect(r"worker\.exe\[\d+\]: worker is counting")
        machine.expect(r"pinger\.exe\[\d+\]: pinger is pinging")
        machine.attach()
    except BaseException:
        machine.__exit__()
        raise
    return machine


def processes(m):
    """[(eprocess, pid, name, [ethread...])] from PsActiveProcessHead."""
    head = m.modules["nt"]["PsActiveProcessHead"]
    found = []
    link = m.pointer(head)
    while link != head and len(found) < 100:
        process = link - LAYOUT.process_links
        threads = []
        thread_head = process + LAYOUT.process_threads
        at = m.pointer(thread_head)
        while at != thread_head and len(threads) < 100:
            threads.append(at - LAYOUT.thread_link)
            at = m.pointer(at)
        name = m.stub.read(process + LAYOUT.process_name, 15).rstrip(b"\0").decode()
        found.append((process, m.pointer(process + LAYOUT.process_pid), name, threads))
        link = m.pointer(link)
    return found


def prcbs(m, count):
    block = m.modules["nt"]["KiProcessorBlock"]
    return [m.pointer(block + LAYOUT.word * i) for i in range(count)]


def run_ticks(m, count, seconds=30):
    """Let the guest run for `count` clock ticks of its own: how long that takes is the host's affair."""
    prcb, = prcbs(m, 1)
    until = m.u64(prcb + LAYOUT.prcb_clock) + count
    deadline = time.monotonic() + seconds
    while m.u64(prcb + LAYOUT.prcb_clock) < until:
        check(time.monotonic() < deadline, f"{count} clock ticks take more than {seconds} s")
        m.run(0.1)


def unicode(m, address):
    length, = struct.unpack("<H", m.stub.read(address, 2))
    return m.stub.read(m.pointer(address + LAYOUT.word), length).decode("utf-16-le")


def case_one_processor(folder):
    with started(folder, smp=1) as m:
        m.expect(r"ke: 1 processor\(s\), \d+ MB")
        m.expect(r"no debugging")
        before = m.u32(m.modules["demo"]["DemoTicks"])
        run_ticks(m, 40)
        check(m.u32(m.modules["demo"]["DemoTicks"]) > before + 5, "demo.sys does not tick")


def case_two_processors_work(folder):
    with started(folder) as m:
        m.expect(r"ke: 2 processor\(s\)")
        def counters():
            return [[m.u64(p + off) for off in (LAYOUT.prcb_clock, LAYOUT.prcb_switches, LAYOUT.prcb_calls)]
                    for p in prcbs(m, 2)]
        before = counters()
        run_ticks(m, 80)
        for cpu, (old, new) in enumerate(zip(before, counters())):
            for what, a, b in zip(("clock ticks", "context switches", "system calls"), old, new):
                check(b > a, f"no {what} on processor {cpu}: {a} -> {b}")


def case_processes_and_modules(folder):
    with started(folder) as m:
        found = {name: (process, pid, threads) for process, pid, name, threads in processes(m)}
        equal(sorted(found), ["System", "pinger.exe", "worker.exe"], "processes")
        equal(found["System"][1], 4, "PID of System")
        bases = {m.pointer(p + LAYOUT.process_directory) for p, _, _ in found.values()}
        equal(len(bases), 3, "address spaces")
        names = []
        head = m.modules["nt"]["PsLoadedModuleList"]
        link = m.pointer(head)
        while link != head and len(names) < 50:
            names.append(unicode(m, link + LAYOUT.entry_name))
            base = m.pointer(link + LAYOUT.entry_base)
            equal(m.stub.read(base, 2), b"MZ", "image of " + names[-1])
            link = m.pointer(link)
        equal(names[:2], ["ntoskrnl.exe", "hal.dll"], "first modules")
        check({"null.sys", "demo.sys"} <= set(names), f"drivers in {names}")


def check_waiting_stacks(m):
    """Unwind every thread that waits, from its switch frame; how many there were."""
    checked = 0
    for _, _, name, threads in processes(m):
        for thread in threads:
            running = m.stub.read(thread + 0x71, 1)[0]
            if running or m.stub.read(thread + 0x184, 1)[0] != STATE_WAITING:
                continue
            frames = m.saved_stack(thread)
            checked += 1
            equal(frames[0], "KiSwapContext", f"top of a waiting thread of {name}")
            if name == "System":
                equal(frames[-2:], ["KiStartSystemThread", "bottom"], "system thread")
            else:
                equal(frames[-2], "KiSystemCall64", f"kernel entry of {name}")
                check(frames[-1].startswith("user 0x7ff6"), f"{name} returns to {frames[-1]}")
    return checked


def case_stacks_unwind(folder):
    with started(folder) as m:
        demo, nt = m.modules["demo"], m.modules["nt"]
        m.stub.ask(f"Z0,{demo['DemoWork']:x},1")
        m.stub.go()
        m.stub.wait()
        stacks = [m.stack(cpu) for cpu in range(2)]
        m.stub.ask(f"z0,{demo['DemoWork']:x},1")
        check(["DemoWork", "DemoTick", "DemoThread", "PspThreadStartup", "KiThreadStartup",
               "KiStartSystemThread", "bottom"] in stacks, f"stack at DemoWork: {stacks}")
        for _ in range(50):
            if check_waiting_stacks(m) >= 2:
                break
            m.run(0.05)
        else:
            raise AssertionError("there are never two threads waiting")
        m.stub.ask(f"Z0,{nt['KeBugCheckEx']:x},1")
        m.start_command(READ_UNHANDLED, 0x20)
        m.stub.go()
        m.stub.wait()
        frames = next(s for s in (m.stack(0), m.stack(1)) if s[0] == "KeBugCheckEx")
        at = frames.index("KiPageFault")
        check("KiExceptionDispatch" in frames[:at], f"through the trap: {frames}")
        equal(frames[at + 1:at + 3], ["read_fault_unhandled", "DemoRun"], "below the trap")


def case_exceptions(folder):
    with started(folder) as m:
        code = m.modules["demo"]["DemoWork"]
        equal(m.command(READ_HANDLED, 0x10), 0xC0000005, "read of the zero page")
        equal(m.command(READ_HANDLED, LAYOUT.hole), 0xC0000005, "read of a hole")
        equal(m.command(WRITE_FAULT, code), 0xC0000005, "write to code")
        equal(m.command(DIVIDE, 0), 0xC0000094, "division by zero")
        equal(m.command(DIVIDE, 7), 14, "division by seven")
        equal(m.command(ILLEGAL), 0xC000001D, "ud2")
        equal(m.command(RECURSE, 30), 30, "recursion")


def case_drivers_come_and_go(folder):
    with started(folder) as m:
        for _ in range(3):
            equal(m.command(LOAD), 0, "load")
            equal(m.command(LOAD), 0xC0000035, "second load")
            equal(m.command(UNLOAD), 0, "unload")
        equal(m.command(UNLOAD), 0xC0000034, "unload of nothing")
        equal(len(re.findall(r"late\.sys unloaded", m.log())), 3, "messages")
        array = m.pointer(m.modules["nt"]["MmUnloadedDrivers"])
        equal(unicode(m, array), "late.sys", "MmUnloadedDrivers[0]")
        equal(m.u32(m.modules["nt"]["MmLastUnloadedDriver"]), 3, "MmLastUnloadedDriver")


def case_programs_end_and_start(folder):
    with started(folder) as m:
        for command, status in ((USER_READ_FAULT, 0xC0000005), (USER_BREAKPOINT, 0x80000003),
                                (USER_DIVIDE, 0xC0000094), (USER_PRIVILEGED, 0xC0000096),
                                (USER_EXIT, 0)):
            pid = next(pid for _, pid, name, _ in processes(m) if name == "worker.exe")
            free = m.u64(m.modules["nt"]["MmAvailablePages"])
            m.command(USER_COMMAND, command)
            m.stub.go()
            m.expect(rf"ps: worker\.exe \({pid}\) ended with status 0x{status:08x}")
            m.stub.stop()
            freed = m.u64(m.modules["nt"]["MmAvailablePages"]) - free
            check(freed > 20, f"only {freed} pages came back")
            new = m.command(START_PROGRAM, 0)
            m.stub.go()
            m.expect(rf"worker\.exe\[{new}\]: worker is counting")
            m.stub.stop()


def case_spinning_program_is_preempted(folder):
    """One that never sleeps must not stop others of its priority, and can be ended while it runs."""
    for smp in (1, 2):
        with started(folder, smp=smp) as m:
            m.command(USER_COMMAND, USER_SPIN)
            run_ticks(m, 10)
            spinner = next(t[0] for _, _, name, t in processes(m) if name == "worker.exe")
            pinger = next(t[0] for _, _, name, t in processes(m) if name == "pinger.exe")
            switches = m.u32(pinger + LAYOUT.thread_switches)
            ran = m.u32(spinner + LAYOUT.thread_run_time)
            run_ticks(m, 80)
            check(m.u32(spinner + LAYOUT.thread_run_time) > ran + 20, "the spinning thread does not get the time")
            check(m.u32(pinger + LAYOUT.thread_switches) > switches + 5, "pinger.exe is starved")
            equal(m.command(KILL, 0), 0, "kill")
            m.stub.go()
            m.expect(r"ps: worker\.exe \(\d+\) ended with status 0x00000000")


def case_floating_point_survives(folder):
    """pinger.exe keeps a value in xmm7 for ever: its saved FPU state must show it, also on one
    processor with another program that is switched to directly."""
    with started(folder, smp=1) as m:
        seen = 0
        for _ in range(20):
            m.run(0.05)
            thread = next(t[0] for _, _, name, t in processes(m) if name == "pinger.exe")
            if m.stub.read(thread + LAYOUT.thread_state, 1)[0] == STATE_WAITING:
                seen += 1
                equal(m.u64(m.pointer(thread + LAYOUT.thread_floating) + 0xA0 + 16 * 7), 0x0123456789ABCDEF, "xmm7")
        check(seen >= 5, f"pinger.exe waits only {seen} times of 20")


def case_write_xor_execute(folder):
    with started(folder) as m:
        system = m.pointer(m.modules["nt"]["PsInitialSystemProcess"])
        root = m.pointer(system + LAYOUT.process_directory)
        size_of = LAYOUT.entry_size
        bits = 10 if size_of == 4 else 9
        for name, module in m.modules.items():
            for section, rva, size, _, _, flags in module.sections:
                for off in range(0, size, 0x1000):
                    entry = root
                    for shift in LAYOUT.table_shifts:
                        index = (module.base + rva + off) >> shift & ((1 << bits) - 1)
                        at = LAYOUT.window + (entry & 0x000FFFFFFFFFF000) + size_of * index
                        entry = m.u64(at) if size_of == 8 else m.u32(at)
                        if not entry & 1:
                            break
                    where = f"{name} {section}+{off:#x}"
                    if flags & FLG_DISCARDABLE:
                        check(not entry & 1, f"{where} was not discarded")
                        continue
                    check(entry & 1, f"{where} is not mapped")
                    equal(bool(entry & 2), bool(flags & FLG_WRITE), f"{where} writable")
                    if size_of == 8:  # without PAE there is no such bit
                        equal(not entry >> 63, bool(flags & FLG_EXECUTE), f"{where} executable")


def case_low_stub(folder):
    """The start block of processor 1 looks as tools expect it (symbols facts 5.5)."""
    with started(folder) as m:
        stub = 0xFFFFFA8000000000 + 0x1000
        equal(m.u64(stub) & 0xFFFFFFFFFFFF00FF, 0x00000001000600E9, "signature")
        equal(m.u64(stub + 0x70), m.modules["nt"]["KiApplicationProcessorStart"], "LmTarget")
        system = m.u64(m.modules["nt"]["PsInitialSystemProcess"])
        equal(m.u64(stub + 0xA0), m.u64(system + 0x28), "CR3")


def case_bugcheck_and_reboot(folder):
    with started(folder) as m:
        m.start_command(BUGCHECK, 0xDEADBEEF)
        m.stub.go()
        m.expect(rf"\*\*\* STOP: 0xdeadbeef \(0x{ZEROS}1, 0x{ZEROS}2, 0x{ZEROS}3, 0x{ZEROS}4\)")
        m.expect("System halted", seconds=30)
    with started(folder) as m:
        m.start_command(POOL_FAULT)
        m.stub.go()
        m.expect(rf"\*\*\* STOP: 0x000000d1 \({LAYOUT.hole:#x}, 0x{ZEROS}2, 0x{ZEROS}0, "
                 rf"{LAYOUT.kernel_code}")
    with started(folder) as m:
        m.stub.ask(f"Z0,{m.modules['nt']['KeBugCheckEx']:x},1")
        m.start_command(OVERFLOW)
        m.stub.go()
        m.stub.wait()
        if not LAYOUT.is_x86:
            frames = next(s for s in (m.stack(0), m.stack(1)) if s[0] == "KeBugCheckEx")
            equal(frames[:4], ["KeBugCheckEx", "KiBugCheckDispatch", "KiDoubleFaultAbort",
                               "DemoRecursion"], "from the double fault's stack to the other")
        m.stub.ask(f"z0,{m.modules['nt']['KeBugCheckEx']:x},1")
        m.stub.go()
        m.expect(rf"\*\*\* STOP: 0x0000007f \(0x{ZEROS}8,")
    with started(folder) as m:
        m.start_command(REBOOT)
        m.stub.go()
        m.expect("System is restarting")
        equal(m.process.wait(timeout=10), 0, "QEMU's exit status")  # -no-reboot


def main():
    if not shutil.which("qemu-system-x86_64") or not shutil.which("llvm-pdbutil"):
        print("1..0 # SKIP needs qemu-system-x86_64 and llvm-pdbutil")
        return 0
    folder = sys.argv[1]
    cases = sys.argv[2:] or sorted(n for n in globals() if n.startswith("case_") and
                                   not (LAYOUT.is_x86 and n in X64_ONLY))
    failed = 0
    print(f"1..{len(cases)}")
    for number, name in enumerate(cases, 1):
        try:
            globals()[name](folder)
            print(f"ok {number} - {name}", flush=True)
        except Exception as error:  # report and go on with the next case
            failed += 1
            text = str(error).replace("\n", "\n# ")
            print(f"not ok {number} - {name}\n# {type(error).__name__}: {text}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
