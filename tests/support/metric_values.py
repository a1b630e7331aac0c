"""Values of metrics. A test says with `metric_value`, or `read_state`, that a real action moves a metric:
tests/project/test_metrics_are_moved.py holds that each declared metric has one.
"""

from __future__ import annotations

from typing import Any

from soundstage.telemetry import metrics
from soundstage.telemetry.instruments import StateGauge

ENDS = {"counter": "_total", "histogram": "_count", "gauge": ""}


def metric_value(name: str, **labels: str) -> float:
    """Returns the value of a counter or gauge, or how many values a histogram has, over all other labels."""
    one = next(one for one in metrics.list_metrics() if one.declaration.name == name)
    assert not isinstance(one, StateGauge), "an application reads it: `read_state`"
    return sum(
        sample.value
        for family in one.collect()
        for sample in family.samples
        if sample.name == f"soundstage_{name}{ENDS[one.declaration.kind]}"
        and labels.items() <= sample.labels.items()
    )


async def read_state(shown: Any, name: str, **labels: str) -> float | None:
    """Returns a gauge that an application (its `Metrics`) reads at a scrape; None without a sample."""
    shown.expire()
    await shown.refresh()
    value: float | None = shown.registry.get_sample_value(f"soundstage_{name}", labels)
    return value
