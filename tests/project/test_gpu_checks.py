"""The one command for a card: who gets how much of its time, and how a run that was cut short says so."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[2] / "bench/gpu_checks.py"
SAYS = "import sys; print({said!r}); sys.exit({status})"


@pytest.fixture(scope="module")
def checks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_checks", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_checks"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(checks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the program on a machine with a card, with these steps; its status and its rows."""

    def ran(steps: list[object], *options: str) -> tuple[int, str]:
        monkeypatch.setattr(checks, "card", lambda: True)
        monkeypatch.setattr(checks, "machine", lambda: "{}")
        monkeypatch.setattr(checks, "every_step", lambda chosen: list(steps))
        monkeypatch.setattr(sys, "argv", ["gpu_checks.py", "--out", str(tmp_path), *options])
        return checks.main(), (tmp_path / "figures.md").read_text()

    return ran


def _step(checks: ModuleType, name: str, said: str, status: int = 0, **more: object):
    command = (sys.executable, "-c", SAYS.format(said=said, status=status))
    return checks.Step(name, command, **{"limit_s": 30} | more)


def _memory(checks: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str):
    monkeypatch.setattr(sys, "argv", ["gpu_checks.py", *options])
    return [step for step in checks.steps(checks.arguments()) if step.shortens]


def test_a_run_that_was_cut_short_says_how_far_it_came_and_is_not_done(checks, run) -> None:
    said = "cut short: reached 7.2 of 10.1 minutes in 540 s; all take about 750 s here"
    ended, rows = run(
        [_step(checks, "memory", f"slope: flat\n{said}", 3, shortens=True), _step(checks, "b", "x")]
    )
    assert ended == checks.SHORT
    assert f"| memory | {said} |" in rows
    assert "| b | done |" in rows


def test_three_is_cut_short_only_where_a_step_can_be(checks, run) -> None:
    ended, rows = run([_step(checks, "race", "no such file", 3)])
    assert ended == checks.FAILED
    assert "| race | ended with 3: no such file |" in rows


def test_what_fails_outweighs_what_was_cut_short(checks, run) -> None:
    cut, grows = "cut short: reached 2.0 of 10.1 minutes", "slope in MiB a minute: it grows"
    steps = [_step(checks, "a", cut, 3, shortens=True), _step(checks, "b", grows, 1, shortens=True)]
    ended, rows = run(steps)
    assert ended == checks.FAILED
    assert f"| b | ended with 1: {grows} |" in rows


def test_all_done_is_zero_and_a_step_that_is_stopped_is_not(checks, run) -> None:
    assert run([_step(checks, "a", "x"), _step(checks, "b", "x", shortens=True)])[0] == 0
    sleeps = checks.Step("a", (sys.executable, "-c", "import time; time.sleep(60)"), 1)
    ended, rows = run([sleeps])
    assert ended == checks.FAILED
    assert "| a | stopped after 1 s |" in rows


def test_what_may_take_longer_than_is_left_is_not_begun(checks, run) -> None:
    ended, rows = run([_step(checks, "race", "x", limit_s=480), _step(checks, "a", "x")], "--within", "2")
    assert ended == checks.SHORT
    assert "| race | not begun: it may take 480 s, and less is left of --within |" in rows
    assert "| a | done |" in rows


def test_a_step_that_reads_memory_ends_before_its_limit(checks, run) -> None:
    asks = "import sys; print('asked', *sys.argv[1:])"
    ended, rows = run(
        [checks.Step("memory", (sys.executable, "-c", asks), 500, shortens=True)], "--within", "5"
    )
    assert ended == 0
    assert f"asked --seconds {300 - checks.ENDING_S}" in rows


def test_the_time_for_memory_follows_from_the_minutes_and_from_what_one_takes(checks, monkeypatch) -> None:
    ten, thirty = (_memory(checks, monkeypatch, "--minutes", minutes) for minutes in ("10", "30"))
    assert [step.name.removeprefix("memory ") for step in ten] == list(checks.SECONDS_A_MINUTE)
    for short, long in zip(ten, thirty, strict=True):
        speed = checks.SECONDS_A_MINUTE[short.name.removeprefix("memory ")]
        assert long.limit_s - short.limit_s == pytest.approx(20 * speed)
        assert short.command[short.command.index("--minutes") + 1] == "10"


def test_one_alone_has_all_that_is_left_and_three_share_it(checks, monkeypatch) -> None:
    three = _memory(checks, monkeypatch)
    assert checks.limit_for(three[2:], 580) == 580
    assert checks.limit_for(three, checks.MIN_S - 1) == 0
    left, given = 3000.0, []
    for first in range(3):
        given.append(checks.limit_for(three[first:], left))
        left -= given[-1]
    assert left == pytest.approx(0)
    assert given[0] < given[1] < given[2]


def test_the_other_steps_leave_time_to_read_memory_in(checks, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_checks.py"])
    given = checks.arguments()
    fixed = sum(step.limit_s for step in checks.steps(given) if not step.shortens)
    assert fixed + 3 * checks.MIN_S < given.within * 60


def test_who_gives_more_time_gives_every_step_more_and_less_time_shortens_none(checks, monkeypatch) -> None:
    """A slower card needs it; with ten minutes for one step its limit is what it was."""

    def limits(minutes: str) -> list[float]:
        monkeypatch.setattr(sys, "argv", ["gpu_checks.py", "--within", minutes])
        return [step.limit_s for step in checks.steps(checks.arguments()) if not step.shortens]

    usual = limits("40")
    assert limits("120") == pytest.approx([3 * limit for limit in usual])
    assert limits("10") == usual


def test_where_the_original_lacks_a_package_ours_is_measured_alone_and_it_is_named(checks, run) -> None:
    """A working tree that cannot be opened took our own figures away with it."""
    needs = ("json", "not_there")
    alone = _step(checks, "a", "ours 3 frames/s").command
    ended, rows = run(
        [
            _step(checks, "drawing", "x", 1, needs=needs, alone=alone),
            _step(checks, "race", "x", 1, needs=needs),
        ]
    )
    assert ended == 0
    assert "| drawing | done, ours alone: the original needs not_there |" in rows
    assert "ours 3 frames/s" in rows
    assert "| race | not measured: the original needs not_there |" in rows


@pytest.mark.parametrize("name", ["liveportrait", "latentsync"])
def test_a_working_tree_is_given_to_the_commands_of_its_own_original(checks, monkeypatch, name) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_checks.py", f"--{name}", "tree"])
    for step in checks.steps(checks.arguments()):
        ours = step.name in (name, f"race {name}")
        assert ("tree" in step.command) == ours, step.name
        assert "tree" not in step.alone
        assert bool(step.alone) == (step.name in ("race liveportrait", "liveportrait", "latentsync"))
