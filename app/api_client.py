"""Requests to an HTTP API of ours, and its errors as it meant them; base of the clients of the studio and of
the provisioning API.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from soundstage.errors import SoundstageError, Unavailable, Upstream
from soundstage.tracing import traceparent


class _FieldError(BaseModel):
    path: str
    message: str


class Problem(BaseModel):
    """The members of problem details (RFC 9457) that clients print."""

    code: str
    detail: str
    hint: str = ""
    errors: list[_FieldError] = []


class ApiClient(ABC):
    """One connection to a server. Errors come out as the server meant them: code, sentence and hint."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, **params: Any) -> Any:
        return self._content(await self._send("GET", path, params=_without_none(params)))

    async def text(self, path: str) -> str:
        """Returns content that is no JSON: certificates and keys."""
        return (await self._send("GET", path)).text

    async def post(self, path: str, body: Any = None, **params: Any) -> Any:
        content = {} if body is None else {"json": body}
        return self._content(await self._send("POST", path, params=_without_none(params), **content))

    async def patch(self, path: str, body: Any) -> Any:
        return self._content(await self._send("PATCH", path, json=body))

    async def put(self, path: str, body: Any) -> Any:
        return self._content(await self._send("PUT", path, json=body))

    async def delete(self, path: str, **params: Any) -> Any:
        return self._content(await self._send("DELETE", path, params=_without_none(params)))

    async def _get_page(self, path: str, params: dict[str, Any]) -> httpx.Response:
        return await self._send("GET", path, params=_without_none(params))

    async def _send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Returns a successful answer. Raises what the server says, and what the connection comes to."""
        traced = {**(headers or {}), "traceparent": traceparent()}
        try:
            answer = await self._client.request(method, path, headers=traced, **more)
        except httpx.DecodingError as error:
            # The server has answered, in a form that cannot be read.
            raise (
                self._unexpected_response("something unreadable")
                if method == "GET"
                else self._outcome_unknown(error)
            ) from error
        except httpx.TransportError as error:
            if method != "GET" and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                raise self._outcome_unknown(error) from error
            raise self._unreachable(error) from error
        await self._check(answer)
        return answer

    async def _check(self, answer: httpx.Response) -> None:
        """Raises what an answer that is no success says."""
        if answer.is_success:
            return
        await answer.aread()
        try:
            problem = Problem.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._unexpected_response(answer.status_code) from error
        raise self._refusal(problem, answer)

    def _content(self, answer: httpx.Response) -> Any:
        try:
            return answer.json() if answer.content else None
        except (ValueError, RecursionError) as error:
            raise self._unexpected_response(answer.status_code) from error

    def _refusal(self, problem: Problem, answer: httpx.Response) -> SoundstageError:
        return SoundstageError(problem.code, problem.detail, problem.hint, status=answer.status_code)

    @abstractmethod
    def _unexpected_response(self, answered: object) -> Upstream:
        """Returns the error for an answer that none of our servers gives."""

    @abstractmethod
    def _unreachable(self, error: httpx.RequestError) -> Unavailable:
        """Returns the error for a connection that was not made."""

    @abstractmethod
    def _outcome_unknown(self, error: httpx.RequestError) -> Upstream:
        """Returns the error for a change that was sent and whose answer never came."""


def _without_none(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
