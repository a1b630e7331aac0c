"""Wire types of announcements."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from provisioning_api.machines.hardware import Plain
from provisioning_api.machines.identity import telling_serial

# Guesses are made over the network; sixteen characters of an asset tag are out of their reach.
LEAST_SECRET = 16
Secret = Annotated[SecretStr, Field(min_length=LEAST_SECRET, max_length=64)]


def _of_one_machine(serial: str) -> str:
    if telling_serial(serial) is None:
        raise ValueError("must be the serial number of one machine")
    return serial


class AnnouncementRequest(BaseModel):
    """`serial` as the machine's firmware has it; `secret`: what its chassis asset tag is set to."""

    model_config = ConfigDict(extra="forbid")

    serial: Annotated[Plain, AfterValidator(_of_one_machine)]
    secret: Secret


class AnnouncementView(BaseModel):
    """`machine_id`: who has proved the secret; None while it is expected."""

    serial: str
    announced_by: str
    announced_at: datetime
    machine_id: str | None
