"""Wire types of webhooks."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from studio.webhooks.kinds import WebhookKind
from studio.webhooks.states import DeliveryState


class WebhookDraft(BaseModel, extra="forbid"):
    url: str = Field(min_length=1, max_length=2000, description="https, or http to this machine")
    kinds: list[WebhookKind] = Field(default=[], description="what to tell of; none means everything")
    description: str = Field(default="", max_length=200)


class WebhookChange(BaseModel, extra="forbid"):
    """Change of a webhook; fields that are left out stay as they are."""

    url: str | None = Field(default=None, min_length=1, max_length=2000)
    kinds: list[WebhookKind] | None = None
    description: str | None = Field(default=None, max_length=200)
    active: bool | None = None


class WebhookView(BaseModel):
    """`ended_because` says why it is not active any more when it was not switched off by a user."""

    id: str
    url: str
    description: str
    kinds: list[WebhookKind]
    active: bool
    ended_because: str
    created_by: str
    created_at: datetime


class CreatedWebhook(WebhookView):
    """With the secret, which is shown this once and never again."""

    secret: str


class TryView(BaseModel):
    """`answer` is the beginning of the answer's body, empty unless `webhooks.answer_bodies` is set."""

    at: datetime
    duration_ms: int
    status: int | None
    answer: str
    error: str


class DeliveryView(BaseModel):
    """`id` is what the receiver sees as `webhook-id`, the same at every try."""

    id: str
    kind: str
    state: DeliveryState
    tries: int
    next_at: datetime | None
    created_at: datetime
    ended_at: datetime | None


class DeliveryLog(DeliveryView):
    """With every try, the oldest first."""

    log: list[TryView]


class DeliveryDetail(DeliveryLog):
    body: str
