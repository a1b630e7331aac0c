"""Calls MCP servers over streamable HTTP by the client of all outgoing calls: same checks, same bounds.

The SDK speaks httpx2; this transport hands its requests to ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import httpx2

from soundstage.errors import SoundstageError
from soundstage.http import Bounds, Destinations, OwnListeners, outgoing_client

CONNECT_S = 10.0


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpx.Response, on_error: Callable[[Exception], Exception]) -> None:
        self._answer = answer
        self._on_error = on_error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.aiter_raw():
                yield chunk
        except (httpx.HTTPError, SoundstageError) as error:
            raise self._on_error(error) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


class OutgoingTransport(httpx2.AsyncBaseTransport):
    """Sends requests of the SDK. `on_fault` gets errors of ours, which the SDK does not hand on."""

    def __init__(
        self,
        listeners: OwnListeners,
        silence_s: float,
        limit: int,
        on_fault: Callable[[Exception], None],
    ) -> None:
        destinations = Destinations(listeners, named_by_operator=True)
        bounds = Bounds(silence_s, answer_bytes=limit, connect_s=CONNECT_S)
        self._client = outgoing_client(destinations, bounds)
        self._on_fault = on_fault

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        def report(error: Exception) -> Exception:
            self._on_fault(error)
            return httpx2.ReadError(str(error), request=request)

        headers = [
            (name, value) for name, value in request.headers.multi_items()
            if name.lower() not in ("accept-encoding", "host", "content-length")
        ]  # fmt: skip
        sent = self._client.build_request(
            request.method, str(request.url), headers=headers, content=await request.aread() or None
        )
        try:
            answer = await self._client.send(sent, stream=True)
        except (httpx.HTTPError, SoundstageError) as error:
            raise report(error) from error
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers.multi_items(),
            stream=_Body(answer, report),
            request=request,
        )

    async def aclose(self) -> None:
        await self._client.aclose()
