"""Finds experts in Consul: healthy services with a tag; a Source of the Router."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import consul
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from agent.experts.candidates import Candidate
from agent.model.openai_server import OpenAiServer
from agent.model.presets import Preset, preset_for
from soundstage.errors import SoundstageError
from soundstage.http import NO_LISTENERS, Destinations, OwnListeners, resolve
from soundstage.http.engines import EngineAddress, consul_client
from soundstage.settings.conversation import ExpertSettings
from soundstage.telemetry import mask_text

TIMEOUT_S = 3.0
MAX_SERVICES = 64
TOPIC = "topic="


class _Service(BaseModel):
    id: str = Field(alias="ID", max_length=200)
    service: str = Field(alias="Service", max_length=200)
    address: str = Field(default="", alias="Address", max_length=200)
    port: int = Field(default=0, alias="Port", ge=0, le=65535)
    """0: it was registered without one, and cannot be asked."""
    tags: list[str] | None = Field(default=None, alias="Tags")
    meta: dict[str, str] | None = Field(default=None, alias="Meta")


class _Node(BaseModel):
    address: str = Field(alias="Address", max_length=200)


class _Entry(BaseModel):
    node: _Node = Field(alias="Node")
    service: _Service = Field(alias="Service")


_CATALOGUE: TypeAdapter[dict[str, list[str]]] = TypeAdapter(dict[str, list[str]])
_ENTRIES: TypeAdapter[list[_Entry]] = TypeAdapter(list[_Entry])


@dataclass
class ConsulExperts:
    """Experts of the moment. While Consul is away those it named last stay, and `problem` says so.

    A service is an expert by a tag that fits `experts.tag`; `topic=…` tags say what it is good at, its meta
    values `model`, `path` (default `/v1`) and `scheme` how it is asked.
    """

    settings: ExpertSettings
    listeners: OwnListeners = NO_LISTENERS
    _found: list[Candidate] = field(default_factory=list, init=False)
    _looked_at: float | None = field(default=None, init=False)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    problem: str = field(default="", init=False)

    async def candidates(self) -> Sequence[Candidate]:
        if self.settings.consul_url is None:
            return ()
        async with self._looking:
            now = time.monotonic()
            if self._looked_at is None or now - self._looked_at >= self.settings.refresh_s:
                self._looked_at = now
                await self._poll(str(self.settings.consul_url).rstrip("/"))
        return self._found

    async def _poll(self, url: str) -> None:
        try:
            await resolve(url, Destinations(self.listeners, named_by_operator=True))
            async with asyncio.timeout(TIMEOUT_S):
                entries = await asyncio.to_thread(self._entries, url)
        except (consul.ConsulException, OSError, ValidationError, ValueError, RecursionError) as error:
            where = mask_text(url)
            self.problem = f"Consul at {where} did not say which experts there are ({type(error).__name__})."
            return
        except SoundstageError as error:
            self.problem = error.message
            return
        self.problem = ""
        # Each candidate may add a problem.
        self._found = [
            self._candidate(entry)
            for entry in entries
            if entry.service.port and self._is_expert(entry.service.tags or ())
        ]

    def _entries(self, url: str) -> list[_Entry]:
        """Returns what registers as an expert and passes its checks. Files are read anew at each look, as
        certificates and tokens are renewed.
        """
        chosen = self.settings
        address = EngineAddress(
            url,
            chosen.consul_token(),
            chosen.consul_ca_file,
            chosen.consul_client_cert_file,
            chosen.consul_client_key_file,
        )
        ends = time.monotonic() + TIMEOUT_S
        entries: list[_Entry] = []
        with consul_client(address, TIMEOUT_S) as client:
            catalogue = _CATALOGUE.validate_python(client.catalog.services()[1])
            names = [name for name, tags in catalogue.items() if self._is_expert(tags)]
            # The library would take a name with a slash for more parts of the path.
            for name in [name for name in names if "/" not in name][:MAX_SERVICES]:
                entries += _ENTRIES.validate_python(client.health.service(name, passing=True)[1])
                if time.monotonic() > ends:
                    raise TimeoutError(f"Consul took longer than {TIMEOUT_S:g} s")
        return entries

    def _is_expert(self, tags: Sequence[str]) -> bool:
        return any(fnmatchcase(tag, self.settings.tag) for tag in tags)

    def _candidate(self, entry: _Entry) -> Candidate:
        service, meta = entry.service, entry.service.meta or {}
        url = _url(service.address or entry.node.address, service.port, meta)
        model = OpenAiServer(
            service.id,
            url,
            meta.get("model", ""),
            api_key=self.settings.api_key,
            silence_s=self.settings.timeout_s,
            listeners=self.listeners,
            preset=self._preset(service.id, meta),
        )
        topics = frozenset(
            tag.removeprefix(TOPIC).lower() for tag in service.tags or () if tag.startswith(TOPIC)
        )
        return Candidate(model, url, topics)

    def _preset(self, service_id: str, meta: Mapping[str, str]) -> Preset:
        """Returns how the service wants to be asked; wrong values of one count for none of its meta."""
        try:
            return preset_for(meta.get("model", ""), meta)
        except SoundstageError as error:
            self.problem = f"{service_id}: {error.message}"
            return preset_for(meta.get("model", ""), {})


def _url(host: str, port: int, meta: Mapping[str, str]) -> str:
    scheme = "https" if meta.get("scheme") == "https" else "http"
    shown = f"[{host}]" if ":" in host else host
    path = meta.get("path", "/v1").strip("/")
    return f"{scheme}://{shown}:{port}/{path}"
