"""A photo that speaks in a render while somebody who was filmed moves its head: by LivePortrait alone, and
with LatentSync after it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks")]

from avatar.engines.liveportrait import filmed, reenactment  # noqa: E402
from avatar.engines.liveportrait.drive import neutral  # noqa: E402
from avatar.engines.liveportrait.motion_values import Pose, rotation_of  # noqa: E402
from avatar.engines.liveportrait.poses import DrivingFace, Openings  # noqa: E402
from avatar.engines.liveportrait.template import MotionTemplate, save_template, template_of  # noqa: E402
from avatar.engines.neural.moving import DrawnFaceTracker  # noqa: E402
from avatar.errors import InvalidInput  # noqa: E402
from avatar.face.landmarks import POINT_COUNT, FaceLandmarks  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.mouth_check import MouthCheck  # noqa: E402
from avatar.pipeline.render import render_video  # noqa: E402
from avatar.pipeline.segment import make_segment  # noqa: E402
from avatar.spec import Finished, RenderSpec  # noqa: E402

SpecOf = Callable[..., dict[str, Any]]


class Poses(list[Pose]):
    """Poses that LivePortrait draws. drawn: whether it does, or the photo is shown as it is."""

    drawn = True


@pytest.fixture
def poses(monkeypatch: pytest.MonkeyPatch) -> Poses:
    recorded_poses = Poses()
    drawing = reenactment.Reenactment.photo

    def photo(self: Any, picture: Any, source: Any, requested: Any) -> Iterator[Any]:
        def record_call() -> Iterator[Pose]:
            for pose in requested:
                recorded_poses.append(pose)
                yield pose

        if recorded_poses.drawn:
            return drawing(self, picture, source, record_call())
        return (picture.copy() for _ in record_call())

    monkeypatch.setattr(reenactment.Reenactment, "photo", photo)
    # What is not drawn has a mouth that does not move, and is refused for it.
    verdict = MouthCheck.verdict
    monkeypatch.setattr(MouthCheck, "verdict", lambda self: verdict(self) if recorded_poses.drawn else None)
    return recorded_poses


def turning(frames: int = 12) -> MotionTemplate:
    still = neutral()
    opened = Openings(np.array([0.3, 0.3], np.float32), 0.1)
    turns = (rotation_of(0, 2.0 * index, 0) for index in range(frames))
    return template_of(
        25, (DrivingFace(type(still)(still.kp, still.exp, turn, still.t, 1.0), opened) for turn in turns)
    )


def with_driving(spec: dict[str, Any], driving: dict[str, str]) -> RenderSpec:
    spec["scenes"][0]["face"]["driving"] = driving
    return RenderSpec.model_validate(spec)


def segment(spec: RenderSpec, folder: Path, **more: Any) -> Any:
    return make_segment(spec, "one", folder / "segment", Context(cache=folder / "cache", **more)).record


def notice_codes(record: Any) -> list[str]:
    return [notice.code for notice in record.warnings]


@pytest.mark.parametrize("name", ["turn.npz", ""])
def test_the_head_moves_as_the_template_says_and_the_lips_as_the_speech_does(
    spec_of: SpecOf, poses: Poses, tmp_path: Path, name: str
) -> None:
    """Also of a template that is a blob, named by its hash."""
    poses.drawn = False
    save_template(turning(), tmp_path / (name or "turn.json"))
    driving = {"path": str(tmp_path / name)}
    more: dict[str, Any] = {}
    if not name:
        digest = hashlib.sha256((tmp_path / "turn.json").read_bytes()).hexdigest()
        (tmp_path / "blobs" / digest[:2]).mkdir(parents=True)
        shutil.move(tmp_path / "turn.json", tmp_path / "blobs" / digest[:2] / digest)
        driving, more = {"sha256": f"sha256:{digest}"}, {"blobs": tmp_path / "blobs"}
    plain = segment(RenderSpec.model_validate(spec_of("photo", "liveportrait", "Mama.")), tmp_path / "plain")
    by_speech = list(poses)
    poses.clear()
    record = segment(with_driving(spec_of("photo", "liveportrait", "Mama."), driving), tmp_path, **more)
    assert record.frames == plain.frames == len(poses) == len(by_speech)
    assert record.scene_hash != plain.scene_hash
    lips = [np.array([pose.lips for pose in each]) for each in (poses, by_speech)]
    np.testing.assert_array_equal(*lips)
    assert np.ptp(lips[0][:, 1]) > 0.02, "they open"
    np.testing.assert_allclose(poses[0].driven, poses[0].source, atol=1e-3)
    moved = [np.abs(pose.driven - pose.source).max() for pose in poses[:11]]
    assert all(later > earlier for earlier, later in pairwise(moved[1:])), "on and on"
    assert moved[10] > 5 * max(np.abs(pose.driven - pose.source).max() for pose in by_speech[:11])


def test_a_video_drives_the_chain_and_is_watched_once(
    spec_of: SpecOf, clip: Path, poses: Poses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[str] = []
    watch = filmed.DrivingFilm.watch.__func__  # type: ignore[attr-defined]

    def record_call(cls: Any, film: Any, *more: Any) -> Any:
        watched.append(film.name)
        return watch(cls, film, *more)

    monkeypatch.setattr(filmed.DrivingFilm, "watch", classmethod(record_call))
    nod, short = {"path": str(clip), "name": "nod.mp4"}, {"lead_in_ms": 0, "tail_ms": 0}
    spec = with_driving(spec_of("photo", "liveportrait+latentsync", "Ma.", **short), nod)
    finished = render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    assert isinstance(finished, Finished) and finished.frames == len(poses) > 6
    np.testing.assert_allclose(poses[0].driven, poses[0].source, atol=1e-3)
    assert np.abs(poses[6].driven - poses[6].source).max() > 1e-3, "the head moves"
    record = json.loads((tmp_path / "out.provenance.json").read_text())
    assert [(one["role"], one["name"]) for one in record["inputs"]] == [
        ("face", None),
        ("driving", "nod.mp4"),
    ]
    assert [one["person"] for one in record["consents"]] == ["A. Person"]
    first = list(poses)
    poses.clear()
    poses.drawn = False
    segment(with_driving(spec_of("photo", "liveportrait", "Ma.", **short), nod), tmp_path)
    assert watched == ["nod.mp4"]
    np.testing.assert_array_equal([pose.driven for pose in poses], [pose.driven for pose in first])


def test_a_driving_video_without_a_face_is_named(spec_of: SpecOf, tmp_path: Path) -> None:
    import av

    path = tmp_path / "wall.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        for level in range(0, 100, 10):
            picture = np.full((128, 128, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    spec = with_driving(spec_of("photo", "liveportrait", "Mama."), {"path": str(path), "name": "a wall"})
    with pytest.raises(InvalidInput, match=r"face\.not_found.*No face was found in a wall"):
        segment(spec, tmp_path)
    assert not (tmp_path / "segment" / "segment.mp4").exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x80\4K\1.", "template.pickle"),
        (b'{"version": 1, "fps": 25}', "template.unreadable"),
        (b"PK\3\4 and no more", "template.unreadable"),
        (b"no video at all", r"(video|media)\.\w+"),
        ("one picture", r"driving\.still"),
        ("a photo", r"driving\.still"),
    ],
)
def test_what_moves_nothing_is_refused_by_the_name_that_people_gave_it(
    spec_of: SpecOf, photo: Path, tmp_path: Path, content: bytes | str, code: str
) -> None:
    path = tmp_path / "0123abcd"
    if content == "one picture":
        save_template(turning(1), tmp_path / "one.json")
        (tmp_path / "one.json").rename(path)
    else:
        path.write_bytes(photo.read_bytes() if isinstance(content, str) else content)
    spec = with_driving(spec_of("photo", "liveportrait", "Mama."), {"path": str(path), "name": "nodding"})
    with pytest.raises(InvalidInput, match=rf"{code}.*nodding"):
        segment(spec, tmp_path)


def test_without_a_card_the_head_moves_by_the_speech_and_that_is_said(
    spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    save_template(turning(), tmp_path / "turn.npz")
    spec = with_driving(
        spec_of("photo", "auto", "Mama."), {"path": str(tmp_path / "turn.npz"), "name": "turning"}
    )
    finished = render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    (notice,) = [one for one in finished.warnings if one.code == "driving.left_out"]
    assert "turning" in notice.message and "mesh" in notice.message and notice.scene == "one"
    record = json.loads((tmp_path / "out.provenance.json").read_text())
    assert [one["role"] for one in record["inputs"]] == ["face"], "it is not made of what it left out"
    (tmp_path / "turn.npz").unlink()
    with pytest.raises(InvalidInput, match=r"media\.missing.*turning"):
        render_video(spec, tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))


class Seen:
    """A tracker that finds faces at these places, one list for each picture."""

    def __init__(self, *places: list[float]) -> None:
        self.places = iter(places)

    def track(self, image_bgr: Any) -> list[FaceLandmarks]:
        return [face_at(x) for x in next(self.places)]

    def close(self) -> None:
        """Nothing is open."""


def face_at(x: float) -> FaceLandmarks:
    """Its eyes are 100 pixels apart."""
    points = np.zeros((POINT_COUNT, 3), np.float32)
    points[263, 0] = 100
    points[:, 0] += x
    return FaceLandmarks(points, 1.0)


def test_a_driven_face_is_followed_away_from_its_place_and_stays_where_it_was_lost() -> None:
    seen = Seen([0, 500], [80], [150, -40], [], [600], [170])
    tracker = DrawnFaceTracker(SimpleNamespace(face=face_at(0)), seen)  # type: ignore[arg-type]
    picture = np.zeros((8, 8, 3), np.uint8)
    places = [float(tracker.track(picture)[0].points[0, 0]) for _ in range(6)]
    assert places == [0, 80, 150, 150, 150, 170]
