"""Says why a rendition or a thumbnail cannot be shown (yet)."""

from __future__ import annotations

from soundstage.database import Database
from soundstage.errors import NotFound, SoundstageError, Unavailable
from studio.references.repository import References
from studio.renditions.single_flight import Refusals


def rendition_refusals(kind: str) -> Refusals:
    return Refusals(
        busy=lambda pending: Unavailable(
            "rendition.busy",
            f"{pending} renditions of the kind {kind} are being made or wait already.",
            "Ask again in a minute.",
            headers={"Retry-After": "60"},
        ),
        not_ready=lambda: Unavailable(
            "rendition.not_ready",
            f"The {kind} is being made.",
            "Ask again in a few seconds.",
            headers={"Retry-After": "5"},
        ),
    )


async def missing_rendition(db: Database, owner: str, sha256: str) -> SoundstageError:
    """Return why there is none although it was made or cancelled: its original is gone, or it was stopped."""
    async with db.session() as session:
        is_held = sha256 in await References(session).sizes_of(owner)
    if is_held:
        return rendition_stopped()
    return NotFound("rendition.gone", "The original was deleted meanwhile.", "Upload it again.")


def rendition_stopped() -> Unavailable:
    return Unavailable("rendition.stopped", "The worker was stopped.", "Ask again.")
