"""The whole way on the lab's farm: the playbook has made it, a sentence becomes a video on the right card,
behind TLS and tokens, in isolated tasks; also after all machines have been off and on again.

The tests run in the order of this file, on the farm of test_farm.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from farm_in_lab import LabFarm
from journey_inputs import FARM, PROGRAM
from studio_in_lab import PORT, Studio, eventually, probe, said

from lab.plan import GATEWAY

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600), pytest.mark.cached(*FARM, *PROGRAM)]
MACHINES = ("control-1", "cpu-1", "gpu-1", "gpu-2")
WORKERS = set(MACHINES[1:])
ADDRESS = "10.77.0.11"
NOMAD = f"https://{ADDRESS}:4646"
GATE = ("/usr/local/sbin/soundstage-health", "gate", "--wait-s", "60")


@pytest.fixture(scope="module")
def ready(farm: LabFarm) -> LabFarm:
    """Nothing to do when the tests before have made the farm."""
    if farm.takes_work(ADDRESS) != WORKERS:
        farm.converge()
    return farm


@pytest.fixture(scope="module")
def studio(ready: LabFarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = Studio(ready, tmp_path_factory.mktemp("studio"), NOMAD)
    made.open()
    yield made
    made.close()


def nomad(farm: LabFarm, path: str) -> Any:
    """None when it does not answer well."""
    if not farm.secrets.exists():
        return None
    return farm.json(NOMAD + path, "X-Nomad-Token", farm.secret("nomad/management.token"))


def places(farm: LabFarm) -> list[dict[str, Any]]:
    """Where the studio's tasks have run or run, the oldest first: node, cards, driver, state."""
    found = nomad(farm, "/v1/allocations?resources=true") or []
    ours = sorted((one for one in found if one["JobID"].startswith("soundstage-")), key=_age)
    return [
        {
            "job": one["JobID"],
            "node": one["NodeName"],
            "state": one["ClientStatus"],
            "cards": [
                card
                for task in one["AllocatedResources"]["Tasks"].values()
                for device in task["Devices"] or ()
                for card in device["DeviceIDs"]
            ],
        }
        for one in ours
    ]


def _age(allocation: dict[str, Any]) -> int:
    return int(allocation["CreateIndex"])


def cards_of(farm: LabFarm, machine: str) -> list[str]:
    (plan,) = [one for one in farm.lab.plan.machines if one.name == machine]
    return [card.uuid for card in plan.cards]


def ask_for_a_video(farm: LabFarm, studio: Studio, words: str) -> None:
    """It lands on the card that is large enough, and is a video that another program can read."""
    before, videos = len(places(farm)), studio.videos()
    told = studio.command("ask", f"Make a video where Grand says: {words}")
    (video,) = [one for one in studio.videos() if one not in videos]
    assert video.name in told
    # Nomad's client reports the end of a task in batches, so that the video may be there first.
    eventually(lambda: {one["state"] for one in places(farm)[before:]} == {"complete"}, "all tasks to end")
    made = places(farm)[before:]
    assert [(one["node"], one["cards"]) for one in made if one["cards"]] == [
        ("gpu-1", cards_of(farm, "gpu-1"))
    ]
    streams = {one["codec_type"]: one for one in probe(video)["streams"]}
    assert int(streams["video"]["nb_read_frames"]) > 25 and "audio" in streams


def test_a_sentence_becomes_a_video_on_the_card_that_is_large_enough(ready: LabFarm, studio: Studio) -> None:
    ask_for_a_video(ready, studio, "This needs a large card.")


def test_its_task_was_isolated(ready: LabFarm) -> None:
    job = next(one["job"] for one in places(ready) if one["cards"])
    task = (nomad(ready, f"/v1/job/{job}") or {})["TaskGroups"][0]["Tasks"][0]
    assert task["Driver"] == "exec"
    drivers = {one["Name"]: one["Drivers"] for one in nomad(ready, "/v1/nodes")}
    assert set(drivers["gpu-1"]) == {"exec"} and drivers["gpu-1"]["exec"]["Healthy"]


def test_a_node_whose_card_begins_to_fail_drains_itself_and_comes_back_when_it_is_healed(
    ready: LabFarm,
) -> None:
    ready.lab.inject_fault("gpu-2", "card-memory")
    try:
        for _ in range(2):  # the timer does the same each minute
            looked = ready.on("gpu-2", *GATE)
            assert looked.returncode == 1 and "gpu.ecc" in looked.stdout, looked
        eventually(lambda: ready.takes_work(ADDRESS) == WORKERS - {"gpu-2"}, "the node to be set aside")
    finally:
        ready.lab.clear_fault("gpu-2")
    assert ready.on("gpu-2", *GATE).returncode == 0
    eventually(lambda: ready.takes_work(ADDRESS) == WORKERS, "the node to take work again")


def test_a_machine_that_has_booted_takes_no_work_before_it_has_made_the_golden_frame(ready: LabFarm) -> None:
    golden = "/opt/soundstage/worker/current/golden/frame.png"
    # Another picture of the same size, and a boot's forgetting. A check that looks at the right one meanwhile
    # would remember that it passed.
    spoil = "systemctl stop soundstage-health.timer soundstage-health.service && "
    spoil += f"cp {golden} /root/golden.png && /opt/soundstage/worker/current/bin/python -c "
    spoil += f"\"import cv2; cv2.imwrite('{golden}', cv2.flip(cv2.imread('{golden}'), 1))\""
    spoil += " && rm -f /run/soundstage-health/passed && systemctl start soundstage-health.timer"
    assert ready.on("cpu-1", "sh", "-ec", spoil).returncode == 0
    looked = ready.on("cpu-1", *GATE)
    assert looked.returncode == 1 and "worker.frame_differs" in looked.stdout, looked
    assert "cpu-1" not in ready.takes_work(ADDRESS)
    ready.on("cpu-1", "cp", "/root/golden.png", golden)
    assert ready.on("cpu-1", *GATE).returncode == 0
    eventually(lambda: ready.takes_work(ADDRESS) == WORKERS, "the node to take work again")


CALL = """
import errno, socket
try:
    socket.create_connection(("{address}", 4711), 5)
except OSError as error:
    print(errno.errorcode[error.errno])
"""


@pytest.mark.slow
def test_a_worker_that_reaches_its_farm_alone_makes_videos(ready: LabFarm, studio: Studio) -> None:
    def call() -> str:
        return ready.on("gpu-1", "python3", "-c", CALL.format(address=GATEWAY)).stdout.strip()

    common = ("--tags", "common", "--limit", "gpu-1")
    # The studio of these tests is none of the farm's machines.
    studios = {"to": [GATEWAY], "tcp": [PORT], "purpose": "the studio"}
    assert call() == "ECONNREFUSED"
    ready.converge(*common, common__egress_closed=True, common__egress_to=[studios])
    try:
        assert call() == "EHOSTUNREACH"
        ask_for_a_video(ready, studio, "Nobody else can be called from here.")
        assert ready.on("gpu-1", *GATE).returncode == 0
        assert ready.takes_work(ADDRESS) == WORKERS
    finally:
        ready.converge(*common)
    assert call() == "ECONNREFUSED"


def test_all_is_the_same_after_a_reboot_of_all_machines(ready: LabFarm, studio: Studio) -> None:
    with ThreadPoolExecutor(len(MACHINES)) as pool:
        list(pool.map(ready.lab.reboot, MACHINES))
    eventually(lambda: ready.takes_work(ADDRESS) == WORKERS, "all workers to take work again")
    assert ready.curl(f"{NOMAD}/v1/nodes") == "403"
    ask_for_a_video(ready, studio, "The machines were off and on again.")
    again = ready.converge()
    assert again.changed() == 0, again.output[-4000:]


@pytest.mark.slow
def test_an_upgrade_while_videos_are_made_loses_nothing(ready: LabFarm, studio: Studio) -> None:
    """One is drawn when the upgrade begins, the other waits for the same card."""
    other = ready.another_build("nomad")
    before, videos = len(places(ready)), studio.videos()
    words = " ".join(["This sentence is long enough to be drawn while machines are upgraded."] * 40)
    asked = [studio.start("ask", f"Make a video where Grand says: {words} {end}") for end in ("One.", "Two.")]

    def drawn() -> bool:
        return any(one["cards"] and one["state"] == "running" for one in places(ready)[before:])

    eventually(drawn, "the large card to work")
    ready.converge(playbook="ansible/playbooks/upgrade.yaml", **other)
    for command in asked:
        said(command)
    for machine in MACHINES:
        link = ready.on(machine, "readlink", "/usr/local/bin/nomad").stdout
        assert other["nomad__file_sha256"][:16] in link
    assert ready.takes_work(ADDRESS) == WORKERS
    made = places(ready)[before:]
    assert {one["state"] for one in made} == {"complete"}, made
    assert [one["node"] for one in made if one["cards"]] == ["gpu-1"] * 2, "each was drawn once"
    films = [one for one in studio.videos() if one not in videos]
    assert len(films) == 2
    for film in films:
        assert int(probe(film)["streams"][0]["nb_read_frames"]) > 40 * 50
