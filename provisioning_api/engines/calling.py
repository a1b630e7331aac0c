"""One call of an engine's HTTP API, the same for Nomad and Consul; used by the modules beside this one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from soundstage.errors import Upstream
from soundstage.settings.sections import read_key_file

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Engine:
    """Where it is and who we are there. Files are read anew for each call, so that a changed one counts at
    once. `settings`: what to look at when it does not answer, for the hint.
    """

    name: str
    url: str
    settings: str
    token_header: str
    token_file: Path | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    region: str = ""

    def token(self) -> str | None:
        """What we show now; for calls that have to show the same one."""
        return None if self.token_file is None else read_key_file(self.token_file)

    async def call(
        self, method: str, path: str, *, token: str | None = None, gone_is_done: bool = False, **more: Any
    ) -> Any:
        """The content of the answer, from JSON; None for an empty one, and for 404 with `gone_is_done`.
        `token`: shown instead of the one in the file.

        Raises `machine.engine_unreachable`, and `machine.engine_refused` when it answers and does not want.
        """
        shown = token or self.token()
        headers = {} if shown is None else {self.token_header: shown}
        params = {"region": self.region} if self.region else {}
        try:
            async with httpx.AsyncClient(
                base_url=self.url.rstrip("/"), timeout=TIMEOUT_S, trust_env=False, verify=self._tls()
            ) as client:
                answer = await client.request(method, path, params=params, headers=headers, **more)
                if gone_is_done and answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                if answer.is_error:
                    raise self._refusal(answer)
                return answer.json() if answer.content.strip() else None
        except (httpx.HTTPError, ValueError, OSError) as error:
            raise Upstream(
                "machine.engine_unreachable",
                f"{self.name} at {self.url} could not be asked: {type(error).__name__}.",
                f"Check {self.settings}.",
            ) from error

    def _tls(self) -> ssl.SSLContext | bool:
        if not self.url.startswith("https:"):
            return True
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client_cert_file is not None:
            context.load_cert_chain(self.client_cert_file, self.client_key_file)
        return context

    def _refusal(self, answer: httpx.Response) -> Upstream:
        # An engine's words are one line about rights; a stranger's page would be long.
        words = " ".join(answer.text.split())[:200]
        return Upstream(
            "machine.engine_refused",
            f"{self.name} refused: {answer.status_code} {words}",
            f"Check the rights of the token: {self.settings}.",
        )
