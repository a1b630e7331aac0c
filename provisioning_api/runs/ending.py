"""Records the end of a run: results, machines, failures, TODO.md; called by the driver when its process has
ended.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from provisioning_api.runs.journal import RunJournal
from provisioning_api.runs.models import Failure, Run, RunMachine
from provisioning_api.runs.reading import all_lines, read_end
from provisioning_api.runs.repository import Failures, Runs
from provisioning_api.runs.schemas import End, Line
from provisioning_api.runs.states import RunState
from soundstage.database import Database
from soundstage.one_line import one_line

LOST = "The process of the run died without reporting a result."
LOST_HINT = "It is retried once automatically; after that run `soundstage runs retry ID`."
TITLE = (
    "# What needs a person\n\n"
    "Runs that failed, the oldest first. `soundstage runs failures` lists what is open.\n\n"
)


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """`result`: ok, failed, unreachable or unknown (Ansible never came to it, or was stopped)."""

    result: str
    changed: int = 0
    task: str = ""
    cause: str = ""
    hint: str = ""


# By words that Ansible and the programs below it print; the first that fits counts.
HINTS = {
    r"host key verification failed|remote host identification": (
        "The machine shows another host key than the one it enrolled with. If it was set up anew, "
        "accept it anew."
    ),
    r"permission denied \(": (
        "The machine does not trust our user CA: check TrustedUserCAKeys in its sshd, and the user's name."
    ),
    r"timed out|no route to host|network is unreachable": (
        "The machine cannot be reached: check its power, its cable and its address, then retry the run."
    ),
    r"connection refused": (
        "Nothing answers on its SSH port: the machine may still be starting; retry the run."
    ),
    r"no space left on device|not enough free space": (
        "A disk is full: make room there (journalctl --vacuum-size=100M, apt-get clean), then retry the run."
    ),
    r"could not get lock|dpkg frontend lock|is another process using it": (
        "Another package manager was at work on it: wait until it has ended, then retry the run."
    ),
    r"temporary failure in name resolution|could not resolve|name or service not known": (
        "It cannot resolve names: check its resolver, then retry the run."
    ),
    r"release file .* (not valid yet|expired)|certificate is not yet valid|certificate has expired": (
        "Its clock is wrong: check time synchronisation (timedatectl), then retry the run."
    ),
    r"404\s+not found|unable to fetch|failed to fetch|mirror": (
        "A mirror did not have what was wanted: check the mirror, then retry the run."
    ),
    r"sudo: a password is required|missing sudo password|incorrect sudo": (
        "The user may not become root without a password: give it that right on the machine."
    ),
    r"python\S* not found|no usable .*python": "There is no usable Python on it: install python3.",
}
DEFAULT_HINT = "Read its output (`soundstage runs show ID`), fix the cause, then `soundstage runs retry ID`."


def hint_for(cause: str) -> str:
    """Returns what to do about a cause, in a sentence."""
    return next((hint for words, hint in HINTS.items() if re.search(words, cause, re.I)), DEFAULT_HINT)


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


@dataclass
class RunEnding:
    db: Database
    runs: RunJournal
    machines: MachineJournal
    todo: Path
    _: KW_ONLY
    ready: MachineState

    async def write(self, run_id: str, folder: Path, end: End | None = None) -> RunState:
        """Stores the end of a run in one transaction, and reports its failures. Returns the state in which it
        ended. `end` replaces the result that its process could not write.
        """
        end = end or read_end(folder)
        lines = await asyncio.to_thread(all_lines, folder)
        async with self.db.transaction() as session:
            run = await Runs(session).find(run_id)
            if run is None or RunState(run.state) is not RunState.RUNNING:
                return RunState.LOST if run is None else RunState(run.state)
            rows = (await Runs(session).machines_of([run_id]))[run_id]
            found = outcomes([row.name for row in rows], lines)
            state, cause, hint = _verdict(run, end, found)
            for row in rows:
                outcome = found[row.name]
                row.result, row.changed = outcome.result, outcome.changed
                await self._record_machine(session, run, row, outcome, state, cause, hint)
            await self.runs.move(session, run, state, cause=cause, hint=hint)
        await self.report_failures()
        return state

    async def report_failures(self) -> None:
        """Appends failures to TODO.md that were not reported yet; after a crash one may be there twice."""
        async with self.db.session() as session:
            waiting = await Failures(session).list_unreported()
        if not waiting:
            return
        await asyncio.to_thread(_append, self.todo, [_todo_line(failure) for failure in waiting])
        reported = {failure.id for failure in waiting}
        async with self.db.transaction() as session:
            for failure in await Failures(session).list_unreported():
                failure.reported = failure.reported or failure.id in reported

    async def _record_machine(
        self,
        session: AsyncSession,
        run: Run,
        row: RunMachine,
        outcome: HostOutcome,
        state: RunState,
        cause: str,
        hint: str,
    ) -> None:
        """Moves one machine, and records what failed on it."""
        machine = await Machines(session).find(row.machine_id)
        if machine is None:
            return
        if outcome.result == "ok":
            await Failures(session).solve([machine.id])
        elif state is not RunState.CANCELLED:
            failure = Failure(
                run_id=run.id,
                machine_id=machine.id,
                name=row.name,
                task=outcome.task,
                cause=outcome.cause or cause or LOST,
                hint=outcome.hint or hint or DEFAULT_HINT,
            )
            await Failures(session).add(failure)
        if run.check or machine.state is not MachineState.CONFIGURING:
            return
        if outcome.result == "ok":
            if self.ready is not MachineState.CONFIGURING:
                await self.machines.move(session, machine, self.ready, by=f"run {run.id}")
        elif state is RunState.CANCELLED and outcome.result == "unknown":
            await self.machines.move(session, machine, MachineState.ENROLLED, by=f"run {run.id}")
        else:
            await self.machines.move(
                session,
                machine,
                MachineState.FAILED,
                by=f"run {run.id}",
                cause=outcome.cause or cause,
                hint=outcome.hint or hint or DEFAULT_HINT,
                run_id=run.id,
            )


def _verdict(run: Run, end: End | None, found: dict[str, HostOutcome]) -> tuple[RunState, str, str]:
    """Returns state, cause and hint."""
    bad = sorted(name for name, outcome in found.items() if outcome.result != "ok")
    if run.cancel_wanted:
        return RunState.CANCELLED, "Cancelled by an operator.", ""
    if end is None:
        return RunState.LOST, LOST, LOST_HINT
    if end.status == "timeout":
        hint = "Raise `provisioning.run_timeout_s`, or look for a task that waits for something."
        return RunState.FAILED, "It took longer than the limit, and was ended.", hint
    if end.status == "canceled":
        return RunState.LOST, "Its process was stopped from outside.", LOST_HINT
    if not bad and end.rc == 0:
        return RunState.SUCCEEDED, "", ""
    first_failure = next((outcome for outcome in found.values() if outcome.cause), None)
    if first_failure is None:
        reason = _last_lines(end.reason) or f"Ansible ended with code {end.rc}."
        return RunState.FAILED, reason, hint_for(end.reason)
    return RunState.FAILED, f"{len(bad)} of {len(found)} machines: {', '.join(bad[:5])}.", first_failure.hint


def _last_lines(text: str) -> str:
    """Joins the last three lines of text."""
    lines = [line for line in text.splitlines() if line.strip()]
    return " ".join(lines[-3:])[:500]


def _todo_line(failure: Failure) -> str:
    """One line of a list. Output of machines and programs is data: it cannot start another line or a
    link.
    """
    cause = str(one_line(failure.cause))[:300].replace("`", "'").replace("<", "‹")
    task = str(one_line(failure.task)).replace("`", "'")
    where = f" in “{task}”" if task else ""
    when = f"{failure.at:%Y-%m-%d %H:%M}"
    return f"- [ ] {when} {failure.name}{where}: `{cause}` {failure.hint} (run {failure.run_id})\n"


def _append(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        title = TITLE if os.fstat(descriptor).st_size == 0 else ""
        # One write: two processes cannot mix their lines.
        os.write(descriptor, (title + "".join(lines)).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
