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
import ssl
import sys
from pathlib import Path

import uvicorn

from app.listening import provisioning_sockets
from app.provisioning import ProvisioningProcess, build_process
from app.slow_clients import ImpatientProtocol
from app.with_supervisor import GRACE_S, stop_with_supervisor
from provisioning_api.enrolment.own_certificate import OwnCertificate
from soundstage.errors import SoundstageError
from soundstage.settings import load_settings
from soundstage.settings.provisioning import ProvisioningSettings
from soundstage.telemetry import configure_logging


def main() -> int:
    parser = argparse.ArgumentParser(prog="soundstage-provisioning")
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--socket", type=int, help="descriptor of a listening socket")
    parser.add_argument("--tls-socket", type=int, help="the same, for TLS; both or none are given")
    parser.add_argument("--alone", action="store_true", help="nobody holds standard input; signals end it")
    options = parser.parse_args()
    given = [number for number in (options.socket, options.tls_socket) if number is not None]
    if len(given) == 1:
        parser.error("--socket and --tls-socket are given together, or neither")
    try:
        settings = load_settings(options.config_file)
        process = build_process(settings)
        plain, tls = (
            (socket.socket(fileno=number) for number in given) if given else provisioning_sockets(settings)
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
    configure_logging(settings.log.level, settings.log.format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    app = process.app()
    first, second = _config(app), _config(app)
    # The application starts and ends once, with the first.
    second.lifespan = "off"
    own = OwnCertificate(process.services.tls, settings.state_dir.absolute() / "provisioning" / "tls")
    names = _names(settings.provisioning, tls)
    second.ssl_certfile, second.ssl_keyfile = own.write(names)
    second.load()
    if second.ssl is None:
        raise RuntimeError("the TLS port has no TLS")
    second.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
    servers = (uvicorn.Server(first), uvicorn.Server(second))
    fresh = asyncio.create_task(own.keep_fresh(second.ssl, names))
    watcher = None if alone else asyncio.create_task(stop_with_supervisor(*servers))
    try:
        await asyncio.gather(servers[0].serve(sockets=[plain]), _after(servers[0], servers[1], tls))
    finally:
        fresh.cancel()
        if watcher is not None:
            watcher.cancel()
    if not servers[0].started:
        raise SoundstageError("server.no_start", "The server did not start.", "Read the lines above.")


async def _after(first: uvicorn.Server, second: uvicorn.Server, tls: socket.socket) -> None:
    """The second listens once the application is ready, and ends with the first."""
    while not first.started:
        if first.should_exit:
            return
        await asyncio.sleep(0.05)
    serving = asyncio.create_task(second.serve(sockets=[tls]))
    # uvicorn tells of its end by a flag alone.
    while not first.should_exit and not serving.done():  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    first.should_exit = second.should_exit = True
    await serving


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=ImpatientProtocol,
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        # What a head may take of memory; what it may take of time is the protocol's.
        h11_max_incomplete_event_size=32 << 10,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_S,
    )


def _names(settings: ProvisioningSettings, tls: socket.socket) -> list[str]:
    """What the certificate is good for: what the settings say, and this machine. Boot scripts send agents to
    the host of the public address.
    """
    public = settings.public_url.host if settings.public_url is not None else None
    chosen = [*settings.tls_names, *([public.strip("[]")] if public else [])]
    address = tls.getsockname()[0]
    own = [] if address in ("0.0.0.0", "::") else [address]  # noqa: S104
    return list(dict.fromkeys([*chosen, *own, socket.gethostname(), "localhost", "127.0.0.1", "::1"]))


if __name__ == "__main__":
    sys.exit(main())
