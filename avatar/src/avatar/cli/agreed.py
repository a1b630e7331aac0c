"""Who agreed to being imitated: the record beside a file, or one that is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avatar.errors import InvalidInput
from avatar.spec import Consent

_HINT = 'It is JSON: {"id": "…", "person": "…", "granted_at": "2026-01-31", "purpose": "…"}.'


def consent_of(file: Path, named: Path | None) -> Consent | None:
    """The record in the named file, or in the one beside the file; None where there is none."""
    path = named or beside(file)
    if named is None and not path.is_file():
        return None
    try:
        return Consent.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "consent.unreadable",
            f"{path} holds no record of consent: {str(error).splitlines()[0]}.",
            _HINT,
        ) from error


def beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.consent.json")


@contextmanager
def asking_consent(file: Path) -> Iterator[None]:
    """Says of a face nobody agreed to where this verb looks for the record; a spec has another place."""
    try:
        yield
    except InvalidInput as error:
        if error.code != "consent.required":
            raise
        raise InvalidInput(
            "consent.required",
            error.message,
            f"Record who agreed in {beside(file)}, or in a file that --consent names. {_HINT}",
        ) from error
