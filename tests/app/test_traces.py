"""One trace from the request to the video: what is recorded, who may see it, and what is exporter."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from local_login import KEY, log_in_locally
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from two_tenants import OWNER, RIVAL, calling, key_of

from app.cli.trust.waterfall import waterfall
from app.composition import Services, build
from app.server.web import create_app
from soundstage.settings import Settings
from soundstage.tracing.export import _Sinks

Cli = Callable[..., Any]

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
SCRIPT = "Quicksilver."


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The SDK with an exporter that keeps what it gets."""
    memory = InMemorySpanExporter()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr("soundstage.tracing.sdk._exporter", lambda: memory)
    return memory


@pytest.fixture
async def app(home: Path) -> AsyncIterator[FastAPI]:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    settings = Settings.model_validate(
        {
            "state_dir": home / "state",
            "out_dir": home / "out",
            "personas_dir": home / "personas",
            "worker": {"command": [str(WORKER)]},
        }
    )
    services = build(settings)
    created = create_app(services)
    created.state.services = services
    async with created.router.lifespan_context(created):
        yield created


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    services: Services = app.state.services
    headers = await log_in_locally(services.policy)
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers
    ) as created:
        yield created


Tree = dict[str, Any]


def tree_of(spans: list[dict[str, Any]]) -> Tree:
    """Returns the names of spans by their parents: `{name: {child: {}}}`. Statements are left out: which are
    slow is up to the machine.
    """

    def below(parent: str | None) -> Tree:
        steps = [one for one in spans if "db.system.name" not in one["attributes"]]
        return {one["name"]: below(one["span_id"]) for one in steps if one["parent_id"] == parent}

    return below(None)


STAGES: Tree = {"speech": {}, "timing": {}, "prepare": {}, "frames": {}}
RENDER: Tree = {
    "POST /api/renders": {
        "policy decision": {},
        "render": {
            "segment": {"run segment": {"wait for a worker": {}, "avatar segment": STAGES}},
            "assemble": {
                "run assemble": {"wait for a worker": {}, "avatar assemble": {"assemble": {}, "captions": {}}}
            },
            "sign": {},
            "deliver": {},
        },
    }
}


async def render(app: FastAPI, client: httpx.AsyncClient) -> dict[str, Any]:
    body = {"script": SCRIPT, "canvas": {"width": 320, "height": 180}}
    answer = await client.post("/api/renders", json=body)
    assert answer.status_code == 202
    found: dict[str, Any] = answer.json()
    view = await app.state.services.studio.renders.wait(found["id"])
    assert view.error is None
    return found


async def test_a_render_is_one_tree_of_spans_stored_and_exported(
    exporter: InMemorySpanExporter, app: FastAPI, client: httpx.AsyncClient, home: Path
) -> None:
    created_render = await render(app, client)
    answer = await client.get(f"/api/traces/{created_render['id']}/spans")
    trace = answer.json()
    assert trace["trace_id"] == created_render["trace_id"]
    assert tree_of(trace["spans"]) == RENDER
    for one in trace["spans"]:
        assert one["duration_ms"] >= 0 and not one["is_error"]
    worker = {one["name"]: one for one in trace["spans"] if one["service"] == "worker"}
    assert worker["avatar segment"]["attributes"]["soundstage.engine"] == "rig"
    # No key, and nothing of what is said.
    assert KEY not in answer.text and SCRIPT not in answer.text

    otel_provider = _Sinks.export.provider  # type: ignore[union-attr]
    assert otel_provider.force_flush()
    sent = [
        one
        for one in exporter.get_finished_spans()
        if one.context and one.context.trace_id == int(created_render["trace_id"], 16)
    ]
    parents = {
        f"{one.context.span_id:016x}": one.parent and f"{one.parent.span_id:016x}"
        for one in sent
        if one.context
    }
    assert parents == {one["span_id"]: one["parent_id"] for one in trace["spans"]}
    assert {one["name"] for one in trace["spans"]} == {one.name for one in sent}
    assert not any(SCRIPT in str(one.to_json()) or KEY in str(one.to_json()) for one in sent)

    provenance = next((home / "out").glob("*.provenance.json"))
    assert json.loads(provenance.read_text())["trace_id"] == created_render["trace_id"]


async def test_only_the_tenant_and_roles_that_may_read_traces_see_them(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    services: Services = app.state.services
    async with calling(app, await key_of(services, OWNER)) as owner:
        created = await owner.post("/api/projects", json={"title": "Secret tides"})
        trace_id = created.headers["X-Trace-Id"]
        path = f"/api/traces/{trace_id}/spans"
        own = (await owner.get(path)).json()
    assert tree_of(own["spans"]) == {"POST /api/projects": {"policy decision": {}}}
    async with calling(app, await key_of(services, RIVAL)) as rival:
        assert (await rival.get(path)).json()["code"] == "trace.not_found"
    # The operator may see statements of a request whose tenant was not known yet.
    assert tree_of((await client.get(path)).json().get("spans", [])) == {}
    async with calling(app, await key_of(services, OWNER, "editor")) as editor:
        assert (await editor.get(path)).status_code == 403


async def test_a_caller_continues_its_trace_and_one_that_is_not_sampled_is_not_stored(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    ids = ("4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c")
    for trace_id, flags in zip(ids, ("01", "00"), strict=True):
        header = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-{flags}"}
        answer = await client.post("/api/projects", json={"title": "Tides"}, headers=header)
        assert answer.headers["X-Trace-Id"] == trace_id
    assert (await client.get(f"/api/traces/{ids[0]}/spans")).json()["spans"][0]["parent_id"] is None
    assert (await client.get(f"/api/traces/{ids[1]}/spans")).status_code == 404


async def test_log_lines_of_a_trace_are_the_operators_alone(
    app: FastAPI, client: httpx.AsyncClient, home: Path
) -> None:
    lines = [
        {"timestamp": f"2026-11-23T02:00:0{second}Z", "event": name, "level": "info", "trace_id": trace_id}
        for second, name, trace_id in (
            (2, "later", "a" * 32),
            (1, "sooner", "a" * 32),
            (3, "other", "b" * 32),
        )
    ]
    (home / "state" / "logs").mkdir()
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (home / "state" / "logs" / "provisioning.jsonl").write_text(text)
    found = (await client.get("/api/logs", params={"trace": "a" * 32})).json()
    assert [(one["message"], one["service"]) for one in found] == [
        ("sooner", "provisioning"),
        ("later", "provisioning"),
    ]
    assert (await client.get("/api/logs", params={"trace": "rnd_1"})).status_code == 422
    async with calling(app, await key_of(app.state.services, RIVAL)) as rival:
        assert (await rival.get("/api/logs")).status_code == 403


def test_a_command_shows_what_it_led_to_with_the_time_of_each_step(cli: Cli) -> None:
    assert cli("projects", "create", "Tides").code == 0
    (file,) = Path("state/traces").iterdir()
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    span = next(one for one in spans if one["name"] == "POST /api/projects")
    shown = cli("trace", span["trace_id"])
    assert shown.code == 0 and "POST /api/projects" in shown.out and "█" in shown.out
    found = cli("trace", span["trace_id"], "--json").json["spans"]
    assert span["name"] in {one["name"] for one in found}
    unknown = cli("trace", "f" * 32)
    assert unknown.code != 0 and "audit.record_not_found" in unknown.err


def test_bars_stand_below_each_other_by_depth_and_time() -> None:
    spans = [
        {"span_id": "a", "parent_id": None, "name": "render", "start_ms": 0.0, "duration_ms": 80_000.0},
        {"span_id": "c", "parent_id": "b", "name": "frames", "start_ms": 40_000.0, "duration_ms": 20_000.0},
        {"span_id": "b", "parent_id": "a", "name": "segment", "start_ms": 20_000.0, "duration_ms": 60_000.0},
        {"span_id": "d", "parent_id": "a", "name": "x" * 90, "start_ms": 80_000.0, "duration_ms": 0.4},
    ]
    trace = {
        "trace_id": "4bf9",
        "duration_ms": 80_000.0,
        "spans": [{**one, "is_error": one["span_id"] == "d", "attributes": {}} for one in spans],
    }
    head, *rows = waterfall(trace).splitlines()
    assert head == "trace 4bf9  4 spans  1 min 20 s"
    assert [row.rpartition("|")[0].split("|")[1] for row in rows] == [
        "█" * 32,
        " " * 8 + "█" * 24,
        " " * 16 + "█" * 8 + " " * 8,
        " " * 31 + "▏",
    ]
    assert [row[:10] for row in rows] == ["render    ", "  segment ", "    frames", "  xxxxxxxx"]
    assert "0.4 ms" in rows[3] and rows[3].endswith("|  error")


def test_the_command_for_logs_reads_files_and_refuses_what_is_no_trace_id(cli: Cli, home: Path) -> None:
    (home / "state" / "logs").mkdir(parents=True)
    line = {
        "timestamp": "2026-11-23T02:00:01Z",
        "event": "done",
        "level": "info",
        "trace_id": "a" * 32,
        "n": 3,
    }
    (home / "state" / "logs" / "studio.jsonl").write_text(f"{json.dumps(line)}\n")
    shown = cli("logs", "--trace", "a" * 32)
    assert shown.out.strip() == "2026-11-23 02:00:01  studio       info     done  n=3"
    assert "trace.id_invalid" in cli("logs", "--trace", "rnd_1").err
