#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Libvirt, the real one: test:///default, no daemon, and a session daemon of a user of the test's own
with a real domain of the demo guest: found, attached, snapshot, revert, the session alive."""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import kdmon_world
import kd_console
from kdmon_world import Monitor, check, done, refused, vm, wait_for
from kd_console import Folder, IMAGES, Kd, main

USER = "openkd-test"
DOMAIN = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{folder}/disk.qcow2'/>
      <target dev='hda' bus='ide'/>
    </disk>
    <serial type='unix'><source mode='bind' path='{folder}/com1.sock'/><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>{arguments}</qemu:commandline>
</domain>
"""


def is_root():
    return os.geteuid() == 0


class Account:
    """The user whose session it is: a new one where we may make one, else ourselves."""

    def __init__(self):
        self.made = False
        self.options = {}
        if not is_root():
            return
        try:
            pwd.getpwnam(USER)
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/bin/false", USER],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.made = True
        entry = pwd.getpwnam(USER)
        self.ids = entry.pw_uid, entry.pw_gid
        self.options = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def own(self, path):
        if not is_root():
            return
        for place in [path, *path.rglob("*")]:
            os.chown(place, *self.ids, follow_symlinks=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The daemon has been told to end; a user with processes can't be removed.
        for _ in range(100 if self.made else 0):
            gone = subprocess.run(["userdel", USER], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, check=False)
            if gone.returncode == 0:
                break
            time.sleep(0.1)


def read_by_all(path):
    """Is it where another user can come to?"""
    place = pathlib.Path(path)
    return all(os.stat(p).st_mode & 0o005 == 0o005 for p in [place, *place.parents])


def move_programs(place):
    """kd, kdmon and their library to where another user can run them: the tree may be in /root."""
    build = pathlib.Path(kdmon_world.KDMON).parent.parent.parent
    if not is_root() or read_by_all(build):
        return
    os.chmod(place, 0o755)
    for name in ("apps/kd/kd", "apps/kdmon/kdmon", "lib/libopenkd.so.0"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(build / name, place / name)
    kdmon_world.KDMON = str(place / "apps/kdmon/kdmon")
    kd_console.KD = str(place / "apps/kd/kd")


class Domain:
    def __init__(self, folder, account, transport="COM1"):
        self.folder, self.account = folder, account
        self.options = f"/DEBUG /DEBUGPORT={transport}"
        self.name = folder.path.name
        self.images = pathlib.Path(IMAGES)
        if not read_by_all(IMAGES):
            self.images = folder.path / "images"
            shutil.copytree(IMAGES, self.images)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder.path / "disk.qcow2", "16M"],
                       check=True)
        (folder.path / "domain.xml").write_text(self.xml())
        account.own(folder.path)
        self.virsh("define", folder.path / "domain.xml")
        self.virsh("start", self.name)

    def xml(self):
        """The command line that run-demo would use, but for what libvirt does itself."""
        printed = subprocess.run(
            [kdmon_world.ROOT / "guest/demo/run-demo", "--images", self.images, "--print", "--options",
             self.options, "--console", "none"],
            check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        initrd = printed.split("-initrd ", 1)[1].split(" -", 1)[0]
        words = ["-kernel", str(self.images / "loader"), "-append", self.options,
                 "-initrd", initrd]
        return DOMAIN.format(name=self.name, folder=self.folder.path, arguments="".join(
            f"<qemu:arg value='{word}'/>" for word in words))

    def virsh(self, *words, check_it=True):
        run = subprocess.run(["virsh", "-q", "-c", "qemu:///session", *map(str, words)], text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, env=self.folder.environment, timeout=60,
                             **self.account.options)
        check(run.returncode == 0 or not check_it, f"virsh {words}: {run.stdout}")
        return run.stdout.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.virsh("destroy", self.name, check_it=False)
        self.virsh("undefine", self.name, "--snapshots-metadata", check_it=False)
        self.end_daemon()

    def end_daemon(self):
        """The daemon that virsh started: ours, by its own pid file."""
        for path in (self.folder.path / "runtime" / "libvirt").glob("*.pid"):
            try:
                os.kill(int(path.read_text()), 15)
            except (ProcessLookupError, ValueError):
                pass
        deadline = time.monotonic() + 5
        while (self.folder.path / "runtime" / "libvirt" / "libvirt-sock").exists() and \
                time.monotonic() < deadline:
            time.sleep(0.05)


def test_default():
    """test:///default: its domain, without a daemon; what has no port says so"""
    with Folder() as folder:
        folder.configure("connect = test:///default\n")
        answer = done(folder, "list")
        rows = [v for v in answer["vms"] if v["source"] == "libvirt"]
        check(len(rows) == 1 and rows[0]["name"] == "test" and rows[0]["state"] == "running", rows)
        check(rows[0]["connection"] == "test:///default" and not answer["problems"], answer)
        check("virsh edit" in rows[0]["obstacles"][0], rows[0])
        done(folder, "pause", rows[0]["id"])
        refused(folder, "NOT_FOUND", "no snapshot", "revert", rows[0]["id"], "none")
        done(folder, "snapshot", rows[0]["id"], "one")


def test_no_daemon():
    """Connections that can't be made: one clear line each, and the others are shown"""
    with Folder() as folder:
        folder.configure("connect = qemu+unix:///system?socket=/no/such/socket, nonsense:///x "
                         "test:///default vmwarews:///session\n")
        answer = done(folder, "list")
        problems = answer["problems"]
        check(len(problems) == 3 and all("\n" not in p for p in problems), problems)
        check(any(p.startswith("qemu+unix") and "systemctl start libvirtd" in p for p in problems),
              problems)
        check(any(v["name"] == "test" for v in answer["vms"]), "the others")


def test_mute_daemon():
    """A daemon that never answers: two seconds, one line; those who watch collect no threads"""
    with Folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = folder.path / "mute.sock"
        listener.bind(str(path))
        listener.listen(8)
        folder.configure(f"connect = qemu+unix:///system?socket={path} test:///default\n")
        start = time.monotonic()
        answer = done(folder, "list")
        check(1.5 < time.monotonic() - start < 4, f"{time.monotonic() - start:.1f} s")
        check(len(answer["problems"]) == 1 and "no answer in time" in answer["problems"][0], answer)
        check(any(v["name"] == "test" for v in answer["vms"]), "the others")
        with Monitor(folder) as monitor:
            for _ in range(3):
                done(folder, "list")
            tasks = len(os.listdir(f"/proc/{monitor.process.pid}/task"))
            check(tasks <= 4, f"{tasks} threads")
            check("still no answer" in done(folder, "list")["problems"][0], "said")
            monitor.stop()


def test_permission():
    """A socket that we may not connect to: said, with the command that changes it"""
    if not is_root():
        return
    with Account() as account, Folder() as folder:
        listener = socket.socket(socket.AF_UNIX)
        path = folder.path / "closed.sock"
        listener.bind(str(path))
        listener.listen(1)
        folder.configure(f"[target closed]\nendpoint = unix:{path}\n")
        account.own(folder.path)
        os.chown(path, 0, 0)
        os.chmod(path, 0o600)
        seen = done(folder, "status", "closed", **account.options)["vm"]
        check(any("no permission" in o and "setfacl" in o for o in seen["obstacles"]), seen)
        listener.close()


def test_session_daemon():
    """A session daemon, a domain of the demo guest: found, attached, snapshot, revert, alive"""
    with Account() as account, Folder() as folder:
        folder.configure("connect = qemu:///session\n")
        kdmon_world.RUN_AS = account.options
        try:
            with Domain(folder, account) as domain:
                survives(folder, account, domain)
        finally:
            kdmon_world.RUN_AS = {}


def test_fast_roads():
    """Ring and RAM of a domain as libvirt starts it: its monitor is asked through libvirt"""
    with Account() as account, Folder() as folder:
        folder.configure("connect = qemu:///session\n")
        with Domain(folder, account, "RING") as domain:
            with Kd(folder, [domain.name, "-y", str(domain.images), "-b"], **account.options) as kd:
                kd.wait_text("lets the target run")
                look(kd, "here")
                kd.send(".status")
                kd.wait_text("ring in guest RAM")
                kd.wait_text("guest RAM, mapped")
                kd.send("q")


def look(kd, mark):
    kd.send(f'.printf "{mark} %y\\n", nt!KeBugCheckEx')
    kd.wait_text(f"{mark} nt!KeBugCheckEx", 25)


def survives(folder, account, domain):
    seen = vm(folder, domain.name)
    check(seen["source"] == "libvirt" and seen["state"] == "running" and seen["pid"] > 0, seen)
    check(seen["endpoint"] == f"unix:{folder.path}/com1.sock" and not seen["obstacles"], seen)
    only = [v for v in done(folder, "list")["vms"] if v["pid"] == seen["pid"]]
    check(len(only) == 1, f"libvirt's domain and its process are one machine: {only}")
    done(folder, "pause", domain.name)
    check(vm(folder, domain.name)["state"] == "paused" and
          "paused" in domain.virsh("domstate", domain.name), "paused")
    done(folder, "resume", domain.name)
    with Monitor(folder, **account.options):
        done(folder, "proxy", domain.name)
        with Kd(folder, [domain.name, "-y", str(domain.images), "-b", "--session", "lv"],
                **account.options) as kd:
            kd.wait_text("lets the target run")
            look(kd, "before")
            done(folder, "snapshot", domain.name, "clean")
            check(done(folder, "snapshots", domain.name)["snapshots"] == ["clean"], "its name")
            check("clean" in domain.virsh("snapshot-list", domain.name, "--name"), "libvirt's")
            refused(folder, "EXISTS", "virsh snapshot-delete", "snapshot", domain.name, "clean")
            kd.send("g")
            wait_for("running", lambda: vm(folder, domain.name)["session_state"] == "running")
            before = vm(folder, domain.name)["pid"]
            done(folder, "revert", domain.name, "clean")
            after = vm(folder, domain.name)
            print(f"# reverted: process {before}, then {after['pid']}")
            check(after["state"] == "running" and after["proxy"]["has_client"], after)
            wait_for("the new process's port", lambda: vm(folder, domain.name)["proxy"]["is_up"])
            done(folder, "break", domain.name)
            kd.wait_text("(?s)Break instruction exception.*Break instruction exception", 30)
            look(kd, "reverted")


def missing():
    if not shutil.which("libvirtd") or not shutil.which("virsh"):
        return "libvirtd and virsh are needed"
    return None


if __name__ == "__main__":
    if missing():
        print(f"1..0 # SKIP {missing()}")
        sys.exit(0)
    tests = [test_default, test_no_daemon, test_mute_daemon, test_permission, test_session_daemon,
             test_fast_roads]
    chosen = [t for t in tests if t.__name__ in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="kd-programs-") as programs:
        move_programs(pathlib.Path(programs))
        status = main(chosen or tests)
    sys.exit(status)
