"""Looks at a machine's services, disks, clock, certificates, secrets, ports; `soundstage-health` calls it.

The role health installs it with a JSON file that says what to expect. Prints one JSON line per problem (code,
message, hint) and ends with 0. Only the standard library: it runs with the machine's own Python.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> int:
    expected = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for look, what in (
        (services, expected["services"]),
        (timers, expected["timers"]),
        (disks, expected["disks"]),
        (clock, expected["clock"]),
        (certificates, expected["certificates"]),
        (secrets, expected["secrets"]),
        (addresses, expected["closed_ports"]),
        (write_metrics, expected),
    ):
        for code, message, hint in look(what):
            print(json.dumps({"code": code, "message": message, "hint": hint}))
    return 0


Found = Iterator[tuple[str, str, str]]


def services(names: list[str]) -> Found:
    """Finds services that do not run."""
    for name, state in _states(names):
        if state != "active":
            yield (
                "machine.service_down",
                f"The service {name} is {state}.",
                f"Read `journalctl -u {name} -n 50`; then `systemctl restart {name}`.",
            )


def timers(names: list[str]) -> Found:
    """Finds timers that will not fire."""
    for name, state in _states([f"{name}.timer" for name in names]):
        if state != "active":
            yield "machine.timer_off", f"The timer {name} is {state}.", f"`systemctl enable --now {name}`."


def disks(expected: list[dict[str, Any]]) -> Found:
    """Finds file systems with too little room, or read-only ones. One line each."""
    seen: set[int] = set()
    for disk in expected:
        path = Path(disk["path"])
        try:
            device = path.stat().st_dev
            free_mib = shutil.disk_usage(path).free // (1024 * 1024)
            read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        except FileNotFoundError:
            continue  # what is not there needs no room
        if device in seen:
            continue
        seen.add(device)
        if read_only:
            yield (
                "machine.disk_read_only",
                f"The disk of {path} can only be read.",
                "The kernel does that when a disk fails: look at `dmesg` and `smartctl -a`.",
            )
        elif free_mib < disk["free_mib"]:
            yield (
                "machine.disk_full",
                f"The disk of {path} has {free_mib} MiB left; {disk['free_mib']} MiB are wanted.",
                f"`du -xh --max-depth=2 {path} | sort -h | tail` shows what takes the room.",
            )


def clock(expected: dict[str, Any]) -> Found:
    """Finds an unsynchronised clock, where synchronisation is required."""
    if not expected.get("kept_in_step"):
        return
    synchronised = _output(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised != "yes":
        yield (
            "machine.clock_free",
            "The clock is not kept in step by a time server.",
            "Look at `timedatectl timesync-status`; allow the machine to reach its time server.",
        )


def certificates(expected: dict[str, Any]) -> Found:
    """Finds certificates that are missing, unreadable, or expire soon."""
    for path in expected["files"]:
        if not Path(path).is_file():
            yield (
                "machine.certificate_missing",
                f"The certificate {path} is missing.",
                "Converge the machine again.",
            )
            continue
        seconds = str(int(expected["days"]) * 86400)
        command = ["openssl", "x509", "-noout", "-enddate", "-checkend", seconds, "-in", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            ends = done.stdout.partition("notAfter=")[2].splitlines()[:1]
            yield (
                "machine.certificate_ends",
                f"The certificate {path} ends on {ends[0]}." if ends else f"{path} holds no certificate.",
                "Run the playbook: it renews certificates in time.",
            )


def write_metrics(expected: dict[str, Any]) -> Found:
    """Writes when certificates end for node-exporter, which shows it to Prometheus; never finds a problem.

    Does nothing for checks of other roles, which name no file, and on a machine without node-exporter, which
    has no such folder.
    """
    file = Path(expected.get("metrics_file") or "/")
    if file == Path("/") or not file.parent.is_dir():
        return
    name = "soundstage_node_certificate_expires_timestamp_seconds"
    lines = [f"# HELP {name} When a certificate of the node ends.", f"# TYPE {name} gauge"]
    for path in expected["certificates"]["files"]:
        command = ["openssl", "x509", "-noout", "-enddate", "-in", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode == 0:
            end = ssl.cert_time_to_seconds(done.stdout.partition("notAfter=")[2].strip())
            lines.append(f'{name}{{path="{path}"}} {end}')
    staging = file.with_suffix(".new")
    try:
        staging.write_text("\n".join(lines) + "\n", encoding="utf-8")
        staging.replace(file)
    except OSError:
        return  # `disks` has named a full one
    yield from ()


def secrets(paths: list[str]) -> Found:
    """Finds files that others than their owner and group may read."""
    for path in paths:
        try:
            mode = stat.S_IMODE(Path(path).stat().st_mode)
        except FileNotFoundError:
            continue  # a service that lacks its secret says so itself
        if mode & 0o007:
            yield (
                "machine.secret_open",
                f"The secret {path} has mode {mode:04o}: every user of the machine may read it.",
                "Run the playbook, which closes it; if somebody may have looked, rotate-secrets.yaml too.",
            )


def addresses(ports: list[int]) -> Found:
    """Ports that only this machine may use, and that listen to the outside."""
    if not ports:
        return
    for line in _output(["ss", "--listening", "--tcp", "--numeric", "--no-header"]).splitlines():
        host, _, port = line.split()[3].rpartition(":")
        if port.isdigit() and int(port) in ports and not host.startswith(("127.", "[::1]")):
            yield (
                "machine.port_open",
                f"Port {port} listens on {host}; only this machine may use it.",
                "Find the program with `ss -ltnp`, and stop it or bind it to 127.0.0.1.",
            )


def _states(names: list[str]) -> Iterator[tuple[str, str]]:
    if names:
        process = subprocess.run(
            ["systemctl", "is-active", *names], capture_output=True, text=True, timeout=30, check=False
        )
        yield from zip(names, process.stdout.split(), strict=True)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
