"""Draws machines and their faults from a seed, before anything starts; used by the fleet."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Fault(StrEnum):
    """At most one per machine, so that the effects stay apart. Lost packets: calls or answers that never
    arrive.
    """

    NONE = "none"
    LOST_PACKETS = "lost_packets"
    DUPLICATE_UUID = "duplicate_uuid"
    CLOCK_1970 = "clock_1970"
    HALF_WRITTEN_DISK = "half_written_disk"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """One simulated machine. `seed` feeds its own random numbers (which packets are lost)."""

    number: int
    macs: tuple[str, ...]
    uuid: str
    serial: str
    gpus: int
    starts_after_s: float
    fault: Fault
    seed: int

    @property
    def secret(self) -> str:
        """The secret that its serial number is announced with."""
        return f"asset-tag-of-{self.serial}"


def plan_fleet(machines: int, seed: int, *, faulty: float, spread_s: float) -> Sequence[MachinePlan]:
    """Returns the same plans for the same arguments. `faulty` is the share of machines with a fault, 0 to 1;
    they start within `spread_s` seconds.
    """
    dice = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    faults = [fault for fault in Fault if fault is not Fault.NONE]
    plans: list[MachinePlan] = []
    for number in range(machines):
        fault = dice.choice(faults) if dice.random() < faulty and number else Fault.NONE
        uuid = str(UUID(int=dice.getrandbits(128), version=4))
        if fault is Fault.DUPLICATE_UUID:
            uuid = plans[dice.randrange(number)].uuid
        plans.append(
            MachinePlan(
                number=number,
                macs=_macs(number),
                uuid=uuid,
                serial=f"SIM{seed:04d}{number:06d}",
                gpus=dice.choice((0, 0, 1, 2, 4)),
                starts_after_s=dice.random() * spread_s,
                fault=fault,
                seed=dice.getrandbits(32),
            )
        )
    return plans


def _macs(number: int) -> tuple[str, ...]:
    # Locally administered: no real card has such an address.
    tail = f"{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    return (f"02:50:00:{tail}", f"02:51:00:{tail}")
