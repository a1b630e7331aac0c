"""The health of a running installation: cheap checks of what it needs, side by side; asked by the REST API,
`soundstage health` and the agent. What one machine needs is examined by `soundstage doctor`.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from agent.approvals.models import Approval
from agent.approvals.states import ApprovalState
from agent.experts import Router
from agent.mcp_servers import McpServers
from app.doctor import machine
from app.doctor.alerts import examine_alerts
from app.doctor.elsewhere import examine_farm, examine_machines
from app.machines_api import machines_api
from app.server.https import authority_folder
from app.worker_command import worker_command
from policy import Principal
from policy.audit import AuditLog
from policy.audit.watch import AuditWatch
from provisioning_api.certificates.server_certificate import expiry_of
from soundstage.blobs.repair import BlobRepair
from soundstage.database import Database, utcnow
from soundstage.database.counting import count_by, oldest_age_s
from soundstage.errors import SoundstageError
from soundstage.health import Check, InstallationHealth, amber, green, red
from soundstage.settings import Settings
from studio.personas.library import PersonaLibrary
from studio.state_metrics import read_queue_state

MAX_AGE_S = 10.0
TIMEOUT_S = 8.0
STUCK = timedelta(minutes=15)
APPROVAL_WAIT = timedelta(hours=1)
BACKUP_AGE = timedelta(hours=26)
CERTIFICATE_LEFT = timedelta(days=14)
MIN_FAILURES = 3
"""So many failed videos in a day, and none done, are no accident."""
NODE_EXPORTER = Path("/var/lib/prometheus/node-exporter")
"""Where the role backup writes its metrics."""
BACKUP_METRIC = "soundstage_backup_last_success_timestamp_seconds"


@dataclass
class HealthService:
    """Checks at most once in ten seconds, however many ask."""

    settings: Settings
    database: Database
    audit: AuditLog
    audit_watch: AuditWatch
    library: PersonaLibrary
    experts: Router
    mcp_servers: McpServers
    blob_repair: BlobRepair

    def __post_init__(self) -> None:
        self._checking = asyncio.Lock()
        self._found: InstallationHealth | None = None
        self._found_at = 0.0

    async def health(self) -> InstallationHealth:
        """Returns what the checks find; never raises for what they look for."""
        async with self._checking:
            if self._found is None or time.monotonic() - self._found_at > MAX_AGE_S:
                checks: Mapping[str, Callable[[], Awaitable[Check | None]]] = {
                    "videos": self._videos,
                    "disk": self._disk,
                    "files": self._files,
                    "workers": self._workers,
                    "personas": self._personas,
                    "machines": self._machines,
                    "language models": self._models,
                    "mcp servers": self._mcp,
                    "approvals": self._approvals,
                    "audit log": self._audit_log,
                    "certificates": self._certificates,
                    "backup": self._backup,
                    "alerts": partial(examine_alerts, self.settings),
                }
                found = await asyncio.gather(*(_guarded(name, check) for name, check in checks.items()))
                self._found = InstallationHealth.of([one for one in found if one is not None], utcnow())
                self._found_at = time.monotonic()
            return self._found

    async def _videos(self) -> Check:
        state = await read_queue_state(self.database)
        begun = state.placed + state.running
        if state.queued and not begun and state.oldest_wait_s > STUCK.total_seconds():
            return red(
                "videos",
                f"{_count(state.queued, 'video waits', 'videos wait')}, the oldest for "
                f"{_span(state.oldest_wait_s)}, and none is being made",
                "`soundstage explain ID` tells what one waits for; if it names nothing, restart the server.",
                "render.queue_stuck",
            )
        if state.recently_failed >= MIN_FAILURES and not state.recently_done:
            return red(
                "videos",
                f"all {state.recently_failed} videos of the last 24 hours have failed",
                "`soundstage explain ID` tells why one has failed.",
                "render.all_failed",
            )
        # What no worker has begun waits, as in the queue's own view.
        return green("videos", f"{state.queued + state.placed} in the queue, {state.running} being made")

    async def _disk(self) -> Check:
        return await asyncio.to_thread(machine.disk, self.settings.state_dir.absolute())

    async def _files(self) -> Check | None:
        """None with a folder or one S3 server."""
        servers = 1 + len(self.settings.blobs.replica_endpoint_urls)
        if servers == 1:
            return None
        if (failure := self.blob_repair.failure) is None:
            compared = self.blob_repair.compared_s is not None
            found = (
                f"each is on {servers} S3 servers" if compared else f"{servers} S3 servers are being compared"
            )
            return green("files", found)
        fix = f"{failure.hint} The one that was away gets what it has missed by itself."
        found = f"new ones are not on all {servers} S3 servers: {failure.message}"
        return amber("files", found, fix, failure.code)

    async def _workers(self) -> Check:
        """Checks the nodes of the farm, or the program of this machine."""
        if self.settings.farm.scheduler == "nomad":
            return await examine_farm(self.settings)
        program = worker_command(self.settings)[0]
        if await asyncio.to_thread(shutil.which, program) is None:
            return red(
                "workers",
                f"the worker {program} is not there",
                "`soundstage doctor` says what it needs.",
                "worker.not_found",
            )
        return green("workers", "videos are made on this machine")

    async def _personas(self) -> Check:
        entries = await asyncio.to_thread(self.library.entries)
        broken = [entry.file for entry in entries if entry.error]
        if broken:
            fix = "`soundstage personas list` says what is wrong in them; the other personas work."
            return amber("personas", f"files that cannot be read: {', '.join(broken)}", fix, "persona.broken")
        return green("personas", f"{len(entries)} can speak")

    async def _machines(self) -> Check | None:
        """Checks the provisioning API and its failed machines; None without a key for it."""
        found = await examine_machines(self.settings)
        if not found or found[0].fix:
            return found[0] if found else None
        async with machines_api(self.settings, Principal.local_admin("soundstage")) as api:
            failed = await api.get("/api/machines", state="failed")
        if failed:
            names = ", ".join(str(one["name"]) for one in failed[:5])
            fix = f"`soundstage machines show {failed[0]['name']}` tells why and what to do."
            return amber(
                "machines",
                f"{_count(len(failed), 'machine has', 'machines have')} failed: {names}",
                fix,
                "machine.failed",
            )
        return found[0]

    async def _models(self) -> Check | None:
        """None where no language model is set."""
        survey = await self.experts.survey()
        if not survey.experts:
            return None
        well = [one.name for one in survey.experts if one.state == "well"]
        if well:
            return green("language models", f"{len(well)} of {len(survey.experts)} answer")
        return amber(
            "language models",
            "none answers: only fixed sentences are understood",
            "`soundstage experts` shows them; start the server of one.",
            "model.none",
        )

    async def _mcp(self) -> Check | None:
        views = self.mcp_servers.views()
        failing = [one for one in views if one.state == "failing"]
        if failing:
            fix = "`soundstage mcp-servers list` shows why."
            names = ", ".join(one.name for one in failing)
            return amber("mcp servers", f"servers that do not answer: {names}", fix, "mcp_server.failing")
        return green("mcp servers", f"{len(views)} in use") if views else None

    async def _approvals(self) -> Check:
        pending = (await count_by(self.database, Approval.state)).get(ApprovalState.PENDING, 0)
        oldest_s = await oldest_age_s(
            self.database, Approval.created_at, Approval.state == ApprovalState.PENDING
        )
        if not pending:
            return green("approvals", "none waits")
        found = f"{_count(pending, 'call waits', 'calls wait')} for approval"
        if oldest_s > APPROVAL_WAIT.total_seconds():
            found = f"{found}, the oldest for {_span(oldest_s)}"
        return amber(
            "approvals", found, "`soundstage approvals list`, then approve or deny.", "approval.waits"
        )

    async def _audit_log(self) -> Check:
        verdict = self.audit_watch.verdict
        if verdict is None:
            return green("audit log", "checked within a minute of the start, then every hour")
        if verdict.broken_at is not None:
            return red(
                "audit log",
                f"broken at line {verdict.broken_at}: {verdict.reason}",
                "Save a copy of the database, then see `soundstage audit verify`.",
                verdict.code,
            )
        return green("audit log", f"all {verdict.lines} lines are as they were written")

    async def _certificates(self) -> Check | None:
        """None without HTTPS of our own."""
        if self.settings.http.tls == "off":
            return None
        end = await asyncio.to_thread(expiry_of, authority_folder(self.settings))
        if end is None:
            return green("certificates", "made at the first start")
        left, fix = end - utcnow(), "Restart the server: it makes a new one at each start."
        if left < timedelta():
            return red("certificates", f"the studio's ended on {end:%Y-%m-%d}", fix, "certificate.ended")
        if left < CERTIFICATE_LEFT:
            return amber("certificates", f"the studio's ends on {end:%Y-%m-%d}", fix, "certificate.ends")
        return green("certificates", f"the studio's is good until {end:%Y-%m-%d}")

    async def _backup(self) -> Check:
        taken = [await self.audit.last_of("backup.made"), await asyncio.to_thread(_backup_of_role)]
        newest = max((at for at in taken if at is not None), default=None)
        fix = "Run `soundstage backup FILE`, or the role backup on a farm."
        if newest is None:
            since = await self.audit.first_at()
            found = "no backup yet" if since is None else f"no backup since {since:%Y-%m-%d}"
            return amber("backup", found, fix, "backup.none")
        age = utcnow() - newest
        if age > BACKUP_AGE:
            return amber("backup", f"the newest is {_span(age.total_seconds())} old", fix, "backup.old")
        return green("backup", f"the newest is {_span(age.total_seconds())} old")


async def _guarded(name: str, check: Callable[[], Awaitable[Check | None]]) -> Check | None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await check()
    except SoundstageError as error:
        return red(name, error.message, error.hint, error.code)
    except (OSError, TimeoutError) as error:
        reason = f"no answer within {TIMEOUT_S:.0f} s" if isinstance(error, TimeoutError) else str(error)
        return red(name, reason, "See the log of the server.", "health.check_failed")


def _backup_of_role() -> datetime | None:
    """Returns when the role backup has succeeded last, as node-exporter reads it; None without it."""
    try:
        lines = [line for path in NODE_EXPORTER.glob("*.prom") for line in path.read_text().splitlines()]
        values = [line.split()[-1] for line in lines if line.startswith(BACKUP_METRIC)]
        return datetime.fromtimestamp(max(map(float, values)), tz=utcnow().tzinfo) if values else None
    except (OSError, ValueError):
        return None


def _count(number: int, singular: str, plural: str) -> str:
    return f"1 {singular}" if number == 1 else f"{number} {plural}"


def _span(seconds: float) -> str:
    for unit, length_s in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}s"
    return f"{seconds:.0f} seconds"
