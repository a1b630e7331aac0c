"""Conditions and actions of rules, and the rules of a new installation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.schemas import Tag
from soundstage.one_line import OneLine

ANNOUNCED = "announced-machines"
PROOF = "to accept, a rule needs `when.announced` (serial number and secret), or `when.calls_home`"
NVIDIA, AMD = "10de", "1002"


def _network(value: object) -> object:
    return str(ip_network(value)) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Reporter:
    """The way a machine reports: `announced`, with the secret of its serial number; `calls_home`, with a key
    of ours that may call home.
    """

    announced: bool = False
    calls_home: bool = False


# Facts that every host on the network can read of a machine, and so can forge.
READABLE = frozenset({"mac", "macs", "uuid", "uuids", "serial", "serials"})


class When(BaseModel, extra="forbid"):
    """All that is given must hold. `networks`: where it reports from, e.g. `10.0.0.0/24`.

    `announced`: its serial number was announced, and it has proved the secret. `calls_home`: it is installed
    already, no ramdisk, and has shown a key that may call home.
    """

    announced: bool = False
    calls_home: bool = False
    networks: list[Annotated[str, BeforeValidator(_network)]] | None = Field(default=None, max_length=64)
    vendor: str | None = Field(default=None, max_length=200)
    product: str | None = Field(default=None, max_length=200)
    memory_mib_at_least: int | None = Field(default=None, ge=0, le=1 << 40)
    gpus_at_least: int | None = Field(default=None, ge=0, le=64)
    gpu_vendor: str | None = Field(default=None, pattern=r"^[0-9a-f]{4}$")

    @model_validator(mode="before")
    @classmethod
    def _names_nothing_readable(cls, value: object) -> object:
        if isinstance(value, dict) and (named := READABLE & value.keys()):
            raise ValueError(
                f"{sorted(named)[0]}: every neighbour can read and say it, so it proves nothing; {PROOF}"
            )
        return value

    def fits(self, hardware: Hardware, address: str | None, reporter: Reporter) -> bool:
        """Returns whether a machine with this hardware, reporting like this from this address, is meant."""
        if (self.announced and not reporter.announced) or (self.calls_home and not reporter.calls_home):
            return False
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


class Then(BaseModel, extra="forbid"):
    """The actions on a machine that fits. `pin`: one that is installed already and calls home is known from
    then on by the SSH host key that it shows at first contact; without it an operator has to name the
    fingerprint.
    """

    accept: bool = False
    pin: bool = False
    pool: Tag | None = None
    tags: list[Tag] = Field(default=[], max_length=40)


class Rule(BaseModel, extra="forbid"):
    """A rule by its name. One that accepts must say from where: there is no yes to the whole world."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    sentence: OneLine = Field(default="", max_length=300)
    enabled: bool = True
    when: When = When()
    then: Then = Then()

    @model_validator(mode="after")
    def _accepts_on_proof(self) -> Self:
        if self.enabled and (reason := no_proof(self.when, self.then)):
            raise ValueError(reason)
        return self


class RuleView(Rule):
    """`refused`: why a rule that was made under older terms does not act; it is off until it is changed."""

    refused: str = ""


def no_proof(when: When, then: Then) -> str:
    """Return why a rule may not accept machines; empty when it may."""
    if not then.accept or when.announced:
        return ""
    if not when.calls_home:
        return f"a network, hardware and names prove nothing, a neighbour has them too; {PROOF}"
    return "" if when.networks else "a rule that accepts machines which call home needs `when.networks`"


class RuleChange(BaseModel, extra="forbid"):
    """A change of a rule; missing fields stay as they are."""

    sentence: OneLine | None = Field(default=None, max_length=300)
    enabled: bool | None = None
    when: When | None = None
    then: Then | None = None


def default_rules() -> tuple[Rule, ...]:
    """Returns the rules of a new installation. The one that accepts is off until an operator names the
    networks.
    """
    return (
        Rule(
            name="any-machine-on-this-network",
            sentence="Any installed machine that calls home from the rule's networks with a key of ours may "
            "join, known by the host key it shows first. The address that the call comes from counts.",
            enabled=False,
            when=When(calls_home=True),
            then=Then(accept=True, pin=True),
        ),
        Rule(
            name=ANNOUNCED,
            sentence="A machine whose serial number was announced may join once it proves the secret.",
            enabled=False,
            when=When(announced=True),
            then=Then(accept=True),
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
