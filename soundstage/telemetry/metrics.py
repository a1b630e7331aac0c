"""Prometheus metrics: one registry per application, made by the composition root and handed to the rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import APIRouter, params
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

M = TypeVar("M", Counter, Gauge, Histogram)

# Seconds; requests are quick, renders take minutes.
REQUEST_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WORK_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Metrics:
    """The metrics of one application. A room asks for its own by name; asking twice gives the same object."""

    def __init__(self) -> None:
        # Not the library's global registry: two applications in one process (tests, `up`) must not add up.
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Counter | Gauge | Histogram] = {}
        self.requests = self.counter("http_requests", "Requests answered.", ("method", "route", "status"))
        self.request_seconds = self.histogram(
            "http_request_seconds",
            "Time to the last byte of an answer.",
            ("method", "route"),
            REQUEST_BUCKETS,
        )
        self.requests_running = self.gauge("http_requests_running", "Requests being answered now.")

    def counter(self, name: str, sentence: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows: `metrics.counter("renders", "Renders ended.", ("state",))`."""
        return self._once(
            name, Counter, lambda: Counter(_full(name), sentence, labels, registry=self.registry)
        )

    def gauge(self, name: str, sentence: str, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down."""
        return self._once(name, Gauge, lambda: Gauge(_full(name), sentence, labels, registry=self.registry))

    def histogram(
        self, name: str, sentence: str, labels: Sequence[str] = (), buckets: Sequence[float] = WORK_BUCKETS
    ) -> Histogram:
        """Returns how long (in seconds, in the name) or how big something was."""
        return self._once(
            name,
            Histogram,
            lambda: Histogram(_full(name), sentence, labels, registry=self.registry, buckets=tuple(buckets)),
        )

    def text(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _once(self, name: str, kind: type[M], make: Callable[[], M]) -> M:
        known = self._metrics.get(name)
        if known is None:
            known = self._metrics[name] = make()
        if not isinstance(known, kind):
            raise TypeError(f"the metric {name} exists already as a {type(known).__name__}")
        return known


def metrics_router(metrics: Metrics, dependencies: Sequence[params.Depends]) -> APIRouter:
    """`GET /metrics`. The kernel knows no permissions: the app hands in the dependency that declares one."""
    router = APIRouter(tags=["telemetry"])

    @router.get("/metrics", dependencies=list(dependencies), response_class=Response)
    async def read_metrics() -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router


def _full(name: str) -> str:
    return f"soundstage_{name}"
