"""Runs the programs that images are made with, and says why one failed; used by all of this folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from soundstage.errors import Unavailable, Upstream

_PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "sfdisk": "fdisk",
    "grub-mkimage": "grub-common grub-pc-bin grub-efi-amd64-bin",
    "zstd": "zstd",
    "go": "Go 1.26 or newer (https://go.dev/dl)",
}


def run_tool(
    arguments: Sequence[str | Path],
    *,
    doing: str,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 600,
) -> bytes:
    """Standard output. Unavailable `image.programs_missing`, or Upstream `image.program_failed` with its last
    lines; `doing` completes the sentence "… failed".
    """
    command = [str(one) for one in arguments]
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            cwd=cwd,
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise Unavailable(
            "image.programs_missing",
            f"The program {command[0]} is missing.",
            f"Install: {_PACKAGE_OF.get(command[0], command[0])}.",
        ) from None
    except subprocess.TimeoutExpired:
        raise Upstream(
            "image.program_failed",
            f"{doing} took more than {timeout_s:.0f} s ({command[0]}).",
            "Is this computer very busy?",
        ) from None
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace").splitlines()
        last_lines = " / ".join(lines[-4:]) or "it said nothing"
        raise Upstream(
            "image.program_failed",
            f"{doing} failed: {command[0]} ended with {done.returncode}: {last_lines}",
            "Nothing was published. Mend what it names, and build again.",
        )
    return done.stdout
