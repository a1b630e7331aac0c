"""`soundstage voices`: the consent is on record before a sample goes anywhere, and ends with the voice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

WORKER = """#!{python}
import json, sys
from pathlib import Path
kept = Path({kept!r})
if kept.with_name("refuses").exists():
    print(json.dumps({{"code": "speech.upstream_unreachable", "message": "No.", "hint": "Start it."}}))
    sys.exit(1)
words = sys.argv[1:]
if words[1] == "add":
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    consent = json.loads(Path(options["consent"]).read_text())
    voice = {{"name": options["name"], "voice_id": "v1", "base_url": options["service"], "consent": consent}}
    kept.write_text(json.dumps([{{**voice, "said": options["said"], "sample": words[-1]}}]))
print(kept.read_text() if kept.exists() else "[]")
if words[1] == "remove":
    kept.unlink()
"""


@pytest.fixture
def kept(home: Path, tmp_path: Path) -> Path:
    """A worker that keeps one voice in this file, and reaches no service when `refuses` lies beside it."""
    place = tmp_path / "kept.json"
    worker = tmp_path / "worker"
    worker.write_text(WORKER.format(python=sys.executable, kept=str(place)))
    worker.chmod(0o755)
    (home / "config.toml").write_text(f'[worker]\ncommand = ["{worker}"]\n')
    (home / "ada.wav").write_bytes(b"RIFF")
    return place


ADD = ("voices", "add", "ada.wav", "--name", "ada", "--service", "http://127.0.0.1:1", "--said", "The tide.")
WHO = ("--person", "Ada", "--purpose", "Tutorials.", "--granted-at", "2026-11-02")


def consents(home: Path) -> list[tuple[str, str | None]]:
    import sqlite3

    with sqlite3.connect(next(home.glob("state/*.db"))) as database:
        return database.execute("select id, revoked_at from consents").fetchall()


def test_a_voice_has_a_consent_of_the_studio_which_ends_with_it(cli: Cli, kept: Path, home: Path) -> None:
    added = cli(*ADD, *WHO, "--json")
    assert added.code == 0, added.err
    (voice,) = added.json
    ((consent_id, revoked),) = consents(home)
    assert voice["consent"]["id"] == consent_id
    assert voice["consent"]["person"] == "Ada" and voice["consent"]["granted_at"].startswith("2026-11-02")
    assert voice["sample"] == str(home / "ada.wav") and voice["said"] == "The tide." and revoked is None
    assert "Ada" in cli("voices", "list").out
    assert cli("voices", "remove", "ada").code == 0
    assert consents(home)[0][1] is not None
    assert "There are no cloned voices." in cli("voices", "list").out


def test_when_the_service_does_not_take_it_the_consent_is_of_no_use(cli: Cli, kept: Path, home: Path) -> None:
    kept.with_name("refuses").touch()
    refused = cli(*ADD, *WHO)
    assert refused.code == 1 and "speech.upstream_unreachable" in refused.err and "Start it." in refused.err
    assert [revoked is not None for _, revoked in consents(home)] == [True]


def test_person_and_purpose_must_be_named(cli: Cli, kept: Path, home: Path) -> None:
    assert cli(*ADD).code == 2
    assert not kept.exists() and not list(home.glob("state/*.db"))
