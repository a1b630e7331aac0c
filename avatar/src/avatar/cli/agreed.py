"""Who agreed to being imitated: the record beside a file, or one that is named."""

from __future__ import annotations

from pathlib import Path

from avatar.errors import InvalidInput
from avatar.spec import Consent


def consent_of(file: Path, named: Path | None) -> Consent | None:
    """The record in the named file, or in the one beside the file; None where there is none."""
    path = named or file.with_name(f"{file.name}.consent.json")
    if named is None and not path.is_file():
        return None
    try:
        return Consent.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "consent.unreadable",
            f"{path} holds no record of consent: {str(error).splitlines()[0]}.",
            'It is JSON: {"id": "…", "person": "…", "granted_at": "2026-01-31", "purpose": "…"}.',
        ) from error
