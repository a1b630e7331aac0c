"""The studio on a farm of two machines: the right card, a reason to wait, a card that vanishes, and a video
that is the same as one made on one machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from program_inputs import PROGRAM

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
sys.path.insert(0, str(Path(__file__).parent))
from farm_house import WORKER, FarmHouse, eventually
from nomad_cluster import nomad_clusters  # noqa: F401 - a fixture is used by its name

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800), pytest.mark.cached(*PROGRAM)]

SMALL = {"uuid": "GPU-08080808-0000-4000-8000-0000000000e8", "model": "RTX 4060", "memory_mib": 8188}
LARGE = {"uuid": "GPU-24242424-0000-4000-8000-000000000e24", "model": "RTX 4090", "memory_mib": 24_564}
NEEDS = {"gpus": 1, "vram_mib": 16_384}
SENTENCES = (
    "This scene is drawn on a large card until the card is gone.",
    "The second one follows without a gap.",
    "And the third one ends it.",
)
FPS = 25
SAME_STEP = 0.5
"""Two encodes of one picture may differ so much in mean luma, of 255."""
SILENT_STEP = 0.01
"""A step from sample to sample that nobody hears as a click; full scale is 1."""


def spec_of(*sentences: str, title: str) -> dict[str, Any]:
    scenes = [
        {"id": f"scene-{number}", "script": sentence, "requirements": NEEDS}
        for number, sentence in enumerate(sentences, start=1)
    ]
    return {"title": title, "canvas": {"width": 320, "height": 180, "fps": FPS}, "scenes": scenes}


@dataclass(frozen=True)
class Story:
    """What was seen on the way."""

    first: dict[str, Any]
    first_events: list[dict[str, Any]]
    first_place: dict[str, Any]
    second: dict[str, Any]
    picture: bytes
    by_api: str
    by_command: str
    jobs_while_waiting: set[str]
    places: list[dict[str, Any]]
    measures: dict[str, Any]


@pytest.fixture(scope="module")
def house(nomad_clusters: Callable[..., Any], tmp_path_factory: Any) -> Iterator[FarmHouse]:  # noqa: F811
    if not WORKER.exists():
        pytest.fail("the worker's environment is missing: (cd avatar && uv sync --extra cpu --extra face)")
    cluster = nomad_clusters("house")
    cluster.add_client("small", [SMALL])
    cluster.add_client("large", [LARGE])
    made = FarmHouse(cluster, tmp_path_factory.mktemp("house"))
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="module")
def story(house: FarmHouse) -> Story:
    """Two renders, one card that is large enough, and its end in the middle of the first one."""
    house.hold.touch()
    spec = spec_of(*SENTENCES, title="Three scenes")
    first = house.call("POST", "/api/renders", json={"spec": spec})
    eventually(lambda: Path(f"{house.hold}.held").exists(), "the first worker to hang amid its frames")
    # Nomad tells that a worker runs a moment after it does.
    (first_place,) = eventually(lambda: running(house), "Nomad to say where")
    picture = eventually(lambda: latest_picture(house, first["id"]), "a picture of the work")
    waiting = {"spec": spec_of("I have to wait.", title="Waits")}
    second = house.call("POST", "/api/renders", json=waiting)
    by_api = eventually(lambda: why_busy(house, second["id"]), "a reason to wait")
    by_command = house.command("explain", second["id"])
    jobs_while_waiting = {place["job"] for place in house.places()}

    house.cluster.clients["large"].cards.set([])
    house.cluster.clients["small"].cards.change(SMALL["uuid"], memory_mib=24_564)
    first, second = house.ended(first["id"]), house.ended(second["id"])
    assert first["state"] == "done", first["error"]

    (video,) = (house.home / "out").glob("three-scenes-*.mp4")
    frames = [house_frames(house, first["id"], f"scene-{number}") for number in (1, 2)]
    joints = [*accumulate(frames)]
    measures = house.measured(video, house.made_here(spec), joints)
    return Story(
        first, house.events(first["id"]), first_place, second, picture, by_api, by_command,
        jobs_while_waiting, house.places(), measures,
    )  # fmt: skip


def running(house: FarmHouse) -> list[dict[str, Any]]:
    return [place for place in house.places() if place["state"] == "running"]


def latest_picture(house: FarmHouse, render_id: str) -> bytes:
    preview = house.call("GET", f"/api/renders/{render_id}")["progress"]["preview"]
    return house.bytes_of(preview["url"]) if preview else b""


def why_busy(house: FarmHouse, render_id: str) -> str:
    said = str(house.call("GET", f"/api/renders/{render_id}/explain")["explanation"])
    return said if "busy" in said and "card" in said else ""


def house_frames(house: FarmHouse, render_id: str, scene: str) -> int:
    told = [event["data"] for event in house.events(render_id) if event["kind"] == "render.segment"]
    return int(next(one["frames"] for one in told if one["scene"] == scene))


def test_what_needs_16_gib_lands_on_the_card_that_has_it(story: Story) -> None:
    assert (story.first_place["node"], story.first_place["cards"]) == ("large", [LARGE["uuid"]])


def test_the_next_one_waits_on_our_side_and_says_why_in_one_sentence(story: Story) -> None:
    for said in (story.by_api, story.by_command):
        assert "needs 16 GiB of GPU memory" in said and "large" in said and "busy" in said, said
    assert "\n" not in story.by_command
    assert story.jobs_while_waiting == {story.first_place["job"]}, "what cannot run is not given to Nomad"


def test_its_latest_frame_can_be_seen_while_it_is_made(story: Story) -> None:
    assert story.picture.startswith(b"\xff\xd8\xff") and len(story.picture) > 1000
    shown = [event["data"]["preview"] for event in story.first_events if event["data"].get("preview")]
    assert shown and all(one["scene"].startswith("scene-") for one in shown)


def test_when_its_card_vanishes_the_work_ends_well_on_the_other_one(story: Story) -> None:
    moved = [place for place in story.places if place["job"] == story.first_place["job"]]
    assert [place["node"] for place in moved] == ["large", "small"]
    assert moved[-1]["cards"] == [SMALL["uuid"]] and moved[-1]["state"] == "complete"
    assert {
        place["node"] for place in story.places if place["job"] != moved[0]["job"] and place["cards"]
    } == {"small"}
    assert (story.first["state"], story.second["state"]) == ("done", "done")


def test_workers_of_a_node_keep_their_inputs_for_each_other(story: Story, house: FarmHouse) -> None:
    spec = house.call("GET", f"/api/renders/{story.first['id']}")["spec"]
    assert len(spec["scenes"]) == 3
    kept = [path for path in (house.cache / "blobs").glob("??/*") if path.suffix != ".part"]
    specs = [path for path in kept if b"Three scenes" in path.read_bytes()]
    assert len(specs) == 1, "one copy for three segments and their assembly"


def test_every_frame_is_that_of_a_render_on_one_machine(story: Story) -> None:
    measures = story.measures
    assert measures["frames"] == measures["reference_frames"] > 3 * FPS
    assert measures["least_ssim"] >= 0.99, measures


def test_joints_have_no_gap_no_jump_and_no_click(story: Story) -> None:
    clock, sound = story.measures["clock"], story.measures["sound"]
    assert clock["first_frame"] == 0.0
    assert clock["frame_distances"] == pytest.approx([1.0] * len(clock["frame_distances"]))
    assert clock["sound_gaps"] == 0
    assert abs(clock["video_s"] - clock["sound_s"]) <= 1 / FPS, clock
    steps = zip(story.measures["luma_steps"], story.measures["reference_luma_steps"], strict=True)
    assert all(found <= reference + SAME_STEP for found, reference in steps), story.measures
    assert len(sound["steps"]) == len(SENTENCES) - 1
    assert all(step <= SILENT_STEP < sound["largest"] for step in sound["steps"]), sound
