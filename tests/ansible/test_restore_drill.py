"""A drill: control machine and controller are lost. New hardware becomes the same farm, out of copies on S3
and the operator's recovery key: the same keys, conversations and videos, and workers that nobody touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent_in_lab import MACHINE, packed_program
from farm_in_lab import Carried, LabFarm
from farm_with_copies import farm_with_copies, fill, lose_secrets, recover_secrets, require_the_same, restore
from journey_inputs import FARM, PROGRAM

from lab.farm_in_a_box import Lab

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers"),
]


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LabFarm]:
    folder = tmp_path_factory.mktemp("restore")
    both = carried | packed_program(folder)
    with farm_with_copies(lab_names("restore"), baked_layer, engines, both, folder) as farm:
        yield farm


def test_new_hardware_becomes_the_same_farm(
    farm: LabFarm, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = fill(farm, tmp_path)
    lose_secrets(farm)
    lost = time.monotonic()
    booted = farm.lab.replace(MACHINE)
    recover_secrets(farm, before, tmp_path)
    report = restore(farm)
    seconds = time.monotonic() - lost
    require_the_same(farm, before, tmp_path)
    print(f"bare machine after {booted:.1f} s, the same farm after {seconds:.0f} s; {report}")
    record_property("seconds", round(seconds))
