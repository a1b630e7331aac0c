"""Makes the contact sheets of every engine, for judging looks with one's own eyes: `make pictures`.

Drawn characters go into docs/pictures. A photo of one's own goes in with `--photo FILE`, a clip with `--clip
FILE`; their sheets land in out/pictures, because pictures of real people do not belong into a repository.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from avatar.engines.base import FaceEngine, Pixels
from avatar.engines.registry import open_engine
from avatar.spec import Consent, Face, MediaRef, PhotoFace, RigFace, VideoFace
from avatar.timing.articulators import CLEAR_SPEECH
from avatar.timing.visemes import visemes
from avatar.tracks import CHANNELS, ControlTrack
from PIL import Image, ImageDraw, ImageFont

Pose = dict[str, float]
Crop = tuple[float, float, float, float]


def viseme_pose(ipa: str) -> dict[str, float]:
    """Returns the mouth's channels of a loud sound that is held for long, as contact sheets show it."""
    viseme = visemes(ipa)[-1]
    gap = min(1.0, CLEAR_SPEECH * viseme.gap)
    return {
        "jaw": gap * viseme.jaw_share,
        "low": gap * (1 - 0.7 * viseme.jaw_share),
        "raise": viseme.raise_lip,
        "tuck": viseme.tuck,
        "wide": viseme.wide,
        "tongue": viseme.tongue,
    }


VISEMES: dict[str, Pose] = {
    "rest": {},
    "A (father)": viseme_pose("ɑ"),
    "E (bed)": viseme_pose("ɛ"),
    "I (see)": viseme_pose("i"),
    "O (go)": viseme_pose("o"),
    "U (too)": viseme_pose("u"),
    "M B P": {},
    "M after A": {"jaw": 0.5, "press": 1.0},
    "F V": viseme_pose("f"),
    "S Z": viseme_pose("s"),
    "TH": viseme_pose("θ"),
    "L": viseme_pose("l"),
    "SH": viseme_pose("ʃ"),
    "R": viseme_pose("ɹ"),
    "W": viseme_pose("w"),
    "T D N": viseme_pose("t"),
}
MOOD_WORDS = ("neutral", "warm", "serious", "excited", "sad", "surprised")
LOOKS: dict[str, Pose] = {
    "blink half": {"blink": 0.5},
    "blink closed": {"blink": 1.0},
    "brows up": {"brow": 0.8},
    "look right": {"gaze_x": 0.9},
    "look up": {"gaze_y": -0.8},
    "yaw -8": {"yaw_deg": -8.0, "jaw": 0.4, "low": 0.1},
    "yaw +8": {"yaw_deg": 8.0, "jaw": 0.4, "low": 0.1},
    "pitch +4": {"pitch_deg": 4.0},
    "roll +3": {"roll_deg": 3.0},
}


def track_of(poses: Sequence[Pose], fps: int = 25) -> ControlTrack:
    """One frame per pose; channels that a pose does not name stay at rest."""
    curves = {name: np.array([pose.get(name, 0.0) for pose in poses], dtype=np.float32) for name in CHANNELS}
    return ControlTrack(fps, curves)


def draw_all(engine: FaceEngine, track: ControlTrack) -> list[Pixels]:
    """Every frame of the track as BGR, the static base included."""
    frames = []
    for item in engine.items(track):
        layer = engine.draw(item)
        height, width = layer.pixels.shape[:2]
        base = engine.base if engine.base is not None else np.zeros((height, width, 3), np.uint8)
        frame = base[..., :3].copy()
        region = frame[layer.y : layer.y + height, layer.x : layer.x + width]
        if layer.pixels.shape[2] == 4:
            alpha = layer.pixels[..., 3:].astype(np.float32) / 255.0
            region[:] = (layer.pixels[..., :3] * alpha + region * (1.0 - alpha)).astype(np.uint8)
        else:
            region[:] = layer.pixels
        frames.append(frame)
    return frames


def sheet(
    frames: Sequence[Pixels], labels: Sequence[str], columns: int, cell: tuple[int, int]
) -> Image.Image:
    """A grid of frames with a label under each."""
    font = ImageFont.truetype("DejaVuSans.ttf", 18)
    width, height = cell
    rows = -(-len(frames) // columns)
    canvas = Image.new("RGB", (columns * width, rows * (height + 28)), "#11161b")
    pen = ImageDraw.Draw(canvas)
    for index, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        x, y = (index % columns) * width, (index // columns) * (height + 28)
        small = cv2.resize(frame, cell, interpolation=cv2.INTER_AREA)
        canvas.paste(Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)), (x, y))
        pen.text((x + 8, y + height + 3), label, font=font, fill="#e8eef2")
    return canvas


def cut(frame: Pixels, crop: Crop) -> Pixels:
    """A part of a frame, in fractions (left, top, right, bottom)."""
    height, width = frame.shape[:2]
    left, top, right, bottom = crop
    return frame[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]


def save(image: Image.Image, path: Path) -> None:
    image.save(path, quality=88, optimize=True)
    print(path)


def sheets_of(
    open_face: Callable[[tuple[int, int]], FaceEngine], name: str, out: Path, mouth: Crop, eyes: Crop
) -> None:
    """Three sheets: mouth shapes, looks and head poses, and close-ups."""
    size = (1920, 1080)
    for title, poses in (("mouth", VISEMES), ("looks", LOOKS)):
        engine = open_face(size)
        frames = draw_all(engine, track_of(list(poses.values())))
        engine.close()
        save(
            sheet(frames, list(poses), 4 if title == "mouth" else 3, (480, 270)), out / f"{name}-{title}.jpg"
        )
        crop = mouth if title == "mouth" else eyes
        close = [cut(frame, crop) for frame in frames]
        height = int(480 * close[0].shape[0] / close[0].shape[1])
        save(
            sheet(close, list(poses), 4 if title == "mouth" else 3, (480, height)),
            out / f"{name}-{title}-close.jpg",
        )


def body_sheets(out: Path) -> None:
    """The cast, every gesture of two presenters, the moods, and heads turned far (for tears)."""
    from avatar.cli.presenters import PRESENTERS, load_presenter
    from avatar.engines.rig import open_rig
    from avatar.engines.rig.arm_motion import POSES, ArmPose
    from avatar.engines.rig.pose import Pose as RigPose
    from avatar.timing.moods import EXPRESSIONS

    size = (960, 540)

    def draw(name: str, *poses: tuple[Pose, tuple[ArmPose | None, ArmPose | None]]) -> list[Pixels]:
        face = load_presenter(name).face
        engine = open_rig(face.design or face.character, size, 25, alpha=False)
        frames = []
        for channels, arms in poses:
            layer = engine.draw(RigPose(dict.fromkeys(CHANNELS, 0.0) | channels, arms=arms))
            assert engine.base is not None
            frame = engine.base.copy()
            height, width = layer.pixels.shape[:2]
            frame[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
            frames.append(frame)
        return frames

    down = (None, None)
    cast = [draw(name, ({"smile": 0.35}, down))[0] for name in PRESENTERS]
    save(sheet(cast, PRESENTERS, 5, (384, 216)), out / "presenters.jpg")
    for name in ("milo", "amina"):
        both = {"shrug": (POSES["shrug"], POSES["shrug"])}
        poses = [({}, both.get(gesture, (None, POSES[gesture]))) for gesture in POSES]
        save(sheet(draw(name, *poses), list(POSES), 4, (384, 216)), out / f"{name}-gestures.jpg")
    moods = []
    for word in MOOD_WORDS:
        e = EXPRESSIONS[word]  # type: ignore[index]
        angles = {"pitch_deg": e.pitch_deg, "roll_deg": e.roll_deg}
        moods.append({"smile": e.smile, "lid": e.lid, "brow": e.brow, "brow_tilt": e.brow_tilt, **angles})
    frames = [
        cut(frame, (0.3, 0.02, 0.7, 0.82))
        for name in ("nova", "harjit")
        for frame in draw(name, *((m, down) for m in moods))
    ]
    save(sheet(frames, [*MOOD_WORDS, *MOOD_WORDS], 6, (320, 360)), out / "moods.jpg")
    far: list[Pose] = [
        {"yaw_deg": -15.0, "pitch_deg": -8.0},
        {"yaw_deg": 15.0, "pitch_deg": 10.0, "roll_deg": 6.0},
    ]
    turned = [frame for name in PRESENTERS for frame in draw(name, *((pose, down) for pose in far))]
    labels = [f"{name} {side}" for name in PRESENTERS for side in ("left, up", "right, down, rolled")]
    save(sheet(turned, labels, 4, (384, 216)), out / "turned.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs/pictures"))
    parser.add_argument("--photo", type=Path, action="append", default=[])
    parser.add_argument("--clip", type=Path, action="append", default=[])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    private = Path("out/pictures")
    own = Consent(
        id="own", person="the operator's own material", granted_at="2026-01-01", purpose="contact sheet"
    )

    from avatar.engines.rig.characters import NAMES

    with tempfile.TemporaryDirectory() as cache:

        def opener(face: Face) -> Callable[[tuple[int, int]], FaceEngine]:
            def open_at(size: tuple[int, int]) -> FaceEngine:
                return open_engine(
                    face, size, 25, resolve=lambda ref: Path(ref.path or ""), cache=Path(cache), alpha=False
                )

            return open_at

        centre: tuple[Crop, Crop] = ((0.38, 0.52, 0.62, 0.78), (0.38, 0.30, 0.62, 0.52))
        for character in NAMES:
            sheets_of(opener(RigFace(character=character)), character, options.out, *centre)
        body_sheets(options.out)
        for photo in options.photo:
            private.mkdir(parents=True, exist_ok=True)
            face = PhotoFace(image=MediaRef(path=str(photo)), consent=own)
            sheets_of(opener(face), photo.stem, private, *centre)
        for clip in options.clip:
            private.mkdir(parents=True, exist_ok=True)
            video = VideoFace(video=MediaRef(path=str(clip)), consent=own)
            sheets_of(opener(video), clip.stem, private, *centre)


if __name__ == "__main__":
    main()
