"""Settings of the policy: which engine evaluates the rules, and what of its decisions is logged."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AnyHttpUrl, Field

from soundstage.settings.sections import Section


class PolicySettings(Section):
    """Settings of policy decisions."""

    engine: Literal["embedded", "opa"] = Field(
        "embedded", description="what evaluates the rules: this process, or an OPA server"
    )
    opa_url: AnyHttpUrl = Field(
        AnyHttpUrl("http://127.0.0.1:8181"), description="an OPA server of this installation alone"
    )
    opa_token_file: Path | None = Field(None, description="file with the token for OPA; empty: none")
    log: Literal["all", "refused", "none"] = Field(
        "refused", description="which decisions the log tells: all, those that are not a plain yes, or none"
    )
    approval_hours: int = Field(24, ge=1, le=24 * 30, description="how long a call waits for people to agree")
    tool_calls_per_minute: int = Field(
        120, ge=1, le=100_000, description="how many tools of the agent one person may call in a minute"
    )
