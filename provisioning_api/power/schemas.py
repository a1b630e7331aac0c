"""The ways to switch a machine's power, as operators configure them; one kind each."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field

from provisioning_api.machines.identity import Mac


class PowerAction(StrEnum):
    """`cycle` is off and on without asking the system; `boot_network` and `boot_disk` hold for the next
    start.
    """

    ON = "on"
    OFF = "off"
    CYCLE = "cycle"
    BOOT_NETWORK = "boot_network"
    BOOT_DISK = "boot_disk"


class _Kind(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WakeOnLan(_Kind):
    """A magic packet; it can only switch on. `mac`: None means every card of the machine."""

    kind: Literal["wol"]
    mac: Mac | None = None
    broadcast: IPv4Address = IPv4Address("255.255.255.255")
    port: int = Field(default=9, ge=1, le=65535)


class Redfish(_Kind):
    """A BMC (DMTF DSP0266). `certificate_sha256` pins its certificate, which is self-signed as a rule."""

    kind: Literal["redfish"]
    url: AnyHttpUrl
    user: str = Field(default="", max_length=200)
    password: str = Field(default="", max_length=200)
    system: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,100}$")
    certificate_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class PowerWebhook(_Kind):
    """A webhook of the operator's own switch: it gets `{"machine", "action"}` as JSON with an HMAC-SHA-256 of
    the body.
    """

    kind: Literal["webhook"]
    url: AnyHttpUrl
    secret: str = Field(min_length=16, max_length=200)


PowerSettings = Annotated[WakeOnLan | Redfish | PowerWebhook, Field(discriminator="kind")]


class PowerSetup(_Kind):
    """None takes what is set away."""

    power: PowerSettings | None


class PowerRequest(_Kind):
    action: PowerAction


class PowerDone(BaseModel):
    machine: str
    kind: str
    actions: list[PowerAction]


class PowerState(BaseModel):
    """`state` as the BMC tells it (`On`, `Off`, …); `unknown` for kinds that cannot tell."""

    machine: str
    kind: str
    state: str
