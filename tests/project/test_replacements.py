"""What the page "What was replaced" says is not here, is not here; what it says is here, is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from avatar.spec.persona import PhotoEngine, RigFace

from soundstage.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/replacements.md").read_text(encoding="utf-8")
IGNORED = {"node_modules", "site"}


def packages(lock: str) -> set[str]:
    data = tomllib.loads((ROOT / lock).read_text(encoding="utf-8"))
    return {package["name"] for package in data["package"]}


def files(pattern: str) -> list[Path]:
    """Those of ours: nothing that was installed."""
    roots = [ROOT, *(path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))]
    found = {path for root in roots for path in root.glob(pattern)}
    return sorted(path for path in found if not IGNORED & set(path.parts))


@pytest.mark.parametrize("name", ["langgraph", "redis", "python-consul", "insightface", "a2a-sdk"])
def test_what_was_replaced_is_not_installed(name: str) -> None:
    assert name not in packages("uv.lock") | packages("avatar/uv.lock")


def test_what_stands_in_is_installed() -> None:
    control, worker = packages("uv.lock"), packages("avatar/uv.lock")
    assert {"py-consul", "python-nomad", "regopy", "asyncpg", "mcp", "fastapi", "sqlalchemy"} <= control
    assert {"mediapipe", "torch", "diffusers"} <= worker


def test_there_is_no_compose_file_chart_or_crate() -> None:
    for pattern in ("*compose*.y*ml", "Chart.yaml", "Cargo.toml", "next.config.*"):
        assert files(pattern) == [], pattern


def test_the_page_is_react_built_by_vite_without_next() -> None:
    data = json.loads((ROOT / "ui/package.json").read_text(encoding="utf-8"))
    named = {**data["dependencies"], **data["devDependencies"]}
    assert {"react", "vite"} <= named.keys() and "next" not in named


def test_settings_that_lead_back_exist() -> None:
    settings = Settings()
    assert settings.policy.engine == "embedded" and settings.policy.opa_url is not None
    assert settings.services.tts_qwen is not None and settings.services.tts_openai is not None
    assert settings.http.cors_origins == () and settings.llm.local is not None
    assert RigFace().character == "nova" and "liveportrait+latentsync" in str(PhotoEngine)


def test_voice_sessions_need_an_extra_and_no_room_server() -> None:
    # The page says so; whoever changes it changes it.
    assert {"pipecat-ai", "pocketsphinx", "livekit-api", "aiortc"} <= packages("uv.lock")
    assert Settings().voice.transport == "websocket" and not Settings().voice.livekit.serve
    assert "LiveKit rooms and WebRTC are transports" in PAGE


def test_every_setting_and_route_that_the_page_names_is_known() -> None:
    reference = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:policy|services|http)\.\w+)", PAGE))
    assert named and {name for name in named if name not in reference} == set()
