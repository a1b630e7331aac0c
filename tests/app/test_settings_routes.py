"""The settings and the doctor over REST: who sees them, what they tell, and that no answer holds a secret."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from pydantic import AnyHttpUrl, AnyUrl, BaseModel, SecretStr
from two_tenants import RIVAL, calling, key_of

from app.composition import Services, open_services
from app.doctor import examine
from app.doctor.service import DoctorService
from app.server.web import create_app
from soundstage.health import Check, Level, green, red
from soundstage.settings import Settings, load_settings
from soundstage.settings.conversation import McpServerSettings
from soundstage.settings.origins import SET_BY_UP
from soundstage.settings.secrets import is_secret

MARKER = "hunter2marker"
HASH = "ab" * 32
GOOD_WORKER = """#!/bin/sh
echo '[{"name": "espeak-ng", "state": "ok", "detail": "1.51", "hint": ""}]'
"""


@pytest.fixture
def worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker program that answers the doctor."""
    path = home / "worker"
    path.write_text(GOOD_WORKER)
    path.chmod(0o755)
    monkeypatch.setenv("SOUNDSTAGE_WORKER__COMMAND", str(path))
    return path


@asynccontextmanager
async def asking(settings: Settings, tenant: str = "default", role: str = "admin") -> AsyncIterator[Any]:
    async with (
        open_services(settings) as services,
        calling(create_app(services), await key_of(services, tenant, role)) as client,
    ):
        yield client


def by_name(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for section in answer.json()["sections"] for one in section["settings"]}


async def test_each_setting_has_value_default_source_and_meaning(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.toml").write_text('out_dir = "films"\n[worker]\nconcurrency = 3\ntimeout_s = 60\n')
    monkeypatch.setenv("SOUNDSTAGE_WORKER__TIMEOUT_S", "90")
    monkeypatch.setenv("SOUNDSTAGE_API_KEY_HASHES", HASH)
    monkeypatch.setenv("SOUNDSTAGE_HTTP__PORT", "8000")
    monkeypatch.setenv("SOUNDSTAGE_HTTP__TLS_PORT", "40123")
    monkeypatch.setenv(SET_BY_UP, "SOUNDSTAGE_HTTP__PORT,SOUNDSTAGE_HTTP__TLS_PORT")
    async with asking(load_settings()) as client:
        answer = await client.get("/api/settings")
    found = by_name(answer)
    assert (answer.json()["file"], answer.json()["file_exists"]) == (str(home / "config.toml"), True)
    seen = {name: (one["value"], one["default"], one["source"]) for name, one in found.items()}
    assert seen["out_dir"] == ("films", "out", "file")
    assert seen["worker.concurrency"] == (3, 1, "file")
    assert seen["worker.timeout_s"] == (90, 3600, "environment")
    assert seen["log.level"] == ("info", "info", "default")
    assert seen["http.port"] == (8000, 8000, "default")
    assert seen["http.tls_port"] == (40123, None, "start")
    assert found["log.level"]["choices"] == ["debug", "info", "warning", "error"]
    kinds = {"http.port": "number", "http.tls_port": "number", "auth.plain_http": "switch"}
    kinds |= {"log.level": "text"}
    kinds |= {"auth.api_key_hashes": "list", "database.url": "text", "farm.other_control_urls": "list"}
    kinds |= {"blobs.quota_mib": "number", "agent.mcp_servers": "table", "llm.local.temperature": "number"}
    assert {name: found[name]["kind"] for name in kinds} == kinds
    assert found["worker.timeout_s"]["variable"] == "SOUNDSTAGE_WORKER__TIMEOUT_S"
    assert all(len(one["meaning"]) > 3 for one in found.values())
    hashes, scrape = found["auth.api_key_hashes"], found["auth.scrape_key_hashes"]
    assert (hashes["value"], hashes["is_secret"], hashes["is_set"]) == (None, True, True)
    assert (hashes["variable"], hashes["source"]) == ("SOUNDSTAGE_API_KEY_HASHES", "environment")
    assert (scrape["is_secret"], scrape["is_set"]) == (True, False)


def fields_of(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields_of(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def names(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(names(one, kind) for one in get_args(annotation))


def secrets_for(home: Path) -> dict[str, Any]:
    """A value with the marker for every setting that can hold a secret: hashes, commands with arguments,
    passwords in addresses, and the contents of files of keys.
    """
    key_file = home / "a.key"
    key_file.write_text(MARKER)
    values: dict[str, Any] = {}
    for path, field in [*fields_of(Settings), *fields_of(McpServerSettings, "agent.mcp_servers.tickets.")]:
        name = path.rpartition(".")[2]
        if name.endswith("_hashes"):
            values[path] = [HASH]
        elif is_secret(field):
            values[path] = {"TOKEN": MARKER} if names(field.annotation, SecretStr) else ["run", MARKER]
        elif names(field.annotation, AnyHttpUrl) or names(field.annotation, AnyUrl):
            values[path] = f"https://{MARKER}:{MARKER}@x.example/v1?key={MARKER}&b=%20"
        elif name in ("url", "database_url"):
            values[path] = f"postgresql://me:{MARKER}@x.example/db"
        elif name.endswith("_file"):
            values[path] = str(key_file)
    values["blobs.url"] = f"s3://bucket/prefix?token={MARKER}"
    values["farm.other_control_urls"] = [f"https://{MARKER}@x.example/"]
    # One that is called is not started.
    for path in ("agent.mcp_servers.tickets.url", "agent.mcp_servers.tickets.token_file"):
        del values[path]
    values["agent.mcp_servers.tickets.command"] = "false"
    return values


def as_tables(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in values.items():
        place = found
        *parts, last = path.split(".")
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return found


async def test_no_answer_holds_a_secret(home: Path, services: Services, worker: Path) -> None:
    """With every setting that can hold one filled, also where the doctor complains of it."""
    values = secrets_for(home)
    assert len(values) > 40
    settings = Settings.model_validate(as_tables({**values, "worker.command": [str(worker)]}))
    app = create_app(replace(services, settings=settings))
    async with calling(app, await key_of(services, "default")) as client:
        listed = await client.get("/api/settings")
        report = await client.get("/api/doctor")
        first_run = await client.get("/api/first-run")
    found = by_name(listed)
    assert values.keys() <= found.keys(), "each is listed"
    assert found["sealing.wrap_command"]["is_set"] and found["agent.mcp_servers.tickets.env"]["is_set"]
    assert found["llm.cloud.base_url"]["value"] == "https://[masked]@x.example/v1?key=[masked]&b=[masked]"
    assert found["database.url"]["value"] == "postgresql://me:[masked]@x.example/db"
    checks = levels(report)
    assert checks["mcp server tickets"] is Level.RED and checks["worker espeak-ng"] is Level.GREEN
    for answer in (listed, report, first_run):
        assert MARKER not in answer.text and HASH not in answer.text
    assert MARKER not in json.dumps(settings.mask_secrets())


@pytest.mark.parametrize(
    ("tenant", "role", "settings_status", "doctor_status"),
    [
        ("default", "admin", 200, 200),
        ("default", "operator", 403, 200),
        ("default", "editor", 403, 403),
        ("default", "viewer", 403, 403),
        (RIVAL, "admin", 403, 403),
    ],
)
async def test_settings_are_for_administrators_and_the_doctor_for_operators(
    services: Services, worker: Path, tenant: str, role: str, settings_status: int, doctor_status: int
) -> None:
    async with calling(create_app(services), await key_of(services, tenant, role)) as client:
        assert (await client.get("/api/settings")).status_code == settings_status
        assert (await client.get("/api/doctor")).status_code == doctor_status


def levels(answer: httpx.Response) -> dict[str, Level]:
    assert answer.status_code == 200, answer.text
    return {check["name"]: Level(check["level"]) for check in answer.json()["checks"]}


def test_the_doctor_of_a_server_has_the_lines_of_the_command(
    home: Path, worker: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSTAGE_HTTP__PORT", "0")

    async def ask() -> httpx.Response:
        async with asking(load_settings()) as client:
            answer: httpx.Response = await client.get("/api/doctor")
            return answer

    report, commanded = asyncio.run(ask()), cli("doctor", "--json")
    assert list(levels(report)) == [check["name"] for check in commanded.json["checks"]]
    assert report.json()["ok"] is True and report.json()["duration_ms"] > 0
    assert levels(report)["database"] is Level.GREEN


async def test_the_doctor_tells_of_settings_that_have_changed_since_the_start(
    home: Path, worker: Path
) -> None:
    file = home / "config.toml"
    file.write_text("[worker]\nconcurrency = 2\n")
    async with asking(load_settings()) as client:
        assert levels(await client.get("/api/doctor"))["settings"] is Level.GREEN
        file.write_text("[worker]\nconcurrency = 3\n")
        assert levels(await client.get("/api/doctor"))["settings"] is Level.AMBER
        file.write_text("[worker]\nconcurrency = 0\n")
        assert levels(await client.get("/api/doctor"))["settings"] is Level.RED
        file.write_text("[worker\n")
        assert levels(await client.get("/api/doctor"))["settings"] is Level.RED


async def test_one_examination_runs_at_a_time_and_all_who_ask_meanwhile_get_it() -> None:
    began, may_end = 0, asyncio.Event()

    async def checks() -> AsyncIterator[Check]:
        nonlocal began
        began += 1
        await may_end.wait()
        yield green("disk", "postgresql://me:hunter2@x is full")

    doctor = DoctorService(checks)
    gone, *others = [asyncio.create_task(doctor.report()) for _ in range(4)]
    await asyncio.sleep(0)
    gone.cancel()
    may_end.set()
    reports = await asyncio.gather(*others)
    assert began == 1 and len({report.at for report in reports}) == 1
    assert reports[0].checks[0].found == "postgresql://me:[masked]@x is full"
    await doctor.report()
    assert began == 2


async def test_an_examination_ends_in_time_and_says_what_it_has_found_by_then() -> None:
    ended = asyncio.Event()

    async def checks() -> AsyncIterator[Check]:
        yield green("python", "3.12")
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    report = await DoctorService(checks, limit_s=0.05).report()
    assert ended.is_set() and not report.ok
    assert [(check.name, check.code) for check in report.checks] == [
        ("python", ""),
        ("doctor", "doctor.timeout"),
    ]


async def test_a_worker_that_hangs_ends_with_the_examination(
    home: Path, services: Services, worker: Path
) -> None:
    mark = home / "worker.pid"
    script = f"#!/bin/sh\necho $$ > {mark}\nexec sleep 600\n"
    await asyncio.to_thread(worker.write_text, script)
    settings = services.settings.model_copy(
        update={"worker": services.settings.worker.model_copy(update={"command": (str(worker),)})}
    )

    async def checks() -> AsyncIterator[Check]:
        for check in await examine._worker(settings):
            yield check

    report = await DoctorService(checks, limit_s=3.0).report()
    assert report.checks == [red("doctor", report.checks[0].found, report.checks[0].fix, "doctor.timeout")]
    process = int(await asyncio.to_thread(mark.read_text))
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
