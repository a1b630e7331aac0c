"""The composition root of the provisioning process; called by its server, by `up` and by tests."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from app.migrating import PROVISIONING, migrate
from app.server.state_folders import secure_state_folders
from policy import Policy
from provisioning_api.state_metrics import read_provisioning_state
from provisioning_api.web import create_provisioning_app
from provisioning_api.wiring import Provisioning, build_provisioning
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.key_sealing import check_keys
from soundstage.settings import Settings
from soundstage.telemetry import Metrics
from soundstage.tracing.store import FOLDER, SpanStore

WRITER_QUEUE_TIMEOUT_S = 60.0
"""A thousand machines may call at once: who waits behind hundreds of short transactions still gets a turn."""


@dataclass(frozen=True, slots=True)
class ProvisioningProcess:
    """Everything that the provisioning process needs: a database of its own, with keys of its own."""

    settings: Settings
    database: Database
    policy: Policy
    metrics: Metrics
    traces: SpanStore
    services: Provisioning

    async def prepare(self) -> None:
        """Brings its database up to date."""
        await migrate(self.database, self.settings.state_dir, tree=PROVISIONING)
        await self.services.audit.start()

    def app(self) -> FastAPI:
        return create_provisioning_app(
            self.services, self.policy, self.metrics, self.traces, prepare=self.prepare
        )


def build_process(settings: Settings) -> ProvisioningProcess:
    secure_state_folders(settings)
    check_keys(settings.state_dir.absolute(), settings.sealing)
    database = Database(
        settings.provisioning_database_url,
        busy_timeout_ms=settings.database.busy_timeout_ms,
        writer_queue_timeout_s=WRITER_QUEUE_TIMEOUT_S,
    )
    events = EventStore(
        database, poll_s=settings.events.poll_ms / 1000, heartbeat_s=settings.events.heartbeat_s
    )
    services = build_provisioning(settings, database, events)
    return ProvisioningProcess(
        settings=settings,
        database=database,
        policy=Policy.open(settings, database, events),
        metrics=read_provisioning_state(services, settings.state_dir.absolute()),
        traces=SpanStore(settings.state_dir / FOLDER, "provisioning"),
        services=services,
    )
