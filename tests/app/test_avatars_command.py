"""`soundstage personas create` takes a VRM avatar: its licence is shown, and confirmed where it asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vrm_files import vrm_file

Cli = Callable[..., Any]


def test_an_avatar_is_made_with_its_licence_and_listed_as_talk_only(cli: Cli, home: Path) -> None:
    (home / "mika.vrm").write_bytes(vrm_file())
    ran = cli("personas", "create", "Mika", "mika.vrm")
    assert ran.code == 0, ran.err
    assert "“Test avatar” by A test" in ran.out and "https://vrm.dev/licenses/1.0/" in ran.out
    assert "talk only" in cli("personas", "list").out
    speakers, _, talkers = cli("ask", "who can speak").out.partition("In conversations, and not in videos:")
    assert "Nova" in speakers and "Mika" not in speakers and "Mika" in talkers
    video = cli("ask", "Have Mika say: Hello.")
    assert video.code != 0 and "persona.talk_only" in video.err + video.out


def test_a_restricted_avatar_is_confirmed_and_a_broken_one_leaves_no_file(cli: Cli, home: Path) -> None:
    (home / "mika.vrm").write_bytes(vrm_file("0.x", allowedUserName="OnlyAuthor"))
    refused = cli("personas", "create", "Mika", "mika.vrm")
    assert refused.code != 0 and "vrm.licence_unconfirmed" in refused.err
    assert "--licence-confirmed" in refused.err
    assert cli("personas", "create", "Mika", "mika.vrm", "--licence-confirmed", "--json").code == 0
    (home / "half.vrm").write_bytes(vrm_file()[:-400])
    broken = cli("personas", "create", "Half", "half.vrm")
    assert broken.code != 0 and "vrm.bad_chunks" in broken.err
    with sqlite3.connect(next(home.glob("state/*.db"))) as database:
        assert database.execute("select name from assets").fetchall() == [("mika.vrm",)]
    photo = home / "ada.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(4096))
    assert "consent.required" in cli("personas", "create", "Ada", "ada.jpg").err
