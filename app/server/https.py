"""HTTPS of the studio (`http.tls = "self"`): its own authority, and the names in its certificate."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from fastapi import APIRouter, Depends, Response

from policy import public
from provisioning_api.certificates.key_folder import KeyFolder
from provisioning_api.certificates.tls_authority import TlsAuthority
from soundstage.errors import NotFound
from soundstage.settings import Settings
from soundstage.settings.outgoing import is_loopback_host

COMMON_NAME_LIMIT = 64
"""Of a common name in X.509 (RFC 5280, ub-common-name)."""
ELSEWHERE = ("192.0.2.1", "2001:db8::1")
"""Addresses for documentation (RFC 5737, RFC 3849): no packet is sent to them."""


def authority_folder(settings: Settings) -> Path:
    """Keys and certificates of HTTPS; readable by its owner alone."""
    return settings.state_dir.absolute() / "tls"


def authority_file(settings: Settings) -> Path:
    """The certificate that browsers are told to trust."""
    return authority_folder(settings) / "ca.pem"


def studio_authority(settings: Settings) -> TlsAuthority:
    """Signs nothing but the studio's certificate.

    It is not the farm's: what browsers trust must not be able to sign for machines, nor the reverse.
    """
    name = f"Soundstage on {socket.gethostname()}"[:COMMON_NAME_LIMIT]
    return TlsAuthority(KeyFolder(authority_folder(settings), settings.sealing), name)


def certificate_names(settings: Settings) -> list[str]:
    """Names and addresses under which browsers may reach the studio, the one to print first."""
    url = settings.http.public_url
    public_host = (url.host or "").strip("[]") if url is not None else ""
    hosts = [one.strip("[]") for one in (settings.http.tls_host, settings.http.host)]
    own = [one for one in hosts if one not in ("0.0.0.0", "::") and not is_loopback_host(one)]  # noqa: S104
    names = [*settings.http.tls_names, public_host, *own, socket.gethostname(), *_own_addresses()]
    return [one for one in dict.fromkeys([*names, "localhost", "127.0.0.1", "::1"]) if one]


def https_url(settings: Settings, port: int) -> str:
    """Returns where others reach the studio."""
    name = certificate_names(settings)[0]
    return f"https://{f'[{name}]' if ':' in name else name}:{port}"


def authority_router(settings: Settings) -> APIRouter:
    """`GET /api/ca.pem`."""
    router = APIRouter(tags=["https"])

    @router.get("/api/ca.pem", dependencies=[Depends(public("a certificate is no secret"))])
    async def read_authority() -> Response:
        """Return the certificate of the studio's own authority. Compare its fingerprint with what
        `soundstage up` prints before trusting it.
        """
        if settings.http.tls == "off":
            raise NotFound(
                "tls.off",
                "This studio has no authority of its own.",
                "Start it with `soundstage up --tls`, or ask who runs the proxy in front of it.",
            )
        pem = await asyncio.to_thread(lambda: studio_authority(settings).pem)
        return Response(
            pem,
            media_type="application/x-x509-ca-cert",
            headers={"Content-Disposition": 'attachment; filename="soundstage-ca.pem"'},
        )

    return router


def _own_addresses() -> list[str]:
    """The addresses from which this machine reaches others."""
    found = []
    for elsewhere in ELSEWHERE:
        family = socket.AF_INET6 if ":" in elsewhere else socket.AF_INET
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return found
