"""The files of personas are read again by a sentence, and what is wrong in one is told."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from conversing import Conversing, failure
from sentences import SentenceSnapshot

from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from app.composition import Services
from policy import Principal

EDITOR = Principal("key_eve", "Eve", "editor", "session")
VIEWER = Principal("key_vic", "Vic", "viewer", "session")
BROKEN = "id: nova\nname: [Nova\n"


@pytest.fixture
def file(services: Services) -> Path:
    assert services.settings.personas_dir is not None
    return services.settings.personas_dir / "nova.yaml"


def unchanged(file: Path, old: str, new: str) -> None:
    """Other words in a file that looks as before: as long, of the same time."""
    before = file.stat()
    content = file.read_text().replace(old, new)
    with file.open("r+") as same:
        same.write(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size


def broken(file: Path, name: str = "nova") -> None:
    file.write_text(BROKEN.replace("nova", name))


async def test_all_files_or_one_are_read_again(services: Services, snapshot: SentenceSnapshot) -> None:
    talk = Conversing(services, EDITOR)
    for sentence in ("Reload the personas", "Reload the persona Nova", "reload the file of NOVA"):
        assert await talk.told(sentence) == snapshot("one_file")


async def test_what_no_time_stamp_shows_is_read_all_the_same(services: Services, file: Path) -> None:
    library = services.studio.library
    assert library.get("nova").name == "Nova"
    unchanged(file, "name: Nova", "name: Mona")
    assert library.get("nova").name == "Nova"
    await Conversing(services, EDITOR).told("Reload the persona Nova")
    assert library.get("nova").name == "Mona"


async def test_a_broken_file_is_told_with_its_line_and_the_last_good_one_stays(
    services: Services, file: Path
) -> None:
    assert services.studio.library.get("nova").name == "Nova"
    broken(file)
    reply = await Conversing(services, EDITOR).told("Reload the personas")
    assert reply.startswith(
        "1 file read again; 1 is not in order:\n  nova.yaml is outdated: nova.yaml, line "
    )
    assert services.studio.library.get("nova").name == "Nova"


async def test_a_file_that_was_never_right_is_called_by_its_id(services: Services, file: Path) -> None:
    broken(file.with_name("milo.yaml"), "milo")
    assert "milo.yaml is broken" in await Conversing(services, EDITOR).told("Reload the persona milo")


async def test_whoever_may_not_change_personas_reloads_none(services: Services) -> None:
    refused = failure(await Conversing(services, VIEWER).say("Reload the personas"))
    assert refused.code == "policy.forbidden" and "persona:update" in refused.message


async def test_a_name_that_nobody_has_is_told(services: Services, snapshot: SentenceSnapshot) -> None:
    missing = failure(await Conversing(services, EDITOR).say("Reload the persona Milo"))
    assert (missing.code, missing.hint) == ("persona.not_found", snapshot("not_found"))


async def test_another_tenants_file_is_not_there(services: Services) -> None:
    services.studio.library.user_folder.mkdir(parents=True, exist_ok=True)
    (services.studio.library.user_folder / "ada.yaml").write_text(
        "id: ada\nname: Ada\nface: {kind: rig, character: nova}\n"
    )
    assert "1 file read" in await Conversing(services, EDITOR).told("Reload the persona Ada")
    other = Conversing(services, replace(EDITOR, tenant="acme"))
    assert failure(await other.say("Reload the persona Ada")).code == "persona.not_found"
    assert "1 file read again" in await other.told("Reload the personas")


async def test_a_dry_run_names_the_files_and_reads_none(
    services: Services, snapshot: SentenceSnapshot
) -> None:
    toolset = services.brain.toolset
    context = ToolContext(EDITOR, "ses_1", services.tool_services, dry_run=True)
    result = await toolset.run(context, prepare_call(toolset, "create_persona", {"action": "reload"}))
    assert result.sentence() == snapshot("dry_run")
