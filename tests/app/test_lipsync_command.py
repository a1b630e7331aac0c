"""`soundstage lipsync`: what is said at the prompt is in the spec that the worker gets."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import LipsyncSpec

from app.composition import opened
from soundstage.settings import Settings

Cli = Callable[..., Any]


@pytest.fixture
def files(home: Path) -> list[str]:
    (home / "in.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom clip")
    with wave.open(str(home / "speech.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    return [str(home / "in.mp4"), str(home / "speech.wav")]


@pytest.mark.parametrize(("said", "pauses"), [((), "filmed"), (("--pauses", "drawn"), "drawn")])
def test_what_pauses_show_and_who_agreed_reach_the_spec(
    cli: Cli, files: list[str], said: tuple[str, ...], pauses: str, settings: Settings
) -> None:
    who = ("--person", "Ada Example", "--purpose", "Course videos.")
    asked = cli("lipsync", *files, *who, *said, "--transcript", "Hello.", "--no-wait", "--json")
    assert asked.code == 0, asked.err

    async def stored() -> Any:
        async with opened(settings) as services:
            return (await services.studio.renders.detail(asked.json["id"])).spec

    spec = asyncio.run(stored())
    assert isinstance(spec, LipsyncSpec)
    assert (spec.face.pauses, spec.transcript) == (pauses, "Hello.")
    assert spec.face.consent is not None and spec.face.consent.person == "Ada Example"
