"""What the roles take for an address, asked of Ansible itself: the real templates with the plugin."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from farm_in_lab import run_ansible


def holds(expression: str, value: Any) -> bool:
    """What a condition of a role would be, with `value` as its variable."""
    given = {"value": value, "msg": "{{ " + expression + " }}"}
    words = ["-i", "localhost,", "-c", "local", "localhost", "-m", "debug", "-a", "var=msg", "-o"]
    done = run_ansible(
        "ansible", [*words, "-e", json.dumps(given)], {**os.environ, "ANSIBLE_BECOME": "false"}
    )
    assert "SUCCESS" in done.output, done.output
    found = json.loads(done.output[done.output.index("{") : done.output.rindex("}") + 1])["msg"]
    assert found in (True, False), found
    return bool(found)


def test_only_addresses_of_one_machine_are_addresses(ansible_environment: Path) -> None:
    words = [
        "10.0.0.5",
        "10.0.0.300",
        "1.2.3",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "10.0.0.5/24",
        "gpu-1",
        "",
    ]
    words += ["fd00::5"]
    good = "value | select('soundstage.farm.ipv4') | list == ['10.0.0.5']"
    assert holds(good, words)
    either = "value | select('soundstage.farm.ip') | list == ['10.0.0.5', 'fd00::5']"
    assert holds(either, [*words, "fe80::1%eth0", "ff02::1"])


@pytest.mark.parametrize(
    ("first", "last", "good"),
    [
        ("10.0.0.100", "10.0.0.200", True),
        ("10.0.0.99", "10.0.0.100", True),
        ("10.0.0.200", "10.0.0.100", False),
        ("10.0.0.1", "10.0.0.100", False),
        ("10.0.0.100", "10.0.0.300", False),
        ("", "", False),
    ],
    ids=["a range", "across tens", "backwards", "holds the server", "no address", "nothing"],
)
def test_a_range_has_an_order_and_does_not_hold_the_server(
    first: str, last: str, good: bool, ansible_environment: Path
) -> None:
    assert holds("value is soundstage.farm.ipv4_range('10.0.0.5')", [first, last]) is good


def test_an_address_is_within_a_network_of_its_version_alone(ansible_environment: Path) -> None:
    networks = "['10.0.0.0/24', '192.0.2.7', 'fd00::/64']"
    good = (
        f"value | select('soundstage.farm.within', {networks}) | list == ['10.0.0.5', '192.0.2.7', 'fd00::5']"
    )
    assert holds(good, ["10.0.0.5", "10.0.1.5", "192.0.2.7", "192.0.2.8", "fd00::5", "fd01::5", "gpu-1", ""])
