"""`soundstage image`: what it refuses before anything is made; the making itself is tried in tests/pxe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.main import run_cli


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    assert run_cli(["image", "build", *arguments, "--json"]) == 1
    text = capsys.readouterr()
    found: dict[str, str] = json.loads(text.err or text.out)
    return found


def test_an_unknown_kernel_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    found = refusal(capsys, "--kernel", "tiny")
    assert found["code"] == "image.no_such_kernel"
    assert "cloud" in found["hint"]


def test_packages_come_from_roles_or_from_the_command_and_not_from_both(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = refusal(capsys, "--package", "docker.io", "--roles", str(tmp_path))
    assert found["code"] == "image.packages_by_roles"
    assert "common__packages" in found["hint"]
