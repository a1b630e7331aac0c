"""Cues as files and as a track of the film: WebVTT, SubRip and MPEG-4 timed text; assembly calls it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeAlias, cast

import av
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream

from avatar.compose.cues import Cue

SubtitlePacket: TypeAlias = "av.Packet[SubtitleStream]"
_MS = Fraction(1, 1000)
_STYLE = (
    "[Script Info]\nScriptType: v4.00+\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour,"
    " SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY,"
    " Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
    "Style: Default,Sans,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\n"
    "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
"""FFmpeg's encoder takes the style of timed text from a header in the form of SubStation Alpha."""

ISO_639_2_TEXT = """
af afr am amh ar ara az aze be bel bg bul bn ben bs bos ca cat cs ces cy cym da dan de deu el ell en eng
eo epo es spa et est eu eus fa fas fi fin fr fra ga gle gl glg gu guj he heb hi hin hr hrv hu hun hy hye
id ind is isl it ita ja jpn jv jav ka kat kk kaz km khm kn kan ko kor ku kur ky kir la lat lb ltz lo lao
lt lit lv lav mi mri mk mkd ml mal mn mon mr mar ms msa mt mlt my mya nb nob ne nep nl nld nn nno no nor
pa pan pl pol ps pus pt por ro ron ru rus sd snd si sin sk slk sl slv so som sq sqi sr srp sv swe sw swa
ta tam te tel tg tgk th tha tk tuk tl tgl tr tur tt tat ug uig uk ukr ur urd uz uzb vi vie yo yor yue yue
zh zho zu zul cmn zho
"""
_CODES = ISO_639_2_TEXT.split()
_ISO_639_2 = dict(zip(_CODES[::2], _CODES[1::2], strict=True))


def iso_639_2(language: str) -> str:
    """The three letters by which MP4 names a language tag such as `en-us`; `und` for one unknown here."""
    first = language.casefold().partition("-")[0].partition("_")[0]
    return first if first in _ISO_639_2.values() else _ISO_639_2.get(first, "und")


def add_subtitles(container: OutputContainer, language: str) -> SubtitleStream:
    """A track of timed text (3GPP TS 26.245), which players offer as captions."""
    stream = container.add_stream("mov_text")
    if not isinstance(stream, SubtitleStream):
        raise TypeError("mov_text is no subtitle stream")
    stream.codec_context.subtitle_header = _STYLE.encode()
    stream.time_base = _MS
    stream.metadata["language"] = language
    return stream


def subtitle_packets(cues: Iterable[Cue], stream: SubtitleStream) -> Iterator[SubtitlePacket]:
    """One sample a cue: two bytes of length, then UTF-8. The muxer fills the time between with empty ones."""
    for cue in cues:
        text = "\n".join(cue.lines).encode()
        packet = cast(SubtitlePacket, av.Packet(len(text).to_bytes(2, "big") + text))
        packet.pts = packet.dts = cue.start_ms
        packet.duration = cue.end_ms - cue.start_ms
        packet.time_base = _MS
        packet.stream = stream
        packet.is_keyframe = True
        yield packet


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
