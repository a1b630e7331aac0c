"""Names for URLs and files made from titles in any script; used by projects, personas and published
videos.
"""

from __future__ import annotations

import re
import unicodedata

MAX_SLUG_CHARS = 60


def slug_of(title: str, fallback: str = "untitled") -> str:
    """Lower-case ASCII letters, digits and single hyphens. What has no ASCII form is left out."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug[:MAX_SLUG_CHARS].rstrip("-") or fallback
