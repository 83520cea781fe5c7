#!/bin/sh
# SPDX-License-Identifier: MIT
# gather-windows-guest.sh FOLDER STAMP SETUP X64-DLL X86-DLL: the folder as it is copied into a guest
set -e
mkdir -p "$1/x64" "$1/x86"
cp "$3" "$1/"
cp "$4" "$1/x64/kdring.dll"
cp "$5" "$1/x86/kdring.dll"
touch "$2"
