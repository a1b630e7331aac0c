"""All SQL on pronunciations."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from soundstage.database.repository import Repository
from studio.pronunciations.models import PronunciationRow


class Pronunciations(Repository[PronunciationRow]):
    async def list(self) -> Sequence[PronunciationRow]:
        """By the alphabet."""
        return await self._all(select(PronunciationRow).order_by(PronunciationRow.key))
