"""A finished video is what its spec says: streams, length, captions, places, record."""

import hashlib
import json
import re
import subprocess
from fractions import Fraction
from itertools import pairwise

import numpy as np
from avatar.encode.poster import frame_at
from avatar.pipeline.assemble import assemble_folder
from avatar.pipeline.context import Context
from avatar.pipeline.segment import make_segment
from avatar.spec import FrameProgress, RenderSpec, StageStarted
from PIL import Image


def probe(path):
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", str(path)],
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_all_files_are_there_and_nothing_else(small_render):
    _, target, finished, _ = small_render
    names = {"film.mp4", "film.vtt", "film.srt", "film.png", "film.provenance.json"}
    assert {path.name for path in target.parent.iterdir()} == names
    assert {file.path for file in finished.files} == {str(target.parent / name) for name in names}
    for file in finished.files:
        data = (target.parent / file.path).read_bytes()
        assert file.sha256 == "sha256:" + hashlib.sha256(data).hexdigest()
        assert file.bytes == len(data) > 0


def test_the_streams_are_h264_and_aac_of_one_length(small_render):
    spec, target, finished, _ = small_render
    found = {stream["codec_type"]: stream for stream in probe(target)["streams"]}
    assert found["video"]["codec_name"] == "h264"
    assert (found["video"]["width"], found["video"]["height"]) == (320, 180)
    assert int(found["video"]["nb_frames"]) == finished.frames
    assert found["audio"]["codec_name"] == "aac"
    lengths = [Fraction(found[kind]["duration"]) for kind in ("video", "audio")]
    assert abs(lengths[0] - lengths[1]) <= Fraction(1, spec.canvas.fps)
    assert abs(lengths[0] * 1000 - finished.duration_ms) <= 40


def test_a_calm_speaker_moves_less_than_a_lively_one(small_spec, tmp_path):
    def largest_move(manner: str) -> float:
        spec = RenderSpec.model_validate(small_spec({"id": "a", "movement": {"manner": manner}}))
        video = make_segment(spec, "a", tmp_path / manner, Context(cache=tmp_path / "cache"))
        pictures = [frame_at(video.video, ms)[:70].astype(int) for ms in range(0, 1600, 200)]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(pictures)]))

    assert largest_move("lively") > 1.3 * largest_move("calm")


def test_captions_say_the_script_at_the_times_of_the_words(small_render):
    spec, target, finished, _ = small_render
    text = target.with_suffix(".vtt").read_text(encoding="utf-8")
    cues = re.findall(r"(\d+):(\d+):(\d+)\.(\d+) --> (\d+):(\d+):(\d+)\.(\d+)\n((?:.+\n)+)", text + "\n")
    caption_text = " ".join(" ".join(cue[8].split()) for cue in cues)
    assert caption_text == " ".join(scene.script for scene in spec.scenes)

    def ms(parts):
        return ((int(parts[0]) * 60 + int(parts[1])) * 60 + int(parts[2])) * 1000 + int(parts[3])

    times = [(ms(cue[0:4]), ms(cue[4:8])) for cue in cues]
    assert times[0][0] >= spec.scenes[0].lead_in_ms
    assert all(start < end for start, end in times)
    assert all(one[1] <= other[0] for one, other in pairwise(times))
    assert times[-1][1] <= finished.duration_ms
    assert target.with_suffix(".srt").read_text(encoding="utf-8").count("-->") == len(cues)


def test_burned_captions_come_with_the_first_word(small_render):
    """Looked for where the second scene shows nothing but its background colour."""
    spec, target, _, _ = small_render
    record = json.loads((target.parent / "film.provenance.json").read_text())
    scene_ms = record["scenes"][0]["frames"] * 40

    def white_letters(ms):
        return int((frame_at(target, ms)[150:172, 60:140].min(axis=2) > 200).sum())

    first_word_ms = spec.scenes[1].lead_in_ms
    assert white_letters(scene_ms + first_word_ms + 120) > 20
    assert white_letters(scene_ms + first_word_ms - 60) == 0


def test_the_background_and_the_box_are_where_the_layout_says(small_render):
    _, target, finished, _ = small_render
    frame = frame_at(target, finished.duration_ms - 40)
    left = frame[60:140, 4:140].reshape(-1, 3).astype(int)
    assert np.abs(left - (0x20, 0x20, 0x80)).max() <= 6
    right = frame[40:175, 170:315].reshape(-1, 3).astype(int)
    assert (np.abs(right - (0x20, 0x20, 0x80)).max(axis=1) > 40).mean() > 0.25
    assert np.abs(frame[2:34, 170:315].astype(int) - (0x20, 0x20, 0x80)).max() <= 6


def test_an_overlay_comes_with_its_word_and_goes_with_its_end(small_render, tmp_path):
    """Nova is the first word of the second scene; the image stands in the middle of its box."""
    spec = small_render[0]
    context = Context(cache=tmp_path / "cache")
    segment = make_segment(spec, "placed", tmp_path / "placed", context)
    words = {word.text.strip("."): word for word in segment.record.words}
    ms_per_frame = 1000 / spec.canvas.fps
    first = -(-words["Nova"].start_ms // ms_per_frame)
    last = -(-words["test"].end_ms // ms_per_frame) - 1

    def flag(index):
        picture = frame_at(segment.video, round(index * ms_per_frame))
        upper, lower = picture[30, 48].astype(int), picture[56, 48].astype(int)
        return bool(upper[1] > 150 and lower[0] > 150)

    assert [flag(first - 1), flag(first), flag(last), flag(last + 1)] == [False, True, True, False]


def test_the_poster_is_a_frame_of_the_video_and_says_that_it_is_synthetic(small_render):
    _, target, finished, _ = small_render
    with Image.open(target.with_suffix(".png")) as poster:
        shown = np.asarray(poster)[..., ::-1].astype(int)
        text = dict(poster.text)
    nearest = min(np.abs(frame_at(target, ms) - shown).mean() for ms in range(0, finished.duration_ms, 40))
    assert nearest == 0
    assert text["Title"] == "A small test"
    assert "Synthetic" in text["Comment"]


def test_the_record_says_synthetic_and_names_inputs_engines_and_spec(small_render, flag_png):
    spec, target, _, _ = small_render
    record = json.loads((target.parent / "film.provenance.json").read_text())
    assert record["synthetic"] is True
    assert record["digital_source_type"].startswith("http://cv.iptc.org/newscodes/digitalsourcetype/")
    assert record["spec_hash"] == spec.content_hash()
    assert record["video"]["sha256"] == "sha256:" + hashlib.sha256(target.read_bytes()).hexdigest()
    assert [scene["id"] for scene in record["scenes"]] == ["plain", "placed"]
    assert {engine["role"] for engine in record["engines"]} == {"face", "speech"}
    assert all(engine["version"] and engine["licence"] for engine in record["engines"])
    flag = "sha256:" + hashlib.sha256(flag_png.read_bytes()).hexdigest()
    assert [(entry["scene"], entry["role"], entry["sha256"]) for entry in record["inputs"]] == [
        ("placed", "overlay", flag)
    ]


def test_the_container_says_title_and_synthetic_too(small_render):
    tags = probe(small_render[1])["format"]["tags"]
    assert tags["title"] == "A small test"
    assert "Synthetic" in tags["comment"]
    assert "digitalsourcetype" in tags["comment"]
    assert tags["encoder"].startswith("Soundstage")


def test_progress_names_each_stage_and_counts_every_frame(small_render):
    _, _, finished, lines = small_render
    stages = [(line.stage, line.scene) for line in lines if isinstance(line, StageStarted)]
    for scene in ("plain", "placed"):
        assert [stage for stage, of in stages if of == scene] == ["speech", "timing", "prepare", "frames"]
    assert ("assemble", None) in stages
    last = [
        line for line in lines if isinstance(line, FrameProgress) and line.done_frames == line.total_frames
    ]
    assert sum(line.total_frames for line in last) == finished.frames


def test_segments_made_one_by_one_give_the_same_video(small_render, tmp_path):
    """Renders as a farm does: each scene elsewhere, joined at the end."""
    spec, target, _, _ = small_render
    context = Context(cache=tmp_path / "cache")
    for scene in reversed(spec.scenes):
        make_segment(spec, scene.id, tmp_path / "segments" / scene.id, context)
    video = assemble_folder(spec, tmp_path / "again" / "film.mp4", tmp_path / "segments", context)
    assert (tmp_path / "again" / "film.mp4").read_bytes() == target.read_bytes()
    assert video.frames == small_render[2].frames
