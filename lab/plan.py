"""The plan of a lab: its machines, their cards and addresses; stored before anything is created."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from lab.cards.catalogue import Card
from soundstage.errors import Conflict, Invalid, NotFound

NETWORK_PREFIX = "10.77.0"
GATEWAY = f"{NETWORK_PREFIX}.1"
PROXY_PORT = 3142
FIRST_HOST = 11
MAX_MACHINES = 100
_HOST_NAME = re.compile(
    r"(?=.{1,63}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


class MachinePlan(BaseModel, frozen=True, extra="forbid"):
    """One machine. `role`: its part in a plain cluster, if the lab has one; `memory_mib` is the most that it
    may use, `disk_gib` what its disk holds."""

    name: str
    address: str
    cards: tuple[Card, ...] = ()
    role: Literal["", "server", "client"] = ""
    memory_mib: Annotated[int, Field(ge=256)] = 4096
    disk_gib: Annotated[int, Field(ge=1, le=200)] = 20

    @property
    def nvidia_cards(self) -> int:
        """The number of its cards that the device plugin offers."""
        return len([card for card in self.cards if card.is_nvidia])


class LabPlan(BaseModel, frozen=True, extra="forbid"):
    """A whole lab. `layers` are baked layers over the root tree, the uppermost last; `engines` are files on
    this computer that playbooks install, by name."""

    name: str
    machines: tuple[MachinePlan, ...]
    groups: dict[str, tuple[str, ...]] = {}
    root_tree: str = ""
    layers: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    engines: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if len({one.name for one in self.machines}) < len(self.machines):
            raise ValueError("two machines have the same name")
        return self

    def machine(self, name: str) -> MachinePlan:
        for one in self.machines:
            if one.name == name:
                return one
        raise NotFound(
            "lab.no_such_machine",
            f"The lab “{self.name}” has no machine “{name}”.",
            f"There are: {', '.join(one.name for one in self.machines)}.",
        )


def machines_named(
    names: list[str],
    cards: list[tuple[Card, ...]] | None = None,
    *,
    memory_mib: int = 4096,
    disk_gib: int = 20,
) -> tuple[MachinePlan, ...]:
    """Machines with addresses in their order; `cards` has one entry per machine, from the first on."""
    if not 1 <= len(names) <= MAX_MACHINES:
        raise Invalid(
            "lab.machine_count",
            f"A lab has 1 to {MAX_MACHINES} machines, not {len(names)}.",
            "Each takes about 100 MB of memory with Nomad and Consul running.",
        )
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise Invalid(
                "lab.machine_name_invalid",
                f"“{name}” cannot be the name of a machine.",
                "Use a to z, A to Z, digits, dashes and dots; at most 63 characters.",
            )
    cards_of = list(cards or [])
    if len(cards_of) > len(names):
        raise Invalid(
            "lab.too_many_gpus",
            f"Cards are given for {len(cards_of)} machines, and there are {len(names)}.",
            "`--gpus` has one entry per machine: `--machines 3 --gpus 0,1,2`.",
        )
    cards_of += [()] * (len(names) - len(cards_of))
    return tuple(
        MachinePlan(
            name=name,
            address=f"{NETWORK_PREFIX}.{FIRST_HOST + number}",
            cards=cards_of[number],
            memory_mib=memory_mib,
            disk_gib=disk_gib,
        )
        for number, name in enumerate(names)
    )


def farm_groups(machines: Sequence[MachinePlan]) -> dict[str, tuple[str, ...]]:
    """Return the groups by which the playbooks know what a machine is for, with their members.

    The first machine is the server, the others work; alone or with NVIDIA cards it works as well. Groups
    without members are left out.
    """
    workers = [one for number, one in enumerate(machines) if number or len(machines) == 1 or one.nvidia_cards]
    groups = {
        "control": tuple(one.name for one in machines[:1]),
        "workers": tuple(one.name for one in workers),
        "gpu": tuple(one.name for one in workers if one.nvidia_cards),
        "cpu": tuple(one.name for one in workers if not one.nvidia_cards),
    }
    return {group: members for group, members in groups.items() if members}


def read_plan(path: Path, lab: str) -> LabPlan:
    """The plan of a lab that is up. NotFound when there is none."""
    try:
        return LabPlan.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NotFound(
            "lab.not_up",
            f"There is no lab “{lab}”.",
            "`soundstage lab up` makes one; `soundstage lab status` lists them.",
        ) from None
    except ValidationError:
        raise Conflict(
            "lab.plan_unreadable",
            f"The plan of the lab “{lab}” in {path} cannot be read.",
            f"`soundstage lab down --name {lab}` clears it away.",
        ) from None
