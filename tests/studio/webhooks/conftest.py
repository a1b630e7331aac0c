"""A receiver on loopback that checks signatures and answers as ordered."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from loopback_http import CUT, Reply, Request, serving

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.settings import Settings
from studio.outgoing import Outgoing, build_outgoing, webhook_destinations
from studio.webhooks.schemas import CreatedWebhook, WebhookDraft
from studio.webhooks.sender import SenderOptions


@dataclass
class Got:
    """One call, as the receiver saw it."""

    id: str
    timestamp: int
    signatures: list[str]
    body: str
    headers: dict[str, str]

    @property
    def data(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded

    def signed_with(self, secret: str) -> bool:
        """As a receiver computes it from the specification alone."""
        key = b64decode(secret.split("_", 1)[1])
        mac = hmac.new(key, f"{self.id}.{self.timestamp}.{self.body}".encode(), sha256).digest()
        return f"v1,{b64encode(mac).decode()}" in self.signatures


@dataclass
class Receiver:
    """`answers` are given in order, then 204. None cuts the connection; a number of seconds is waited out."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: list[Reply | float | None] = field(default_factory=list)

    async def __call__(self, request: Request) -> Reply | None:
        body = (await request.body()).decode()
        headers = request.headers
        self.got.append(
            Got(
                headers["webhook-id"],
                int(headers["webhook-timestamp"]),
                headers["webhook-signature"].split(" "),
                body,
                headers,
            )
        )
        answer = self.answers.pop(0) if self.answers else Reply(204)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return CUT
        return answer


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    created = Receiver()
    async with serving(created) as url:
        created.url = f"{url}/hook?of=mine"
        yield created


Start = Callable[[], Any]


@pytest.fixture
def start(settings: Settings, db: Database, events: EventStore, blobs: BlobStore) -> Start:
    """`async with start() as outgoing:` is the server process as far as webhooks go."""

    @asynccontextmanager
    async def started() -> AsyncIterator[Outgoing]:
        options = SenderOptions(
            webhook_destinations(settings),
            timeout_s=60,
            keep=timedelta(days=30),
            waits_s=(0.01, 0.02, 0.02),
            answer_bodies=settings.webhooks.answer_bodies,
        )
        built = build_outgoing(settings, db, events, blobs, sender_options=options, poll_s=0.02)
        async with built:
            yield built

    return started


@pytest.fixture
async def outgoing(start: Start) -> AsyncIterator[Outgoing]:
    async with start() as started:
        yield started


@pytest.fixture
async def webhook(outgoing: Outgoing, receiver: Receiver) -> CreatedWebhook:
    return await outgoing.webhooks.create(WebhookDraft(url=receiver.url), created_by="a test")


@pytest.fixture
def happen(db: Database, events: EventStore) -> Callable[..., Awaitable[None]]:
    """Something happens to a render."""

    async def tell(*states: str, kind: str = "render.state") -> None:
        async with db.transaction() as session:
            for state in states:
                data = {"id": "rnd_1", "state": state, "title": "Grüße"}
                await events.append(session, "render:rnd_1", kind, data, trace_id="1" * 32)

    return tell
