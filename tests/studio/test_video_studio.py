"""The older video-studio calls: styles of the table, a wished length, and what is said when it cannot be."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from avatar.spec import Canvas
from fastapi import FastAPI
from local_login import log_in_locally

from policy import Policy, install_policy
from soundstage.errors import install_error_handlers
from soundstage.routers import add_routers
from studio.personas.schemas import Persona
from studio.personas.video_studio import BACKGROUNDS, StudioOrder, request_of
from studio.renders.schemas import RenderRequest
from studio.routes import routers

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
SMALL = Canvas(width=320, height=180)
SENTENCES = "The tide comes in at nine. Boats leave the harbour before noon. Nobody waits for them."


async def test_the_older_video_studio_calls_still_work(client: Any, rooms: Any) -> None:
    order = {"script": "one two three four five six", "style": "cinematic", "duration": 3}
    job = await client.post("/api/personas/nova/video-studio", json=order)
    assert job.status_code == 202 and job.json()["status"] == "queued" and job.json()["notices"] == []
    path = f"/api/personas/nova/video-studio/{job.json()['jobId']}"
    await rooms.renders.wait(job.json()["jobId"])
    done = (await client.get(path)).json()
    assert (done["status"], done["progress"], done["result"]) == ("done", 1.0, None)
    outputs = (await client.get(f"{path}?result=true")).json()["result"]
    assert "video" in {output["role"] for output in outputs}
    spec = (await client.get(f"/api/renders/{job.json()['jobId']}")).json()["spec"]["scenes"][0]
    assert spec["duration_ms"] == 3000
    assert spec["background"] == {"kind": "colour", "colour": "#20242c", "to_colour": "#050608"}


async def test_a_job_of_another_persona_is_not_found_below_this_one(client: Any, rooms: Any) -> None:
    answer = await client.post("/api/personas/nova/video-studio", json={"script": "Hello."})
    job = answer.json()["jobId"]
    assert (await client.get(f"/api/personas/nova/video-studio/{job}")).status_code == 200
    for other in ("ada", "no-such-persona"):
        answer = await client.get(f"/api/personas/{other}/video-studio/{job}")
        assert (answer.status_code, answer.json()["code"]) == (404, "render.not_found")


@pytest.mark.parametrize("style", ["baroque", "", "x" * 80, "cinematic-2"])
async def test_an_unknown_style_is_refused_with_the_list_of_all(client: Any, style: str) -> None:
    bad = await client.post("/api/personas/nova/video-studio", json={"script": "Hello.", "style": style})
    assert (bad.status_code, bad.json()["code"]) == (422, "persona.unknown_style")
    assert all(name in bad.json()["hint"] for name in BACKGROUNDS)


async def test_every_style_of_the_table_leads_to_its_look_in_any_case_of_letters(rooms: Any) -> None:
    nova = rooms.library.get("nova")
    for style, background in BACKGROUNDS.items():
        for written in (style, style.title(), f" {style.upper()} "):
            expected = request_of(nova, StudioOrder(script="Hello.", style=written))
            assert expected.background == background, written


def test_the_guide_shows_the_table_of_styles_as_it_is() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "personas.md").read_text("utf-8")
    for background in BACKGROUNDS.values():
        names = ", ".join(f"`{name}`" for name, one in BACKGROUNDS.items() if one == background)
        assert names in guide, names


@pytest.mark.parametrize("duration", [5e-324, 1e-308, 0.5, 7200], ids=["least", "tiny", "short", "longest"])
async def test_the_older_video_studio_says_at_once_when_a_length_is_out_of_reach(
    client: Any, duration: float
) -> None:
    order = {"script": "one two three four five six seven", "duration": duration}
    job = await client.post("/api/personas/nova/video-studio", json=order)
    assert job.status_code == 202, job.text
    [notice] = job.json()["notices"]
    assert notice["code"] == "video.duration_out_of_reach"
    assert ("too short" if duration == 7200 else "too long") in notice["message"]
    spec = (await client.get(f"/api/renders/{job.json()['jobId']}")).json()["spec"]
    assert spec["scenes"][0]["duration_ms"] == max(100, round(duration * 1000))


@pytest.mark.parametrize("duration", [0, -1, 7201, "soon"])
async def test_the_older_video_studio_refuses_what_is_no_length(client: Any, duration: Any) -> None:
    order = {"script": "Hello.", "duration": duration}
    answer = await client.post("/api/personas/nova/video-studio", json=order)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


@pytest.mark.parametrize("name", ["x" * 81, "x" * 3000, "%00", "%F0%9F%8E%AC"])
async def test_the_older_video_studio_knows_no_persona_of_a_name_that_none_can_have(
    client: Any, name: str
) -> None:
    answer = await client.post(f"/api/personas/{name}/video-studio", json={"script": "Hello"})
    assert (answer.status_code, answer.json()["code"]) == (404, "persona.not_found")


@pytest.fixture
async def real(
    settings: Any, db: Any, events: Any, drawing: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """The REST API before the real worker, and its renders, in small: their length is what is measured."""

    def request_small(persona: Persona, order: StudioOrder) -> RenderRequest:
        return request_of(persona, order).model_copy(update={"canvas": SMALL})

    monkeypatch.setattr("studio.personas.routes.request_of", request_small)
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    studio = drawing(str(WORKER))
    app = FastAPI(openapi_url=None)
    app.state.studio = studio
    add_routers(app, *routers())
    policy = Policy.open(settings, db, events)
    install_policy(app, policy)
    install_error_handlers(app)
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
    headers = await log_in_locally(policy)
    address = "http://127.0.0.1:8000"
    async with (
        studio.dispatcher,
        httpx.AsyncClient(transport=transport, base_url=address, headers=headers) as c,
    ):
        yield c, studio.renders


async def test_the_finished_video_of_the_real_worker_is_as_long_as_it_was_asked_to_be(real: Any) -> None:
    client, renders = real
    plain = await _finished(client, renders, {"script": SENTENCES})
    assert plain["notices"] == []
    for share in (0.85, 1.35):
        wished = round(plain["duration"] * share, 2)
        order = {"script": SENTENCES, "duration": wished, "style": "cinematic"}
        job = await _finished(client, renders, order)
        assert abs(job["duration"] - wished) <= 0.3, (job, wished)
        assert job["notices"] == []


async def test_a_script_that_cannot_fit_becomes_a_video_that_says_so(real: Any) -> None:
    client, renders = real
    job = await _finished(client, renders, {"script": SENTENCES, "duration": 1.5})
    assert job["duration"] > 3
    [notice] = job["notices"]
    assert notice["code"] == "video.duration_missed"
    assert "not the 1.5 s" in notice["message"] and "words would fit" in notice["message"]


async def _finished(client: httpx.AsyncClient, renders: Any, order: dict[str, Any]) -> dict[str, Any]:
    created = await client.post("/api/personas/nova/video-studio", json=order)
    assert created.status_code == 202, created.text
    await renders.wait(created.json()["jobId"])
    job: dict[str, Any] = (
        await client.get(f"/api/personas/nova/video-studio/{created.json()['jobId']}")
    ).json()
    assert job["status"] == "done", job
    return job
