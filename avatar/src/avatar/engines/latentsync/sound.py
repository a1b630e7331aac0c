"""Sound as the engine's stages take it: read a piece at a time, from memory or from a file of any length."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
_BYTES = 4


class Sound(Protocol):
    """float32 samples (n,) at 16 kHz, full scale 1: an array, or a file that is sliced like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Samples: ...


class SoundFile:
    """Bare float32 samples in a file. It is not mapped: pages of a map that were looked at count as memory
    of the process, and after a whole pass the sound lies in it from end to end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._samples = path.stat().st_size // _BYTES

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, part: slice, /) -> Samples:
        """A copy of that part; steps other than 1 are not known."""
        first, end, step = part.indices(self._samples)
        if step != 1:
            raise ValueError(f"a sound in a file is read sample by sample, not every {step}")
        count = max(0, end - first)
        return np.fromfile(self._path, np.float32, count=count, offset=first * _BYTES)
