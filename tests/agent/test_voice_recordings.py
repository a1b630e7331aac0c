"""Recordings of voice sessions: what is stored, what becomes of it, and whose it is."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from local_login import log_in_locally
from socket_servers import on_loopback

from agent.transcription.recognition import wav_of
from agent.voice.recording_files import Entry, read_sound
from agent.voice.recording_scenes import LONGEST_PAUSE_MS, parts_of, scene_of_part
from agent.voice.schemas import Recorded
from agent.voice.session import Session
from app.composition import Services
from app.server.web import create_app
from policy import Principal
from policy.audit.repository import AuditLines
from soundstage.database import utcnow
from soundstage.errors import Conflict, Unavailable
from studio.references.repository import RECORDING, References
from studio.renders.schemas import RenderView

ME = Principal.local_admin("voice")


def sounding(seconds: float, hz: int, level: int = 3000) -> str:
    samples = np.tile(np.array([level, -level], "<i2"), round(seconds * hz / 2))
    return base64.b64encode(samples.tobytes()).decode()


def sentence(side: str, text: str, began_at: float, seconds: float = 0.0) -> Recorded:
    hz = 24_000 if side == "agent" else 16_000
    sound = sounding(seconds, hz)
    message = {"side": side, "text": text, "began_at": began_at, "sound": sound, "sample_hz": hz}
    return Recorded.model_validate({"type": "recorded", **message})


TALK = (
    sentence("person", "what videos do i have", 100.0, 1.2),
    sentence("agent", "There are none.", 101.9, 1.0),
    sentence("agent", "Make *one* [now].", 103.1, 1.5),
    sentence("person", "Make one, please", 120.0),
)


async def begin(services: Services, entries: Iterable[Recorded] = TALK, **options: Any) -> Session:
    session = Session("ses_1", ME, services.studio.library.get("nova"), utcnow())
    await services.voice.recordings.start(session, with_person=options.get("with_person", True))
    for entry in entries:
        await services.voice.recordings.add(session, entry)
    return session


async def film_of(services: Services, render: RenderView) -> Any:
    return (await services.studio.renders.detail(render.id)).spec


def left_over(services: Services) -> list[Path]:
    return list((services.settings.state_dir / "voice-recordings").glob("*"))


async def test_a_recording_becomes_a_video_in_which_the_presenter_listens_and_speaks(
    services: Services,
) -> None:
    session = await begin(services)
    assert session.view().recorded
    folder = left_over(services)[0]
    assert folder.stat().st_mode & 0o077 == folder.parent.stat().st_mode & 0o077 == 0
    render = await services.voice.recordings.finish(session)
    assert not session.view().recorded and left_over(services) == []
    scenes = (await film_of(services, render)).scenes
    assert [scene.off_camera for scene in scenes] == [True, False, False]
    assert [scene.audio_from_voice for scene in scenes] == [False, True, False]
    assert scenes[0].voices == () and len(scenes[1].voices) == 1, "provenance names the presenter's voice"
    assert [scene.script for scene in scenes] == [
        "what videos do i have",
        r"There are none. Make \*one\* \[now\].",
        None,
    ]
    assert scenes[0].tail_ms == 700 and scenes[1].tail_ms == LONGEST_PAUSE_MS, "long waits are cut"
    assert scenes[2].overlays[0].text == "Make one, please" and scenes[2].silent
    sound = await services.blobs.local_path(scenes[1].audio.sha256)
    with sound.open("rb") as file:
        assert len(file.read()) == 44 + 2 * round((1.0 + 0.2 + 1.5) * 24_000), "with the pause between both"
    async with services.database.session() as opened:
        holders = await References(opened).holders({scene.audio.sha256 for scene in scenes[:2]})
    assert holders == {f"render:{render.id}"}, "the sound goes with the video"


async def test_without_the_persons_sound_their_words_are_shown(services: Services) -> None:
    session = await begin(services, with_person=False)
    assert not list(left_over(services)[0].glob("0.wav"))
    scenes = (await film_of(services, await services.voice.recordings.finish(session))).scenes
    assert [scene.audio is None for scene in scenes] == [True, False, True]
    assert scenes[0].overlays[0].text == "what videos do i have"


async def test_each_sentence_is_of_the_presenter_who_said_it(services: Services) -> None:
    milo = Path(__file__).parents[2] / "personas" / "milo.yaml"
    shutil.copy(milo, services.settings.personas_dir or "")
    session = await begin(services, TALK[:2])
    session.persona = services.studio.library.get("milo")
    await services.voice.recordings.add(session, TALK[2])
    scenes = (await film_of(services, await services.voice.recordings.finish(session))).scenes
    assert [scene.face.character for scene in scenes] == ["nova", "nova", "milo"]


async def test_an_empty_recording_makes_no_video(services: Services) -> None:
    session = await begin(services, [sentence("agent", "", 1.0, 0.1)])
    with pytest.raises(Conflict) as error:
        await services.voice.recordings.finish(session)
    assert error.value.code == "voice.nothing_recorded" and left_over(services) == []
    assert session.recording is None


async def test_a_discarded_recording_leaves_nothing(services: Services) -> None:
    session = await begin(services)
    await services.voice.recordings.discard(session)
    assert left_over(services) == [] and session.recording is None
    await services.voice.recordings.add(session, TALK[0])
    await services.voice.recordings.finish_ended()
    assert left_over(services) == []
    assert await services.studio.renders.list() == []


async def test_what_a_cut_off_discard_left_becomes_no_video(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await begin(services)

    def fail(_: object) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk"):
        patched.setattr(shutil, "rmtree", fail)
        await services.voice.recordings.discard(session)
    await services.voice.recordings.leave(session)
    await services.voice.recordings.finish_ended()
    assert left_over(services) == [] and await services.studio.renders.list() == []


async def test_the_end_of_the_session_or_of_the_server_ends_a_recording(services: Services) -> None:
    session = await begin(services)
    recordings = services.voice.recordings
    await recordings.finish_ended()
    assert len(left_over(services)) == 1, "it goes on"
    # A full disk or a killed process leaves half a line, and a sound that is empty.
    folder = left_over(services)[0]
    (folder / "2.wav").write_bytes(b"")
    with (folder / "entries.jsonl").open("a") as file:
        file.write('{"side": "agent", "te')
    await recordings.leave(session)
    await recordings.add(session, TALK[0])
    await recordings.finish_ended()
    assert left_over(services) == []
    [render] = await services.studio.renders.list()
    assert render.title == "Nova: what videos do i have"
    scenes = (await film_of(services, render)).scenes
    assert [scene.script for scene in scenes] == ["what videos do i have", "There are none.", None]


async def test_a_recording_that_cannot_be_read_holds_up_no_other(services: Services) -> None:
    folder = services.settings.state_dir / "voice-recordings" / "rec_0"
    folder.mkdir(parents=True)
    (folder / "recording.json").write_text("{")
    session = await begin(services)
    await services.voice.recordings.leave(session)
    await services.voice.recordings.finish_ended()
    assert left_over(services) == [folder]
    assert len(await services.studio.renders.list()) == 1
    services.voice.recordings._retries.clear()
    os.utime(folder / "failed", (0, 0))
    await services.voice.recordings.finish_ended()
    assert left_over(services) == [], "nor does it stay for ever"


async def refuse(*_: Any, **__: Any) -> None:
    raise Unavailable("render.queue_full", "Full.", "Wait.")


async def test_a_video_that_is_refused_can_be_made_later_or_discarded(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await begin(services)
    recordings = services.voice.recordings
    with monkeypatch.context() as patched, pytest.raises(Unavailable):
        patched.setattr(services.studio.renders, "create", refuse)
        await recordings.finish(session)
    assert not session.view().recorded and len(left_over(services)) == 1
    async with services.database.session() as opened:
        assert not await References(opened).all_held_by([f"{RECORDING}{left_over(services)[0].name}"])
    with pytest.raises(Conflict):
        await recordings.start(session, with_person=True)
    await recordings.finish(session)
    assert left_over(services) == []
    await recordings.start(session, with_person=True)
    await recordings.discard(session)
    assert left_over(services) == []


async def test_what_becomes_no_video_for_a_day_is_deleted(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await begin(services)
    recordings = services.voice.recordings
    await recordings.leave(session)
    monkeypatch.setattr(services.studio.renders, "create", refuse)
    os.utime(left_over(services)[0], (0, 0))
    await recordings.finish_ended()
    assert len(left_over(services)) == 1, "a day from the first attempt on"
    await recordings.finish_ended()
    assert [attempts for attempts, _ in recordings._retries.values()] == [1], "not at once again"
    recordings._retries.clear()
    os.utime(left_over(services)[0] / "failed", (0, 0))
    await recordings.finish_ended()
    assert left_over(services) == []


async def test_without_the_right_to_make_videos_a_recording_is_deleted(services: Services) -> None:
    session = await begin(services)
    await services.voice.recordings.leave(session)

    async def find_nobody(_: Principal) -> None:
        return None

    services.voice.recordings.find_principal = find_nobody
    await services.voice.recordings.finish_ended()
    assert left_over(services) == [] and await services.studio.renders.list() == []
    async with services.database.session() as opened:
        kinds = [line.kind for line in await AuditLines(opened).newest(10, None)]
    assert "voice.recording_discarded" in kinds


async def test_a_recording_that_is_long_enough_ends_and_waits(services: Services) -> None:
    services.voice.recordings.max_scenes = 2
    session = await begin(services)
    assert not session.view().recorded
    render = await services.voice.recordings.finish(session)
    assert len((await film_of(services, render)).scenes) == 2


async def test_a_disk_that_fails_ends_the_recording_and_not_the_call(services: Services) -> None:
    session = await begin(services, TALK[:1])
    (left_over(services)[0] / "1.wav").mkdir()
    await services.voice.recordings.add(session, TALK[1])
    assert not session.view().recorded
    render = await services.voice.recordings.finish(session)
    assert len((await film_of(services, render)).scenes) == 1


async def test_visitors_of_other_pages_are_not_recorded(services: Services) -> None:
    session = Session("ses_1", ME, services.studio.library.get("nova"), utcnow(), origin="https://x.example")
    with pytest.raises(Conflict) as error:
        await services.voice.recordings.start(session, with_person=True)
    assert error.value.code == "voice.cannot_record" and left_over(services) == []


async def test_odd_and_long_sentences_make_a_video(services: Services) -> None:
    session = await begin(
        services,
        [sentence("person", "ding\x07 \x00" + "long " * 600, 1.0), sentence("agent", "\x07", 2.0, 1.0)],
    )
    [written, spoken] = (await film_of(services, await services.voice.recordings.finish(session))).scenes
    assert written.overlays[0].text.startswith("ding") and len(written.overlays[0].text) == 2000
    assert spoken.script is None and spoken.audio_from_voice


async def test_only_the_own_session_can_be_recorded_and_only_by_who_may_make_videos(
    services: Services,
) -> None:
    session = Session("ses_1", ME, services.studio.library.get("nova"), utcnow())
    services.voice._open[session.id] = session
    app, headers = create_app(services), await log_in_locally(services.policy)
    async with on_loopback(app) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
        path = "/api/voice/session/ses_1/recording"
        assert (await client.post(path, json={})).status_code == 401
        foreign = await client.post(path, json={}, headers=headers)
        assert foreign.json()["code"] == "voice.not_found"
    services.voice._open.clear()


def test_pauses_within_a_part_are_kept_and_people_are_brought_to_one_loudness(tmp_path: Path) -> None:
    quiet = np.tile(np.array([300, -300], np.int16), 8000)
    (tmp_path / "0.wav").write_bytes(wav_of(quiet.tobytes(), 16_000))
    [part] = parts_of(
        [Entry(side="person", persona_id="nova", text="hello", began_at=5.0, seconds=1.0, sound="0.wav")]
    )
    (tmp_path / "levelled.wav").write_bytes(part.wav(tmp_path))
    levelled = Entry(side="person", persona_id="nova", text="", began_at=0, sound="levelled.wav")
    samples, hz = read_sound(tmp_path, levelled)
    assert hz == 16_000 and np.abs(samples).max() == pytest.approx(8 * 300, rel=0.01)


def test_markup_in_a_sentence_is_text(services: Services) -> None:
    [part] = parts_of([Entry(side="agent", persona_id="nova", text="<b>[mood sad]", began_at=1.0)])
    scene = scene_of_part(1, part, services.studio.library.get("nova"), None)
    assert scene.overlays[0].text == "<b>[mood sad]" and not scene.off_camera
