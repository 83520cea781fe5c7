#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""netprobe-setup.cmd under a real cmd, Wine's, with a stand-in for Windows' service manager.

usage: test_netprobe_setup.py FOLDER [TEST...]    FOLDER has netprobe-setup.cmd, x64/ and x86/

What this can't show is whether Windows does with these commands what is expected of it.
"""
import sys

from windows_cmd import Drive, check, run_tests

CREATE = ("sc create netprobe type= kernel start= {} error= normal binPath= system32\\drivers\\netprobe.sys "
          'depend= BFE/tcpip DisplayName= "OpenKD network probe"')


def make_drive(windows, cpu="AMD64"):
    drive = Drive(windows, cpu, "netprobe-setup.cmd", "netprobe.sys")
    (drive.system32 / "drivers").mkdir()
    return drive


def changing(calls):
    return [c for c in calls if not c.startswith(("reg ", "sc query"))]


def test_there_and_back(windows):
    for cpu, folder in (("AMD64", "x64"), ("x86", "x86")):
        drive = make_drive(windows, cpu)
        target = drive.system32 / "drivers/netprobe.sys"
        before = drive.files()
        code, text, _ = drive.run("status")
        check(code == 0 and "not installed" in text, f"{cpu}: status of nothing", text)
        code, text, calls = drive.run("install /dryrun")
        check(code == 0 and drive.files() == before and not changing(calls), f"{cpu}: a dry run", text, calls)
        code, text, calls = drive.run("install")
        check(code == 0 and changing(calls) == [CREATE.format("demand"), "sc start netprobe"],
              f"{cpu}: install's commands", code, text, *calls)
        check(target.read_bytes() == (windows.guest / folder / "netprobe.sys").read_bytes(), f"{cpu}: its file")
        code, text, _ = drive.run("status")
        check("installed and runs" in text, f"{cpu}: status", text)
        code, text, calls = drive.run("install /boot")
        check(code == 0 and changing(calls) == ["sc stop netprobe", "sc delete netprobe", CREATE.format("system"),
                                                "sc start netprobe"], f"{cpu}: again, another way", text, *calls)
        code, text, calls = drive.run("uninstall")
        check(code == 0 and drive.files() == before, f"{cpu}: uninstall leaves nothing", text, calls,
              sorted(set(drive.files()) ^ set(before)))
        code, text, _ = drive.run("uninstall")
        check(code == 0 and "not installed any more" in text, f"{cpu}: twice is no error", text)


def test_refusals(windows):
    drive = make_drive(windows)
    before = drive.files()
    for arguments, words, code_wanted, variables in (
            ("", "usage", 2, {}), ("instal", "usage", 2, {}), ("install /bot", "no option /bot", 2, {}),
            ("status /boot", "usage", 2, {}), ("install", "administrator", 1, {"KD_USER": "1"}),
            ("uninstall", "administrator", 1, {"KD_USER": "1"}),
            ("install", "this processor", 1, {"PROCESSOR_ARCHITECTURE": "ARM64"}),
            ("install", "access is denied", 1, {"KD_FAIL": "sc create"})):
        code, text, _ = drive.run(arguments, **variables)
        check(code == code_wanted and words in text, f"{arguments} {variables}: {words}", code, text)
    drive.run("uninstall")
    check(drive.files() == before, "nothing was left")
    code, text, _ = drive.run("install", KD_STUCK="1")
    check(code == 1 and "testsigning" in text, "a driver that does not start: what to do is said", code, text)
    code, text, _ = drive.run("status")
    check("does not run" in text, "status of one that does not run", text)
    drive.run("uninstall")
    (drive.tool / "x64/netprobe.sys").unlink()
    code, text, _ = drive.run("install")
    check(code == 1 and "netprobe.sys is missing" in text, "its file is missing", code, text)


if __name__ == "__main__":
    sys.exit(run_tests("netprobe-setup.cmd", globals()))
