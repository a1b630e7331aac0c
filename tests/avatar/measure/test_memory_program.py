"""`bench/parity/memory_engines.py` ends as its last line says: whole, too short, or growing."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sentences import SentenceSnapshot

PROGRAM = Path(__file__).parents[3] / "bench/parity/memory_engines.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    path, environment = list(sys.path), pytest.MonkeyPatch()
    environment.setenv("OMP_NUM_THREADS", "1")
    spec = importlib.util.spec_from_file_location("memory_engines", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["memory_engines"] = module
    spec.loader.exec_module(module)
    sys.path[:] = path
    environment.undo()
    return module


def _watch(program: ModuleType, until: float, slope: float = 0.0):
    """Of a video of ten minutes, read up to minute `until`."""
    watch = program.Watch(1.0, lambda: 0.0, total_minutes=10.0)
    for index in range(round(until * 60)):
        held = 1000 + slope * index / 60
        watch.readings.append(program.Reading(index / 60, held, held, 0.0))
    return watch


def _ended(program: ModuleType, capsys: pytest.CaptureFixture[str], watch: object, *, whole: bool):
    status = program.report_end(watch, whole=whole)
    return status, capsys.readouterr().out.splitlines()


def test_a_run_that_was_cut_short_says_how_far_it_came_and_is_no_success(program, capsys) -> None:
    status, lines = _ended(program, capsys, _watch(program, 7.2), whole=False)
    assert status == program.CUT_SHORT
    assert lines[0].startswith("slope in MiB a minute, minute 1.0 to 7.2") and "flat" in lines[0]
    assert lines[-1].startswith("cut short: reached 7.2 of 10.0 minutes in ")


def test_a_whole_run_that_is_flat_is_a_success(program, capsys) -> None:
    status, lines = _ended(program, capsys, _watch(program, 10), whole=True)
    assert status == 0
    assert len(lines) == 1 and "flat" in lines[0]


@pytest.mark.parametrize("whole", [True, False])
def test_memory_that_grows_is_the_last_word_of_any_run(program, capsys, whole: bool) -> None:
    status, lines = _ended(program, capsys, _watch(program, 8, slope=2), whole=whole)
    assert status == program.GROWS
    assert "it grows" in lines[-1]


def test_a_run_without_a_frame_says_that(program, capsys) -> None:
    watch = program.Watch(1.0, lambda: 0.0)
    assert math.isnan(watch.total_minutes)
    status, lines = _ended(program, capsys, watch, whole=False)
    assert status == program.CUT_SHORT
    assert lines[0].startswith("slope: not measured")
    assert lines[-1].startswith("cut short: no frame was reached in ")


def test_the_whole_would_take_as_long_as_its_part_did(
    program, capsys, monkeypatch, snapshot: SentenceSnapshot
) -> None:
    watch = _watch(program, 5.0)
    monkeypatch.setattr(program.time, "monotonic", lambda: watch._begun + 300)
    _, lines = _ended(program, capsys, watch, whole=False)
    assert lines[-1] == snapshot("cut_short")


def test_its_status_is_the_one_that_the_command_for_a_card_knows(program) -> None:
    command = (PROGRAM.parents[1] / "gpu_checks.py").read_text()
    assert f"FAILED, SHORT = {program.GROWS}, {program.CUT_SHORT}\n" in command
