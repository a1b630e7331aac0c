"""Keeps the trained reader in a file, which `python -m agent.understanding.trained` writes.

Its key is the hash of what it is made from: corpus, languages and the code of the training.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from agent.understanding.classifier import Classifier
from agent.understanding.clauses import Divider
from agent.understanding.corpus import corpus_files, read_corpus
from agent.understanding.reader import Reader
from agent.understanding.spelling import Spelling
from agent.understanding.tagger import Tagger
from soundstage.telemetry import get_logger

FOLDER = Path(str(files("agent"))) / "understanding"
INSTALLED = FOLDER / "trained.npz"
"""Made by the installation, and a part of the wheel."""
FORMAT = 1
"""Counted up when the file changes its form."""
SOURCES = (
    "classifier", "clauses", "corpus", "sentence", "spelling", "tagger", "tokens", "training",
)  # fmt: skip
"""The modules whose code decides what is learned."""

_log = get_logger(__name__)


@cache
def content_key() -> str:
    """Returns the hash of what a reader is made from."""
    sources = [
        *corpus_files(),
        *sorted((FOLDER / "languages").glob("*.yaml")),
        *(FOLDER / f"{name}.py" for name in SOURCES),
    ]
    total = hashlib.sha256(f"format {FORMAT}".encode())
    for path in sources:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:20]


def cache_path() -> Path:
    """Returns where the file lies outside the installation."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache_folder / "soundstage" / "understanding" / f"{content_key()}.npz"


def save(reader: Reader, path: Path, key: str) -> None:
    """Writes the file in one step."""
    words = {
        "slots": {intent: sorted(slots) for intent, slots in sorted(reader.slots.items())},
        "lexicon": {slot: dict(sorted(meant.items())) for slot, meant in sorted(reader.lexicon.items())},
        "common_words": sorted(reader.common_words),
        "spelling": {} if reader.spelling is None else reader.spelling.counts,
    }
    arrays: dict[str, Any] = {
        "key": np.array(key),
        "words": np.frombuffer(json.dumps(words, ensure_ascii=False).encode(), np.uint8),
        **reader.classifier.arrays("intents"),
        **reader.tagger.arrays(),
    }
    for name, part in _optional_parts(reader):
        if part is not None:
            arrays |= part.arrays(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(f".{os.getpid()}")
    with staging.open("wb") as file:
        np.savez(file, **arrays)
    staging.replace(path)


def _optional_parts(reader: Reader) -> Iterator[tuple[str, Classifier | None]]:
    yield "divider", None if reader.divider is None else reader.divider.classifier
    yield "commands", reader.commands
    yield "text_slots", reader.text_slots


def load(path: Path, key: str | None = None) -> Reader | None:
    """Returns the reader of a file; None where there is none of that key."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if key is not None and str(file["key"]) != key:
                return None
            arrays: Mapping[str, Any] = {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    words = json.loads(arrays["words"].tobytes())
    divider = _part(arrays, "divider")
    return Reader(
        classifier=Classifier.load(arrays, "intents"),
        tagger=Tagger.load(arrays),
        slots={intent: frozenset(slots) for intent, slots in words["slots"].items()},
        lexicon=words["lexicon"],
        common_words=frozenset(words["common_words"]),
        divider=None if divider is None else Divider(divider),
        spelling=Spelling(words["spelling"]),
        commands=_part(arrays, "commands"),
        text_slots=_part(arrays, "text_slots"),
    )


def _part(arrays: Mapping[str, Any], name: str) -> Classifier | None:
    return Classifier.load(arrays, name) if f"{name}_labels" in arrays else None


def load_reader(*, train: bool = False, encoder: bool = False) -> Reader | None:
    """Returns the trained reader, one for the process. None, with one warning, where there is none: with
    `train` it is trained, which takes more than a minute of processor time. With `encoder` the sentence model
    reads, too, where it is installed.
    """
    for path in (INSTALLED, cache_path()):
        reader = _loaded(path, encoder) if path.exists() else None
        if reader is not None:
            return reader
    if train:
        return _loaded(make_file(), encoder)
    _warn_once()
    return None


@cache
def _loaded(path: Path, encoder: bool) -> Reader | None:
    if not encoder:
        return load(path, content_key())
    from agent.understanding.encoder import load_encoder

    reader = _loaded(path, False)
    return None if reader is None else replace(reader, encoder=load_encoder())


@cache
def _warn_once() -> None:
    _log.warning("agent.reader_not_trained", hint="Run python -m agent.understanding.trained, or make setup.")


def make_file() -> Path:
    """Trains the reader unless the cache has it, and returns its file; one process at a time."""
    path = cache_path()
    with _locked(path.with_name("lock")):
        if load(path, content_key()) is None:
            from agent.understanding.training import train_reader

            save(train_reader(read_corpus()), path, content_key())
    return path


def install() -> Path:
    """Puts the trained reader into the package, where the wheel takes it from."""
    if load(INSTALLED, content_key()) is None:
        staging = INSTALLED.with_suffix(".new")
        shutil.copyfile(make_file(), staging)
        staging.replace(INSTALLED)
    return INSTALLED


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    path = install()
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
