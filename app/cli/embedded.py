"""A studio in this very process, for commands on a state folder that no server runs on.

It is the application that a server serves, on a Unix socket that only this user reaches: every command is the
same HTTP client wherever the studio is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from app.cli.studio_api import TIMEOUT_S, StudioApi
from app.composition import Services, build, run_background_workers, run_database
from app.server.first_start import ensure_local_key
from app.server.web import create_app
from soundstage.http import open_client
from soundstage.settings import Settings

NAME = "http://this-process"
SHUTDOWN_S = 10
"""How long requests may still run at the end before they are cancelled."""


class _Server(uvicorn.Server):
    """Leaves signals to the command, which cancels what it waits for."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Worker:
    """Starts the background workers at the first call that needs them, and the dispatcher likewise."""

    def __init__(self, services: Services, stack: AsyncExitStack) -> None:
        self._services = services
        self._stack = stack
        self._is_ready = False

    async def start(self, dispatch: bool) -> None:
        if not self._is_ready:
            self._is_ready = True
            await self._stack.enter_async_context(run_background_workers(self._services, dispatch=dispatch))
        elif dispatch and self._services.farm.is_local:
            await self._services.studio.dispatcher.start()


@asynccontextmanager
async def open_embedded_studio(settings: Settings) -> AsyncIterator[StudioApi]:
    """A connection to a studio over `settings.state_dir`, which ends with the block."""
    services = build(settings)
    async with run_database(services), AsyncExitStack() as stack:
        key = await ensure_local_key(settings.state_dir, [services.policy])
        with TemporaryDirectory(prefix="soundstage-") as folder:
            socket = Path(folder) / "studio"
            async with _served(services, socket):
                client = open_client(
                    NAME,
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=TIMEOUT_S,
                    unix_socket=socket,
                )
                async with client, stack:
                    worker = _Worker(services, stack)
                    yield StudioApi(
                        client,
                        NAME,
                        start_making=worker.start,
                        run_approved=services.decisions.run_approved,
                    )


@asynccontextmanager
async def _served(services: Services, socket: Path) -> AsyncIterator[None]:
    config = uvicorn.Config(
        create_app(services),
        uds=str(socket),
        # `run_database` has begun what the application needs; the rest of a server's life is not ours.
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if serving.done():
                await serving
                raise RuntimeError("the studio in this process did not start")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
        # uvicorn does not wait for requests that it cancels, and they use the database until they have ended.
        if cancelled := server.server_state.tasks:
            await asyncio.wait(cancelled, timeout=SHUTDOWN_S)
        await services.turns.close()
