"""The server process: `python -m app.server`, started and watched by `soundstage up`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import uvicorn

from app.composition import build
from app.web import create_app
from soundstage.errors import SoundstageError
from soundstage.settings import Settings, load_settings
from soundstage.telemetry import configure_logging

GRACE_S = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="soundstage-server")
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input is closed")
    options = parser.parse_args()
    try:
        asyncio.run(serve(load_settings(options.config_file), stop_with_stdin=options.stop_with_stdin))
    except SoundstageError as error:
        print(f"error {error.message} ({error.code})\nhint  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def serve(settings: Settings, *, stop_with_stdin: bool = False) -> None:
    """Until SIGTERM or SIGINT: no new requests are taken then, and open ones get some seconds."""
    configure_logging(settings.log.level, settings.log.format)
    services = build(settings)
    config = uvicorn.Config(
        create_app(services),
        host=settings.http.host,
        port=settings.http.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = uvicorn.Server(config)
    watcher = asyncio.create_task(_stop_with_supervisor(server)) if stop_with_stdin else None
    try:
        await server.serve()
    finally:
        if watcher is not None:
            watcher.cancel()


async def _stop_with_supervisor(server: uvicorn.Server) -> None:
    """The supervisor holds the other end of our standard input; its end means that it is gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
