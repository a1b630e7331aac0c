"""The composition root of the provisioning process; called by its server, by `up` and by tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from app.migrating import PROVISIONING, migrate
from app.restores import finish_before_use, note_finished
from app.server.state_folders import secure_state_folders
from policy import Policy
from policy.audit.head import KEY_FILE
from policy.audit.recorded_head import Origin
from provisioning_api.restored import Closed
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
        """Makes what is missing of the private keys, brings the database up to date, and finishes a restore.

        Raises Conflict `restore.unproven_log` for a backup whose audit log nothing proves.
        """
        await asyncio.to_thread(self.services.make_keys)
        await migrate(self.database, self.settings.state_dir, tree=PROVISIONING)
        audit, folder = self.services.audit, self._folder
        key = folder / "keys" / KEY_FILE

        async def finish() -> Origin:
            return (await self.finish_restore()).log

        name = "audit log of machines"
        await finish_before_use(self.database, finish, audit.adopt_restored, folder, key, name)
        await audit.start()

    async def finish_restore(self, *, accept_unproven: bool = False) -> Closed:
        """Closes what was open when the backup was made that the database came from."""
        closed = await self.services.restored.close_pending(accept_unproven=accept_unproven)
        if accept_unproven or not closed.log.unproven:
            await note_finished(self.database, self._folder)
        return closed

    @property
    def _folder(self) -> Path:
        return self.settings.state_dir.absolute() / "provisioning"

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
