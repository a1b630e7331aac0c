"""Checks run as their files say; one that breaks is a problem itself, and never a reason to look away."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from checks import Check, Outcome, load_checks, run_checks
from memory import Memory, alone, keep, recall
from problems import Problem

GONE = Problem("card", "card.gone", "It is gone.", "Look for it.")


def shell(script: str, **options: float) -> Check:
    return Check("card", ("/bin/sh", "-c", script), **options)


def problems(check: Check) -> list[Problem]:
    return [one for outcome in run_checks([check], {}, 1000.0) for one in outcome.problems]


def test_what_a_check_prints_is_a_problem() -> None:
    line = json.dumps({"code": "card.gone", "message": "It is gone.", "hint": "Look for it."})
    assert problems(shell(f"echo '{line}'")) == [GONE]


def test_a_silent_check_is_a_good_one() -> None:
    assert problems(shell("true")) == []


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (shell("echo Traceback; echo KeyError >&2; exit 3"), "broke with status 3: KeyError"),
        (shell("exec sleep 60", timeout_s=0.2), "did not end within 0.2 s"),
        (shell("echo all is well"), "printed what is no problem: all is well"),
        (Check("card", ("/nowhere/program",)), "cannot be started: No such file or directory"),
    ],
)
def test_a_check_that_breaks_is_a_problem_itself(check: Check, words: str) -> None:
    (problem,) = problems(check)
    assert problem.code == "health.check_broken"
    assert words in problem.message


def test_a_costly_check_rests_while_its_last_good_result_is_fresh(tmp_path: Path) -> None:
    check = shell(f"echo x >> {tmp_path}/runs", every_s=3600)
    good = Outcome("card", 1000.0, ())
    assert run_checks([check], {"card": good}, 2000.0) == [good]
    assert not (tmp_path / "runs").exists()


def test_a_costly_check_that_failed_is_run_each_time_so_that_a_repair_is_seen() -> None:
    check = shell("true", every_s=3600)
    assert run_checks([check], {"card": Outcome("card", 1000.0, (GONE,))}, 1001.0) == [
        Outcome("card", 1001.0, ())
    ]


def test_a_clock_that_was_set_back_makes_no_result_last_for_ever() -> None:
    check = shell("true", every_s=3600)
    assert run_checks([check], {"card": Outcome("card", 5000.0, ())}, 1000.0)[0].at_s == 1000.0


def test_a_file_that_is_no_check_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"name": "card"}')
    with pytest.raises(ValueError, match=r"bad\.json does not describe a check: KeyError\('command'\)"):
        load_checks(tmp_path)


def test_what_was_kept_is_recalled_and_rubbish_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    assert recall(file) == Memory()
    memory = Memory({"card": Outcome("card", 12.5, (GONE,))}, failures=3, lifted="one")
    keep(file, memory)
    assert recall(file) == memory
    file.write_text('{"failures": ')
    assert recall(file) == Memory()


def test_two_looks_at_once_take_their_turns(tmp_path: Path) -> None:
    file = tmp_path / "state" / "memory.json"
    order: list[str] = []

    def second() -> None:
        with alone(file):
            order.append("second")

    with alone(file):
        other = threading.Thread(target=second)
        other.start()
        other.join(0.2)
        order.append("first")
    other.join(30)
    assert order == ["first", "second"]
