"""Wire types of reports."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from provisioning_api.machines.hardware import Plain
from provisioning_api.machines.states import MachineState

_Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class ReportedSpan(BaseModel, extra="forbid"):
    """`ago_s`: how long ago it began; a duration needs no clock that is right."""

    name: Annotated[str, Field(max_length=100), AfterValidator(lambda text: text.strip())]
    ago_s: _Seconds
    seconds: _Seconds


class ReportedFailure(BaseModel, extra="forbid"):
    """The failure that an agent reports. `code` chooses the hint."""

    code: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    message: Plain


class WipedDisk(BaseModel, extra="forbid"):
    """`samples` places were read again afterwards, and `dirty` of them held something. Model and serial
    number as in the hardware report.
    """

    name: Plain
    model: Plain = ""
    serial: Plain = ""
    bytes: Annotated[int, Field(ge=0, le=1 << 60)]
    method: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    samples: Annotated[int, Field(ge=0, le=1 << 20)]
    dirty: Annotated[int, Field(ge=0, le=1 << 20)]


class Report(BaseModel, extra="forbid"):
    """All parts are optional; they are taken up together or not at all."""

    spans: list[ReportedSpan] = Field(default=[], max_length=100)
    failure: ReportedFailure | None = None
    wiped: list[WipedDisk] | None = Field(default=None, max_length=128)


class ReportTaken(BaseModel):
    state: MachineState
    challenge: str
