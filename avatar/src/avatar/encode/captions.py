"""Cues as WebVTT and SubRip files; pipeline.assemble writes them beside the video."""

from __future__ import annotations

from collections.abc import Iterable

from avatar.compose.cues import Cue


def to_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT (W3C). `&`, `<` and `>` are escaped, so a cue can hold neither a tag nor an arrow."""
    blocks = [
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        + "\n".join(map(_escape_vtt, cue.lines))
        for cue in cues
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def to_srt(cues: Iterable[Cue]) -> str:
    """SubRip. Players read angle brackets as tags and know no escapes, so look-alikes take their place."""
    blocks = [
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + "\n".join(map(_plain_srt, cue.lines))
        for number, cue in enumerate(cues, start=1)
    ]
    return "\n\n".join(blocks) + "\n"


def _clock(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{ms:03}"


def _escape_vtt(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain_srt(line: str) -> str:
    return line.replace("<", "‹").replace(">", "›")
