"""What looks like a password, a key or a card number is stored only when the person asks for it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.memory.service import MemoryService, Owner, secret_shape
from app.tables import all_tables
from soundstage.database import Database
from soundstage.errors import Conflict

ADA = Owner("default", "key_ada")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("my card is 4111 1111 1111 1111", "a card number"),
        ("Visa 4111-1111-1111-1111 until 12/29", "a card number"),
        ("my password is hunter2", "a password"),
        ("the wifi password: Sommer2024!", "a password"),
        ("Das Passwort lautet Kiesel7", "a password"),
        ("I changed my password to Blue42", "a password"),
        ("PIN for the door is 4711", "a password"),
        ("the API token for staging is abc", "a password"),
        ("the key is sk-proj-abc123def456ghi789jkl", "a key"),
        ("use AKIAIOSFODNN7EXAMPLE for the bucket", "a key"),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "a key"),
        ("-----BEGIN OPENSSH PRIVATE KEY----- b3Bl", "a key"),
        ("the feed is https://ada:pw12@feeds.example/x", "a key"),
    ],
)
def test_secrets_are_recognised_by_their_shape(text: str, shape: str) -> None:
    assert secret_shape(text) == shape


@pytest.mark.parametrize(
    "text",
    [
        "our channel is called Deep Water",
        "the password is in the safe",
        "the password hint is on the wall",
        "my passphrase is not strong",
        "Bob has the key of the server room",
        "Ada's key is C major",
        "the pin on the map is red",
        "my phone number is 0171 2345678901",
        "order 4000000000000 came today",
        "the render rnd_01m80a39m4vwac7b35g078vthr was good",
        "the meeting is 2026-11-22T10:00:00",
        "the song is 1234567890123456 bars long",
    ],
)
def test_ordinary_facts_are_no_secrets(text: str) -> None:
    assert secret_shape(text) is None


async def test_a_secret_is_stored_only_when_it_is_asked_for_again(database_url: str, tmp_path: Path) -> None:
    all_tables()
    database = Database(database_url)
    await database.create_tables()
    memory = MemoryService(database, tmp_path)
    with pytest.raises(Conflict) as error:
        await memory.remember(ADA, "my password is hunter2")
    assert error.value.code == "memory.looks_secret"
    assert "hunter2" not in str(error.value)
    assert (await memory.recall(ADA)).memories == ()
    await memory.remember(ADA, "my password is hunter2", keep_secret=True)
    assert len((await memory.recall(ADA)).memories) == 1
    await database.close()
