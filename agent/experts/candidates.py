"""Models that could be asked, and where they come from; gathered by the Router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.model.backend import ChatModel
from agent.model.openai_server import OpenAiServer
from soundstage.http import OwnListeners
from soundstage.settings.sections import LlmsSettings


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with what it is good at. `preference`: who has a smaller one is asked first."""

    model: ChatModel
    address: str
    topics: frozenset[str] = frozenset()
    preference: int = 0
    source: str = "consul"

    @property
    def name(self) -> str:
        return self.model.name


class Source(Protocol):
    """Somewhere models are found."""

    async def candidates(self) -> Sequence[Candidate]: ...

    @property
    def problem(self) -> str:
        """Why the last look failed, in one sentence; empty when it did not."""
        ...


class ConfiguredModels:
    """The models of the settings, `[llm]`."""

    def __init__(self, settings: LlmsSettings, listeners: OwnListeners = OwnListeners()) -> None:
        order = {"local": ("local", "cloud"), "cloud": ("cloud", "local"), "none": ()}[settings.prefer]
        self._found: list[Candidate] = []
        for place, name in enumerate(order, start=1):
            one = settings.local if name == "local" else settings.cloud
            if one.base_url is not None:
                url = str(one.base_url)
                model = OpenAiServer(
                    name,
                    url,
                    one.model,
                    api_key=one.api_key,
                    silence_s=one.timeout_s,
                    listeners=listeners,
                )
                self._found.append(Candidate(model, url, preference=place, source="settings"))

    async def candidates(self) -> Sequence[Candidate]:
        return self._found

    @property
    def problem(self) -> str:
        return ""
