"""States of a publication. One function moves it; the docs draw this table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class PublicationState(StrEnum):
    """queued: waits for its turn or for quota; uploading: bytes travel; processing: YouTube has them all."""

    QUEUED = "queued"
    UPLOADING = "uploading"
    PROCESSING = "processing"
    PUBLISHED = "published"
    FAILED = "failed"
    CANCELLED = "cancelled"


P = PublicationState

PUBLICATION_TRANSITIONS = Transitions(
    PublicationState,
    {
        P.QUEUED: {P.UPLOADING, P.FAILED, P.CANCELLED},
        # Back to queued: the quota of the day is used up.
        P.UPLOADING: {P.PROCESSING, P.QUEUED, P.FAILED, P.CANCELLED},
        # No way to cancelled: the video is on YouTube already, and only a person may delete it there.
        P.PROCESSING: {P.PUBLISHED, P.FAILED},
        # A person asked for another try; what has arrived already goes on from there.
        P.FAILED: {P.QUEUED, P.PROCESSING},
        P.CANCELLED: {P.QUEUED},
    },
    lambda current, target: Conflict(
        "publication.bad_transition",
        f"A publication that is {current} cannot become {target}.",
        "Read it again: something else has changed it meanwhile.",
    ),
)
move = PUBLICATION_TRANSITIONS.move
TERMINAL = frozenset({P.PUBLISHED, P.FAILED, P.CANCELLED})
ACTIVE = frozenset(PublicationState) - TERMINAL
