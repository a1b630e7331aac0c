"""A backup holds all of an installation, is refused when anything in it is wrong, and comes back whole."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import delete, insert, inspect, select, text
from two_tenants import calling, key_of

from app.archive import Backup, BackupWorkspace, gather, restore, save
from app.archive.manifest import sha256_of
from app.composition import Services, build, open_services
from app.migrating import LAST_WITH_ALL_MIGRATIONS
from app.provisioning import build_process
from app.server.web import create_app
from policy.audit import AuditEntry
from policy.audit.chain import GENESIS, chain_hash
from policy.audit.models import AuditLine
from policy.audit.service import _content
from provisioning_api.announcements.schemas import AnnouncementRequest
from provisioning_api.machines.models import Machine
from soundstage.database import Database
from soundstage.errors import Conflict, Invalid, NotFound, SoundstageError, StorageFull
from soundstage.sealing import KEY_FILE, Sealer
from soundstage.settings import Settings
from studio.projects.schemas import ProjectDraft
from studio.webhooks.schemas import WebhookDraft

Cli = Callable[..., Any]


async def backup(services: Services, target: Path) -> Backup:
    """Saves what the studio's route sends, as `soundstage backup` does."""
    with TemporaryDirectory() as folder:
        contents = await gather(services.database, services.blobs, services.own_personas, Path(folder), None)
        return await save(contents.chunks(), target)


@pytest.fixture
async def archive(services: Services, home: Path) -> Path:
    """A backup of an installation with a project, a file and a persona of its own."""
    await services.studio.projects.create(ProjectDraft(title="Kept"))
    await services.blobs.put_bytes(b"a picture", "image/png")
    services.own_personas.mkdir(parents=True)
    (services.own_personas / "ada.yaml").write_text("id: ada\nname: Ada\n")
    (services.own_personas / "ada.dossier.json").write_text("{}")
    (services.own_personas / "acme").mkdir()
    (services.own_personas / "acme" / "ada.yaml").write_text("id: ada\nname: Ada of Acme\n")
    created = await backup(services, home / "backup.tar")
    assert created.members == 5
    return created.path


@pytest.fixture
def empty(home: Path) -> Settings:
    return Settings(state_dir=home / "other", out_dir=home / "out", personas_dir=home / "personas")


async def put_back(settings: Settings, archive: Path, *, force: bool = False) -> None:
    services = build(settings)
    try:
        await restore(services.database, services.blobs, services.own_personas, archive, force=force)
    finally:
        await services.database.close()


async def test_a_backup_from_before_the_baseline_is_refused_before_anything_is_placed(
    services: Services, archive: Path, empty: Settings, home: Path
) -> None:
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    old = (await backup(services, home / "old.tar")).path
    with pytest.raises(Conflict) as refused:
        await put_back(empty, old)
    assert refused.value.code == "database.before_baseline" and "0003" in refused.value.message
    assert LAST_WITH_ALL_MIGRATIONS in refused.value.hint
    services = build(empty)
    assert not empty.state_dir.joinpath("soundstage.db").exists()
    assert [one async for one in services.blobs.iterate()] == []
    await services.database.close()


async def test_a_backup_comes_back_with_database_files_and_personas(archive: Path, empty: Settings) -> None:
    await put_back(empty, archive)
    async with open_services(empty) as services:
        assert [project.title for project in await services.studio.projects.list()] == ["Kept"]
        [blob] = [found async for found in services.blobs.iterate()]
        assert await services.blobs.read(blob.sha256) == b"a picture"
        assert (services.own_personas / "ada.yaml").read_text() == "id: ada\nname: Ada\n"
        assert (services.own_personas / "ada.dossier.json").read_text() == "{}"
        assert "of Acme" in (services.own_personas / "acme" / "ada.yaml").read_text()


async def test_a_file_that_could_not_come_back_is_told_when_the_backup_is_made(
    services: Services, home: Path
) -> None:
    services.own_personas.mkdir(parents=True)
    (services.own_personas / "my friend.yaml").write_text("id: ada\n")
    with pytest.raises(Invalid, match="my friend") as odd:
        await backup(services, home / "backup.tar")
    assert odd.value.code == "backup.odd_name"
    assert not await asyncio.to_thread(lambda: list(home.glob("backup*")))


async def test_a_state_that_holds_something_is_not_overwritten(archive: Path, settings: Settings) -> None:
    with pytest.raises(Conflict, match="already"):
        await put_back(settings, archive)


async def test_with_force_the_old_database_is_kept_beside(archive: Path, empty: Settings) -> None:
    async with open_services(empty) as services:
        await services.studio.projects.create(ProjectDraft(title="Replaced"))
    await put_back(empty, archive, force=True)
    async with open_services(empty) as services:
        assert [project.title for project in await services.studio.projects.list()] == ["Kept"]
    assert list(empty.state_dir.glob("*.before-restore"))


def rewritten(archive: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """The same archive with each member changed, or left out."""
    target = archive.with_name("changed.tar")
    with tarfile.open(archive) as source, tarfile.open(target, "w") as created:
        for info in source:
            file = source.extractfile(info)
            changed = change(info.name, file.read() if file else b"")
            if changed is not None:
                fresh = tarfile.TarInfo(changed[0])
                fresh.size = len(changed[1])
                created.addfile(fresh, io.BytesIO(changed[1]))
    return target


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda name, data: (name, b"another" if "blobs/" in name else data), id="a changed blob"
        ),
        pytest.param(lambda name, data: None if "blobs/" in name else (name, data), id="a missing blob"),
        pytest.param(lambda name, data: None if name == "manifest.json" else (name, data), id="no list"),
        pytest.param(
            lambda name, data: ("../../evil" if "personas/" in name else name, data),
            id="a path that leads out",
        ),
        pytest.param(
            lambda name, data: (name, data[: len(data) // 2] if "database" in name else data),
            id="half a database",
        ),
    ],
)
async def test_an_archive_that_was_changed_is_refused_and_nothing_is_touched(
    archive: Path, empty: Settings, change: Any
) -> None:
    with pytest.raises(Invalid, match="cannot be restored"):
        await put_back(empty, rewritten(archive, change))
    left = [path.name for path in empty.state_dir.rglob("*") if path.is_file()]
    assert left == ["session.key"]
    await put_back(empty, archive)


def cut_off(archive: Path, stored: float) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole.rstrip(b"\0")) * stored)])


@pytest.mark.parametrize("stored", [0.3, 0.9, 0.999])
async def test_an_archive_that_was_cut_off_is_refused(archive: Path, empty: Settings, stored: float) -> None:
    cut_off(archive, stored)
    with pytest.raises(SoundstageError) as caught:
        await put_back(empty, archive)
    assert caught.value.code == "backup.damaged"


async def test_a_backup_never_overwrites_a_file_and_a_missing_one_is_told(
    services: Services, archive: Path, empty: Settings
) -> None:
    with pytest.raises(Conflict, match="there already"):
        await backup(services, archive)
    with pytest.raises(NotFound):
        await put_back(empty, archive.with_name("none.tar"))


async def test_a_folder_that_is_not_there_is_told_and_never_made(services: Services, home: Path) -> None:
    target = home / "not mounted" / "backup.tar"
    with pytest.raises(NotFound, match="There is no folder") as caught:
        await backup(services, target)
    assert caught.value.code == "backup.no_folder"
    assert not target.parent.exists()


async def test_a_server_that_ends_in_the_middle_leaves_no_archive(services: Services, home: Path) -> None:
    async def half() -> AsyncIterator[bytes]:
        with TemporaryDirectory() as folder:
            contents = await gather(
                services.database, services.blobs, services.own_personas, Path(folder), None
            )
            async for chunk in contents.chunks():
                yield chunk[: len(chunk) // 2]
                break

    with pytest.raises(StorageFull, match="no whole archive"):
        await save(half(), home / "half.tar")
    assert not await asyncio.to_thread(lambda: list(home.glob("half*")))


async def test_a_backup_of_all_tenants_is_for_an_administrator_of_the_first(services: Services) -> None:
    app = create_app(services)
    for role, status, code in (("operator", 403, "backup.admins_only"), ("admin", 200, None)):
        async with calling(app, await key_of(services, "default", role)) as client:
            answer = await client.post("/api/backup")
        assert answer.status_code == status
        if code is not None:
            assert answer.json()["code"] == code
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert {"database.sqlite", "manifest.json"} <= set(archive.getnames())
        assert not [name for name in archive.getnames() if "key" in name]
    assert (await services.audit.newest(1))[0].kind == "backup.made"


@pytest.fixture
def with_a_secret(home: Path) -> Path:
    """An installation with a webhook, whose signing secret is sealed; its key file."""

    async def make() -> None:
        async with open_services(
            Settings(state_dir=home / "state", personas_dir=home / "personas")
        ) as services:
            draft = WebhookDraft(url="https://93.184.215.14/hook")
            await services.studio.outgoing.webhooks.create(draft, created_by="test")

    asyncio.run(make())
    return home / "state" / KEY_FILE


def test_a_backup_says_that_the_key_is_left_out(cli: Cli, with_a_secret: Path) -> None:
    words = cli("backup", "one.tar").out
    assert f"Private keys of {with_a_secret.parent} are left out" in words
    assert "audit.key: without it" in words and "seal.key: without it 1 tokens and secrets" in words
    assert cli("backup", "two.tar", "--json").json["key_left_out"] == str(with_a_secret)
    with tarfile.open("one.tar") as created:
        assert not [name for name in created.getnames() if "key" in name]


@pytest.mark.parametrize("state", ["missing", "another", "the same"])
def test_a_restore_without_the_right_key_says_what_stays_shut_and_what_to_do(
    cli: Cli, with_a_secret: Path, state: str
) -> None:
    key = with_a_secret.read_bytes()
    assert cli("backup", "backup.tar").code == 0
    with_a_secret.parent.rename("old")
    if state != "missing":
        with_a_secret.parent.mkdir()
        with_a_secret.write_bytes(key if state == "the same" else Fernet.generate_key())
    ran = cli("restore", "backup.tar", "--json" if state == "the same" else "--force")
    assert ran.code == 0, ran.err
    if state == "the same":
        assert (ran.json["secrets"], ran.json["unreadable_secrets"]) == (1, 0)
        return
    why = "is missing" if state == "missing" else "holds another key"
    assert f"1 of 1 tokens and secrets cannot be opened: {with_a_secret} {why}." in ran.out
    assert "make the webhooks anew" in ran.out
    assert with_a_secret.exists() is (state == "another"), "a restore makes no key of its own"


@pytest.fixture
def with_an_announcement(home: Path) -> Path:
    """An installation that expects a machine and switches another one; the folder of its keys."""
    settings = Settings(state_dir=home / "state", personas_dir=home / "personas")

    async def make() -> None:
        process = build_process(settings)
        await process.prepare()
        request = AnnouncementRequest(serial="SN1", secret=SecretStr("chassis-asset-tag-4711"))
        await process.services.announcements.announce(request, by="test")
        sealed = Sealer(settings.state_dir / "provisioning" / "keys").seal("of the BMC")
        async with process.database.transaction() as session:
            power = {"kind": "redfish", "url": "https://10.0.9.7", "user": "admin", "password": sealed}
            session.add(Machine(name="node1", state="discovered", power=power))
        process.services.audit.close()
        await process.database.close()

    asyncio.run(make())
    return home / "state" / "provisioning" / "keys"


def test_sealed_secrets_of_machines_are_counted(cli: Cli, with_an_announcement: Path) -> None:
    assert cli("backup", "plain.tar", "--json").json["machine_secrets"] == 2
    assert "and 2 secrets of machines cannot be opened" in cli("backup", "told.tar").out
    assert cli("backup", "keys.tar", "--with-keys").code == 0
    state = with_an_announcement.parents[1]
    state.rename("old")
    ran = cli("restore", "plain.tar")
    assert ran.code == 0, ran.err
    assert "2 of 2 secrets of announced machines and BMCs cannot be opened: put the old keys" in ran.out
    assert str(with_an_announcement) in ran.out
    state.rename("without")
    ran = cli("restore", "keys.tar", "--json").json
    assert (ran["machine_secrets"], ran["unreadable_machine_secrets"]) == (2, 0)


async def _lines(settings: Settings) -> None:
    async with open_services(settings) as services:
        for number in range(3):
            await services.audit.record_now(AuditEntry("test.line", "test", str(number)))


def test_a_restore_without_the_audit_key_waits_for_it(cli: Cli, settings: Settings, home: Path) -> None:
    asyncio.run(_lines(settings))
    assert cli("backup", "backup.tar").code == 0
    key = settings.state_dir / "audit.key"
    settings.state_dir.rename(home / "before")
    ran = cli("restore", "backup.tar")
    assert ran.code == 0 and f"another key than {key}, or there is none" in ran.out
    assert not key.exists(), "none is made that the old one would not fit"
    key.write_bytes((home / "before" / "audit.key").read_bytes())
    key.chmod(0o600)
    assert cli("restore", "--finish").code == 0
    verdict = cli("audit", "verify", "--json")
    assert verdict.code == 0 and verdict.json["broken_at"] is None, verdict.out


def test_who_has_lost_the_audit_key_goes_on_and_the_old_lines_stay_unproven(
    cli: Cli, settings: Settings, home: Path
) -> None:
    asyncio.run(_lines(settings))
    assert cli("backup", "backup.tar").code == 0
    settings.state_dir.rename(home / "before")
    assert cli("restore", "backup.tar", "--json").json["audit"] is False
    waits = cli("restore", "--finish", "--json")
    assert (waits.code, waits.json["code"]) == (1, "restore.unproven_log")
    assert not (settings.state_dir / "audit.key").exists()
    assert cli("restore", "--finish", "--accept-unproven-log").code == 0
    verdict = cli("audit", "verify", "--json").json
    assert (verdict["broken_at"], verdict["code"]) == (1, "audit.line_changed")
    [line] = [line for line in cli("audit", "list", "--json").json if line["kind"] == "backup.restored"]
    assert line["data"]["unproven"] >= 3


async def _rewrite_log(database: Path) -> int:
    """Take out the second line and compute the chain anew without a key; return how many are left."""
    db = Database(f"sqlite+aiosqlite:///{database}")
    async with db.transaction() as session:
        lines = list(await session.scalars(select(AuditLine).order_by(AuditLine.number)))
        rows = [
            {column.key: getattr(line, column.key) for column in inspect(AuditLine).columns} for line in lines
        ]
        await session.execute(delete(AuditLine))
        before = GENESIS
        del rows[1]
        for number, row in enumerate(rows, 1):
            row |= {"number": number, "before": before}
            before = row["sha256"] = chain_hash(_content(row))
        await session.execute(insert(AuditLine), rows)
    await db.close()
    return len(rows)


def _with_a_rewritten_log(archive: Path, folder: Path) -> tuple[Path, int]:
    """Changes an archive as an attacker who can write to it and has no key."""
    database = folder / "rewritten.sqlite"
    with tarfile.open(archive) as source:
        database.write_bytes(source.extractfile("database.sqlite").read())  # type: ignore[union-attr]
    lines = asyncio.run(_rewrite_log(database))
    content = database.read_bytes()

    def change(name: str, data: bytes) -> tuple[str, bytes]:
        if name == "database.sqlite":
            return name, content
        if name == "manifest.json":
            listed = json.loads(data)
            for member in listed["members"]:
                if member["path"] == "database.sqlite":
                    member |= {"sha256": sha256_of(database), "bytes": len(content)}
            return name, json.dumps(listed).encode()
        return name, data

    return rewritten(archive, change), lines


def test_a_log_that_was_rewritten_without_the_key_is_not_gone_on_from(
    cli: Cli, settings: Settings, home: Path
) -> None:
    asyncio.run(_lines(settings))
    assert cli("backup", "backup.tar").code == 0
    forged, lines = _with_a_rewritten_log(home / "backup.tar", home)
    ran = cli("restore", str(forged), "--force", "--json").json
    assert (ran["audit"], ran["unproven_lines"]) == (False, lines)
    words = cli("restore", str(forged), "--force").out
    assert "written with another key" in words and "--finish --accept-unproven-log" in words
    assert cli("audit", "verify", "--json").json["broken_at"] is not None
    refused = cli("restore", "--finish", "--json")
    assert (refused.code, refused.json["code"]) == (1, "restore.unproven_log")
    kinds = [line["kind"] for line in cli("audit", "list", "--json").json]
    assert len(kinds) == lines and "backup.restored" not in kinds

    assert cli("restore", "--finish", "--accept-unproven-log").code == 0
    assert cli("audit", "verify", "--json").json["broken_at"] == 1
    reported = {line["kind"]: line["data"].get("unproven") for line in cli("audit", "list", "--json").json}
    assert reported["backup.restored"] == lines


async def test_backups_are_made_one_at_a_time_and_leave_no_copies(services: Services, home: Path) -> None:
    folder = services.settings.state_dir / "backup"
    app = create_app(services)
    left = folder / "copies" / "database.sqlite"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a process that was killed")
    async with calling(app, await key_of(services, "default", "admin")) as client:
        claim = BackupWorkspace(services.settings.state_dir).claim()
        assert not left.exists() and claim.folder.stat().st_mode & 0o777 == 0o700
        busy = await client.post("/api/backup")
        assert (busy.status_code, busy.json()["code"]) == (409, "backup.busy")
        claim.release()
        seen: list[Path] = []

        async def inspect(*args: Any) -> Any:
            seen.append(args[3])
            return await gather(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("app.server.installation_routes.gather", inspect)
            assert (await client.post("/api/backup")).status_code == 200
        assert seen == [folder / "copies"], "nothing goes to a folder that all may write to"
        assert (await client.post("/api/backup")).status_code == 200
    assert list(folder.iterdir()) == []


async def test_a_start_removes_the_copies_of_a_process_that_was_killed(services: Services) -> None:
    left = services.settings.state_dir / "backup" / "copies" / "database.sqlite"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a process that was killed")
    claim = BackupWorkspace(services.settings.state_dir).claim()
    (claim.folder / "database.sqlite").write_bytes(b"being sent")
    BackupWorkspace(services.settings.state_dir).sweep()
    assert left.exists(), "a backup that is being made goes on"
    os.close(claim._descriptor)
    app = create_app(services)
    async with app.router.lifespan_context(app):
        assert not left.exists()


async def test_whoever_leaves_before_the_first_byte_holds_no_backup_up(services: Services) -> None:
    app = create_app(services)
    key = await key_of(services, "default", "admin")
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": "POST", "path": "/api/backup", "raw_path": b"/api/backup", "query_string": b"",
        "headers": [(b"authorization", f"Bearer {key}".encode()), (b"host", b"localhost")],
        "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 5), "root_path": "",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        raise OSError("gone")

    with suppress(Exception):
        await app(scope, receive, send)
    BackupWorkspace(services.settings.state_dir).claim().release()


@pytest.mark.parametrize("when", ["before", "between"])
async def test_a_link_at_the_name_of_a_half_backup_is_not_followed(
    services: Services, home: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    other = home / "precious"
    other.write_bytes(b"of somebody")
    half = home / "backup.tar.part"
    half.symlink_to(other)
    if when == "before":
        created = await backup(services, home / "backup.tar")
        assert created.path.stat().st_mode & 0o777 == 0o600 and tarfile.is_tarfile(created.path)
    else:
        unlink = Path.unlink

        def plant(path: Path, missing_ok: bool = False) -> None:
            unlink(path, missing_ok=missing_ok)
            if path == half:
                path.symlink_to(other)

        monkeypatch.setattr(Path, "unlink", plant)
        with pytest.raises(StorageFull) as refused:
            await backup(services, home / "backup.tar")
        assert refused.value.code == "backup.failed"
    assert other.read_bytes() == b"of somebody"


def test_an_audit_key_that_came_with_an_archive_in_the_place_of_another_is_told(
    cli: Cli, settings: Settings, home: Path
) -> None:
    asyncio.run(_lines(settings))
    assert cli("backup", "keys.tar", "--with-keys").code == 0
    key = settings.state_dir / "audit.key"
    key.write_text("ab" * 32)
    words = cli("restore", "keys.tar", "--force").out
    assert f"Other keys were here: {key}." in words and "could have written the audit log" in words
    assert cli("audit", "list", "--json").json[0]["data"]["replaced"] == [str(key)]
    assert cli("restore", "keys.tar", "--force", "--json").json["replaced_keys"] == []
