"""Personas: read again when they change, bad files named by line and field, new ones made from a photo."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from avatar.spec import PhotoFace, VideoFace
from sentences import SentenceSnapshot

from soundstage.errors import Conflict, Forbidden, Invalid, NotFound, SoundstageError
from studio.assets.schemas import AssetLabels
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import PersonaChange, PersonaDraft, PortraitCheck
from studio.renders.media import media_in
from studio.renders.states import RenderState

GOOD = "id: ada\nname: Ada\nface: {kind: rig, character: nova}\n"
CONSENT = {"person": "Grace H.", "purpose": "course videos", "granted_at": "2026-01-05"}
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(64)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)


@pytest.fixture
def library(tmp_path: Path) -> PersonaLibrary:
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    shipped.mkdir()
    own.mkdir()
    return PersonaLibrary(shipped, own)


async def store(rooms: Any, content: bytes, name: str = "photo.jpg") -> str:
    async def chunks() -> Any:
        yield content

    return str((await rooms.assets.upload(chunks(), AssetLabels(name=name))).id)


def test_a_file_is_read_again_when_it_changes(library: PersonaLibrary) -> None:
    path = library.shipped / "ada.yaml"
    path.write_text(GOOD)
    assert library.get("ada").name == "Ada"
    path.write_text(GOOD.replace("name: Ada", "name: Countess"))
    assert library.get("ada").name == "Countess"
    path.unlink()
    with pytest.raises(NotFound, match="no persona 'ada'"):
        library.get("ada")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (GOOD + "colour: red\n", "bad.yaml, line 4, column 1, field colour"),
        (
            GOOD.replace("character: nova", "character: 7"),
            "bad.yaml, line 3, column 19, field face.rig.character",
        ),
        (
            "id: ada\nname: Ada\nvoice:\n  kind: espeak\n  rate_wpm: 9000\n",
            "line 5, column 3, field voice.espeak",
        ),
        (
            "id: ada\nname: Ada\nstyle:\n  background:\n    kind: colour\n    colour: red\n",
            "line 6, column 5, field style",
        ),
        ("id: Ada Lovelace\nname: Ada\n", "bad.yaml, line 1, column 1, field id"),
        ("name: Ada\n", "field id: Field required"),
        ("id: ada\nname: [unclosed\n", "bad.yaml, line 3"),
        ("- a\n- list\n", "a persona file is a mapping"),
        ("", "a persona file is a mapping"),
        ("id: ada\nname: !!python/object/apply:os.system [id]\n", "bad.yaml, line 2"),
        ("a: &a [1]\nb: *a\n", "aliases"),
    ],
)
def test_a_bad_file_is_listed_with_line_and_field_and_the_others_go_on_working(
    library: PersonaLibrary, text: str, reported: str
) -> None:
    (library.shipped / "bad.yaml").write_text(text)
    (library.shipped / "good.yaml").write_text(GOOD.replace("ada", "good"))
    entries = {entry.id: entry for entry in library.entries()}
    assert reported in (entries["bad"].error or "")
    assert library.get("good").name == "Ada"
    with pytest.raises(Conflict, match=r"cannot be used: bad\.yaml"):
        library.get("bad")


def test_bytes_that_are_no_text_and_huge_files_are_named_too(library: PersonaLibrary) -> None:
    (library.shipped / "binary.yaml").write_bytes(b"id: \xff\xfe")
    (library.shipped / "huge.yaml").write_text("x" * 300_000)
    reported = {entry.id: entry.error for entry in library.entries()}
    assert "not UTF-8" in (reported["binary"] or "") and "larger than" in (reported["huge"] or "")


def test_of_two_files_with_one_id_the_operators_stands(
    library: PersonaLibrary, snapshot: SentenceSnapshot
) -> None:
    (library.own / "mine.yaml").write_text(GOOD.replace("name: Ada", "name: Impostor"))
    (library.shipped / "ada.yaml").write_text(GOOD)
    assert library.get("ada").name == "Ada"
    [other] = [entry for entry in library.entries() if entry.error]
    assert other.error == snapshot("id_taken")
    # `soundstage personas check` tells faults: with none, the file would be in order.
    assert [fault.field for fault in other.faults] == ["id"]


def test_the_shipped_personas_are_in_order() -> None:
    library = PersonaLibrary(Path(__file__).parents[2] / "personas", Path("/nonexistent"))
    entries = library.entries()
    assert [entry.error for entry in entries if entry.error] == []
    assert "nova" in {entry.id for entry in entries}
    assert not any(entry.persona.real_person for entry in entries if entry.persona)


async def test_a_photo_becomes_a_persona_with_a_measured_portrait_and_consent(
    rooms: Any, render_to_end: Any
) -> None:
    photo = await store(rooms, JPEG)
    draft = PersonaDraft.model_validate({"name": "Grace Hopper", "media": photo, "consent": CONSENT})
    persona = (await rooms.personas.create(draft)).persona
    assert persona.id == "grace-hopper" and isinstance(persona.face, PhotoFace)
    assert persona.face.portrait is not None and persona.face.consent is not None
    assert persona.face.consent.person == "Grace H."
    assert rooms.library.get("grace-hopper") == persona
    view = await render_to_end(rooms, "hello", persona="grace-hopper")
    assert view.state is RenderState.DONE and view.personas == ["grace-hopper"]


async def test_a_persona_names_the_engine_that_draws_it(rooms: Any) -> None:
    photo = await store(rooms, JPEG)
    named = {"name": "Grace", "media": photo, "consent": CONSENT, "engine": "liveportrait+latentsync"}
    persona = (await rooms.personas.create(PersonaDraft.model_validate(named))).persona
    assert persona.face.engine == "liveportrait+latentsync"
    for_videos = PersonaDraft.model_validate({**named, "name": "Ada", "engine": "latentsync"})
    with pytest.raises(Invalid, match="latentsync does not draw the face of a photo"):
        await rooms.personas.create(for_videos)


async def test_a_motion_video_becomes_a_persona_without_measuring(rooms: Any) -> None:
    clip = await store(rooms, MP4, "walk.mp4")
    draft = PersonaDraft.model_validate({"name": "Grace", "media": clip, "consent": CONSENT})
    assert isinstance((await rooms.personas.create(draft)).persona.face, VideoFace)


@pytest.mark.parametrize(("text", "pauses"), [({}, "filmed"), ({"pauses": "drawn"}, "drawn")])
async def test_what_a_persona_shows_in_pauses_is_chosen_with_its_face(
    rooms: Any, text: dict[str, str], pauses: str
) -> None:
    clip = await store(rooms, MP4, "walk.mp4")
    draft = PersonaDraft.model_validate({"name": "Grace", "media": clip, "consent": CONSENT, **text})
    await rooms.personas.create(draft)
    face = rooms.library.get("grace").face
    assert isinstance(face, VideoFace) and face.pauses == pauses


TEMPLATE = b'{"version": 1, "fps": 25.0, "kp": []}'


@pytest.mark.parametrize("content", [MP4, TEMPLATE], ids=["video", "template"])
async def test_a_photo_may_be_moved_by_an_uploaded_video_or_template(
    rooms: Any, render_to_end: Any, blobs: Any, content: bytes
) -> None:
    photo, nod = await store(rooms, JPEG), await store(rooms, content, "nod")
    draft = {"name": "Grace", "media": photo, "driving": nod, "consent": CONSENT}
    await rooms.personas.create(PersonaDraft.model_validate(draft))
    face = rooms.library.get("grace").face
    assert isinstance(face, PhotoFace) and face.driving is not None and face.driving.name == "nod"
    sha256 = face.driving.sha256
    await rooms.assets.delete(nod)
    await age_of_blobs(blobs)
    await rooms.retention.apply()
    assert sha256 is not None and await blobs.exists(sha256), "the persona is moved by it"
    view = await render_to_end(rooms, "hello", persona="grace")
    assert view.state is RenderState.DONE
    assert sha256 in {ref.sha256 for _, ref in media_in((await rooms.renders.detail(view.id)).spec)}


async def age_of_blobs(blobs: Any) -> None:
    old = time.time() - 30 * 24 * 3600
    for path in [await blobs.local_path(blob.sha256) async for blob in blobs.iterate()]:
        os.utime(path, (old, old))


@pytest.mark.parametrize(
    ("media", "driving", "code"),
    [
        (MP4, MP4, "persona.not_driven"),
        (JPEG, JPEG, "persona.no_motion"),
        (JPEG, WAV, "persona.no_motion"),
        (TEMPLATE, None, "persona.no_face"),
    ],
)
async def test_what_cannot_move_or_be_moved_is_refused_before_anything_is_made(
    rooms: Any, media: bytes, driving: bytes | None, code: str
) -> None:
    draft = {"name": "Grace", "media": await store(rooms, media), "consent": CONSENT}
    if driving is not None:
        draft["driving"] = await store(rooms, driving)
    for refused in (rooms.personas.plan, rooms.personas.create):
        with pytest.raises(Invalid) as caught:
            await refused(PersonaDraft.model_validate(draft))
        assert caught.value.code == code
    assert await rooms.consents.list() == []


async def test_two_personas_of_one_name_get_two_ids(rooms: Any) -> None:
    photo = await store(rooms, JPEG)
    draft = PersonaDraft.model_validate({"name": "Grace", "media": photo, "consent": CONSENT})
    ids = [(await rooms.personas.create(draft)).persona.id for _ in range(2)]
    assert ids == ["grace", "grace-2"]
    with pytest.raises(Conflict, match="already"):
        await rooms.personas.create(draft.model_copy(update={"id": "nova"}))


async def test_without_consent_no_persona_and_nothing_is_written(rooms: Any) -> None:
    photo = await store(rooms, JPEG)
    with pytest.raises(Forbidden) as caught:
        await rooms.personas.create(PersonaDraft(name="Grace", media=photo))
    assert caught.value.code == "consent.required"
    with pytest.raises(Forbidden):
        await rooms.personas.create(PersonaDraft(name="Grace", media=photo, consent_id="cns_invented"))
    assert [persona.id for persona in rooms.library.list()] == ["nova"]


async def test_a_photo_without_a_face_is_refused_in_the_workers_words_and_leaves_no_consent(
    rooms: Any,
) -> None:
    photo = await store(rooms, JPEG + b"\n!fail")
    draft = PersonaDraft.model_validate({"name": "Nobody", "media": photo, "consent": CONSENT})
    with pytest.raises(SoundstageError) as caught:
        await rooms.personas.create(draft)
    assert (caught.value.code, caught.value.status) == ("face.not_found", 422)
    assert await rooms.consents.list() == [] and rooms.library.own.exists() is False


async def test_a_photo_is_checked_with_consent_and_nothing_of_it_is_kept(rooms: Any) -> None:
    photo = await store(rooms, JPEG)
    before = {blob async for blob in rooms.personas.blobs.iterate()}
    request = PortraitCheck.model_validate({"media": photo, "consent": CONSENT})
    assert (await rooms.personas.check(request)).remarks == []
    assert {blob async for blob in rooms.personas.blobs.iterate()} == before
    assert await rooms.consents.list() == [] and [one.id for one in rooms.library.list()] == ["nova"]
    for change, code in (
        ({"consent": None}, "consent.required"),
        ({"consent": None, "consent_id": "cns_invented"}, "consent.required"),
        ({"media": await store(rooms, JPEG + b"\n!fail")}, "face.not_found"),
        ({"media": await store(rooms, MP4, "film.mp4")}, "persona.not_measured"),
    ):
        with pytest.raises(SoundstageError) as caught:
            await rooms.personas.check(request.model_copy(update=change))
        assert caught.value.code == code


async def test_a_sound_is_no_face_and_an_unknown_asset_no_file(rooms: Any) -> None:
    sound = await store(rooms, WAV, "voice.wav")
    for media, code in (
        (sound, "persona.no_face"),
        ("ast_none", "asset.not_found"),
        ("sha256:" + "0" * 64, "blob.not_found"),
    ):
        with pytest.raises(SoundstageError) as caught:
            await rooms.personas.create(
                PersonaDraft.model_validate({"name": "X", "media": media, "consent": CONSENT})
            )
        assert caught.value.code == code


async def test_a_voice_service_that_the_operator_has_not_set_up_is_refused(rooms: Any, settings: Any) -> None:
    photo = await store(rooms, JPEG)
    voice = {"kind": "openai", "base_url": "http://evil.example", "api_key_env": "AWS_SECRET"}
    draft = {"name": "Grace", "media": photo, "consent": CONSENT, "voice": voice}
    with pytest.raises(Forbidden) as caught:
        await rooms.personas.create(PersonaDraft.model_validate(draft))
    assert caught.value.code == "voice.service_not_allowed"
    shipped = {
        "id": "hal",
        "name": "Hal",
        "face": {"kind": "rig"},
        "voice": {**voice, "base_url": "http://evil.example/"},
    }
    (settings.personas_dir / "hal.yaml").write_text(yaml.safe_dump(shipped))
    assert (await rooms.personas.create(PersonaDraft.model_validate(draft))).persona.id == "grace"


async def change_persona(rooms: Any, persona_id: str, **fields: Any) -> Any:
    return await rooms.personas.update(persona_id, PersonaChange.model_validate(fields))


async def test_a_persona_of_our_own_is_changed_in_its_file_and_the_next_video_has_it(
    rooms: Any, render_to_end: Any
) -> None:
    rooms.library.own.mkdir(parents=True)
    path = rooms.library.own / "my-friend.yaml"
    path.write_text(GOOD)
    voice = {"kind": "espeak", "rate_wpm": 222}
    await change_persona(rooms, "ada", title="Countess", voice=voice, name=None)
    assert [one.name for one in rooms.library.own.iterdir()] == ["my-friend.yaml"], "no twin, no half file"
    written = yaml.safe_load(path.read_text())
    assert (written["name"], written["title"], written["voice"]["rate_wpm"]) == ("Ada", "Countess", 222)
    assert rooms.library.get("ada").voice.rate_wpm == 222
    view = await rooms.renders.detail((await render_to_end(rooms, "hello", persona="ada")).id)
    assert view.spec.scenes[0].voice.rate_wpm == 222


async def test_two_changes_at_a_time_both_stay(rooms: Any) -> None:
    rooms.library.own.mkdir(parents=True)
    (rooms.library.own / "ada.yaml").write_text(GOOD)
    await asyncio.gather(
        *(change_persona(rooms, "ada", **one) for one in ({"title": "T"}, {"description": "D"}))
    )
    assert (rooms.library.get("ada").title, rooms.library.get("ada").description) == ("T", "D")


async def test_a_shipped_persona_is_not_changed_but_copied(rooms: Any) -> None:
    with pytest.raises(Conflict) as caught:
        await change_persona(rooms, "nova", name="Novum")
    assert caught.value.code == "persona.shipped" and "Copy it" in caught.value.hint
    with pytest.raises(NotFound):
        await change_persona(rooms, "nobody", name="Somebody")


async def test_a_cloned_voice_needs_consent_and_has_that_of_the_face(rooms: Any, settings: Any) -> None:
    voice = {"kind": "qwen", "base_url": "http://tts.example", "voice_id": "v"}
    shipped = {"id": "hal", "name": "Hal", "voice": {**voice, "cloned": False}}
    (settings.personas_dir / "hal.yaml").write_text(yaml.safe_dump(shipped))
    rooms.library.own.mkdir(parents=True)
    (rooms.library.own / "ada.yaml").write_text(GOOD)
    with pytest.raises(Forbidden) as caught:
        await change_persona(rooms, "ada", voice=voice)
    assert caught.value.code == "consent.required" and rooms.library.get("ada").voice.kind == "flite"
    with pytest.raises(Forbidden, match="not one that the operator"):
        await change_persona(rooms, "ada", voice={**voice, "base_url": "http://evil.example"})
    draft = {"name": "Grace", "media": await store(rooms, JPEG), "consent": CONSENT}
    grace = (await rooms.personas.create(PersonaDraft.model_validate(draft))).persona
    spoken = (await change_persona(rooms, "grace", voice=voice)).voice
    assert spoken.consent == grace.face.consent


def test_a_file_that_a_change_breaks_goes_on_as_it_was_until_it_is_mended(library: PersonaLibrary) -> None:
    path = library.shipped / "ada.yaml"
    path.write_text(GOOD)
    assert library.status("ada").state == "ready"
    path.write_text(GOOD.replace("name: Ada", "name: [Ad"))
    assert library.get("ada").name == "Ada"
    status = library.status("ada")
    assert (status.state, status.faults[0].line, status.faults[0].column) == ("outdated", 3, 5)
    assert library.reload("ada").state == "outdated" and library.get("ada").name == "Ada"
    path.write_text(GOOD.replace("name: Ada", "name: Countess"))
    assert library.status("ada").state == "ready" and library.get("ada").name == "Countess"


def test_a_file_that_was_emptied_while_it_is_written_takes_nobody_away(library: PersonaLibrary) -> None:
    path = library.shipped / "ada.yaml"
    path.write_text(GOOD)
    assert library.get("ada").name == "Ada"
    with path.open("w") as writing:
        assert library.get("ada").name == "Ada"
        writing.write("id: ada\nname")
        writing.flush()
        assert library.get("ada").name == "Ada"
        writing.write(": Ada L\n")
    assert library.get("ada").name == "Ada L"


def test_a_renamed_file_is_the_same_persona_and_a_removed_one_is_gone(library: PersonaLibrary) -> None:
    (library.shipped / "ada.yaml").write_text(GOOD)
    assert library.status("ada").file == "ada.yaml"
    (library.shipped / "ada.yaml").rename(library.shipped / "countess.yml")
    assert library.status("ada").file == "countess.yml"
    (library.shipped / "countess.yml").unlink()
    with pytest.raises(NotFound):
        library.status("ada")
    with pytest.raises(NotFound):
        library.reload("ada")


def test_what_editors_lay_beside_a_file_is_no_persona(library: PersonaLibrary) -> None:
    (library.shipped / "ada.yaml").write_text(GOOD)
    (library.shipped / ".#ada.yaml").symlink_to("somebody@host.1234")
    for name in (".ada.yaml", "#ada.yaml#", "ada.yaml~", ".ada.yaml.swp", "ada.yaml.part", "#ada.yaml"):
        (library.shipped / name).write_text("half")
    (library.shipped / "folder.yaml").mkdir()
    assert [(entry.id, entry.error is None) for entry in library.entries()] == [
        ("ada", True),
        ("folder", False),
    ]


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("id: ada\nname: Ada\nname: Eve\n", "line 3, column 1, field name: this field stands twice"),
        ("[" * 300, "column 41: nested too deeply"),
        ("id: ada\nname: 2026-13-45\n", "bad.yaml, line 2, column 7: '2026-13-45' is no timestamp"),
        ("id: ada\nname: !!timestamp soon\n", "bad.yaml, line 2, column 7: 'soon' is no timestamp"),
        ("id: ada\ntools: [a, !!bool perhaps]\n", "bad.yaml, line 2, column 12: 'perhaps' is no bool"),
        ("id: ada\n? !!int ''\n: Ada\n", "bad.yaml, line 2, column 3: '' is no int"),
        ("id: ada\nname: Ada\ncolour: 1\nshape: 2\n", "(and 1 more)"),
    ],
)
def test_more_that_can_be_wrong_is_told_with_its_place(
    library: PersonaLibrary, text: str, reported: str
) -> None:
    (library.shipped / "bad.yaml").write_text(text)
    [entry] = library.entries()
    assert reported in (entry.error or "")
    assert entry.faults and entry.state == "broken"
