"""The provisioning process: `python -m app.provisioning_server`, started and watched by `soundstage up`.

It listens twice with one application: on the plain port for firmware and people on this machine, and on a
port that speaks TLS 1.3 and nothing older, for enrolment. Without sockets it takes the ports of the settings:
then something else watches it, as a Nomad job does.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from pathlib import Path

import uvicorn

from app.provisioning import ProvisioningProcess, build_process
from app.server.listening import provisioning_sockets, proxy_options
from app.server.slow_clients import RequestTimeoutProtocol
from app.server.state_folders import log_repaired, secure_state_folders
from app.server.supervisor import REQUESTS_GRACE_S, exit_on_stdin_eof
from app.server.tls_port import TlsPort
from provisioning_api.certificates.server_certificate import ServerCertificate
from soundstage.errors import SoundstageError
from soundstage.settings import Settings, load_settings
from soundstage.settings.provisioning import ProvisioningSettings
from soundstage.tasks import cancel_all
from soundstage.telemetry import configure_service_logging


def main() -> int:
    parser = argparse.ArgumentParser(prog="soundstage-provisioning")
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--socket", type=int, help="descriptor of a listening socket")
    parser.add_argument("--tls-socket", type=int, help="the same, for TLS; both or none are given")
    parser.add_argument("--alone", action="store_true", help="do not watch standard input; signals end it")
    options = parser.parse_args()
    sockets = [number for number in (options.socket, options.tls_socket) if number is not None]
    if len(sockets) == 1:
        parser.error("--socket and --tls-socket are given together, or neither")
    try:
        settings = load_settings(options.config_file)
        # Before anything creates a folder in it.
        opened_to_others = secure_state_folders(settings)
        configure_service_logging(settings, "provisioning")
        log_repaired(opened_to_others)
        process = build_process(settings)
        plain, tls = (
            (socket.socket(fileno=number) for number in sockets)
            if sockets
            else provisioning_sockets(settings)
        )
        asyncio.run(serve(process, plain, tls, alone=options.alone))
    except SoundstageError as error:
        print(f"error {error.message}  ({error.code})\nhint  {error.hint}", file=sys.stderr)
        return 1
    return 0


async def serve(
    process: ProvisioningProcess, plain: socket.socket, tls: socket.socket, *, alone: bool = False
) -> None:
    """Until SIGTERM, SIGINT or, unless it runs `alone` (under systemd), the end of standard input."""
    settings = process.settings
    logging.getLogger("alembic").setLevel(logging.WARNING)
    app = process.app()
    plain_server = uvicorn.Server(_config(app, settings))
    folder = settings.state_dir.absolute() / "provisioning" / "tls"
    names = _names(settings.provisioning, tls)
    tls_port = TlsPort(_config(app, settings), ServerCertificate(process.services.tls, folder), lambda: names)
    watcher = None if alone else asyncio.create_task(exit_on_stdin_eof(plain_server, tls_port.server))
    try:
        await asyncio.gather(plain_server.serve(sockets=[plain]), tls_port.serve(plain_server, tls))
    finally:
        await cancel_all([] if watcher is None else [watcher])
    if not plain_server.started:
        raise SoundstageError("server.no_start", "The server did not start.", "Read the lines above.")


def _config(app: object, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=RequestTimeoutProtocol,
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        # What a head may take of memory; what it may take of time is the protocol's.
        h11_max_incomplete_event_size=32 << 10,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=REQUESTS_GRACE_S,
        **proxy_options(settings),
    )


def _names(settings: ProvisioningSettings, tls: socket.socket) -> list[str]:
    """Returns what the certificate is good for: what the settings say, and this machine. Boot scripts send
    agents to the host of the public address.
    """
    public = settings.public_url.host if settings.public_url is not None else None
    chosen = [*settings.tls_names, *([public.strip("[]")] if public else [])]
    address = tls.getsockname()[0]
    own = [] if address in ("0.0.0.0", "::") else [address]  # noqa: S104
    return list(dict.fromkeys([*chosen, *own, socket.gethostname(), "localhost", "127.0.0.1", "::1"]))


if __name__ == "__main__":
    sys.exit(main())
