"""Where a webhook may lead: https or this machine, and not into private networks unless that is allowed.

Whoever may make a webhook could otherwise let this server knock at doors that only it can reach. Names are
looked up here, and the connection goes to the very address that was checked: a name that means another
address a moment later (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from soundstage.errors import Invalid

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Reach:
    """What the settings allow."""

    loopback: bool
    private: bool

    def allows(self, address: Address) -> bool:
        address = _unmapped(address)
        # A connection to 0.0.0.0 or :: arrives at this machine.
        if address.is_loopback or address.is_unspecified:
            return self.loopback
        # Never: clouds give out credentials at an address of the local link.
        if address.is_multicast or address.is_link_local:
            return False
        return address.is_global or (self.private and address.is_private)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL and the address that it will be fetched from."""

    host: str
    port: int
    address: str


async def resolve(url: str, reach: Reach) -> Target:
    """Raises `webhook.bad_url`, `webhook.unknown_host` or `webhook.address_refused`."""
    host, port = _parsed(url)
    addresses = await _addresses_of(host, port)
    for address in addresses:
        if not reach.allows(address):
            raise Invalid(
                "webhook.address_refused",
                f"{host} is {address}, where webhooks may not lead.",
                "Use a public address, or ask the operator to set webhooks.private_addresses "
                "(or webhooks.loopback).",
            )
    if urlsplit(url).scheme != "https" and not all(_unmapped(one).is_loopback for one in addresses):
        raise Invalid(
            "webhook.bad_url",
            f"{host} is not this machine, and the URL does not begin with https://.",
            "Use https://, so that nobody on the way can read what is sent.",
        )
    return Target(host, port, str(addresses[0]))


def _parsed(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad_url(url) from error
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.fragment:
        raise _bad_url(url)
    return parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _bad_url(url: str) -> Invalid:
    return Invalid(
        "webhook.bad_url",
        "This is not a URL that can be called.",
        "Use https://host/path, without a user name, a password and a #fragment.",
    )


async def _addresses_of(host: str, port: int) -> list[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Invalid(
            "webhook.unknown_host", f"The name {host} cannot be looked up.", "Check the URL."
        ) from error
    # An address of the local link has its interface behind a percent sign.
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _unmapped(address: Address) -> Address:
    """::ffff:10.0.0.1 is 10.0.0.1; so are the 6to4 and NAT64 forms of it."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.packed.startswith(b"\x00\x64\xff\x9b" + bytes(8)):
            inner = IPv4Address(address.packed[-4:])
        return inner or address
    return address
