"""Restricts outgoing calls: never to our own listeners; for URLs of people, only to public addresses
and to the networks that the operator allows. Used by the outgoing client, and when a URL is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from soundstage.errors import Forbidden, Invalid
from soundstage.http import addresses
from soundstage.http.addresses import LOOPBACK_NETWORKS, Address, Network
from soundstage.settings import Settings

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class OwnListeners:
    """The listeners of this installation: ports of this machine, and public names with ports."""

    ports: frozenset[int] = frozenset()
    names: frozenset[tuple[str, int]] = frozenset()

    def include(self, host: str, address: Address, port: int) -> bool:
        """Returns whether a connection to `address` and `port`, named as `host`, would arrive at one of
        us.
        """
        if (_canonical(host), port) in self.names:
            return True
        return port in self.ports and addresses.is_of_this_machine(address)


NO_LISTENERS = OwnListeners()
"""For a process that serves nothing."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """The allowed destinations of one kind of call.

    `named_by_operator`: the URL stands in config.toml or in Consul, so private addresses and loopback are
    meant. Otherwise `networks` are those that the operator opens beside public addresses, with the settings
    that errors name. `plain_http` allows http:// beyond this machine too.
    """

    listeners: OwnListeners
    networks: tuple[Network, ...] = ()
    named_by_operator: bool = False
    plain_http: bool = False
    loopback_setting: str = ""
    private_setting: str = ""

    def check(self, host: str, address: Address, port: int) -> None:
        """Raises Forbidden `outgoing.own_listener`, Invalid `outgoing.address_refused`."""
        inner = addresses.unmap_address(address)
        if self.listeners.include(host, inner, port):
            raise Forbidden(
                "outgoing.own_listener",
                f"{host} port {port} is a listener of this installation.",
                "Name another server: this one is not called through its own outgoing requests.",
            )
        if not self.named_by_operator and not self._allows(inner):
            where = host if _canonical(host) == str(address) else f"{host} ({address})"
            ours = addresses.is_of_this_machine(inner)
            what = "this machine" if ours else "not a public address"
            setting = self.loopback_setting if ours else self.private_setting
            if setting and not addresses.is_never_allowed(inner):
                raise Invalid(
                    "outgoing.address_refused",
                    f"{where} is {what}, and is not called.",
                    f"Use a public address, or have the operator set `{setting}` (docs/guide/publishing.md).",
                )
            raise Invalid(
                "outgoing.address_refused", f"{where} is {what}, and is not called.", "Use a public address."
            )

    def _allows(self, address: Address) -> bool:
        if addresses.is_never_allowed(address):
            return False
        # Its services trust their own machine, whichever of its addresses is used.
        if addresses.is_of_this_machine(address):
            return any(loopback in self.networks for loopback in LOOPBACK_NETWORKS) or (
                address.is_loopback and self._is_listed(address)
            )
        return addresses.is_public(address) or self._is_listed(address)

    def _is_listed(self, address: Address) -> bool:
        return any(address.version == one.version and address in one for one in self.networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL's host and port, and its addresses, all of them checked, in the order of preference."""

    host: str
    port: int
    addresses: tuple[Address, ...]


async def resolve(url: str | httpx.URL, destinations: Destinations) -> Target:
    """Looks the host up once and checks all that it means.

    Raises Invalid `outgoing.bad_url`, `outgoing.unknown_host`, `outgoing.address_refused`; Forbidden
    `outgoing.own_listener`.
    """
    parsed = _parsed(url, destinations)
    host, port = parsed.host, parsed.port or _DEFAULT_PORTS[parsed.scheme]
    encrypted = parsed.scheme == "https" or destinations.plain_http or destinations.named_by_operator
    try:
        found = await addresses.lookup(host, port)
    except (OSError, UnicodeError) as error:
        if not encrypted:
            # The URL has to change whatever the name means.
            raise _not_encrypted(host) from error
        raise Invalid(
            "outgoing.unknown_host", f"The name {host} cannot be looked up.", "Check the URL."
        ) from error
    for address in found:
        destinations.check(host, address, port)
    if not encrypted and not all(addresses.is_of_this_machine(addresses.unmap_address(one)) for one in found):
        raise _not_encrypted(host)
    return Target(host, port, tuple(found))


def own_listeners(settings: Settings, *, provisioning: bool = False) -> OwnListeners:
    """Of the studio (its page, API, MCP) and the provisioning API, and the public names of both.

    `soundstage up` hands the ports that it took to its processes. `provisioning`: this process serves that
    API, whatever the settings start elsewhere.
    """
    chosen = settings.provisioning
    ports = {settings.http.port}
    if settings.http.tls == "self":
        ports.add(settings.https_port)
    if chosen.enabled or provisioning:
        ports |= {settings.provisioning_port, settings.provisioning_tls_port}
    farm = settings.farm
    named = (settings.http.public_url, chosen.public_url, chosen.api_url, farm.control_url)
    names = {
        (_canonical(url.host), url.port or _DEFAULT_PORTS[url.scheme])
        for url in (*named, *farm.other_control_urls)
        if url is not None and url.host
    }
    for host, port in tuple(names):
        # A listener that is named by an address of this machine is ours at all its other addresses too.
        if host == "localhost" or _is_own_literal(host):
            ports.add(port)
    return OwnListeners(frozenset(ports - {0}), frozenset(names))


def _parsed(url: str | httpx.URL, destinations: Destinations) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise _bad_url() from error
    # A system may take a port modulo 65536.
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.host or (parsed.port or 0) > 65535:
        raise _bad_url()
    if (parsed.userinfo or parsed.fragment) and not destinations.named_by_operator:
        raise _bad_url()
    return parsed


def _not_encrypted(host: str) -> Invalid:
    return Invalid(
        "outgoing.bad_url",
        f"{host} is not this machine, and the URL does not begin with https://.",
        "Use https://, so that requests cannot be read on the way.",
    )


def _bad_url() -> Invalid:
    return Invalid(
        "outgoing.bad_url",
        "This is not a URL that can be called.",
        "Use https://host/path, without a user name, a password and a #fragment.",
    )


def _canonical(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _is_own_literal(host: str) -> bool:
    try:
        return addresses.is_of_this_machine(ip_address(host))
    except ValueError:
        return False
