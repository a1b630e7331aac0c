"""Asks an OPA server, which is given our rules at the first question and whenever it has lost them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError

from policy.decisions.bundle import Bundle
from policy.decisions.engine import engine_failed
from policy.decisions.verdict import Decision
from soundstage.errors import SoundstageError
from soundstage.http import http_errors, open_client
from soundstage.telemetry import get_logger

TIMEOUT_S = 5.0
_DECISION_PATH = "/v1/data/soundstage/authz/decision"


class OpaEngine:
    """A client of the Data and Policy APIs of OPA; the server belongs to this installation alone.

    Rules of another revision, left by an older version of ours or changed by hand, are never believed.
    """

    def __init__(self, url: str, bundle: Bundle, token_file: Path | None = None) -> None:
        self.revision = bundle.revision
        self._bundle = bundle
        self._token_file = token_file
        self._http = open_client(url, timeout=TIMEOUT_S)
        self._giving = asyncio.Lock()
        self._log = get_logger(__name__)

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        decision = await self._ask(document)
        if decision is None or decision.revision != self.revision:
            async with self._giving:
                decision = await self._ask(document)
                if decision is None or decision.revision != self.revision:
                    await self._give_rules()
                    decision = await self._ask(document)
        if decision is None or decision.revision != self.revision:
            raise engine_failed("OPA does not keep the rules that it is given")
        return decision

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def _ask(self, document: Mapping[str, Any]) -> Decision | None:
        """None when OPA has no such rules."""
        answer = await self._call("POST", _DECISION_PATH, json={"input": dict(document)})
        try:
            body = answer.json()
            return Decision.model_validate(body["result"]) if "result" in body else None
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise engine_failed("OPA's answer is not a decision") from error

    async def _give_rules(self) -> None:
        self._log.info("OPA gets the rules", revision=self.revision)
        # A new module need not go together with an old one. The data last: its revision stands for the whole.
        for name in reversed(list(self._bundle.modules)):
            await self._call("DELETE", f"/v1/policies/soundstage/{name}", missing_is_fine=True)
        for name, source in self._bundle.modules.items():
            headers = {"Content-Type": "text/plain"}
            await self._call("PUT", f"/v1/policies/soundstage/{name}", content=source, headers=headers)
        for name, value in self._bundle.document().items():
            await self._call("PUT", f"/v1/data/{name}", json=value)

    async def _call(
        self, method: str, path: str, *, missing_is_fine: bool = False, **content: Any
    ) -> httpx.Response:
        headers = {**content.pop("headers", {}), **await asyncio.to_thread(self._authorization)}
        with http_errors(_unreachable):
            answer = await self._http.request(method, path, headers=headers, **content)
        if answer.is_error and not (missing_is_fine and answer.status_code == httpx.codes.NOT_FOUND):
            raise engine_failed(f"OPA answers {answer.status_code}")
        return answer

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise engine_failed(f"the file {self._token_file} cannot be read: {error.strerror}") from error
        return {"Authorization": f"Bearer {token}"}


def _unreachable(error: httpx.HTTPError) -> SoundstageError:
    return engine_failed(f"OPA cannot be reached ({type(error).__name__})")
