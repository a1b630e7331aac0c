"""A real Nomad, a real control plane beside it, and schedulers between the two; imported by conftest.py."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from farm.nomad import JobOptions, NomadAddress, NomadClient, NomadOptions, NomadScheduler
from farm.transfer import TransferService, transfer_router
from soundstage.blobs import BlobStore
from soundstage.database import Base, Database
from soundstage.errors import install_error_handlers

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
from nomad_cluster import NomadCluster, nomad_clusters  # noqa: F401 - a fixture is used by its name

STAND_IN = Path(__file__).with_name("stand_in.py")
AVATAR = Path(sys.executable).with_name("avatar")


@pytest.fixture(scope="session")
def cluster(nomad_clusters: Callable[..., NomadCluster]) -> NomadCluster:  # noqa: F811
    """One server and one client without cards."""
    created = nomad_clusters("farm")
    created.add_client("plain")
    return created


class ControlPlane:
    """The transfer routes on a port of their own, and the services behind them."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self.blobs = blobs
        self.database = Database(f"sqlite:///{folder / 'farm.db'}")
        self.transfer = TransferService(self.database, blobs)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def create_tables(self) -> None:
        async with self.database.transaction() as session:
            await (await session.connection()).run_sync(Base.metadata.create_all)

    async def start(self) -> None:
        app = FastAPI()
        app.include_router(transfer_router(self.transfer, upload_mib=64))
        install_error_handlers(app)
        config = uvicorn.Config(app, port=self.port, log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = None


@pytest.fixture
async def control(tmp_path: Path, blobs: BlobStore) -> AsyncIterator[ControlPlane]:
    created = ControlPlane(tmp_path, blobs)
    await created.create_tables()
    await created.start()
    yield created
    await created.stop()
    await created.database.close()


@pytest.fixture
def nomad_options(control: ControlPlane, worker_cache: Path) -> NomadOptions:
    """Stand-ins instead of the real worker program; jobs of a name of their own in each test."""
    return NomadOptions(
        control_url=control.url,
        job=JobOptions(
            prefix=f"test-{secrets.token_hex(4)}",
            driver="raw_exec",
            command=str(AVATAR),
            program=(sys.executable, "-I", "-S", str(STAND_IN)),
            kill_timeout_s=5.0,
            cache_dir=str(worker_cache),
        ),
        max_running=2,
        grace_s=1.0,
        upload_timeout_s=30.0,
    )


@pytest.fixture
def nomad_address(cluster: NomadCluster) -> NomadAddress:
    return NomadAddress(cluster.server.address)


@pytest.fixture
async def client(nomad_address: NomadAddress) -> AsyncIterator[NomadClient]:
    async with NomadClient(nomad_address) as created:
        yield created


@pytest.fixture
async def nomad_scheduler(
    client: NomadClient, control: ControlPlane, nomad_options: NomadOptions
) -> AsyncIterator[NomadScheduler]:
    created = NomadScheduler(client, control.blobs, control.transfer, nomad_options)
    await created.start()
    yield created
    await created.close()
