"""The picture side of a scene: its engine, background and composer, opened together; the frame loop draws from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from avatar.compose.blend import over
from avatar.compose.colour import Pixels, Planes
from avatar.compose.composer import Composer
from avatar.compose.layout import Rect, place
from avatar.engines.base import EngineReport, FaceEngine
from avatar.engines.registry import open_engine
from avatar.pipeline.context import Context
from avatar.encode.provenance import EngineRecord
from avatar.spec import RenderSpec, Scene
from avatar.tracks import ControlTrack


class Shot:
    """An opened scene. `items` runs in one thread, `paint` in several."""

    def __init__(self, engine: FaceEngine | None, composer: Composer) -> None:
        self._engine = engine
        self._composer = composer

    def items(self, track: ControlTrack) -> Iterator[Any]:
        if self._engine is None:
            return iter([None] * track.frames)
        return self._engine.items(track)

    def paint(self, item: Any) -> Planes:
        return self._composer.paint(None if self._engine is None else self._engine.draw(item))

    def engines(self) -> tuple[EngineRecord, ...]:
        if self._engine is None:
            return ()
        info = self._engine.info
        return (EngineRecord(role="face", name=info.name, version=info.version, licence=info.licence),)

    def report(self) -> EngineReport:
        return EngineReport() if self._engine is None else self._engine.report()

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def open_shot(spec: RenderSpec, scene: Scene, context: Context) -> Shot:
    canvas = spec.canvas
    box = place(scene.layout.box, canvas)
    base = np.full((canvas.height, canvas.width, 3), (20, 16, 16), np.uint8)
    if not scene.layout.visible:
        return Shot(None, Composer(base, box))
    alpha = scene.background.kind != "source"
    engine = open_engine(
        scene.face, (box.width, box.height), canvas.fps, resolve=context.resolve, cache=context.cache, alpha=alpha
    )
    if engine.base is not None:
        _lay(base, engine.base, box)
    return Shot(engine, Composer(base, box))


def _lay(canvas: Pixels, picture: Pixels, box: Rect) -> None:
    seen = box.within(Rect(0, 0, canvas.shape[1], canvas.shape[0]))
    if not seen.empty:
        part = picture[seen.y - box.y :, seen.x - box.x :][: seen.height, : seen.width]
        over(canvas[seen.rows, seen.columns], part)
