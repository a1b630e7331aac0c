"""How much GPU memory an engine takes: measured peaks before declared ones, and what each stage may take of a
grant. Called where a segment's needs are worked out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from farm.placement.cards import SHARE_MIB
from soundstage.errors import Invalid

KEPT = 32
MARGIN = 1.1
"""Two runs of one engine differ by some per cent: memory is taken in blocks and pictures differ."""
AFTER_OVERFLOW = 1.25


class Peaks:
    """Per engine (or stage): the last measured peaks, and the largest grant that turned out too small."""

    def __init__(self) -> None:
        self._measured: dict[str, deque[int]] = {}
        self._too_small: dict[str, int] = {}

    def measured(self, engine: str, peak_mib: int) -> None:
        self._measured.setdefault(engine, deque(maxlen=KEPT)).append(peak_mib)

    def overflowed(self, engine: str, cap_mib: int) -> None:
        """A run died because it wanted more than its cap."""
        self._too_small[engine] = max(cap_mib, self._too_small.get(engine, 0))

    def need_mib(self, engine: str, declared_mib: int) -> int:
        """In whole shares: the largest of the last peaks with a margin, or what the engine declares while
        nothing has been measured; in either case more than a grant that was too small.
        """
        peaks = self._measured.get(engine)
        need = max(peaks) * MARGIN if peaks else float(declared_mib)
        need = max(need, self._too_small.get(engine, 0) * AFTER_OVERFLOW)
        return whole_shares(need) * SHARE_MIB


def whole_shares(mib: float) -> int:
    """Rounded up; none for nothing."""
    return int(-(-mib // SHARE_MIB))


def stage_caps(stages: Mapping[str, int], grant_mib: int) -> dict[str, int]:
    """What each of the stages that are on the card together may take (MiB): its peak, and of the rest of the
    grant a part in proportion. The caps add up to at most the grant. Raises `placement.grant_too_small`.
    """
    wanted = sum(stages.values())
    if wanted > grant_mib:
        raise Invalid(
            "placement.grant_too_small",
            f"The stages take {wanted} MiB together, and the grant is {grant_mib} MiB.",
            f"Ask for {whole_shares(wanted)} shares, or run the stages one after the other.",
        )
    if wanted == 0:
        return dict.fromkeys(stages, 0)
    return {name: peak + (grant_mib - wanted) * peak // wanted for name, peak in stages.items()}
