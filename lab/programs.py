"""Runs the system's programs (ip, mount, ssh-keygen, mmdebstrap …) and says why one failed; used by all of
lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soundstage.errors import Unavailable, Upstream


def start_program(program: Path, spec: Mapping[str, Any], path: Path) -> subprocess.Popen[bytes]:
    """Starts one of our own programs, which outlives this process. `path`: where its spec is written; its log
    is beside it.
    """
    path.touch(mode=0o600)  # an address in it may hold a password
    path.write_text(json.dumps(spec))
    with path.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", str(program), str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def run_program(
    arguments: Sequence[str | Path],
    *,
    doing: str,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    fine: Iterable[int] = (0,),
    timeout_s: float = 120,
) -> str:
    """Standard output of a program. Upstream `lab.program_failed` with its last lines when it ends otherwise.

    `doing` completes the sentence "… failed".
    """
    command = [str(one) for one in arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment} if environment else None,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise Unavailable(
            "lab.programs_missing",
            f"The program {command[0]} is missing.",
            "`make setup-farm` installs what is needed.",
        ) from None
    except subprocess.TimeoutExpired:
        raise Upstream(
            "lab.program_hangs",
            f"{doing} took more than {timeout_s:.0f} s ({command[0]}).",
            "Is this computer very busy?",
        ) from None
    if done.returncode not in fine:
        last_lines = " / ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-4:])
        raise Upstream(
            "lab.program_failed",
            f"{doing} failed: {command[0]} ended with {done.returncode}: {last_lines or 'no output'}",
            "`soundstage lab down` clears away what was half made.",
        )
    return done.stdout
