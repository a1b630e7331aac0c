"""Writes the configuration of a boot network from a validated plan, with the templates of role pxe_server.

The role hands the same names to the same templates.
"""

from __future__ import annotations

import shutil
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import AfterValidator, BaseModel, Field, computed_field, model_validator

from soundstage.errors import Unavailable

TEMPLATES = Path(__file__).parents[2] / "pxe/network/templates"
# Debian's package `ipxe`: each by its name, and where releases have kept it.
IPXE_FILES = ("undionly.kpxe", "snponly.efi", "ipxe.efi")
_IPXE_FOLDERS = (Path("/usr/lib/ipxe"), Path("/boot"))

# What is written into a line of a configuration must not be able to begin another one.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Mac = Annotated[str, Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]
HttpUrl = Annotated[
    str, Field(pattern=r"^http://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$", max_length=120)
]


def _plain(path: PurePosixPath) -> PurePosixPath:
    if not path.is_absolute() or any(not (c.isalnum() or c in "/._-") for c in str(path)):
        raise ValueError("must be an absolute path of letters, digits, `.`, `_` and `-`")
    return path


Folder = Annotated[PurePosixPath, AfterValidator(_plain)]


class Mode(StrEnum):
    """`server` gives addresses; `proxy` names boot files beside another DHCP server."""

    SERVER = "server"
    PROXY = "proxy"


class Reservation(BaseModel, extra="forbid", frozen=True):
    """One machine that always gets the same address."""

    mac: Mac
    address: IPv4Address
    name: Word


class BootNetwork(BaseModel, extra="forbid", frozen=True):
    """`address` is this server's own, in the network that machines boot from.

    `http_port`: port of the boot scripts, whatever serves them. `uefi_program` is `snponly.efi`, which uses
    the firmware's network driver, or `ipxe.efi`, which brings its own. `router_advertisements` spares old
    iPXE its wait for IPv6, 13 s at each boot; the interface needs an IPv6 address then.
    """

    interface: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
    address: IPv4Address
    network: IPv4Network
    mode: Mode
    first: IPv4Address | None = None
    last: IPv4Address | None = None
    router: IPv4Address | None = None
    name_servers: tuple[IPv4Address, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    # Firmware and iPXE renew nothing: an address has to last until what they fetch is there.
    lease_minutes: int = Field(720, ge=15, le=525600)
    http_port: int = Field(80, ge=1, le=65535)
    uefi_program: Word = "snponly.efi"
    router_advertisements: bool = False
    tftp_folder: Folder = PurePosixPath("/srv/soundstage/tftp")
    artefact_folder: Folder = PurePosixPath("/var/lib/soundstage/artefacts")
    api_url: HttpUrl = "http://127.0.0.1:8001"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def boot_url(self) -> str:
        """The URL of scripts and programs."""
        port = "" if self.http_port == 80 else f":{self.http_port}"
        return f"http://{self.address}{port}/boot"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.address not in self.network:
            raise ValueError(f"the address {self.address} is not in {self.network}")
        if self.mode is Mode.PROXY:
            if self.first or self.last or self.router or self.name_servers or self.reservations:
                raise ValueError(
                    "a ProxyDHCP server gives no addresses, routers, name servers and reservations"
                )
            return self
        if self.first is None or self.last is None:
            raise ValueError("a DHCP server needs the first and the last address that it may give")
        if self.first not in self.network or self.last not in self.network or self.first > self.last:
            raise ValueError(f"{self.first} to {self.last} is no range in {self.network}")
        if self.first <= self.address <= self.last:
            raise ValueError(f"the range holds the server's own address {self.address}")
        outside = [str(one.address) for one in self.reservations if one.address not in self.network]
        if outside:
            raise ValueError(f"reserved addresses outside of {self.network}: {', '.join(outside)}")
        return self


def dnsmasq_configuration(network: BootNetwork) -> str:
    """For `dnsmasq --conf-file`."""
    return _render("dnsmasq.conf.j2", network)


def nginx_site(network: BootNetwork) -> str:
    """One `server` for nginx, with what it needs beside it in `http`."""
    return _render("nginx.conf.j2", network)


def lay_out_tftp(folder: Path, sources: tuple[Path, ...] = _IPXE_FOLDERS) -> None:
    """Puts iPXE's programs into `folder` and nothing else, readable by all users."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in IPXE_FILES:
        found = next((source / name for source in sources if (source / name).is_file()), None)
        if found is None:
            raise Unavailable(
                "boot_network.ipxe_missing",
                f"iPXE's {name} is not on this computer.",
                "Run: apt-get install --no-install-recommends ipxe",
            )
        shutil.copyfile(found, folder / name)
        (folder / name).chmod(0o644)


def _render(template: str, network: BootNetwork) -> str:
    # Ansible renders with the same two block settings.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  nothing of it is a page, and the plan lets no such text in
    )
    return environment.get_template(template).render(network=network.model_dump(mode="json"))
