"""The validated plan of one boot network, before anything is written from it; built by tests and programs.

The role pxe_server hands the same names to the same templates.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, computed_field, model_validator

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
    """`server` gives addresses; `proxy` names boot files beside a DHCP server of somebody else."""

    SERVER = "server"
    PROXY = "proxy"


class Reservation(BaseModel, extra="forbid", frozen=True):
    """One machine that always gets the same address."""

    mac: Mac
    address: IPv4Address
    name: Word


class BootNetwork(BaseModel, extra="forbid", frozen=True):
    """`address` is this server's own, in the network that machines boot from.

    `http_port` is where boot scripts are, whoever serves them. `uefi_program` is `snponly.efi`, which uses
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
