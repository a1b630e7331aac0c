"""A worker process that waits for its order: used once, replaced, and gone with the pool."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually_async

from farm.local import orphans
from farm.local.process import ProcessEnd, ProcessLimits, WaitingWorker, run_process
from farm.local.standby import Standby
from farm.worker_output import LogTail

PROGRAM = """
import json, os, sys
arguments, environment, ordered = sys.argv[1:], dict(os.environ), False
if arguments[:1] == ["standby"]:
    print("ready", flush=True)
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    order = json.loads(line)
    os.chdir(order["folder"])
    arguments, environment, ordered = order["arguments"], order["environment"], True
print(json.dumps([os.getpid(), ordered, arguments, os.getcwd(), environment.get("COLOUR")]), flush=True)
"""


@pytest.fixture
def command(tmp_path: Path) -> tuple[str, ...]:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    return sys.executable, str(program)


async def take(standby: Standby) -> WaitingWorker:
    found: list[WaitingWorker] = []

    def is_taken() -> bool:
        found.extend(one for one in [standby.take()] if one is not None)
        return bool(found)

    await eventually_async(is_taken, "a waiting process")
    return found[0]


async def run(
    command: tuple[str, ...], folder: Path, waiting: WaitingWorker | None
) -> tuple[ProcessEnd, list[Any]]:
    await asyncio.to_thread(folder.mkdir)
    lines: list[bytes] = []
    end = await run_process(
        [*command, "speak", "x"],
        folder=folder,
        record=folder / "worker.json",
        environment={"COLOUR": "blue"},
        limits=ProcessLimits(30),
        stop=asyncio.Event(),
        on_line=lines.append,
        log=LogTail(),
        waiting=waiting,
    )
    return end, json.loads(lines[0])


async def test_a_waiting_process_does_one_task_as_a_new_one_would(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    standby = Standby(command, 0)
    standby.prepare()
    waiting = await take(standby)
    end, (pid, ordered, *task) = await run(command, tmp_path / "a", waiting)
    assert (end.returncode, end.ended_by, ordered, pid) == (0, "itself", True, waiting.process.pid)
    assert task == [["speak", "x"], str(tmp_path / "a"), "blue"]
    plain_end, (_, ordered, arguments, _, colour) = await run(command, tmp_path / "b", standby.take())
    assert (plain_end.returncode, ordered, arguments, colour) == (0, False, *task[::2])


async def test_a_process_that_waits_ends_with_its_pool(command: tuple[str, ...]) -> None:
    standby = Standby(command, 0)
    standby.prepare()
    pid = (await take(standby)).process.pid
    standby.prepare()
    await eventually_async(lambda: standby.is_ready, "the next one")
    other = standby.take()
    assert other is not None and other.process.pid != pid
    other.end()
    standby.prepare()
    await eventually_async(lambda: standby.is_ready, "one that nobody takes")
    waiting = standby._waiting
    await standby.close()
    assert waiting is not None and orphans.start_time(waiting.process.pid) is None


async def test_a_program_that_takes_no_orders_is_started_for_each_task(tmp_path: Path) -> None:
    standby = Standby(("/bin/false",), 0)
    standby.prepare()
    await eventually_async(lambda: not standby.is_starting, "its end")
    assert standby.take() is None
    await standby.close()
