#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kdring-setup.cmd as a text, for machines without a cmd: what breaks batch files silently.

usage: test_windows_setup_text.py KDRING-SETUP.CMD WINDOWS-GUEST.MD GITATTRIBUTES
"""
import pathlib
import re
import sys

FORMS = ("bcd", "bootini", "replace")
COMPUTED = {"verb_%VERB%": ("install", "uninstall", "status"), "make_%FORM%": FORMS,
            "prepare_%FORM%": FORMS}
CHANGING = re.compile(r"(?:^|[&(]|\bdo |\bcall )\s*@?(copy|move|del|ren|md|rd|attrib|takeown|icacls"
                      r"|reg (?:add|delete)|bcdedit /(?!enum)\w+)\b", re.I)
WRITING = re.compile(r"(?<!\d)>+\s*(?!nul|&|\"%OUTPUT%\")(\S+)", re.I)
SAFE = re.compile(r"^call :(do|try|entry|note|note_line)\b", re.I)
IF = re.compile(r"^if (?:/i )?(?:not )?(?:defined \w+|exist \"[^\"]*\"|errorlevel \d+|\S+==\S+) ",
                re.I)
DRY_LEAVES = re.compile(r"^if defined DRY (exit /b|goto)", re.I)
failures = 0


def check(found, text):
    """`found`: what is wrong, empty when nothing is."""
    global failures
    failures += bool(found)
    print(f"{'not ok' if found else 'ok'} - {text}")
    for line in list(found)[:10]:
        print(f"# {line}")


def labels_of(lines):
    """[(label, [lines])]; what comes before the first label is called (start)."""
    parts = [("(start)", [])]
    for line in lines:
        if re.match(r"^:\w", line):
            parts.append((line[1:].split()[0].lower(), []))
        elif not line.lower().startswith("rem "):
            parts[-1][1].append(line.strip())
    return parts


def targets(line):
    """Labels that a line goes to or calls, computed ones in full."""
    for word in re.findall(r"(?:goto |call :)([\w%]+)", line, re.I):
        stem = word.split("%")[0]
        yield from (stem + end for end in COMPUTED[word]) if word in COMPUTED else (word.lower(),)


def bare(line):
    """Without the conditions in front."""
    while IF.match(line):
        line = IF.sub("", line, count=1)
    return line


def unguarded(parts):
    """Lines that change the system and are reached in a dry run too."""
    open_labels, found = {"(start)"}, []
    bodies, order = dict(parts), [name for name, _ in parts]

    def walk(name):
        """A label's lines up to where a dry run leaves, and the labels they get to."""
        for line in bodies[name]:
            if line.lower().startswith("if not defined dry "):
                continue
            if DRY_LEAVES.match(line):
                open_labels.update(targets(line))
                return
            plain = bare(line)
            is_echo = plain.lower().startswith("echo ")
            if WRITING.search(line) or (not is_echo and not SAFE.match(plain)
                                        and CHANGING.search(plain)):
                found.append(f"{name}: {line}")
            open_labels.update(targets(line))
            if re.match(r"^(exit /b|goto )", line, re.I):
                return
        following = order.index(name) + 1
        if following < len(order):
            open_labels.add(order[following])

    done = set()
    while open_labels - done:
        name = sorted(open_labels - done)[0]
        done.add(name)
        if name in bodies and name not in ("do", "try"):
            walk(name)
    return found


def main():
    script, document, attributes = (pathlib.Path(p) for p in sys.argv[1:4])
    raw = script.read_bytes()
    check([n for n, line in enumerate(raw.split(b"\n")[:-1], 1) if not line.endswith(b"\r")]
          or ([] if raw.endswith(b"\r\n") else ["no line end at the end"])
          or re.findall(rb"\r(?!\n)", raw), "every line ends with CR LF")
    check(re.findall(rb"[^\x20-\x7e\r\n\t]", raw), "ASCII only")
    kept = re.search(r"^\*\.cmd .*-text", attributes.read_text(), re.M)
    check([] if kept else ["no *.cmd -text"], ".gitattributes keeps the line ends")
    text = raw.decode("ascii", "replace").replace("\r", "")
    lines = text.split("\n")
    parts = labels_of(lines)
    names = [name for name, _ in parts]
    used = {t for _, body in parts for line in body for t in targets(line)}
    check(sorted(used - set(names)), "every goto and call has its label")
    check(sorted({n for n in names if names.count(n) > 1}), "no label stands twice")
    check(sorted(set(names) - used - {"(start)"} - fallen_into(parts)), "every label is used")
    check(unguarded(parts), "a dry run comes to nothing that changes the system")
    check([line for line in lines if len(line) > 500], "no line is too long for XP")
    usage = " ".join(line for line in dict(parts)["usage"] if line.startswith("echo"))
    words = set(re.findall(r"(?<!\w)/[a-z]{2,}", usage)) | {"install", "uninstall", "status"}
    told = document.read_text()
    check(sorted(w for w in words if not re.search(rf"(?<!\w){w}\b", told)),
          f"{document.name} tells of every verb and option")
    parsed = set(re.findall(r'"%~1"=="(/\w+)"', text))
    check(sorted(parsed ^ {w for w in words if w.startswith("/")}),
          "the usage has the options that are understood")
    return 1 if failures else 0


def fallen_into(parts):
    """Labels that the lines before them run into."""
    return {name for (_, before), (name, _) in zip(parts, parts[1:])
            if before and not re.match(r"^(exit /b|goto )", before[-1], re.I)}


if __name__ == "__main__":
    sys.exit(main())
