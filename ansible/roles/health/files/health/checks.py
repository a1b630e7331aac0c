"""Runs the checks of /etc/soundstage/checks.d; each role that has something to look after puts one there.

A check is a JSON file: `name`, `command` (a list), `timeout_s`, and `every_s` for those that cost something:
between two runs their last result counts. The command prints one JSON object per problem (`code`, `message`,
`hint`) and ends with 0.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from problems import Problem

READ_LOG = "Run it by hand: soundstage-health run --check"


@dataclass(frozen=True)
class Check:
    """`every_s` 0: whenever the node is looked at."""

    name: str
    command: tuple[str, ...]
    timeout_s: float = 60.0
    every_s: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """`at_s`: seconds since 1970 at which the check ended."""

    check: str
    at_s: float
    problems: tuple[Problem, ...]


def load_checks(folder: Path) -> list[Check]:
    """Every check, by file name. Raises ValueError that names a file which is no check."""
    checks = []
    for file in sorted(folder.glob("*.json")):
        try:
            read = json.loads(file.read_text(encoding="utf-8"))
            checks.append(
                Check(
                    name=str(read["name"]),
                    command=tuple(str(word) for word in read["command"]),
                    timeout_s=float(read.get("timeout_s", 60)),
                    every_s=float(read.get("every_s", 0)),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} does not describe a check: {error!r}") from None
    return checks


def run_checks(checks: list[Check], before: dict[str, Outcome], now_s: float) -> list[Outcome]:
    """The outcome of each check, in their order; what is not due yet is taken from `before`."""

    def outcome(check: Check) -> Outcome:
        last = before.get(check.name)
        if last is not None and 0 <= now_s - last.at_s < check.every_s and not last.problems:
            return last
        return Outcome(check.name, now_s, tuple(_run(check)))

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(outcome, checks))


def _run(check: Check) -> Iterator[Problem]:
    try:
        done = subprocess.run(
            check.command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=check.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield _broken(check, f"did not end within {check.timeout_s:g} s.")
        return
    except OSError as error:
        yield _broken(check, f"cannot be started: {error.strerror}.")
        return
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        yield _broken(check, f"broke with status {done.returncode}: {words}")
        return
    for line in done.stdout.splitlines():
        try:
            finding: dict[str, Any] = json.loads(line)
            yield Problem(check.name, str(finding["code"]), str(finding["message"]), str(finding["hint"]))
        except (ValueError, KeyError, TypeError):
            yield _broken(check, f"printed what is no problem: {line[:200]}")
            return


def _broken(check: Check, what: str) -> Problem:
    return Problem(
        check.name, "health.check_broken", f"The check “{check.name}” {what}", f"{READ_LOG} {check.name}"
    )
