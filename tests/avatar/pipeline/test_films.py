"""Odd films: short, long, silent, in other scripts, with what is missing; each is a film or says why not."""

import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from avatar.cli.main import main
from avatar.compose.fonts import Fonts
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.read_spec import read_render_spec
from avatar.pipeline.render import render_video
from avatar.spec import Finished, RenderSpec

CARD = {"layout": {"visible": False}, "background": {"kind": "set", "name": "plain"}}
CANVAS = {"width": 128, "height": 72, "fps": 25}


def film(tmp_path: Path, *scenes: dict, **more) -> tuple[Finished, Path]:
    listed = [{"id": f"s{number}", **scene} for number, scene in enumerate(scenes)]
    spec = RenderSpec.model_validate({"canvas": CANVAS, "scenes": listed, **more})
    target = tmp_path / "out" / "film.mp4"
    return render_video(spec, target, Context(cache=tmp_path / "cache")), target


def codes(done: Finished) -> list[str]:
    return [notice.code for notice in done.warnings]


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def tone(path: Path, seconds: float) -> Path:
    t = np.arange(round(seconds * 22050)) / 22050
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22050)
        out.writeframes((6000 * np.sin(2 * np.pi * 330 * t)).astype("<i2").tobytes())
    return path


def test_a_scene_of_one_frame_between_others_is_a_film(tmp_path):
    done, target = film(
        tmp_path,
        {"duration_ms": 800, **CARD},
        {"duration_ms": 40, "transition": {"kind": "dissolve"}, **CARD},
        {"duration_ms": 800, "transition": {"kind": "wipe"}, **CARD},
    )
    assert done.frames == count_frames(target) == 41
    assert codes(done) == ["transition.shortened"] * 2


@pytest.mark.slow
def test_three_hundred_scenes_with_transitions_are_a_film(tmp_path):
    scene = {"duration_ms": 240, "transition": {"kind": "slide", "duration_ms": 80}, **CARD}
    done, target = film(tmp_path, *[scene] * 300)
    assert done.frames == count_frames(target) == 300 * 6 - 299 * 2


@pytest.mark.parametrize("seconds", [0.7, 9.0])
def test_music_shorter_and_longer_than_the_film_ends_with_it(tmp_path, seconds):
    music = {"audio": {"path": str(tone(tmp_path / "m.wav", seconds))}}
    done, target = film(tmp_path, {"duration_ms": 3000, **CARD}, music=music)
    with av.open(str(target)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(len(sound) / 48000 - 3.0) < 0.06 and done.duration_ms == 3000
    assert np.abs(sound[48000:72000]).max() > 0.01, "in the middle it is heard"
    record = json.loads(target.with_suffix("").with_suffix(".provenance.json").read_text())
    assert [(one["scene"], one["role"]) for one in record["inputs"]] == [("film", "music")]


def test_an_overlay_whose_word_was_edited_away_is_left_out_and_the_film_is_made(tmp_path):
    overlay = {"kind": "text", "text": "x", "box": {}, "start": {"at": "word", "word": "novva"}}
    done, target = film(tmp_path, {"script": "I am Nova.", "overlays": [overlay], **CARD})
    assert codes(done) == ["overlay.word_not_found"] and "Nova" in done.warnings[0].message
    assert count_frames(target) == done.frames


@pytest.mark.parametrize(
    ("language", "script"),
    [("ar", "مرحبا بالعالم. هذا اختبار قصير."), ("he", "שלום עולם. זה מבחן קצר.")],
)
def test_karaoke_from_right_to_left_is_a_film_with_its_track(tmp_path, language, script):
    captions = {"mode": "both", "style": {"highlight": "#ffd166", "box": None, "outline": "#000000"}}
    scene = {"script": script, "language": language, "voice": {"kind": "espeak", "voice": language}, **CARD}
    done, target = film(tmp_path, scene, output={"captions": captions})
    assert count_frames(target) == done.frames
    first = script.split()[0]
    assert first in target.with_suffix(".vtt").read_text()
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "subtitle"]
        packets = container.demux(container.streams.subtitles[0])
        assert any(first in bytes(packet)[2:].decode() for packet in packets)


def test_karaoke_over_chinese_parts_it_by_phrases(tmp_path):
    if Fonts.of_this_machine().missing("潮"):
        captions = {"mode": "soft"}
    else:
        captions = {"mode": "both", "style": {"highlight": "#ffd166"}}
    script = "潮汐主要由月球的引力引起，太阳也有影响。每天有两次涨潮，两次落潮。"
    scene = {"script": script, "language": "cmn", "voice": {"kind": "espeak", "voice": "cmn"}, **CARD}
    done, target = film(tmp_path, scene, output={"captions": {**captions, "max_chars_per_line": 20}})
    lines = [line for line in target.with_suffix(".srt").read_text().splitlines() if "潮" in line]
    assert len(lines) > 1 and done.frames == count_frames(target)


@pytest.mark.parametrize(
    ("field", "value", "known"),
    [
        ("transition", {"kind": "explode"}, "dissolve"),
        ("camera", {"framing": "ceiling"}, "voice_over"),
        ("background", {"kind": "set", "name": "beach"}, "classroom"),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_there_are(tmp_path, field, value, known):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"scenes": [{"id": "a", "script": "x", field: value}]}))
    with pytest.raises(InvalidInput) as caught:
        read_render_spec(path)
    assert caught.value.code == "spec.invalid"
    assert field in caught.value.message and known in caught.value.message


def test_an_unknown_font_is_a_warning(tmp_path):
    card = {"kind": "title", "title": "Hello", "font": "No Such Font"}
    done, _ = film(tmp_path, {"duration_ms": 200, "overlays": [card], **CARD})
    assert codes(done) == ["text.font_missing"]


@pytest.mark.parametrize(("fps", "rate"), [(23.976, "24000/1001"), (29.97, "30000/1001")])
def test_rates_of_television_are_exact(tmp_path, fps, rate):
    canvas = {**CANVAS, "fps": fps}
    scene = {"duration_ms": 3000, "transition": {"kind": "dissolve", "duration_ms": 200}, **CARD}
    done, target = film(tmp_path, scene, scene, canvas=canvas)
    with av.open(str(target)) as container:
        assert str(container.streams.video[0].average_rate) == rate
    assert done.frames == count_frames(target)
    with pytest.raises(ValueError, match="no frame rate"):
        RenderSpec.model_validate({"canvas": {"fps": 25.5}, "scenes": [{"id": "a", "script": "x"}]})


def test_init_writes_a_spec_that_is_read_and_its_schema(tmp_path, capsys):
    target = tmp_path / "film.yaml"
    assert main(["init", str(target)]) == 0
    spec = read_render_spec(target)
    assert [scene.id for scene in spec.scenes] == ["title", "hello"]
    schema = json.loads((tmp_path / "renderspec.schema.json").read_text())
    assert schema["title"] == "RenderSpec" and "2020-12" in schema["$schema"]
    assert main(["init", str(target)]) == 1 and "exists" in capsys.readouterr().err


def test_yaml_says_in_which_line_it_is_wrong_and_keeps_dates_and_no(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("title: no\nscenes:\n  - {id: on, script: 2026-11-02}\n")
    spec = read_render_spec(path)
    assert (spec.title, spec.scenes[0].id, spec.scenes[0].script) == ("no", "on", "2026-11-02")
    path.write_text("title: x\nscenes: [\n")
    with pytest.raises(InvalidInput) as caught:
        read_render_spec(path)
    assert caught.value.code == "spec.invalid_yaml" and "line 3" in caught.value.message
