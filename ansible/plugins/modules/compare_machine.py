# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares a machine with what a role declares, in one round trip; if equal, the role skips its steps.

Imports the standard library and ours alone: plugin_utils/module_program.py runs it.
"""

from __future__ import annotations

import fnmatch
import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.placing import FileState, PlacingError

DOCUMENTATION = r"""
module: compare_machine
short_description: Whether a machine is as a role declares it
description:
  - Reads the state of the machine itself, and stores nothing between runs. Changes nothing.
options:
  files: {description: As for place_files., type: list, elements: dict, default: []}
  folders: {description: As for place_files., type: list, elements: dict, default: []}
  links: {description: As for place_files., type: list, elements: dict, default: []}
  absent: {description: As for place_files., type: list, elements: path, default: []}
  present: {description: What must be there, whatever is in it., type: list, elements: path, default: []}
  packages:
    description: Installed Debian packages, C(NAME) or C(NAME=VERSION) where the version may hold C(*).
    type: list
    elements: str
    default: []
  units:
    description: Systemd units that are active, and enabled where they can be.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      reads:
        description: Files that it reads at its start. C(stale) if the unit started before one changed.
        type: list
        elements: path
        default: []
      reloads: {description: Whether a reload takes them up as well as a start., type: bool, default: false}
  users:
    description: Users that exist.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      shell: {description: Login shell., type: str, required: true}
  commands:
    description: Commands that only read, for state that files do not show, such as loaded firewall rules.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name under which a difference is reported., type: str, required: true}
      argv:
        description: The program and its arguments; it must exit with 0.
        type: list
        elements: str
        required: true
      prints: {description: Lines that its output must have., type: list, elements: str, default: []}
  blocks:
    description: Parts of files between two lines, as the module blockinfile writes them.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: The file., type: path, required: true}
      marker: {description: The lines around it., type: str, required: true}
      block: {description: What stands between them., type: str, required: true}
author: Soundstage
"""

RETURN = r"""
as_declared:
  description: Whether nothing differs.
  returned: always
  type: bool
differs:
  description: What differs, by name; never what is in it.
  returned: always
  type: list
unlike:
  description: Names of the C(commands) whose output or exit code differs.
  returned: always
  type: list
stale:
  description: >-
    Units that run with older files than those that are there, because a run was cut off between placing and
    starting.
  returned: always
  type: list
"""

_STARTED = "ExecMainStartTimestampMonotonic"
# Of a unit that is active: its start, or the end of its last reload.
_STARTED_OR_RELOADED = "StateChangeTimestampMonotonic"


def run(params: dict[str, Any]) -> dict[str, Any]:
    """Returns the task's result. `params` are those of the documentation above, checked."""
    differs = [
        *_unlike_placed(params),
        *(f"missing: {path}" for path in params["present"] if not os.path.lexists(path)),
        *(f"user {user['name']}" for user in params["users"] if not _has_user(user)),
        *(f"part of {block['path']}" for block in params["blocks"] if not _has_block(block)),
    ]
    if params["packages"]:
        versions = _installed()
        differs += [f"package {one}" for one in params["packages"] if not _has_package(versions, one)]
    unlike = [one["name"] for one in params["commands"] if not _output_matches(one)]
    differs += unlike
    stale: list[str] = []
    if params["units"]:
        wrong, stale = _units_that_differ(params["units"])
        differs += [*wrong, *(f"unit {name} is older than its files" for name in stale)]
    return {
        "changed": False,
        "as_declared": not differs,
        "differs": differs,
        "stale": stale,
        "unlike": unlike,
    }


def _output_matches(expected: dict[str, Any]) -> bool:
    """Returns whether the command prints the expected lines; False for a program that is not
    installed yet.
    """
    if shutil.which(expected["argv"][0]) is None:
        return False
    done = _run(expected["argv"])
    output = {line.strip() for line in done.stdout.splitlines()}
    return done.returncode == 0 and output.issuperset(expected["prints"])


def _unlike_placed(params: dict[str, Any]) -> list[str]:
    state = FileState(dry=True, validate=lambda command: "")
    try:
        state.apply(params)
    except PlacingError as error:
        return [*state.changed_paths, str(error)]
    return state.changed_paths


def _has_user(expected: dict[str, str]) -> bool:
    try:
        return pwd.getpwnam(expected["name"]).pw_shell == expected["shell"]
    except KeyError:
        return False


def _has_block(expected: dict[str, str]) -> bool:
    begin, end = (expected["marker"].replace("{mark}", mark) for mark in ("BEGIN", "END"))
    try:
        text = Path(expected["path"]).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.count(begin) == 1 and f"{begin}\n{expected['block'].rstrip()}\n{end}\n" in text


def _installed() -> dict[str, str]:
    """Version by name, from dpkg's own list."""
    versions: dict[str, str] = {}
    name, installed = "", False
    with Path("/var/lib/dpkg/status").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("Package: "):
                name, installed = line[9:].strip(), False
            elif line.startswith("Status: "):
                expected, error, state = line.split()[1:4]
                installed = expected in ("install", "hold") and (error, state) == ("ok", "installed")
            elif installed and line.startswith("Version: "):
                versions[name] = line[9:].strip()
    return versions


def _has_package(versions: dict[str, str], expected: str) -> bool:
    name, _, version = expected.partition("=")
    return name in versions and fnmatch.fnmatchcase(versions[name], version or "*")


def _units_that_differ(units: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Returns their problems, and those that run but are stale."""
    names = [unit["name"] for unit in units]
    properties = f"--property=ActiveState,UnitFileState,{_STARTED},{_STARTED_OR_RELOADED}"
    done = _run(["systemctl", "show", properties, "--", *names])
    if done.returncode != 0:
        return [f"systemctl: {done.stderr.strip() or done.stdout.strip()}"], []
    wrong, stale = [], []
    for unit, block in zip(units, done.stdout.strip().split("\n\n"), strict=True):
        state = dict(line.split("=", 1) for line in block.splitlines())
        if state["ActiveState"] != "active" or state["UnitFileState"] not in ("enabled", "static"):
            wrong.append(f"unit {unit['name']}")
            continue
        loaded_us = state.get(_STARTED_OR_RELOADED if unit["reloads"] else _STARTED)
        if _is_stale(int(loaded_us or 0), unit["reads"]):
            stale.append(unit["name"])
    return wrong, stale


def _is_stale(loaded_us: int, reads: list[str]) -> bool:
    """Returns whether a file is newer than `loaded_us` on the monotonic clock. Files dated in the future are
    ignored.
    """
    now = time.time()
    loaded = now - (time.monotonic() - loaded_us / 1e6)
    written = [Path(path).stat().st_mtime for path in reads if Path(path).exists()]
    return any(loaded < at <= now for at in written)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace")
