"""The verdict of a rehearsal: figures with their limits, as `verdict.json` and as one self-contained page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Literal

from avatar.encode.atomic import write_bytes
from avatar.errors import AvatarError

PAGE, RECORD = "verdict.html", "verdict.json"
Outcome = Literal["passed", "missed", "not measured"]
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;"
    "vertical-align:top;padding:.4rem .8rem;border-bottom:1px solid #8886}.passed{color:#17823b}"
    ".missed{color:#c62828;font-weight:600}.not{opacity:.75}"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure and its limits, both in `unit` and inclusive; None where there is no limit on that side."""

    name: str
    unit: str
    low: float | None
    high: float | None
    meaning: str

    @property
    def threshold(self) -> str:
        sides = [("≥", self.low), ("≤", self.high)]
        return " and ".join(f"{sign} {side:g}" for sign, side in sides if side is not None) or "none"

    def judge(self, step: str, value: float | None, why: str = "") -> Figure:
        """Returns the figure of a step. `why` says why there is none, where `value` is None or NaN."""
        if value is not None and not math.isfinite(value):
            value, why = None, why or "it cannot be computed for this video"
        outcome: Outcome = "not measured"
        if value is not None:
            low = self.low is None or value >= self.low
            outcome = "passed" if low and (self.high is None or value <= self.high) else "missed"
        rounded, reason = (None, why) if value is None else (round(value, 3), "")
        return Figure(step, self.name, rounded, self.unit, self.threshold, outcome, self.meaning, reason)


@dataclass(frozen=True, slots=True)
class Figure:
    step: str
    measure: str
    value: float | None
    unit: str
    threshold: str
    verdict: Outcome
    meaning: str
    why: str

    @property
    def shown(self) -> str:
        return "" if self.value is None else f"{self.value:g} {self.unit}".rstrip()


@dataclass(slots=True)
class Verdict:
    """Collects the figures of a rehearsal. video, sentence: what was rehearsed. machine, weights: on what.
    videos: file name of each step's video. error: code, message and hint of the first step that failed.
    """

    video: str
    sentence: str
    machine: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    videos: dict[str, str] = field(default_factory=dict)
    figures: dict[tuple[str, str], Figure] = field(default_factory=dict)
    error: Mapping[str, str] | None = None

    def put(self, *figures: Figure) -> None:
        """Takes figures, each in the place of what its step had of the same measure."""
        self.figures |= {(one.step, one.measure): one for one in figures}

    def fail(self, step: str, pending: str, error: AvatarError, measures: Iterable[Measure]) -> None:
        """Ends a step: figures that were pending are not measured for this error."""
        left = (one for one in measures if self.figures[step, one.name].why == pending)
        self.put(*(one.judge(step, None, error.message) for one in left))
        self.error = self.error or {"code": error.code, "message": error.message, "hint": error.hint}

    def having(self, outcome: Outcome) -> list[Figure]:
        """Returns the figures with this outcome, in the order of the steps."""
        return [one for one in self.figures.values() if one.verdict == outcome]

    @property
    def state(self) -> Literal["passed", "missed", "incomplete"]:
        if self.having("missed"):
            return "missed"
        return "incomplete" if self.having("not measured") else "passed"

    def write(self, folder: Path) -> None:
        """Writes page and record, each whole or not at all. Raises as `atomic_file`."""
        whole = replace(self, figures={})
        record = (
            {"state": self.state}
            | asdict(whole)
            | {"figures": [asdict(one) for one in self.figures.values()]}
        )
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        write_bytes(folder / RECORD, text.encode())
        write_bytes(folder / PAGE, self._page().encode())

    def _page(self) -> str:
        rows = [
            (one.step, one.measure, one.threshold, one.shown, one.verdict, one.why or one.meaning)
            for one in self.figures.values()
        ]
        error = self.error and f"{self.error['message']} [{self.error['code']}] {self.error['hint']}"
        titles = ("step", "measure", "threshold", "value", "verdict", "what it means")
        parts = [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Rehearsal</title>',
            f"<style>{_STYLE}</style><h1>Rehearsal: {self.state}</h1>",
            f"<p>{escape(self.video)} says: “{escape(self.sentence)}”</p>",
            f'<p class="missed">{escape(error)}</p>' if error else "",
            _table(titles, rows),
            "<h2>Videos</h2>",
            *(f'<p><a href="{escape(name)}">{escape(step)}</a></p>' for step, name in self.videos.items()),
            "<h2>Machine</h2>",
            _table(("what", "value"), self.machine.items()),
            "<h2>Weights</h2>",
            _table(("role", "SHA-256 or state"), self.weights.items()),
            "</html>\n",
        ]
        return "\n".join(part for part in parts if part)


def _table(titles: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(title)}" for title in titles)
    cells = ("".join(f"<td{_marked(cell)}>{escape(cell)}" for cell in row) for row in rows)
    return f"<table><tr>{head}{''.join(f'<tr>{row}' for row in cells)}</table>"


def _marked(cell: str) -> str:
    return f' class="{cell.split()[0]}"' if cell in ("passed", "missed", "not measured") else ""
