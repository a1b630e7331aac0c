"""Mixes decoded sound to one channel at one rate; all that reads sound files calls it."""

from __future__ import annotations

import av
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from avatar.errors import InvalidInput


class MonoResampler:
    """Frames of one format in, mono frames of `rate_hz` in the sample format `samples` out.

    `file` names in errors what is read.
    """

    def __init__(self, samples: str, rate_hz: int, file: str, *, frame_size: int | None = None) -> None:
        self._resampler = AudioResampler(samples, "mono", rate_hz, frame_size=frame_size)
        self._file = file

    def resample(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        """Returns the mixed samples of `frame`; with None the rest. Raises InvalidInput `audio.unmixable`."""
        try:
            return self._resampler.resample(frame)
        except (FFmpegError, MemoryError) as error:
            # Layouts that have no name have no rule for mixing either; absurd rates want terabytes.
            if frame is None:
                raise
            raise InvalidInput(
                "audio.unmixable",
                f"The sound of {self._file} has {frame.layout.nb_channels} channels"
                f" at {frame.sample_rate} Hz, which cannot be mixed to one voice.",
                "Export the track of the voice alone, as mono or stereo at 8 to 192 kHz.",
            ) from error
