"""The health of an installation: one sentence, what is not well, and what to do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from local_login import log_in_locally
from loopback_http import Reply, Request, serving
from sentences import SentenceSnapshot
from test_approvals_and_audit import ask

from agent.event_stream import EventReader
from app.composition import Services, open_services
from app.doctor import alerts, elsewhere, installation, machine, watch
from app.server.web import create_app
from farm.nomad.overview import ClusterOverview, NodeOverview, node_overview
from policy import Principal
from policy.audit import AuditEntry
from policy.keys.schemas import KeyRequest
from soundstage.errors import Unavailable
from soundstage.events import Event
from soundstage.health import Check, InstallationHealth, Level, amber, green, red
from soundstage.settings import Settings


@pytest.fixture(autouse=True)
def no_node_exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this machine's node-exporter is not the test's, in which a backup is an hour old."""
    folder = tmp_path / "node-exporter"
    folder.mkdir()
    at = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    (folder / "backup.prom").write_text(f"# a comment\n{installation.BACKUP_METRIC} {at}\n")
    monkeypatch.setattr(installation, "NODE_EXPORTER", folder)
    monkeypatch.setattr(installation, "MAX_AGE_S", 0.0)
    return folder


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 40000))
    headers = await log_in_locally(services.policy)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers=headers
    ) as client:
        yield client


def change(services: Services, statement: str) -> None:
    assert services.database.path is not None
    with closing(sqlite3.connect(services.database.path)) as database, database:
        assert database.execute(statement).rowcount > 0


async def complaint(services: Services, name: str) -> Check:
    """The only one."""
    found = await services.health.health()
    assert [check.name for check in found.complaints] == [name], found
    assert found.complaints[0].fix and found.complaints[0].code
    return found.complaints[0]


async def test_an_installation_with_a_backup_is_well(services: Services, snapshot: SentenceSnapshot) -> None:
    found = await services.health.health()
    assert (found.level, found.complaints) == (Level.GREEN, ())
    assert found.sentence == snapshot("all_is_well", number=str(len(found.checks)))
    names = {check.name for check in found.checks}
    assert {"videos", "disk", "workers", "personas", "approvals", "audit log", "backup"} <= names


def test_the_sentence_names_the_worst_and_what_to_do(snapshot: SentenceSnapshot) -> None:
    checks = [
        green("a", "well"),
        amber("b", "less of it", "Mend it.", "b.less"),
        red("c", "gone", "Get it.", "c"),
    ]
    found = InstallationHealth.of(checks, datetime.now(UTC))
    assert found.level is Level.RED and [check.name for check in found.checks] == ["c", "b", "a"]
    assert found.sentence == snapshot("two_things")
    assert InstallationHealth.of(checks[2:], datetime.now(UTC)).sentence == snapshot("one_thing")
    assert InstallationHealth.of(checks[:2], datetime.now(UTC)).sentence == snapshot("one_look")
    twice = [*checks[:2], amber("d", "old", "Renew it.", "d.old")]
    assert InstallationHealth.of(twice, datetime.now(UTC)).sentence == snapshot("two_looks")


async def test_a_queue_that_does_not_move_is_named(http: httpx.AsyncClient, services: Services) -> None:
    await http.post("/api/chat", json={"message": "Make a video where Nova says: Hello"})
    assert (await services.health.health()).level is Level.GREEN
    change(services, "UPDATE renders SET created_at = datetime('now', '-20 minutes')")
    found = await complaint(services, "videos")
    assert (found.level, found.code) == (Level.RED, "render.queue_stuck")
    assert found.found.startswith("1 video waits, the oldest for 20 minutes")
    change(services, "UPDATE renders SET state = 'running'")
    assert (await services.health.health()).level is Level.GREEN


async def test_videos_that_all_fail_are_named(http: httpx.AsyncClient, services: Services) -> None:
    for number in range(3):
        await http.post("/api/chat", json={"message": f"Make a video where Nova says: Hello {number}"})
    change(services, "UPDATE renders SET state = 'failed', finished_at = datetime('now', '-1 hour')")
    assert (await complaint(services, "videos")).code == "render.all_failed"
    change(services, "UPDATE renders SET state = 'done' WHERE title LIKE '%1%'")
    assert (await services.health.health()).level is Level.GREEN


async def test_an_approval_that_waits_needs_a_look(services: Services) -> None:
    await ask(services)
    found = await complaint(services, "approvals")
    assert (found.level, found.found) == (Level.AMBER, "1 call waits for approval")
    change(services, "UPDATE approvals SET created_at = datetime('now', '-3 hours')")
    assert (
        await complaint(services, "approvals")
    ).found == "1 call waits for approval, the oldest for 3 hours"


async def test_no_backup_needs_a_look_from_the_first_day_and_then_every_day(
    services: Services, no_node_exporter: Path
) -> None:
    (no_node_exporter / "backup.prom").unlink()
    found = await complaint(services, "backup")
    assert (found.level, found.found, found.code) == (Level.AMBER, "no backup yet", "backup.none")
    await services.audit.record_now(AuditEntry("key.created", "me"))
    assert (await complaint(services, "backup")).found.startswith("no backup since 20")
    await services.audit.record_now(AuditEntry("backup.made", "me"))
    assert (await services.health.health()).level is Level.GREEN
    change(services, "UPDATE audit_lines SET at = datetime('now', '-30 hours') WHERE kind = 'backup.made'")
    assert (await complaint(services, "backup")).found == "the newest is 30 hours old"
    # That of the role on this machine is newer.
    at = (datetime.now(UTC) - timedelta(hours=5)).timestamp()
    (no_node_exporter / "backup.prom").write_text(f"# a comment\n{installation.BACKUP_METRIC} {at}\n")
    assert (await services.health.health()).level is Level.GREEN


async def test_a_changed_audit_log_is_named_once_it_was_checked(services: Services) -> None:
    await services.audit.record_now(AuditEntry("key.created", "me"))
    await services.audit_watch.check()
    assert (await services.health.health()).level is Level.GREEN
    change(services, "UPDATE audit_lines SET actor = 'nobody'")
    await services.audit_watch.check()
    found = await complaint(services, "audit log")
    assert (found.level, found.code) == (Level.RED, "audit.line_changed")


async def test_a_full_disk_and_a_broken_persona_are_named_worst_first(
    services: Services, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (home / "personas" / "broken.yaml").write_text("id: [")
    monkeypatch.setattr(machine, "NO_SPACE_MIB", 1 << 40)
    found = await services.health.health()
    assert [check.code for check in found.complaints] == ["disk.full", "persona.broken"]


async def test_a_change_of_health_is_an_event_that_tells_no_more_than_once(
    services: Services, home: Path
) -> None:
    async def events() -> list[tuple[str, str]]:
        found = await services.events.read(watch.STREAM, 0)
        return [
            (event.data["state"], event.data["message"]) for event in found if event.kind == watch.CHANGED
        ]

    await services.health_watch.poll()
    await services.health_watch.poll()
    assert await events() == []
    broken = home / "personas" / "broken.yaml"
    broken.write_text("id: [")
    await services.health_watch.poll()
    await services.health_watch.poll()
    [(state, message)] = await events()
    assert state == Level.AMBER and "broken.yaml" in message
    broken.unlink()
    await services.health_watch.poll()
    assert [state for state, _ in await events()] == [Level.AMBER, Level.GREEN]


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("admin", True)])
async def test_who_may_not_read_the_system_hears_nothing_of_its_health(
    services: Services, role: str, sees: bool
) -> None:
    principal = Principal("key_1", "somebody", role, "user")
    reader = EventReader(principal, services.brain.sessions, services.decisions)
    event = Event(
        id=1, seq=1, stream=watch.STREAM, kind=watch.CHANGED, data={"state": "red"}, at=datetime.now(UTC)
    )
    assert await reader.may_see(event) is sees


async def test_a_certificate_that_ends_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings.model_copy(update={"http": settings.http.model_copy(update={"tls": "self"})})
    async with open_services(chosen) as services:
        for days, code in ((3, "certificate.ends"), (-1, "certificate.ended")):
            end = datetime.now(UTC) + timedelta(days=days)
            monkeypatch.setattr(installation, "expiry_of", lambda folder, end=end: end)
            assert (await complaint(services, "certificates")).code == code


async def test_engines_that_do_not_answer_are_named_and_the_rest_is_still_checked(
    settings: Settings, home: Path
) -> None:
    (home / "agent.key").write_text("ssk_1")
    away = {"api_url": "http://127.0.0.1:1", "api_key_file": home / "agent.key"}
    farm = {
        "scheduler": "nomad",
        "control_url": "http://127.0.0.1:2",
        "nomad": {"address": "http://127.0.0.1:1"},
    }
    chosen = Settings.model_validate({**settings.model_dump(), "provisioning": away, "farm": farm})
    async with open_services(chosen) as services:
        found = await services.health.health()
    assert {check.name: check.code for check in found.complaints} == {
        "farm": "nomad.unreachable",
        "machines": "machines.no_server",
    }
    assert "videos" in {check.name for check in found.checks}


def node(name: str, state: str, *, eligibility: str = "eligible", checks: str = "") -> NodeOverview:
    listed: dict[str, Any] = {
        "ID": name,
        "Name": name,
        "Status": state,
        "SchedulingEligibility": eligibility,
        "LastDrain": {"Meta": {"soundstage_health": checks} if checks else None},
    }
    return node_overview(listed, [])


@pytest.mark.parametrize(
    ("nodes", "code"),
    [
        ([node("a", "ready"), node("b", "ready")], ""),
        ([node("a", "ready"), node("b", "down")], "farm.node_down"),
        ([node("a", "ready"), node("b", "down", eligibility="ineligible")], ""),
        ([node("a", "down"), node("b", "ready", eligibility="ineligible")], "farm.no_nodes"),
        ([node("a", "ready"), node("b", "ready", eligibility="ineligible")], ""),
        (
            [node("a", "ready"), node("b", "ready", eligibility="ineligible", checks="Its disk is full.")],
            "farm.checks_fail",
        ),
        ([node("a", "ready"), node("b", "ready", checks="Its disk was full.")], ""),
    ],
    ids=[
        *("all ready", "one lost", "one switched off after its drain", "none left", "one set aside"),
        *("one drained by its checks", "one that is well again"),
    ],
)
async def test_a_node_that_is_lost_is_named_and_one_that_was_drained_is_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, nodes: list[NodeOverview], code: str
) -> None:
    async def overview(_: object) -> ClusterOverview:
        return ClusterOverview("a:4647", tuple(nodes))

    monkeypatch.setattr(elsewhere, "overview", overview)
    chosen = settings.model_copy(update={"farm": settings.farm.model_copy(update={"scheduler": "nomad"})})
    assert (await elsewhere.examine_farm(chosen)).code == code


async def test_a_check_that_hangs_does_not_hold_up_the_answer(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(installation, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(services.experts, "survey", hang)
    assert (await complaint(services, "language models")).code == "health.check_failed"


async def test_many_who_ask_are_answered_by_one_check(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "MAX_AGE_S", 60.0)
    first, second = await asyncio.gather(services.health.health(), services.health.health())
    assert first is second


async def test_the_agent_answers_whether_everything_is_ok(
    http: httpx.AsyncClient, services: Services, home: Path
) -> None:
    question = {"message": "Is everything ok?"}
    reply = (await http.post("/api/chat", json=question)).json()["reply"]
    assert reply == (await services.health.health()).sentence
    (home / "personas" / "broken.yaml").write_text("id: [")
    reply = (await http.post("/api/chat", json=question)).json()["reply"]
    assert "1 check needs a look" in reply and "broken.yaml" in reply and "soundstage personas list" in reply


async def test_the_route_needs_the_permission_of_operators(
    http: httpx.AsyncClient, services: Services
) -> None:
    answer = await http.get("/api/health/installation")
    assert answer.json()["level"] == "green"
    async with services.database.transaction() as session:
        key = await services.policy.keys.create(
            session, KeyRequest(name="a viewer", role="viewer"), Principal.local_admin()
        )
    refused = await http.get("/api/health/installation", headers={"Authorization": f"Bearer {key.key}"})
    assert refused.status_code == 403


def test_the_command_says_the_sentence_and_ends_with_1_when_something_is_broken(
    cli: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = cli("health")
    assert ran.code == 0 and ran.out.startswith("All is well: ")
    monkeypatch.setattr(machine, "NO_SPACE_MIB", 1 << 40)
    ran = cli("health")
    assert ran.code == 1 and ran.out.startswith("One thing is not well") and "soundstage gc" in ran.out
    assert cli("health", "--json").json["checks"][0]["code"] == "disk.full"


async def test_files_that_are_not_on_all_servers_need_a_look(services: Services) -> None:
    blobs = services.settings.blobs.model_copy(update={"replica_endpoint_urls": ("https://two.example",)})
    services.health.settings = services.settings.model_copy(update={"blobs": blobs})
    services.blob_repair.compared_s = 0.0
    found = await services.health.health()
    assert "each is on 2 S3 servers" in [check.found for check in found.checks]
    services.blob_repair.failure = Unavailable("blobs.unreachable", "No answer.", "Look at it.")
    check = await complaint(services, "files")
    assert (check.level, check.code) == (Level.AMBER, "blobs.unreachable") and "No answer." in check.found


def an_alert(name: str, severity: str, summary: str) -> dict[str, Any]:
    """As Alertmanager's `GET /api/v2/alerts` shows it."""
    return {
        "labels": {"alertname": name, "severity": severity, "instance": "gpu-1"},
        "annotations": {"summary": summary, "hint": f"What to do about {name}."},
        "status": {"state": "active", "inhibitedBy": [], "silencedBy": []},
        "startsAt": "2026-11-29T10:00:00.000Z",
        "fingerprint": name.lower(),
    }


WATCHDOG = an_alert("Watchdog", "none", "Prometheus and Alertmanager work.")


@pytest.mark.parametrize(
    ("firing", "level", "code"),
    [
        ([WATCHDOG, an_alert("MachineHealed", "ticket", "One was healed.")], "green", ""),
        ([], "amber", "monitoring.silent"),
        ([WATCHDOG, an_alert("ClockOff", "ticket", "It is late.")], "amber", "monitoring.alerts_fire"),
        (
            [
                WATCHDOG,
                an_alert("ClockOff", "ticket", "It is late."),
                an_alert("CardHot", "page", "A card has 91 °C."),
            ],
            "red",
            "monitoring.alerts_fire",
        ),
    ],
    ids=["none", "nothing comes", "a ticket", "a page first"],
)
async def test_alerts_that_fire_belong_to_the_health(
    firing: list[dict[str, Any]], level: str, code: str
) -> None:
    requests: list[Request] = []

    async def answer(request: Request) -> Reply:
        requests.append(request)
        return Reply.json(firing)

    async with serving(answer) as url:
        settings = Settings.model_validate({"monitoring": {"alertmanager_url": url}})
        check = await alerts.examine_alerts(settings)
    assert check is not None and (check.level, check.code) == (level, code)
    assert (requests[0].path, requests[0].query["silenced"]) == ("/api/v2/alerts", "false")
    if level == "red":
        assert check.found == "A card has 91 °C. It is late." and "CardHot" in check.fix
    gone = await alerts.examine_alerts(settings)
    assert gone is not None and (gone.level, gone.code) == ("amber", "monitoring.unreachable")
    assert await alerts.examine_alerts(Settings()) is None
