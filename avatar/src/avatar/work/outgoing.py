"""Fetches the files that a job names by URL, within bounds; used by `avatar render`.

The rules are those of `soundstage.http`, which this environment does not have: a name is resolved once, every
address it means is checked, and the call goes to the very address that was checked.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx

from avatar.errors import AvatarError, InvalidInput, Unavailable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HEADERS = {"Accept-Encoding": "identity", "Soundstage-Outgoing": "1"}
"""Unpacking could let a few bytes become gigabytes; our own servers refuse what carries the second."""
MAX_ATTEMPTS = 3
_PORTS = {"http": 80, "https": 443}
# Clouds give out credentials here: Amazon, Google, Alibaba, Azure. 169.254.169.254 is link-local.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")))
# RFC 6052 §2.1 and RFC 8215: an IPv4 address behind a translator, in the last four bytes.
_NAT64 = (b"\x00\x64\xff\x9b" + bytes(8), b"\x00\x64\xff\x9b\x00\x01" + bytes(6))
# Of RFC 8215; where a translator with a shorter prefix finds the IPv4 address, only its network knows.
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")


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
    addresses = _checked_addresses(parsed, port, bounds, what)
    with (
        _Deadline(bounds.total_s) as deadline,
        _reported(what, parsed.host, deadline),
        httpx.Client(trust_env=False, timeout=bounds.silence_s) as client,
    ):
        for number, address in enumerate(addresses, start=1):
            request = client.build_request("GET", parsed, headers=HEADERS)
            request.url = parsed.copy_with(host=str(address))
            # The certificate is still that of the name.
            request.extensions |= {"sni_hostname": parsed.host, "trace": deadline.watch}
            try:
                answer = client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses) or deadline.is_over:
                    raise
                continue
            try:
                _save(answer, target, bounds, what, parsed.host, check)
            finally:
                answer.close()
            return


class _Deadline:
    """Ends a connection after so many seconds in all, whatever it does meanwhile: silence alone is bounded by
    the client, and a byte now and then is no silence.
    """

    def __init__(self, total_s: float) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(total_s, self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """Take note of the socket; httpcore calls it at each step of a request."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
        if self.is_over:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


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
        open_to_jobs = listed or (_is_public(inner) and not _is_of_this_machine(inner))
        if _is_never_allowed(inner) or not open_to_jobs:
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
                "Use https://, so that the file cannot be changed on the way.",
            )
    return addresses[:MAX_ATTEMPTS]


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
    translated = address.version == _LOCAL_NAT64.version and address in _LOCAL_NAT64
    return address.is_global and not (address.is_reserved or site_local or translated)


def _is_of_this_machine(address: Address) -> bool:
    """Returns whether a connection arrives at this machine: the kernel then uses the destination as source
    too. No packet is sent.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(str(probe.getsockname()[0]).partition("%")[0]) == address
    except OSError:
        return False


def _save(
    answer: httpx.Response,
    target: Path,
    bounds: FetchBounds,
    what: str,
    host: str,
    check: Callable[[], None],
) -> None:
    packed = answer.headers.get("content-encoding", "identity").strip().lower()
    if answer.status_code != 200 or packed not in ("identity", ""):
        reason = f"{answer.status_code}" if answer.status_code != 200 else f"a body packed with {packed}"
        raise InvalidInput(
            "job.not_fetched",
            f"{what}: {host} answered with {reason} instead of the file.",
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
            file.write(chunk)
    if received == 0:
        raise InvalidInput("job.not_fetched", f"{what}: {host} sent an empty file.", "Check the URL.")


@contextmanager
def _reported(what: str, host: str, deadline: _Deadline) -> Iterator[None]:
    try:
        yield
        if deadline.is_over:  # what ends with its connection looks whole
            raise _too_slow(what, host)
    except AvatarError:
        raise
    except httpx.HTTPError as error:
        if deadline.is_over or isinstance(error, httpx.TimeoutException):
            raise _too_slow(what, host) from error
        raise Unavailable(
            "job.unreachable", f"{what}: {host} cannot be reached, or broke off.", "Try again later."
        ) from error


def _too_slow(what: str, host: str) -> Unavailable:
    return Unavailable("job.too_slow", f"{what}: {host} took too long.", "Try again, or use another server.")
