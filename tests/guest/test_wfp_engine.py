#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""wfptest.sys in the demo guest: every check it makes is one here. What it did not come to fails too.

    test_wfp_engine.py IMAGES
"""
import re
import shutil
import sys

from guest_machine import Machine

DRIVERS = ["ndis.sys", "fwpkclnt.sys", "wfptest.sys"]
LEAST = 200  # checks; fewer, and a part was not run
VIOLATIONS = 22  # so many breaches are tried at least


def run(folder):
    """The lines of wfptest.sys, and how often the engine complained."""
    with Machine(folder, smp=2, drivers=DRIVERS) as m:
        m.expect(r"wfptest: end (\d+) - ", 60)
        log = m.log()
    return (re.findall(r"^wfptest: (ok|not ok) (\d+) - (.*)$", log, re.M),
            len(re.findall(r"^WFP contract violation: ", log, re.M)),
            int(re.search(r"wfptest: end (\d+) ", log).group(1)))


def main():
    if not shutil.which("qemu-system-x86_64") or not shutil.which("llvm-pdbutil"):
        print("1..0 # SKIP needs qemu-system-x86_64 and llvm-pdbutil")
        return 0
    try:
        lines, violations, told = run(sys.argv[1])
    except AssertionError as error:
        print("1..1\nnot ok 1 - wfptest.sys comes to its end\n# " + str(error).replace("\n", "\n# "))
        return 1
    outcomes = [(verdict == "ok", what) for verdict, _, what in lines]
    outcomes.append(([int(n) for _, n, _ in lines] == list(range(1, told + 1)) and told >= LEAST,
                     f"all checks were made, {told} of {LEAST} at least"))
    outcomes.append((violations >= VIOLATIONS, f"the console shows the violations: {violations}"))
    print(f"1..{len(outcomes)}")
    for number, (good, what) in enumerate(outcomes, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {what}")
    return 0 if all(good for good, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
