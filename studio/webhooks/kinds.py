"""Events that webhooks can deliver, and their names."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The command line shows the kinds in a help page, which may not wait for the event store.
    from soundstage.events import Event


class WebhookKind(StrEnum):
    """A change of state has the state in its name, so that a receiver subscribes to the ends alone."""

    RENDER_CREATED = "render.created"
    RENDER_QUEUED = "render.queued"
    RENDER_PLACED = "render.placed"
    RENDER_RUNNING = "render.running"
    RENDER_DONE = "render.done"
    RENDER_FAILED = "render.failed"
    RENDER_CANCELLED = "render.cancelled"
    RENDER_WARNING = "render.warning"
    PUBLICATION_CREATED = "publication.created"
    PUBLICATION_QUEUED = "publication.queued"
    PUBLICATION_UPLOADING = "publication.uploading"
    PUBLICATION_PROCESSING = "publication.processing"
    PUBLICATION_PUBLISHED = "publication.published"
    PUBLICATION_FAILED = "publication.failed"
    PUBLICATION_CANCELLED = "publication.cancelled"


TEST = "webhook.test"
_KNOWN = frozenset(WebhookKind)


def kind_of(event: Event) -> str | None:
    """Returns the name of the event for webhooks; None for events without webhook, such as each step of
    progress.
    """
    subject, _, what = event.kind.partition(".")
    name = f"{subject}.{event.data.get('state')}" if what == "state" else event.kind
    return name if name in _KNOWN else None


def message_of(event: Event, kind: str) -> dict[str, Any]:
    """Returns what is told: `type`, `timestamp` and `data`, as the specification recommends."""
    return {
        "type": kind,
        "timestamp": event.at.isoformat(),
        "data": {**event.data, "event_id": event.id, "trace_id": event.trace_id},
    }
