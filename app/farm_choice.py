"""Makes the scheduler that the settings name, and for Nomad the routes that its workers call; used by the
composition root.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from app.worker_command import worker_command
from farm.history import RunTimes
from farm.local import LocalOptions, LocalScheduler
from farm.measured import MeasuredScheduler
from farm.nomad import JobOptions, NomadAddress, NomadClient, NomadOptions, NomadScheduler
from farm.nomad.operating import OperatorClient
from farm.nomad.placer import Placer
from farm.scheduler import Scheduler
from farm.transfer import TransferService
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import Unavailable
from soundstage.http import http_errors, open_client
from soundstage.settings import Settings
from studio.wiring import worker_cache

HEALTH_TIMEOUT_S = 5.0
VOICE_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Farm:
    """`transfer` is None where workers run here; else `control_url` is where they reach the server."""

    scheduler: Scheduler
    times: RunTimes
    transfer: TransferService | None = None
    control_url: str = ""
    placer: Placer | None = None

    @property
    def is_local(self) -> bool:
        """Returns whether workers run on this machine, without a farm."""
        return self.transfer is None

    async def check_server(self) -> None:
        """Raises Unavailable when no server answers: workers of a farm call it."""
        if self.transfer is None:
            return
        with http_errors(self._no_server):
            async with open_client(timeout=HEALTH_TIMEOUT_S) as client:
                (await client.get(f"{self.control_url}/api/health")).raise_for_status()

    def _no_server(self, _: Exception) -> Unavailable:
        return Unavailable(
            "farm.no_server",
            f"The workers of the farm call {self.control_url}, where no server answers.",
            "Start it with `soundstage up`, or set farm.control_url.",
        )


def choose_farm(settings: Settings, database: Database, blobs: BlobStore) -> Farm:
    """Creates the farm without opening a connection. Raises Unavailable when no URL is known at which remote
    workers can reach the server.
    """
    times = RunTimes(database)
    if settings.farm.scheduler == "local":
        local = LocalScheduler(blobs, local_options(settings))
        return Farm(MeasuredScheduler(local, blobs, times), times)
    transfer = TransferService(database, blobs)
    control_url = control_url_of(settings)
    client, options = NomadClient(nomad_address(settings)), nomad_options(settings, control_url)
    scheduler = NomadScheduler(client, blobs, transfer, options, times.estimate_s)
    return Farm(MeasuredScheduler(scheduler, blobs, times), times, transfer, control_url, scheduler.placer)


def local_options(settings: Settings) -> LocalOptions:
    return LocalOptions(
        command=worker_command(settings),
        work_dir=settings.state_dir.absolute() / "work",
        cache_dir=worker_cache(settings),
        concurrency=settings.worker.concurrency,
        models_folder=settings.worker.models_folder,
    )


def nomad_address(settings: Settings) -> NomadAddress:
    nomad = settings.farm.nomad
    return NomadAddress(
        url=str(nomad.address or "http://127.0.0.1:4646").rstrip("/"),
        region=nomad.region,
        namespace=nomad.namespace,
        token_file=nomad.token_file,
        ca_file=nomad.ca_file,
        client_cert_file=nomad.client_cert_file,
        client_key_file=nomad.client_key_file,
    )


@asynccontextmanager
async def operator_client(settings: Settings) -> AsyncIterator[OperatorClient]:
    """Yields an open Nomad client with operator rights, for the agent's tools. Raises
    `cluster.not_configured`.
    """
    if settings.farm.scheduler == "local" and settings.farm.nomad.address is None:
        raise Unavailable(
            "cluster.not_configured",
            "This installation works without a farm: no Nomad is named in the settings.",
            "Set farm.nomad.address to the URL of its servers.",
        )
    async with OperatorClient(nomad_address(settings)) as client:
        yield client


def nomad_options(settings: Settings, control_url: str) -> NomadOptions:
    nomad = settings.farm.nomad
    return NomadOptions(
        control_url=control_url,
        job=JobOptions(
            prefix=nomad.job_prefix,
            namespace=nomad.namespace,
            datacenters=nomad.datacenters,
            node_pool=nomad.node_pool,
            driver=nomad.driver,
            command=nomad.command,
            cache_dir=nomad.cache_dir,
            cache_volume=nomad.cache_volume,
            worker_volume=nomad.worker_volume,
            models_folder=nomad.models_folder,
            cache_mib=nomad.cache_mib,
            other_control_urls=tuple(str(one).rstrip("/") for one in settings.farm.other_control_urls),
        ),
        max_running=settings.farm.max_running,
        keep_s=nomad.keep_hours * 3600.0,
    )


def control_url_of(settings: Settings) -> str:
    """Returns the URL at which workers reach the server. A wildcard bind address is not callable."""
    configured = settings.farm.control_url or settings.http.public_url
    if configured is not None:
        return str(configured).rstrip("/")
    host, port = settings.http.host, settings.http.port
    if port == 0 or host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        raise Unavailable(
            "farm.no_control_url",
            "No URL is set at which the farm's workers can reach this server.",
            "Set farm.control_url to the URL at which the nodes reach it.",
        )
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def speech_scheduler(settings: Settings, blobs: BlobStore, farm: Farm) -> Scheduler:
    """Returns the scheduler of speech in conversations, apart from that of videos: a video may take all
    workers for minutes.

    It runs workers on this machine; without the worker's program here, it is that of the farm.
    """
    options = local_options(settings)
    if farm.transfer is not None and shutil.which(options.command[0]) is None:
        return farm.scheduler
    work_dir = settings.state_dir.absolute() / "work-voice"
    return LocalScheduler(blobs, replace(options, work_dir=work_dir, concurrency=VOICE_WORKERS, niceness=0))


def speech_worker_binary(settings: Settings, speech_scheduler: Scheduler) -> str | None:
    """Returns the program that must be on this machine for speech; None where the farm has it."""
    return local_options(settings).command[0] if isinstance(speech_scheduler, LocalScheduler) else None
