"""The five answers of `soundstage init`, each checked by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import urlsplit

from soundstage.errors import Invalid

HTTPS_PORT = 8443
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_REPOSITORY = re.compile(r"/\S+|sftp:[^\s:@]+@[^\s:]+:/?\S+|s3:https?://\S+/\S+")


@dataclass(frozen=True, slots=True)
class BootNetwork:
    """The network on which machines boot. `network` is None beside another DHCP server (ProxyDHCP)."""

    interface: str
    network: IPv4Network | None

    def address_range(self, control: IPv4Address) -> tuple[IPv4Address, IPv4Address] | None:
        """Returns the first and last address for machines: the half of the network without the control
        machine, or None in mode `proxy`.
        """
        if self.network is None:
            return None
        lower, upper = self.network.subnets(prefixlen_diff=1)
        half = lower if control in upper else upper
        # The network's own address is the first of the lower half, its broadcast the last of the upper half.
        return half[1], half[-2]

    def __str__(self) -> str:
        return f"{self.network or 'proxy'} {self.interface}"


@dataclass(frozen=True, slots=True)
class FarmAnswers:
    """`boot` is None for a farm whose machines have a system already."""

    name: str
    address: IPv4Address
    boot: BootNetwork | None
    url: str
    backups: str

    @classmethod
    def read(cls, *, name: str, address: str, boot: str, url: str, backups: str) -> FarmAnswers:
        """Raises Invalid, which names the answer that cannot be used."""
        control = read_address(address)
        return cls(
            name=read_name(name),
            address=control,
            boot=read_boot(boot, control),
            url=read_url(url),
            backups=read_backups(backups),
        )

    @property
    def https_port(self) -> int:
        return urlsplit(self.url).port or HTTPS_PORT

    @property
    def https_name(self) -> str | None:
        """Returns the host of the URL where it is not the control machine's address."""
        host = urlsplit(self.url).hostname or ""
        return None if host == str(self.address) else host


def read_answer(question: str, text: str, before: Mapping[str, str]) -> object:
    """Reads one answer; `before` holds the answers to earlier questions. Raises Invalid."""
    match question:
        case "name":
            return read_name(text)
        case "address":
            return read_address(text)
        case "boot":
            return read_boot(text, read_address(before["address"]))
        case "url":
            return read_url(text)
        case _:
            return read_backups(text)


def read_name(text: str) -> str:
    """Raises Invalid."""
    if _NAME.fullmatch(text) is None:
        hint = "Use up to 31 small letters, digits and dashes; the first is a letter."
        raise Invalid("init.bad_name", f"“{text}” is not a name for a farm.", hint)
    return text


def read_address(text: str) -> IPv4Address:
    """Raises Invalid."""
    try:
        found = IPv4Address(text)
    except ValueError:
        found = None
    if found is None or found.is_loopback or found.is_unspecified or found.is_multicast:
        hint = "Give an IPv4 address by which the other machines reach it, such as 10.0.0.5."
        raise Invalid("init.bad_address", f"“{text}” is not the address of a control machine.", hint)
    return found


def read_boot(text: str, control: IPv4Address) -> BootNetwork | None:
    """Reads `10.0.0.0/24 eth0`, `proxy eth0` or `none`. Raises Invalid."""
    if text.strip() == "none":
        return None
    hint = "Give `10.0.0.0/24 eth0` (network and interface), `proxy eth0` beside a DHCP server, or `none`."
    words = text.split()
    if len(words) != 2 or _INTERFACE.fullmatch(words[1]) is None:
        raise Invalid("init.bad_boot_network", f"“{text}” does not name a network and an interface.", hint)
    if words[0] == "proxy":
        return BootNetwork(words[1], None)
    try:
        network = IPv4Network(words[0], strict=False)
    except ValueError as error:
        raise Invalid("init.bad_boot_network", f"“{words[0]}” is not an IPv4 network.", hint) from error
    if network.prefixlen > 28 or network.prefixlen < 8:
        raise Invalid(
            "init.bad_boot_network", f"{network} is too small or too large for a boot network.", hint
        )
    if control not in network:
        fits = f"The control machine ({control}) needs an address in this network."
        raise Invalid("init.not_in_boot_network", f"{network} does not hold {control}.", fits)
    return BootNetwork(words[1], network)


def read_url(text: str) -> str:
    """Returns `https://HOST:PORT`. Raises Invalid."""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    except ValueError:
        host, port = "", HTTPS_PORT
    if (
        parts.scheme != "https"
        or _HOST.fullmatch(host) is None
        or parts.path.strip("/")
        or parts.query
        or parts.username
    ):
        hint = "Give a name or an address, such as https://studio.example.org:8443."
        raise Invalid("init.bad_url", f"“{text}” is not an https address of a studio.", hint)
    if port < 1024 or port in (8000, 8001, 8002):
        hint = f"Leave it out for {HTTPS_PORT}, or name a free one above 1023: the studio is not root."
        raise Invalid("init.bad_port", f"The studio cannot listen on port {port}.", hint)
    return f"https://{host}:{port}"


def read_backups(text: str) -> str:
    """Raises Invalid."""
    if _REPOSITORY.fullmatch(text) is None:
        hint = "Name a folder (/mnt/backups), sftp:USER@HOST:/FOLDER, or s3:https://HOST/BUCKET."
        raise Invalid("init.bad_backups", f"“{text}” is not a place for backups.", hint)
    return text
