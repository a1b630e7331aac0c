"""Verbs on pronunciations; called by the routes, and by the admission of every spec that is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avatar.spec import RenderSpec
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database, utcnow
from soundstage.errors import Invalid
from soundstage.views import read_view
from studio.pronunciations.models import PronunciationRow
from studio.pronunciations.repository import Pronunciations
from studio.pronunciations.schemas import MAX_WORDS, PronunciationChange, PronunciationView


@dataclass(frozen=True, slots=True)
class PronunciationService:
    db: Database

    async def list(self) -> Sequence[PronunciationView]:
        """By the alphabet."""
        async with self.db.session() as session:
            return [read_view(PronunciationView, row) for row in await Pronunciations(session).list()]

    async def change(self, change: PronunciationChange) -> Sequence[PronunciationView]:
        """Returns all that there are afterwards. A word to remove that is not there is no error. Raises
        Invalid `pronunciation.too_many`.
        """
        async with self.db.transaction() as session:
            pronunciations = Pronunciations(session)
            rows = {row.key: row for row in await pronunciations.list()}
            for word, spoken in change.pronunciation.items():
                key = word.casefold()
                row = rows.get(key)
                if spoken is None:
                    if row is not None:
                        await pronunciations.delete(rows.pop(key))
                elif row is None:
                    row = PronunciationRow(key=key, word=word, spoken=spoken)
                    rows[key] = await pronunciations.add(row)
                elif (row.word, row.spoken) != (word, spoken):
                    row.word, row.spoken, row.updated_at = word, spoken, utcnow()
            if len(rows) > MAX_WORDS:
                raise Invalid(
                    "pronunciation.too_many",
                    f"That would be {len(rows)} pronunciations; the installation has room for {MAX_WORDS}.",
                    "Remove some that no script uses, or set them in the project that does.",
                )
            return [read_view(PronunciationView, row) for _, row in sorted(rows.items())]


async def pronunciations_of(session: AsyncSession, spec: RenderSpec) -> dict[str, str]:
    """Returns those of a film and, for other words of its scripts, those of the installation. Words that no
    script has are left out: a render says what it was made of.
    """
    own = {word.strip().casefold() for word in spec.pronunciation}
    scripts = " ".join(scene.script or "" for scene in spec.scenes).casefold()
    found = {
        row.word: row.spoken
        for row in await Pronunciations(session).list()
        if row.key not in own and row.key in scripts
    }
    found = dict(list(found.items())[: max(0, MAX_WORDS - len(spec.pronunciation))])
    return {**found, **spec.pronunciation}
