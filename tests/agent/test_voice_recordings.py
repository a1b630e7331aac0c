"""Recordings of voice sessions: what is stored, what becomes of it, and whose it is."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from local_login import log_in_locally
from socket_servers import on_loopback

from agent.voice.recording_files import Entry, read, read_sound, to_wav
from agent.voice.recording_scenes import LONGEST_PAUSE_MS, parts_of, scene_of_part
from agent.voice.schemas import Recorded
from agent.voice.session import Session
from app.composition import Services
from app.server.web import create_app
from policy import Principal
from soundstage.database import utcnow
from soundstage.errors import Conflict
from studio.references.repository import References
from studio.renders.schemas import RenderView

ME = Principal.local_admin("voice")


def sounding(seconds: float, hz: int, level: int = 3000) -> str:
    samples = np.tile(np.array([level, -level], "<i2"), round(seconds * hz / 2))
    return base64.b64encode(samples.tobytes()).decode()


def recorded(side: str, text: str, began_at: float, seconds: float = 0.0) -> Recorded:
    hz = 24_000 if side == "agent" else 16_000
    sound = sounding(seconds, hz)
    message = {"side": side, "text": text, "began_at": began_at, "sound": sound, "sample_hz": hz}
    return Recorded.model_validate({"type": "recorded", **message})


TALK = (
    recorded("person", "what videos do i have", 100.0, 1.2),
    recorded("agent", "There are none.", 101.9, 1.0),
    recorded("agent", "Make *one* [now].", 103.1, 1.5),
    recorded("person", "Make one, please", 120.0),
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
    session = await begin(services, [recorded("agent", "", 1.0, 0.1)])
    with pytest.raises(Conflict) as error:
        await services.voice.recordings.finish(session)
    assert error.value.code == "voice.nothing_recorded" and left_over(services) == []


async def test_a_discarded_recording_leaves_nothing(services: Services) -> None:
    session = await begin(services)
    await services.voice.recordings.discard(session)
    assert left_over(services) == [] and session.recording is None
    await services.voice.recordings.add(session, TALK[0])
    assert left_over(services) == []
    assert await services.studio.renders.list() == []


async def test_the_end_of_the_session_or_of_the_server_ends_a_recording(services: Services) -> None:
    session = await begin(services)
    recordings = services.voice.recordings
    await recordings.finish_ended([session])
    assert len(left_over(services)) == 1, "it goes on"
    # A process that was killed leaves half a line, and knows no session.
    with (left_over(services)[0] / "entries.jsonl").open("a") as file:
        file.write('{"side": "agent", "te')
    await recordings.finish_ended([])
    assert left_over(services) == []
    [render] = await services.studio.renders.list()
    assert render.title == "Nova: what videos do i have"


async def test_what_makes_no_video_is_tried_again_and_deleted_after_a_day(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(services)
    recordings, calls = services.voice.recordings, []

    async def refuse(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise Conflict("render.queue_full", "Full.", "Wait.")

    monkeypatch.setattr(services.studio.renders, "create", refuse)
    for _ in range(2):
        await recordings.finish_ended([])
    assert len(calls) == 1 and len(left_over(services)) == 1, "not at once again"
    monkeypatch.setattr("agent.voice.recordings.RETRY_S", 0.0)
    recordings._retry_at.clear()
    monkeypatch.setattr("agent.voice.recordings.KEEP_S", -1.0)
    await recordings.finish_ended([])
    assert len(calls) == 2 and left_over(services) == []


async def test_a_recording_that_is_long_enough_ends(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.voice.recordings.MAX_ENTRIES", 2)
    session = await begin(services)
    assert session.recording is None
    assert len(read(left_over(services)[0])[1]) == 2


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
    (tmp_path / "0.wav").write_bytes(to_wav(quiet, 16_000))
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
