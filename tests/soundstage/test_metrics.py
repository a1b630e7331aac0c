from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from metric_values import metric_value
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from soundstage.errors import install_error_handlers
from soundstage.telemetry import Metrics, install_telemetry, instruments, metrics_router, trace, trace_id
from soundstage.telemetry import metrics as declared

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def http(metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)
    inner = APIRouter()

    @inner.get("/{render_id}")
    async def read(render_id: str) -> dict[str, str | None]:
        return {"trace": trace_id()}

    @inner.get("/{render_id}/broken")
    async def broken(render_id: str) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"half"
            raise OSError("the disk went away")

        return StreamingResponse(body())

    app.include_router(inner, prefix="/api/renders")
    app.include_router(metrics_router(metrics, [Depends(lambda: None)]))
    install_telemetry(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"soundstage_{name}", labels)


async def test_requests_are_counted_by_the_template_of_their_route(
    http: httpx.AsyncClient, metrics: Metrics
) -> None:
    for render_id in ("a", "b", "c"):
        await http.get(f"/api/renders/{render_id}")
    await http.get("/nowhere/x")
    await http.request("INVENTED", "/nowhere/y")
    route = "/api/renders/{render_id}"
    assert value(metrics, "http_requests_total", method="GET", route=route, status="200") == 3
    assert value(metrics, "http_request_seconds_count", method="GET", route=route) == 3
    assert value(metrics, "http_requests_total", method="GET", route="unmatched", status="404") == 1
    assert value(metrics, "http_requests_total", method="OTHER", route="unmatched", status="404") == 1
    assert value(metrics, "http_requests_running") == 0


async def test_the_metrics_page_is_in_the_format_of_prometheus(http: httpx.AsyncClient) -> None:
    declared.RENDERS_FINISHED.inc("done", by=2)
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    (sample,) = [s for s in families["soundstage_renders_finished"].samples if s.name.endswith("_total")]
    assert (sample.labels, sample.value) == ({"state": "done"}, 2.0)


async def test_a_bucket_leads_to_the_trace_of_its_last_value_in_openmetrics(http: httpx.AsyncClient) -> None:
    with trace() as current:
        declared.RENDER_SECONDS.observe(42.0, "rig")
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = await http.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in openmetrics(answer.text)}
    exemplars = [s.exemplar for s in families["soundstage_render_seconds"].samples if s.exemplar]
    assert [(one.labels, one.value) for one in exemplars] == [({"trace_id": current}, 42.0)]
    assert current not in (await http.get("/metrics")).text


def test_a_value_that_is_not_declared_makes_no_series_of_its_own(metrics: Metrics) -> None:
    for state in ("done", "melted", "stolen"):
        declared.RENDERS_FINISHED.inc(state)
    assert value(metrics, "renders_finished_total", state="done") == 1
    assert value(metrics, "renders_finished_total", state="melted") is None
    assert value(metrics, "renders_finished_total", state="other") == 2


def test_a_label_without_end_stops_at_a_number_of_series(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "MAX_SERIES", 3)
    for number in range(9):
        declared.EVENTS.inc(f"kind.{number}")
    counted = [s for family in declared.EVENTS.collect() for s in family.samples]
    assert {s.labels["kind"]: s.value for s in counted} == {
        "kind.0": 1, "kind.1": 1, "kind.2": 1, "other": 6,
    }  # fmt: skip


def test_no_two_metrics_have_one_name_and_no_label_names_a_person_or_a_file() -> None:
    # OpenMetrics knows a family by its name without `_total`.
    names = [one.declaration.name for one in declared.list_metrics()]
    assert len(set(names)) == len(names)
    for one in declared.list_metrics():
        labels = set(one.declaration.labels)
        # The certificates of a node lie where the role health looks for them.
        labels -= {"path"} if one is declared.NODE_CERTIFICATE else set()
        assert not labels & {"tenant", "user", "session", "file", "path", "id", "name", "trace"}
        assert one.declaration.processes and one.declaration.sentence.endswith(".")


async def test_scrapes_close_together_read_the_state_once(metrics: Metrics) -> None:
    reads = []

    async def read() -> list[instruments.Sample]:
        reads.append(1)
        return [*declared.RENDERS.count({"queued": 3}.items())]

    metrics.read_state(read, max_age_s=60)
    await metrics.refresh()
    await metrics.refresh()
    assert len(reads) == 1
    assert value(metrics, "renders", state="queued") == 3
    assert value(metrics, "renders", state="failed") == 0


async def test_state_that_cannot_be_read_is_a_gap_and_not_an_error(metrics: Metrics) -> None:
    async def read() -> list[instruments.Sample]:
        raise OSError("the disk went away")

    metrics.read_state(read)
    await metrics.refresh()
    assert value(metrics, "renders", state="queued") is None
    assert b"soundstage_http_requests_running" in metrics.text()


def test_a_process_shows_its_own_metrics_only(metrics: Metrics) -> None:
    declared.RUNS_FINISHED.inc("failed")
    assert value(metrics, "runs_total", result="failed") is None
    assert value(Metrics("provisioning"), "runs_total", result="failed") == 1


async def test_a_request_keeps_the_trace_of_its_caller_and_gives_it_back(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/renders/a", headers={"traceparent": PARENT})
    assert answer.headers["x-trace-id"] == answer.json()["trace"] == PARENT.split("-")[1]
    first, second = [(await http.get("/api/renders/a")).headers["x-trace-id"] for _ in range(2)]
    assert first != second
    assert trace_id() is None


async def test_the_access_log_names_the_path_and_never_the_query(
    http: httpx.AsyncClient, quiet_logs: io.StringIO
) -> None:
    answer = await http.get("/api/renders/a?token=hunter2")
    await http.get("/metrics")
    (line,) = [json.loads(line) for line in quiet_logs.getvalue().splitlines()]
    assert (line["event"], line["method"], line["path"], line["status"]) == (
        "request",
        "GET",
        "/api/renders/a",
        200,
    )
    assert line["trace_id"] == answer.headers["x-trace-id"]
    assert line["source"] == "127.0.0.1"
    assert metric_value("log_lines", level="info") == 1
    assert "hunter2" not in quiet_logs.getvalue()


async def test_the_access_log_names_no_token_of_a_link(
    http: httpx.AsyncClient, quiet_logs: io.StringIO
) -> None:
    for path in ("/shared/hunter2", "/shared/hunter2/video"):
        assert (await http.get(path)).status_code == 404
    lines = [json.loads(line) for line in quiet_logs.getvalue().splitlines()]
    assert [line["path"] for line in lines] == ["/shared/…"] * 2
    assert "hunter2" not in quiet_logs.getvalue()


async def test_an_answer_that_breaks_half_way_is_logged_and_not_completed(
    http: httpx.AsyncClient, quiet_logs: io.StringIO, metrics: Metrics
) -> None:
    # Against a test client the connection cannot be cut; what counts is that nothing was added to the half.
    answer = await http.get("/api/renders/a/broken")
    assert answer.content == b"half"
    assert "the disk went away" in quiet_logs.getvalue()
    assert value(metrics, "http_requests_running") == 0


async def test_the_frameworks_refusals_count_as_well(metrics: Metrics) -> None:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418)

    install_telemetry(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        await client.get("/teapot")
    assert value(metrics, "http_requests_total", method="GET", route="/teapot", status="418") == 1
