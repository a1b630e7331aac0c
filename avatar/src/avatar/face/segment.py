"""The port to background removal: which pixels are the person. For portraits, motion video and compose."""

from __future__ import annotations

from typing import Protocol

from avatar.face.landmarks import Mask, Picture


class PersonSegmenter(Protocol):
    """Tells people from background. One thread at a time: open one segmenter per thread."""

    def mask(self, image_bgr: Picture) -> Mask:
        """float32 (h, w) of a (h, w, 3) BGR picture: 1 on a person, 0 on the background, soft between."""
        ...

    def close(self) -> None: ...


def open_segmenter() -> PersonSegmenter:
    """The embedded segmenter: MediaPipe selfie segmentation, edges refined by a guided filter.

    Raises Unavailable `face.unavailable` where MediaPipe is not installed.
    """
    from avatar.face.mediapipe_adapter import MediaPipeSegmenter

    return MediaPipeSegmenter()
