"""`soundstage render hello.json`: who agreed to a spec's faces is said at the prompt, or beside the file."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import RenderSpec
from PIL import Image

from app.composition import open_services
from soundstage.settings import Settings

Cli = Callable[..., Any]
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "gpu-faces.md"


@pytest.fixture
def guide(home: Path) -> list[str]:
    """The spec of the guide and a photo in the operator's folder; the guide's command, word by word."""
    text = GUIDE.read_text()
    spec, command = (
        re.search(r"```json\n(.*?)```", text, re.S),
        re.search(r"^\$ soundstage (render .*)$", text, re.M),
    )
    assert spec is not None and command is not None
    (home / "hello.json").write_text(spec[1])
    Image.new("RGB", (64, 64), (200, 160, 140)).save(home / "ada.png")
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command[1])]


def face_and_consents(settings: Settings, answer: Any) -> tuple[Any, list[Any]]:
    """The face in the spec of the render, and all consents on record."""

    async def read_studio() -> Any:
        async with open_services(settings) as services:
            detail = await services.studio.renders.detail(answer.json["id"])
            return detail.spec.scenes[0].face, await services.studio.consents.list()

    assert answer.code == 0, answer.err
    return asyncio.run(read_studio())


def test_the_guides_command_makes_its_spec_with_a_consent_on_record(
    cli: Cli, guide: list[str], settings: Settings
) -> None:
    for _ in range(2):
        face, (record,) = face_and_consents(settings, cli(*guide, "--no-wait", "--json"))
    assert face.engine == "liveportrait+latentsync"
    assert (face.consent.id, face.consent.person) == (record.id, record.person)
    assert record.purpose in guide


def test_who_says_nobody_is_told_what_works(
    cli: Cli, guide: list[str], home: Path, settings: Settings
) -> None:
    answer = cli("render", "hello.json", "--no-wait")
    reported = re.sub(r"\s+", " ", answer.out + answer.err)
    assert answer.code == 1 and "--person" in reported and "ada.png.consent.json" in reported
    shown = re.search(r"\{.*?\}", reported)
    assert shown is not None
    (home / "ada.png.consent.json").write_text(shown[0])
    face, records = face_and_consents(settings, cli("render", "hello.json", "--no-wait", "--json"))
    assert face.consent.person == json.loads(shown[0])["person"] and len(records) == 1


def test_a_consent_that_is_not_on_record_is_not_replaced_by_another(
    cli: Cli, guide: list[str], home: Path
) -> None:
    spec = json.loads((home / "hello.json").read_text())
    agreed = {"id": "cns_0", "person": "Eve", "granted_at": "2026-01-31", "purpose": "courses"}
    spec["scenes"][0]["face"]["consent"] = agreed
    (home / "hello.json").write_text(json.dumps(spec))
    answer = cli(*guide, "--no-wait")
    reported = re.sub(r"\s+", " ", answer.out + answer.err)
    assert answer.code == 1 and "not on record" in reported and "leave `consent` out" in reported


def test_nothing_is_recorded_for_a_photo_that_is_not_there(
    cli: Cli, guide: list[str], home: Path, settings: Settings
) -> None:
    (home / "ada.png").unlink()
    answer = cli(*guide, "--no-wait")
    assert answer.code == 1 and "ada.png" in answer.out + answer.err

    async def list_consents() -> Any:
        async with open_services(settings) as services:
            return await services.studio.consents.list()

    assert asyncio.run(list_consents()) == []


def test_one_person_does_not_agree_for_two(cli: Cli, guide: list[str], home: Path) -> None:
    spec = json.loads((home / "hello.json").read_text())
    other = json.loads(json.dumps(spec["scenes"][0]))
    other["id"], other["face"]["image"]["path"] = "other", "eve.png"
    spec["scenes"].append(other)
    (home / "hello.json").write_text(json.dumps(spec))
    Image.new("RGB", (64, 64), (90, 160, 140)).save(home / "eve.png")
    answer = cli(*guide, "--no-wait", "--json")
    assert answer.code == 1 and "consent.several_faces" in answer.out + answer.err
    other["face"]["image"]["path"] = "ada.png"
    (home / "hello.json").write_text(json.dumps(spec))
    assert cli(*guide, "--no-wait", "--json").code == 0


def test_without_a_spec_nobody_can_agree(cli: Cli, guide: list[str]) -> None:
    answer = cli("render", "--script", "Hello.", *guide[2:], "--no-wait")
    assert answer.code == 1 and "personas and projects" in re.sub(r"\s+", " ", answer.out + answer.err)


def test_the_guides_spec_is_whole(guide: list[str], home: Path) -> None:
    spec = RenderSpec.model_validate_json((home / "hello.json").read_bytes())
    assert spec.scenes[0].face.kind == "photo"
