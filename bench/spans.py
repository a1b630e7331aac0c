"""Measures what spans cost: each, and as a share of the processor time of a sentence and of a render.

`scripts/bench spans` prints three ways: nothing records, our files (the default), and files with the
OpenTelemetry SDK and an exporter. The share is that of the counted spans: it is smaller than what two runs of
the same work differ by.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))

from local_login import log_in_locally
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from app.composition import Services, build
from app.server.web import create_app
from bench.results import add_figure, add_json_option, write_figures
from soundstage.database.tenants import DEFAULT_TENANT
from soundstage.settings import Settings
from soundstage.telemetry import configure_logging
from soundstage.tracing import export, sdk, span, trace
from soundstage.tracing.store import SpanStore

ROOT = Path(__file__).resolve().parents[1]
WORKER = ROOT / "avatar" / ".venv" / "bin" / "avatar"
SPANS = 20_000
ROUNDS = 5
WAYS = ("nothing", "files", "files and SDK")


class _Nowhere(SpanExporter):
    """Takes spans and sends them nowhere: the network is not ours to measure."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


@contextmanager
def recording(way: str) -> Iterator[None]:
    """Sets up one of `WAYS` for the block."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OTEL_TRACES_EXPORTER"] = "otlp" if way == "files and SDK" else "none"
        with nullcontext() if way == "nothing" else export.recording(SpanStore(Path(folder), "bench")):
            yield


def span_us(way: str) -> float:
    """Returns the processor time of one span with two attributes, in microseconds, threads included."""
    with recording(way), trace():
        began = time.process_time()
        for _ in range(SPANS // 20):
            for _ in range(20):
                with span("step", {"soundstage.render.id": "rnd_1", "soundstage.frames": 9}):
                    pass
        spent = time.process_time() - began
    return spent / SPANS * 1e6


async def work_of_a_server() -> dict[str, tuple[float, int]]:
    """Returns the processor time (µs, workers included) and the spans of a sentence and of a render."""
    os.environ["OTEL_TRACES_EXPORTER"] = "none"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        paths = {"state_dir": home / "state", "out_dir": home / "out", "personas_dir": ROOT / "personas"}
        services = build(Settings.model_validate({**paths, "worker": {"command": [str(WORKER)]}}))
        app = create_app(services)
        async with app.router.lifespan_context(app):
            headers = await log_in_locally(services.policy)
            transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8000", headers=headers
            ) as client:
                found = {}
                for name, work in (("a sentence", _say), ("a render", _render)):
                    await work(client, services, 0)
                    costs = []
                    for number in range(1, ROUNDS + 1):
                        before = _processor_s()
                        trace_id = await work(client, services, number)
                        costs.append((_processor_s() - before) * 1e6)
                    found[name] = (median(costs), len(services.traces.find(trace_id, DEFAULT_TENANT)))
    return found


async def _say(client: httpx.AsyncClient, services: Services, number: int) -> str:
    answer = await client.post("/api/chat", json={"message": "List my videos"})
    answer.raise_for_status()
    return answer.headers["X-Trace-Id"]


async def _render(client: httpx.AsyncClient, services: Services, number: int) -> str:
    body = {"script": f"Number {number}.", "canvas": {"width": 320, "height": 180}}
    found = (await client.post("/api/renders", json=body)).json()
    view = await services.studio.renders.wait(found["id"])
    if view.error is not None:
        raise SystemExit(view.error.message)
    return str(found["trace_id"])


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_json_option(parser)
    options = parser.parse_args()
    configure_logging("error")
    sdk._exporter = _Nowhere
    costs = {way: median(span_us(way) for _ in range(3)) for way in WAYS}
    for way, cost in costs.items():
        print(f"one span, {way:<14} {cost:6.1f} µs")
        add_figure(f"one span, {way}, processor time", cost, "µs")
    for name, (work_us, spans) in asyncio.run(work_of_a_server()).items():
        for way in WAYS[1:]:
            share = spans * costs[way] / work_us * 100
            print(f"{name}: {work_us / 1000:.1f} ms, {spans} spans, {way}: {share:.2f} %")
            add_figure(f"{name}: share of spans, {way}", share, "%", goal="< 2")
    write_figures("spans", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
