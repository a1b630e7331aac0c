"""Builds safe names for constructs of a dossier: its own names never become a path or code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from studio.slugs import slug_of

MAX_CHARS = 48


def safe_names(names: Iterable[tuple[str, str]], otherwise: str) -> Mapping[str, str]:
    """Returns a short unique name of a-z, 0-9 and - for each (id, name), in their order."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for key, name in names:
        base = slug_of(name, otherwise)[:MAX_CHARS].strip("-") or otherwise
        chosen, number = base, 1
        while chosen in taken:
            number += 1
            chosen = f"{base}-{number}"
        taken.add(chosen)
        found[key] = chosen
    return found
