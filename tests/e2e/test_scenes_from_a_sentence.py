"""A sentence with a text becomes one video of several scenes; a changed scene alone is made again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

TEXT = "The tide comes in. It goes out."


def told(ran: Any) -> list[dict[str, Any]]:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def made(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event["result"] for event in events if event["type"] == "tool_result")


def test_two_scenes_become_one_video_and_a_changed_one_alone_is_made_again(
    home: Any, probe: Callable[[Path], dict[str, Any]]
) -> None:
    sentence = f"Make a 360p two-scene video about tides with Nova from this text: {TEXT}"
    first = made(told(home.run("ask", sentence, "--json")))
    [video] = home.files(".mp4")
    assert 2 < float(probe(video)["format"]["duration"]) < 20
    [captions] = home.files(".vtt")
    assert "The tide comes in." in captions.read_text()
    assert "It goes out." in captions.read_text()
    told(home.run("ask", "Change scene 2 of Tides to: It stays.", "--json"))
    second = made(told(home.run("ask", "Render the project Tides", "--json")))
    assert second["project_id"] == first["project_id"]
    with closing(sqlite3.connect(home.path / "state" / "soundstage.db")) as database:
        query = "SELECT reused FROM render_segments WHERE render_id = ? ORDER BY position"
        assert database.execute(query, (second["render_id"],)).fetchall() == [(1,), (0,)]
