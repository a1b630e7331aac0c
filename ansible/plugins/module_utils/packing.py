# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds archives on the controller, for build_worker.py and pack_program.py of the roles.

Only the standard library, and no Ansible: they run with the controller's own Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

MAX_ARCHIVES = 3
IN_USE_S = 2 * 3600
"""So long after it was asked for last, a run of a playbook may still be copying it to machines."""


def digest_of(words: Iterable[str], source: Path, files: Iterable[Path]) -> str:
    """Of all that decides what is packed; links count by where they lead."""
    total = hashlib.sha256()
    for word in words:
        total.update(f"{word}\0".encode())
    for file in files:
        content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
        total.update(f"{file.relative_to(source)}\0".encode() + content + b"\0")
    return total.hexdigest()[:16]


def build_once(
    cache: Path, name: str, digest: str, build: Callable[[Path], Path], *, only_look: bool = False
) -> dict[str, str | bool]:
    """Returns the result to print for the archive NAME-DIGEST in the cache. `build` makes it in an empty
    folder, unless it is there or this is a dry run. Earlier ones that nobody needs go.
    """
    archive = cache / f"{name}-{digest}.tar"
    built = not archive.exists()
    if built and not only_look:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            build(Path(folder)).replace(archive)
    if not only_look:
        os.utime(archive)
        forget_old(cache, name)
    return {"digest": digest, "archive": str(archive), "built": built}


def forget_old(cache: Path, name: str) -> None:
    """All but those that were asked for last, and those that may be in use."""
    used_at = {file: _last_use(file) for file in cache.glob(f"{name}-*.tar")}
    for file in sorted(used_at, key=lambda one: used_at[one], reverse=True)[MAX_ARCHIVES:]:
        if time.time() - used_at[file] > IN_USE_S:
            file.unlink(missing_ok=True)


def _last_use(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another run has taken it away
        return 0.0


def write_archive(
    folder: Path,
    target: Path,
    *,
    left_out: Callable[[Path], bool] = lambda _: False,
    plain_modes: bool = False,
) -> Path:
    """`target`, the same bytes for the same files: everything below `folder` as root's, without times.
    `plain_modes`: what its owner may run is 0755, as folders are, and the rest 0644.
    """

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = 0
        if plain_modes:
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with tarfile.open(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder)
            if not left_out(name):
                archive.add(file, str(name), recursive=False, filter=plain)
    return target


def uv_program(named: str) -> str:
    """Return the uv to call: that of PATH or of a path, else the one that `make setup` has fetched."""
    if named == "uv" and shutil.which(named) is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soundstage"
        fetched = sorted(cache.glob("uv-*/bin/uv"), key=lambda one: one.stat().st_mtime)
        return str(fetched[-1]) if fetched else named
    return named


def run(command: list[str]) -> None:
    """Ends this program with what the command said when it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError:
        print(f"The program {command[0]} is missing; `make setup` fetches uv.", file=sys.stderr)
        sys.exit(1)
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip()[-2000:]
        print(f"{' '.join(command[:3])} failed:\n{output}", file=sys.stderr)
        sys.exit(1)


def tell(packed: dict[str, str | bool]) -> None:
    print(json.dumps(packed))
