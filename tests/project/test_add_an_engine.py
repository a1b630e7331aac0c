"""Follows the check-lists of engines, characters and role variables in CONTRIBUTING.md, in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "avatar" / ".venv" / "bin" / "python"
CONTROL = ROOT / ".venv" / "bin" / "python"
CHARACTERS = "avatar/src/avatar/engines/rig/characters"
ENGINE = '''"""The facts that the engine of dots declares; read without its packages too."""

from __future__ import annotations

from avatar.engines.base import EngineInfo

INFO = EngineInfo("dots", "1", "Apache-2.0", inputs=("photo", "control track"))
'''
USES_ENGINE = """
from avatar.engines.registry import engine_info
from avatar.spec import MediaRef, PhotoFace
from avatar.spec.needs import needs_of

face = PhotoFace(image=MediaRef(path="a.png"), engine="dots")
print(engine_info(face.engine).licence, needs_of(face).memory_mib)
"""
LOADS = "from avatar.engines.rig import load_character; load_character('ada')"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the rooms that the three lists touch."""
    rooms = ["avatar/src", "personas", "scripts", "ansible/roles"]
    listed = subprocess.run(["git", "ls-files", *rooms], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def run(checkout: Path, python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "avatar" / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_face_engine_is_declared_in_four_places(checkout: Path) -> None:
    source = checkout / "avatar" / "src" / "avatar"
    (source / "engines" / "dots").mkdir()
    (source / "engines" / "dots" / "__init__.py").write_text('"""Draws dots."""\n')
    (source / "engines" / "dots" / "info.py").write_text(ENGINE)
    modules = "ENGINE_MODULES = {"
    replace(source / "engines/registry.py", modules, f'{modules}\n    "dots": "avatar.engines.dots.info",')
    names = 'PhotoEngine = Literal["auto", '
    replace(source / "spec/persona.py", names, f'{names}"dots", ')
    assert "KeyError" in run(checkout, WORKER, "-c", USES_ENGINE).stderr, "its needs are missing"

    needs = 'MappingProxyType(\n    {\n        "rig": '
    replace(
        source / "spec/needs.py", needs, needs.replace('"rig"', '"dots": EngineNeeds("dots"),\n        "rig"')
    )
    used = run(checkout, WORKER, "-c", USES_ENGINE)
    assert used.stdout.split() == ["Apache-2.0", "1024"], used.stderr


def test_a_drawn_character_is_one_file_and_its_name(checkout: Path) -> None:
    characters = checkout / CHARACTERS
    shutil.copy2(characters / "milo.py", characters / "ada.py")
    assert "There is no drawn character 'ada'." in run(checkout, WORKER, "-c", LOADS).stderr
    replace(characters / "__init__.py", 'NAMES = ("nova", ', 'NAMES = ("nova", "ada", ')
    drawn = run(checkout, WORKER, "-c", LOADS)
    assert drawn.returncode == 0, drawn.stderr


def test_a_role_variable_has_a_default_and_a_description(checkout: Path) -> None:
    role = checkout / "ansible" / "roles" / "common"
    with (role / "defaults" / "main.yml").open("a", encoding="utf-8") as defaults:
        defaults.write("common__motd: Hello\n")
    missing = run(checkout, CONTROL, "scripts/role_readmes.py", "--check")
    assert missing.returncode == 1
    assert "common: common__motd has a default and no description" in missing.stdout

    replace(
        role / "meta" / "argument_specs.yml",
        "    options:\n",
        "    options:\n      common__motd:\n        type: str\n        default: Hello\n"
        "        description: What a login shows.\n",
    )
    written = run(checkout, CONTROL, "scripts/role_readmes.py")
    assert written.returncode == 0, written.stdout
    assert '| `common__motd` | str | `"Hello"` | What a login shows. |' in (role / "README.md").read_text()
