"""Draws one frame: a still room, then the person's triangles back to front; used by clipmaker.clip."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import skia

from clipmaker.person import Person, Pixels

_STEP = 8


def room(size: tuple[int, int]) -> Pixels:
    """A wall with shelves, fine grain and straight lines: a background on which every wobble would show."""
    width, height = size
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = np.stack([120 + 50 * ys / height, 132 + 30 * xs / width, 140 + 30 * ys / height], axis=-1)
    for y in range(height // 6, height, height // 6):
        cv2.line(wall, (0, y), (width, y), (70, 88, 104), max(2, height // 120))
    for x in range(width // 14, width, width // 14):
        cv2.line(wall, (x, 0), (x, height), (176, 186, 190), max(1, height // 240))
    grain = np.random.default_rng(7).normal(0, 5, (height, width, 1))
    return np.clip(wall + cv2.GaussianBlur(grain, (0, 0), 1.0)[..., None] * 2, 0, 255).astype(np.uint8)


class Stage:
    """One person in one room. Degrees: yaw + to the picture's right, pitch + down, roll + clockwise."""

    def __init__(
        self, person: Person, size: tuple[int, int], centre_x: float = 0.5, room_pixels: Pixels | None = None
    ):
        self.person = person
        self.size = size
        self.background = room(size) if room_pixels is None else room_pixels
        height, width = person.depth.shape
        xs = np.arange(0, width + _STEP, _STEP, dtype=np.float32).clip(0, width - 1)
        ys = np.arange(0, height + _STEP, _STEP, dtype=np.float32).clip(0, height - 1)
        self._grid_x, self._grid_y = (grid.ravel() for grid in np.meshgrid(xs, ys))
        self._depth = person.depth[self._grid_y.astype(int), self._grid_x.astype(int)]
        columns = len(xs)
        corner = (np.arange(len(ys) - 1)[:, None] * columns + np.arange(columns - 1)[None, :]).ravel()
        self._triangles = np.concatenate(
            [
                np.stack([corner, corner + 1, corner + columns], axis=1),
                np.stack([corner + 1, corner + columns + 1, corner + columns], axis=1),
            ]
        )
        opaque = cv2.dilate(person.pixels[..., 3], np.ones((2 * _STEP + 1, 2 * _STEP + 1), np.uint8)) > 0
        inside = opaque[self._grid_y.astype(int), self._grid_x.astype(int)]
        self._triangles = self._triangles[inside[self._triangles].any(axis=1)]
        self._texels = [
            skia.Point(x, y) for x, y in zip(self._grid_x.tolist(), self._grid_y.tolist(), strict=True)
        ]
        e = person.eye_distance
        chin = float(person.points[152, 1])
        self._turns = 1 - np.clip((self._grid_y - chin - 0.15 * e) / (0.9 * e), 0, 1)
        self._turns = self._turns**2 * (3 - 2 * self._turns)
        self._pivot = np.array([person.points[:468, 0].mean(), chin, 0.25 * e])
        standing = size[1] - height
        self._offset = np.array([size[0] * centre_x - self._pivot[0], max(standing, 0.72 * size[1] - chin)])
        self.mouth_y = float(person.points[13, 1] + self._offset[1])
        # A photo taller than the frame is cut at the knees, never at the forehead.

    def draw(
        self,
        texture: Pixels,
        *,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        shift: tuple[float, float] = (0.0, 0.0),
        zoom: float = 1.0,
        onto: Pixels | None = None,
    ) -> Pixels:
        """BGR frame; `shift` in pixels, `zoom` of the person about the frame's centre."""
        rotation = _rotation(yaw, pitch, roll)
        points = np.stack([self._grid_x, self._grid_y, self._depth], axis=1)
        turned = (points - self._pivot) @ rotation.T + self._pivot
        placed = points + (turned - points) * self._turns[:, None]
        far = 9 * self.person.eye_distance
        middle = np.array([self.size[0] / 2, self.size[1] / 2])
        near = far / (far - placed[:, 2:])
        flat = (placed[:, :2] - self._pivot[:2]) * near + self._pivot[:2] + self._offset
        flat = (flat - middle) * zoom + middle + np.asarray(shift)
        order = np.argsort(placed[self._triangles, 2].mean(axis=1))
        triangles = self._triangles[order]
        frame = cv2.cvtColor(self.background if onto is None else onto, cv2.COLOR_BGR2BGRA)
        self._paint(frame, texture, flat, triangles)
        return np.ascontiguousarray(frame[..., :3])

    def _paint(
        self, frame: Pixels, texture: Pixels, flat: npt.NDArray[np.float64], triangles: npt.NDArray[np.int64]
    ) -> None:
        surface = skia.Surface(frame, colorType=skia.kBGRA_8888_ColorType, alphaType=skia.kPremul_AlphaType)
        image = skia.Image.fromarray(np.ascontiguousarray(texture), colorType=skia.kBGRA_8888_ColorType)
        shader = image.makeShader(skia.SamplingOptions(skia.FilterMode.kLinear))
        paint = skia.Paint(AntiAlias=False, Shader=shader)
        vertices = skia.Vertices(
            skia.Vertices.kTriangles_VertexMode,
            [skia.Point(x, y) for x, y in flat.tolist()],
            self._texels,
            None,
            triangles.ravel().tolist(),
        )
        surface.getCanvas().drawVertices(vertices, paint, skia.BlendMode.kModulate)
        surface.flushAndSubmit()


def _rotation(yaw: float, pitch: float, roll: float) -> npt.NDArray[np.float64]:
    """Yaw about y, then pitch about x, then roll in the picture; z points to the camera, y down."""
    a, b, c = np.radians((yaw, pitch, roll))
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn)
