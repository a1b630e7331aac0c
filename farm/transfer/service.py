"""Keeps tickets: which worker may fetch and upload what, its reports, and the end of its task."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from avatar.spec import Finished
from avatar.spec.work import UploadAddress, WorkEnd, WorkOrder, WorkReply, WorkReport
from sqlalchemy.ext.asyncio import AsyncSession

from farm.needs import Needs
from farm.tasks import SegmentTask, TaskInput
from farm.transfer.models import FarmTicket
from farm.transfer.repository import FarmTickets
from soundstage.blobs import BlobStore
from soundstage.database import Database, LocalLeases, lease_end, utcnow
from soundstage.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from soundstage.telemetry import metrics

Listener = Callable[[WorkReport], None]

FORGET_AFTER = timedelta(days=1)
SIGNED_FOR_S = 900
"""How long a signed address is good for beginning a transfer."""


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """A task of an earlier process. `end` is set when its worker has handed its files over."""

    task: SegmentTask
    job_id: str
    end: WorkEnd | None


@dataclass(slots=True)
class _Run:
    """One life of a worker on a task: a task whose node is lost gets a second one."""

    name: str
    seq: int = 0
    earlier: frozenset[str] = frozenset()
    """Lives before this one. Their node may come back, and then they must stop."""


class TransferService:
    """`environment` is where the values of the variables that tasks may see are taken from."""

    def __init__(self, db: Database, blobs: BlobStore, environment: Mapping[str, str] = os.environ) -> None:
        self._db = db
        self._blobs = blobs
        self._environment = environment
        self._listeners: dict[str, Listener] = {}
        self._runs: dict[str, _Run] = {}
        self._brought: dict[str, set[str]] = {}
        # Of each task: outputs that its worker may put into the bucket, and their sizes.
        self._signed: dict[str, dict[str, int]] = {}
        self._stopping: dict[str, bool] = {}
        """Tasks whose worker shall stop, and whether for good."""
        self._leases = LocalLeases[tuple[str, datetime]]()
        """Tokens whose end this process has set, with that end as their rows have it."""

    async def issue(self, task: SegmentTask, order: WorkOrder, job_id: str, lifetime_s: float) -> str:
        """Returns a new token of a task, this once. The token before is void."""
        token = secrets.token_urlsafe(32)
        async with self._db.transaction() as session:
            tickets = FarmTickets(session)
            ticket = await tickets.find(task.id)
            if ticket is None:
                ticket = FarmTicket(task_id=task.id, job_id=job_id)
            ticket.token_sha256 = _digest(token)
            ticket.task = asdict(task)
            ticket.order = order.model_dump(mode="json")
            ticket.variables = list(task.variables)
            await self._set_end(session, ticket, lifetime_s)
        return token

    async def delete_expired(self) -> None:
        """Deletes closed tickets whose token expired a day ago."""
        async with self._db.transaction() as session:
            await FarmTickets(session).delete_expired(utcnow() - FORGET_AFTER)

    async def open_tickets(self) -> list[OpenTicket]:
        """Tasks that an earlier process has left."""
        async with self._db.session() as session:
            return [
                OpenTicket(
                    _task(ticket),
                    ticket.job_id,
                    None if ticket.end is None else WorkEnd.model_validate(ticket.end),
                )
                for ticket in await FarmTickets(session).open()
            ]

    async def limit(self, task_id: str, lifetime_s: float) -> None:
        """The token is good for so long from now: called when the task has got a place."""
        async with self._db.transaction() as session:
            ticket = await FarmTickets(session).find(task_id)
            if ticket is not None:
                await self._set_end(session, ticket, lifetime_s)

    async def _set_end(self, session: AsyncSession, ticket: FarmTicket, lifetime_s: float) -> None:
        self._leases.release((ticket.task_id, ticket.expires_at))
        ticket.expires_at = lease_end(lifetime_s)
        await FarmTickets(session).add(ticket)
        await session.refresh(ticket, ["expires_at"])
        self._leases.renew((ticket.task_id, ticket.expires_at), lifetime_s)

    async def close(self, task_id: str) -> None:
        """Makes the token void; what still comes is refused."""
        async with self._db.transaction() as session:
            ticket = await FarmTickets(session).find(task_id)
            if ticket is not None:
                ticket.closed = True
                self._leases.release((task_id, ticket.expires_at))
        self._listeners.pop(task_id, None)
        self._runs.pop(task_id, None)
        self._brought.pop(task_id, None)
        self._signed.pop(task_id, None)
        self._stopping.pop(task_id, None)

    def listen(self, task_id: str, listener: Listener) -> None:
        """`listener` hears each report once, in its order."""
        self._listeners[task_id] = listener

    def ignore(self, task_id: str) -> None:
        """Drops the listener of this task's reports in this process; the reports are still stored."""
        self._listeners.pop(task_id, None)

    async def end_of(self, task_id: str) -> WorkEnd | None:
        """Returns how the task ended, if its worker has reported that."""
        async with self._db.session() as session:
            ticket = await FarmTickets(session).find(task_id)
            return None if ticket is None or ticket.end is None else WorkEnd.model_validate(ticket.end)

    def request_stop(self, task_id: str, *, for_good: bool = False) -> None:
        """Answers the next report of its worker with `stop`, also while Nomad is away; for_good: and with
        `forget`.
        """
        self._stopping[task_id] = for_good or self._stopping.get(task_id, False)

    async def admit(self, task_id: str, token: str) -> None:
        """Raises unless `token` is the one of this task, and still good."""
        async with self._db.session() as session:
            ticket = await FarmTickets(session).find(task_id)
        # Compared also when there is no such task, so that the time tells nothing.
        expected = ticket.token_sha256 if ticket is not None else ""
        if not hmac.compare_digest(expected, _digest(token)) or ticket is None:
            raise Unauthorized(
                "transfer.bad_token",
                "This token is not good for this task.",
                "A worker gets its token with its job; it opens nothing else.",
            )
        has_ended = self._leases.has_ended((task_id, ticket.expires_at))
        if ticket.closed or (ticket.expires_at <= utcnow() if has_ended is None else has_ended):
            raise Forbidden(
                "transfer.ended",
                "This task has ended or its time is over.",
                "The worker can stop; the farm has given its work to another one, or needs it no more.",
            )

    async def order(self, task_id: str) -> WorkOrder:
        async with self._db.session() as session:
            ticket = await _found(session, task_id)
            order = WorkOrder.model_validate(ticket.order)
            values = {name: self._environment[name] for name in ticket.variables if name in self._environment}
        return order.model_copy(update={"environment": {**order.environment, **values}})

    async def find_input(self, task_id: str, sha256: str, *, signed: bool) -> Path | str:
        """Returns the path of an input of this task; with `signed` its address in the bucket, where there is
        one. Any other blob is forbidden.
        """
        order = await self.order(task_id)
        if sha256 not in {*(file.sha256 for file in order.files), *(blob.sha256 for blob in order.blobs)}:
            raise Forbidden(
                "transfer.not_yours",
                "This file is no input of this task.",
                "A token opens the inputs of its own task only.",
            )
        address = await self._blobs.sign_download(sha256, SIGNED_FOR_S) if signed else None
        metrics.FARM_FILES.inc("input", "control" if address is None else "bucket")
        return address or await self._blobs.local_path(sha256)

    async def output_address(self, task_id: str, sha256: str, size: int, max_bytes: int) -> UploadAddress:
        """Returns where the worker puts an output itself. Without a URL it uploads the file to us, which then
        refuses what is too large. Raises StorageFull when the quota is used up.
        """
        signed = None if size > max_bytes else await self._blobs.sign_upload(sha256, size, SIGNED_FOR_S)
        if signed is None:
            return UploadAddress()
        self._signed.setdefault(task_id, {})[sha256] = size
        return UploadAddress(url=signed.url, headers=signed.headers)

    async def bring(
        self, task_id: str, sha256: str, chunks: AsyncIterator[bytes], media_type: str, max_bytes: int
    ) -> None:
        """Stores an output, which must have the hash that it is given under."""
        blob = await self._blobs.put_stream(chunks, media_type, max_bytes=max_bytes)
        if blob.sha256 != sha256:
            raise Invalid(
                "transfer.hash_mismatch",
                "The file that came is not the one whose hash was given.",
                "Send it again; if it stays, the disk or the memory of the node is faulty.",
            )
        self._brought.setdefault(task_id, set()).add(sha256)
        metrics.FARM_FILES.inc("output", "control")

    async def report(self, task_id: str, report: WorkReport) -> WorkReply:
        """Takes a report; one that has come before changes nothing."""
        run = self._runs.get(task_id)
        if run is not None and report.run in run.earlier:
            return self._reply(task_id, stop=True)
        if run is None or run.name != report.run:
            # A process of ours that has just started does not know how far a run was; any number is news.
            earlier = frozenset() if run is None else run.earlier | {run.name}
            run = self._runs[task_id] = _Run(report.run, earlier=earlier)
        if report.seq > run.seq:
            if report.end is not None:
                report = report.model_copy(update={"end": await self._keep(task_id, report.end)})
            run.seq = report.seq
            listener = self._listeners.get(task_id)
            if listener is not None:
                listener(report)
        return self._reply(task_id, stop=task_id in self._stopping)

    async def _find_uploads(self, task_id: str, named: set[str]) -> None:
        """Counts those as brought that lie in the bucket under an address that we signed for this task."""
        signed, brought = self._signed.get(task_id, {}), self._brought.setdefault(task_id, set())
        for sha256 in (named & signed.keys()) - brought:
            found = await self._blobs.complete_upload(sha256)
            if found is not None and found.bytes == signed[sha256]:
                brought.add(sha256)
                metrics.FARM_FILES.inc("output", "bucket")

    def _reply(self, task_id: str, *, stop: bool) -> WorkReply:
        return WorkReply(stop=stop, forget=self._stopping.get(task_id, False))

    async def _keep(self, task_id: str, end: WorkEnd) -> WorkEnd:
        if end.result is not None:
            named = {file.sha256 for file in end.result.files}
            await self._find_uploads(task_id, named)
            missing = named - self._brought.get(task_id, set())
            if missing and end.fault is None:
                raise Conflict(
                    "transfer.outputs_missing",
                    f"{len(missing)} of the promised files have not come.",
                    "Bring them, then report the end again.",
                )
            end = end.model_copy(update={"result": _named(end.result)})
        if end.ended_by == "cancel":
            # No end of the task: its node may be drained, and another one will go on with it.
            return end
        async with self._db.transaction() as session:
            ticket = await _found(session, task_id)
            ticket.end = end.model_dump(mode="json")
        return end


async def _found(session: AsyncSession, task_id: str) -> FarmTicket:
    missing = NotFound("transfer.unknown", "There is no such task.", "It may be long ended.")
    return await FarmTickets(session).require(task_id, missing)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _named(result: Finished) -> Finished:
    """A worker's paths mean nothing here; names stay."""
    files = tuple(file.model_copy(update={"path": PurePosixPath(file.path).name}) for file in result.files)
    return result.model_copy(update={"files": files})


def _task(ticket: FarmTicket) -> SegmentTask:
    fields = dict(ticket.task)
    inputs = tuple(TaskInput(**one) for one in fields.pop("inputs"))
    arguments, variables = tuple(fields.pop("arguments")), tuple(fields.pop("variables"))
    needs = Needs(**fields.pop("needs"))
    return SegmentTask(**fields, inputs=inputs, arguments=arguments, variables=variables, needs=needs)
