"""While the server runs: files that change are told of, and each persona says how it is."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from studio.assets.schemas import AssetLabels
from studio.consents.repository import Consents
from studio.personas import validation, yaml_source
from studio.personas.faults import MAX_FAULTS
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import PersonaDraft
from studio.personas.validation import MAX_WAITING
from studio.personas.watching import STREAM, PersonaWatch

ADA = "id: ada\nname: Ada\nface: {kind: rig, character: nova}\n"
CONSENT = {"person": "Grace H.", "purpose": "course videos", "granted_at": "2026-01-05"}
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8


async def persona_events(events: Any) -> list[tuple[str, str]]:
    return [(event.kind, event.data["persona"]) for event in await events.read(STREAM)]


def write(path: Path, text: str | None) -> None:
    path.unlink() if text is None else path.write_text(text)


async def test_every_change_of_a_file_becomes_one_event(
    rooms: Any, settings: Any, db: Any, events: Any
) -> None:
    watch = PersonaWatch(rooms.library, db, events, rooms.persona_files)
    path: Path = settings.personas_dir / "ada.yaml"
    await watch.look()
    for text in (ADA, ADA.replace("Ada", "Countess"), "id: ada\nname: [", ADA, None):
        write(path, text)
        await watch.look()
        await watch.look()
    assert await persona_events(events) == [
        ("persona.added", "ada"),
        ("persona.changed", "ada"),
        ("persona.broken", "ada"),
        ("persona.mended", "ada"),
        ("persona.removed", "ada"),
    ]
    [broken] = [event for event in await events.read(STREAM) if event.kind == "persona.broken"]
    assert "line" in broken.data["error"]


async def test_the_watch_looks_by_itself_and_ends(rooms: Any, settings: Any, db: Any, events: Any) -> None:
    watch = PersonaWatch(rooms.library, db, events, rooms.persona_files, poll_s=0.01)
    await watch.start()
    async with asyncio.timeout(60):
        while watch._known is None:  # noqa: ASYNC110 - the first round tells nothing
            await asyncio.sleep(0.01)
        (settings.personas_dir / "ada.yaml").write_text(ADA)
        async for event in events.follow(STREAM):
            assert event.kind == "persona.added"
            break
    await watch.close()


async def test_status_reload_validate_and_health_over_rest(client: Any, settings: Any) -> None:
    path: Path = settings.personas_dir / "ada.yaml"
    write(path, ADA)
    found = (await client.get("/api/personas/ada/status")).json()
    assert (found["state"], found["file"], found["origin"]) == ("ready", "ada.yaml", "shipped")
    write(path, ADA + "colour: red\nrate: 1\n")
    found = (await client.post("/api/personas/ada/reload")).json()
    assert (found["state"], [fault["line"] for fault in found["faults"]]) == ("outdated", [4, 5])
    assert (await client.get("/api/personas/ada")).json()["name"] == "Ada"
    found = (await client.post("/api/personas/ada/validate")).json()
    assert (found["valid"], len(found["faults"])) == (False, 2)
    assert (await client.post("/api/personas/ada/validate", json={"yaml": ADA})).json()["valid"] is True
    draft = {"yaml": "id: ada\nname: ''\n"}
    [fault] = (await client.post("/api/personas/ada/validate", json=draft)).json()["faults"]
    assert (fault["line"], fault["column"], fault["field"]) == (2, 1, "name")
    health = (await client.get("/api/personas/ada/health")).json()
    assert (health["healthy"], [check["ok"] for check in health["checks"]]) == (
        False,
        [False, True, True, True],
    )
    for call in ("status", "health"):
        assert (await client.get(f"/api/personas/nobody/{call}")).json()["code"] == "persona.not_found"
    for call in ("reload", "validate"):
        assert (await client.post(f"/api/personas/nobody/{call}")).json()["code"] == "persona.not_found"


async def test_a_file_that_goes_while_it_is_read_again_is_gone(
    client: Any, settings: Any, rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch looks in a thread of its own, also between two steps of a question."""
    path: Path = settings.personas_dir / "ada.yaml"
    write(path, ADA)
    listed = PersonaLibrary._stamped

    def sync_watch(library: PersonaLibrary) -> Any:
        found = listed(library)
        path.unlink(missing_ok=True)
        library.entries()
        return found

    monkeypatch.setattr(PersonaLibrary, "_stamped", sync_watch)
    answer = await client.post("/api/personas/ada/reload")
    assert (answer.status_code, answer.json()["code"]) == (404, "persona.not_found")


async def test_a_large_draft_is_read_beside_the_event_loop_and_only_told_faults_are_looked_for(
    client: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.personas_dir / "ada.yaml", ADA)
    request_threads: list[threading.Thread] = []
    look = yaml_source.place_of

    def note(*arguments: Any) -> tuple[int, int]:
        request_threads.append(threading.current_thread())
        return look(*arguments)

    monkeypatch.setattr(yaml_source, "place_of", note)
    draft = {"yaml": ADA + "".join(f"strange{number}: 1\n" for number in range(2000))}
    reported = (await client.post("/api/personas/ada/validate", json=draft)).json()
    assert (reported["valid"], len(reported["faults"]), len(request_threads)) == (
        False,
        MAX_FAULTS,
        MAX_FAULTS,
    )
    assert threading.current_thread() not in request_threads


async def test_definitions_are_validated_one_at_a_time_and_few_may_wait(
    client: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.personas_dir / "ada.yaml", ADA)
    lock, going = threading.Lock(), threading.Event()
    inside = maximum = 0

    def hold(*_: Any) -> None:
        nonlocal inside, maximum
        with lock:
            inside += 1
            maximum = max(maximum, inside)
        going.wait(20)
        with lock:
            inside -= 1

    monkeypatch.setattr(validation, "parse_persona", hold)
    requests = [
        asyncio.create_task(client.post("/api/personas/ada/validate", json={"yaml": ADA})) for _ in range(12)
    ]
    done, waiting = await asyncio.wait(requests, timeout=2)
    # Nobody else's thread is taken meanwhile.
    assert await asyncio.wait_for(asyncio.to_thread(lambda: True), 5)
    going.set()
    await asyncio.gather(*requests)
    answers = sorted(one.result().status_code for one in requests)
    assert answers == [200] * (1 + MAX_WAITING) + [429] * (11 - MAX_WAITING)
    assert maximum == 1 and len(waiting) == 1 + MAX_WAITING
    assert all(one.result().headers["retry-after"] for one in done)


async def test_a_definition_over_the_limit_is_refused_with_it(client: Any, settings: Any) -> None:
    write(settings.personas_dir / "ada.yaml", ADA)
    draft = {"yaml": ADA + "#" * 65_536}
    answer = await client.post("/api/personas/ada/validate", json=draft)
    assert answer.status_code == 422 and "65536" in answer.text


async def test_a_file_is_read_again_beside_the_event_loop(
    client: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings.personas_dir / "ada.yaml", ADA)
    reload, seen_in = PersonaLibrary.reload, []

    def note(library: PersonaLibrary, persona_id: str) -> Any:
        seen_in.append(threading.current_thread())
        return reload(library, persona_id)

    monkeypatch.setattr(PersonaLibrary, "reload", note)
    assert (await client.post("/api/personas/ada/reload")).status_code == 200
    assert len(seen_in) == 1 and threading.current_thread() not in seen_in


async def test_health_tells_of_a_lost_photo_a_revoked_consent_and_a_voice_that_is_away(
    rooms: Any, settings: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def chunks() -> Any:
        yield JPEG

    photo = (await rooms.assets.upload(chunks(), AssetLabels(name="photo.jpg"))).id
    draft = PersonaDraft.model_validate({"name": "Grace", "media": photo, "consent": CONSENT})
    persona = (await rooms.personas.create(draft)).persona
    assert (await rooms.persona_health.of("grace")).healthy
    await blobs.delete(persona.face.image.sha256)
    await rooms.consents.revoke(persona.face.consent.id)
    found = {check.name: check for check in (await rooms.persona_health.of("grace")).checks}
    assert not found["media"].ok and "face file" in found["media"].message
    assert not found["consent"].ok and "taken back" in found["consent"].message
    assert CONSENT["person"] not in found["consent"].message
    async with rooms.people.db.transaction() as session:
        await Consents(session).remove([persona.face.consent.id])
    missing = {check.name: check for check in (await rooms.persona_health.of("grace")).checks}["consent"]
    assert not missing.ok and "not on record" in missing.message
    assert persona.face.consent.id not in missing.message

    voice = "voice: {kind: openai, base_url: 'http://127.0.0.1:9', api_key_env: NO_SUCH_KEY}\n"
    (settings.personas_dir / "ada.yaml").write_text(ADA + voice)
    found = {check.name: check for check in (await rooms.persona_health.of("ada")).checks}
    assert "NO_SUCH_KEY" in found["voice"].message
    monkeypatch.setenv("NO_SUCH_KEY", "x")
    found = {check.name: check for check in (await rooms.persona_health.of("ada")).checks}
    assert "does not answer" in found["voice"].message
