"""States of a publication. One function moves it; the docs draw this table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from soundstage.errors import Conflict


class PublicationState(StrEnum):
    """queued: waits for its turn or for quota; uploading: bytes travel; processing: YouTube has them all."""

    QUEUED = "queued"
    UPLOADING = "uploading"
    PROCESSING = "processing"
    PUBLISHED = "published"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({PublicationState.PUBLISHED, PublicationState.FAILED, PublicationState.CANCELLED})
ACTIVE = frozenset({PublicationState.QUEUED, PublicationState.UPLOADING, PublicationState.PROCESSING})

PUBLICATION_TRANSITIONS: Mapping[PublicationState, frozenset[PublicationState]] = {
    PublicationState.QUEUED: frozenset(
        {PublicationState.UPLOADING, PublicationState.FAILED, PublicationState.CANCELLED}
    ),
    # Back to queued: the quota of the day is used up.
    PublicationState.UPLOADING: frozenset(
        {
            PublicationState.PROCESSING,
            PublicationState.QUEUED,
            PublicationState.FAILED,
            PublicationState.CANCELLED,
        }
    ),
    # No way to cancelled: the video is on YouTube already, and only a person may delete it there.
    PublicationState.PROCESSING: frozenset({PublicationState.PUBLISHED, PublicationState.FAILED}),
    PublicationState.PUBLISHED: frozenset(),
    # A person asked for another try; what has arrived already goes on from there.
    PublicationState.FAILED: frozenset({PublicationState.QUEUED, PublicationState.PROCESSING}),
    PublicationState.CANCELLED: frozenset({PublicationState.QUEUED}),
}


def move(current: PublicationState, target: PublicationState) -> PublicationState:
    """The new state; raises `publication.bad_transition` for a move that the table does not hold."""
    if target not in PUBLICATION_TRANSITIONS[current]:
        raise Conflict(
            "publication.bad_transition",
            f"A publication that is {current} cannot become {target}.",
            "Read it again: something else has changed it meanwhile.",
        )
    return target
