"""Phones of a recording nobody has a text for, for `timed`: phone recognition, else loudness alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pocketsphinx import Decoder, set_loglevel

from avatar.speech.acoustic import FRAME_MS, MODEL_RATE_HZ, display_ipa, model_folder, model_sound
from avatar.speech.arpabet import IPA
from avatar.speech.sound import Levels, quiet_spans, quietest_moment
from avatar.tracks import Phone

WINDOW_MS = 20_000
EARLIEST_CUT_MS = 12_000
ENERGY_PHONE = "ə"
ENERGY_STEP_MS = 160


def recognise_phones(wav: Path, levels: Levels, length_ms: int) -> list[Phone]:
    """Returns the phones of an English phone loop; [] for none. Windows are cut at the quietest moment."""
    set_loglevel("FATAL")
    decoder = Decoder(
        hmm=str(model_folder() / "en-us"),
        allphone=str(model_folder() / "en-us-phone.lm.bin"),
        lm=None,
        beam=1e-20,
        pbeam=1e-20,
        lw=2.0,
        loglevel="FATAL",
        samprate=MODEL_RATE_HZ,
    )
    phones: list[Phone] = []
    for start_ms, end_ms in _windows(levels, length_ms):
        decoder.start_utt()
        decoder.process_raw(model_sound(wav, start_ms, end_ms).tobytes(), full_utt=True)
        decoder.end_utt()
        for segment in decoder.seg() or ():
            ipa = IPA.get(segment.word)
            if ipa is None:
                continue
            start = start_ms + segment.start_frame * FRAME_MS
            end = min(start_ms + (segment.end_frame + 1) * FRAME_MS, end_ms)
            phones.append(Phone(display_ipa(segment.word, ipa, end - start), start, end))
    return phones


def _windows(levels: Levels, length_ms: int) -> Iterator[tuple[int, int]]:
    start = 0
    while length_ms - start > WINDOW_MS:
        cut = quietest_moment(levels, start + EARLIEST_CUT_MS, start + WINDOW_MS)
        yield start, cut
        start = cut
    if start < length_ms:
        yield start, length_ms


def energy_phones(levels: Levels, length_ms: int) -> list[Phone]:
    """A neutral vowel wherever it is not quiet; timing lets the loudness open the mouth."""
    phones: list[Phone] = []
    at = 0
    for start, end in [*quiet_spans(levels, 60), (length_ms, length_ms)]:
        phones += [
            Phone(ENERGY_PHONE, begin, min(begin + ENERGY_STEP_MS, start))
            for begin in range(at, start, ENERGY_STEP_MS)
        ]
        at = max(at, end)
    return phones
