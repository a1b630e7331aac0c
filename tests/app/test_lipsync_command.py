"""`soundstage lipsync`: what is said at the prompt is in the spec that the worker gets."""

from __future__ import annotations

import asyncio
import json
import re
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from avatar.spec import LipsyncSpec, Requirements, VideoFace
from avatar.spec.consent_file import EXAMPLE

from app.cli.videos.lipsync import Fit
from app.composition import open_services
from farm.needs import Needs
from soundstage.settings import Settings

Cli = Callable[..., Any]
WHO = ("--person", "Ada Example", "--purpose", "Course videos.")
ALL = (
    "--engine latentsync --face-index 1 --start-ms 1200 --end-ms 5000 --fit loop --pauses drawn "
    "--gpus 2 --vram-mib 20000 --memory-mib 30000"
)
"""Each said another way than its default; those of `avatar lipsync` are spelled as there."""


@pytest.fixture
def files(home: Path) -> list[str]:
    (home / "in.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom clip")
    with wave.open(str(home / "speech.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    return [str(home / "in.mp4"), str(home / "speech.wav")]


def spec_of(settings: Settings, outcome: Any) -> LipsyncSpec:
    async def store_spec() -> Any:
        async with open_services(settings) as services:
            return (await services.studio.renders.detail(outcome.json["id"])).spec

    assert outcome.code == 0, outcome.err
    spec = asyncio.run(store_spec())
    assert isinstance(spec, LipsyncSpec)
    return spec


def consents_of(settings: Settings) -> list[Any]:
    async def list_all() -> Any:
        async with open_services(settings) as services:
            return await services.studio.consents.list()

    return list(asyncio.run(list_all()))


@pytest.mark.parametrize(("text", "pauses"), [((), "filmed"), (("--pauses", "drawn"), "drawn")])
def test_what_pauses_show_and_who_agreed_reach_the_spec(
    cli: Cli, files: list[str], text: tuple[str, ...], pauses: str, settings: Settings
) -> None:
    outcome = cli("lipsync", *files, *WHO, *text, "--transcript", "Hello.", "--no-wait", "--json")
    spec = spec_of(settings, outcome)
    assert (spec.face.pauses, spec.transcript) == (pauses, "Hello.")
    assert spec.face.consent is not None and spec.face.consent.person == "Ada Example"


def test_every_option_reaches_the_face_and_what_the_farm_is_asked_for(
    cli: Cli, files: list[str], settings: Settings
) -> None:
    spec = spec_of(settings, cli("lipsync", *files, *WHO, *ALL.split(), "--no-wait", "--json"))
    face = spec.face
    assert (face.engine, face.face_index, face.pauses) == ("latentsync", 1, "drawn")
    assert (face.start_ms, face.end_ms, face.fit) == (1200, 5000, "loop")
    assert spec.requirements == Requirements(gpus=2, vram_mib=20_000, memory_mib=30_000)
    needs = Needs.of(face, spec.requirements)
    assert (needs.engine, needs.gpus, needs.vram_mib, needs.memory_mib) == ("latentsync", 2, 20_000, 30_000)


def test_without_options_the_spec_is_the_plain_one(cli: Cli, files: list[str], settings: Settings) -> None:
    spec = spec_of(settings, cli("lipsync", *files, *WHO, "--no-wait", "--json"))
    plain = VideoFace(video=spec.face.video, consent=spec.face.consent)
    assert (spec.face, spec.requirements) == (plain, Requirements())
    assert get_args(Fit) == get_args(VideoFace.model_fields["fit"].annotation)


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (("--start-ms", "900", "--end-ms", "900"), "lipsync.empty_range"),
        (("--engine", "mesh"), "--engine"),
        (("--face-index", "-1"), "--face-index"),
        (("--gpus", "17"), "--gpus"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_recorded(
    cli: Cli, files: list[str], settings: Settings, text: tuple[str, ...], reported: str
) -> None:
    outcome = cli("lipsync", *files, *WHO, *text, "--no-wait")
    assert outcome.code != 0 and reported in outcome.err + outcome.out
    assert consents_of(settings) == []


def test_who_says_nobody_is_told_two_ways_that_both_work(
    cli: Cli, files: list[str], home: Path, settings: Settings
) -> None:
    outcome = cli("lipsync", *files, "--no-wait", "--json")
    error = json.loads(outcome.out or outcome.err)
    hint = str(error.get("hint") or error["error"]["hint"])
    assert outcome.code == 1 and "--person" in hint and "in.mp4.consent.json" in hint
    shown = re.search(r"\{.*\}", hint)
    assert shown is not None and consents_of(settings) == []
    (home / "in.mp4.consent.json").write_text(shown[0])
    by_file = spec_of(settings, cli("lipsync", *files, "--no-wait", "--json"))
    by_words = spec_of(settings, cli("lipsync", *files, *WHO, "--no-wait", "--json"))
    for spec in (by_file, by_words):
        assert spec.face.consent is not None and spec.face.consent.person == "Ada Example"


def test_the_same_consent_is_recorded_once_until_it_is_taken_back(
    cli: Cli, files: list[str], home: Path, settings: Settings
) -> None:
    (home / "in.mp4.consent.json").write_text(EXAMPLE)
    for text in ((), (), WHO, WHO):
        assert cli("lipsync", *files, *text, "--no-wait").code == 0
    of_file, of_words = sorted(consents_of(settings), key=lambda view: view.purpose, reverse=True)
    assert (of_file.purpose, of_words.purpose) == ("course videos", "Course videos.")

    async def revoke() -> None:
        async with open_services(settings) as services:
            for view in (of_file, of_words):
                await services.studio.consents.revoke(view.id)

    asyncio.run(revoke())
    refused = cli("lipsync", *files, "--no-wait")
    assert refused.code == 1 and "taken back" in refused.out + refused.err
    assert cli("lipsync", *files, *WHO, "--no-wait").code == 0, "said anew, after that"
    assert len(consents_of(settings)) == 3


@pytest.mark.parametrize("text", [WHO[:2], WHO[2:], ("--person", " ", "--purpose", "x")])
def test_half_of_a_consent_is_none(
    cli: Cli, files: list[str], settings: Settings, text: tuple[str, ...]
) -> None:
    outcome = cli("lipsync", *files, *text, "--no-wait")
    assert outcome.code == 1 and "--purpose" in outcome.out + outcome.err
    assert consents_of(settings) == []


def test_a_file_that_holds_no_record_is_said(cli: Cli, files: list[str], home: Path) -> None:
    record = home / "in.mp4.consent.json"
    for broken in ("{}", "no", EXAMPLE.replace("2026-01-31", "last week")):
        record.write_text(broken)
        outcome = cli("lipsync", *files, "--no-wait")
        assert outcome.code == 1 and record.name in outcome.out + outcome.err
        assert "granted_at" in outcome.out + outcome.err


def test_the_help_says_which_of_render_and_lipsync_is_for_what(cli: Cli) -> None:
    for name, other in (("render", "lipsync"), ("lipsync", "render")):
        assert f"there is `soundstage {other}`" in " ".join(cli(name, "--help").out.split())
    lines = {line.split()[0]: line for line in cli("--help").out.splitlines() if line.strip()}
    assert "text" in lines["render"] and "sound file" in " ".join(cli("--help").out.split())
