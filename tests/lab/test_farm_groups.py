"""By which groups the playbooks make a farm of a lab's machines."""

from __future__ import annotations

import pytest

from lab.cards.catalogue import read_gpus
from lab.plan import farm_groups, machines_named


@pytest.mark.parametrize(
    ("names", "gpus", "groups"),
    [
        ("m1,m2,m3", "0,1,2", {"control": "m1", "workers": "m2,m3", "gpu": "m2,m3"}),
        ("m1,m2,m3", "", {"control": "m1", "workers": "m2,m3", "cpu": "m2,m3"}),
        ("m1,m2,m3", "0,l4,bmc", {"control": "m1", "workers": "m2,m3", "gpu": "m2", "cpu": "m3"}),
        ("m1,m2", "2", {"control": "m1", "workers": "m1,m2", "gpu": "m1", "cpu": "m2"}),
        ("one", "", {"control": "one", "workers": "one", "cpu": "one"}),
    ],
)
def test_the_first_machine_is_the_server_and_the_others_work(
    names: str, gpus: str, groups: dict[str, str]
) -> None:
    machines = machines_named(names.split(","), read_gpus(gpus) if gpus else None)
    assert {group: ",".join(members) for group, members in farm_groups(machines).items()} == groups


def test_a_network_alone_has_no_groups() -> None:
    assert farm_groups(()) == {}
