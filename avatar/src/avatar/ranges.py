"""Ranges of frames as results tell them: bounded, however much a face flickers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

MOST_RANGES = 400

Range = tuple[int, int]
"""The first and the last frame."""


def nearest_joined(ranges: Iterable[Range], most: int = MOST_RANGES) -> list[Range]:
    """The same ranges, which are in order and apart; of more than `most`, those that are nearest to each
    other are told as one: half an hour would fill a result with thousands.
    """
    told = list(ranges)
    if len(told) <= most:
        return told
    gaps = [after[0] - before[1] for before, after in pairwise(told)]
    widest = sorted(sorted(range(len(gaps)), key=gaps.__getitem__)[len(told) - most :])
    begins = [0, *(place + 1 for place in widest)]
    ends = [*widest, len(told) - 1]
    return [(told[begin][0], told[end][1]) for begin, end in zip(begins, ends, strict=True)]
