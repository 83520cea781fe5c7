# SPDX-License-Identifier: MIT
"""A Windows as the setup scripts see it: Wine's cmd, folders of our own, and stand-ins for the
tools that would change a system. They write down how they were called and answer like the tools.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ENTRY = "{11111111-2222-3333-4444-555555555555}"
CURRENT = "{aaaaaaaa-0000-0000-0000-000000000001}"
WINDOWS = {"2000": (5, 0, 2195), "xp": (5, 1, 2600), "2003": (5, 2, 3790), "vista": (6, 0, 6002),
           "7": (6, 1, 7601), "8": (6, 2, 9200), "8.1": (6, 3, 9600), "10": (10, 0, 19045),
           "11": (10, 0, 22631)}

# KD_FAIL: "TOOL WORD" with WORD one of the first three; KD_CUT the same, and the power is gone.
HEAD = """@echo off
>>"%KD_LOG%" echo {name} %*
for %%w in ("{name} %~1" "{name} %~2" "{name} %~3") do if "%KD_CUT%"==%%w exit 9
for %%w in ("{name} %~1" "{name} %~2" "{name} %~3") do if "%KD_FAIL%"==%%w goto fail
"""
TAIL = """exit /b 0
:fail
echo {name}: access is denied
exit /b 1
"""
TOOLS = {
    "bcdedit": """if "%1"=="/copy" goto copy
if "%1"=="/enum" goto enum
if "%1"=="/delete" goto delete
if exist "%KD_ENTRIES%\\%2" exit /b 0
goto fail
:copy
echo x>"%KD_ENTRIES%\\ENTRY"
echo The entry was successfully copied to ENTRY.
exit /b 0
:delete
if not exist "%KD_ENTRIES%\\%2" goto fail
del "%KD_ENTRIES%\\%2"
exit /b 0
:enum
if "%2"=="{current}" goto current
if exist "%KD_ENTRIES%\\%2" exit /b 0
goto fail
:current
echo Bezeichner              %KD_CURRENT%
echo description             Windows
if not "%KD_LOADOPTIONS%"=="" echo loadoptions             %KD_LOADOPTIONS%
exit /b 0
""".replace("ENTRY.", ENTRY + ".").replace("\\ENTRY", "\\" + ENTRY),
    "reg": """if "%~2"=="HKU\\S-1-5-19" goto rights
if "%~4"=="UEFISecureBootEnabled" goto secure
if "%~4"=="SystemStartOptions" goto start
goto fail
:rights
if "%KD_USER%"=="1" goto fail
exit /b 0
:secure
if "%KD_SECURE%"=="" goto fail
echo     UEFISecureBootEnabled    REG_DWORD    0x%KD_SECURE%
exit /b 0
:start
echo     SystemStartOptions    REG_SZ     NOEXECUTE=OPTIN  %KD_START%
exit /b 0
""",
    # fc /b A B: KD_SAME names what boot.ini is equal to
    "fc": """if "%~nx3"=="%KD_SAME%" exit /b 0
exit /b 1
""",
    # A service: not there, stopped, running. KD_STUCK: it does not start.
    "sc": """goto %1
:query
if exist "%KD_ENTRIES%\\%2.running" goto running
if not exist "%KD_ENTRIES%\\%2" exit /b 1060
echo         STATE              : 1  STOPPED
exit /b 0
:running
echo         STATE              : 4  RUNNING
exit /b 0
:create
if exist "%KD_ENTRIES%\\%2" exit /b 1073
echo %*>"%KD_ENTRIES%\\%2"
exit /b 0
:start
if not "%KD_STUCK%"=="" exit /b 577
echo x>"%KD_ENTRIES%\\%2.running"
exit /b 0
:stop
del "%KD_ENTRIES%\\%2.running"
exit /b 0
:delete
if exist "%KD_ENTRIES%\\%2.running" goto fail
del "%KD_ENTRIES%\\%2"
""",
    "icacls": """if "%~2"=="/save" echo acl>"%~3"
""",
    "takeown": "",
}


class Windows:
    """One Wine prefix for all runs; each run has a system drive of its own."""

    def __init__(self, guest_folder):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="kd-wine-"))
        self.guest = pathlib.Path(guest_folder)
        self.wine = shutil.which("wine")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.root), "DISPLAY": "",
                    "WINEPREFIX": str(self.root / "prefix"), "WINEDEBUG": "-all",
                    "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=", "LC_ALL": "C",
                    # Wine's server leaves its socket's folder behind
                    "TMPDIR": str(self.root)}
        for folder in ("tools", "prefix"):
            (self.root / folder).mkdir()
        for name, body in TOOLS.items():
            text = (HEAD + body + TAIL).replace("{name}", name)
            (self.root / "tools" / f"{name}.cmd").write_bytes(
                text.replace("\n", "\r\n").encode("ascii"))
        # One server until close(): Debian's ends with its last program, some seconds after a
        # command, and a command that comes at that moment can find it half gone.
        self.server("-p")
        self.wine_run("wineboot", "-i")

    def close(self):
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            self.server("-k")
        shutil.rmtree(self.root, ignore_errors=True)

    def server(self, order):
        program = shutil.which("wineserver") or "/usr/lib/wine/wineserver"
        subprocess.run([program, order], env=self.env, timeout=30, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def set_release(self, release):
        """What `ver` says from now on."""
        major, minor, build = WINDOWS[release]
        key = "HKLM\\Software\\Microsoft\\Windows NT\\CurrentVersion"
        text = (f"REGEDIT4\n\n[{key}]\n".replace("HKLM", "HKEY_LOCAL_MACHINE")
                + f'"CurrentVersion"="{major}.{minor}"\n'
                + f'"CurrentBuildNumber"="{build}"\n').replace("\n", "\r\n")
        (self.root / "release.reg").write_text(text, newline="")
        self.wine_run("regedit", "/S", windows_path(self.root / "release.reg"))

    def wine_run(self, *command):
        subprocess.run([self.wine, *command], env=self.env, check=True, timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


class Drive:
    """A system drive: windows/System32, boot.ini, boot entries, and the folder with the tool."""

    def __init__(self, windows, cpu="AMD64", script="kdring-setup.cmd", binary="kdring.dll"):
        self.windows = windows
        self.script = script
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="drive-", dir=windows.root))
        self.system32 = self.root / "windows/System32"
        self.log = self.root / "calls.txt"
        self.tool = self.root / "windows guest (1)"
        for folder in (self.system32, self.root / "entries", self.root / "temp"):
            folder.mkdir(parents=True)
        for machine in ("x64", "x86"):
            (self.tool / machine).mkdir(parents=True)
            shutil.copy(windows.guest / machine / binary, self.tool / machine)
        shutil.copy(windows.guest / script, self.tool)
        self.variables = {"PROCESSOR_ARCHITECTURE": cpu, "PROCESSOR_ARCHITEW6432": "",
                          "KD_CURRENT": CURRENT, "KD_FAIL": "", "KD_CUT": "", "KD_USER": "",
                          "KD_SECURE": "", "KD_START": "", "KD_SAME": "", "KD_LOADOPTIONS": "",
                          "KD_STUCK": ""}

    def path(self, name):
        """As Windows' commands spell it."""
        return windows_path(self.root) + "\\" + name

    def run(self, arguments, **variables):
        """(exit code, what was said, how the tools were called)"""
        self.log.unlink(missing_ok=True)
        values = {**self.variables, "SystemRoot": self.path("windows"),
                  "SystemDrive": windows_path(self.root), "TEMP": self.path("temp"),
                  "KD_LOG": self.path("calls.txt"), "KD_ENTRIES": self.path("entries"),
                  "PATH": windows_path(self.windows.root / "tools") + ";C:\\windows\\system32",
                  **variables}
        lines = ["@echo off", *(f'set "{key}={value}"' for key, value in values.items()),
                 # without call: its exit code is then cmd's own
                 f'"{windows_path(self.tool)}\\{self.script}" {arguments}', ""]
        (self.root / "run.cmd").write_bytes("\r\n".join(lines).encode("ascii"))
        done = subprocess.run([self.windows.wine, "cmd", "/d", "/c", self.path("run.cmd")],
                              env=self.windows.env, timeout=60, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.root)
        calls = self.log.read_text().splitlines() if self.log.exists() else []
        return (done.returncode, done.stdout.decode("latin-1").replace("\r", ""),
                [" ".join(call.split()) for call in calls])

    def files(self):
        """Everything of the drive that an installation could change."""
        return {str(p.relative_to(self.root)): p.read_bytes() if p.is_file() else None
                for top in ("windows", "entries", "boot.ini", "windows guest (1)")
                for p in sorted([self.root / top, *(self.root / top).rglob("*")]) if p.exists()}


_failures = []


def check(condition, text, *details):
    if not condition:
        _failures.append(text)
        print("\n".join(f"# {d}" for d in details))
    print(f"{'ok' if condition else 'not ok'} - {text}", flush=True)


def run_tests(script, tests):
    """All functions test_* of the module's names, or those of the command line; the exit status."""
    if not shutil.which("wine"):
        print(f"wine is not installed: {script} was not run "
              "(apt-get install --no-install-recommends wine wine64, 100 MB)")
        return 77
    windows = Windows(sys.argv[1])
    try:
        for name, test in list(tests.items()):
            if name.startswith("test_") and (len(sys.argv) < 3 or name in sys.argv[2:]):
                start = time.monotonic()
                test(windows)
                print(f"# {name}: {time.monotonic() - start:.1f} s")
    finally:
        windows.close()
    print(f"{len(_failures)} failed")
    return 1 if _failures else 0
