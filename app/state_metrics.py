"""Reads the state gauges of the server process for `/metrics`."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

from agent.approvals.models import Approval
from agent.approvals.states import ApprovalState
from agent.triggers.models import Trigger
from app.server.https import authority_folder, studio_authority
from farm.nomad.state_metrics import read_farm_state
from provisioning_api.certificates.server_certificate import expiry_of
from soundstage.database.counting import count_by, oldest_age_s
from soundstage.settings import Settings
from soundstage.telemetry import metrics
from soundstage.telemetry.instruments import Sample
from studio.state_metrics import RARELY_S, read_studio_state

if TYPE_CHECKING:
    from app.composition import Services


def read_state(services: Services) -> None:
    """Adds all readers to the metrics of the server."""
    database, shown = services.database, services.metrics

    async def conversation() -> Iterable[Sample]:
        pending_s = await oldest_age_s(database, Approval.created_at, Approval.state == ApprovalState.PENDING)
        return (
            *metrics.APPROVALS.count((await count_by(database, Approval.state)).items()),
            metrics.APPROVAL_OLDEST_WAIT.sample(pending_s),
            *metrics.TRIGGERS.count((await count_by(database, Trigger.state)).items()),
        )

    async def process() -> Iterable[Sample]:
        free = await asyncio.to_thread(shutil.disk_usage, services.settings.state_dir)
        return (
            metrics.DATABASE_WRITERS.sample(database.writers),
            metrics.EVENT_FOLLOWERS.sample(services.events.followers),
            metrics.DISK_FREE.sample(free.free),
            metrics.INFO.sample(1, version("soundstage")),
            *metrics.VOICE_SESSIONS.count(
                Counter((*services.voice.states(), *services.live.states())).items()
            ),
        )

    async def certificates() -> Iterable[Sample]:
        return await asyncio.to_thread(_certificates, services.settings)

    read_studio_state(shown, database)
    if services.farm.placer is not None:
        read_farm_state(shown, services.farm.placer)
    shown.read_state(conversation)
    shown.read_state(process)
    shown.read_state(certificates, RARELY_S)


def _certificates(settings: Settings) -> list[Sample]:
    if settings.http.tls == "off":
        return []
    ends = {
        "studio": expiry_of(authority_folder(settings)),
        "studio authority": studio_authority(settings).certificate.not_valid_after_utc,
    }
    return [metrics.CERTIFICATE_EXPIRES.sample(end.timestamp(), name) for name, end in ends.items() if end]
