#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py FILE: its bytes as the elements of a C array, for #include."""
import sys

data = open(sys.argv[1], "rb").read()
for i in range(0, len(data), 16):
    print(" ".join(f"0x{b:02x}," for b in data[i:i + 16]))
print("0,")
