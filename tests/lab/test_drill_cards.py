"""Drills count a card as healthy only while Nomad lists it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.cards.catalogue import Card
from lab.cluster.api import ClusterApi
from lab.drill.exercises import Scene
from lab.farm_in_a_box import Lab

_UUIDS = ("GPU-1", "GPU-2")


def scene_with_devices(instances: list[dict[str, Any]] | None) -> Scene:
    """Returns a scene on a machine with two NVIDIA cards and a BMC, whose node reports these instances."""
    cards = [
        Card(kind="l4", pci_address=f"0000:0{number}:00.0", uuid=uuid) for number, uuid in enumerate(_UUIDS)
    ]
    machine = SimpleNamespace(
        name="gpu-1", cards=[*cards, Card(kind="bmc", pci_address="0000:09:00.0", uuid="")]
    )
    answers: dict[str, Any] = {
        "/v1/nodes": [{"ID": "n1", "Name": "gpu-1"}],
        "/v1/node/n1": {"NodeResources": {"Devices": instances and [{"Instances": instances}]}},
    }
    lab = SimpleNamespace(plan=SimpleNamespace(machines=[machine]))
    cluster = SimpleNamespace(nomad=lambda _method, path: answers[path])
    return Scene(cast(Lab, lab), cast(ClusterApi, cluster), "gpu-1", "job", 1, "boot")


def instances_of(*ids: str, healthy: bool = True) -> list[dict[str, Any]]:
    return [{"ID": one, "Healthy": healthy} for one in ids]


def test_all_listed_cards_are_healthy() -> None:
    assert scene_with_devices(instances_of(*_UUIDS)).cards_are_healthy()
    shares = [f"{uuid}#{number:03d}" for uuid in _UUIDS for number in range(3)]
    assert scene_with_devices(instances_of(*shares)).cards_are_healthy()


@pytest.mark.parametrize("instances", [None, instances_of("GPU-1"), instances_of("GPU-2#000", "GPU-2#001")])
def test_a_card_that_nomad_does_not_list_any_more_is_not_healthy(
    instances: list[dict[str, Any]] | None,
) -> None:
    assert not scene_with_devices(instances).cards_are_healthy()


def test_a_card_that_is_reported_as_faulty_is_not_healthy() -> None:
    faulty = [*instances_of("GPU-1"), *instances_of("GPU-2", healthy=False)]
    assert not scene_with_devices(faulty).cards_are_healthy()
