"""Wire types of links to videos."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from soundstage.moments import Moment
from soundstage.one_line import OneLine
from studio.share_links.states import LinkState


class ShareLinkDraft(BaseModel, extra="forbid"):
    name: OneLine = Field(
        default="", max_length=100, description="who or what it is for; viewers do not see it"
    )
    expires_at: Moment = Field(description="when it ends; a year ahead at most")


class ShareLinkView(BaseModel):
    """`uses` counts how often its page was opened; `last_used_at` is to the minute."""

    id: str
    render_id: str
    name: str
    state: LinkState
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    uses: int


class CreatedShareLink(ShareLinkView):
    """With the address, which is shown this once and never again."""

    url: str
