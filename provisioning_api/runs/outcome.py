"""Finds the outcome of each machine in a run, and hints for failures, from its lines; called by the
driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from provisioning_api.runs.schemas import Line


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """`result`: ok, failed, unreachable or unknown (Ansible never came to it, or was stopped)."""

    result: str
    changed: int = 0
    task: str = ""
    cause: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """Words that Ansible and the programs below it print, and what to do then."""

    words: re.Pattern[str]
    hint: str


def _known(words: str, hint: str) -> _Known:
    return _Known(re.compile(words, re.IGNORECASE), hint)


# The first that fits.
HINTS = (
    _known(
        r"host key verification failed|remote host identification",
        "The machine shows another host key than the one it enrolled with. If it was set up anew, "
        "accept it anew.",
    ),
    _known(
        r"permission denied \(",
        "The machine does not trust our user CA: check TrustedUserCAKeys in its sshd, and the user's name.",
    ),
    _known(
        r"timed out|no route to host|network is unreachable",
        "The machine cannot be reached: check its power, its cable and its address, then retry the run.",
    ),
    _known(
        r"connection refused",
        "Nothing answers on its SSH port: the machine may still be starting; retry the run.",
    ),
    _known(
        r"no space left on device|not enough free space",
        "A disk is full: make room there (journalctl --vacuum-size=100M, apt-get clean), then retry the run.",
    ),
    _known(
        r"could not get lock|dpkg frontend lock|is another process using it",
        "Another package manager was at work on it: wait until it has ended, then retry the run.",
    ),
    _known(
        r"temporary failure in name resolution|could not resolve|name or service not known",
        "It cannot resolve names: check its resolver, then retry the run.",
    ),
    _known(
        r"release file .* (not valid yet|expired)|certificate is not yet valid|certificate has expired",
        "Its clock is wrong: check time synchronisation (timedatectl), then retry the run.",
    ),
    _known(
        r"404\s+not found|unable to fetch|failed to fetch|mirror",
        "A mirror did not have what was wanted: check the mirror, then retry the run.",
    ),
    _known(
        r"sudo: a password is required|missing sudo password|incorrect sudo",
        "The user may not become root without a password: give it that right on the machine.",
    ),
    _known(
        r"python\S* not found|no usable .*python",
        "There is no usable Python on it: install python3.",
    ),
)
DEFAULT_HINT = "Read its output (`soundstage runs show ID`), fix the cause, then `soundstage runs retry ID`."


def hint_for(cause: str) -> str:
    """Returns what to do about a cause, in a sentence."""
    return next((known.hint for known in HINTS if known.words.search(cause)), DEFAULT_HINT)


def outcomes(names: Iterable[str], lines: Iterable[Line]) -> dict[str, HostOutcome]:
    """By machine. Without the statistics that Ansible gives at its end it is `unknown`, unless it failed."""
    failures: dict[str, Line] = {}
    stats: Line | None = None
    for line in lines:
        if line.kind in ("failed", "unreachable") and not line.ignored:
            failures.setdefault(line.host, line)
        elif line.kind == "stats":
            stats = line
    return {name: _outcome(name, failures.get(name), stats) for name in names}


def _outcome(name: str, failure: Line | None, stats: Line | None) -> HostOutcome:
    counts = (stats.stats if stats else None) or {}
    changed = int(counts.get("changed", {}).get(name, 0))
    bad = counts.get("failures", {}).get(name, 0) or counts.get("dark", {}).get(name, 0)
    # A failure that a `rescue` caught stands in the lines, and not in the statistics.
    if failure is not None and (stats is None or bad):
        cause = failure.message or failure.output or "Ansible gave no reason."
        result = "unreachable" if failure.kind == "unreachable" else "failed"
        return HostOutcome(result, changed, failure.task, cause, hint_for(cause))
    if stats is not None and name in counts.get("processed", {}):
        return HostOutcome("ok", changed)
    return HostOutcome("unknown", changed)
