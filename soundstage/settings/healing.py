"""The section of self-healing: what it may do by itself, how patient it is, and its limits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from soundstage.settings.sections import Section


class HealingSettings(Section):
    """Level, timing and limits of healing machines whose node fails in Nomad."""

    level: Literal["off", "report", "drain", "power"] = Field(
        "drain",
        description="how far it goes: `report` only opens cases, `drain` also moves work and uses spares, "
        "`power` also power-cycles by the BMC",
    )
    reinstall: Literal["never", "ask", "within_budget"] = Field(
        "ask",
        description="when power cycles do not help: `ask` shows the plan to an operator, `within_budget` "
        "writes the disk without one",
    )
    wait_s: int = Field(600, ge=0, description="how long a finding must last")
    drain_s: int = Field(600, ge=1, description="how long running work may take to move before power is cut")
    check_s: int = Field(
        1800, ge=1, description="how long a machine may take from its power cycle to a passed golden frame"
    )
    reinstall_s: int = Field(7200, ge=1, description="the same from the begin of a reinstallation")
    restarts: int = Field(2, ge=1, le=10, description="power cycles of a machine per `window_hours`")
    window_hours: int = Field(24, ge=1, le=720, description="period over which power cycles are counted")
    at_once: int = Field(1, ge=1, description="most machines that are worked on at the same time")
    share_percent: int = Field(
        20,
        ge=1,
        le=100,
        description="with more machines of the farm failing, nothing begins: it may be the network",
    )
    reinstalls_per_day: int = Field(1, ge=0, description="budget of `within_budget`, all machines together")
    reinstalls_per_week: int = Field(3, ge=0, description="the same over seven days")
