"""The REST doors of renders, personas and consents: shapes, codes, events, permissions."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from avatar.spec import random_design
from fastapi import FastAPI
from sentences import SentenceSnapshot

from policy import Policy, Principal, list_route_grants
from policy.keys.schemas import KeyRequest
from soundstage.routers import add_routers
from studio.routes import routers

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
SMALL = {"width": 320, "height": 180}


async def run_to_end(client: Any, rooms: Any, body: dict[str, Any]) -> dict[str, Any]:
    created = await client.post("/api/renders", json={"canvas": SMALL, **body})
    assert created.status_code == 202, created.text
    await rooms.renders.wait(created.json()["id"])
    answer: dict[str, Any] = (await client.get(f"/api/renders/{created.json()['id']}")).json()
    return answer


def test_every_route_declares_a_permission_or_why_it_is_public() -> None:
    app = FastAPI(openapi_url=None)
    add_routers(app, *routers())
    grants = list_route_grants(app)
    assert len(grants) > 35
    assert [str(grant) for grant in grants if not grant.declared] == []
    public = [grant.path for grant in grants if grant.public_reason]
    assert public == [
        "/api/health",
        "/health",
        "/shared/{token}",
        "/shared/{token}/{part}",
        "/youtube/callback",
    ]


async def test_a_video_is_asked_for_watched_and_fetched(client: Any, rooms: Any) -> None:
    view = await run_to_end(client, rooms, {"script": "Hello", "persona": "nova", "title": "My Film"})
    assert (view["state"], view["error"], view["title"]) == ("done", None, "My Film")
    video = next(output for output in view["outputs"] if output["role"] == "video")
    whole = await client.get(video["url"])
    assert len(whole.content) == video["bytes"] and whole.headers["content-type"] == "video/mp4"
    part = await client.get(video["url"], headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    saved = await client.get(video["url"] + "?download=true")
    assert saved.headers["content-disposition"] == f'attachment; filename="{video["name"]}"'
    none = await client.get(f"/api/renders/{view['id']}/files/hologram")
    assert (none.status_code, none.json()["code"]) == (404, "render.no_output")
    assert [one["id"] for one in (await client.get("/api/renders?state=done")).json()] == [view["id"]]
    assert (await client.get("/api/renders?state=failed")).json() == []


async def test_events_come_in_order_end_with_the_render_and_resume(client: Any, rooms: Any) -> None:
    view = await run_to_end(client, rooms, {"script": "!slow 0.6"})
    stream = await client.get(f"/api/renders/{view['id']}/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["kind"] == "render.created" and events[-1]["data"]["state"] == "done"
    assert {"render.progress", "render.segment"} <= {event["kind"] for event in events}
    resumed = await client.get(
        f"/api/renders/{view['id']}/events", headers={"Last-Event-ID": str(events[1]["id"])}
    )
    again = [json.loads(line[6:]) for line in resumed.text.splitlines() if line.startswith("data: ")]
    assert again == events[2:]


async def test_the_end_of_an_earlier_try_does_not_end_the_stream_of_a_later_one(
    client: Any, rooms: Any
) -> None:
    view = await run_to_end(client, rooms, {"script": "!fail"})
    await client.post(f"/api/renders/{view['id']}/retry")
    await rooms.renders.wait(view["id"])
    stream = await client.get(f"/api/renders/{view['id']}/events")
    assert stream.text.count('"state":"failed"') == 2


async def test_a_render_is_cancelled_tried_again_and_deleted(
    client: Any, studio_rooms: Any, snapshot: SentenceSnapshot
) -> None:
    created = (await client.post("/api/renders", json={"script": "hi", "canvas": SMALL})).json()
    path = f"/api/renders/{created['id']}"
    explained = (await client.get(f"{path}/explain")).json()
    assert explained == {"explanation": snapshot("no_dispatcher")}
    busy = await client.delete(path)
    assert (busy.status_code, busy.json()["code"]) == (409, "render.active")
    assert (await client.post(f"{path}/cancel")).json()["state"] == "cancelled"
    assert (await client.post(f"{path}/retry")).json()["state"] == "queued"
    await client.post(f"{path}/cancel")
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["trashed_at"] is not None
    assert (await client.delete(f"{path}?forever=true")).status_code == 204
    gone = await client.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "render.not_found")


async def test_a_request_that_is_not_one_thing_is_refused(client: Any) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"script": "hi", "project": "x"},
        {"script": "hi", "canvas": {"width": 321}},
        {"script": "hi", "priority": 1000},
        {"spec": {"scenes": []}},
        {"script": "hi", "unknown": True},
    )
    for body in bodies:
        answer = await client.post("/api/renders", json=body)
        assert answer.status_code == 422, body
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "request.invalid" and answer.json()["hint"]


async def test_a_persona_is_made_from_an_uploaded_photo_and_erased_again(client: Any, rooms: Any) -> None:
    photo = (await client.post("/api/assets", files={"file": ("grace.jpg", JPEG)})).json()
    consent = {"person": "Grace", "purpose": "courses", "granted_at": "2026-01-01T10:00:00Z"}
    denied = await client.post("/api/personas", json={"name": "Grace", "media": photo["id"]})
    assert (denied.status_code, denied.json()["code"]) == (403, "consent.required")
    body = {"name": "Grace", "media": photo["id"], "consent": consent}
    created = await client.post("/api/personas", json=body)
    assert created.status_code == 201 and created.json()["persona"]["id"] == "grace"
    assert [one["id"] for one in (await client.get("/api/personas")).json()] == ["grace", "nova"]
    assert (await client.get("/api/personas/grace")).json()["face"]["kind"] == "photo"
    plan = (await client.delete("/api/personas/grace?dry_run=true")).json()
    assert plan["personas"] == ["grace"] and not plan["applied"]
    assert (await client.delete("/api/personas/grace")).json()["applied"]
    assert (await client.get("/api/personas/grace")).status_code == 404
    assert (await client.get("/api/consents")).json() == []


async def test_a_persona_is_drawn_from_a_design_without_a_file_or_a_consent(client: Any, rooms: Any) -> None:
    design = {"hair": "turban", "clothes_colour": "#3c5a8c", "seed": 12}
    created = await client.post("/api/personas", json={"name": "Ada Lee", "design": design})
    assert created.status_code == 201
    face = created.json()["persona"]["face"]
    assert face["kind"] == "rig" and "consent" not in face
    whole = random_design(12, hair="turban", clothes_colour="#3c5a8c")
    assert face["design"] == whole.model_dump(mode="json"), "what is left out is chosen by the seed"
    assert rooms.personas.library.get("ada-lee").face.design == whole, "the file holds it"
    assert not rooms.personas.library.get("ada-lee").real_person
    taken = await client.post("/api/personas", json={"name": "Ada Lee", "id": "ada-lee", "design": design})
    assert (taken.status_code, taken.json()["code"]) == (409, "persona.exists")


@pytest.mark.parametrize(
    "face",
    [
        {},
        {"media": "ast_1", "design": {}},
        {"design": {"hair": "mohawk"}},
        {"design": {"clothes_colour": "red"}},
        {"design": {}, "consent_id": "cns_1"},
        {"design": {}, "driving": "ast_1"},
    ],
)
async def test_a_persona_has_one_face_whose_values_exist(client: Any, face: dict[str, Any]) -> None:
    refused = await client.post("/api/personas", json={"name": "Ada", **face})
    assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")


async def test_who_agreed_to_what_is_shown_only_to_those_who_may_read_consents(
    client: Any, rooms: Any, settings: Any, db: Any, events: Any
) -> None:
    photo = (await client.post("/api/assets", files={"file": ("grace.jpg", JPEG)})).json()
    consent = {"person": "Grace Hopper", "purpose": "navy courses", "granted_at": "2026-01-01T10:00:00Z"}
    body = {"name": "Grace", "media": photo["id"], "consent": consent}
    assert "Grace Hopper" in (await client.post("/api/personas", json=body)).text
    async with db.transaction() as session:
        keys = Policy.open(settings, db, events).keys
        key = await keys.create(session, KeyRequest(name="a viewer"), Principal.local_admin())
    viewer = {"Authorization": f"Bearer {key.key}"}
    for path in ("/api/personas", "/api/personas/grace"):
        assert "Grace Hopper" in (await client.get(path)).text
        answer = await client.get(path, headers=viewer)
        assert answer.status_code == 200 and "navy" not in answer.text and "Grace Hopper" not in answer.text
    shown = (await client.get("/api/personas/grace", headers=viewer)).json()["face"]["consent"]
    assert shown["id"].startswith("cns_") and "not shown" in shown["person"]
    project = (await client.post("/api/projects", json={"title": "P", "persona": "grace"})).json()["slug"]
    await client.post(f"/api/projects/{project}/scenes", json={"script": "Hello"})
    view = await run_to_end(client, rooms, {"project": project, "canvas": None})
    assert view["spec"]["scenes"][0]["face"]["consent"]["person"] == "Grace Hopper"
    for path in (f"/api/renders/{view['id']}", f"/api/projects/{project}/versions/1"):
        answer = await client.get(path, headers=viewer)
        assert answer.status_code == 200 and "Hopper" not in answer.text and "not shown" in answer.text
    refused = await client.patch("/api/personas/grace", json={"name": "G"}, headers=viewer)
    assert refused.status_code == 403
    changed = await client.patch("/api/personas/grace", json={"name": "Admiral"})
    assert (changed.status_code, changed.json()["name"]) == (200, "Admiral")
    assert (await client.get("/api/personas/grace")).json()["face"]["consent"]["person"] == "Grace Hopper"
    face = await client.patch("/api/personas/grace", json={"face": {"kind": "rig"}})
    assert face.status_code == 422


async def test_consents_are_recorded_revoked_and_erased(client: Any) -> None:
    body = {"person": "Grace", "purpose": "courses", "granted_at": "2026-01-01"}
    created = (await client.post("/api/consents", json=body)).json()
    assert (await client.get(f"/api/consents/{created['id']}")).json() == created
    assert (await client.post(f"/api/consents/{created['id']}/revoke")).json()["revoked_at"]
    assert (await client.delete(f"/api/consents/{created['id']}")).json()["consents"] == [created["id"]]
    assert (await client.get(f"/api/consents/{created['id']}")).status_code == 404


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_moment_that_utc_cannot_say_is_refused(client: Any, moment: str) -> None:
    requests = {
        "consents": {"person": "Grace", "purpose": "courses", "granted_at": moment},
        "renders": {"script": "Hello", "ready_by": moment},
        "personas": {
            "name": "Grace",
            "media": "asset_0",
            "consent": {"person": "Grace", "purpose": "courses", "granted_at": moment},
        },
    }
    for noun, body in requests.items():
        answer = await client.post(f"/api/{noun}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), noun
        assert "years 1 to 9999" in answer.json()["detail"]


async def test_without_a_key_from_elsewhere_every_door_but_health_is_closed(
    settings: Any, db: Any, events: Any, studio_rooms: Any
) -> None:
    import httpx

    from policy import Policy, install_policy
    from soundstage.errors import install_error_handlers

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.studio = studio_rooms
    add_routers(app, *routers())
    install_policy(app, Policy.open(settings, db, events))
    install_error_handlers(app)
    far = httpx.ASGITransport(app=app, client=("203.0.113.9", 50_000))
    async with httpx.AsyncClient(transport=far, base_url="http://studio.example") as stranger:
        for grant in list_route_grants(app):
            if not grant.path.startswith("/api/") or grant.public_reason:
                continue
            path = grant.path
            path = re.sub(r"\{\w+\}", "1", path)
            answer = await stranger.request(grant.methods[0], path)
            assert answer.status_code == 401, (grant.methods, path, answer.text)
        assert (await stranger.get("/api/health")).status_code == 200
