"""The output of `avatar doctor` and `avatar engines` on machines that lack something."""

from __future__ import annotations

import importlib.metadata
from argparse import Namespace
from pathlib import Path

import pytest
from avatar.cli import inspection
from avatar.engines.neural.choice import Machine
from avatar.pipeline import doctor

INSTALL = "uv sync --locked --inexact --extra cpu --extra face --extra gpu"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package is installed, and a card's driver is there."""

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    monkeypatch.setattr(doctor, "card_is_possible", lambda: True)


@pytest.mark.usefixtures("without")
def test_a_card_without_torch_is_told_with_the_line_that_installs_it(tmp_path: Path) -> None:
    (check,) = [one for one in doctor.examine(tmp_path) if one.name == "torch"]
    assert check.state == "limited", "all works without it"
    assert "without the card" in check.detail and INSTALL in check.hint


@pytest.mark.usefixtures("without")
def test_installing_one_extra_takes_no_other_away(tmp_path: Path) -> None:
    """`uv sync` removes what it is not told of, unless it is to be inexact."""
    hints = [one.hint for one in doctor.examine(tmp_path) if "uv sync" in one.hint]
    assert len(hints) >= 9 and all("--inexact" in hint for hint in hints)


def test_nobody_hears_of_torch_where_there_is_no_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "card_is_possible", lambda: False)
    assert "torch" not in {one.name for one in doctor.examine(tmp_path)}


def test_the_list_of_engines_names_what_to_install_and_needs_in_one_unit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(driver=lambda: True, installed=lambda: False)
    monkeypatch.setattr(inspection, "Machine", lambda: machine)
    inspection.print_engines(Namespace(json=False))
    output = capsys.readouterr().out
    assert output.count(INSTALL) == 3 and output.count("not installed ") == 3
    assert "at least 2 GiB of it\n" in output and "at least 3.3 GiB of it; 7.8 GiB are better\n" in output
    assert "MiB" not in output
