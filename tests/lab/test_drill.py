"""A drill rehearses on a copy of the operator's farm, and tells the truth about what was seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.drill import farm_copy
from lab.drill.exercises import EXERCISES
from lab.drill.farm_copy import MAX_CLIENTS, copy_farm, smallest_farm
from lab.drill.rehearse import Outcome, rehearse, select_exercises
from lab.farm_in_a_box import Lab
from soundstage.errors import Invalid, NotFound

_INVENTORY = """\
all:
  children:
    workers:
      children:
        gpu:
          hosts:
            big: {ansible_host: 192.0.2.21, gpu__expected_cards: 4}
            small: {ansible_host: 192.0.2.22}
        cpu:
          hosts:
            plain: {ansible_host: 192.0.2.31}
    control:
      hosts:
        boss: {ansible_host: 192.0.2.11}
"""


@pytest.fixture(params=["by Ansible", "as YAML"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to read an inventory must come to the same."""
    if request.param == "as YAML":
        monkeypatch.setattr(shutil, "which", lambda _: None)
        monkeypatch.setattr(farm_copy, "_OWN_ANSIBLE", Path("/nowhere"))
    elif shutil.which("ansible-inventory") is None and not farm_copy._OWN_ANSIBLE.exists():
        pytest.skip("needs Ansible: (cd ansible && uv sync)")


@pytest.mark.usefixtures("reader")
def test_the_shape_of_a_farm_is_copied_and_its_addresses_are_not(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(_INVENTORY)
    machines = copy_farm(tmp_path / "hosts.yaml").machines
    assert [(one.name, len(one.cards)) for one in machines] == [
        ("boss", 0),
        ("big", 4),
        ("small", 1),
        ("plain", 0),
    ]
    assert all(one.address.startswith("10.77.0.") for one in machines)


@pytest.mark.usefixtures("reader")
def test_without_a_group_of_servers_the_first_machine_is_one(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("all: {hosts: {one: , two: }}")
    assert [one.name for one in copy_farm(tmp_path / "hosts.yaml").machines] == ["one", "two"]


@pytest.mark.usefixtures("reader")
def test_of_a_large_farm_some_are_left_out_and_named(tmp_path: Path) -> None:
    hosts = ", ".join(f"n{number}: " for number in range(1, 31))
    (tmp_path / "hosts.yaml").write_text(f"all: {{hosts: {{{hosts}}}}}")
    farm = copy_farm(tmp_path / "hosts.yaml")
    assert (len(farm.machines), len(farm.left_out)) == (1 + MAX_CLIENTS, 29 - MAX_CLIENTS)


def test_the_projects_own_example_can_be_drilled() -> None:
    machines = copy_farm(Path(__file__).parents[2] / "inventory" / "hosts.yaml").machines
    assert machines[0].name == "control-1"
    assert [len(one.cards) for one in machines[1:]] == [1, 1, 0]


def test_inventories_that_cannot_be_copied_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no inventory"):
        copy_farm(tmp_path / "nowhere")
    (tmp_path / "one.yaml").write_text("all: {hosts: {alone: }}")
    with pytest.raises(Invalid, match="needs one that may fail"):
        copy_farm(tmp_path / "one.yaml")


@pytest.mark.parametrize("text", ["[control\n", "- a\n- b\n", "\x00"])
def test_a_file_that_is_no_inventory_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(farm_copy, "_OWN_ANSIBLE", Path("/nowhere"))
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(Invalid):
        copy_farm(tmp_path / "bad.yaml")


def test_exercises_are_chosen_by_name() -> None:
    assert select_exercises([]) == EXERCISES
    assert [one.name for one in select_exercises(["server", "cable"])] == ["cable", "server"]
    with pytest.raises(Invalid, match="no exercise “earthquake”"):
        select_exercises(["earthquake"])


def drill(lab: Lab, exercises: list[str], timeout_s: float) -> dict[str, Outcome]:
    output: list[str] = []
    found = list(
        rehearse(lab, smallest_farm(), select_exercises(exercises), say=output.append, timeout_s=timeout_s)
    )
    assert "is ready after" in "".join(output)
    assert not lab.exists()
    return {one.exercise: one for one in found}


needs_go = pytest.mark.skipif(
    shutil.which("go") is None, reason="needs Nomad: install Go 1.26, then `make tools`"
)


@pytest.mark.root
@needs_go
def test_work_of_a_machine_without_cable_goes_on_elsewhere(lab_names: Callable[[str], Lab]) -> None:
    outcome = drill(lab_names("drill"), ["cable"], 300)["cable"]
    assert outcome.passed, outcome.why


@pytest.mark.root
@pytest.mark.slow
@needs_go
def test_every_exercise_passes_on_a_healthy_farm(lab_names: Callable[[str], Lab]) -> None:
    outcomes = drill(lab_names("drill-all"), [], 300)
    assert list(outcomes) == [one.name for one in EXERCISES]
    assert all(one.passed for one in outcomes.values()), outcomes


@pytest.mark.root
@pytest.mark.slow
@needs_go
def test_what_is_waited_for_in_vain_is_said_to_have_failed(lab_names: Callable[[str], Lab]) -> None:
    """Nobody is patient enough for a machine to be missed within no time at all."""
    outcome = drill(lab_names("drill-vain"), ["cable"], 0.0)["cable"]
    assert not outcome.passed
    assert "in vain" in outcome.why
