"""Checks the output of `soundstage lab` for people."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from sentences import SentenceSnapshot

from app.cli.farm import lab as lab_command
from app.cli.main import run_cli
from app.cli.state import Stopped
from lab.farm_in_a_box import Lab


def test_the_hint_names_the_lab_and_one_machine_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], snapshot: SentenceSnapshot
) -> None:
    def up(*_: Any, **__: Any) -> float:
        return 2.3

    monkeypatch.setattr(Lab, "up", up)
    assert run_cli(["lab", "up", "--name", "zwei", "--machines", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.partition("\n")[0] == snapshot("one_machine")
    assert "soundstage lab ssh --name zwei m1" in printed
    assert "soundstage lab exec --name zwei -- ansible all -m ping" in printed
    assert run_cli(["lab", "up", "--machines", "2"]) == 0
    printed = capsys.readouterr().out
    assert "2 machines answer on SSH" in printed
    assert "soundstage lab ssh m1" in printed


def test_an_interrupt_says_that_it_cleans_up(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped), lab_command.interruptible():
        signal.raise_signal(signal.SIGINT)
    assert "Interrupted: taking down what was made" in capsys.readouterr().err
