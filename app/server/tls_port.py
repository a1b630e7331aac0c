"""A TLS port beside the plain one, with the same application; used by both server processes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta

import uvicorn

from provisioning_api.certificates.server_certificate import EVERY, ServerCertificate


class TlsPort:
    """Serves an application behind TLS 1.3, with a certificate that our own authority signs."""

    def __init__(
        self, config: uvicorn.Config, certificate: ServerCertificate, names: Callable[[], Sequence[str]]
    ) -> None:
        """`config` has the application of the plain port; `names` are asked for at each renewal."""
        # The application starts and ends once, with the plain port.
        config.lifespan = "off"
        config.ssl_certfile, config.ssl_keyfile = certificate.write(names())
        config.load()
        if config.ssl is None:
            raise RuntimeError("the TLS port has no TLS")
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
        self.server = uvicorn.Server(config)
        self._context = config.ssl
        self._certificate = certificate
        self._names = names

    async def serve(
        self, plain: uvicorn.Server, listening: socket.socket, *, renew_every: timedelta = EVERY
    ) -> None:
        """Listen once the application behind `plain` is ready, and end with it."""
        while not plain.started:
            if plain.should_exit:
                return
            await asyncio.sleep(0.05)
        serving = asyncio.create_task(self.server.serve(sockets=[listening]))
        async with self._certificate.renewal(self._context, self._names, every=renew_every):
            # uvicorn reports its end by a flag alone.
            while not plain.should_exit and not serving.done():  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            plain.should_exit = self.server.should_exit = True
            await serving
