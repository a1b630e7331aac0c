"""Ranges of frames as results tell them: bounded, however much a face flickers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

MAX_RANGES = 400

Range = tuple[int, int]
"""The first and the last frame."""


def nearest_joined(ranges: Iterable[Range], maximum: int = MAX_RANGES) -> list[Range]:
    """The same ranges, which are in order and apart; of more than `maximum`, those that are nearest to each
    other are told as one: half an hour would fill a result with thousands.
    """
    items = list(ranges)
    if len(items) <= maximum:
        return items
    gaps = [after[0] - before[1] for before, after in pairwise(items)]
    widest = sorted(sorted(range(len(gaps)), key=gaps.__getitem__)[len(items) - maximum :])
    begins = [0, *(place + 1 for place in widest)]
    ends = [*widest, len(items) - 1]
    return [(items[begin][0], items[end][1]) for begin, end in zip(begins, ends, strict=True)]
