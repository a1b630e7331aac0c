"""Formats sizes, needs and times for sentences; used by `explain` and `deadline`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from farm.placement.cards import Request

Clock = Callable[[float], str]
"""From POSIX seconds to what the clock on the wall shows."""

LONG_S = 20 * 3600.0


def local_clock(now_s: float) -> Clock:
    """`14:05`, with the day when it is far away, in the time zone of this process."""

    def clock(at_s: float) -> str:
        moment = datetime.fromtimestamp(at_s).astimezone()
        return moment.strftime("%H:%M" if abs(at_s - now_s) < LONG_S else "%H:%M on %d %B")

    return clock


def until(at_s: float, now_s: float, clock: Clock) -> str:
    """Returns `until about 14:05`, or that the time is unknown or has passed."""
    if math.isinf(at_s):
        return "for an unknown time"
    return "and should be free any moment" if at_s <= now_s else f"until about {clock(at_s)}"


def gib(mib: int) -> str:
    """`16 GiB`, `7.5 GiB`, `512 MiB`."""
    return f"{mib / 1024:.3g} GiB" if mib >= 1024 else f"{mib} MiB"


def describe_needs(request: Request) -> str:
    """`16 GiB of GPU memory`, `2 GPUs with 16 GiB each`, `4000 MHz and 2 GiB of memory`."""
    amounts = request.needs
    if amounts.gpus == 0:
        return f"{amounts.cpu_mhz} MHz and {gib(amounts.memory_mib)} of memory"
    model = f" of model {any_of(request.models)}" if request.models else ""
    if amounts.gpus == 1:
        return f"{gib(amounts.vram_mib)} of GPU memory" + (f" on a card{model}" if model else "")
    return f"{amounts.gpus} GPUs{model} with {gib(amounts.vram_mib)} each"


def any_of(names: Sequence[str]) -> str:
    return " or ".join(names)


def join_list(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
