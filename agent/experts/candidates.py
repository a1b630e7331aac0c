"""Candidate models and their sources; collected by the Router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.model.backend import ChatModel
from agent.model.openai_server import build_servers
from soundstage.http import OwnListeners
from soundstage.settings.sections import LlmsSettings


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with its topics. A smaller `preference` goes first."""

    model: ChatModel
    address: str
    topics: frozenset[str] = frozenset()
    preference: int = 0
    source: str = "consul"

    @property
    def name(self) -> str:
        return self.model.name


class Source(Protocol):
    """A source of models."""

    async def candidates(self) -> Sequence[Candidate]: ...

    @property
    def problem(self) -> str:
        """The error of the last discovery, in one sentence; empty without one."""
        ...


class ConfiguredModels:
    """The models of the settings, `[llm]`."""

    problem = ""

    def __init__(self, settings: LlmsSettings, listeners: OwnListeners = OwnListeners()) -> None:
        self._found = [
            Candidate(server, str(one.base_url), preference=place, source="settings")
            for place, (one, server) in enumerate(build_servers(settings, listeners), start=1)
        ]

    async def candidates(self) -> Sequence[Candidate]:
        return self._found
