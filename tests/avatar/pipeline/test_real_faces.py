"""Photos and motion videos go through the same pipeline: lip sync, cut-out, blurred background."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.lipsync.video import lipsync_video
from avatar.pipeline.prepare import prepare_photo
from avatar.pipeline.segment import make_segment
from avatar.pipeline.still import make_still
from avatar.spec import LipsyncSpec, RenderSpec

pytest.importorskip("mediapipe", reason="needs the extra `face`: uv sync --extra cpu --extra face")

CONSENT = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-01", "purpose": "tests"}
SENTENCE = "Hello there, my friend."


@pytest.fixture(scope="session")
def context(tmp_path_factory) -> Context:
    return Context(cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def still_of(tmp_path_factory, context, small_spec) -> Callable[..., np.ndarray]:
    """The first frame of a scene with the test portrait."""
    from clipmaker.person import photo

    folder = tmp_path_factory.mktemp("stills")
    cv2.imwrite(str(folder / "portrait.png"), photo("grace_hopper"))
    face = {"kind": "photo", "image": {"path": str(folder / "portrait.png")}, "consent": CONSENT}

    def still(**scene: Any) -> np.ndarray:
        spec = RenderSpec.model_validate(small_spec({"id": "a", "script": "Oh.", "face": face, **scene}))
        make_still(spec, "a", 0, folder / "still.png", context)
        picture = cv2.imread(str(folder / "still.png"))
        assert picture is not None
        return picture.astype(int)

    return still


def detail(picture: np.ndarray) -> float:
    return float(np.abs(np.diff(picture, axis=1)).mean())


def test_a_blurred_source_is_soft_around_the_person_and_sharp_on_the_person(still_of):
    plain, soft = still_of(), still_of(background={"kind": "source", "blur": 1.0})
    left_of_the_person, face = (slice(10, 60), slice(70, 110)), (slice(60, 110), slice(140, 180))
    assert detail(soft[left_of_the_person]) < 0.6 * detail(plain[left_of_the_person])
    assert detail(soft[face]) == pytest.approx(detail(plain[face]), rel=0.05)
    assert np.abs(soft[face] - plain[face]).mean() < 3


def test_a_removed_background_shows_ours_around_the_person_and_the_person_in_front(still_of):
    plain, cut = still_of(), still_of(background={"kind": "colour", "colour": "#00c000"})
    assert np.abs(cut[5:60, 5:60] - (0, 0xC0, 0)).max() <= 6
    assert np.abs(cut[60:110, 140:180] - plain[60:110, 140:180]).mean() < 3


@pytest.mark.parametrize("speakers", [(), ({"name": "mei", "layout": {"visible": False}},)])
def test_contain_keeps_the_shape_of_the_photo_inside_its_box(still_of, speakers):
    """The photo is 512 x 600, so in a wide box it leaves the sides free."""
    shown = still_of(
        speakers=speakers,
        background={"kind": "colour", "colour": "#00c000"},
        layout={
            "fit": "contain",
            "shape": "rounded",
            "box": {"x": 0.0, "y": 0.1, "width": 1.0, "height": 0.8},
        },
    )
    green = np.abs(shown - (0, 0xC0, 0)).max(axis=2) <= 8
    columns = np.flatnonzero(~green[90])
    assert columns.max() - columns.min() + 1 == pytest.approx(144 * 512 / 600, abs=3)
    assert (columns.max() + columns.min()) / 2 == pytest.approx(159.5, abs=1)


def test_a_video_and_a_sound_become_a_video_that_says_it(tmp_path, context):
    from clipmaker import make_clip

    clip = make_clip(tmp_path / "clip.mp4", size=(480, 270), eye_distance=60, seconds=1.2).path
    subprocess.run(["espeak-ng", "-w", str(tmp_path / "said.wav"), SENTENCE], check=True)
    spec = LipsyncSpec.model_validate(
        {
            "face": {
                "kind": "video",
                "video": {"path": str(clip), "name": "holiday.mp4"},
                "consent": CONSENT,
            },
            "audio": {"path": str(tmp_path / "said.wav")},
            "transcript": SENTENCE,
        }
    )
    finished = lipsync_video(spec, tmp_path / "out" / "o.mp4", context)
    found = cv2.VideoCapture(str(tmp_path / "out" / "o.mp4"))
    size = (found.get(cv2.CAP_PROP_FRAME_WIDTH), found.get(cv2.CAP_PROP_FRAME_HEIGHT))
    assert (*size, found.get(cv2.CAP_PROP_FPS)) == (480, 270, 25)
    assert finished.frames == found.get(cv2.CAP_PROP_FRAME_COUNT) > 25
    assert SENTENCE in (tmp_path / "out" / "o.vtt").read_text()
    record = json.loads((tmp_path / "out" / "o.provenance.json").read_text())
    assert record["title"] == "holiday"
    assert record["digital_source_type"].endswith("compositeSynthetic")
    assert record["consents"][0]["person"] == "A. Person"
    assert {entry["role"] for entry in record["inputs"]} == {"audio", "face"}
    assert Path(finished.files[0].path).name == "o.mp4"


def frames_of(path: Path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    found = []
    while (read := video.read())[0]:
        found.append(read[1])
    return found


@pytest.mark.parametrize("shape", ["rectangle", "rounded"])
def test_the_blurred_background_of_a_motion_video_moves_with_it(tmp_path, context, small_spec, shape):
    """A bright bar sinks through the room behind her; softened, it does so in the render too."""
    from clipmaker import make_clip

    filmed = frames_of(make_clip(tmp_path / "c.mp4", size=(480, 270), eye_distance=60, seconds=1.2).path)
    bars = [60 + 4 * index for index in range(len(filmed))]
    writer = cv2.VideoWriter(str(tmp_path / "bar.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (480, 270))
    for picture, y in zip(filmed, bars, strict=True):
        picture[:, :90] = 30
        picture[y : y + 12, :90] = 255
        writer.write(picture)
    writer.release()
    face = {"kind": "video", "video": {"path": str(tmp_path / "bar.mp4")}, "consent": CONSENT}
    scene = {
        "id": "a", "script": "Oh my.", "face": face, "background": {"kind": "source", "blur": 0.8},
        "layout": {"shape": shape}, "tail_ms": 0,
    }  # fmt: skip
    spec = RenderSpec.model_validate(small_spec(scene, canvas={"width": 480, "height": 270, "fps": 25}))
    shown = frames_of(make_segment(spec, "a", tmp_path / "segment", context).video)
    columns = slice(5, 60)
    rows = [int(np.argmax(picture[:, columns].mean(axis=(1, 2)))) for picture in shown]
    assert len(rows) > 12
    bars = bars[: len(rows)]
    assert np.abs(np.array(rows) - 6 - bars).max() <= 6
    assert detail(shown[8][:, columns].astype(int).transpose(1, 0, 2)) < 6, "the bar has no hard edge"


def test_a_portrait_is_prepared_once_and_a_picture_without_a_face_is_refused(tmp_path, context):
    from clipmaker.person import photo

    cv2.imwrite(str(tmp_path / "p.png"), photo("grace_hopper"))
    finished = prepare_photo(tmp_path / "p.png", tmp_path / "p.json", None, context)
    assert finished.files[0].role == "portrait"
    assert json.loads((tmp_path / "p.json").read_text())["picture"]["width"] == 512
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((300, 300, 3), 120, np.uint8))
    with pytest.raises(InvalidInput) as caught:
        prepare_photo(tmp_path / "wall.png", tmp_path / "wall.json", None, context)
    assert caught.value.code == "face.not_found"
    assert not (tmp_path / "wall.json").exists()
