"""Settings of the policy: which engine evaluates the rules, and what of its decisions is logged."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AnyHttpUrl, Field

from soundstage.settings.sections import Section


class PolicySettings(Section):
    """How decisions are made."""

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
