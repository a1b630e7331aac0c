"""Keeps one machine running: starts systemd-nspawn anew when the machine reboots. A program of its own, run
by `machines` as `python3 -I keeper.py SPEC`, which outlives the process that started it; only the standard
library is loaded.

The spec (JSON): `command` (list), `groups` (control groups that the machine enters), `own_group`, `log`,
`state`, `earlier_boots` (before it was last switched on).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# systemd-nspawn --keep-unit ends so when the machine asked for a reboot.
REBOOT = 133


def keep(spec: dict[str, Any]) -> None:
    """Until the machine is switched off, by itself or by force."""
    enter([spec["own_group"]])
    boots = spec["earlier_boots"]
    while True:
        boots += 1
        with Path(spec["log"]).open("ab") as log:
            machine = subprocess.Popen(
                spec["command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=lambda: enter(spec["groups"]),
            )
        write_state(spec["state"], "on", boots, None)
        code = machine.wait()
        if code != REBOOT:
            write_state(spec["state"], "off", boots, code)
            return


def enter(groups: list[str]) -> None:
    for group in groups:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))


def write_state(path: str, state: str, boots: int, code: int | None) -> None:
    """Whole or not at all: it is read while it is written."""
    staging = Path(f"{path}.new")
    staging.write_text(json.dumps({"state": state, "boots": boots, "code": code}))
    staging.replace(path)


if __name__ == "__main__":
    keep(json.loads(Path(sys.argv[1]).read_text()))
