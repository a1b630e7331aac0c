"""A prepared portrait: the face in a photo measured once, so that rendering needs no face tracker
afterwards.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avatar.encode.atomic import atomic_file
from avatar.errors import InvalidInput
from avatar.face.landmarks import (
    CHIN,
    FOREHEAD_TOP,
    LEFT_EYE_LOWER,
    LEFT_EYE_OUTER,
    LEFT_EYE_UPPER,
    LOWER_INNER_LIP,
    NOSE_TIP,
    OVAL,
    POINT_COUNT,
    RIGHT_EYE_LOWER,
    RIGHT_EYE_OUTER,
    RIGHT_EYE_UPPER,
    UPPER_INNER_LIP,
    FaceLandmarks,
    Mask,
    Picture,
)
from avatar.face.search import choose_face, find_upright_faces, rotate_picture
from avatar.face.segment import PersonSegmenter, open_segmenter
from avatar.face.tracker import FaceTracker, open_tracker
from avatar.spec import Notice

VERSION = 1
MIN_E_PX = 24.0
"""Below this distance of the outer eye corners a face holds too little to be animated."""
_MASK_SIDE_PX = 1024
# What a video can show of a portrait (`stage.set_stage`), in heights of the face from forehead and chin.
_ABOVE_FACES, _BELOW_FACES, _BESIDE_FACES = 1.3, 2.4, 3.2
# Small turns (degrees), scales and shifts (fractions of E): the median over them is steadier than one look.
_LOOKS = (
    (0.0, 1.0, 0.0, 0.0), (2.5, 1.0, 0.03, 0.0), (-2.5, 1.0, -0.03, 0.0), (0.0, 1.05, 0.0, 0.03),
    (0.0, 0.95, 0.0, -0.03), (1.5, 1.03, -0.02, -0.02), (-1.5, 0.97, 0.02, 0.02),
)  # fmt: skip
WARNINGS = {
    "portrait.teeth_showing": "The mouth is open or shows teeth; closed, relaxed lips move better.",
    "portrait.turned": "The head is turned; a face that looks straight into the camera moves better.",
    "portrait.tilted": "The head is tilted; an upright head moves better.",
    "portrait.small_face": "The face is small in the picture; the video will look soft.",
    "portrait.blurry": "The face is out of focus or moved; the video will look soft.",
    "portrait.dark": "The face is dark; the inside of the mouth may look too bright.",
    "portrait.eyes_closed": "The eyes are nearly closed; they cannot blink.",
    "portrait.glasses": "The person wears glasses; brows and lids will move less, for its frame.",
    "portrait.half_face": "Part of the face lies beyond the edge of the picture; what is missing is made up.",
    "portrait.cropped": "The top of the head or the chin is cut off by the edge of the picture.",
}
"""Codes and sentences, shown to people and kept with a prepared portrait."""
_SMALL_E_PX = 70.0


@dataclass(frozen=True, slots=True)
class Portrait:
    """The measurements of a portrait. `face` and `mask` are in pixels of the picture as `read_picture` gives
    it, after `turns` quarter turns clockwise; so are `width` and `height`.
    """

    picture_sha256: str
    width: int
    height: int
    face: FaceLandmarks
    mask: Picture
    """uint8 (h, w): 255 on the person; at most 1024 px on the longer side."""
    warnings: tuple[str, ...]
    turns: int = 0
    faces: int = 1
    """How many the picture shows."""
    chosen: int | None = None
    """Which one was taken because nobody had named one, counted from the left, from 0."""

    def notices(self) -> tuple[Notice, ...]:
        """Returns the notices about the portrait."""
        found = [Notice(code=code, message=WARNINGS.get(code, code)) for code in self.warnings]
        return (*self._choice(), *found)

    def _choice(self) -> Iterator[Notice]:
        if self.turns:
            how = "stood on its head" if self.turns == 2 else "lay on its side"
            message = f"The picture {how}: it was turned by {90 * self.turns} degrees clockwise."
            yield Notice(code="portrait.rotated", message=message)
        if self.faces > 1 and self.chosen is not None:
            message = (
                f"The picture shows {self.faces} faces; the largest was taken, number {self.chosen + 1} from"
                f" the left (face_index {self.chosen}). Set face_index for another one."
            )
            yield Notice(code="face.several", message=message)

    def mask_for_picture(self) -> Mask:
        """The mask in the size of the picture, float32 (height, width) in 0..1."""
        full = cv2.resize(self.mask, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, np.float32) / np.float32(255)


def prepare_portrait(
    image: Picture,
    picture_sha256: str,
    *,
    face_index: int | None = None,
    tracker: FaceTracker | None = None,
) -> Portrait:
    """Measures a picture (h, w, 3 or 4) as `read_picture` gives it; takes one to three seconds.

    Raises InvalidInput face.not_found, face.too_small, face.index_out_of_range; Unavailable face.unavailable.
    """
    with ExitStack() as opened:
        if tracker is None:
            tracker = opened.enter_context(closing(open_tracker(max_faces=32)))
        upright = find_upright_faces(flatten(image), tracker)
        colour, image = upright.picture, rotate_picture(image, upright.turns)
        rough = choose_face(upright.faces, face_index)
        if rough.eye_distance_px < MIN_E_PX:
            left, _, right, _ = rough.box
            raise InvalidInput(
                "face.too_small",
                f"The face is only {right - left:.0f} pixels wide; at least {2 * MIN_E_PX:.0f} are needed.",
                "Use a larger picture or cut it closer around the face.",
            )
        face = _steady(colour, rough, tracker)
        if image.shape[2] == 4:  # cut out by hand: nobody knows better
            mask = np.asarray(image[..., 3], np.float32) / np.float32(255)
        else:
            mask = _person_around(colour, face, opened.enter_context(closing(open_segmenter())))
    return Portrait(
        picture_sha256=picture_sha256,
        width=colour.shape[1],
        height=colour.shape[0],
        face=face,
        mask=_small_mask(mask),
        warnings=judge_portrait(colour, face),
        turns=upright.turns,
        faces=len(upright.faces),
        chosen=next(number for number, one in enumerate(upright.faces) if one is rough)
        if face_index is None
        else None,
    )


def flatten(image: Picture) -> Picture:
    """A picture (h, w, 3 or 4) over light grey as (h, w, 3): what lies behind a cut-out person."""
    if image.shape[2] == 3:
        return image
    alpha = image[..., 3:].astype(np.float32) / 255
    flat: Picture = (image[..., :3] * alpha + 214 * (1 - alpha) + 0.5).astype(np.uint8)
    return flat


def save_portrait(portrait: Portrait, path: Path) -> None:
    """Writes the JSON in one step: readers see all of it or nothing."""
    ok, png = cv2.imencode(".png", portrait.mask)
    if not ok:
        raise InvalidInput("portrait.unwritable", "The mask of the portrait could not be encoded.")
    record = {
        "version": VERSION,
        "picture": {"sha256": portrait.picture_sha256, "width": portrait.width, "height": portrait.height},
        "face": {
            "score": round(portrait.face.score, 4),
            "landmarks": [[round(float(value), 3) for value in point] for point in portrait.face.points],
        },
        "mask_png": base64.b64encode(png.tobytes()).decode(),
        "warnings": list(portrait.warnings),
        "turns": portrait.turns,
        "faces": portrait.faces,
        "chosen": portrait.chosen,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as part:
        part.write_text(json.dumps(record, separators=(",", ":")), encoding="utf-8")


def load_portrait(path: Path) -> Portrait:
    """Reads a prepared portrait. Raises InvalidInput portrait.unreadable, portrait.wrong_version."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["version"] != VERSION:
            raise InvalidInput(
                "portrait.wrong_version",
                f"{path.name} was prepared in format {record['version']}; this program reads {VERSION}.",
                "Prepare the picture again.",
            )
        points = np.array(record["face"]["landmarks"], np.float32)
        mask = cv2.imdecode(
            np.frombuffer(base64.b64decode(record["mask_png"], validate=True), np.uint8), cv2.IMREAD_GRAYSCALE
        )
        if points.shape != (POINT_COUNT, 3) or not np.isfinite(points).all() or mask is None:
            raise ValueError("landmarks or mask are damaged")
        picture = record["picture"]
        return Portrait(
            picture_sha256=str(picture["sha256"]),
            width=int(picture["width"]),
            height=int(picture["height"]),
            face=FaceLandmarks(points, float(record["face"]["score"])),
            mask=np.asarray(mask, np.uint8),
            warnings=tuple(str(code) for code in record["warnings"]),
            # What older programs have written holds none of these.
            turns=int(record.get("turns", 0)) % 4,
            faces=int(record.get("faces", 1)),
            chosen=None if record.get("chosen") is None else int(record["chosen"]),
        )
    except (OSError, ValueError, KeyError, TypeError, binascii.Error, cv2.error) as error:
        raise InvalidInput(
            "portrait.unreadable",
            f"{path.name} is not a prepared portrait: {error}.",
            "Prepare the picture again.",
        ) from error


def _steady(image: Picture, rough: FaceLandmarks, tracker: FaceTracker) -> FaceLandmarks:
    """The median of several looks at a crop around the face, each slightly turned, scaled and shifted."""
    e = rough.eye_distance_px
    left, top, right, bottom = rough.box
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    side = 2.2 * max(right - left, bottom - top)
    out = int(np.clip(side, 256, 768))
    seen = []
    for turn, scale, shift_x, shift_y in _LOOKS:
        rotate_picture = cv2.getRotationMatrix2D(
            (float(centre[0]), float(centre[1])), turn, scale * out / side
        )
        matrix = np.asarray(rotate_picture, np.float64)
        matrix[:, 2] += np.array([out / 2, out / 2]) - centre + np.array([shift_x, shift_y]) * e * out / side
        look = cv2.warpAffine(
            image, matrix, (out, out), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        faces = tracker.track(np.asarray(look, np.uint8))
        if not faces:
            continue
        face = min(faces, key=lambda f: float(np.hypot(*(f.points[:, :2].mean(axis=0) - out / 2))))
        back = cv2.invertAffineTransform(matrix)
        points = face.points.copy()
        points[:, :2] = face.points[:, :2] @ back[:, :2].T.astype(np.float32) + back[:, 2].astype(np.float32)
        points[:, 2] *= side / out / scale
        seen.append(points)
    if not seen:
        return rough
    return FaceLandmarks(np.median(np.stack(seen), axis=0).astype(np.float32), rough.score)


def _person_around(image: Picture, face: FaceLandmarks, segmenter: PersonSegmenter) -> Mask:
    """The person's mask, float32 (h, w), looked for only as far round the face as a video will show.

    The segmenter sees 256 pixels: the less it is shown, the finer its edges, and the fewer other people.
    """
    height, width = image.shape[:2]
    forehead, chin = face.points[FOREHEAD_TOP, :2], face.points[CHIN, :2]
    tall = float(np.hypot(*(chin - forehead)))
    left, top, right, bottom = (
        int(np.clip(value, 0, limit))
        for value, limit in (
            (forehead[0] - _BESIDE_FACES * tall, width),
            (min(forehead[1], chin[1]) - _ABOVE_FACES * tall, height),
            (forehead[0] + _BESIDE_FACES * tall, width),
            (max(forehead[1], chin[1]) + _BELOW_FACES * tall, height),
        )
    )
    mask = np.zeros((height, width), np.float32)
    part = np.ascontiguousarray(image[top:bottom, left:right])
    mask[top:bottom, left:right] = segmenter.mask(part)
    return mask


def _small_mask(mask: Mask) -> Picture:
    scale = min(1.0, _MASK_SIDE_PX / max(mask.shape))
    small = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else mask
    return np.asarray(np.clip(np.asarray(small) * 255 + 0.5, 0, 255), np.uint8)


def judge_portrait(image_bgr: Picture, face: FaceLandmarks) -> tuple[str, ...]:
    """Codes of WARNINGS that hold for a face in a picture (h, w, 3)."""
    p, e = face.points, max(1.0, face.eye_distance_px)
    gap = _mean_distance(face, UPPER_INNER_LIP[3:8], LOWER_INNER_LIP[3:8]) / e
    lids = 0.5 * (
        _mean_distance(face, LEFT_EYE_UPPER[2:7], LEFT_EYE_LOWER[2:7])
        + _mean_distance(face, RIGHT_EYE_UPPER[2:7], RIGHT_EYE_LOWER[2:7])
    )
    across = p[RIGHT_EYE_OUTER] - p[LEFT_EYE_OUTER]
    middle = (p[RIGHT_EYE_OUTER, :2] + p[LEFT_EYE_OUTER, :2]) / 2
    sideways = float((p[NOSE_TIP, :2] - middle) @ across[:2]) / e**2
    roll = float(np.degrees(np.arctan2(across[1], across[0])))
    skin = _skin_patch(image_bgr, face)
    height, width = image_bgr.shape[:2]
    outline = p[list(OVAL), 0]
    beside = max(-float(outline.min()), float(outline.max()) - width)
    holds = {
        "portrait.teeth_showing": gap > 0.022,
        "portrait.turned": abs(sideways) > 0.16,
        "portrait.tilted": abs(roll) > 10,
        "portrait.small_face": e < _SMALL_E_PX,
        "portrait.blurry": _sharpness(skin) < 0.012,
        "portrait.dark": float(skin.mean()) < 60,
        "portrait.eyes_closed": lids / e < 0.035,
        "portrait.glasses": wears_glasses(image_bgr, face),
        "portrait.half_face": beside > 0.1 * e,
        "portrait.cropped": float(p[FOREHEAD_TOP, 1]) < 0.12 * e or float(p[CHIN, 1]) > height - 0.05 * e,
    }
    return tuple(code for code, true in holds.items() if true)


def wears_glasses(image_bgr: Picture, face: FaceLandmarks) -> bool:
    """Returns whether a frame crosses the bridge of the nose and the cheek under the eyes: both are bare skin
    otherwise.
    """
    canonical = _upright(image_bgr, face, 200)
    grey = cv2.GaussianBlur(cv2.cvtColor(canonical, cv2.COLOR_BGR2GRAY), (0, 0), 1.5).astype(np.float32)
    steep = np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)) / (grey + 20)
    # In the upright picture E is 200 px and the middle between the eyes lies at (200, 150).
    bridge = float(np.percentile(steep[120:200, 185:215].max(axis=0), 50))
    below = float(np.percentile(np.maximum(steep[172:240, 110:160].max(axis=0), 0), 50))
    below = max(below, float(np.percentile(steep[172:240, 240:290].max(axis=0), 50)))
    return bridge > 0.30 and below > 0.30


def _mean_distance(face: FaceLandmarks, first: tuple[int, ...], second: tuple[int, ...]) -> float:
    return float(np.linalg.norm(face.points[list(first), :2] - face.points[list(second), :2], axis=1).mean())


def _upright(image_bgr: Picture, face: FaceLandmarks, e_px: int) -> Picture:
    """The face turned upright and scaled so that E has `e_px` pixels; the eyes' middle at (e, 0.75 e)."""
    left, right = face.points[LEFT_EYE_OUTER, :2], face.points[RIGHT_EYE_OUTER, :2]
    scale = e_px / max(1.0, face.eye_distance_px)
    angle = float(np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0])))
    middle = (left + right) / 2
    turned = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, scale)
    matrix = np.asarray(turned, np.float64)
    matrix[:, 2] += np.array([e_px, 0.75 * e_px]) - middle
    upright: Picture = cv2.warpAffine(
        image_bgr, matrix, (2 * e_px, 2 * e_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8, copy=False)
    return upright


def _skin_patch(image_bgr: Picture, face: FaceLandmarks) -> Picture:
    """The middle of the face as an upright grey picture (150, 150)."""
    grey: Picture = cv2.cvtColor(_upright(image_bgr, face, 150), cv2.COLOR_BGR2GRAY).astype(
        np.uint8, copy=False
    )
    return grey[60:210, 75:225]


def _sharpness(grey: Picture) -> float:
    """Strength of the finest edges relative to the brightness."""
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    return float(np.percentile(edges, 95)) / (float(grey.mean()) + 1) / 4
