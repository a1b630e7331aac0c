"""What a rule looks at, what it does, and the rules that are shipped."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address, ip_network
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.schemas import Tag
from soundstage.one_line import OneLine

NVIDIA, AMD = "10de", "1002"


def _network(value: object) -> object:
    return str(ip_network(value)) if isinstance(value, str) else value


class When(BaseModel):
    """All that is given must hold. `networks`: where it reports from, e.g. `10.0.0.0/24`."""

    model_config = ConfigDict(extra="forbid")

    networks: list[Annotated[str, BeforeValidator(_network)]] | None = Field(default=None, max_length=64)
    vendor: str | None = Field(default=None, max_length=200)
    product: str | None = Field(default=None, max_length=200)
    memory_mib_at_least: int | None = Field(default=None, ge=0, le=1 << 40)
    gpus_at_least: int | None = Field(default=None, ge=0, le=64)
    gpu_vendor: str | None = Field(default=None, pattern=r"^[0-9a-f]{4}$")

    def fits(self, hardware: Hardware, address: str | None) -> bool:
        """Whether a machine with this hardware, reporting from this address, is meant."""
        if self.networks is not None and not _within(address, self.networks):
            return False
        gpus = [gpu for gpu in hardware.gpus if self.gpu_vendor in (None, gpu.vendor)]
        if self.gpu_vendor is not None and not gpus:
            return False
        return (
            self.vendor in (None, hardware.vendor)
            and self.product in (None, hardware.product)
            and hardware.memory_mib >= (self.memory_mib_at_least or 0)
            and len(gpus) >= (self.gpus_at_least or 0)
        )


class Then(BaseModel):
    """What happens to a machine that fits. `pin`: one that is installed already and calls home is known from
    then on by the SSH host key that it shows at first contact; without it somebody has to name the
    fingerprint.
    """

    model_config = ConfigDict(extra="forbid")

    accept: bool = False
    pin: bool = False
    pool: Tag | None = None
    tags: list[Tag] = Field(default=[], max_length=40)


class Rule(BaseModel):
    """A rule by its name. One that accepts must say from where: there is no yes to the whole world."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    sentence: OneLine = Field(default="", max_length=300)
    enabled: bool = True
    when: When = When()
    then: Then = Then()

    @model_validator(mode="after")
    def _accepts_from_somewhere(self) -> Self:
        if self.enabled and self.then.accept and not self.when.networks:
            raise ValueError("a rule that accepts machines needs `when.networks`")
        return self


class RuleChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    sentence: OneLine | None = Field(default=None, max_length=300)
    enabled: bool | None = None
    when: When | None = None
    then: Then | None = None


def shipped_rules() -> tuple[Rule, ...]:
    """What a new installation has. The one that accepts is off until an operator names the networks."""
    return (
        Rule(
            name="any-machine-on-this-network",
            sentence="Any machine that reports from these networks may join, known by the host key it shows "
            "first. Off until the networks are named.",
            enabled=False,
            then=Then(accept=True, pin=True),
        ),
        Rule(
            name="two-nvidia-cards",
            sentence="Machines with two or more NVIDIA cards belong to the pool gpu.",
            when=When(gpus_at_least=2, gpu_vendor=NVIDIA),
            then=Then(pool="gpu", tags=["nvidia"]),
        ),
    )


def _within(address: str | None, networks: Collection[str]) -> bool:
    if address is None:
        return False
    found = ip_address(address)
    return any(found in ip_network(network) for network in networks)
