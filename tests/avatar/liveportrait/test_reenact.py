"""`avatar reenact` from files to files, with small networks of random weights: only the likeness is none."""

from __future__ import annotations

import gc
import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from avatar.compose.footage import footage
from avatar.encode.mixing import has_sound
from avatar.engines.card_memory import Card
from avatar.engines.liveportrait.template import MotionTemplate, load_template, save_template
from avatar.errors import Cancelled, InvalidInput, Unavailable
from avatar.pipeline.context import Context
from avatar.pipeline.reenact.video import ReenactJob, ReenactOptions, reenact
from avatar.spec import Consent, EngineUse
from clipmaker import Clip

if TYPE_CHECKING:
    from avatar.engines.liveportrait.animator import Animator

pytestmark = pytest.mark.torch

AGREED = Consent(id="c1", person="A. Person", granted_at="2026-01-31", purpose="tests")


@pytest.fixture
def make(animator: Animator, tmp_path: Path) -> Any:
    def run(source: Path, **more: Any) -> Any:
        options = more.pop("options", ReenactOptions())
        job = ReenactJob(source=source, consent=more.pop("consent", AGREED), options=options, **more)
        context = Context(cache=tmp_path / "cache")
        return reenact(job, tmp_path / "out.mp4", context, lambda _: animator)

    return run


def frames_of(path: Path, count: int) -> list[np.ndarray[Any, Any]]:
    pictures = footage(path, 25, loop=False, shown=path.name)
    return [next(pictures) for _ in range(count)]


def test_a_photo_takes_on_a_videos_motion_and_sound(
    make: Any, portrait: Path, driving: Clip, tmp_path: Path
) -> None:
    done = make(portrait, driving=driving.path)
    assert done.frames == 25
    out = tmp_path / "out.mp4"
    first, *_, last = frames_of(out, done.frames)
    assert first.shape == (510, 512, 3)
    assert has_sound(out)
    still = frames_of_photo(portrait)
    border = np.abs(first[:, -20:].astype(int) - still[:510, -20:].astype(int))
    assert border.mean() < 3, "beyond the crop the photo shows"
    assert np.abs(first.astype(int) - last.astype(int)).mean() > 0.05, "the face moves"
    record = json.loads((tmp_path / "out.provenance.json").read_text())
    assert [engine["name"] for engine in record["engines"]] == ["liveportrait"], "no other tracker to tell of"
    assert done.engines == (EngineUse(scene="reenact", engine="liveportrait", asked="liveportrait"),)
    assert record["consents"][0]["person"] == "A. Person"
    assert "trained" in record["digital_source_type"].lower()


def frames_of_photo(path: Path) -> np.ndarray[Any, Any]:
    import cv2

    return np.asarray(cv2.imread(str(path)))


def test_a_template_drives_as_its_video_did(make: Any, portrait: Path, driving: Clip, tmp_path: Path) -> None:
    template_path = tmp_path / "motion.npz"
    by_video = make(portrait, driving=driving.path, save_template=template_path)
    pictures = frames_of(tmp_path / "out.mp4", 5)
    assert len(load_template(template_path)) == by_video.frames
    by_template = make(portrait, driving=template_path)
    assert by_template.frames == by_video.frames
    for ours, theirs in zip(frames_of(tmp_path / "out.mp4", 5), pictures, strict=True):
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 2


def test_a_single_picture_lends_its_expression_and_leaves_the_pose(
    make: Any, portrait: Path, driving: Clip, tmp_path: Path
) -> None:
    """Played from a template the same face, being its own beginning, would change nothing."""
    import cv2

    smile = tmp_path / "smile.png"
    cv2.imwrite(str(smile), frames_of(driving.path, 12)[-1])
    done = make(portrait, driving=smile)
    assert done.frames == 50
    first, last = frames_of(tmp_path / "out.mp4", 50)[::49]
    assert np.abs(first.astype(int) - last.astype(int)).mean() < 1
    assert not has_sound_that_is_loud(tmp_path / "out.mp4")
    done = make(driving.path, driving=smile)
    assert done.frames == 25


def has_sound_that_is_loud(path: Path) -> bool:
    import av

    with av.open(str(path)) as container:
        return any(np.abs(frame.to_ndarray()).max() > 1e-3 for frame in container.decode(audio=0))


def test_a_text_alone_moves_a_photo(make: Any, portrait: Path, tmp_path: Path) -> None:
    done = make(portrait, text="Mama.")
    assert done.frames > 10
    assert (tmp_path / "out.vtt").read_text().count("Mama") == 1
    pictures = frames_of(tmp_path / "out.mp4", done.frames)
    assert np.abs(pictures[0].astype(int) - pictures[done.frames // 2].astype(int)).max() > 8


def test_a_filmed_source_without_a_face_for_a_while_shows_itself(
    make: Any, away: Clip, driving: Clip, tmp_path: Path
) -> None:
    done = make(away.path, driving=driving.path)
    assert done.frames == 25
    ((begin, end),) = done.lost_face_frames
    assert 6 <= begin <= 10
    assert end == 24
    out, source = frames_of(tmp_path / "out.mp4", 25), frames_of(away.path, 25)
    apart = [float(np.abs(a.astype(int) - b.astype(int)).mean()) for a, b in zip(out, source, strict=True)]
    assert apart[0] > 2 * apart[24], "the face is drawn first, and the source passes through in the end"


@pytest.mark.parametrize(
    "options",
    [
        ReenactOptions(eyes=True, lips=True),
        ReenactOptions(relative=False),
        ReenactOptions(region="lip", stitching=False),
    ],
)
def test_every_manner_draws(make: Any, portrait: Path, driving: Clip, options: ReenactOptions) -> None:
    assert make(portrait, driving=driving.path, options=options).frames == 25


def test_a_real_face_needs_a_consent(make: Any, portrait: Path, driving: Clip) -> None:
    with pytest.raises(InvalidInput, match=r"consent\.required"):
        make(portrait, driving=driving.path, consent=None)


def test_a_driving_video_without_a_face_is_refused(make: Any, portrait: Path, tmp_path: Path) -> None:
    from clipmaker import make_clip

    empty = make_clip(tmp_path / "empty.mp4", "astronaut", seconds=0.4, absent_s=(0.0, 1.0))
    with pytest.raises(InvalidInput, match=r"face\.not_found"):
        make(portrait, driving=empty.path)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("name", ["out.png", "out.mp4"])
def test_the_source_is_never_written_over(make: Any, driving: Clip, tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(b"mine")
    with pytest.raises(InvalidInput, match=r"output\.overwrites_input"):
        make(source, driving=driving.path)
    assert source.read_bytes() == b"mine"


def small_motion(path: Path, frames: int = 3) -> Path:
    """A template of a face that hardly moves: as little to draw as there can be."""
    rows = {
        name: np.zeros((frames, *shape)) for name, shape in (("kp", (21, 3)), ("exp", (21, 3)), ("t", (3,)))
    }
    rows["exp"] += 0.001 * np.arange(frames)[:, None, None]
    rows |= {"rotation": np.tile(np.eye(3), (frames, 1, 1)), "scale": np.ones(frames)}
    rows |= {"eyes": np.full((frames, 2), 0.3), "lips": np.full(frames, 0.1)}
    save_template(
        MotionTemplate(25.0, {name: values.astype(np.float32) for name, values in rows.items()}), path
    )
    return path


def test_without_a_name_the_video_lies_beside_its_source_and_takes_no_ones_place(
    animator: Animator, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avatar.cli.arguments import build_parser
    from avatar.cli.reenacting import free_beside
    from avatar.cli.reenacting import reenact as verb

    monkeypatch.setattr("avatar.pipeline.reenact.video._open_animator", lambda _: animator)
    source, driving = tmp_path / "face.png", small_motion(tmp_path / "motion.npz")
    shutil.copy(portrait, source)
    source.with_name("face.png.consent.json").write_text(AGREED.model_dump_json())
    arguments = build_parser().parse_args(["reenact", "--source", str(source), "--driving", str(driving)])
    done = verb(arguments, Context(cache=tmp_path / "cache"))
    video = next(Path(file.path) for file in done.files if file.role == "video")
    assert video == tmp_path / "face.reenacted.mp4"
    assert len(frames_of(video, 3)) == done.frames == 3
    assert source.read_bytes() == portrait.read_bytes()
    (tmp_path / "face.reenacted-2.vtt").write_text("somebody's captions")
    assert free_beside(source) == tmp_path / "face.reenacted-3.mp4"


@pytest.mark.parametrize(("size", "code"), [((2, 2), r"video\.too_small"), ((300, 200), r"face\.not_found")])
def test_a_source_without_a_face_is_refused(
    make: Any, driving: Clip, tmp_path: Path, size: tuple[int, int], code: str
) -> None:
    import cv2

    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((size[1], size[0], 3), 120, np.uint8))
    with pytest.raises(InvalidInput, match=code):
        make(empty, driving=driving.path)


def test_a_checkpoint_that_is_none_is_refused(portrait: Path, driving: Clip, tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    from avatar.engines.liveportrait.engine import FILES
    from avatar.engines.weights.manifest import weight_file

    for role, _ in FILES.values():
        path = tmp_path / weight_file(role).path
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"weight": torch.zeros(3)}, path)
    job = ReenactJob(
        source=portrait, driving=driving.path, consent=AGREED, options=ReenactOptions(models=tmp_path)
    )
    with pytest.raises(InvalidInput, match=r"weights\.mismatch.*missing"):
        reenact(job, tmp_path / "out.mp4", Context(cache=tmp_path))


def test_missing_weights_are_said_with_their_licence(portrait: Path, driving: Clip, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    job = ReenactJob(
        source=portrait, driving=driving.path, consent=AGREED, options=ReenactOptions(models=tmp_path)
    )
    with pytest.raises(Unavailable, match=r"weights\.missing.*appearance_feature_extractor.*Licence: MIT"):
        reenact(job, tmp_path / "out.mp4", Context(cache=tmp_path))


def test_a_card_that_is_full_while_networks_come_is_told(
    portrait: Path, driving: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from avatar.engines import card

    held = list[Any]()
    found = Card("A card", 90, 8192, 8000)
    monkeypatch.setattr(card, "find_card", lambda: found)
    monkeypatch.setattr(card, "hold_to_lease", held.append)

    def full(_: ReenactOptions) -> Any:
        raise torch.OutOfMemoryError("Tried to allocate 64.00 MiB.")

    job = ReenactJob(portrait, driving.path, consent=AGREED)
    with pytest.raises(Unavailable, match=r"gpu\.out_of_memory.*liveportrait needed 64 MiB more"):
        reenact(job, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"), full)
    assert held == [found], "torch takes no more than our part of it"
    assert not (tmp_path / "out.mp4").exists()


def test_what_fp16_cannot_hold_is_drawn_once_more_in_fp32(
    animator: Animator, portrait: Path, driving: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from avatar.engines import card

    precisions, events = list[str](), list[Any]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(card, "find_card", lambda: None)

    def open_engine(options: ReenactOptions) -> Animator:
        precisions.append(options.precision)
        if options.precision != "fp32":
            raise Unavailable("gpu.not_finite", "3 of 9 values are no numbers.", "Use --precision fp32.")
        return animator

    context = Context(cache=tmp_path / "cache", tell=events.append)
    job = ReenactJob(portrait, driving.path, consent=AGREED)
    done = reenact(job, tmp_path / "out.mp4", context, open_engine)
    assert (precisions, done.frames) == (["auto", "fp32"], 25)
    assert [line.message for line in events if getattr(line, "code", "") == "gpu.not_finite"] == [
        "3 of 9 values are no numbers. Starting again in fp32."
    ]
    named = replace(job, options=ReenactOptions(precision="fp16"))
    with pytest.raises(Unavailable, match=r"gpu\.not_finite"):
        reenact(named, tmp_path / "out.mp4", context, open_engine)


def test_a_stop_leaves_nothing(animator: Animator, portrait: Path, driving: Clip, tmp_path: Path) -> None:
    """In the midst of its frames, which a thread draws."""
    events, drawing = 0, False

    def tell(line: object) -> None:
        nonlocal drawing
        drawing = drawing or getattr(line, "stage", "") == "frames"

    def stop() -> None:
        nonlocal events
        events += drawing
        if events > 30:
            raise Cancelled("render.cancelled", "The work was stopped on request.")

    folder = tmp_path / "made"
    folder.mkdir()
    job = ReenactJob(source=portrait, driving=driving.path, consent=AGREED)
    with pytest.raises(Cancelled):
        reenact(job, folder / "out.mp4", Context(cache=tmp_path, check=stop, tell=tell), lambda _: animator)
    assert list(folder.iterdir()) == []
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name == "frames-ahead"]


def test_a_card_that_vanishes_leaves_nothing_but_what_was_finished(
    animator: Animator, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result_folder, calls, real = tmp_path / "made", 0, animator._generator
    result_folder.mkdir()

    def vanishing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("CUDA error: the launch timed out and was terminated")
        return real(*arguments)

    monkeypatch.setattr(animator, "_generator", vanishing)
    job = ReenactJob(source=portrait, driving=small_motion(tmp_path / "motion.npz", 4), consent=AGREED)
    context = Context(cache=tmp_path / "cache")
    with pytest.raises(Unavailable, match=r"gpu\.lost.*the launch timed out"):
        reenact(job, result_folder / "out.mp4", context, lambda _: animator)
    assert list(result_folder.iterdir()) == []
    assert len(list((tmp_path / "cache/unfinished").iterdir())) == 2
    calls = 10
    assert reenact(job, result_folder / "out.mp4", context, lambda _: animator).frames == 4
    assert calls == 12, "of four frames two were there"


def video_of(
    path: Path, frames: list[np.ndarray[Any, Any]], sound: np.ndarray[Any, Any] | None = None
) -> Path:
    """A video at 25 frames a second; `sound`: float32 samples at 16 kHz, kept as they are."""
    import av

    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        pictures.height, pictures.width, pictures.pix_fmt = *frames[0].shape[:2], "yuv420p"
        voice: Any = None
        if sound is not None:
            voice = container.add_stream("pcm_f32le", rate=16_000, layout="mono")
        for frame in frames:
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(pictures.encode(None))
        if sound is not None:
            samples = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="flt", layout="mono")
            samples.sample_rate = 16_000
            container.mux(voice.encode(samples))
            container.mux(voice.encode(None))
    return path


@pytest.mark.parametrize("size", [2, 32])
def test_a_driving_video_of_a_few_pixels_is_refused(
    make: Any, portrait: Path, tmp_path: Path, size: int
) -> None:
    tiny = video_of(tmp_path / "tiny.mp4", [np.full((size, size, 3), 90, np.uint8)] * 3)
    with pytest.raises(InvalidInput, match=rf"video\.too_small.*{size} x {size}"):
        make(portrait, driving=tiny)
    assert not (tmp_path / "out.mp4").exists()


def decode_audio(path: Path) -> np.ndarray[Any, Any]:
    import av

    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_a_driving_videos_sound_with_samples_that_are_no_numbers_is_heard_without_them(
    make: Any, portrait: Path, tmp_path: Path
) -> None:
    """Of 200 ms no loudness is measured, so what is heard is as loud as it was."""
    sound = 0.2 * np.sin(2 * np.pi * 170 * np.arange(3200) / 16_000)
    sound[1000:1200], sound[2400] = np.nan, np.inf
    photo = frames_of_photo(portrait)[:510]
    done = make(portrait, driving=video_of(tmp_path / "broken.mkv", [photo] * 5, sound))
    assert done.frames == 5
    assert [notice.code for notice in done.warnings] == ["speech.audio_damaged"]
    assert 0.15 < np.abs(decode_audio(tmp_path / "out.mp4")).max() < 0.3, "as loud as it is, and no click"


def test_a_sound_that_cannot_be_read_costs_no_drawn_video(make: Any, portrait: Path, tmp_path: Path) -> None:
    """Ten milliseconds of it are no sound; the face has moved by then."""
    photo = frames_of_photo(portrait)[:510]
    done = make(portrait, driving=video_of(tmp_path / "short.mkv", [photo] * 2, np.zeros(160)))
    assert done.frames == 2
    assert [notice.code for notice in done.warnings] == ["speech.audio_too_short"]
    assert not has_sound_that_is_loud(tmp_path / "out.mp4")


@pytest.mark.parametrize("kind", ["photo", "video"])
def test_a_face_at_the_edge_is_moved_as_far_as_it_is_there(
    make: Any, portrait: Path, tmp_path: Path, kind: str
) -> None:
    """The picture ends in the middle of the cheek."""
    import cv2

    cut = np.ascontiguousarray(frames_of_photo(portrait)[:400, 205:445])
    source = tmp_path / "edge.png"
    cv2.imwrite(str(source), cut)
    if kind == "video":
        source = video_of(tmp_path / "edge.mp4", [cut] * 3)
    done = make(source, driving=small_motion(tmp_path / "motion.npz"))
    assert (done.frames, done.lost_face_frames) == (3, ())
    shown = frames_of(tmp_path / "out.mp4", 3)[-1].astype(int)
    assert shown.shape == (400, 240, 3)
    apart = np.abs(shown - cut)
    assert apart[100:160, 5:45].mean() > 8, "what is there of the face is drawn"
    assert apart[:, -12:].mean() < 4
