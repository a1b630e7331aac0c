"""A cut-out person with a depth for every pixel, made from one photo; used by clipmaker.clip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import numpy.typing as npt
import skimage.data
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

Pixels = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Person:
    """pixels (h, w, 4) BGRA; depth (h, w) towards the camera, 0 at the ears; points (478, 3); in pixels."""

    pixels: Pixels
    depth: Field
    points: Field

    @property
    def eye_distance(self) -> float:
        return float(np.linalg.norm(self.points[33, :2] - self.points[263, :2]))


def photo(name: str) -> Pixels:
    """`astronaut` (smiles with bared teeth) or `grace_hopper` (closed mouth, glasses), BGR."""
    if name == "astronaut":
        return cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    path = matplotlib.cbook.get_sample_data(f"{name}.jpg", asfileobj=False)
    picture = cv2.imread(str(Path(path)))
    if picture is None:
        raise FileNotFoundError(name)
    return picture


@cache
def load_person(name: str, eye_distance: int) -> Person:
    """The person at a size where the outer eye corners lie `eye_distance` pixels apart."""
    picture = photo(name)
    scale = eye_distance / float(np.linalg.norm(np.subtract(*_points(picture)[[33, 263], :2])))
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    points = _points(picture)
    left = max(0, round(float(points[1, 0]) - 4.5 * eye_distance))
    right, bottom = (
        round(float(points[1, 0]) + 4.5 * eye_distance),
        round(float(points[152, 1]) + 4 * eye_distance),
    )
    picture = np.ascontiguousarray(picture[:bottom, left:right])
    points[:, 0] -= left
    alpha = _alpha(picture)
    return Person(np.dstack([picture, alpha]), _depth(points, alpha), points)


def _points(picture: Pixels) -> Field:
    from mediapipe.python.solutions import face_mesh

    height, width = picture.shape[:2]
    with face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        found = mesh.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).multi_face_landmarks
    return np.array([(p.x * width, p.y * height, p.z * width) for p in found[0].landmark], dtype=np.float32)


def _alpha(picture: Pixels) -> Pixels:
    from mediapipe.python.solutions import selfie_segmentation

    with selfie_segmentation.SelfieSegmentation(model_selection=0) as model:
        mask = model.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).segmentation_mask
    mask = cv2.GaussianBlur(np.clip((mask - 0.35) / 0.4, 0, 1).astype(np.float32), (0, 0), 1.5)
    return np.rint(mask * 255).astype(np.uint8)


def _depth(points: Field, alpha: Pixels) -> Field:
    """Tracked depth in the face, ear depth along the head's silhouette, flat shoulders; linear between."""
    height, width = alpha.shape
    e = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    ears = float(np.mean(points[[234, 454], 2]))
    chin = points[152, 1]
    outline, _ = cv2.findContours((alpha > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    edge = max(outline, key=len)[::6, 0, :].astype(np.float32)
    edge = edge[edge[:, 1] < chin]
    body = np.array([(x, y) for x in np.linspace(0, width, 9) for y in (chin + 0.7 * e, height)], np.float32)
    known = np.vstack([points[:468, :2], edge, body, [(0, 0), (width, 0)]])
    values = np.concatenate(
        [
            ears - points[:468, 2],
            np.full(len(edge), -0.15 * e),
            np.full(len(body), 0.1 * e),
            (-0.15 * e, -0.15 * e),
        ]
    )
    xs, ys = np.meshgrid(np.arange(0, width, 4), np.arange(0, height, 4))
    coarse = LinearNDInterpolator(known, values)(xs, ys)
    missing = np.isnan(coarse)
    coarse[missing] = NearestNDInterpolator(known, values)(xs[missing], ys[missing])
    smooth = cv2.GaussianBlur(coarse.astype(np.float32), (0, 0), 0.03 * e / 4 + 0.5)
    return np.asarray(cv2.resize(smooth, (width, height)), dtype=np.float32)
