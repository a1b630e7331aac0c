# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests for templates: whether words are IP addresses; roles ask them before they write configurations."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, ip_address, ip_network
from typing import Any


def ipv4(value: Any) -> bool:
    """The IPv4 address of one machine: no name, no group, no network, not 0.0.0.0."""
    try:
        address = IPv4Address(value) if isinstance(value, str) else None
    except AddressValueError:
        return False
    return address is not None and not (address.is_multicast or address.is_unspecified or address.is_reserved)


def ip(value: Any) -> bool:
    """An IP address of one machine, of either version and without a scope."""
    try:
        address = ip_address(value) if isinstance(value, str) and "%" not in value else None
    except ValueError:
        return False
    return address is not None and not (address.is_multicast or address.is_unspecified)


def ipv4_range(value: Any, without: str) -> bool:
    """`[FIRST, LAST]`, in this order and `without` the address of who gives them."""
    if not (isinstance(value, list) and len(value) == 2 and all(ipv4(one) for one in [*value, without])):
        return False
    first, last = (IPv4Address(one) for one in value)
    return first <= last and not first <= IPv4Address(without) <= last


def within(value: Any, networks: list[str]) -> bool:
    """An address of one of the networks; a network may be a single address."""
    return ip(value) and any(ip_address(value) in ip_network(one, strict=False) for one in networks)


class TestModule:
    """By the names that templates use."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"ipv4": ipv4, "ip": ip, "ipv4_range": ipv4_range, "within": within}
