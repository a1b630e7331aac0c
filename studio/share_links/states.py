"""The life of a link: the clock or a person ends it, and nothing revives it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from studio.share_links.models import ShareLink


class LinkState(StrEnum):
    """State of a link at one moment; a revoked one stays revoked when its time is over."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


def state_at(link: ShareLink, now: datetime) -> LinkState:
    """Returns the state of a link at the moment `now`."""
    if link.revoked_at is not None:
        return LinkState.REVOKED
    return LinkState.EXPIRED if link.expires_at <= now else LinkState.ACTIVE
