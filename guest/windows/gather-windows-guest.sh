#!/bin/sh
# SPDX-License-Identifier: MIT
# gather-windows-guest.sh FOLDER STAMP FILE...: the folder as it is copied into a guest. Files that lie
# in a folder x86 are that machine's; other binaries are x64's.
set -e
folder=$1 stamp=$2
shift 2
mkdir -p "$folder/x64" "$folder/x86"
for file in "$@"; do
	case $file in
	*/x86/*) cp "$file" "$folder/x86/" ;;
	*.cmd | *.inf) cp "$file" "$folder/" ;;
	*) cp "$file" "$folder/x64/" ;;
	esac
done
touch "$stamp"
