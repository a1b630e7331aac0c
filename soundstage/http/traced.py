"""Records a client span for each call within a trace, up to the head of its answer."""

from __future__ import annotations

import httpx
from opentelemetry.trace import Span, StatusCode

from soundstage.tracing import Kind, span, trace_id, traceparent


class TracedTransport(httpx.AsyncBaseTransport):
    """Wraps a transport. With `propagate`, the server gets the trace as a `traceparent` header.

    Neither paths nor queries become attributes: URLs that people name may hold keys.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, *, propagate: bool) -> None:
        self._inner = inner
        self._propagate = propagate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if trace_id() is None:
            # A poll of the background, of which there would be thousands.
            return await self._inner.handle_async_request(request)
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": request.url.host,
            "server.port": request.url.port or (443 if request.url.scheme == "https" else 80),
        }
        with span(request.method, attributes, Kind.CLIENT) as recorded:
            if self._propagate:
                request.headers["traceparent"] = traceparent()
            answer = await self._inner.handle_async_request(request)
            _note(recorded, answer.status_code)
            return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


def _note(recorded: Span, status: int) -> None:
    recorded.set_attribute("http.response.status_code", status)
    if status >= 500:
        recorded.set_status(StatusCode.ERROR)
