"""Nomad is down when a video is asked for: the request is taken, says why it waits, and is made later."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
sys.path.insert(0, str(Path(__file__).parent))
from farm_house import WORKER, FarmHouse, eventually
from nomad_cluster import NomadCluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FarmHouse]:
    """A studio whose Nomad has an address and is not there."""
    if not WORKER.exists():
        pytest.fail("the worker's environment is missing: (cd avatar && uv sync --extra cpu --extra face)")
    cluster = NomadCluster(tmp_path / "cluster")
    (tmp_path / "home").mkdir()
    made = FarmHouse(cluster, tmp_path / "home")
    made.open()
    yield made
    made.close()
    cluster.take_down()


def test_with_nomad_down_a_render_is_taken_says_why_it_waits_and_is_made_when_nomad_is_back(
    house: FarmHouse,
) -> None:
    spec = {
        "title": "Patience",
        "canvas": {"width": 320, "height": 180},
        "scenes": [{"id": "one", "script": "I waited."}],
    }
    asked = house.call("POST", "/api/renders", json={"spec": spec})
    eventually(lambda: "Nomad does not answer" in explained(house, asked["id"]), "the reason to wait")
    assert explained(house, asked["id"]).startswith("waits: ")
    assert "Nomad does not answer" in house.command("explain", asked["id"])
    house.cluster.start()
    house.cluster.add_client("late")
    assert house.ended(asked["id"])["state"] == "done"


def explained(house: FarmHouse, render_id: str) -> str:
    return str(house.call("GET", f"/api/renders/{render_id}/explain")["explanation"])
