"""The protocol of every face engine: at most five methods, its requirements declared as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from avatar.spec import Notice
from avatar.tracks import ControlTrack

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Facts about an engine for the scheduler and the licence page."""

    name: str
    version: str
    licence: str
    vram_mib: int = 0
    gpus: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("frames",)
    whole_picture: bool = False
    """Whether its layers show the whole picture, whatever lies behind the person, whom their alpha tells."""
    parts: tuple[EngineInfo, ...] = ()
    """The engines behind one that is made of several."""
    holds_lock: bool = False
    """Whether `draw` keeps Python's lock for most of its time. Frames are drawn by processes then, each of
    which runs all `items`: they must cost next to nothing and read no file.
    """


@dataclass(frozen=True, slots=True)
class Layer:
    """One drawn frame: `pixels` at (x, y) over the engine's static `base`, which shows unchanged elsewhere.

    pixels: uint8, (h, w, 3) BGR opaque or (h, w, 4) BGRA with straight alpha.
    """

    pixels: Pixels
    x: int = 0
    y: int = 0


@dataclass(slots=True)
class EngineReport:
    """Facts of a run of an engine for its users. trackers: what found faces for it, where the licence
    of that binds the result.
    """

    notices: list[Notice] = field(default_factory=list)
    trackers: list[EngineInfo] = field(default_factory=list)
    lost_face_frames: list[tuple[int, int]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reach:
    """Holds the room of a drawn character, in pixels of the engine's picture: the shoulders fit into the
    middle `span` of the width, raised arms into `left` and `right` of the middle.
    """

    span: int
    left: int
    right: int


class FaceEngine(Protocol):
    """Turns a ControlTrack into pictures of a face.

    `items` runs in one thread, in order, and does what must be sequential (decode, track). `draw` is called
    from several threads at once (or, with `holds_lock`, in several processes), in any order, and changes no
    state: frames are independent given their item.
    """

    info: EngineInfo
    size: tuple[int, int]
    """(width, height) of the engine's picture in pixels: the avatar box on the canvas."""
    base: Pixels | None
    """What never changes, (height, width, 3 or 4); None when every layer covers the whole picture."""

    def items(self, track: ControlTrack) -> Iterator[Any]: ...

    def draw(self, item: Any) -> Layer: ...

    def report(self) -> EngineReport: ...

    def close(self) -> None: ...
