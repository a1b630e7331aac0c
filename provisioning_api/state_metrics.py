"""Reads the state gauges of the provisioning process for `/metrics`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from provisioning_api.certificates.issuer import CERTIFICATES
from provisioning_api.certificates.server_certificate import expiry_of
from provisioning_api.enrolment.repository import Credentials
from provisioning_api.healing.models import HealingCase
from provisioning_api.machines.models import Machine
from provisioning_api.runs.models import Run
from provisioning_api.wiring import Provisioning
from soundstage.database.counting import count_by
from soundstage.telemetry import Metrics, metrics
from soundstage.telemetry.instruments import Sample

RARELY_S = 60.0


def read_provisioning_state(services: Provisioning, state_dir: Path) -> Metrics:
    """Returns the metrics of the provisioning process."""
    shown, database = Metrics("provisioning"), services.db

    async def work() -> Iterable[Sample]:
        return (
            *metrics.MACHINES.count((await count_by(database, Machine.state)).items()),
            *metrics.HEALING_CASES.count((await count_by(database, HealingCase.state)).items()),
            *metrics.RUNS_OPEN.count((await count_by(database, Run.state)).items()),
            metrics.DATABASE_WRITERS.sample(database.writers),
            metrics.EVENT_FOLLOWERS.sample(services.events.followers),
            metrics.INFO.sample(1, version("soundstage")),
        )

    async def certificates() -> Iterable[Sample]:
        free = await asyncio.to_thread(shutil.disk_usage, state_dir)
        async with database.session() as session:
            members = (await Credentials(session).last_end_of(CERTIFICATES)).values()
        ends = {
            "provisioning": await asyncio.to_thread(expiry_of, state_dir / "provisioning" / "tls"),
            "provisioning authority": services.tls.certificate.not_valid_after_utc,
            "machines": min(members, default=None),
        }
        return (
            metrics.DISK_FREE.sample(free.free),
            *(
                metrics.CERTIFICATE_EXPIRES.sample(end.timestamp(), name)
                for name, end in ends.items()
                if end is not None
            ),
        )

    shown.read_state(work)
    shown.read_state(certificates, RARELY_S)
    return shown
