"""Puts finished files under people's names into out_dir: whole or not at all, and never over another
video.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from studio.slugs import slug_of

SUFFIX_OF_ROLE = {
    "video": ".mp4",
    "vtt": ".vtt",
    "srt": ".srt",
    "poster": ".png",
    "provenance": ".provenance.json",
}
SHORT_ID_CHARS = 6


def file_names(title: str, render_id: str, roles: Sequence[str]) -> dict[str, str]:
    """role -> name. The end of the id is random, so two videos of one title do not meet."""
    stem = f"{slug_of(title, 'video')}-{render_id[-SHORT_ID_CHARS:]}"
    return {role: stem + SUFFIX_OF_ROLE[role] for role in roles if role in SUFFIX_OF_ROLE}


def free_names(names: Mapping[str, str], out_dir: Path, ours: frozenset[str] = frozenset()) -> dict[str, str]:
    """`names` (role -> name), with a number where another file has the name; those in `ours` may be there."""
    return {
        role: next(name for name in _numbered(first_choice) if name in ours or not (out_dir / name).exists())
        for role, first_choice in names.items()
    }


def deliver(
    files: Mapping[str, Path], out_dir: Path, *, replaceable: frozenset[str] = frozenset()
) -> list[str]:
    """Copies `files` (name -> source) into `out_dir`; returns the names they got.

    Every file is copied under a hidden name first, and renamed only when all copies are complete. A name that
    is taken gets a number, unless it is in `replaceable` (left by an earlier attempt of the same render).
    Raises OSError, and then no file of this call remains.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    halves: dict[str, Path] = {}
    placed: list[Path] = []
    try:
        for name, source in files.items():
            half = halves[name] = out_dir / f".{secrets.token_hex(8)}.part"
            _copy(source, half)
        for name, half in halves.items():
            placed.append(_name(half, out_dir / name, replace=name in replaceable))
    except OSError:
        for path in placed:
            path.unlink(missing_ok=True)
        raise
    finally:
        for half in halves.values():
            half.unlink(missing_ok=True)
    return [path.name for path in placed]


def delete_delivered_files(names: Sequence[str], out_dir: Path) -> None:
    """Deletes files that `deliver` has copied into `out_dir`."""
    for name in names:
        if name == Path(name).name:
            (out_dir / name).unlink(missing_ok=True)


def _copy(source: Path, half: Path) -> None:
    with source.open("rb") as reading, half.open("xb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())


def _name(half: Path, first_choice: Path, *, replace: bool) -> Path:
    """`link` fails when the name is taken, which `rename` would not."""
    if replace:
        half.replace(first_choice)
        return first_choice
    for name in _numbered(first_choice.name):
        with suppress(FileExistsError):
            os.link(half, first_choice.with_name(name))
            return first_choice.with_name(name)
    raise FileExistsError(first_choice.name)


def _numbered(name: str) -> Iterator[str]:
    """film.mp4, film-2.mp4, film-3.mp4, …"""
    stem, dot, ending = name.partition(".")
    yield name
    for number in itertools.count(2):
        yield f"{stem}-{number}{dot}{ending}"
