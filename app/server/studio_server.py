"""Runs the page, the API and the agent: the server process (called by `python -m app.server`)."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from datetime import timedelta
from functools import partial

import uvicorn
from fastapi import FastAPI

from app.composition import build
from app.server.https import authority_folder, certificate_names, studio_authority
from app.server.listening import proxy_options
from app.server.sockets import GatheringProtocol
from app.server.state_folders import log_repaired, secure_state_folders
from app.server.supervisor import REQUESTS_GRACE_S, exit_on_stdin_eof
from app.server.tls_port import TlsPort
from app.server.web import create_app
from provisioning_api.certificates.server_certificate import ServerCertificate
from soundstage.errors import SoundstageError
from soundstage.settings import Settings
from soundstage.telemetry import configure_logging

RENEW_EVERY = timedelta(hours=1)
"""How soon the certificate has the new address of a machine whose address has changed."""


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
    server = uvicorn.Server(_config(app, settings))
    servers, serving = [server], [server.serve(sockets=[listening])]
    if tls is not None:
        certificate = ServerCertificate(studio_authority(settings), authority_folder(settings))
        tls_port = TlsPort(_config(app, settings), certificate, partial(certificate_names, settings))
        servers.append(tls_port.server)
        serving.append(tls_port.serve(server, tls, renew_every=RENEW_EVERY))
    watcher = asyncio.create_task(exit_on_stdin_eof(*servers))
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
