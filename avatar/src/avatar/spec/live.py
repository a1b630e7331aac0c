"""Wire types of `avatar live`: JSON lines to a face that answers live, and the ones that it writes.

Frames lie in memory that both processes share: `SLOTS` pictures, I420 (BT.709, limited range), each at a
multiple of `slot_bytes`. Moments are seconds of the system's monotonic clock, the same in all processes.
"""

from __future__ import annotations

import mmap
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from avatar.spec.base import SpecModel
from avatar.spec.speech_sheet import TimedPhone, TimedWord

SLOTS = 4
"""A picture may be read until three more have been drawn."""
FaceState = Literal["idle", "listening", "thinking", "speaking"]


def slot_bytes(width: int, height: int) -> int:
    """Returns the distance between pictures of that size in the shared memory: whole pages."""
    return -(-(width * height * 3 // 2) // mmap.PAGESIZE) * mmap.PAGESIZE


class LiveSentence(SpecModel):
    """A sentence that will be said; `wav` is its sound as a WAV file in base64, for the loudness."""

    type: Literal["sentence"] = "sentence"
    id: int
    wav: str
    duration_ms: int = Field(ge=1)
    words: tuple[TimedWord, ...] = ()
    phones: tuple[TimedPhone, ...] = ()
    phone_source: str = "engine"
    emotion: str = ""


class LiveBegin(SpecModel):
    """The sound of a sentence begins; the lips move with a sound that is heard at `at_s`."""

    type: Literal["begin"] = "begin"
    id: int
    at_s: float


class LiveHush(SpecModel):
    """The sound has stopped: the mouth closes, and what was to be said is forgotten."""

    type: Literal["hush"] = "hush"


class LiveState(SpecModel):
    """The face listens, thinks or idles while it says nothing."""

    type: Literal["state"] = "state"
    state: FaceState


LiveOrder = Annotated[LiveSentence | LiveBegin | LiveHush | LiveState, Field(discriminator="type")]
LIVE_ORDER: TypeAdapter[LiveOrder] = TypeAdapter(LiveOrder)


class LiveReady(SpecModel):
    """The face is open; frames follow."""

    event: Literal["live.ready"] = "live.ready"
    width: int
    height: int
    fps: int


class LiveFrame(SpecModel):
    """The picture in `slot` shows the moment `at_s`. `dropped`: how many were left out so far."""

    event: Literal["live.frame"] = "live.frame"
    slot: int
    at_s: float
    dropped: int = 0
