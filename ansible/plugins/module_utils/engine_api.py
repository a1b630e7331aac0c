# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS with a client certificate and a token, spoken to Consul and Nomad by the action plugins."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore


class EngineError(Exception):
    """The engine refused or could not be reached; `status` is 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Engine:
    """Port and token header of one of the two; `name` is also its folder among the secrets."""

    name: str
    port: int
    token_header: str


CONSUL = Engine("consul", 8501, "X-Consul-Token")
NOMAD = Engine("nomad", 4646, "X-Nomad-Token")


class EngineApi:
    """One server of an engine. `headers` carry the token, which appears in no message."""

    def __init__(self, address: str, port: int, store: SecretStore, headers: Mapping[str, str]) -> None:
        self._address = address
        self._port = port
        self._headers = headers
        # The authority that signs today comes first in the file; during a rotation older ones follow.
        self._tls = ssl.create_default_context(cafile=str(store.path("tls/ca.pem")))
        self._tls.load_cert_chain(store.path("tls/operator.pem"), store.path("tls/operator-key.pem"))

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def put(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.call("PUT", path, body)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.call("POST", path, body)

    def find(self, path: str) -> Any | None:
        """Like `get`, and None when there is no such thing."""
        return self._get_unless(404, path)

    def knows_its_token(self) -> bool:
        """Returns whether the token is the engine's own; both answer 403 to one that they never issued."""
        return self._get_unless(403, "/v1/acl/token/self") is not None

    def _get_unless(self, status: int, path: str) -> Any | None:
        try:
            return self.get(path)
        except EngineError as error:
            if error.status == status:
                return None
            raise

    def plain(self, path: str) -> str:
        """Text that is no JSON, such as a log; empty when there is none, for whatever reason."""
        try:
            return self._answer("GET", path)
        except EngineError:
            return ""

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        text = self._answer(method, path, body)
        return json.loads(text) if text.strip() else None

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        connection = http.client.HTTPSConnection(self._address, self._port, timeout=20, context=self._tls)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json", **self._headers})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"https://{self._address}:{self._port} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise EngineError(
                f"{method} {path} on {self._address}:{self._port}: {answer.status} {text.strip()[:300]}",
                answer.status,
            )
        return text


def management_api(engine: Engine, store: SecretStore, address: str, port: int | None = None) -> EngineApi:
    """The server at `address`, asked with the management token; SecretStoreError when that is missing."""
    token = store.text(f"{engine.name}/management.token")
    return EngineApi(address, port or engine.port, store, {engine.token_header: token})


def wait_for_leader(api: EngineApi, seconds: int) -> None:
    """Return when the servers have elected one; EngineError with the last answer when they do not in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if api.get("/v1/status/leader"):
                return
            reason = "no leader has been elected"
        except EngineError as error:
            reason = str(error)
        if time.monotonic() > deadline:
            raise EngineError(f"The servers are not ready after {seconds} s: {reason}")
        time.sleep(0.3)
