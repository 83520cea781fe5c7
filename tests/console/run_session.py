#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run a session script: commands given to kd --json one by one, and what they must answer.

A script is lines:
    # comment                       exit: 1 if a command is to fail, else 0, unless said
    target: fake|guest OPTION...    options: OPTION-OF-KD...    exit: STATUS
    < LINE          told to the fake target
    > COMMAND       given to kd; then what must come of it:
    = TEXT          the next line of its output
    ~ REGEX         a later line of its output; (?P<name>...) is kept for ${name}
    ! REGEX         no line of its output
    error STATUS [REGEX]    it fails so (without this line it must succeed)
    stop REASON     it let the target run, which stopped so
    event KIND [REGEX]      an event that came before the result
    data EXPRESSION         Python over `data`, true
${PC} and ${SP} are those of the demo guest's machine; a line behind "x64: " or "x86: " is for that one
only. Every line of output is checked against its schema.
"""
import re
import shlex
import sys

from kd_console import (Failure, Folder, IS_X86, Kd, check, check_result, data_schemas, make_target)

# Names scripts may use: what differs between the machines of the demo guest (KD_DEMO_ARCH).
NAMES = dict(zip(("PC", "SP"), ("eip", "esp") if IS_X86 else ("rip", "rsp")))


class Step:
    def __init__(self, command, number):
        self.command, self.number, self.checks = command, number, []


def read(path):
    target, options, wanted_exit, steps = "fake", "", None, []
    for number, line in enumerate(open(path), 1):
        line = line.rstrip("\n")
        tagged = re.match(r"(x64|x86): (.*)", line)
        if tagged and (tagged[1] == "x86") != IS_X86:
            continue
        line = tagged[2] if tagged else line
        if not line.strip() or line.startswith("#"):
            continue
        head, _, rest = line.partition(" ")
        if head == "target:":
            target = rest
        elif head == "options:":
            options = rest
        elif head == "exit:":
            wanted_exit = int(rest)
        elif head in (">", "<"):
            steps.append(Step((head, rest), number))
        elif head in ("=", "~", "!", "error", "stop", "event", "data"):
            steps[-1].checks.append((head, rest, number))
        else:
            raise SystemExit(f"{path}:{number}: what is {line!r}?")
    if wanted_exit is None:
        wanted_exit = int(any(c[0] == "error" for step in steps for c in step.checks))
    return target, options, wanted_exit, steps


class Session:
    def __init__(self, kd, schemas):
        self.kd, self.schemas, self.names = kd, schemas, dict(NAMES)

    def fill(self, text):
        return re.sub(r"\$\{(\w+)\}", lambda m: self.names.get(m[1], m[0]), text)

    def result(self):
        events = []
        while True:
            value = self.kd.next_json()
            check_result(value, self.schemas)
            if "cmd" in value:
                return value, events
            events.append(value)

    def lines(self, checks, text):
        lines, at = text.splitlines(), 0
        for kind, rest, number in checks:
            rest = self.fill(rest)
            if kind == "=":
                got = lines[at] if at < len(lines) else "(nothing)"
                check(got.rstrip() == rest.rstrip(), f"line {number}: {got!r} is not {rest!r}")
                at += 1
            elif kind == "~":
                found = next((i for i in range(at, len(lines)) if re.search(rest, lines[i])), None)
                check(found is not None, f"line {number}: nothing matches {rest!r} in\n{text}")
                self.names.update(re.search(rest, lines[found]).groupdict())
                at = found + 1
            elif kind == "!":
                bad = [l for l in lines if re.search(rest, l)]
                check(not bad, f"line {number}: {bad[:1]} matches {rest!r}")

    def outcome(self, checks, value, events):
        wants_error = [c for c in checks if c[0] == "error"]
        if not wants_error:
            check(value["ok"], f"failed: {value['error']}")
        for kind, rest, number in checks:
            head, _, pattern = self.fill(rest).partition(" ")
            if kind == "error":
                check(not value["ok"], f"line {number}: it succeeded")
                got = value["error"]
                check(got["status"] == head and re.search(pattern, got["text"]),
                      f"line {number}: {got}")
            elif kind == "stop":
                check(value["stop"] and value["stop"]["reason"] == head,
                      f"line {number}: stop is {value['stop']}")
            elif kind == "event":
                check(any(e["event"] == head and re.search(pattern, e["text"]) for e in events),
                      f"line {number}: events are {events}")
            elif kind == "data":
                check(eval(self.fill(rest), {"data": value["data"]}),
                      f"line {number}: {rest} is not so: {value['data']}")

    def run(self, step):
        self.kd.send(self.fill(step.command[1]))
        value = {"text": ""}
        try:
            value, events = self.result()
            self.outcome(step.checks, value, events)
            self.lines(step.checks, value["text"])
        except Failure as problem:
            raise Failure(f"line {step.number}: {step.command[1]}: {problem}\n{value['text']}")


def run_script(path):
    target, options, wanted_exit, steps = read(path)
    with Folder() as folder, make_target(folder, *shlex.split(target)) as machine:
        schemas = data_schemas(folder)
        arguments = [*machine.arguments, "--json", "--keep-going", *shlex.split(options)]
        with Kd(folder, arguments) as kd:
            session = Session(kd, schemas)
            while kd.next_json()["event"] != "stop":
                pass
            for step in steps:
                if step.command[0] == "<":
                    machine.tell(session.fill(step.command[1]))
                else:
                    session.run(step)
            kd.process.stdin.close()
            status = kd.wait_end()
            check(status == wanted_exit, f"the exit status is {status}, not {wanted_exit}; "
                                         f"{kd.errors}")
        check(machine.process.poll() is None, "the target died")
    return sum(step.command[0] == ">" for step in steps)


def main():
    bad = 0
    for path in sys.argv[1:]:
        try:
            print(f"{path}: {run_script(path)} commands")
        except Failure as problem:
            bad = 1
            print(f"{path}: {problem}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
