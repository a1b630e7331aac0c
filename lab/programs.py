"""Runs the system's programs (ip, mount, ssh-keygen, mmdebstrap …) and says what is missing; used by all of
lab."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from soundstage.errors import Forbidden, Unavailable, Upstream

# program: (Debian package, what for)
NEEDED = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "socat": "socat",
}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def what_is_missing() -> str | None:
    """Why this computer cannot run a lab now, as one sentence; None when it can."""
    if os.geteuid() != 0:
        return "The lab makes namespaces, mounts and control groups, which only root may do."
    missing = {package for program, package in NEEDED.items() if shutil.which(program) is None}
    if not _KEYRING.exists():
        missing.add("debian-archive-keyring")
    if missing:
        return f"The lab needs: apt-get install {' '.join(sorted(missing))}"
    return None


def require_lab_programs() -> None:
    """Forbidden or Unavailable, with what to do, when this computer cannot run a lab."""
    if os.geteuid() != 0:
        raise Forbidden(
            "lab.needs_root",
            "The lab makes namespaces, mounts and control groups, which only root may do.",
            "Run the same command with sudo.",
        )
    missing = what_is_missing()
    if missing:
        raise Unavailable(
            "lab.programs_missing", missing, "`make setup` lists what the project needs, and why."
        )


def run_program(
    arguments: Sequence[str | Path],
    *,
    doing: str,
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
    fine: Iterable[int] = (0,),
    timeout_s: float = 120,
) -> str:
    """Standard output of a program. Upstream `lab.program_failed` with its last lines when it ends otherwise.

    `doing` completes the sentence "… failed"; `given` is its standard input.
    """
    command = [str(one) for one in arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment} if environment else None,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise Unavailable(
            "lab.programs_missing",
            f"The program {command[0]} is missing.",
            "`make setup` installs what is needed.",
        ) from None
    except subprocess.TimeoutExpired:
        raise Upstream(
            "lab.program_hangs",
            f"{doing} took more than {timeout_s:.0f} s ({command[0]}).",
            "Is this computer very busy?",
        ) from None
    if done.returncode not in fine:
        said = " / ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-4:])
        raise Upstream(
            "lab.program_failed",
            f"{doing} failed: {command[0]} ended with {done.returncode}: {said or 'it said nothing'}",
            "`soundstage lab down` clears away what was half made.",
        )
    return done.stdout
