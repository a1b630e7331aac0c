"""The tutorials of the docs, followed word by word beside a server of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_studio import running_studio
from tutorials import Command, follow, tutorial

HERE = "tests/app/test_tutorials.py"
WRITTEN_URL, WRITTEN_SAFE_PLACE = "http://127.0.0.1:8000", "/tmp/elsewhere"


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    """The empty folder of a reader, with a safe place beside it."""
    (tmp_path / "elsewhere").mkdir()
    empty = tmp_path / "studio"
    empty.mkdir()
    return empty


def follow_beside_server(commands: list[Command], folder: Path) -> list[str]:
    with running_studio(folder) as studio:
        replaced = {WRITTEN_URL: studio.url, WRITTEN_SAFE_PLACE: str(folder.parent / "elsewhere")}
        return follow(commands, folder, replaced)


@pytest.mark.parametrize(("text", "shown"), [("false", []), ("echo one", ["two"]), ("exit 0", [])])
def test_a_step_that_fails_or_prints_something_else_is_named(
    text: str, shown: list[str], tmp_path: Path
) -> None:
    (wrong,) = follow([Command(text, shown)], tmp_path)
    assert text in wrong


@pytest.mark.timeout(600)
def test_the_tutorial_of_the_api(folder: Path) -> None:
    commands = tutorial("docs/guide/api.md", f"{HERE}::test_the_tutorial_of_the_api")
    assert len(commands) > 8
    assert follow_beside_server(commands, folder) == []
    assert (folder / "greeting.mp4").stat().st_size > 10_000


@pytest.mark.timeout(600)
def test_the_tutorial_of_an_operator(folder: Path) -> None:
    commands = tutorial("docs/guide/operating.md", f"{HERE}::test_the_tutorial_of_an_operator")
    assert len(commands) > 10
    assert follow_beside_server(commands, folder) == []
    assert (folder / "rehearsal/state/soundstage.db").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_of_the_first_video(folder: Path) -> None:
    commands = tutorial("docs/guide/first-video.md", f"{HERE}::test_the_tutorial_of_the_first_video")
    assert len(commands) == 5
    assert follow(commands, folder) == []
    assert len(list(folder.rglob("*.mp4"))) >= 4
