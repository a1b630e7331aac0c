"""Measures what spans cost: each, and as a share of the processor time of a sentence and of a render.

`scripts/bench spans` prints three ways: nothing records, our files (the default), and files with the
OpenTelemetry SDK and an exporter. The figures of sentences are of the server's own processor time.
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
from soundstage.settings import Settings
from soundstage.telemetry import configure_logging
from soundstage.tracing import export, sdk, span, trace
from soundstage.tracing.current import set_tracer
from soundstage.tracing.store import SpanStore

ROOT = Path(__file__).resolve().parents[1]
WORKER = ROOT / "avatar" / ".venv" / "bin" / "avatar"
SPANS = 20_000
SENTENCES = 40
ROUNDS = 3
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


async def sentence_ms(client: httpx.AsyncClient, traced: bool, services: Services) -> float:
    """Returns the processor time of one request to the agent, in milliseconds."""
    if not traced:
        set_tracer(None)
    began = time.process_time()
    for _ in range(SENTENCES):
        answer = await client.post("/api/chat", json={"message": "List my videos"})
        answer.raise_for_status()
    spent = time.process_time() - began
    export.update_tracer()
    return spent / SENTENCES * 1000


async def render_s(client: httpx.AsyncClient, services: Services, traced: bool, number: int) -> float:
    """Returns the processor time of a render of one short scene, workers included, in seconds."""
    if not traced:
        set_tracer(None)
    before = time.process_time() + _children_s()
    body = {"script": f"Number {number}.", "canvas": {"width": 320, "height": 180}}
    found = (await client.post("/api/renders", json=body)).json()
    view = await services.studio.renders.wait(found["id"])
    if view.error is not None:
        raise SystemExit(view.error.message)
    spent = time.process_time() + _children_s() - before
    export.update_tracer()
    return spent


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def in_the_server(way: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns sentence (ms) and render (s), each without and with spans, in turns."""
    os.environ["OTEL_TRACES_EXPORTER"] = "otlp" if way == "files and SDK" else "none"
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
                await sentence_ms(client, True, services)
                sentences: dict[bool, list[float]] = {False: [], True: []}
                renders: dict[bool, list[float]] = {False: [], True: []}
                for number in range(ROUNDS):
                    for traced in (False, True):
                        sentences[traced].append(await sentence_ms(client, traced, services))
                        renders[traced].append(await render_s(client, services, traced, 2 * number + traced))
    return (
        (median(sentences[False]), median(sentences[True])),
        (median(renders[False]), median(renders[True])),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_json_option(parser)
    parser.add_argument("--quick", action="store_true", help="only what one span costs")
    options = parser.parse_args()
    configure_logging("error")
    sdk._exporter = _Nowhere
    for way in WAYS:
        cost = median(span_us(way) for _ in range(3))
        print(f"one span, {way:<14} {cost:6.1f} µs")
        add_figure(f"one span, {way}, processor time", cost, "µs")
    if not options.quick:
        for way in WAYS[1:]:
            sentence, render = asyncio.run(in_the_server(way))
            for name, unit, (without, with_spans) in (
                ("a sentence", "ms", sentence),
                ("a render", "s", render),
            ):
                share = (with_spans / without - 1) * 100
                print(f"{name}, {way}: {without:.2f} {unit} without, {with_spans:.2f} with ({share:+.1f} %)")
                add_figure(f"{name}, spans to {way}: more processor time", share, "%")
    write_figures("spans", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
