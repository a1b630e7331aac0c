"""`/metrics` of a server in use: what requests, sentences and stored state show there."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing

import httpx
import pytest
from local_login import log_in_locally
from metric_values import metric_value, read_state
from test_approvals_and_audit import ask

from app.composition import Services, open_services, run_background_workers
from app.server.https import authority_folder, studio_authority
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest
from provisioning_api.certificates.server_certificate import ServerCertificate
from soundstage.settings import Settings


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 40000))
    headers = await log_in_locally(services.policy)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers
    ) as client:
        yield client


async def test_a_sentence_moves_what_it_passes(http: httpx.AsyncClient, services: Services) -> None:
    answer = await http.post("/api/chat", json={"message": "Make a video where Nova says: Hello"})
    assert answer.status_code == 200
    assert metric_value("http_requests", method="POST", route="/api/chat", status="200") == 1
    assert metric_value("http_request_seconds", route="/api/chat") == 1
    assert metric_value("routing", backend="grammar", result="ok") == metric_value("turn_seconds") == 1
    assert metric_value("tool_seconds", tool="make_render", result="ok") == 1
    assert metric_value("policy_decisions", decision="allow") > 1
    assert metric_value("events", kind="render.created") == metric_value("events", kind="tool.called") == 1
    assert (
        metric_value("database_seconds", statement="select")
        > 3
        < metric_value("database_seconds", statement="insert")
    )

    page = await http.get("/metrics")
    assert 'soundstage_renders{state="queued"} 1.0' in page.text
    assert "soundstage_http_requests_running 1.0" in page.text and "process_cpu_seconds_total" in page.text
    assert await read_state(services.metrics, "render_oldest_wait_seconds") >= 0
    assert metric_value("http_requests_running") == 0


async def test_what_waits_for_people_is_shown_with_its_age(services: Services) -> None:
    await ask(services)
    path = services.database.path
    assert path is not None
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE approvals SET created_at = datetime('now', '-2 hours')")
    assert await read_state(services.metrics, "approvals", state="pending") == 1
    assert await read_state(services.metrics, "approvals", state="denied") == 0
    age_s = await read_state(services.metrics, "approval_oldest_wait_seconds")
    assert age_s is not None and 7190 < age_s < 7300


async def test_the_process_shows_its_own_state(services: Services) -> None:
    shown = services.metrics
    with services.events.watch("render:x"):
        assert await read_state(shown, "event_followers") == 1
    assert await read_state(shown, "event_followers") == 0
    async with services.database.transaction():
        assert await read_state(shown, "database_writers") == 1
    assert await read_state(shown, "database_writers") == 0
    assert (await read_state(shown, "disk_free_bytes") or 0) > 0
    assert b"soundstage_info{version=" in shown.text()
    assert await read_state(shown, "info") is None, "its label names the version"


async def test_the_end_of_the_studios_certificates_is_shown(settings: Settings) -> None:
    chosen = settings.model_copy(update={"http": settings.http.model_copy(update={"tls": "self"})})
    studio = {"certificate": "studio"}
    async with open_services(chosen) as services:
        assert await read_state(services.metrics, "certificate_expires_timestamp_seconds", **studio) is None
        ServerCertificate(studio_authority(chosen), authority_folder(chosen)).write(["a"])
        end = await read_state(services.metrics, "certificate_expires_timestamp_seconds", **studio)
    assert end is not None and 20 * 86400 < end - time.time() < 400 * 86400


async def test_a_changed_audit_log_is_shown(services: Services) -> None:
    await ask(services)
    assert (await services.audit_watch.check()).broken_at is None
    assert metric_value("audit_chain_broken") == 0
    assert abs(metric_value("audit_checked_timestamp_seconds") - time.time()) < 60
    path = services.database.path
    assert path is not None
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE audit_lines SET actor = 'nobody' WHERE number = 1")
    assert (await services.audit_watch.check()).broken_at == 1
    assert metric_value("audit_chain_broken") == 1


async def test_background_workers_count_their_polls(services: Services) -> None:
    async with run_background_workers(services, serving=True):
        await services.triggers.worker.poll()
    assert metric_value("background_polls", result="ok") > 0


async def test_a_key_with_the_scope_alone_reads_metrics_and_nothing_else(
    http: httpx.AsyncClient, services: Services
) -> None:
    request = KeyRequest(name="prometheus", role="operator", scopes=["metrics:read"])
    async with services.database.transaction() as session:
        created = await services.policy.keys.create(session, request, Principal.local_admin())
    scrape = {"Authorization": f"Bearer {created.key}"}
    assert (await http.get("/metrics", headers=scrape)).status_code == 200
    for path in ("/api/renders", "/api/health/installation", "/api/keys"):
        assert (await http.get(path, headers=scrape)).status_code == 403
