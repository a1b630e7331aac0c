"""Classifies IP addresses as public, of this machine, or forbidden; used by `destinations`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """`10.0.0.0/8`, or an address alone, as the settings have checked them."""
    return tuple(ip_network(text, strict=False) for text in texts)


LOOPBACK_NETWORKS: tuple[Network, ...] = networks_of(("127.0.0.0/8", "::1/128"))
# Clouds give out credentials here: Amazon, Google, Alibaba, Azure. 169.254.169.254 is link-local.
METADATA = frozenset(
    ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")
)
# RFC 6052 §2.1 and RFC 8215: an IPv4 address behind a translator, in the last four bytes.
_NAT64 = (b"\x00\x64\xff\x9b" + bytes(8), b"\x00\x64\xff\x9b\x00\x01" + bytes(6))
# Of RFC 8215; where a translator with a shorter prefix finds the IPv4 address, only its network knows.
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
# RFC 4291 §2.5.5.1, deprecated: ::10.0.0.1.
_IPV4_COMPATIBLE = bytes(12)


async def lookup(host: str, port: int) -> list[Address]:
    """All addresses of a host in the order of preference; raises OSError or UnicodeError when there are
    none.

    Also reads decimal, octal and hexadecimal forms (`2130706433`, `0177.0.0.1`), as connecting would.
    """
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # An address of the local link has its interface behind a percent sign.
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def unmap_address(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, compatible, 6to4, NAT64), else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.packed.startswith(_NAT64):
        inner = IPv4Address(address.packed[-4:])
    # :: and ::1 look like compatible addresses and are not.
    if inner is None and address.packed.startswith(_IPV4_COMPATIBLE) and int(address) > 0xFFFF:
        inner = IPv4Address(address.packed[-4:])
    return inner or address


def is_of_this_machine(address: Address) -> bool:
    """Returns whether a connection to the address arrives at this machine, by whichever interface.

    For a destination that is its own, a kernel chooses the destination as the source too; no packet is sent.
    """
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(str(probe.getsockname()[0]).partition("%")[0]) == address
    except OSError:
        return False


def is_never_allowed(address: Address) -> bool:
    """Returns whether no setting opens this address to people: metadata, link-local, multicast,
    unspecified.
    """
    return address in METADATA or address.is_link_local or address.is_multicast or address.is_unspecified


def is_public(address: Address) -> bool:
    """Returns whether the address is one of the Internet's (`is_global` counts some reserved ones as
    such).
    """
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    translated = address.version == _LOCAL_NAT64.version and address in _LOCAL_NAT64
    return address.is_global and not (address.is_reserved or site_local or translated)
