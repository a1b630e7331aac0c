"""Checks the records of faults and starts, on machines that need not boot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab import machines
from lab.farm_in_a_box import Lab
from lab.faults import active_faults, catalogue, clear_fault, inject_fault
from lab.faults.fault import Fault
from lab.paths import LabPaths
from lab.plan import MachinePlan, machines_named
from soundstage.errors import Conflict, Invalid, Unavailable, Upstream


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LabPaths, MachinePlan]:
    """A machine without a card, of which only the folder is made."""
    monkeypatch.setattr("lab.paths.LABS", tmp_path)
    paths, plan = LabPaths("paper"), machines_named(["m1"])[0]
    paths.machine("m1").cards.mkdir(parents=True)
    (paths.machine("m1").cards / "cards.json").write_text("[]")
    return paths, plan


def test_a_refused_fault_is_not_recorded(machine: tuple[LabPaths, MachinePlan]) -> None:
    paths, plan = machine
    with pytest.raises(Conflict, match="has no NVIDIA card"):
        inject_fault(paths, plan, "card-dead")
    assert active_faults(paths.machine("m1")) == []
    assert clear_fault(paths, plan) == []


def test_a_fault_that_failed_half_way_can_still_be_healed(
    machine: tuple[LabPaths, MachinePlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, plan = machine

    def fail(_: Any) -> None:
        raise Upstream("lab.program_failed", "It stopped.", "")

    half_way = Fault("network", "", fail, lambda _: None)
    monkeypatch.setitem(catalogue.FAULTS, "network", half_way)
    with pytest.raises(Upstream):
        inject_fault(paths, plan, "network")
    assert clear_fault(paths, plan) == ["network"]


def test_a_machine_that_does_not_start_is_not_called_healed(
    machine: tuple[LabPaths, MachinePlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, plan = machine
    paper = paths.machine("m1")
    (paper.folder / "faults.json").write_text('["power"]')

    def start(*_: Any) -> None:
        paper.log.write_text("Failed to add new veth interfaces (vb-x:host0): File exists\n")
        paper.state.write_text(json.dumps({"state": "off", "boots": 1, "code": 1}))

    monkeypatch.setattr("lab.faults.catalogue.start_machine", start)
    monkeypatch.setattr(machines, "is_ssh_up", lambda *_: False)
    with pytest.raises(Unavailable, match=r"does not start: .*File exists"):
        clear_fault(paths, plan)
    assert active_faults(paper) == ["power"]


def test_a_command_that_is_not_there_is_named_and_the_checkouts_ansible_is_found(
    machine: tuple[LabPaths, MachinePlan], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = Lab("paper")
    monkeypatch.setattr(Lab, "plan", property(lambda _: type("Plan", (), {"machines": ()})()))
    monkeypatch.setattr("lab.farm_in_a_box._ansible_programs", lambda: str(tmp_path / "ansible"))
    assert lab.environment()["PATH"].split(":")[-1] == str(tmp_path / "ansible")
    with pytest.raises(Unavailable) as caught:
        lab.enter(["no-such-program"])
    assert caught.value.code == "lab.no_program"


def test_the_hint_for_a_name_says_which_letters() -> None:
    with pytest.raises(Invalid) as caught:
        machines_named(["mä"])
    assert "a to z" in caught.value.hint
