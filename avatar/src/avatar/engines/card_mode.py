"""Chooses how much of a card the engines on torch take; all others call it.

Torch is not imported: the choice of an engine asks before it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from types import MappingProxyType
from typing import Literal

from avatar.engines.card_memory import Card
from avatar.spec import EngineName

Mode = Literal["low", "middle", "full", "large"]
"""From the one that takes least; what each means for LatentSync is in `latentsync.memory`."""
RequestedMode = Literal["auto", "low", "middle", "full", "large"]

PORTRAIT: EngineName = "liveportrait"
MOUTH: EngineName = "latentsync"


@dataclass(frozen=True, slots=True)
class Share:
    """from_mib: what must be had of a card for this mode to be taken. weights_mib, working_mib: what weights
    on the card (in fp16; parked ones only the largest) and the work on them then take of it.
    """

    from_mib: int
    weights_mib: int
    working_mib: int


SHARES: Mapping[str, Mapping[Mode, Share]] = MappingProxyType(
    {
        PORTRAIT: MappingProxyType({"low": Share(2048, 512, 512), "full": Share(4096, 512, 1536)}),
        # bench/parity/budget_latentsync.py computes 3052, 3611, 5669 and 6639 MiB at most. What is beyond is
        # for what only a card can tell: workspaces of libraries, gaps between blocks. A card of 8 GB beside a
        # speech service of 4 leaves 3646.
        MOUTH: MappingProxyType(
            {
                "low": Share(3400, 2560, 640),
                "middle": Share(6500, 2688, 2560),
                "full": Share(12_000, 2880, 5120),
                "large": Share(30_000, 2880, 6144),
            }
        ),
    }
)
"""Each engine's modes, from the one that takes least."""
WIDE = 2
"""So many times as much is taken in fp32."""


def choose_mode(
    engine: EngineName, card: Card | None, requested: RequestedMode = "auto", *, wide: bool = False
) -> Mode:
    """Returns the requested mode, or the largest that the card has room for; without a card `full`.

    wide: in fp32, which takes twice as much.
    """
    if requested != "auto":
        return requested
    if card is None:
        return "full"
    modes = SHARES[_largest(engine)]
    each = WIDE if wide else 1
    fitting: list[Mode] = [mode for mode, share in modes.items() if each * share.from_mib <= card.budget_mib]
    return fitting[-1] if fitting else "low"


def share_of(part: str, mode: Mode, *, wide: bool = False) -> Share:
    """Returns the share of one engine in a mode; LivePortrait has these two only. wide: see `choose_mode`."""
    modes = SHARES[part]
    share = modes.get(mode) or modes["full"]
    return Share(*(WIDE * mib for mib in astuple(share))) if wide else share


def min_mib(engine: EngineName) -> int:
    """Returns the memory that an engine needs at least. Both in turn take no more than the larger one."""
    return SHARES[_largest(engine)]["low"].from_mib


def _largest(engine: EngineName) -> str:
    return max(engine.split("+"), key=lambda part: SHARES[part]["low"].from_mib)
