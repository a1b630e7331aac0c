"""Asks an engine through its library, in a thread; used by the modules beside this one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import consul
import requests
from nomad.api.exceptions import BaseNomadException

from soundstage.errors import Upstream
from soundstage.http.engines import EngineAddress
from soundstage.settings.sections import read_key_file

TIMEOUT_S = 20.0
# py-consul leaves the number out of the exceptions that stand for one status.
_CONSUL_STATUS = {"ACLDisabled": "401 ", "ACLPermissionDenied": "403 ", "NotFound": "404 "}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Engine:
    """Address and credentials of an engine. Files are read anew for each call, so that a changed one counts
    at once. `settings`: what to look at when it does not answer, for the hint.
    """

    name: str
    url: str
    settings: str
    token_file: Path | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    region: str = ""

    async def ask(
        self,
        client: Callable[[EngineAddress, float], AbstractContextManager[Any]],
        question: Callable[[Any], Answer],
    ) -> Answer:
        """Return what `question` returns: it is called in a thread with a client of the library, which shows
        the same token in all of its calls and gives each TIMEOUT_S.

        Raises `machine.engine_unreachable`, and `machine.engine_refused` when it answers and does not want.
        """
        return await asyncio.to_thread(self._ask, client, question)

    async def ask_for_token(
        self,
        client: Callable[[EngineAddress, float], AbstractContextManager[Any]],
        question: Callable[[Any], object],
        field: str,
        hint: str,
    ) -> str:
        """Returns the text of a field of the answer. Raises `machine.engine_refused` where there is none."""
        answer = await self.ask(client, question)
        token = answer.get(field) if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise Upstream("machine.engine_refused", f"{self.name} answered without a token.", hint)
        return token

    def _ask(
        self,
        client: Callable[[EngineAddress, float], AbstractContextManager[Any]],
        question: Callable[[Any], Answer],
    ) -> Answer:
        address = EngineAddress(
            self.url,
            None if self.token_file is None else read_key_file(self.token_file),
            self.ca_file,
            self.client_cert_file,
            self.client_key_file,
            self.region,
        )
        try:
            with client(address, TIMEOUT_S) as opened:
                return question(opened)
        except consul.ConsulException as error:
            if error.__cause__ is not None:
                # The answer was no JSON; the library's words would hold all of it.
                raise self._unreachable(error.__cause__) from error
            raise self.refusal(f"{_CONSUL_STATUS.get(type(error).__name__, '')}{error}") from error
        except BaseNomadException as error:
            answer = error.nomad_resp
            if isinstance(answer, requests.Response):
                raise self.refusal(f"{answer.status_code} {answer.text}") from error
            raise self._unreachable(answer) from error
        except (OSError, ValueError) as error:
            raise self._unreachable(error) from error

    def refusal(self, words: str) -> Upstream:
        """The error for an engine that answers `words`."""
        # An engine's words are one line about rights; a stranger's page would be long.
        return Upstream(
            "machine.engine_refused",
            f"{self.name} refused: {' '.join(words.split())[:200]}",
            f"Check the rights of the token: {self.settings}.",
        )

    def _unreachable(self, error: BaseException) -> Upstream:
        return Upstream(
            "machine.engine_unreachable",
            f"{self.name} at {self.url} could not be asked: {type(error).__name__}.",
            f"Check {self.settings}.",
        )
