"""Names of our own for things that a dossier names: what it writes never becomes a path or code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from studio.slugs import slug_of

MAX_CHARS = 48


def safe_names(wanted: Iterable[tuple[str, str]], otherwise: str) -> Mapping[str, str]:
    """A short name of a-z, 0-9 and - for each (id, name), all different, in their order."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for key, name in wanted:
        base = slug_of(name, otherwise)[:MAX_CHARS].strip("-") or otherwise
        chosen, number = base, 1
        while chosen in taken:
            number += 1
            chosen = f"{base}-{number}"
        taken.add(chosen)
        found[key] = chosen
    return found
