"""Wire types of announcements."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, Field, SecretStr

from provisioning_api.machines.hardware import Plain
from provisioning_api.machines.identity import usable_serial

# Guesses are made over the network; sixteen characters of an asset tag are out of their reach.
MIN_SECRET = 16
Secret = Annotated[SecretStr, Field(min_length=MIN_SECRET, max_length=64)]


def _of_one_machine(serial: str) -> str:
    if usable_serial(serial) is None:
        raise ValueError("must be the serial number of one machine")
    return serial


class AnnouncementRequest(BaseModel, extra="forbid"):
    """`serial` as the machine's firmware has it; `secret`: what its chassis asset tag is set to."""

    serial: Annotated[Plain, AfterValidator(_of_one_machine)]
    secret: Secret


def _over_tls(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.scheme != "https":
        raise ValueError("must be https://: the secret of the machine crosses this connection")
    return url


class BmcAccess(BaseModel, extra="forbid"):
    """A BMC (DMTF DSP0266). `certificate_sha256` pins its certificate, which is self-signed as a rule."""

    url: Annotated[AnyHttpUrl, AfterValidator(_over_tls)]
    user: str = Field(default="", max_length=200)
    password: SecretStr = Field(default=SecretStr(""), max_length=200)
    system: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,100}$")
    certificate_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class BmcAnnouncement(BaseModel, extra="forbid"):
    """A machine whose BMC is told a secret for it. Its asset tag is overwritten. `restart`: it is started
    from the network at once; otherwise the secret counts at its next start, within two hours.
    """

    serial: Annotated[Plain, AfterValidator(_of_one_machine)]
    bmc: BmcAccess
    restart: bool = True


class AnnouncementView(BaseModel):
    """`machine_id`: who has proved the secret; None while it is expected. `ends_at`: of a secret that the BMC
    was told; None: it is expected until the announcement is withdrawn.
    """

    serial: str
    announced_by: str
    announced_at: datetime
    machine_id: str | None
    ends_at: datetime | None
