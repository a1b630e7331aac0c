"""Two control machines on one PostgreSQL and one bucket: when the one that leads dies, the other goes on."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import waiting
from ports import free_ports
from program_inputs import PROGRAM
from ready import told_until_ready

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
from nomad_cluster import nomad_clusters  # noqa: F401 - a fixture is used by its name

pytestmark = pytest.mark.cached(*PROGRAM)

WORKER = Path(__file__).resolve().parents[2] / "avatar" / ".venv" / "bin" / "avatar"
PHOTO = next(WORKER.parents[1].glob("lib/*/site-packages/skimage/data/astronaut.png"), Path("astronaut.png"))
PATIENCE_S = 240
SCENES = [f"Scene {number} says that the tide comes in, and that it goes out again." for number in range(4)]
eventually = partial(waiting.eventually, within_s=PATIENCE_S, pause_s=0.1)


class ControlMachine:
    """One `soundstage up` with a state folder of its own."""

    def __init__(self, home: Any, variables: dict[str, str]) -> None:
        self.home = home
        self.process = home.start("up", "--json", **variables)
        self.url: str = told_until_ready(self.process, home.log)["url"]

    def call(self, method: str, path: str, **more: Any) -> Any:
        answer = httpx.request(
            method,
            self.url + path,
            headers=self.home.headers,
            timeout=PATIENCE_S,
            trust_env=False,
            **more,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        lines = self.home.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and event in line]

    def lose_power(self) -> None:
        """Ends all its processes at once, workers too."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def database_engine() -> str:
    return "postgresql"


@pytest.fixture
def machines(
    installation: Any, tmp_path: Path, database_url: str, s3: Any
) -> Iterator[Callable[..., ControlMachine]]:
    bucket = s3.bucket()
    secret = tmp_path / "secret"
    secret.write_text(bucket.secret_access_key)
    variables = {
        "SOUNDSTAGE_DATABASE__URL": database_url,
        "SOUNDSTAGE_BLOBS__URL": bucket.url,
        "SOUNDSTAGE_BLOBS__ENDPOINT_URL": bucket.endpoint_url,
        "SOUNDSTAGE_BLOBS__ACCESS_KEY_ID": bucket.access_key_id,
        "SOUNDSTAGE_BLOBS__SECRET_KEY_FILE": str(secret),
        "SOUNDSTAGE_LOG__FORMAT": "json",
        "SOUNDSTAGE_PROVISIONING__ENABLED": "false",
    }
    started: list[ControlMachine] = []

    def start(name: str, **more: str) -> ControlMachine:
        (tmp_path / name).mkdir()
        started.append(ControlMachine(installation(tmp_path / name), variables | more))
        return started[-1]

    yield start
    for machine in started:
        with suppress(ProcessLookupError):
            os.killpg(machine.process.pid, signal.SIGTERM)
        machine.process.wait(60)


def events_of(machine: ControlMachine, render_id: str) -> list[dict[str, Any]]:
    """All events of a render that has ended."""
    answer = httpx.get(
        f"{machine.url}/api/renders/{render_id}/events",
        headers=machine.home.headers,
        timeout=PATIENCE_S,
        trust_env=False,
    )
    lines = answer.raise_for_status().text.splitlines()
    return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]


def scenes_that_are_done(render: dict[str, Any]) -> dict[str, int]:
    """Returns how often each finished scene was tried."""
    return {one["scene_id"]: one["attempts"] for one in render["segments"] if one["state"] == "done"}


def survives(
    first: ControlMachine, start_second: Callable[[], ControlMachine]
) -> tuple[ControlMachine, dict[str, Any], float]:
    """Lets the leader lose its power in mid-render. Returns the other machine, the finished render, and the
    seconds until the other one went on.
    """
    first.call("POST", "/api/projects", json={"title": "Tide"})
    for script in SCENES:
        first.call("POST", "/api/projects/tide/scenes", json={"script": script})
    render_id = first.call("POST", "/api/renders", json={"project": "tide"})["id"]
    second = start_second()

    def get() -> dict[str, Any]:
        found: dict[str, Any] = second.call("GET", f"/api/renders/{render_id}")
        return found

    eventually(lambda: scenes_that_are_done(get()), "a scene is done")
    before = scenes_that_are_done(get())
    assert get()["state"] == "running" and len(before) < len(SCENES)
    first.lose_power()
    lost_at = datetime.now(UTC)
    eventually(lambda: get()["state"] == "done", "the video")
    render = get()
    after = scenes_that_are_done(render)
    assert len(after) == len(SCENES) and after.items() >= before.items(), "no finished scene is drawn again"
    moves = [event for event in events_of(second, render_id) if event["data"].get("why")]
    [taken_over] = [event for event in moves if event["data"]["why"] == "the server was restarted"]
    return second, render, (datetime.fromisoformat(taken_over["at"]) - lost_at).total_seconds()


def test_a_render_outlives_the_control_machine_that_drove_it(
    machines: Callable[..., ControlMachine], record_property: Callable[[str, object], None]
) -> None:
    _, _, takeover_s = survives(machines("first"), lambda: machines("second"))
    record_property("takeover_s", round(takeover_s, 1))
    print(f"The other machine led {takeover_s:.1f} s after the first had lost its power.")


@pytest.mark.root
def test_workers_of_the_farm_hand_over_to_the_machine_that_is_left(
    machines: Callable[..., ControlMachine],
    nomad_clusters: Callable[..., Any],  # noqa: F811
    record_property: Callable[[str, object], None],
    tmp_path: Path,
) -> None:
    cluster = nomad_clusters("control")
    cluster.add_client("worker")
    ports = dict(zip(("first", "second"), free_ports(2), strict=True))

    def start(name: str) -> ControlMachine:
        others = [f"http://127.0.0.1:{port}" for other, port in ports.items() if other != name]
        return machines(
            name,
            SOUNDSTAGE_HTTP__PORT=str(ports[name]),
            SOUNDSTAGE_FARM__SCHEDULER="nomad",
            SOUNDSTAGE_FARM__OTHER_CONTROL_URLS=",".join(others),
            SOUNDSTAGE_FARM__NOMAD__ADDRESS=cluster.server.address,
            SOUNDSTAGE_FARM__NOMAD__DRIVER="raw_exec",
            SOUNDSTAGE_FARM__NOMAD__COMMAND=str(WORKER),
            SOUNDSTAGE_FARM__NOMAD__CACHE_DIR=str(tmp_path / "cache"),
        )

    _, render, takeover_s = survives(start("first"), lambda: start("second"))
    record_property("takeover_s", round(takeover_s, 1))
    print(f"The other machine led {takeover_s:.1f} s after the first had lost its power.")
    # Scenes that were being drawn went on, and were handed over to the machine that was left.
    assert {one["attempts"] for one in render["segments"]} == {1}
    jobs = [one["JobID"] for one in cluster.server.get("/v1/allocations")]
    assert len([name for name in jobs if name.startswith("soundstage-") and "rnd_" not in name]) == len(
        SCENES
    )


def outputs_of(machine: ControlMachine, persona: str) -> list[str]:
    """Returns the roles of the files of a video in which a presenter speaks."""
    order = {"script": "The tide comes in.", "persona": persona, "canvas": {"width": 320, "height": 180}}
    render_id = machine.call("POST", "/api/renders", json=order)["id"]
    eventually(lambda: machine.call("GET", f"/api/renders/{render_id}")["finished_at"], "the video")
    render = machine.call("GET", f"/api/renders/{render_id}")
    assert render["state"] == "done", render
    return [one["role"] for one in render["outputs"]]


@pytest.mark.slow
def test_a_presenter_made_from_a_photo_at_one_machine_speaks_at_the_other(
    machines: Callable[..., ControlMachine],
) -> None:
    if not PHOTO.exists():
        pytest.skip(f"The worker's environment has no {PHOTO.name}: scripts/setup test")
    first, second = machines("first"), machines("second")
    with PHOTO.open("rb") as picture:
        photo = first.call("POST", "/api/assets", files={"file": ("eileen.png", picture)})
    consent = {"person": "Eileen", "purpose": "a drill", "granted_at": "2026-01-01"}
    draft = {"name": "Eileen", "media": photo["id"], "consent": consent}
    created = first.call("POST", "/api/personas", json=draft)["persona"]

    def names(machine: ControlMachine) -> dict[str, str]:
        entries = machine.call("GET", "/api/personas")
        return {one["id"]: one["persona"]["name"] for one in entries if one["persona"]}

    eventually(lambda: names(second).get("eileen") == "Eileen", "the presenter at the second machine")
    shown = second.call("GET", "/api/personas/eileen")
    assert shown["face"] == created["face"], "with its photo and its consent"
    assert "video" in outputs_of(second, "eileen")
    second.call("PATCH", "/api/personas/eileen", json={"name": "Eileen C."})
    eventually(lambda: names(first)["eileen"] == "Eileen C.", "her new name at the first one")
    # What remains works without the one that made it.
    first.lose_power()
    assert "video" in outputs_of(second, "eileen")
    assert second.call("DELETE", "/api/personas/eileen")["applied"]
    assert "eileen" not in names(second) and second.call("GET", "/api/consents") == []
