"""Checks whether a connection may carry the key of a person: encrypted, or on this machine."""

from __future__ import annotations

from ipaddress import ip_address

from fastapi.requests import HTTPConnection

from soundstage.errors import Forbidden
from soundstage.request_source import peer_address


def is_confidential(connection: HTTPConnection) -> bool:
    """Returns whether nobody on a network can read the connection.

    A proxy of `http.trusted_proxies` says by `X-Forwarded-Proto` what it spoke with the caller. Packets to an
    own address of this machine do not leave it.
    """
    if connection.scope.get("scheme") in ("https", "wss"):
        return True
    peer, server = peer_address(connection.scope), connection.scope.get("server")
    return peer is None or is_loopback_address(peer) or (server is not None and peer == server[0])


def needs_tls() -> Forbidden:
    """Returns the error for a person whose key came unencrypted from another machine."""
    return Forbidden(
        "auth.needs_tls",
        "Keys and logins are not accepted over plain HTTP from another machine.",
        "Use the https port and trust its authority (`soundstage up --tls`; of provisioning, port 8002, "
        "`soundstage machines ca` prints it). Make a new key: this one could be read on its way.",
    )


def is_loopback_address(host: str) -> bool:
    """Returns whether an address is of 127.0.0.0/8 or ::1, also as an IPv4-mapped one."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
