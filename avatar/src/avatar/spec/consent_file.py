"""The record of a consent as a file beside the photo, video or sound it is for: `in.mp4.consent.json`."""

from __future__ import annotations

from pathlib import Path

from avatar.spec.persona import Consent

EXAMPLE = '{"id": "cns_1", "person": "Ada Example", "granted_at": "2026-01-31", "purpose": "course videos"}'
"""What such a file holds, for hints."""


def consent_file(media: Path) -> Path:
    return media.with_name(f"{media.name}.consent.json")


def read_consent(file: Path) -> Consent:
    """Raises OSError, or ValueError where it holds no record."""
    return Consent.model_validate_json(file.read_bytes())
