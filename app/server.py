"""The server process: `python -m app.server`, started and watched by `soundstage up`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import socket
import sys
from pathlib import Path

import uvicorn

from app.composition import build
from app.heap import share_one_heap
from app.sockets import GatheringProtocol
from app.web import create_app
from app.with_supervisor import GRACE_S, stop_with_supervisor
from soundstage.errors import SoundstageError
from soundstage.settings import Settings, load_settings
from soundstage.telemetry import configure_logging

OBJECTS_BETWEEN_LOOKS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="soundstage-server")
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of a listening socket")
    options = parser.parse_args()
    share_one_heap()
    try:
        settings = load_settings(options.config_file)
        asyncio.run(serve(settings, socket.socket(fileno=options.socket)))
    except SoundstageError as error:
        print(f"error {error.message}  ({error.code})\nhint  {error.hint}", file=sys.stderr)
        return 1
    return 0


async def serve(settings: Settings, listening: socket.socket) -> None:
    """Until SIGTERM, SIGINT or the end of standard input; open requests get some seconds then."""
    configure_logging(settings.log.level, settings.log.format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    services = build(settings)
    services.brain.grammar.read_all()
    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        # Our own middleware logs requests; what uvicorn says about its start is the supervisor's to say.
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        ws=GatheringProtocol,
        # A zlib for each socket is a third of a megabyte, and its work a tenth of a short answer's.
        ws_per_message_deflate=False,
    )
    # What is there by now stays; looking it all through for garbage takes a tenth of a second each time.
    gc.collect()
    gc.freeze()
    # An answer makes thousands of objects that end by themselves: looking for cycles took a tenth of it.
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS, 10, 10)
    server = uvicorn.Server(config)
    watcher = asyncio.create_task(stop_with_supervisor(server))
    try:
        await server.serve(sockets=[listening])
    finally:
        watcher.cancel()
    if not server.started:
        raise SoundstageError("server.no_start", "The server did not start.", "Read the lines above.")


if __name__ == "__main__":
    sys.exit(main())
