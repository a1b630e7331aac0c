"""When a person is deleted, not one byte of the face, the voice or what was made from them is left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from avatar.spec import RenderSpec

from policy import Principal
from soundstage.errors import Conflict, NotFound
from soundstage.paging import PageRequest
from studio.assets.repository import AssetFilter
from studio.assets.schemas import AssetDraft, AssetLabels
from studio.brands.schemas import BrandChange, BrandDraft
from studio.brands.service import kit_of
from studio.personas.schemas import PersonaDraft
from studio.projects.schemas import ProjectDraft
from studio.references.repository import References
from studio.renders.schemas import RenderChange, RenderRequest
from studio.renders.states import RenderState
from studio.scenes.schemas import SceneDraft

CONSENT = {"person": "Grace H.", "purpose": "course videos", "granted_at": "2026-01-05"}


def jpeg(seed: str) -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + seed.encode() * 50


async def upload_asset(rooms: Any, content: bytes, **labels: Any) -> Any:
    async def chunks() -> Any:
        yield content

    return await rooms.assets.upload(chunks(), AssetLabels(**labels))


async def persona_of(rooms: Any, name: str, photo: str, **more: Any) -> Any:
    draft = PersonaDraft.model_validate({"name": name, "media": photo, **more})
    return (await rooms.personas.create(draft)).persona


def store(settings: Any) -> dict[str, bytes]:
    """Every file of the installation but the database and the end of its audit log, with its content."""
    roots = (settings.state_dir, settings.out_dir)
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return {
        str(path): path.read_bytes()
        for path in files
        if ".db" not in path.name and path.name != "audit-head.json"
    }


async def test_not_one_byte_of_a_deleted_person_is_left(
    rooms: Any, render_to_end: Any, settings: Any
) -> None:
    await render_to_end(rooms, "Nova says hello")
    project = await rooms.projects.create(ProjectDraft(title="Course"))
    before = store(settings)

    photo = await upload_asset(
        rooms, jpeg("grace"), name="grace.jpg", project=project.id, kind="avatar_image"
    )
    sheet = await upload_asset(rooms, jpeg("signed sheet"))
    persona = await persona_of(rooms, "Grace", photo.id, consent={**CONSENT, "evidence": sheet.id})
    await rooms.assets.delete(sheet.id)
    await render_to_end(rooms, "Grace says hello", persona=persona.id)
    cutout = {"kind": "image", "image": {"sha256": photo.sha256}, "box": {"width": 0.2, "height": 0.2}}
    draft = {"script": "In the course", "persona": persona.id, "overlays": [cutout]}
    await rooms.scenes.create(project.id, SceneDraft.model_validate(draft))
    in_project = await rooms.renders.create(RenderRequest(project=project.id))
    await rooms.renders.wait(in_project.id)
    # A film of hers used again: as an asset, and inside somebody else's video.
    film = (await rooms.renders.get(in_project.id)).output("video")
    await rooms.assets.create(AssetDraft(sha256=film.sha256), Principal.local_admin())
    overlay = {"kind": "video", "video": {"sha256": film.sha256}, "box": {"width": 0.5, "height": 0.5}}
    quoted = RenderSpec.model_validate(
        {"scenes": [{"id": "q", "script": "Nova quotes", "overlays": [overlay]}]}
    )
    quoting = await rooms.renders.create(RenderRequest(spec=quoted))
    await rooms.renders.wait(quoting.id)
    preview = await rooms.renders.create(RenderRequest(script="preview", persona=persona.id, preview=True))
    await rooms.renders.wait(preview.id)
    (settings.state_dir / "cache" / "portraits").mkdir()
    (settings.state_dir / "cache" / "portraits" / "face.json").write_text("landmarks of grace")
    assert (await rooms.renders.get(quoting.id)).state is RenderState.DONE

    plan = await rooms.people.erase_persona(persona.id, dry_run=True)
    assert not plan.applied and store(settings).keys() > before.keys()
    assert set(plan.renders) >= {in_project.id, quoting.id, preview.id} and len(plan.renders) == 4
    assert plan.names[persona.id] == "Grace" and plan.names[preview.id] == "preview"
    assert plan.names.keys() == {*plan.personas, *plan.renders, *plan.assets, *plan.voices}
    done = await rooms.people.erase_persona(persona.id)
    assert done.applied and done.blobs == plan.blobs

    after = store(settings)
    assert after == before
    with pytest.raises(NotFound):
        rooms.library.get(persona.id)
    assert await rooms.consents.list() == []
    assert [render.title for render in await rooms.renders.list()] == ["Nova says hello"]
    assert (await rooms.assets.find_page(AssetFilter(), PageRequest(1))).items == []


async def test_titles_of_videos_go_from_events_and_audit_lines(
    rooms: Any, render_to_end: Any, audit: Any
) -> None:
    photo = await upload_asset(rooms, jpeg("grace"))
    persona = await persona_of(rooms, "Grace", photo.id, consent=CONSENT)
    video = await render_to_end(rooms, "Grace Hopper greets you", persona=persona.id)
    other = await render_to_end(rooms, "Nova greets you")
    await rooms.render_editing.change(video.id, RenderChange(title="Grace Hopper, again"), by="ada")
    assert "Grace Hopper" in str([line.data for line in await audit.read(0, 1000)])

    await rooms.people.erase_persona(persona.id, by="ada")
    lines = await audit.read(0, 1000)
    assert "Grace" not in str([line.data for line in lines]) and "Nova greets you" in str(lines)
    events = await rooms.events.read()
    assert "Grace" not in str([event.data for event in events if event.stream == f"render:{video.id}"])
    assert "Nova greets you" in str([event for event in events if event.stream == f"render:{other.id}"])
    erased = next(line for line in lines if line.kind == "person.erased")
    assert (erased.actor, erased.data["renders"]) == ("ada", 1)
    verdict = await audit.verify()
    assert verdict.broken_at is None and verdict.lines == len(lines)


async def test_what_is_being_made_with_the_face_is_stopped_first(rooms: Any, ask: Any, settings: Any) -> None:
    photo = await upload_asset(rooms, jpeg("grace"))
    persona = await persona_of(rooms, "Grace", photo.id, consent=CONSENT)
    running = await rooms.renders.create(ask("!slow 60", persona=persona.id))
    waiting = await rooms.renders.create(ask("!slow 61", persona=persona.id))
    async with asyncio.timeout(60):
        while (await rooms.renders.get(running.id)).state != RenderState.RUNNING:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    plan = await rooms.people.erase_persona(persona.id)
    assert set(plan.renders) == {running.id, waiting.id}
    assert await rooms.renders.list() == []
    assert [path for path in store(settings) if "/blobs/" in path and "staging" not in path] == []


async def test_another_persona_of_the_same_person_keeps_the_consent_but_not_the_face(rooms: Any) -> None:
    first = await upload_asset(rooms, jpeg("grace in blue"))
    second = await upload_asset(rooms, jpeg("grace in red"))
    blue = await persona_of(rooms, "Blue", first.id, consent=CONSENT)
    consent = next(iter(blue.consent_ids()))
    red = await persona_of(rooms, "Red", second.id, consent_id=consent)
    plan = await rooms.people.erase_persona(blue.id)
    assert plan.personas == ["blue"] and plan.consents == []
    assert rooms.library.get(red.id) == red
    whole = await rooms.people.erase_consent(consent)
    assert (whole.personas, whole.consents) == (["red"], [consent])
    assert [persona.id for persona in rooms.library.list()] == ["nova"]


async def test_whoever_uses_the_same_picture_loses_it_too_and_nothing_points_at_it_any_more(
    rooms: Any, db: Any
) -> None:
    photo = await upload_asset(rooms, jpeg("grace"))
    first = await persona_of(rooms, "Grace", photo.id, consent=CONSENT)
    await persona_of(rooms, "Copy", photo.id, consent={**CONSENT, "person": "An Impostor"})
    project = await rooms.projects.create(ProjectDraft(title="Course", persona=first.id))
    await rooms.scenes.create(project.id, SceneDraft(script="hi"))
    view = await rooms.renders.create(RenderRequest(project=project.id))
    await rooms.renders.wait(view.id)
    plan = await rooms.people.erase_persona(first.id)
    assert plan.personas == ["copy", "grace"] and len(plan.versions) == 1
    async with db.session() as session:
        assert await References(session).holders(plan.blobs) == set()
    assert (await rooms.versions.list(project.id))[0].number == 1, "what was written stays"


async def test_a_picture_of_somebody_else_in_the_same_video_stays(rooms: Any, ask: Any) -> None:
    photo = await upload_asset(rooms, jpeg("grace"))
    wall = await upload_asset(rooms, jpeg("a wall"))
    persona = await persona_of(rooms, "Grace", photo.id, consent=CONSENT)
    background = {"kind": "image", "image": {"sha256": wall.sha256}}
    view = await rooms.renders.create(
        RenderRequest.model_validate({"script": "hi", "persona": persona.id, "background": background})
    )
    assert (await rooms.renders.wait(view.id)).state is RenderState.DONE
    plan = await rooms.people.erase_persona(persona.id)
    assert wall.sha256 not in plan.blobs
    assert (await rooms.assets.open_file(wall.id))[1].is_file()


async def test_others_who_are_moved_by_the_same_film_stay(rooms: Any, render_to_end: Any) -> None:
    """It shows the movement of whoever was filmed, and nothing of the persona who goes."""
    nod = await upload_asset(rooms, b"\x00\x00\x00\x18ftypisom" + b"nodding" * 50)
    photos = [await upload_asset(rooms, jpeg(name)) for name in ("grace", "ada")]
    grace, ada = [
        await persona_of(rooms, name, photo.id, driving=nod.id, consent={**CONSENT, "person": name})
        for name, photo in zip(("Grace", "Ada"), photos, strict=True)
    ]
    remaining = await render_to_end(rooms, "Ada nods", persona=ada.id)
    gone = await render_to_end(rooms, "Grace nods", persona=grace.id)
    plan = await rooms.people.erase_persona(grace.id)
    assert (plan.personas, plan.renders) == (["grace"], [gone.id]) and nod.sha256 not in plan.blobs
    assert (await rooms.assets.open_file(nod.id))[1].is_file()
    assert (await rooms.renders.get(remaining.id)).state is RenderState.DONE
    # Whoever was filmed and goes takes along what was made of their movement.
    film = await persona_of(rooms, "Filmed", nod.id, consent={**CONSENT, "person": "The filmed one"})
    plan = await rooms.people.erase_persona(film.id, dry_run=True)
    assert (plan.personas, plan.renders) == (["ada", "filmed"], [remaining.id])


async def test_a_shipped_persona_is_the_operators_to_remove(rooms: Any) -> None:
    with pytest.raises(Conflict, match="operator"):
        await rooms.people.erase_persona("nova")
    with pytest.raises(NotFound):
        await rooms.people.erase_persona("nobody")
    with pytest.raises(NotFound):
        await rooms.people.erase_consent("cns_none")


async def test_an_erasure_that_was_broken_off_can_be_done_again(
    rooms: Any, render_to_end: Any, blobs: Any
) -> None:
    photo = await upload_asset(rooms, jpeg("grace"))
    persona = await persona_of(rooms, "Grace", photo.id, consent=CONSENT)
    await render_to_end(rooms, "hello", persona=persona.id)
    plan = await rooms.people.erase_persona(persona.id, dry_run=True)
    for sha256 in plan.blobs[::2]:
        await blobs.delete(sha256)
    assert (await rooms.people.erase_persona(persona.id)).applied
    assert [blob async for blob in blobs.iterate()] == []


async def test_a_brand_lets_go_of_the_face_and_keeps_its_other_files(
    rooms: Any, db: Any, settings: Any
) -> None:
    photo = await upload_asset(rooms, jpeg("grace"))
    music = await upload_asset(rooms, jpeg("no face"))
    persona = await persona_of(rooms, "Grace", photo.id, consent=CONSENT)
    kit = {"logo": {"image": {"sha256": photo.sha256}}, "music": {"audio": {"sha256": music.sha256}}}
    brand = await rooms.brands.create(BrandDraft.model_validate({"name": "Harbour", **kit}), by="Ada")
    await rooms.people.erase_persona(persona.id)
    async with db.session() as session:
        assert set(await References(session).sizes_of(f"brand:{brand.id}")) == {music.sha256}
        with pytest.raises(Conflict, match=r"brand\.file_missing: The file of logo\.image"):
            await kit_of(session, brand.id)
    renamed = await rooms.brands.change(brand.id, BrandChange(name="Port"), by="Ada")
    assert renamed.logo is not None, "it says what it had until somebody chooses another"
