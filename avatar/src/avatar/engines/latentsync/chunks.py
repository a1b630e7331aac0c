"""Cuts a clip into chunks that the UNet sees at once, and blends them where they overlap."""

from __future__ import annotations

LENGTH = 16
OVERLAP = 2
"""Four give seams and flicker of the same size (`bench/parity/quality_seams.py`) and a sixth more chunks."""


def plan_chunks(frames: int, length: int = LENGTH, overlap: int = OVERLAP) -> list[range]:
    """Chunks of one length that cover `frames` and overlap by `overlap` frames or a little more.

    A frame's result depends on its chunk mates, so no chunk is shorter than the others; only a clip that is
    shorter than a chunk is one short chunk.
    """
    if not 0 <= overlap < length:
        raise ValueError(f"an overlap of {overlap} does not fit into chunks of {length}")
    if frames <= length:
        return [range(frames)] if frames > 0 else []
    count = -(-(frames - overlap) // (length - overlap))
    starts = [round(index * (frames - length) / (count - 1)) for index in range(count)]
    return [range(start, start + length) for start in starts]


def incoming_weight(frame: int, before: range, chunk: range) -> float:
    """How much of `chunk`, and not of the one before it, `frame` shows: it rises evenly over the overlap."""
    shared = before.stop - chunk.start
    return 1.0 if frame >= before.stop else (frame - chunk.start + 1) / (shared + 1)
