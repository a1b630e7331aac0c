"""Asks the provisioning API over HTTP; `soundstage machines`, `soundstage runs` and the agent's tools are its
callers.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from ipaddress import ip_address
from typing import Any

import httpx

from app.api_client import ApiClient, Problem
from app.local_access import read_local_access
from policy import Principal
from policy.acting_for import DELEGATION_HEADER, DELEGATION_PERMISSION, ActingFor
from soundstage.backoff import Backoff
from soundstage.errors import Forbidden, Invalid, SoundstageError, Unavailable, Upstream
from soundstage.http import open_client, tls_context
from soundstage.http.addresses import is_of_this_machine
from soundstage.http.event_stream import stream_events
from soundstage.paging import TOTAL_HEADER, Page
from soundstage.settings import Settings
from soundstage.settings.sections import read_key_file
from soundstage.tracing import traceparent

URL_SETTING = "provisioning.api_url"
KEY_SETTING = "provisioning.api_key_file"
CA_SETTING = "provisioning.api_ca_file"
TIMEOUT_S = 60.0
# Silence on a stream is no end; a connection that is not accepted is.
STREAM_TIMEOUT = httpx.Timeout(None, connect=TIMEOUT_S)
RETRIES = Backoff(first_s=0.25, longest_s=30.0, jitter=(0.5, 1.0))


class MachinesApi(ApiClient):
    """Sends requests to the provisioning API, on behalf of `delegated_for` where that is set."""

    def __init__(self, client: httpx.AsyncClient, delegated_for: ActingFor | None = None) -> None:
        super().__init__(client)
        self._url = str(client.base_url)
        self._delegated_for = delegated_for

    async def page(self, path: str, **params: Any) -> Page[Any]:
        """Returns one page of a list, with total and the cursor of the next one."""
        answer = await self._get_page(path, params)
        items = self._content(answer)
        total = answer.headers.get(TOTAL_HEADER, "")
        link = answer.links.get("next", {}).get("url", "")
        cursor = httpx.URL(link).params.get("cursor")
        return Page(items, int(total) if total.isdigit() else len(items), cursor)

    async def post(self, path: str, body: Any = None, **params: Any) -> Any:
        return await super().post(path, {} if body is None else body, **params)

    async def events(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Yields server-sent events until the stream ends. Reconnects with Last-Event-ID."""
        last, failed_attempts = "", 0
        while True:
            if failed_attempts:
                await asyncio.sleep(RETRIES.delay_s(failed_attempts))
            failed_attempts += 1
            headers = {"Last-Event-ID": last} if last else {}
            try:
                async with self._client.stream("GET", path, headers=headers, timeout=None) as answer:
                    if answer.status_code == 204:
                        return
                    await self._check(answer)
                    async with aclosing(stream_events(answer.aiter_bytes())) as found:
                        async for event in found:
                            last, failed_attempts = event.id or last, 0
                            yield json.loads(event.data)
                # The stream ended by itself: asking once more says 204 when it is really over.
            except httpx.TransportError as error:
                if not last:
                    raise self._unreachable(error) from error

    @asynccontextmanager
    async def stream(self, path: str, seen: int | None) -> AsyncIterator[httpx.Response]:
        """Opens the server-sent events after the id `seen`; status 204 when no more events will come."""
        headers = {"traceparent": traceparent(), "Accept-Encoding": "identity"}
        if seen is not None:
            headers["Last-Event-ID"] = str(seen)
        try:
            async with self._client.stream("GET", path, headers=headers, timeout=STREAM_TIMEOUT) as answer:
                await self._check(answer)
                yield answer
        except httpx.ConnectError as error:
            raise self._unreachable(error) from error

    async def require_delegation(self) -> None:
        """Raises Forbidden (`machines.key_cannot_represent`) when the key may not act for others. The server
        checks the agent's key by it when it starts.
        """
        headers = {} if self._delegated_for is None else {DELEGATION_HEADER: self._delegated_for.header()}
        await self._send("GET", "/api/machines", headers=headers, params={"limit": 1})

    async def _send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        # GET requests are not audited, so they carry no delegation header.
        if self._delegated_for is not None and method != "GET":
            headers = {**(headers or {}), DELEGATION_HEADER: self._delegated_for.header()}
        return await super()._send(method, path, headers=headers, **more)

    def _refusal(self, problem: Problem, answer: httpx.Response) -> SoundstageError:
        acts_for_person = DELEGATION_HEADER in answer.request.headers
        if acts_for_person and problem.code == "policy.forbidden" and DELEGATION_PERMISSION in problem.detail:
            return Forbidden(
                "machines.key_cannot_represent",
                "The key for the provisioning API may not say for whom it acts: nobody can change machines "
                "with it.",
                f"{KEY_SETTING} needs a key with the role admin; scopes may narrow it to machine:*, run:* "
                f"and {DELEGATION_PERMISSION}.",
            )
        return super()._refusal(problem, answer)

    def _unexpected_response(self, answered: object) -> Upstream:
        return Upstream(
            "machines.strange_answer",
            f"What answers there answered {answered} and is not the provisioning API.",
            f"Set {URL_SETTING} to where it is.",
        )

    def _unreachable(self, error: httpx.RequestError) -> Unavailable:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return Unavailable(
                "machines.untrusted",
                f"The certificate of the provisioning API at {self._url} is not one that is trusted here.",
                "Write what `soundstage machines ca` prints there into a file, and name it: "
                f"`soundstage machines --ca FILE`, or {CA_SETTING}.",
            )
        return Unavailable(
            "machines.no_server",
            f"The provisioning API at {self._url} does not answer ({type(error).__name__}).",
            f"Start it with `soundstage up`, or set {URL_SETTING} to where it is.",
        )

    def _outcome_unknown(self, error: httpx.RequestError) -> Upstream:
        return Upstream(
            "machines.outcome_unknown",
            f"The provisioning API at {self._url} took the request and did not answer "
            f"({type(error).__name__}): whether it was done is not known.",
            "Look before you ask for it again.",
        )


@asynccontextmanager
async def machines_api(settings: Settings, acting_for: Principal | None = None) -> AsyncIterator[MachinesApi]:
    """Opens a client with the key of `provisioning.api_key_file`, or with the local key where the server of
    this state folder runs; on behalf of `acting_for`.
    """
    url, key = _endpoint_and_key(settings)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    tls = _tls_verify(settings, url)
    async with open_client(url, headers=headers, timeout=TIMEOUT_S, tls=tls) as client:
        yield MachinesApi(client, None if acting_for is None else ActingFor.of(acting_for))


def _endpoint_and_key(settings: Settings) -> tuple[str, str | None]:
    """Return URL and key. The local key goes only to the server that has written where it listens."""
    chosen = settings.provisioning
    if chosen.api_key_file is not None:
        url = _url(settings)
        _require_private_transport(settings, url)
        return url, read_key_file(chosen.api_key_file)
    local = read_local_access(settings.state_dir)
    configured = None if chosen.api_url is None else str(chosen.api_url).rstrip("/")
    if (
        local is not None
        and local.provisioning_url is not None
        and configured in (None, local.provisioning_url)
    ):
        return local.provisioning_url, local.key
    return _url(settings), None


def _require_private_transport(settings: Settings, url: str) -> None:
    """Raise Forbidden before a key would leave this machine unencrypted, unless the operator allows it."""
    found = httpx.URL(url)
    if found.scheme != "https" and not _is_of_this_machine(found.host) and not settings.auth.plain_http:
        raise Forbidden(
            "machines.plain_http",
            f"A key that goes to {url} can be read on the way: it is plain HTTP to another machine.",
            f"Set {URL_SETTING} to its https address, and name its authority with `soundstage machines --ca "
            "FILE`; or set auth.plain_http on a network without eavesdroppers.",
        )


def _is_of_this_machine(host: str) -> bool:
    """Returns whether packets to a host stay here. A name other than localhost may lead anywhere."""
    try:
        return host == "localhost" or is_of_this_machine(ip_address(host))
    except ValueError:
        return False


def _tls_verify(settings: Settings, url: str) -> ssl.SSLContext | bool:
    """Returns the TLS context that trusts the configured CA and no other; True for the system's CAs.

    Raises Invalid for a CA that would verify nothing.
    """
    path = settings.provisioning.api_ca_file
    if path is None:
        return True
    if httpx.URL(url).scheme != "https":
        raise Invalid(
            "machines.ca_without_tls",
            f"An authority is named ({path}), and {url} is plain HTTP: nothing would be checked.",
            f"Set {URL_SETTING} to the https address, or leave out `--ca` and {CA_SETTING}.",
        )
    try:
        return tls_context(ca_file=path)
    except OSError as error:  # an ssl.SSLError is one
        raise Invalid(
            "machines.ca_unreadable",
            f"The certificates in {path} cannot be read: {error}.",
            f"Write what `soundstage machines ca` prints there, or set {CA_SETTING}.",
        ) from error


def _url(settings: Settings) -> str:
    if settings.provisioning.api_url is not None:
        return str(settings.provisioning.api_url)
    if settings.provisioning_port == 0:
        raise Invalid(
            "machines.unknown_port",
            "The provisioning API listens on a free port, which is not known here.",
            f"Set {URL_SETTING} to the address that `soundstage up` printed.",
        )
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.provisioning.host, settings.provisioning.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.provisioning_port}"
