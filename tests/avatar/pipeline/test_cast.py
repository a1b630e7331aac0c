"""Several speakers in a scene, and boxes that move: who is heard, which mouth moves, where they are seen."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.compose.seats import box_path, share_canvas
from avatar.encode.poster import frame_at
from avatar.errors import InvalidInput
from avatar.pipeline.cast import solo_scenes
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.segment import SegmentFiles, make_segment
from avatar.pipeline.still import make_still
from avatar.spec import HOST, Canvas, Notice, RenderSpec, Scene, needs_of_all
from avatar.speech import speak
from avatar.timing import control_track
from avatar.tracks import Word
from PIL import Image
from pydantic import ValidationError

TALK = "Good morning. How high is it? [speaker mei] Four *metres* at most. [speaker host] Thank you."
MEI = {
    "name": "mei",
    "face": {"kind": "rig", "character": "vera"},
    "voice": {"kind": "flite", "voice": "rms"},
}
CONSENT = {"id": "cns_1", "person": "P", "granted_at": "2026-01-01", "purpose": "tests"}


def talk(**more: Any) -> dict[str, Any]:
    ground = {"kind": "colour", "colour": "#204060"}
    return {"id": "a", "script": TALK, "background": ground, "speakers": [MEI], **more}


@pytest.fixture(scope="module")
def segment(small_spec: Any, tmp_path_factory: pytest.TempPathFactory) -> SegmentFiles:
    folder = tmp_path_factory.mktemp("talk")
    spec = RenderSpec.model_validate(small_spec(talk()))
    return make_segment(spec, "a", folder / "a", Context(cache=folder / "cache"))


def test_turns_are_spoken_by_their_voices_as_loud_as_each_other(tmp_path: Path) -> None:
    speech = speak(Scene.model_validate(talk()), tmp_path, lambda ref: Path(ref.path or ""))
    assert [turn.speaker for turn in speech.turns] == [HOST, "mei", HOST]
    assert " ".join(word.text for word in speech.words).startswith(
        "Good morning. How high is it? Four metres"
    )
    assert [word.text for word in speech.words if word.emphasis] == ["metres"]
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(speech.words))
    assert all(a.end_ms == b.start_ms for a, b in pairwise(speech.phones))
    assert (speech.phones[0].start_ms, speech.phones[-1].end_ms) == (0, speech.duration_ms)
    first, second = speech.turns[:2]
    assert 150 <= second.start_ms - first.end_ms <= 400
    loudness = [_level_db(speech.wav, turn.start_ms, turn.end_ms) for turn in (first, second)]
    assert abs(loudness[0] - loudness[1]) < 3
    words = speech.words[second.first_word : second.last_word]
    length = words[-1].end_ms - words[0].start_ms
    lengths = []
    for voice in ("rms", "slt"):
        own = {"id": "b", "script": "Four *metres* at most.", "voice": {"kind": "flite", "voice": voice}}
        alone = speak(Scene.model_validate(own), tmp_path / voice, lambda ref: Path(ref.path or ""))
        lengths.append(alone.words[-1].end_ms - alone.words[0].start_ms)
    assert length == pytest.approx(lengths[0], abs=20) and abs(lengths[0] - lengths[1]) > 40


def _level_db(wav: Path, start_ms: int, end_ms: int) -> float:
    from avatar.speech.sound import blocks

    samples = np.concatenate(list(blocks(wav, start_ms, end_ms))).astype(float)
    return float(20 * np.log10(np.sqrt((samples**2).mean())))


def test_only_the_mouth_of_who_speaks_opens_and_listeners_blink(tmp_path: Path) -> None:
    scene = Scene.model_validate(talk(script=TALK + " [speaker mei] " + "It rises and it falls. " * 6))
    speech = speak(scene, tmp_path, lambda ref: Path(ref.path or ""))
    tracks = {
        name: control_track(text, 25, seed=1)
        for name, (_, text) in zip(
            (HOST, "mei"), solo_scenes(scene, speech, Canvas(width=320, height=180)), strict=True
        )
    }
    assert tracks[HOST].frames == tracks["mei"].frames
    for turn in speech.turns:
        frames = slice(turn.start_ms // 40 + 5, turn.end_ms // 40 - 5)
        for name, track in tracks.items():
            widest = float(track.aperture_e()[frames].max())
            assert (widest > 0.1) == (name == turn.speaker), (turn, name, widest)
    last = speech.turns[-1]
    assert tracks[HOST]["blink"][last.start_ms // 40 :].max() > 0.9


def test_both_are_seen_side_by_side_and_only_the_speaker_moves_the_lips(segment: SegmentFiles) -> None:
    turns = _turns_of(segment)
    for name, (start_ms, end_ms) in turns.items():
        pictures = [
            frame_at(segment.video, ms)[:, :, :].astype(int) for ms in range(start_ms + 200, end_ms - 200, 80)
        ]
        halves = [_lips(pictures, side) for side in (slice(0, 160), slice(160, 320))]
        assert (halves[0] > halves[1]) == (name == HOST), (name, halves)
    first = frame_at(segment.video, 100).astype(int)
    blue = np.abs(first - np.array(_ground(first))).sum(axis=2) < 30
    assert blue[:, 140:180].mean() > blue[:, 40:120].mean(), "they do not hide each other"


def _turns_of(segment: SegmentFiles) -> dict[str, tuple[int, int]]:
    words = json.loads(segment.words.read_text())["words"]
    spans = {HOST: words[:6], "mei": words[6:10]}
    return {name: (some[0]["start_ms"], some[-1]["end_ms"]) for name, some in spans.items()}


def _lips(pictures: list[Any], half: slice) -> float:
    """Returns how much the lower middle of a half changes from picture to picture."""
    return float(np.mean([np.abs(a[85:120, half] - b[85:120, half]).mean() for a, b in pairwise(pictures)]))


def _ground(picture: Any) -> Any:
    return picture[2, 2]


def test_the_record_names_both_voices_and_one_engine(segment: SegmentFiles) -> None:
    names = [(one.role, one.name, one.version) for one in segment.record.engines]
    assert ("speech", "flite", "cmu_us_slt") in names and ("speech", "flite", "cmu_us_rms") in names
    assert [name for role, name, _ in names if role == "face"] == ["rig"]
    assert [use.engine for use in segment.record.engine_uses] == ["rig"]
    assert segment.record.speaker_changes == (6, 10)


def test_an_overlay_on_a_word_of_the_second_speaker_comes_with_it(
    small_spec: Any, flag_png: Path, tmp_path: Path
) -> None:
    overlay = {
        "kind": "image",
        "image": {"path": str(flag_png)},
        "box": {"x": 0.44, "y": 0.0, "width": 0.12, "height": 0.2},
        "fade_ms": 0,
        "start": {"at": "word", "word": "metres"},
    }
    spec = RenderSpec.model_validate(small_spec(talk(overlays=[overlay])))
    for word in (1, 7):
        path = tmp_path / f"{word}.png"
        make_still(spec, "a", 0, path, Context(cache=tmp_path / "cache"), word=word)
    top = [np.asarray(Image.open(tmp_path / f"{word}.png").convert("RGB"))[8, 160] for word in (1, 7)]
    assert top[1][1] > 150 > top[0][1], "green comes with the word"


def test_upright_each_speaker_is_before_a_room_of_their_own(small_spec: Any, tmp_path: Path) -> None:
    room = {"kind": "set", "name": "office"}
    canvas = {"width": 180, "height": 320, "fps": 25}
    spec = RenderSpec.model_validate(small_spec(talk(background=room), canvas=canvas))
    make_still(spec, "a", 0, tmp_path / "still.png", Context(cache=tmp_path / "cache"))
    picture = np.asarray(Image.open(tmp_path / "still.png").convert("RGB")).astype(int)
    upper, lower = (part[:60, :20] for part in (picture[4:], picture[164:]))
    assert np.abs(upper - lower).max() <= 6, "beside their heads both see the same room"
    assert picture[159:161, :20].max() < 40, "a line parts the rooms"


def test_a_box_goes_to_its_place_and_eases(small_spec: Any, tmp_path: Path) -> None:
    right = {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0}
    move = {"at": {"at": "time", "ms": 600}, "box": right, "ms": 400}
    layout = {"box": {"x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}, "moves": [move]}
    canvas = Canvas(width=320, height=180, fps=25)
    scene = Scene.model_validate(talk(speakers=[], script="Hello there.", layout=layout))
    path = box_path(scene.layout, (), 60, canvas, "a", lambda _: None)
    places = [path.at(frame).x for frame in (0, 14, 20, 25, 59)]
    assert places[:2] == [0, 0] and 60 < places[2] < 100 and places[3:] == [160, 160]
    assert path.at(16).x - path.at(15).x < path.at(20).x - path.at(19).x, "it begins slowly"
    spec = RenderSpec.model_validate(small_spec({**scene.model_dump(mode="json"), "id": "a"}))
    moving = make_segment(spec, "a", tmp_path / "a", Context(cache=tmp_path / "cache"))
    for ms, seen, empty in ((200, 80, 240), (1200, 240, 80)):
        picture = frame_at(moving.video, ms).astype(int)
        face, ground = picture[90, seen], picture[90, empty]
        assert np.abs(ground - _ground(picture)).sum() < 40 < np.abs(face - ground).sum(), ms


def test_a_move_on_a_word_that_is_gone_is_left_out_with_a_notice() -> None:
    layout = {"moves": [{"at": {"at": "word", "word": "never"}, "box": {"width": 0.5}}]}
    scene = Scene.model_validate(talk(speakers=[], script="Hello.", layout=layout))
    notices: list[Notice] = []
    path = box_path(scene.layout, (Word("Hello", 0, 200),), 50, Canvas(), "a", notices.append)
    assert {path.at(frame).width for frame in range(50)} == {1920}
    assert [notice.code for notice in notices] == ["overlay.word_not_found"]


def test_whoever_has_no_place_shares_the_canvas() -> None:
    fixed = {"layout": {"box": {"x": 0.7, "y": 0.1, "width": 0.25, "height": 0.3}}}
    scene = Scene.model_validate(talk(speakers=[MEI, {**MEI, "name": "leo", **fixed}]))
    boxes = [layout.box for layout in share_canvas(scene.cast, Canvas())]
    assert [(box.x, box.width) for box in boxes] == [(0, 0.5), (0.5, 0.5), (0.7, 0.25)]
    upright = [layout.box for layout in share_canvas(scene.cast, Canvas(width=1080, height=1920))]
    assert [(box.y, box.height) for box in upright][:2] == [(0, 0.5), (0.5, 0.5)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"script": "Hello. [speaker leo] Yes."},
            "there is no speaker 'leo' in this scene; there are: host, mei",
        ),
        ({"speakers": [MEI, MEI]}, "differ from each other"),
        ({"speakers": [{**MEI, "name": "host"}]}, "differ from each other and from 'host'"),
        ({"speakers": [{**MEI, "name": "No name"}]}, "should match pattern"),
        ({"script": "Hello. [speaker] Yes."}, "names nothing"),
        ({"duration_ms": 4000}, "takes no `audio`, `duration_ms` or `off_camera`"),
        ({"audio": {"path": "/a.wav"}}, "takes no `audio`, `duration_ms` or `off_camera`"),
    ],
)
def test_a_scene_that_cannot_be_spoken_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Scene.model_validate(talk(**change))


@pytest.mark.parametrize(
    ("script", "turns"),
    [
        ("[speaker mei] Yes.", [("mei", "Yes.")]),
        ("[speaker mei] [speaker host] Yes.", [(HOST, "Yes.")]),
        ("Yes. [speaker mei]", [(HOST, "Yes.")]),
        (r"Yes \[speaker mei] no.", [(HOST, r"Yes \[speaker mei] no.")]),
        ("Yes. [speaker mei] [mood warm] … [speaker host] No.", [(HOST, "Yes."), (HOST, "No.")]),
        ("Yes. [speaker mei] [pause 1s] [speaker mei] No.", [(HOST, "Yes. [pause 1s]"), ("mei", "No.")]),
        ("[speaker mei] [pause 1s] [speaker host] No.", [(HOST, "[pause 1s] No.")]),
    ],
)
def test_parts_without_words_are_nobodys_turn_and_their_pauses_stay(
    script: str, turns: list[tuple[str, str]]
) -> None:
    scene = Scene.model_validate(talk(script=script))
    assert [(turn.speaker, turn.text) for turn in scene.turns] == turns


def test_marks_alone_are_no_script(tmp_path: Path) -> None:
    scene = Scene.model_validate(talk(script="[speaker mei] [speaker host]"))
    with pytest.raises(InvalidInput) as caught:
        speak(scene, tmp_path, lambda ref: Path(ref.path or ""))
    assert caught.value.code == "speech.empty_script"


def test_the_second_speakers_face_needs_consent_and_a_card_too() -> None:
    photo = {"kind": "photo", "image": {"path": "/p.jpg"}, "engine": "liveportrait"}
    scene = Scene.model_validate(talk(speakers=[{**MEI, "face": photo}]))
    with pytest.raises(InvalidInput) as caught:
        require_consent(scene)
    assert caught.value.code == "consent.required"
    agreed = Scene.model_validate(talk(speakers=[{**MEI, "face": {**photo, "consent": CONSENT}}]))
    require_consent(agreed)
    found = needs_of_all(agreed.faces)
    assert (found.engine, found.gpus, found.vram_mib) == ("liveportrait", 1, 2048)
    unseen = agreed.model_copy(update={"camera": agreed.camera.model_copy(update={"framing": "voice_over"})})
    assert unseen.faces == () and len(unseen.voices) == 2


def test_who_listens_to_a_voice_off_camera_keeps_the_mouth_shut(small_spec: Any, tmp_path: Path) -> None:
    question = speak(
        Scene(id="q", script="How high does the water rise here?"),
        tmp_path / "question",
        lambda ref: Path(ref.path or ""),
    )
    widest, pictures = {}, {}
    for off_camera in (False, True):
        body = {
            "id": "a",
            "script": "How high does the water rise here?",
            "audio": {"path": str(question.wav)},
            "off_camera": off_camera,
        }
        spec = RenderSpec.model_validate(small_spec(body))
        folder = tmp_path / str(off_camera)
        segment = make_segment(spec, "a", folder, Context(cache=tmp_path / "cache"))
        assert [word.text for word in segment.record.words][:2] == ["How", "high"], "captions have its words"
        assert _level_db(segment.sound, 300, 1500) > -40
        pictures[off_camera] = [frame_at(segment.video, ms).astype(int) for ms in range(400, 1600, 80)]
        _, own_speech = next(iter(solo_scenes(spec.scene("a"), question, spec.canvas)))
        widest[off_camera] = float(control_track(own_speech, 25, seed=1).aperture_e().max())
    assert widest[False] > 0.1 > 0.03 > widest[True]
    lips = [_lips(pictures[off_camera], slice(130, 190)) for off_camera in (False, True)]
    assert lips[0] > 2 * lips[1], lips


def test_a_scene_with_several_speakers_has_nobody_off_camera() -> None:
    with pytest.raises(ValidationError, match="off_camera"):
        Scene.model_validate(talk(off_camera=True))
