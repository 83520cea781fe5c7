#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kdring-setup.cmd under a real cmd, Wine's; stand-ins for the tools that would change a Windows.

usage: test_windows_setup.py FOLDER [TEST...]    FOLDER has kdring-setup.cmd, x64/ and x86/

What this can't show is whether Windows does with these commands what is expected of it.
"""
import shutil
import sys

from windows_cmd import CURRENT, ENTRY, Drive, check, run_tests

STOCK = b"MZ Windows' own kdcom.dll \0\xff"
BOOT_INI = (b'[boot loader]\r\ntimeout=30\r\n'
            b'default=multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS\r\n'
            b'[operating systems]\r\n'
            b'multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS="XP & more" /noexecute=optin '
            b'/fastdetect /debug /debugport=com1 /baudrate=57600\r\n'
            b'multi(0)disk(0)rdisk(0)partition(2)\\WINNT="Other" /fastdetect\r\n')
XP_LINE = (b'multi(0)disk(0)rdisk(0)partition(1)\\WINDOWS="OpenKD kdring" /noexecute=optin '
           b'/fastdetect /DEBUG /DEBUGPORT=RING /BAUDRATE=115200\r\n')
SERIAL = [f"bcdedit /set {ENTRY} {words}" for words in
          ("debug on", "dbgtransport kdring.dll", "debugtype serial", "debugport 1",
           "baudrate 115200", "testsigning on")]
SINCE_8 = [f"bcdedit /set {ENTRY} bootmenupolicy legacy",
           f"bcdedit /set {ENTRY} recoveryenabled no", f"bcdedit /deletevalue {ENTRY} busparams"]
COPY = ['bcdedit /enum {current}', 'bcdedit /copy {current} /d "OpenKD kdring"']
LAST = [f"bcdedit /displayorder {ENTRY} /addlast"]


def changing(calls):
    """Without the questions that every run asks first."""
    return [c for c in calls if not c.startswith("reg ")]


def commands(text, drive):
    """The commands that a run says it does, in short."""
    return [line.strip().replace(drive.path(""), "").replace("{new-entry}", ENTRY)
            for line in text.splitlines() if line.startswith("  ")
            and not line.startswith(("  openssl", "  osslsign", "  certutil"))]


def there_and_back(label, drive, arguments, wanted, **variables):
    """Install, uninstall: the calls, and that the files are as before. The files between."""
    before = drive.files()
    code, text, calls = drive.run(f"install {arguments}", **variables)
    check(code == 0 and changing(calls) == wanted, f"{label}: installs with the expected commands",
          code, text, *changing(calls), "wanted", *wanted)
    installed = drive.files()
    code, text, _ = drive.run("uninstall", KD_SAME="boot.ini.ours")
    check(code == 0 and drive.files() == before, f"{label}: uninstall leaves everything as it was",
          code, text, sorted(set(drive.files()) ^ set(before)))
    return installed


def dry_there_and_back(label, drive, arguments):
    """Each run twice, dry and in earnest: the dry one changes nothing and says the same."""
    for verb in (f"install {arguments}", "uninstall"):
        before = drive.files()
        code, dry, calls = drive.run(f"{verb} /dryrun", KD_SAME="boot.ini.ours")
        check(code == 0 and drive.files() == before
              and not [c for c in changing(calls) if "/enum" not in c and c[:3] != "fc "],
              f"{label}: {verb} /dryrun changes nothing", code, dry, calls)
        _, text, _ = drive.run(verb, KD_SAME="boot.ini.ours")
        # whether a renamed file is in use is seen when it is there only
        done = [c for c in commands(text, drive) if not c.endswith('kdcom.kdring-old"')]
        check(commands(dry, drive) == done and len(done) > 2, f"{label}: {verb} /dryrun says what "
              "is done", dry, text)


def test_boot_entries(windows):
    for release, cpu, more in (("vista", "AMD64", []), ("7", "x86", []), ("8", "AMD64", SINCE_8),
                               ("8.1", "x86", SINCE_8), ("10", "AMD64", SINCE_8),
                               ("11", "AMD64", SINCE_8)):
        windows.set_release(release)
        drive = Drive(windows, cpu)
        files = there_and_back(f"Windows {release}", drive, "",
                               COPY + SERIAL + more + LAST)
        machine = "x64" if cpu == "AMD64" else "x86"
        check(files["windows/System32/kdring.dll"] ==
              (windows.guest / machine / "kdring.dll").read_bytes(),
              f"Windows {release}: the DLL for {cpu}")


def test_replacing(windows):
    path = '"{0}windows\\System32\\kdcom.dll"'
    for release in ("10", "11"):
        windows.set_release(release)
        drive = Drive(windows)
        dll = path.format(drive.path(""))
        (drive.system32 / "kdcom.dll").write_bytes(STOCK)
        (drive.system32 / "kdcom.kdring-1.bak").write_bytes(b"an older one")
        wanted = [f'icacls {dll} /save "{drive.path("windows")}\\kdring\\kdcom.acl"',
                  f"takeown /f {dll} /a", f"icacls {dll} /grant *S-1-5-32-544:F"]
        wanted += COPY + [c.replace("kdring.dll", "kdcom.dll") for c in SERIAL] + SINCE_8
        wanted += [f"bcdedit /set {ENTRY} nointegritychecks on"] if release == "11" else []
        files = there_and_back(f"Windows {release} /replace", drive, "/replace",
                               wanted + LAST)
        check(files["windows/System32/kdcom.kdring-2.bak"] == STOCK and
              b"OpenKD kdring.dll for x64" in files["windows/System32/kdcom.dll"],
              f"Windows {release} /replace: Windows' own is kept under the next free number")
    drive.run("install /replace")
    (drive.system32 / "kdcom.dll").write_bytes(b"from Windows Update")
    code, text, _ = drive.run("uninstall")
    check(code == 0 and (drive.system32 / "kdcom.dll").read_bytes() == b"from Windows Update"
          and "it stays" in text, "a kdcom.dll that an update put there stays", text)


def test_dry_runs(windows):
    windows.set_release("11")
    drive = Drive(windows)
    (drive.system32 / "kdcom.dll").write_bytes(STOCK)
    dry_there_and_back("11", drive, "/replace /ivshmem")
    windows.set_release("7")
    dry_there_and_back("7", Drive(windows), "")
    windows.set_release("xp")
    dry_there_and_back("xp", xp_drive(windows, "x86"), "")


def test_options(windows):
    windows.set_release("10")
    wanted = [c.replace("debugport 1", "debugport 3").replace("115200", "57600") for c in SERIAL]
    there_and_back("options", Drive(windows),
                   '/PORT 3 /baudrate 57600 /ivshmem /description "My ring 2.0"',
                   [COPY[0], 'bcdedit /copy {current} /d "My ring 2.0"', *wanted, *SINCE_8,
                    f'bcdedit /set {ENTRY} loadoptions "A=b /c ring=ivshmem"', *LAST],
                   KD_LOADOPTIONS="A=b /c")


def xp_drive(windows, cpu, text=BOOT_INI):
    drive = Drive(windows, cpu)
    (drive.root / "boot.ini").write_bytes(text)
    return drive


def test_boot_ini(windows):
    for release, cpu in (("xp", "x86"), ("2003", "AMD64")):
        windows.set_release(release)
        drive = xp_drive(windows, cpu)
        (drive.root / "boot.ini").chmod(0o444)
        files = there_and_back(release, drive, "", [])
        lines = BOOT_INI.splitlines(keepends=True)
        check(files["boot.ini"] == b"".join([*lines[:5], XP_LINE, *lines[5:]]),
              f"{release}: our line stands behind the default's", files["boot.ini"])
        check(drive.root.joinpath("boot.ini").stat().st_mode & 0o222 == 0,
              f"{release}: boot.ini is read-only again")
    drive = xp_drive(windows, "x86", BOOT_INI.replace(b" /noexecute=optin", b"").split(b" /fast")[0]
                     + b"\r\n")
    drive.run("install /port 2 /ivshmem")
    check(drive.files()["boot.ini"].endswith(b'="OpenKD kdring" /DEBUG /DEBUGPORT=RING /BAUDRATE='
                                             b'115200 /RINGPORT=COM2 /RING=IVSHMEM\r\n'),
          "a line without options; port and ivshmem", drive.files()["boot.ini"])
    edited = drive.files()["boot.ini"].replace(b"=30", b"=5")
    (drive.root / "boot.ini").write_bytes(edited)
    code, text, _ = drive.run("uninstall")
    check(code == 0 and drive.files()["boot.ini"] == b"".join(edited.splitlines(True)[:-1]),
          "of a boot.ini that was edited since only our line goes", text, drive.files()["boot.ini"])


def refused(drive, arguments, word, code=1, **variables):
    before = drive.files()
    got, text, _ = drive.run(arguments, **variables)
    said = [line for line in text.splitlines() if line.startswith("kdring-setup: ")]
    check(got == code and len(said) == 1 and word in said[0] and drive.files() == before,
          f"{arguments}: refused ({word})", got, text)


def test_refusals(windows):
    windows.set_release("2000")
    refused(Drive(windows), "install", "Windows 5.0.2195")
    windows.set_release("xp")
    refused(Drive(windows, "x86"), "install", "boot.ini")
    refused(xp_drive(windows, "x86", b"[boot loader]\r\ndefault=multi(0)\\X\r\n"), "install",
            "no line for its default")
    windows.set_release("7")
    drive = Drive(windows)
    refused(drive, "install /replace", "Windows 10 and 11")
    refused(drive, "install", "no administrator rights", KD_USER="1")
    before = drive.files()
    code, text, _ = drive.run("install /dryrun", KD_USER="1")
    check(code == 0 and "No administrator rights" in text and "dry run, nothing is changed" in text
          and drive.files() == before, "install /dryrun without rights", code, text)
    refused(drive, "uninstall", "nothing to undo")
    refused(drive, "install", "ARM64", PROCESSOR_ARCHITECTURE="ARM64")
    refused(drive, "install", "32-bit cmd", PROCESSOR_ARCHITECTURE="x86",
            PROCESSOR_ARCHITEW6432="AMD64")
    shutil.copy(drive.tool / "x86/kdring.dll", drive.tool / "x64/kdring.dll")
    refused(drive, "install", "not OpenKD's kdring.dll for x64")
    (drive.tool / "x64/kdring.dll").unlink()
    refused(drive, "install", "copy the whole folder")
    windows.set_release("10")
    drive = Drive(windows)
    refused(drive, "install", "Secure Boot", KD_SECURE="1")
    refused(drive, "install /replace", "kdcom.dll to replace", KD_SECURE="0")
    (drive.system32 / "kdring.dll").write_bytes(b"by hand")
    refused(drive, "install", "delete it first")
    for arguments, word in (("install /port 5", "/port takes"),
                            ("install /frob", "no option /frob"),
                            ("install /baudrate 1", "/baudrate takes"),
                            ('install /description "a+b"', "/description takes"),
                            ("status /ivshmem", "that is for install")):
        refused(drive, arguments, word, code=2)
    for arguments in ("", "/?"):
        code, text, _ = drive.run(arguments)
        check(code == 2 and text.startswith("usage:"), f"{arguments or 'no verb'}: the usage", text)


def test_32_bit_cmd(windows):
    windows.set_release("7")
    drive = Drive(windows, "x86")
    sysnative = drive.root / "windows/Sysnative"
    sysnative.mkdir()
    (sysnative / "cmd.exe").write_bytes(b"")
    code, text, _ = drive.run("install", PROCESSOR_ARCHITEW6432="AMD64")
    check(code == 0 and b"for x64" in (sysnative / "kdring.dll").read_bytes()
          and not (drive.system32 / "kdring.dll").exists(), "a 32-bit cmd uses Sysnative", text)


def test_failures(windows):
    windows.set_release("11")
    for arguments, fail in (("install", "bcdedit /copy"), ("install", "bcdedit baudrate"),
                            ("install /replace", "icacls /save"),
                            ("install /replace", "takeown /f"),
                            ("install /replace", "icacls /grant"),
                            ("install /replace", "bcdedit /displayorder")):
        drive = Drive(windows)
        (drive.system32 / "kdcom.dll").write_bytes(STOCK)
        before = drive.files()
        code, text, calls = drive.run(arguments, KD_FAIL=fail)
        label = f"{arguments}, {fail} fails"
        check(code == 1 and drive.files() == before and "access is denied" in text
              and "taking back" in text and "may be left" not in text,
              f"{label}: everything is taken back", text, sorted(set(drive.files()) ^ set(before)))
        touched = "replace" in arguments and fail != "icacls /save"
        check(any("/restore" in c for c in calls) == touched,
              f"{label}: permissions are restored where they were changed", *calls)


def test_half_done(windows):
    windows.set_release("10")
    for cut in ("bcdedit testsigning", "bcdedit /copy", "icacls /grant"):
        drive = Drive(windows)
        (drive.system32 / "kdcom.dll").write_bytes(STOCK)
        before = drive.files()
        drive.run("install /replace", KD_CUT=cut)
        check(drive.files() != before, f"the power fails at {cut}")
        code, text, _ = drive.run("status")
        check(code == 0 and "half installed" in text, "status: half installed", text)
        refused(drive, "install", "uninstall")
        code, text, _ = drive.run("uninstall")
        check(code == 0 and drive.files() == before, "uninstall undoes the half", text)
        check(("may be left" in text) == (cut == "bcdedit /copy"),
              "an entry whose name was not noted yet is not forgotten", text)


def test_uninstall(windows):
    windows.set_release("8.1")
    drive = Drive(windows)
    before = drive.files()
    drive.run("install")
    code, text, _ = drive.run("status", KD_CURRENT=CURRENT)
    check(code == 0 and f"boot entry: {ENTRY}" in text and "was not started by" in text,
          "status: installed", text)
    refused(drive, "uninstall", "was started by the entry", KD_CURRENT=ENTRY)
    refused(drive, "install", "installed already")
    code, text, _ = drive.run("uninstall", KD_FAIL="bcdedit /delete")
    check(code == 1 and (drive.system32 / "kdring.dll").exists() and "tries again" in text,
          "an entry that can't be deleted keeps its DLL", text)
    (drive.root / "entries" / ENTRY).unlink()
    code, text, _ = drive.run("uninstall")
    check(code == 0 and drive.files() == before and "gone already" in text,
          "the next time, with the entry gone, the rest goes", text)
    check('certutil -delstore Root "kdring test"' in text, "how the certificate goes is said", text)
    windows.set_release("xp")
    drive = xp_drive(windows, "x86")
    drive.run("install")
    refused(drive, "uninstall", "was started by the entry", KD_START="DEBUG DEBUGPORT=RING")


if __name__ == "__main__":
    sys.exit(run_tests("kdring-setup.cmd", globals()))
