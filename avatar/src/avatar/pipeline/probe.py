"""Says what a picture, video, sound or motion template holds, by reading all of it; for `avatar probe`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from avatar.engines.liveportrait.template import MotionTemplate, holds_template, load_template
from avatar.face.pictures import is_picture, picture_size
from avatar.named_media import film_of, open_named_media, require_file, unreadable_media, until_damage
from avatar.pipeline.context import Context
from avatar.spec import Finished, MediaFacts, Notice, StageStarted

KIND = "picture, video or sound"
_USUAL_RATES = range(1, 241)
_LOST_MS, _LOST_PART = 500, 0.02


@dataclass(slots=True)
class _Extent:
    """From the first to the last moment of the streams that count, in seconds, as their packets say."""

    first_s: Fraction | None = None
    last_s: Fraction = Fraction(0)
    pictures: int = 0

    @property
    def ms(self) -> int:
        return round((self.last_s - (self.first_s or 0)) * 1000) if self.first_s is not None else 0


def probe_file(path: Path, context: Context) -> Finished:
    """Returns what the file holds, without making any.

    Raises InvalidInput `media.missing`, `media.unreadable`, those of `read_picture` for a picture and of
    `load_template` for a template.
    """
    context.tell(StageStarted(stage="prepare"))
    require_file(path)
    if is_picture(path):
        width, height = picture_size(path)
        return Finished(
            files=(), duration_ms=0, frames=1, media=MediaFacts(kind="image", width=width, height=height)
        )
    if holds_template(path):
        return _template_facts(load_template(path))
    with open_named_media(path, KIND) as container:
        return _measured(container, path)


def _template_facts(template: MotionTemplate) -> Finished:
    return Finished(
        files=(),
        duration_ms=round(len(template) * 1000 / template.fps),
        frames=len(template),
        media=MediaFacts(kind="motion", fps=round(template.fps, 3)),
    )


def _measured(container: av.container.InputContainer, path: Path) -> Finished:
    film = film_of(container)
    sound = next(iter(container.streams.audio), None)
    shown = next(until_damage(container.decode(film)), None) if film is not None else None
    if (film is not None and shown is None) or (film is None and sound is None):
        raise unreadable_media(path, KIND)
    if film is None and sound is not None and next(until_damage(container.decode(sound)), None) is None:
        raise unreadable_media(path, KIND)
    extent = _extent(container, [one for one in (film, sound) if one is not None])
    width = height = None
    if shown is not None:
        width, height = shown.width, shown.height
        if round(shown.rotation / 90) % 2:
            width, height = height, width
    facts = MediaFacts(
        kind="video" if film is not None else "audio",
        width=width,
        height=height,
        fps=_rate(film, extent) if film is not None else None,
        video_codec=film.codec_context.name if film is not None else None,
        audio_codec=sound.codec_context.name if sound is not None else None,
        sample_rate_hz=sound.rate if sound is not None else None,
        channels=sound.channels if sound is not None else None,
    )
    return Finished(
        files=(),
        duration_ms=extent.ms,
        frames=extent.pictures,
        warnings=tuple(_lost(container, extent)),
        media=facts,
    )


def _extent(
    container: av.container.InputContainer, streams: list[av.VideoStream | av.AudioStream]
) -> _Extent:
    """Read from the packets, because headers may be silent (live recordings) or wrong (broken copies)."""
    extent = _Extent()
    try:
        container.seek(0)
        for packet in container.demux(streams):
            if packet.pts is None or packet.time_base is None or packet.is_discard:
                continue
            start = packet.pts * packet.time_base
            extent.first_s = start if extent.first_s is None else min(extent.first_s, start)
            extent.last_s = max(extent.last_s, start + (packet.duration or 0) * packet.time_base)
            extent.pictures += packet.stream.type == "video"
    except av.error.FFmpegError:
        return extent  # a file that breaks off: what came before counts
    return extent


def _rate(film: av.VideoStream, extent: _Extent) -> float | None:
    """Pictures per second: what the file says where that is sane, else the number of pictures over time."""
    rate = float(film.average_rate or 0)
    if _USUAL_RATES[0] <= rate <= _USUAL_RATES[-1]:
        return round(rate, 3)
    return round(extent.pictures * 1000 / extent.ms, 3) if extent.ms else None


def _lost(container: av.container.InputContainer, extent: _Extent) -> Iterator[Notice]:
    declared_ms = (container.duration or 0) / 1000
    if declared_ms - extent.ms > max(_LOST_MS, _LOST_PART * declared_ms):
        yield Notice(
            code="media.cut_short",
            message=f"Only {extent.ms / 1000:.1f} of the {declared_ms / 1000:.1f} s that the file promises"
            " can be read.",
        )
