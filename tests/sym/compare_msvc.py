#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compare_llvm.py over PDBs that Microsoft's linker wrote: compare_msvc.py SYM_DUMP

OPENKD_MSVC_PDBS names a folder, searched with all below it, in which each X.pdb has its image beside
it (the npm packages node-pty and electron-winstaller carry such pairs). They are not ours to keep:
without the variable the test is skipped.
"""
import os
import pathlib
import subprocess
import sys

SYM_DUMP = sys.argv[1]
COMPARE = pathlib.Path(__file__).with_name("compare_llvm.py")
MSF = b"Microsoft C/C++ MSF 7.00"


def image_of(pdb):
    for suffix in (".exe", ".dll", ".node", ".sys"):
        if pdb.with_suffix(suffix).exists():
            return pdb.with_suffix(suffix)
    return None


def check(pdb):
    """Empty, or what is wrong."""
    if not pdb.read_bytes()[:32].startswith(MSF):
        done = subprocess.run([SYM_DUMP, "symbols", pdb], capture_output=True, text=True)
        return "" if done.returncode == 1 and "portable" in done.stderr else "not refused"
    image = image_of(pdb)
    if not image:
        return ""
    done = subprocess.run([sys.executable, COMPARE, SYM_DUMP, pdb, image], capture_output=True,
                          text=True, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr


folder = os.environ.get("OPENKD_MSVC_PDBS")
if not folder:
    print("OPENKD_MSVC_PDBS names no folder with PDBs of Microsoft's linker")
    sys.exit(77)
pdbs = sorted(pathlib.Path(folder).rglob("*.pdb"))
bad = 0
for path in pdbs:
    text = check(path)
    print(f"{path}: {text or 'as LLVM says'}")
    bad += bool(text)
sys.exit(1 if bad or not pdbs else 0)
