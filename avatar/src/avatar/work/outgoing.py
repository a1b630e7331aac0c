"""Fetches the files that a job names by URL, within bounds; used by `avatar render`.

The rules are those of `soundstage.http`, which this environment does not have: a name is resolved once, every
address it means is checked, and the call goes to the very address that was checked.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import httpx

from avatar.errors import AvatarError, InvalidInput, Unavailable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HEADERS = {"Accept-Encoding": "identity", "Soundstage-Outgoing": "1"}
"""Unpacking could let a few bytes become gigabytes; our own servers refuse what carries the second."""
MOST_ATTEMPTS = 3
_PORTS = {"http": 80, "https": 443}
# Clouds give out credentials here: Amazon, Google, Alibaba, Azure. 169.254.169.254 is link-local.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")))
# RFC 6052 §2.1 and RFC 8215: an IPv4 address behind a translator.
_NAT64 = (b"\x00\x64\xff\x9b" + bytes(8), b"\x00\x64\xff\x9b\x00\x01")


@dataclass(frozen=True, slots=True)
class FetchBounds:
    """`networks` are those that the operator opens beside public addresses; only there may it be http://."""

    networks: tuple[Network, ...] = ()
    max_bytes: int = 2 << 30
    silence_s: float = 30.0
    total_s: float = 600.0


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises InvalidInput `job.bad_network`."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise InvalidInput(
            "job.bad_network", f"This is no network: {error}.", "Write it like 10.20.0.0/16."
        ) from error


def fetch_file(
    url: str, target: Path, bounds: FetchBounds, what: str, check: Callable[[], None] = lambda: None
) -> None:
    """Write what `url` answers to `target`. `what` names the field; no message shows more of a URL than its
    host. `check` is called between chunks.

    Raises InvalidInput `job.bad_url`, `job.address_refused`, `job.not_fetched`, `job.file_too_large`;
    Unavailable `job.unreachable`, `job.too_slow`.
    """
    parsed, port = _parsed(url, what)
    deadline = time.monotonic() + bounds.total_s
    addresses = _checked_addresses(parsed, port, bounds, what)
    with _reported(what, parsed.host), httpx.Client(trust_env=False, timeout=bounds.silence_s) as client:
        for number, address in enumerate(addresses, start=1):
            request = client.build_request("GET", parsed, headers=HEADERS)
            request.url = parsed.copy_with(host=str(address))
            # The certificate is still that of the name.
            request.extensions = {**request.extensions, "sni_hostname": parsed.host}
            try:
                answer = client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
                continue
            try:
                _save(answer, target, bounds, what, parsed.host, deadline, check)
            finally:
                answer.close()
            return


def _parsed(url: str, what: str) -> tuple[httpx.URL, int]:
    try:
        parsed = httpx.URL(url)
        port = parsed.port or _PORTS.get(parsed.scheme, 0)
    except (httpx.InvalidURL, ValueError):
        parsed, port = httpx.URL(""), 0
    if not port or port > 65535 or not parsed.host or parsed.userinfo or parsed.fragment:
        raise InvalidInput(
            "job.bad_url",
            f"{what} is not a URL that can be fetched.",
            "Use https://host/path, without a user name, a password and a #fragment.",
        )
    return parsed, port


def _checked_addresses(parsed: httpx.URL, port: int, bounds: FetchBounds, what: str) -> list[Address]:
    """All that the name means; one that is refused refuses the name."""
    try:
        found = socket.getaddrinfo(parsed.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidInput(
            "job.unknown_host", f"The host of {what}, {parsed.host}, is not known.", "Check the URL."
        ) from error
    addresses = list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    for address in addresses:
        inner = _embedded(address)
        listed = any(inner.version == one.version and inner in one for one in bounds.networks)
        if _is_never_allowed(inner) or not (listed or _is_public(inner)):
            raise InvalidInput(
                "job.address_refused",
                f"{what} leads to {address}, where files of jobs are not fetched from.",
                "Use a public address, or have the operator open its network: `--network`, or `networks` of"
                " the Nomad job.",
            )
        if parsed.scheme != "https" and not listed:
            raise InvalidInput(
                "job.bad_url",
                f"{what} does not begin with https://.",
                "Use https://, so that nobody on the way can change the file.",
            )
    return addresses[:MOST_ATTEMPTS]


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64, compatible), else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.packed.startswith(_NAT64):
        inner = IPv4Address(address.packed[-4:])
    if inner is None and address.packed.startswith(bytes(12)) and int(address) > 0xFFFF:
        inner = IPv4Address(address.packed[-4:])
    return inner or address


def _is_never_allowed(address: Address) -> bool:
    return address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified


def _is_public(address: Address) -> bool:
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not address.is_reserved and not site_local


def _save(
    answer: httpx.Response,
    target: Path,
    bounds: FetchBounds,
    what: str,
    host: str,
    deadline: float,
    check: Callable[[], None],
) -> None:
    packed = answer.headers.get("content-encoding", "identity").strip().lower()
    if answer.status_code != 200 or packed not in ("identity", ""):
        said = f"{answer.status_code}" if answer.status_code != 200 else f"a body packed with {packed}"
        raise InvalidInput(
            "job.not_fetched",
            f"{what}: {host} answered with {said} instead of the file.",
            "Name the file itself: redirects are not followed. A signed URL may have run out.",
        )
    received = 0
    with target.open("wb") as file:
        for chunk in answer.iter_raw():
            check()
            received += len(chunk)
            if received > bounds.max_bytes:
                raise InvalidInput(
                    "job.file_too_large",
                    f"{what} is larger than {bounds.max_bytes >> 20} MiB.",
                    "Make the file smaller.",
                )
            if time.monotonic() > deadline:
                raise _too_slow(what, host)
            file.write(chunk)
    if received == 0:
        raise InvalidInput("job.not_fetched", f"{what}: {host} sent an empty file.", "Check the URL.")


@contextmanager
def _reported(what: str, host: str) -> Iterator[None]:
    try:
        yield
    except AvatarError:
        raise
    except httpx.TimeoutException as error:
        raise _too_slow(what, host) from error
    except httpx.HTTPError as error:
        raise Unavailable(
            "job.unreachable", f"{what}: {host} cannot be reached, or broke off.", "Try again later."
        ) from error


def _too_slow(what: str, host: str) -> Unavailable:
    return Unavailable("job.too_slow", f"{what}: {host} took too long.", "Try again, or use another server.")
