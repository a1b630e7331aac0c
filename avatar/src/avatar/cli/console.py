"""Shows progress: JSON lines for programs on standard output, one moving line for people on standard
error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Protocol, TextIO

from avatar.spec import (
    EngineUse,
    Failed,
    Finished,
    FrameProgress,
    MediaFacts,
    Notice,
    PictureReport,
    ProgressLine,
    StageStarted,
)

BAR_CELLS = 24
CLEAR_LINE = "\r\x1b[2K"


class Console(Protocol):
    def tell(self, line: ProgressLine) -> None: ...


class JsonConsole:
    """One object per line, flushed at once, nothing else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def tell(self, line: ProgressLine) -> None:
        self._out.write(line.model_dump_json() + "\n")
        self._out.flush()


class PrettyConsole:
    """Stage, bar, frames, speed and time left on one line; files at the end on standard output."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._live = err.isatty()

    def tell(self, line: ProgressLine) -> None:
        if isinstance(line, StageStarted):
            self._moving(f"{line.stage}{f' {line.scene}' if line.scene else ''} …")
        elif isinstance(line, FrameProgress):
            self._moving(progress_bar(line))
        elif isinstance(line, Notice):
            self._lasting(f"warning  {line.message} [{line.code}]")
        elif isinstance(line, Failed):
            self._lasting(f"error    {line.message} [{line.code}]")
            if line.hint:
                self._lasting(f"         {line.hint}")
        elif isinstance(line, Finished):
            self._moving("")
            for file in line.files:
                self._out.write(f"{file.role:<11} {file.path}\n")
            self._out.writelines(f"{lines}\n" for lines in network_lines(line.engines))
            if line.media is not None:
                self._out.write(facts_line(line.media, line.duration_ms) + "\n")
            if line.sight is not None:
                self._out.write(picture_line(line.sight) + "\n")
            self._out.flush()

    def _moving(self, text: str) -> None:
        if self._live:
            self._err.write(CLEAR_LINE + text)
            self._err.flush()

    def _lasting(self, text: str) -> None:
        self._err.write((CLEAR_LINE if self._live else "") + text + "\n")
        self._err.flush()


def progress_bar(line: FrameProgress) -> str:
    """`frames opening [#####....]  120/250  48.0 fps  3 s left`."""
    filled = BAR_CELLS * line.done_frames // max(1, line.total_frames)
    bar = "█" * filled + "░" * (BAR_CELLS - filled)
    scene = f" {line.scene}" if line.scene else ""
    frames = f"{line.done_frames}/{line.total_frames}"
    return f"{line.stage}{scene} {bar} {frames}  {line.fps:.0f} fps  {line.eta_s:.0f} s left"


def network_lines(engines: Iterable[EngineUse]) -> list[str]:
    """`drawn by    latentsync, mode low` and `weights     …` with their licences; of networks alone."""
    from avatar.engines.weights.manifest import manifest

    lines = []
    for engine, mode in dict.fromkeys((one.engine, one.mode) for one in engines):
        licences = dict.fromkeys(entry.licence for entry in manifest() if entry.engine in engine.split("+"))
        if licences:
            lines.append(f"{'drawn by':<11} {engine}{f', mode {mode}' if mode else ''}")
            lines.append(f"{'weights':<11} {'; '.join(licences)}")
    return lines


def facts_line(media: MediaFacts, duration_ms: int) -> str:
    """`video  1280x720  25 fps  h264  aac 48000 Hz  4.0 s`."""
    parts = [
        media.kind,
        f"{media.width}x{media.height}" if media.width else "",
        f"{media.fps:g} fps" if media.fps else "",
        media.video_codec or "",
        f"{media.audio_codec} {media.sample_rate_hz} Hz" if media.audio_codec else "",
        f"{duration_ms / 1000:.1f} s" if duration_ms else "",
    ]
    return "  ".join(part for part in parts if part)


def picture_line(report: PictureReport) -> str:
    """`2 faces  sharpness 0.74  brightness 0.45  #1b2733 40 %  #e0b090 20 %`."""
    faces = "faces unknown" if report.faces is None else f"{len(report.faces)} faces"
    colours = [f"{one.colour} {one.share:.0%}" for one in report.colours]
    return "  ".join(
        [faces, f"sharpness {report.sharpness:.2f}", f"brightness {report.brightness:.2f}", *colours]
    )


def open_console(*, as_json: bool) -> Console:
    return JsonConsole(sys.stdout) if as_json else PrettyConsole(sys.stdout, sys.stderr)
