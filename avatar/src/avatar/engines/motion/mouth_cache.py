"""The inside of one person's mouth, kept on disk beside the track for the next render; the engine asks it.

To take it from the footage means to decode as far as its clearest frame, which delays the first picture.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from avatar.engines.mesh.interior import MouthInterior
from avatar.engines.mesh.palette import MouthPalette
from avatar.engines.mesh.teeth import Plate

_FORMAT = 1
_PLATES = ("upper", "lower", "tongue")


@dataclass(frozen=True, slots=True)
class CachedMouth:
    """The interior, and the step of the footage that its upper teeth come from (None: they are drawn)."""

    interior: MouthInterior
    teeth_from_step: int | None


class MouthCache:
    """One file in `folder`, named by the `facts` (JSON) that the mouth follows from."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        key = hashlib.sha256(json.dumps({"format": _FORMAT, **facts}, sort_keys=True).encode()).hexdigest()
        self._path = folder / f"mouth-{key[:32]}.npz"

    def load(self) -> CachedMouth | None:
        """None when it is not there, or cannot be read."""
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                palette = MouthPalette(**{one.name: stored[one.name] for one in fields(MouthPalette)})
                plates = {name: _plate(stored[f"{name}_pixels"], stored[f"{name}_grid"]) for name in _PLATES}
                step = int(stored["teeth_from_step"])
        except (OSError, ValueError, KeyError, BadZipFile):
            return None
        return CachedMouth(MouthInterior(palette, **plates), step if step >= 0 else None)

    def save(self, mouth: CachedMouth) -> None:
        """The file appears whole or not at all."""
        arrays = asdict(mouth.interior.palette)
        for name in _PLATES:
            plate: Plate = getattr(mouth.interior, name)
            arrays[f"{name}_pixels"] = plate.pixels
            arrays[f"{name}_grid"] = np.array([plate.per_e, *plate.origin], np.float64)
        step = -1 if mouth.teeth_from_step is None else mouth.teeth_from_step
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, suffix=".part", delete=False) as part:
            np.savez(part, **arrays, teeth_from_step=np.array(step))
        Path(part.name).replace(self._path)


def _plate(pixels: Any, grid: Any) -> Plate:
    per_e, across, down = (float(value) for value in grid)
    return Plate(pixels, per_e, (across, down))
