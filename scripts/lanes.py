"""Runs the rooms of tests in lanes, several at once, and prints each room's output whole when it has ended;
called by scripts/test.

The first lane takes the rooms that need the whole machine (scripts/rooms.py), one after the other, then helps
with the others; further lanes take the others. With one lane, what a room says is printed as it comes.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import closing_line
from failed_tests import count_as_passed, failed_tests, report_broken_off
from long_runs import record_run
from reach import ROOTS
from room_times import DEFAULT_FILE, read_room, table, write_times
from rooms import CHECK, TORCH, Room, rooms_of

# How pytest ends when all passed, when tests failed, and when a room has none with these marks.
PASSED, FAILED, NONE_CHOSEN = 0, 1, 5
MAX_TRIED_AGAIN = 3
TELL_S = 240.0
# What a shell says of a program that Ctrl-C has ended.
INTERRUPTED = 130
# Of one lane at most: the machines of a lab, or the networks of the room torch.
LANE_GIB = 5
MAX_LANES = 6


class Lanes:
    """One run of the rooms: what is to do, what is running, what came of it."""

    def __init__(
        self,
        lanes: int,
        marks: str,
        folder: Path,
        *,
        record: bool = False,
        renew: bool = False,
        times: Path = DEFAULT_FILE,
    ) -> None:
        self.lanes = lanes
        self.marks = marks
        self.folder = folder
        # Whether it is not the short form: results of long tests go into tests/long_runs.json.
        self.record = record
        # Only tests that compare sentences run, and write what they got (tests/support/sentences.py).
        self.renew = renew
        # Where the seconds of each room go, as JSON.
        self.times = times
        self._machine: deque[Room] = deque()
        self._others: deque[Room] = deque()
        self._codes: dict[Room, int] = {}
        self._seconds: dict[str, float] = {}
        # Of a room with all processes that it has waited for, and of the machines of its labs.
        self._processor: dict[str, float] = {}
        self._lane_ends: list[str] = []
        self._unsteady: list[str] = []
        self._running: dict[int, str] = {}
        self._stops = 0
        self._begun = time.monotonic()

    async def run(self, rooms: list[Room], *, second_try: bool) -> int:
        """All rooms, then the closing line; the exit status."""
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(which, self._stop)
        for room in rooms:
            (self._machine if room.whole_machine and self.lanes > 1 else self._others).append(room)
        telling = asyncio.create_task(self._tell()) if self.lanes > 1 else None
        await asyncio.gather(*(self._lane(first=number == 0) for number in range(self.lanes)))
        if telling is not None:
            telling.cancel()
        for room, code in self._codes.items():
            if second_try and code == FAILED and room is not CHECK and not self._stops:
                await self._again(room)
        return self._close()

    def _stop(self) -> None:
        """Ctrl-C: rooms take down what they have made; once more: they are hurried; a third time: ended."""
        self._stops += 1
        self._machine.clear()
        self._others.clear()
        for pid in self._running:
            _signal_group(pid, signal.SIGINT if self._stops < 3 else signal.SIGKILL)

    async def _tell(self) -> None:
        """That it goes on, for those who end what says nothing for long."""
        while True:
            await asyncio.sleep(TELL_S)
            _say(f"-- {self._minute()}: at work: {', '.join(self._running.values())}")

    async def _lane(self, *, first: bool) -> None:
        while queue := (self._machine if first and self._machine else self._others):
            await self._room(queue.popleft())
        self._lane_ends.append(self._minute())

    async def _room(self, room: Room) -> None:
        begun = time.monotonic()
        command = self._command(room)
        if room is not CHECK:
            command += [f"--junitxml={self._report(room)}", "-o", f"junit_suite_name={room.name}"]
        if self.lanes == 1:
            _say(f"\n== {room.name}")
            code = await self._ended(room, command)
        else:
            said = self.folder / f"{room.name}.txt"
            _say(f"-- {self._minute()}: {room.name} begins (as it comes: {said})")
            with said.open("w+b") as output:
                code = await self._ended(room, command, output)
                _say(f"\n== {room.name}")
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
        self._codes[room] = code
        self._seconds[room.name] = time.monotonic() - begun
        report = self._report(room)
        if self.record and not self._stops:
            record_run(Path.cwd(), room.name, report)
        if not self._stops and code not in (PASSED, NONE_CHOSEN) and not failed_tests(report, room.name):
            report_broken_off(report, room.name, f"ended with {code}")
            _say(f"{room.name} ended with {code}")

    async def _again(self, room: Room) -> None:
        """What passes now counts as passed and is named as unsteady: a defect to mend, but no reason to throw
        a whole run away. It runs alone, when the lanes have ended."""
        names = failed_tests(self._report(room), room.name)
        if not 1 <= len(names) <= MAX_TRIED_AGAIN:
            return
        _say(f"\n== {room.name}, once more: {' '.join(names)}")
        last_failed = ["--last-failed", "--last-failed-no-failures", "none"]
        self._codes[room] = await self._ended(room, [*self._command(room), *last_failed])
        if self._codes[room] == PASSED:
            count_as_passed(self._report(room))
            if self.record:
                record_run(Path.cwd(), room.name, self._report(room))
            self._unsteady += names

    def _close(self) -> int:
        """The summary; the last line of all is the one that counts."""
        if self._unsteady:
            _say("\nUnsteady (failed, then passed alone)", *(f"  {name}" for name in self._unsteady))
        whole = time.monotonic() - self._begun
        rooms = [
            read_room(name, took, self._processor.get(name, 0.0), self.folder / f"{name}.xml")
            for name, took in self._seconds.items()
        ]
        write_times(rooms, self.times, Path.cwd(), lanes=self.lanes, seconds=whole)
        # What .ci/run has measured before.
        if steps := os.environ.get("TEST_STEPS"):
            _say("\nSeconds before the tests", steps.rstrip("\n"))
        _say("\nSeconds per room", *table(rooms))
        lanes = f"{self.lanes} lane{'s' if self.lanes > 1 else ''}"
        tests, processor = sum(room.tests for room in rooms), sum(room.processor_seconds for room in rooms)
        ends = f"{lanes}, ended after {' and '.join(self._lane_ends)}"
        _say(f"  {'all':16} {tests:6} {whole:8.1f} {processor:9.1f}  in {ends}; {self.times}")
        if unchanged := [line for name in self._seconds if (line := _unchanged(self.folder, name))]:
            _say(
                "\nNot run, because they passed and their own room has not changed since (make test-changed)"
            )
            _say(*(f"  {line}" for line in unchanged))
        if self._stops:
            _say("\nStopped: rooms that had not ended, or not begun, are missing below.")
        failed = closing_line.main(self.folder)
        well = all(code in (PASSED, NONE_CHOSEN) for code in self._codes.values())
        return INTERRUPTED if self._stops else int(bool(failed) or not well)

    def _minute(self) -> str:
        return f"{(time.monotonic() - self._begun) / 60:.1f} min"

    def _report(self, room: Room) -> Path:
        return self.folder / f"{room.name}.xml"

    def _command(self, room: Room) -> list[str]:
        nice = ["nice", "-n", str(room.nice)] if room.nice and self.lanes > 1 else []
        if room is CHECK:
            return [*nice, *(["env", "TEST_ALL=1"] if self.record else []), "scripts/check"]
        marks = f"({self.marks}) and {room.marks}" if room.marks else self.marks
        # A cache of its own: the other lane would write over what `--last-failed` has to know.
        cache = f"cache_dir={self.folder / 'cache' / room.name}"
        colour = ["--color=yes"] if sys.stdout.isatty() else []
        form = ["--renew-sentences"] if self.renew else self._cached()
        return [*nice, room.pytest, "-q", "-m", marks, "-o", cache, *colour, *form, *room.paths]

    def _cached(self) -> list[str]:
        """Returns what pytest does with modules whose result is cached (tests/support/cached_results.py)."""
        if self.record:
            # It runs all, and alone in the checkout: what tests open is compared with their keys.
            return ["--check-inputs"] if self.lanes == 1 else []
        if os.environ.get("TEST_ALL"):
            return []
        return ["--only-changed", *([] if os.environ.get("TEST_CHANGED") else ["--own-room"])]

    async def _ended(self, room: Room, command: list[str], output: IO[bytes] | None = None) -> int:
        """How a room has ended."""
        if self._stops:
            return INTERRUPTED
        labs_before = lab_processor_seconds() if room.whole_machine else 0.0
        process = _started(command, dict(room.environment), output)
        self._running[process.pid] = room.name
        await _has_ended(process.pid)
        del self._running[process.pid]
        if self._stops:
            _signal_group(process.pid, signal.SIGKILL)
        code, processor_s = _wait(process)
        if room.whole_machine:
            # No other room has machines at the same time.
            processor_s += lab_processor_seconds() - labs_before
        self._processor[room.name] = self._processor.get(room.name, 0.0) + processor_s
        return code


def _started(
    command: list[str], environment: dict[str, str], output: IO[bytes] | None
) -> subprocess.Popen[bytes]:
    """In a session of its own, so that `Lanes._stop` alone tells it of Ctrl-C; when this process is killed,
    the kernel does."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "INT", *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Returns the exit status of a process that has ended, and its processor seconds."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_utime + used.ru_stime


def lab_processor_seconds(files: Path = Path("/sys/fs/cgroup")) -> float:
    """Returns what the machines of all labs have used since their control group (lab/control_groups.py) was
    made: they are no children of a room. 0 where no lab was ever up.
    """
    for place in (files, files / "unified"):
        with suppress(OSError):
            used = re.search(r"^usage_usec (\d+)", (place / "soundstage-lab" / "cpu.stat").read_text())
            if used:
                return int(used[1]) / 1e6
    return 0.0


async def _has_ended(pid: int) -> None:
    """Without a thread that waits: the kernel would tell a room of the end of each thread of this process."""
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(descriptor)
    os.close(descriptor)


def _signal_group(pid: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, which)


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def _unchanged(folder: Path, room: str) -> str:
    """Returns how many modules a room has not run, and when they last ran, from its JUnit report; empty for
    none. The room names each in its own output.
    """
    try:
        report = ET.parse(folder / f"{room}.xml")  # noqa: S314 - our own file
    except (FileNotFoundError, ET.ParseError):
        return ""
    properties = report.iterfind("testsuite/properties/property[@name='not run']")
    lines = [line.get("value", "") for line in properties]
    behind = sum(": its programs changed since " in line for line in lines)
    dates = sorted({date for line in lines for date in re.findall(r"since (\d{4}-\d\d-\d\d)", line)})
    since = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "an earlier run"
    programs = f"; the programs of {behind} have changed since" if behind else ""
    return f"{room:16} {len(lines):4} modules, passed {since}{programs}" if lines else ""


def lanes_for(cores: int, memory_gib: float) -> int:
    """Returns how many rooms keep a computer busy: one more than its cores, because rooms wait for servers
    and machines a third of their time; two where memory is short, one on a single core.
    """
    return 1 if cores == 1 else max(2, min(cores + 1, int(memory_gib / LANE_GIB), MAX_LANES))


def _lanes_wanted(given: str, *, quiet: bool) -> int:
    """Returns TEST_LANES, or one where figures are taken, or what suits this computer."""
    if not given:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return 1 if quiet else lanes_for(os.cpu_count() or 1, memory / 2**30)
    if not given.isdigit() or int(given) < 1:
        raise ValueError(f"TEST_LANES is a number from 1 on, and not {given}")
    return int(given)


def compile_modules(checkout: Path) -> None:
    """Writes the bytecode of our packages. Tests start hundreds of processes, and each would compile seven
    hundred modules: first all at once, and always where PYTHONDONTWRITEBYTECODE is set.
    """
    for folder, packages in ROOTS:
        for package in packages:
            # Silent: a module with a fault is named by the tests that import it.
            compileall.compile_dir(checkout / folder / package, quiet=2)


def _with_torch(rooms: list[Room], *, make: bool) -> list[Room]:
    """The room of PyTorch with its environment, or without the room when that is not there."""
    torch = next((room for room in rooms if room.pytest == TORCH), None)
    if torch is None:
        return rooms
    ask = ["scripts/torch_environment", *([] if make else ["--there"])]
    asked = subprocess.run(ask, stdout=subprocess.PIPE, text=True)
    if asked.returncode != 0:
        _say(
            "== torch: left out, there is no PyTorch environment; scripts/torch_environment makes it (6 GiB)"
        )
        return [room for room in rooms if room is not torch]
    there = replace(torch, pytest=f"{asked.stdout.strip()}/bin/pytest")
    return [there if room is torch else room for room in rooms]


def main(arguments: list[str]) -> int:
    """Returns 0 when all passed, 1 when something failed, 2 when the arguments are not understood."""
    parser = argparse.ArgumentParser(
        prog="scripts/test", description="Run all tests, or those of some rooms."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--long", action="store_true", help="the slow ones too; one room after the other")
    which.add_argument("--gpu", action="store_true", help="only those that need an NVIDIA card")
    parser.add_argument(
        "--only",
        default="",
        metavar='"ROOM ROOM:FILE …"',
        help="these rooms, or ROOM:FILE of them; `check` is one",
    )
    parser.add_argument(
        "--renew-sentences",
        action="store_true",
        help="run the tests that compare sentences, and write what they got into tests/ROOM/sentences.json",
    )
    parser.add_argument("--json", type=Path, default=DEFAULT_FILE, metavar="FILE", help="seconds per room")
    chosen = parser.parse_args(arguments)
    try:
        lanes = _lanes_wanted(os.environ.get("TEST_LANES", ""), quiet=chosen.long or chosen.gpu)
        with_check = not (chosen.gpu or chosen.renew_sentences)
        rooms = rooms_of(Path.cwd(), chosen.only.replace(",", " ").split(), with_check=with_check)
    except ValueError as error:
        parser.error(str(error))
    marks = "gpu" if chosen.gpu else "not gpu" if chosen.long else "not slow and not gpu"
    wants_llama = chosen.long and not {"agent", "jobs"}.isdisjoint(room.name for room in rooms)
    if wants_llama and subprocess.run(["scripts/llama_server"], stdout=subprocess.DEVNULL).returncode:
        print("Those tests that need llama-server are left out.", file=sys.stderr)
    rooms = _with_torch(rooms, make=chosen.long or chosen.gpu)
    compile_modules(Path.cwd())
    with tempfile.TemporaryDirectory(prefix="soundstage-tests-") as folder:
        run = Lanes(
            1 if chosen.gpu or chosen.renew_sentences else lanes,
            marks,
            Path(folder),
            record=(chosen.long or chosen.gpu) and not chosen.renew_sentences,
            renew=chosen.renew_sentences,
            times=chosen.json,
        )
        return asyncio.run(run.run(rooms, second_try=os.environ.get("TEST_AGAIN", "0") == "1"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
