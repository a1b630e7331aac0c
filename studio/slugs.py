"""Names for URLs and files made from titles in any script; used by projects, personas and published
videos.
"""

from __future__ import annotations

import re
import unicodedata

MAX_SLUG_CHARS = 60
# What NFKD does not break up, and what German and Scandinavian readers write without the letter.
_SPELT_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "œ": "oe", "ł": "l"}
)


def slug_of(title: str, fallback: str = "untitled") -> str:
    """Returns lower-case ASCII letters, digits and single hyphens: `ß` becomes `ss`, `ä` becomes `ae`.

    What has no ASCII form is left out.
    """
    spelt = unicodedata.normalize("NFC", title).lower().translate(_SPELT_OUT)
    plain = unicodedata.normalize("NFKD", spelt).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug[:MAX_SLUG_CHARS].rstrip("-") or fallback
