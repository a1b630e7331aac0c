"""Runs a program to its end in a time; for readers of documents and pictures, and for the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """A negative `code` is the number of the signal that ended it."""

    code: int
    output: bytes
    complaint: bytes


async def run_program(
    *command: str | Path, limit_s: float, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Ended:
    """Without input, in a session of its own. A program that is not done in time is killed, and one whose
    caller is cancelled. Raises OSError where it does not start, and TimeoutError.
    """
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=cwd, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limit_s):
            output, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return Ended(process.returncode or 0, output, complaint)
