"""REST of the installation's pronunciations."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from studio.guards import ReadProjects, UpdateProjects
from studio.pronunciations.schemas import PronunciationChange, PronunciationView
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/pronunciations", tags=["pronunciations"])


@router.get("")
async def list_pronunciations(studio: StudioDep, _: ReadProjects) -> Sequence[PronunciationView]:
    """By the alphabet. They hold for every film whose project, persona and scene have none of their own for
    the word.
    """
    return await studio.pronunciations.list()


@router.patch("")
async def change_pronunciations(
    change: PronunciationChange, studio: StudioDep, _: UpdateProjects
) -> Sequence[PronunciationView]:
    """Only the words that are named change; null removes one. Answers with all of them."""
    return await studio.pronunciations.change(change)
