"""The server process: `python -m app.server`, started and watched by `soundstage up`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import socket
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from app.composition import build
from app.server.https import authority_folder, certificate_names, studio_authority
from app.server.listening import proxy_options
from app.server.sockets import GatheringProtocol
from app.server.state_folders import log_repaired, secure_state_folders
from app.server.supervisor import REQUESTS_GRACE_S, stop_with_supervisor
from app.server.tls_port import TlsPort
from app.server.web import create_app
from provisioning_api.certificates.server_certificate import ServerCertificate
from soundstage.errors import SoundstageError
from soundstage.settings import Settings, load_settings
from soundstage.telemetry import configure_logging

OBJECTS_BETWEEN_LOOKS = 20_000
RENEW_EVERY = timedelta(hours=1)
"""How soon the certificate has the new address of a machine whose address has changed."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="soundstage-server")
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of a listening socket")
    parser.add_argument("--tls-socket", type=int, help="the same, for https")
    options = parser.parse_args()
    try:
        settings = load_settings(options.config_file)
        tls = None if options.tls_socket is None else socket.socket(fileno=options.tls_socket)
        asyncio.run(serve(settings, socket.socket(fileno=options.socket), tls))
    except SoundstageError as error:
        print(f"error {error.message}  ({error.code})\nhint  {error.hint}", file=sys.stderr)
        return 1
    return 0


async def serve(settings: Settings, listening: socket.socket, tls: socket.socket | None = None) -> None:
    """Until SIGTERM, SIGINT or the end of standard input; open requests get some seconds then."""
    configure_logging(settings.log.level, settings.log.format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    log_repaired(secure_state_folders(settings))
    services = build(settings)
    services.brain.grammar.read_all()
    app = create_app(services)
    # What is there by now stays; looking it all through for garbage takes a tenth of a second each time.
    gc.collect()
    gc.freeze()
    # An answer makes thousands of objects that end by themselves: looking for cycles took a tenth of it.
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS, 10, 10)
    server = uvicorn.Server(_config(app, settings))
    servers, serving = [server], [server.serve(sockets=[listening])]
    if tls is not None:
        certificate = ServerCertificate(studio_authority(settings), authority_folder(settings))
        tls_port = TlsPort(_config(app, settings), certificate, partial(certificate_names, settings))
        servers.append(tls_port.server)
        serving.append(tls_port.serve(server, tls, renew_every=RENEW_EVERY))
    watcher = asyncio.create_task(stop_with_supervisor(*servers))
    try:
        await asyncio.gather(*serving)
    finally:
        watcher.cancel()
    if not server.started:
        raise SoundstageError("server.no_start", "The server did not start.", "Read the lines above.")


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        # Our own middleware logs requests; what uvicorn says about its start is the supervisor's to say.
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=REQUESTS_GRACE_S,
        **proxy_options(settings),
        ws=GatheringProtocol,
        # A zlib for each socket is a third of a megabyte, and its work a tenth of a short answer's.
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    sys.exit(main())
