# SPDX-License-Identifier: MIT
"""What tshark says of a stream of guest traffic."""
import subprocess


class Failure(Exception):
    """A check that did not hold."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def tshark(path, *more, timeout=60):
    """Standard output; checksums are looked at."""
    done = subprocess.run(
        ["tshark", "-r", str(path), "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
         "-o", "udp.check_checksum:TRUE", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=timeout, check=False)
    check(done.returncode == 0, f"tshark {more}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def fields(path, display_filter, *names):
    """One tuple a packet."""
    more = [argument for name in names for argument in ("-e", name)]
    text = tshark(path, "-Y", display_filter, "-T", "fields", *more)
    return [tuple(line.split("\t")) for line in text.splitlines()]


def check_clean(path):
    """Nothing malformed, no bad checksum, no hole in a stream."""
    bad = tshark(path, "-Y", "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || "
                 "udp.checksum.status == 0 || tcp.analysis.lost_segment || tcp.analysis.retransmission "
                 "|| tcp.analysis.out_of_order || tcp.analysis.ack_lost_segment || _ws.expert.severity == error")
    check(not bad, f"tshark finds fault:\n{bad}")
