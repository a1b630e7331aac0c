"""Runs the page, the API and the agent: the server process (called by `python -m app.server`)."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from datetime import timedelta
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from app.composition import build
from app.server.https import authority_folder, certificate_names, studio_authority
from app.server.listening import proxy_options
from app.server.state_folders import log_repaired, secure_state_folders
from app.server.supervisor import REQUESTS_GRACE_S, exit_on_stdin_eof
from app.server.tls_port import TlsPort
from app.server.web import create_app
from provisioning_api.certificates.server_certificate import ServerCertificate
from soundstage.errors import SoundstageError
from soundstage.settings import Settings
from soundstage.tasks import cancel_all
from soundstage.telemetry import configure_service_logging

RENEW_EVERY = timedelta(hours=1)
"""How soon the certificate has the new address of a machine whose address has changed."""


WAITING_BYTES = 64 << 10
"""So much waits for the end of a round of the event loop at most."""


class GatheringProtocol(WebSocketsSansIOProtocol):
    """The frames of one round of the event loop leave together.

    An answer is half a dozen short messages, and giving one to the system costs as much as making it. They
    wait in the protocol's own buffer, so that whatever else is written, a ping or the end, comes after them.
    """

    _waiting_bytes = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await inner(scope, receive, send)
            finally:
                # The connection is closed next.
                self._leave()

        self.app = app

    async def send(self, message: Any) -> None:
        text = message.get("text")
        open_ = self.handshake_complete and not self.close_sent and self.initial_response is None
        if not (open_ and text is not None and message["type"] == "websocket.send"):
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected:
            raise ClientDisconnected
        data = text.encode()
        try:
            self.conn.send_text(data)
        except InvalidState as error:
            raise ClientDisconnected from error
        if not self._waiting_bytes:
            self.loop.call_soon(self._leave)
        self._waiting_bytes += len(data) + 1
        if self._waiting_bytes > WAITING_BYTES:
            self._leave()

    def _leave(self) -> None:
        self._waiting_bytes = 0
        if not self.transport.is_closing() and (output := b"".join(self.conn.data_to_send())):
            self.transport.write(output)


async def serve(settings: Settings, listening: socket.socket, tls: socket.socket | None = None) -> None:
    """Until SIGTERM, SIGINT or the end of standard input; open requests get some seconds then."""
    # Before anything creates a folder in it.
    opened_to_others = secure_state_folders(settings)
    configure_service_logging(settings, "studio")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    log_repaired(opened_to_others)
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
        await cancel_all([watcher])
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
