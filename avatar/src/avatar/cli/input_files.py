"""Keeps the files that a command line reads apart from those that it writes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from avatar.pipeline.files import Companions, require_other_files
from avatar.spec.consent_file import consent_file

READ = ("spec", "image", "file", "video", "audio", "transcript", "source", "driving", "consent")
WRITTEN = ("out", "target", "shown", "save_template")
SHOWN_WITH_CONSENT = ("video", "source")


def require_inputs_unchanged(arguments: Namespace) -> None:
    """Of all verbs that make files: what a spec refers to is looked at where the spec is read.

    Raises `InvalidInput` (`output.overwrites_input`).
    """
    inputs = _paths(arguments, READ)
    inputs += [consent_file(path) for path in _paths(arguments, SHOWN_WITH_CONSENT)]
    for target in _paths(arguments, WRITTEN):
        require_other_files(target, _files_of(target), inputs)


def _paths(arguments: Namespace, names: tuple[str, ...]) -> list[Path]:
    named = (getattr(arguments, name, None) for name in names)
    return [path for path in named if path is not None]


def _files_of(target: Path) -> list[Path]:
    if target.suffix.lower() != ".mp4":
        return [target]
    beside_it = Companions.of(target)
    return [target.parent / name for name in (beside_it.video, beside_it.provenance)]
