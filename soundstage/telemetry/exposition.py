"""Shows the metrics of one application at `/metrics`, as Prometheus text or OpenMetrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Request, params
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.exposition import choose_encoder

from soundstage.errors import SoundstageError
from soundstage.telemetry import metrics
from soundstage.telemetry.instruments import Sample, StateGauge, collect_samples
from soundstage.telemetry.logs import get_logger

ReadState = Callable[[], Awaitable[Iterable[Sample]]]
STATE_MAX_AGE_S = 5.0

log = get_logger(__name__)


class _State:
    """The samples of one reader, read anew when they are older than `max_age_s`."""

    def __init__(self, read: ReadState, max_age_s: float) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._read_at = float("-inf")
        self.samples: Sequence[Sample] = ()

    def expire(self) -> None:
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at < self._max_age_s:
            return
        self._read_at = now
        try:
            self.samples = [*await self._read()]
        except (OSError, SoundstageError) as error:
            # A gap in a gauge: the rest of the page shows why.
            self.samples = ()
            log.warning("metrics.state_unreadable", error=str(error))


class Metrics:
    """The metrics that an application shows: those of its process, and the state that it reads."""

    def __init__(self, process: str = "control") -> None:
        # Each counter would bring a second series with the time of its creation.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.process = process
        self.registry = CollectorRegistry()
        for one in metrics.list_metrics(process):
            if not isinstance(one, StateGauge):
                self.registry.register(one)
        ProcessCollector(registry=self.registry)
        self._states: list[_State] = []
        self._refreshing = asyncio.Lock()
        self.registry.register(self)

    def read_state(self, read: ReadState, max_age_s: float = STATE_MAX_AGE_S) -> None:
        """Adds a reader of state gauges; scrapes within `max_age_s` share what it has read."""
        self._states.append(_State(read, max_age_s))

    def expire(self) -> None:
        """Has the next `refresh` read everything anew."""
        for state in self._states:
            state.expire()

    async def refresh(self) -> None:
        """Reads the state that is too old."""
        async with self._refreshing:
            for state in self._states:
                await state.refresh()

    def collect(self) -> Iterator[Any]:
        """Yields the state as it was read last."""
        return collect_samples(sample for state in self._states for sample in state.samples)

    def text(self) -> bytes:
        """Returns all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


def metrics_router(metrics: Metrics, dependencies: Sequence[params.Depends]) -> APIRouter:
    """`GET /metrics`. The kernel knows no permissions: the app hands in the dependency that declares one."""
    router = APIRouter(tags=["telemetry"])

    @router.get("/metrics", dependencies=list(dependencies), response_class=Response)
    async def read_metrics(request: Request) -> Response:
        """Metrics in the text format of Prometheus, or in OpenMetrics where that is accepted."""
        await metrics.refresh()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), media_type=content_type)

    return router
