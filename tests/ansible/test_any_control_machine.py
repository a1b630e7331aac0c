"""Any of three control machines loses its power in mid-render: studio, database, bucket and worker go on
elsewhere, and nothing is lost.

The tests run in the order of this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from control_machines_in_lab import (
    MACHINES,
    STUDIOS,
    Studio,
    ask_for_video,
    find_loss,
    leader,
    objects,
    query,
)
from farm_in_lab import LabFarm, Run
from journey_inputs import FARM, PROGRAM
from numbered_writers import NumberedWriters
from standby_in_lab import DATABASES, follows, primary_of, standby_of, wait_for_standby
from studio_in_lab import eventually

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, *PROGRAM),
]
GOAL_S = 30
SCENES = 6
BUCKETS = ("control-1", "control-3")
A_PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@pytest.fixture(scope="module")
def farm(build_control_farm: Callable[..., LabFarm]) -> LabFarm:
    """Three control machines, which all draw: each two run the studio, PostgreSQL and the S3 server."""
    groups = {"database": list(DATABASES), "storage": list(BUCKETS), "workers": list(MACHINES)}
    return build_control_farm("any", groups)


@pytest.fixture(scope="module")
def first_run(farm: LabFarm) -> Run:
    return farm.converge()


def test_a_standby_follows_the_first_machine(farm: LabFarm, first_run: Run) -> None:
    assert all(first_run.count(machine, "failed") == 0 for machine in MACHINES)
    assert primary_of(farm) == DATABASES[0]
    eventually(lambda: follows(farm, *DATABASES), "a synchronous standby")
    Studio(farm, "control-1").call("POST", "/api/projects", {"title": "Harbour"})
    for machine in DATABASES:
        assert query(farm, "SELECT title FROM projects", on=machine) == [["Harbour"]]
    assert not farm.on(DATABASES[1], "sh", "-c", "ls -d /var/lib/postgresql/*/main").stderr


def test_a_second_run_changes_nothing(farm: LabFarm, first_run: Run) -> None:
    again = farm.converge("--diff")
    assert again.changed() == 0, again.output[-5000:]
    assert farm.secret("postgresql/replicator.password") not in first_run.output + again.output


@pytest.mark.parametrize("lost", ["control-2", "control-3", "control-1"])
def test_work_goes_on_when_a_machine_loses_its_power_in_mid_render(
    farm: LabFarm, first_run: Run, lost: str, record_property: Callable[[str, object], None]
) -> None:
    """The first two are the primary when they are lost."""
    primary = wait_for_standby(farm)
    assert (primary == lost) == (lost in DATABASES)
    studio = Studio(farm, next(one for one in STUDIOS if one != lost))
    render = ask_for_video(studio, f"Tide without {lost}", SCENES)
    before = render.wait_for_scene()
    with NumberedWriters(farm, f"Without {lost}", (one for one in STUDIOS if one != lost)) as written:
        eventually(lambda: written.acknowledged, "a number")
        farm.lab.power_off(lost)
        lost_at = datetime.now(UTC)
        remaining = tuple(one for one in DATABASES if one != lost)
        eventually(lambda: primary_of(farm, remaining), "a primary")
        promoted_s = (datetime.now(UTC) - lost_at).total_seconds()
        eventually(lambda: creates(studio, f"After {lost}"), "a write")
        written_s = (datetime.now(UTC) - lost_at).total_seconds()
        eventually(lambda: "id" in studio.upload(f"{lost}.png", A_PICTURE + lost.encode()), "an upload")
        uploaded_s = (datetime.now(UTC) - lost_at).total_seconds()
        render.wait_for_video()
        ended_s = (datetime.now(UTC) - lost_at).total_seconds()
    print(
        f"{lost} lost its power after {len(before)} of {SCENES} scenes. PostgreSQL took writes after"
        f" {promoted_s:.1f} s, the studio after {written_s:.1f} s, an upload after {uploaded_s:.1f} s"
        f"; the video was there after {ended_s:.1f} s; {written.pauses()}."
    )
    record_property("promoted_s", round(promoted_s, 1))
    record_property("written_s", round(written_s, 1))
    after = render.attempts()
    assert len(after) == SCENES and after.items() >= before.items(), "no finished scene is drawn again"
    primary = primary_of(farm, remaining)
    assert leader(farm, primary) in STUDIOS
    files = render.files()
    farm.lab.power_on(lost)
    eventually(lambda: follows(farm, primary, standby_of(primary)), "a synchronous standby")
    eventually(lambda: objects(farm, BUCKETS[0]) == objects(farm, BUCKETS[1]), "the same files on both")
    assert find_loss(farm, primary, BUCKETS[0]).is_none
    written.expect_all(DATABASES)
    assert render.files() == files
    assert written_s < GOAL_S


def creates(studio: Studio, title: str) -> bool:
    try:
        studio.call("POST", "/api/projects", {"title": title})
    except AssertionError:
        time.sleep(0.2)
        return False
    return True
