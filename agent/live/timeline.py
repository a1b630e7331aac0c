"""Converts stored events of a live session for pages: states, mouth shapes and feelings in time order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from avatar.spec.speech_sheet import SpeechSheet

from agent.live.schemas import (
    EmotionEvent,
    EmotionSample,
    ErrorEvent,
    LiveEvent,
    ResponseEvent,
    StateEvent,
    VisemeEvent,
)
from soundstage.events import Event

STATE, RESPONSE, ERROR = "state", "response", "error"


def stream_of(session_id: str) -> str:
    """Returns the event stream of a live session."""
    return f"live:{session_id}"


def performance(sheet: SpeechSheet, curve: Sequence[EmotionSample]) -> dict[str, Any]:
    """Returns mouth shapes and feelings of one answer, as the `speaking` event stores them."""
    return {
        "visemes": [[v.viseme, v.start_ms, v.end_ms] for v in sheet.visemes],
        "emotions": [[s.emotion, round(s.time * sheet.duration_ms), s.intensity] for s in curve],
    }


def wire_events(event: Event) -> Iterator[LiveEvent]:
    """Yields the wire events of a stored event: one, for `speaking` followed by its performance."""
    data = event.data
    if event.kind == STATE:
        yield StateEvent(
            id=event.id, state=data["state"], turn=data.get("turn"), durationMs=data.get("duration_ms")
        )
        yield from _performance_events(data)
    elif event.kind == RESPONSE:
        yield ResponseEvent(id=event.id, turn=data["turn"], text=data["text"])
    elif event.kind == ERROR:
        yield ErrorEvent(id=event.id, **data)


def _performance_events(data: dict[str, Any]) -> Iterator[LiveEvent]:
    turn = data.get("turn") or 0
    mouth: list[VisemeEvent | EmotionEvent] = [
        VisemeEvent(turn=turn, atMs=start, viseme=name, durationMs=end - start)
        for name, start, end in data.get("visemes", ())
    ]
    mood: list[VisemeEvent | EmotionEvent] = [
        EmotionEvent(turn=turn, atMs=at, emotion=emotion, intensity=intensity)
        for emotion, at, intensity in data.get("emotions", ())
    ]
    yield from heapq.merge(mood, mouth, key=lambda event: event.atMs)
