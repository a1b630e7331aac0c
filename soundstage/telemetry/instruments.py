"""Counters, histograms and gauges with bounded labels; `soundstage.telemetry.metrics` declares all of them.

One process has one set of instruments, as prometheus_client and OpenTelemetry have it: whatever runs in the
process moves them, and its applications show them. State gauges have no value here: an application reads them
from its database when it is scraped (`soundstage.telemetry.exposition`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from soundstage.tracing import trace_id

if TYPE_CHECKING:
    import prometheus_client  # noqa: F401 - in the quoted bases below
    from prometheus_client.metrics import MetricWrapperBase
    from prometheus_client.metrics_core import Metric

PREFIX = "soundstage_"
OTHER = "other"
"""The value of a label in place of one that is not declared, or beyond `MAX_SERIES`."""
MAX_PENDING = 512
MAX_SERIES = 2000
"""Of one instrument: a label that grows without end must not fill the memory of two programs."""

Bound = Sequence[str] | str
"""The values of a label, or a sentence that says what bounds them."""
P = TypeVar("P", bound="MetricWrapperBase")


@dataclass(frozen=True, slots=True)
class Declaration:
    """Name, kind and labels of a metric. `processes` show it; with `exemplars` values carry their trace."""

    name: str
    kind: str
    sentence: str
    labels: Mapping[str, Bound] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()
    processes: frozenset[str] = frozenset()
    exemplars: bool = True

    @property
    def full_name(self) -> str:
        """Returns the name in a query."""
        return f"{PREFIX}{self.name}" + ("_total" if self.kind == "counter" else "")

    def values(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the values of the labels, with `other` in place of those that are not declared."""
        return tuple(
            value if isinstance(bound, str) or value in bound else OTHER
            for value, bound in zip(labels, self.labels.values(), strict=True)
        )


class Instrument(Generic[P]):
    """Made at its first use, so that a command that measures nothing does not load prometheus_client."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._lock = Lock()
        self._metric: P | None = None
        self._children: dict[tuple[str, ...], P] = {}
        self._pending: deque[tuple[Any, ...]] = deque()

    def collect(self) -> Iterable[Metric]:
        """Yields what prometheus_client writes out."""
        self._flush()
        return self._opened().collect()

    def reset(self) -> None:
        """Starts from nothing; for tests."""
        with self._lock:
            self._metric, self._children = None, {}
            self._pending.clear()

    def _record(self, labels: tuple[str, ...], *values: Any) -> None:
        """Stores a move until the next scrape: prometheus_client's code is in no cache of the processor after
        each statement and request, and takes five times as long there as in a loop.
        """
        if len(labels) != len(self.declaration.labels):
            raise ValueError(f"{self.declaration.name} has the labels {[*self.declaration.labels]}")
        self._pending.append((labels, *values))
        if len(self._pending) >= MAX_PENDING:
            self._flush()

    def _flush(self) -> None:
        # One item at a time: other threads may add and flush meanwhile.
        with suppress(IndexError):
            while True:
                self._apply(*self._pending.popleft())

    def _apply(self, labels: tuple[str, ...], *values: Any) -> None:
        raise NotImplementedError

    def _child(self, labels: tuple[str, ...]) -> P:
        found = self._children.get(labels)
        return self._new_child(labels) if found is None else found

    def _new_child(self, labels: tuple[str, ...]) -> P:
        values = self.declaration.values(labels)
        if values not in self._children and len(self._children) >= MAX_SERIES:
            values = (OTHER,) * len(values)
        child = self._children.get(values)
        if child is None:
            metric = self._opened()
            child = self._children[values] = metric.labels(*values) if values else metric
        return child

    def _opened(self) -> P:
        if self._metric is None:
            with self._lock:
                if self._metric is None:
                    self._metric = self._open()
        return self._metric

    def _open(self) -> P:
        """Makes prometheus_client's metric of the same kind."""
        from prometheus_client import metrics as kinds

        one = self.declaration
        kind: Any = getattr(kinds, type(self).__name__)
        buckets = {"buckets": one.buckets} if one.buckets else {}
        opened: P = kind(f"{PREFIX}{one.name}", one.sentence, tuple(one.labels), registry=None, **buckets)
        return opened


class Counter(Instrument["prometheus_client.Counter"]):
    """Only grows."""

    def inc(self, *labels: str, by: float = 1) -> None:
        self._record(labels, by)

    def _apply(self, labels: tuple[str, ...], *values: Any) -> None:
        self._child(labels).inc(*values)


class Gauge(Instrument["prometheus_client.Gauge"]):
    """Goes up and down, in this process."""

    def inc(self, *labels: str, by: float = 1) -> None:
        self._child(labels).inc(by)

    def dec(self, *labels: str) -> None:
        self._child(labels).dec()

    def set(self, value: float, *labels: str) -> None:
        self._child(labels).set(value)


class Histogram(Instrument["prometheus_client.Histogram"]):
    """Counts values by size. In OpenMetrics each bucket carries the trace id of its last value."""

    def observe(self, value: float, *labels: str, trace: str | None = None) -> None:
        """`trace`: in place of the current trace."""
        if math.isfinite(value):
            self._record(labels, value, trace or trace_id() if self.declaration.exemplars else None)

    def _apply(self, labels: tuple[str, ...], *values: Any) -> None:
        value, trace = values
        self._child(labels).observe(value, None if trace is None else {"trace_id": trace})


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a state gauge."""

    declaration: Declaration
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class StateGauge:
    """Read from stored state at each scrape, so that restarts and several processes do not falsify it."""

    declaration: Declaration

    def sample(self, value: float, *labels: str) -> Sample:
        return Sample(self.declaration, self.declaration.values(labels), value)

    def count(self, found: Iterable[tuple[str, float]]) -> Iterator[Sample]:
        """Yields a sample for each value of its only label; 0 for what is not found."""
        counted = dict(found)
        (values,) = self.declaration.labels.values()
        known = counted if isinstance(values, str) else values
        return (self.sample(counted.get(value, 0), value) for value in known)


def collect_samples(samples: Iterable[Sample]) -> Iterator[Any]:
    """Yields the families of samples of state gauges."""
    from prometheus_client.core import GaugeMetricFamily

    families: dict[str, GaugeMetricFamily] = {}
    for one in samples:
        name = one.declaration.full_name
        family = families.get(name)
        if family is None:
            family = families[name] = GaugeMetricFamily(
                name, one.declaration.sentence, labels=tuple(one.declaration.labels)
            )
        family.add_metric(one.labels, one.value)
    return iter(families.values())
