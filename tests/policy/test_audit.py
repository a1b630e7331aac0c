from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sentences import SentenceSnapshot
from sqlalchemy import text

from policy.audit import AuditEntry, AuditLog
from policy.audit.head import Head, HeadFile
from soundstage.database import Database
from soundstage.errors import NotFound, Unavailable
from soundstage.telemetry import trace

pytestmark = pytest.mark.each_database


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit-head.json"


@pytest.fixture
def audit(db: Database, head: Path) -> AuditLog:
    return AuditLog(db, HeadFile(head.parent))


class NoKey(HeadFile):
    """No key, as whoever reaches only the database: the lines carry plain hashes."""

    key: Any = None


async def tell(audit: AuditLog, count: int = 5) -> None:
    for number in range(count):
        await audit.record_now(
            AuditEntry("tool.called", "Ada", f"tool_{number}", session_id="ses_1", data={"n": number})
        )


async def spoil(db: Database, statement: str) -> None:
    async with db.transaction() as session:
        await session.execute(text(statement))


async def test_a_chain_that_nobody_touched_is_whole(audit: AuditLog) -> None:
    assert (await audit.verify()).broken_at is None
    await tell(audit)
    verdict = await audit.verify()
    assert (verdict.lines, verdict.broken_at, verdict.reason) == (5, None, "")


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ("UPDATE audit_lines SET actor = 'Eve' WHERE number = 3", 3, "the line was changed"),
        ("UPDATE audit_lines SET data = '{}' WHERE number = 1", 1, "the line was changed"),
        ("UPDATE audit_lines SET trace_id = 'x' WHERE number = 5", 5, "the line was changed"),
        ("DELETE FROM audit_lines WHERE number = 1", 1, "a line is missing"),
        ("DELETE FROM audit_lines WHERE number = 3", 3, "a line is missing"),
        ("DELETE FROM audit_lines WHERE number = 5", 5, "lines at the end are missing"),
        ("DELETE FROM audit_lines", 1, "lines at the end are missing"),
    ],
)
async def test_a_changed_or_removed_line_is_found(
    audit: AuditLog, db: Database, statement: str, broken_at: int, reason: str
) -> None:
    await tell(audit)
    await spoil(db, statement)
    verdict = await audit.verify()
    assert (verdict.broken_at, verdict.reason) == (broken_at, reason)


async def test_an_inserted_line_is_found(audit: AuditLog, db: Database) -> None:
    await tell(audit)
    await spoil(db, "UPDATE audit_lines SET number = 6 WHERE number = 5")
    await spoil(
        db,
        "INSERT INTO audit_lines"
        " (number, at, kind, actor, subject, trace_id, session_id, data, before, sha256)"
        " SELECT 5, at, kind, 'Eve', subject, trace_id, session_id, data, before, sha256"
        " FROM audit_lines WHERE number = 4",
    )
    assert (await audit.verify()).broken_at == 5


@pytest.mark.parametrize("key", ["none", "another"])
async def test_lines_written_without_the_key_are_found(
    audit: AuditLog, db: Database, tmp_path: Path, key: str
) -> None:
    await tell(audit)
    await spoil(db, "DELETE FROM audit_lines WHERE number > 3")
    # By the very same code: who reaches only the database has no key.
    await tell(AuditLog(db, (NoKey if key == "none" else HeadFile)(tmp_path / "elsewhere")), 2)
    verdict = await audit.verify()
    assert (verdict.broken_at, verdict.code) == (4, "audit.line_changed")


async def test_a_whole_chain_with_plain_hashes_is_found(
    audit: AuditLog, db: Database, head: Path, tmp_path: Path
) -> None:
    await tell(audit)
    audit.close()
    await spoil(db, "DELETE FROM audit_lines")
    await tell(AuditLog(db, NoKey(tmp_path / "elsewhere")))
    assert (await audit.verify()).code == "audit.line_changed"
    await asyncio.to_thread(head.unlink)
    assert (await audit.verify()).code == "audit.line_changed"
    # A restart adopts it neither: the key was there before.
    again = AuditLog(db, HeadFile(head.parent))
    await again.start()
    assert (await again.verify()).code == "audit.line_changed"


async def test_a_missing_head_is_reported_until_somebody_accepts_the_end(
    audit: AuditLog, db: Database, head: Path
) -> None:
    await tell(audit)
    audit.close()
    await asyncio.to_thread(head.unlink)
    later = AuditLog(db, HeadFile(head.parent))
    await later.start()
    if not db.is_sqlite:
        # The key proves the lines; other machines have heads of their own.
        assert (await later.verify()).code == ""
        return
    await tell(later, 1)
    later.close()
    verdict = await later.verify()
    assert (verdict.broken_at, verdict.code) == (6, "audit.head_missing")
    await later.reset_head(AuditEntry("audit.end_accepted", "Ada"))
    assert (await later.verify()).code == ""


async def test_an_older_head_is_reported(audit: AuditLog, db: Database, head: Path) -> None:
    await tell(audit, 3)
    audit.close()
    older = await asyncio.to_thread(head.read_text)
    await tell(audit, 2)
    audit.close()
    await asyncio.to_thread(head.write_text, older)
    verdict = await AuditLog(db, HeadFile(head.parent)).verify()
    if db.is_sqlite:
        assert (verdict.broken_at, verdict.code) == (4, "audit.head_behind")
    else:
        # The lines after it are another machine's, and proved by the key.
        assert verdict.code == ""


async def test_after_a_crash_the_end_moves_on_with_a_line_that_says_so(
    audit: AuditLog, db: Database, head: Path
) -> None:
    await tell(audit, 3)
    audit.close()
    older = await asyncio.to_thread(head.read_text)
    await tell(audit, 2)
    audit.close()
    await asyncio.to_thread(head.write_text, older)
    again = AuditLog(db, HeadFile(head.parent))
    await again.start()
    assert (await again.verify()).code == ""
    last = (await again.newest(1))[0]
    expected = ("audit.head_behind", {"noted": 3, "found": 5}) if db.is_sqlite else ("tool.called", {"n": 1})
    assert (last.kind, last.data) == expected


@pytest.fixture
def server_db(db: Database) -> Database:
    """A database of several machines."""
    if db.is_sqlite:
        pytest.skip("one machine has the file; run with PostgreSQL: scripts/test --only policy:test_audit.py")
    return db


async def test_a_machine_that_is_added_begins_its_head_at_the_last_line(
    audit: AuditLog, server_db: Database, head: Path, tmp_path: Path
) -> None:
    await tell(audit, 2)
    added_folder = tmp_path / "added"
    await asyncio.to_thread(added_folder.mkdir)
    await asyncio.to_thread(shutil.copy2, head.with_name("audit.key"), added_folder)
    added = AuditLog(server_db, HeadFile(added_folder))
    await added.start()
    await tell(added, 1)
    assert (await audit.verify()).code == (await added.verify()).code == ""
    await spoil(server_db, "DELETE FROM audit_lines WHERE number > 2")
    assert (await audit.verify()).code == "audit.end_missing"


async def test_a_machine_with_a_key_of_its_own_adopts_no_head(
    audit: AuditLog, db: Database, tmp_path: Path
) -> None:
    await tell(audit, 2)
    stranger = AuditLog(db, HeadFile(tmp_path / "stranger"))
    await stranger.start()
    assert (await stranger.verify()).code == "audit.line_changed"
    assert (await audit.verify()).code == ""


async def test_two_machines_on_one_database_both_find_the_chain_whole(
    audit: AuditLog, server_db: Database, head: Path, tmp_path: Path
) -> None:
    await tell(audit, 2)
    other_folder = tmp_path / "other"
    await asyncio.to_thread(shutil.copytree, head.parent, other_folder)
    other = AuditLog(server_db, HeadFile(other_folder))
    await other.start()
    await tell(other, 3)
    assert (await audit.verify()).code == (await other.verify()).code == ""
    await tell(audit, 1)
    assert (await other.verify()).code == ""
    other.close()
    await spoil(server_db, "DELETE FROM audit_lines WHERE number > 4")
    assert (await audit.verify()).code == "audit.end_missing"


@pytest.mark.parametrize("change", ["number", "sha256", "hmac"])
async def test_a_forged_head_is_not_believed(audit: AuditLog, head: Path, change: str) -> None:
    await tell(audit)
    audit.close()
    content = json.loads(await asyncio.to_thread(head.read_text))
    content[change] = 4 if change == "number" else "0" * 64
    await asyncio.to_thread(head.write_text, json.dumps(content))
    assert (await audit.verify()).code == "audit.head_forged"
    content.pop("hmac")
    await asyncio.to_thread(head.write_text, json.dumps(content))
    assert (await audit.verify()).code == "audit.head_forged"


async def test_a_head_kept_elsewhere_shows_a_log_and_a_head_that_were_put_back_together(
    audit: AuditLog, db: Database, head: Path
) -> None:
    await tell(audit, 3)
    audit.close()
    older = await asyncio.to_thread(head.read_text)
    await tell(audit, 2)
    exported = await audit.head()
    assert exported is not None and exported.number == 5
    stored = Head(exported.number, exported.sha256)
    assert (await audit.verify(stored)).code == ""
    audit.close()
    await spoil(db, "DELETE FROM audit_lines WHERE number > 3")
    await asyncio.to_thread(head.write_text, older)
    rolled_back = AuditLog(db, HeadFile(head.parent))
    assert (await rolled_back.verify()).code == ""
    assert (await rolled_back.verify(stored)).code == "audit.end_missing"
    await tell(rolled_back, 2)
    assert (await rolled_back.verify(stored)).code == "audit.rewritten"


async def test_lines_and_a_head_without_a_key_prove_nothing(db: Database, tmp_path: Path) -> None:
    plain = AuditLog(db, NoKey(tmp_path / "elsewhere"))
    await tell(plain, 3)
    last = (await plain.newest(1))[0]
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "audit-head.json").write_text(json.dumps({"number": 3, "sha256": last.sha256}))
    keyed = AuditLog(db, HeadFile(folder))
    await keyed.start()
    await tell(keyed, 1)
    keyed.close()
    assert (await keyed.verify()).broken_at == 1


async def test_the_key_is_for_its_owner_only(audit: AuditLog, db: Database, head: Path) -> None:
    await tell(audit, 1)
    key = head.with_name("audit.key")
    assert key.stat().st_mode & 0o777 == 0o600
    key.write_text("short")
    with pytest.raises(Unavailable) as error:
        await AuditLog(db, HeadFile(head.parent)).verify()
    assert error.value.code == "audit.no_key"


async def test_the_next_line_does_not_hide_that_others_are_missing(
    audit: AuditLog, db: Database, snapshot: SentenceSnapshot
) -> None:
    await tell(audit)
    await spoil(db, "DELETE FROM audit_lines WHERE number > 3")
    await tell(audit, 1)
    assert (await audit.verify()).reason == snapshot("missing")
    await tell(audit, 4)
    verdict = await audit.verify()
    assert (verdict.broken_at, verdict.reason) == (5, snapshot("rewritten"))


async def test_a_damaged_head_file_is_told_and_not_believed(audit: AuditLog, head: Path) -> None:
    await tell(audit)
    audit.close()
    await asyncio.to_thread(head.write_text, "{")
    assert "cannot be read" in (await audit.verify()).reason


async def test_the_file_follows_the_chain_within_a_moment_and_at_the_close(
    audit: AuditLog, head: Path
) -> None:
    await tell(audit, 1)
    await tell(audit, 2)
    for _ in range(600):
        await asyncio.sleep(0.05)
        if '"number": 3' in await asyncio.to_thread(head.read_text):
            break
    assert '"number": 3' in await asyncio.to_thread(head.read_text)
    await tell(audit, 2)
    audit.close()
    assert '"number": 5' in await asyncio.to_thread(head.read_text)


async def test_a_line_lives_and_dies_with_its_transaction(audit: AuditLog, db: Database, head: Path) -> None:
    await tell(audit, 1)
    before = await asyncio.to_thread(head.read_text)
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as session:
            await audit.record(session, AuditEntry("tool.called", "Ada"))
            raise ZeroDivisionError
    assert await asyncio.to_thread(head.read_text) == before
    assert (await audit.verify()).lines == 1
    with pytest.raises(RuntimeError, match="inside"):
        async with db.session() as session:
            await audit.record(session, AuditEntry("tool.called", "Ada"))


async def test_secrets_and_novels_stay_out_of_it(audit: AuditLog) -> None:
    secret = "a1" * 32
    data = {
        "api_key": "hush",
        "note": f"Bearer {secret}",
        "script": "a" * 5000,
        "nested": [{"token": "hush"}],
    }
    await audit.record_now(AuditEntry("tool.called", "Ada\n\x00", "x", data=data))
    (line,) = await audit.read(0, 10)
    assert secret not in str(line.data) and "hush" not in str(line.data)
    assert "5000 characters" in line.data["script"]
    assert line.actor == "Ada\ufffd\ufffd"
    assert (await audit.verify()).broken_at is None


async def test_a_story_is_told_from_any_of_its_ids(audit: AuditLog) -> None:
    with trace() as one:
        await audit.record_now(AuditEntry("utterance.said", "Ada", "ses_1:1", session_id="ses_1"))
        await audit.record_now(AuditEntry("tool.called", "Ada", "make_render", session_id="ses_1"))
        await audit.record_now(AuditEntry("artefact.made", "farm", "rnd_1"))
    with trace(inherit=False):
        await audit.record_now(AuditEntry("utterance.said", "Bob", "ses_2:1", session_id="ses_2"))
    for expected in (one, "ses_1", "rnd_1", "make_render"):
        scenario = await audit.trail(expected)
        assert [line.kind for line in scenario.lines] == ["utterance.said", "tool.called", "artefact.made"]
    with pytest.raises(NotFound) as error:
        await audit.trail("rnd_9")
    assert error.value.code == "audit.record_not_found"


async def test_a_database_that_was_put_back_on_purpose_goes_on_with_a_line_that_says_so(
    audit: AuditLog, db: Database
) -> None:
    await tell(audit)
    await spoil(db, "DELETE FROM audit_lines WHERE number > 3")
    assert (await audit.verify()).broken_at == 4
    await audit.reset_head(AuditEntry("backup.restored", "cli", "backup.tar"))
    verdict = await audit.verify()
    assert (verdict.lines, verdict.broken_at) == (4, None)
