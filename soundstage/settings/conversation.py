"""The sections of the conversation: what one answer may take, and language models found in Consul."""

from __future__ import annotations

from pathlib import Path

from pydantic import AnyHttpUrl, Field

from soundstage.settings.sections import Keyed, Section, read_key_file


class AgentSettings(Section):
    """Limits of one answer of the agent by a language model."""

    turn_calls: int = Field(12, ge=1, le=100, description="how often the model is asked, tools included")
    turn_s: float = Field(120.0, gt=0, le=3600, description="how long the model may take in all")
    turn_tokens: int = Field(100_000, ge=100, description="how many tokens may go to and come from the model")


class ExpertSettings(Keyed):
    """Language models that register themselves in Consul; asked before those under `[llm]`."""

    consul_url: AnyHttpUrl | None = Field(
        None, description="a Consul agent, e.g. `http://127.0.0.1:8500`; empty: none are looked for"
    )
    consul_token_file: Path | None = Field(
        None, description="file that holds an ACL token that may read services"
    )
    consul_ca_file: Path | None = Field(None, description="certificates that Consul's must be signed by")
    consul_client_cert_file: Path | None = Field(
        None, description="our own certificate for Consul, for mutual TLS"
    )
    consul_client_key_file: Path | None = Field(None, description="the key of that certificate")
    tag: str = Field(
        "llm-expert*",
        min_length=1,
        max_length=100,
        description="services with such a tag are experts; `*` stands for anything",
    )
    refresh_s: float = Field(10.0, gt=0, le=3600, description="how often Consul is asked")
    timeout_s: float = Field(30.0, gt=0, description="longest wait for an expert to go on")

    def consul_token(self) -> str | None:
        """The token, read now; None when none is configured."""
        return None if self.consul_token_file is None else read_key_file(self.consul_token_file)
