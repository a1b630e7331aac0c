"""Words beside a line of the audit log can be forgotten, and are not taken away or changed unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from policy.audit import AuditEntry, AuditLog
from policy.audit.head import HeadFile
from policy.audit.models import AuditLine
from soundstage.database import Database

pytestmark = pytest.mark.each_database

FORGETTER = AuditEntry("", "key_ada", "memory")


@pytest.fixture
def audit(db: Database, tmp_path: Path) -> AuditLog:
    return AuditLog(db, HeadFile(tmp_path / "state"))


async def say(audit: AuditLog, *sentences: str) -> None:
    for number, sentence in enumerate(sentences, start=1):
        await audit.record_now(
            AuditEntry("utterance.said", "Ada", f"ses_1:{number}", redactable={"text": sentence})
        )


async def spoil(db: Database, statement: str) -> None:
    async with db.transaction() as session:
        await session.execute(text(statement))


async def line(db: Database, number: int) -> AuditLine:
    async with db.session() as session:
        found = await session.get(AuditLine, number)
    assert found is not None
    return found


async def test_forgotten_words_are_gone_and_the_chain_is_whole(audit: AuditLog, db: Database) -> None:
    await say(audit, "remember that I like tea", "what is the time?")
    async with db.transaction() as session:
        assert await audit.redact(session, "utterance.said", ["ses_1:1", "ses_1:9"], FORGETTER) == 1
    assert (await audit.verify()).broken_at is None
    first, second, sentence = await audit.read(0, 10)
    assert first.data == {"text": "(forgotten)"} and second.data == {"text": "what is the time?"}
    assert (sentence.kind, sentence.data) == ("words.forgotten", {"lines": [1]})
    assert "tea" not in str(vars(await line(db, 1)))


async def test_the_chain_holds_no_words_and_nothing_to_try_a_guess_by(audit: AuditLog, db: Database) -> None:
    await say(audit, "yes", "yes")
    first, second = await line(db, 1), await line(db, 2)
    assert "yes" not in json.dumps(first.data) and first.data != second.data


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        (
            "UPDATE audit_lines SET words = NULL WHERE number = 2",
            2,
            "its text was removed without a record of it",
        ),
        (
            """UPDATE audit_lines SET words = '{"text": {"salt": "", "text": "no"}}' WHERE number = 2""",
            2,
            "the redactable text of the line was changed",
        ),
        (
            """UPDATE audit_lines SET words = '{"text": 1}' WHERE number = 3""",
            3,
            "the redactable text of the line",
        ),
        ("""UPDATE audit_lines SET words = '{}' WHERE number = 1""", 1, "the redactable text of the line"),
    ],
)
async def test_words_are_not_taken_or_changed_unseen(
    audit: AuditLog, db: Database, statement: str, broken_at: int, reason: str
) -> None:
    await say(audit, "one", "two", "three")
    assert (await audit.verify()).broken_at is None
    await spoil(db, statement)
    verdict = await audit.verify()
    assert verdict.broken_at == broken_at and reason in verdict.reason
    # Who looks for what happened can still read.
    sentence = await audit.read(0, 10)
    assert [one.number for one in sentence] == [1, 2, 3]


async def test_words_that_are_secrets_or_novels_are_cut_as_all_others(audit: AuditLog) -> None:
    secret = "a1" * 32
    await say(audit, f"use Bearer {secret}", "a" * 5000)
    first, second = await audit.read(0, 10)
    assert secret not in first.data["text"] and "5000 characters" in second.data["text"]
    assert (await audit.verify()).broken_at is None


async def test_lines_from_before_words_stood_beside_them_stay_as_they_are(audit: AuditLog) -> None:
    await audit.record_now(AuditEntry("utterance.said", "Ada", "ses_1:1", data={"text": "remember the tea"}))
    [old] = await audit.read(0, 10)
    assert old.data == {"text": "remember the tea"}
    assert (await audit.verify()).broken_at is None
