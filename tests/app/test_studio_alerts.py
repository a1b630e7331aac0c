"""The alerts of the role monitoring fire on what a real studio shows after a real fault, read with a key that
may do nothing else. promtool keeps what was read for hours; of what counts, it grows to that value."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from local_login import log_in_locally
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from test_approvals_and_audit import ask

from app.composition import Services, open_services
from app.server.web import create_app
from soundstage.settings import Settings
from soundstage.telemetry import metrics

sys.path.append(str(Path(__file__).parents[1] / "monitoring"))

from rule_files import run_tests

KEY = "a scrape key"
HOURS = 2
FIRING = (
    'count by (alertname) (count_over_time(ALERTS{alertstate="firing",alertname!="Watchdog"}[1d])) > bool 0'
)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    auth = settings.auth.model_copy(update={"scrape_key_hashes": (hashlib.sha256(KEY.encode()).hexdigest(),)})
    async with open_services(settings.model_copy(update={"auth": auth})) as created:
        yield created


@pytest.fixture
async def scraper(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(
        app=create_app(services), client=("127.0.0.1", 40000), raise_app_exceptions=False
    )
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        yield client


async def read_series(scraper: httpx.AsyncClient, services: Services) -> list[dict[str, str]]:
    """Returns what Prometheus has after hours in which the studio was as it is now."""
    services.metrics.expire()
    page = await scraper.get("/metrics")
    assert page.status_code == 200, page.text
    minutes, series = HOURS * 60, []
    for family in text_string_to_metric_families(page.text):
        for sample in family.samples:
            labels = {**sample.labels, "job": "studio", "instance": "control-1"}
            pairs = ",".join(f'{key}="{value}"' for key, value in labels.items())
            growing = family.type in ("counter", "histogram")
            step = sample.value / minutes if growing else 0
            start = 0 if growing else sample.value
            series.append(
                {"series": f"{sample.name}{{{pairs}}}", "values": f"{start:.10g}+{step:.10g}x{minutes}"}
            )
    return series


def problems(folder: Path, series: list[dict[str, str]], *expected: str) -> str:
    """Returns what promtool finds wrong when exactly these alerts shall fire."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install --no-install-recommends prometheus")
    samples: list[dict[str, Any]] = [{"labels": f'{{alertname="{one}"}}', "value": 1} for one in expected]
    query = {"expr": FIRING, "eval_time": f"{HOURS}h", "exp_samples": samples}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [query]}
    return run_tests(promtool, folder, [test])


async def test_a_studio_that_is_well_makes_no_alert_fire_and_its_scrape_key_opens_nothing_else(
    scraper: httpx.AsyncClient, services: Services, tmp_path: Path
) -> None:
    assert (await scraper.get("/api/keys")).status_code == 403
    assert (await scraper.get("/api/renders")).status_code == 403
    await services.audit_watch.check()
    found = problems(tmp_path, await read_series(scraper, services))
    assert not found, found


async def test_approvals_a_changed_audit_log_and_renders_that_nobody_takes_make_theirs_fire(
    scraper: httpx.AsyncClient, services: Services, tmp_path: Path
) -> None:
    await ask(services)
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE approvals SET created_at = datetime('now', '-2 hours')"))
        await session.execute(text("UPDATE audit_lines SET actor = 'Eve'"))
    await services.audit_watch.check()
    # No background worker runs here: nobody takes it.
    message = {"message": "Make a video where Nova says: Hello"}
    answer = await scraper.post("/api/chat", json=message, headers=await log_in_locally(services.policy))
    assert answer.status_code == 200
    found = problems(
        tmp_path, await read_series(scraper, services), "ApprovalWaits", "AuditChainBroken", "RendersStuck"
    )
    assert not found, found


async def test_requests_that_fail_and_a_voice_that_is_slow_make_theirs_fire(
    scraper: httpx.AsyncClient, services: Services, tmp_path: Path
) -> None:
    async with services.database.transaction() as session:
        await session.execute(text("ALTER TABLE publications RENAME TO lost"))
    headers = await log_in_locally(services.policy)
    failed = [(await scraper.get("/api/publications", headers=headers)).status_code for _ in range(70)]
    assert set(failed) == {503}
    for _ in range(400):
        metrics.VOICE_FIRST_AUDIO.observe(2.0)
    found = problems(tmp_path, await read_series(scraper, services), "ApiErrors", "FirstSoundLate")
    assert not found, found
