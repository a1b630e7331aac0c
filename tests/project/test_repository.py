"""What a stranger finds first: the verbs, the licences inside the wheels, the two locks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_make_alone_lists_the_verbs() -> None:
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for verb in ("demo", "test", "check", "up", "pictures", "bench", "look"):
        assert f"make {verb}" in shown


@pytest.mark.parametrize("project", [".", "avatar"])
def test_a_wheel_carries_its_licences(project: str, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT / project,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/THIRD_PARTY.md") for name in names)


def test_the_control_wheel_carries_what_its_rooms_read(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    assert {"jobs/render.nomad.hcl", "policy/rego/data.json", "app/page/unbuilt.html"} <= names
    assert any(name.startswith("agent/grammar/") for name in names)
    assert {"agent/tools/renders/phrasings.de.yaml", "agent/understanding/several.en.yaml"} <= names
    assert not any("evaluation" in name for name in names)
    trained = "agent/understanding/trained.npz"
    assert (trained in names) == (ROOT / trained).exists()
    assert not any("device_plugin" in name for name in names)


def test_both_projects_say_the_same_about_third_parties() -> None:
    assert (ROOT / "THIRD_PARTY.md").read_text() == (ROOT / "avatar" / "THIRD_PARTY.md").read_text()
    assert (ROOT / "LICENSE").read_text() == (ROOT / "avatar" / "LICENSE").read_text()


def test_every_direct_dependency_is_named_in_third_party() -> None:
    named = (ROOT / "THIRD_PARTY.md").read_text().lower()
    missing = []
    for project in (ROOT / "pyproject.toml", ROOT / "avatar" / "pyproject.toml"):
        data = tomllib.loads(project.read_text())["project"]
        wanted = list(data["dependencies"])
        for extra in data.get("optional-dependencies", {}).values():
            wanted += extra
        for line in wanted:
            name = line.split(">")[0].split("=")[0].split("<")[0].split("[")[0].strip().lower()
            spelt = {"av": "pyav", "soundstage-avatar": "avatar"}.get(name, name)
            if spelt not in named:
                missing.append(name)
    assert missing == []


def test_the_worker_base_install_needs_pydantic_only() -> None:
    data = tomllib.loads((ROOT / "avatar" / "pyproject.toml").read_text())["project"]
    assert [line.split(">")[0] for line in data["dependencies"]] == ["pydantic"]


@pytest.mark.parametrize("script", ["scripts/setup", "scripts/test", "scripts/check", ".ci/run"])
def test_shell_scripts_parse(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_what_the_check_lists_name_is_there() -> None:
    lists = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|yml))`", lists)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    # Names of code that a list sends people to, and the file it says they are in.
    for name, path in (
        ("ENGINE_MODULES", "avatar/src/avatar/engines/registry.py"),
        ("NAMES", "avatar/src/avatar/engines/rig/characters/__init__.py"),
        ("Act", "agent/tools/record.py"),
        ("outgoing_client", "soundstage/http/__init__.py"),
        ("states_page", "scripts/docs_generate.py"),
    ):
        assert f"`{name}`" in lists and name in (ROOT / path).read_text(encoding="utf-8"), name


def test_the_readme_counts_the_tools_of_the_agent() -> None:
    from agent.tools import ALL_TOOLS

    assert f"works: {len(ALL_TOOLS)} tools," in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short_enough_to_be_read() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    begin = lines.index("| part | state | limit |")
    rows = lines[begin + 2 : lines.index("", begin)]
    cells = [re.sub(r"\]\([^)]*\)", "]", cell) for row in rows for cell in row.strip("|").split("|")]
    assert len(lines) < 120 and len(rows) <= 12
    assert [cell for cell in cells if len(cell.split()) > 12] == []


def test_a_bullet_of_the_changelog_is_read_at_a_glance() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    bullets = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    assert len(bullets) > 50
    assert [bullet for bullet in bullets if len(bullet.split()) > 25] == []
