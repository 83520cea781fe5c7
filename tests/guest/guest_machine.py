# SPDX-License-Identifier: MIT
"""The demo guest in QEMU, seen through QEMU's own gdb stub and the debug console: no KD involved."""
import os
import re
import socket
import struct
import subprocess
import tempfile
import time

from guest_pe import Module, walk

IMAGES = {"nt": ("ntoskrnl.exe", "ntkrnlmp.pdb"), "hal": ("hal.dll", "hal.pdb"),
          "null": ("null.sys", "null.pdb"), "demo": ("demo.sys", "demo.pdb")}
NET_MODULES = {"tcpip": ("tcpip.sys", "tcpip.pdb"), "netvirt": ("netvirt.sys", "netvirt.pdb"),
               "ndis": ("ndis.sys", "ndis.pdb"), "fwpkclnt": ("fwpkclnt.sys", "fwpkclnt.pdb")}
TAP = {"streamtap": ("streamtap.sys", "streamtap.pdb")}
NET_IMAGES = [image for image, _ in NET_MODULES.values()] + [
    name + ".exe" for name in ("bulk", "webget", "webserv", "linetalk", "lineserv", "nameask", "nameserv")]
GDB_REGS = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"] + \
           [f"r{i}" for i in range(8, 16)] + ["rip"]


class Layout:
    """Where the demo kernel of a machine keeps what the tests look at (KD_DEMO_ARCH)."""

    def __init__(self, arch):
        self.is_x86 = arch != "x64"
        pick = (lambda x86, x64: x86) if self.is_x86 else (lambda x86, x64: x64)
        self.word = pick(4, 8)
        self.boot_options = " /NOPAE" if arch == "x86-nopae" else ""
        self.table_shifts = {"x64": (39, 30, 21, 12), "x86": (30, 21, 12),
                             "x86-nopae": (22, 12)}[arch]
        self.entry_size = 4 if arch == "x86-nopae" else 8
        self.window = pick(0xA0000000, 0xFFFFFA8000000000)
        self.hole = pick(0xF6000000, 0xFFFFF88000000000)
        self.kernel_code = pick("0x80", "0xfffff8")
        self.process_links = pick(0x98, 0x448)
        self.process_pid = pick(0x94, 0x440)
        self.process_name = pick(0x164, 0x5A8)
        self.process_threads = pick(0x180, 0x5E0)
        self.process_directory = pick(0x18, 0x28)
        self.thread_link = pick(0x224, 0x4E8)
        self.thread_state = pick(0x4C, 0x184)
        self.thread_running = pick(0x180, 0x71)
        self.thread_switches = pick(0x48, 0x154)
        self.thread_run_time = pick(0x170, 0x50)
        self.thread_floating = pick(0x16C, 0x60)
        self.entry_name = pick(0x2C, 0x58)
        self.entry_base = pick(0x18, 0x30)
        self.prcb_clock = pick(0x3E8, 0x3010)
        self.prcb_switches = pick(0x3F8, 0x3020)
        self.prcb_calls = pick(0x400, 0x3028)


ARCH = os.environ.get("KD_DEMO_ARCH", "x64")
LAYOUT = Layout(ARCH)


class Stub:
    """The few packets of the gdb remote protocol the tests need."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.sock.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.buffer = b""
        self.running = False
        # Connecting stops the machine, and QEMU may report that before or after our first answer.
        reply = self.ask("qSupported")
        while not reply.startswith("PacketSize"):
            reply = self._packet()

    def _packet(self):
        while True:
            m = re.search(rb"\$([^#]*)#..", self.buffer, re.S)
            if m:
                self.buffer = self.buffer[m.end():]
                self.sock.sendall(b"+")
                return m[1].decode("latin-1")
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("QEMU is gone")
            self.buffer += data

    def send(self, text):
        data = text.encode("latin-1")
        self.sock.sendall(b"$" + data + b"#%02x" % (sum(data) & 255))

    def ask(self, text):
        self.send(text)
        return self._packet()

    def go(self):
        self.send("c")
        self.running = True

    def stop(self):
        self.sock.sendall(b"\x03")
        self.wait()

    def wait(self, seconds=10):
        self.sock.settimeout(seconds)
        reply = self._packet()
        self.running = False
        return reply

    def read(self, address, size):
        reply = self.ask(f"m{address:x},{size:x}")
        if reply.startswith("E"):
            raise OSError(f"no memory at {address:#x}")
        return bytes.fromhex(reply)

    def write(self, address, data):
        if self.ask(f"M{address:x},{len(data):x}:{data.hex()}") != "OK":
            raise OSError(f"cannot write {address:#x}")

    def registers(self, cpu=0):
        self.ask(f"Hg{cpu + 1}")
        raw = bytes.fromhex(self.ask("g")[:17 * 16])
        return dict(zip(GDB_REGS, struct.unpack("<17Q", raw)))


class Machine:
    """with Machine(folder, smp=2) as m: ..."""

    def __init__(self, folder, smp=1, options="", memory=128, forward=None, more=None, drivers=()):
        """forward: a network, and which ports of this host's loopback are ports of the guest.
        more: drivers to load beside the network's, as NET_MODULES."""
        folder = os.path.join(folder, "x86") if LAYOUT.is_x86 else folder
        self.folder = folder
        self.dir = tempfile.TemporaryDirectory(prefix="kd-guest-")
        self.log_path = os.path.join(self.dir.name, "console")
        gdb = os.path.join(self.dir.name, "gdb")
        files = ["ntoskrnl.exe", "hal.dll", "null.sys", "demo.sys", "late.sys demand", "ntdll.dll",
                 "worker.exe", "pinger.exe"]
        if os.path.exists(os.path.join(folder, "kdserial.dll")):
            files.append("kdserial.dll")
        files += drivers
        network = []
        if forward is not None:
            files += NET_IMAGES + [image for image, _ in (more or {}).values()]
            ports = "".join(f",hostfwd=tcp:127.0.0.1:{h}-:{g}" for h, g in forward.items())
            network = ["-netdev", "user,id=net" + ports,
                       "-device", "virtio-net-pci,netdev=net,romfile="]
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", *network, "-accel", "tcg", "-m", str(memory), "-smp", str(smp),
             "-display", "none", "-monitor", "none", "-serial", "null", "-no-reboot",
             "-kernel", "loader", "-append", options + LAYOUT.boot_options, "-initrd", ",".join(files),
             "-debugcon", "file:" + self.log_path, "-gdb", f"unix:{gdb},server=on,wait=off"],
            cwd=folder, stdin=subprocess.DEVNULL)
        images = {**IMAGES, **(NET_MODULES if forward is not None else {}), **(more or {})}
        self.modules = {name: Module(os.path.join(folder, image), os.path.join(folder, pdb))
                        for name, (image, pdb) in images.items()}
        self.gdb_path = gdb
        self.stub = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()

    def log(self):
        try:
            with open(self.log_path, encoding="latin-1") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def expect(self, pattern, seconds=10):
        """Wait until the console shows `pattern` (a regular expression); returns the match."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            m = re.search(pattern, self.log())
            if m:
                return m
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} did not come; console:\n{self.log()}")

    def attach(self):
        """Stop the machine and learn where its modules are."""
        for name, base in re.findall(r"loader: (\w+)\.\w+ at (0x[0-9a-f]+)", self.log()):
            module = {"ntoskrnl": "nt"}.get(name, name)
            if module in self.modules:
                self.modules[module].base = int(base, 16)
        self.stub = Stub(self.gdb_path)

    def run(self, seconds):
        self.stub.go()
        time.sleep(seconds)
        self.stub.stop()

    def u64(self, address):
        return struct.unpack("<Q", self.stub.read(address, 8))[0]

    def pointer(self, address):
        return self.u32(address) if LAYOUT.is_x86 else self.u64(address)

    def u32(self, address):
        return struct.unpack("<I", self.stub.read(address, 4))[0]

    def stack(self, cpu=0):
        return walk(self.modules.values(), self.stub.registers(cpu), self.u64)

    def saved_stack(self, thread):
        """Of a thread that does not run: from its KSWITCH_FRAME (symbols facts 3.3)."""
        frame = self.u64(thread + 0x58)
        regs = dict.fromkeys(GDB_REGS, 0)
        regs.update(rip=self.u64(frame + 0x38), rsp=frame + 0x40, rbp=self.u64(frame + 0x30))
        return walk(self.modules.values(), regs, self.u64)

    def command(self, number, argument=0, seconds=5):
        """Let demo.sys do something; returns demo!DemoResult. The machine is stopped before and after."""
        demo = self.modules["demo"]
        count = self.u32(demo["DemoCounter"])
        self.start_command(number, argument)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.run(0.03)
            if self.u32(demo["DemoCounter"]) != count:
                return self.u64(demo["DemoResult"])
        raise AssertionError(f"command {number} did not finish; console:\n{self.log()}")

    def start_command(self, number, argument=0):
        demo = self.modules["demo"]
        self.stub.write(demo["DemoArgument"], struct.pack("<Q", argument))
        self.stub.write(demo["DemoCommand"], struct.pack("<I", number))
