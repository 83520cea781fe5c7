# SPDX-License-Identifier: MIT
"""The demo guest with netprobe.sys, and traffic_agent as its debugger."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "guest"))

from net_machine import DONE, JOB, START, STOP, Job  # noqa: E402 (found only now)

ARCH = os.environ.get("KD_DEMO_ARCH", "x64")
LOAD_NETPROBE, KILL = 21, 19  # demo.sys
JOBS = 16


class AgentError(RuntimeError):
    """traffic_agent says no; `.where` is the column of a filter."""

    def __init__(self, command, answer):
        super().__init__(f"{command}: {answer.get('text')}")
        self.text, self.where = answer.get("text", ""), answer.get("where")


class Agent:
    """One debugger: attached, the target is stopped."""

    def __init__(self, program, endpoint, symbols):
        self.process = subprocess.Popen([program, endpoint, symbols], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.is_stopped = True
        self._answer("attach")

    def _answer(self, command):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{command}: traffic_agent ended: {self.process.stderr.read()[-2000:]}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise AgentError(command, answer)
        return answer

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer(command)

    def go(self):
        self.ask("go")
        self.is_stopped = False

    def stop(self):
        self.ask("break")
        self.is_stopped = True

    @contextlib.contextmanager
    def stopped(self):
        was = self.is_stopped
        if not was:
            self.stop()
        try:
            yield
        finally:
            if not was:
                self.go()

    def kill(self):
        """As if it had crashed."""
        self.process.kill()
        self.process.communicate()

    def quit(self):
        if self.process.poll() is None:
            self.process.stdin.write("quit\n")
            self.process.communicate(timeout=20)


class Qmp:
    def __init__(self, path):
        self.file = None
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(path)
        self.file = sock.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer or "error" in answer:
                return answer

    def human(self, line):
        return self.ask("human-monitor-command", **{"command-line": line})


class TrafficMachine:
    """with TrafficMachine(agent, run_demo, images) as m: m.agent is attached, the guest runs."""

    def __init__(self, agent, run_demo, images, smp=2, more=(), driver=True):
        self.program, self.images = agent, images
        self.dir = tempfile.TemporaryDirectory(prefix="kd-traffic-")
        self.serial = os.path.join(self.dir.name, "s")
        self.console = os.path.join(self.dir.name, "console")
        command = [run_demo, "--images", images, "--arch", ARCH, "--smp", str(smp), "--net", "--serial",
                   self.serial, "--console", self.console, *(["--driver", "netprobe"] if driver else []), *more]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.agent, self.next_job = None, 0
        self.processes = []

    def __enter__(self):
        self.expect(r"init: system is up")
        self.debug_running()
        return self

    def __exit__(self, *exc):
        for agent in self.processes:
            agent.kill()
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()

    def log(self):
        try:
            return pathlib.Path(self.console).read_text(encoding="latin-1")
        except FileNotFoundError:
            return ""

    def expect(self, pattern, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.log()):
                return match
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} did not come; console:\n{self.log()}")

    def debug(self):
        """A (new) debugger; the target is stopped."""
        folder = os.path.join(self.images, "x86") if ARCH != "x64" else self.images
        self.agent = Agent(self.program, "unix:" + self.serial, folder)
        self.processes.append(self.agent)
        return self.agent

    def debug_running(self):
        """The same; it runs, and what the attachment left on the line has come: a second stop perhaps."""
        self.debug().go()
        time.sleep(0.3)

    # --- through the agent

    def ask(self, command):
        return self.agent.ask(command)

    def counters(self):
        return self.ask("counters")

    def flows(self):
        return self.ask("flows")["flows"]

    def held(self):
        return self.ask("held")["items"]

    def number(self, expression, size=4):
        with self.agent.stopped():
            raw = bytes.fromhex(self.ask("peek " + expression)["bytes"])
        return int.from_bytes(raw[:size], "little")

    def numbers(self, *expressions):
        with self.agent.stopped():
            return [self.number(e, 8 if e.startswith("nt!") else 4) for e in expressions]

    def poke(self, expression, raw):
        with self.agent.stopped():
            self.ask(f"poke {expression} {raw.hex()}")

    def demo(self, command, argument=0):
        """A command of demo.sys; its result."""
        with self.agent.stopped():
            before = self.number("demo!DemoCounter")
            self.poke("demo!DemoArgument", argument.to_bytes(8, "little"))
            self.poke("demo!DemoCommand", command.to_bytes(4, "little"))
        deadline = time.monotonic() + 20
        while self.number("demo!DemoCounter") == before:
            if time.monotonic() > deadline:
                raise AssertionError(f"command {command} did not finish; console:\n{self.log()}")
            time.sleep(0.05)
        return self.number("demo!DemoResult", 8) & 0xFFFFFFFF

    # --- jobs, as NetMachine's

    def start(self, kind, address="127.0.0.1", port=0, connections=1, size=0, count=0, delay=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address).ljust(16, b"\0")
        job = JOB.pack(0, kind, 23 if ":" in address else 2, port, connections, raw, size, count, delay,
                       *[0] * 10)
        with self.agent.stopped():
            while True:
                number = self.next_job % JOBS
                self.next_job += 1
                if self.job(number).state in (0, DONE):
                    break
            at = f"tcpip!NetJobs+0x{number * JOB.size:x}"
            self.poke(at, job)
            self.poke(at, START.to_bytes(4, "little"))
        return number

    def job(self, number):
        with self.agent.stopped():
            return Job(bytes.fromhex(self.ask(f"peek tcpip!NetJobs+0x{number * JOB.size:x}")["bytes"]))

    def serve(self, kind, **what):
        number = self.start(kind, **what)
        deadline = time.monotonic() + 10
        while not (job := self.job(number)).ready:
            if job.state == DONE or time.monotonic() > deadline:
                raise AssertionError(f"does not listen: {job}; console:\n{self.log()}")
            time.sleep(0.02)
        return number

    def stop_job(self, number):
        self.poke(f"tcpip!NetJobs+0x{number * JOB.size:x}", STOP.to_bytes(4, "little"))
        return self.finish(number)

    def finish(self, number, seconds=40):
        deadline, pause = time.monotonic() + seconds, 0.03
        while (job := self.job(number)).state != DONE:
            if time.monotonic() > deadline:
                raise AssertionError(f"not done after {seconds} s: {job}; counters {self.counters()}\n"
                                     f"console:\n{self.log()[-1500:]}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.3)
        return job

    def do(self, kind, seconds=40, **what):
        return self.finish(self.start(kind, **what), seconds)
