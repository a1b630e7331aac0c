"""Follows the check-list "Add a REST field of a render" of CONTRIBUTING.md in a copy of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODELS, SCHEMAS = "studio/renders/models.py", "studio/renders/schemas.py"
CLIENT, CHANGELOG = "ui/openapi.json", "CHANGELOG.md"
TEST = "tests/studio/test_reference.py"
MAX_FILES = 6

TEST_OF_FIELD = '''
"""A render carries the reference of its request."""

from __future__ import annotations

from typing import Any


async def test_a_render_shows_the_reference_of_its_request(client: Any) -> None:
    request = {"script": "Hello", "reference": "order 7"}
    created = await client.post("/api/renders", json=request)
    assert created.json()["reference"] == "order 7"
    assert (await client.get(f"/api/renders/{created.json()['id']}")).json()["reference"] == "order 7"
'''


def run(copy: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy), "MYPYPATH": "avatar/src"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def insert(file: Path, begin: str, after: str, line: str) -> None:
    """Inserts a line after the first one that is `after`, below the line that starts with `begin`."""
    head, found, rest = file.read_text().partition(begin)
    assert found and f"{after}\n" in rest, (file, begin, after)
    file.write_text(head + found + rest.replace(f"{after}\n", f"{after}\n{line}\n", 1))


def list_changes(copy: Path) -> set[str]:
    output = run(copy, "git", "status", "--porcelain", "--untracked-files=all")
    return {line[3:] for line in output.splitlines()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A repository of its own with the files of this checkout as they are now, and its environments."""
    folder = tmp_path / "copy"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for environment in (".venv", "avatar/.venv", "farm/device_plugin/.venv"):
        if (ROOT / environment).exists():
            (folder / environment).symlink_to(ROOT / environment)
    person = ("-c", "user.name=newcomer", "-c", "user.email=newcomer@example.org")
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "git", "add", "--all")
    run(folder, "git", *person, "commit", "--quiet", "--message=before")
    return folder


def add_field(copy: Path) -> None:
    """Does what the check-list says."""
    column = "    reference: Mapped[str | None] = mapped_column(String(80), default=None)"
    ready_by = "    ready_by: Mapped[datetime | None] = mapped_column(default=None)"
    insert(copy / MODELS, "class Render(", ready_by, column)
    option = "    reference: str | None = Field(default=None, max_length=80)"
    priority = '    priority: int = Field(default=0, ge=-100, le=100, description="higher runs sooner")'
    insert(copy / SCHEMAS, "class StoredOptions(", priority, option)
    shown = "    reference: str | None = None"
    insert(copy / SCHEMAS, "class RenderView(", "    priority: int", shown)
    (copy / TEST).write_text(TEST_OF_FIELD.lstrip())
    insert(copy / CHANGELOG, "## Unreleased", "### Videos", "- A render carries a `reference` of the caller.")
    run(copy, sys.executable, "-m", "app.migrations.new", "reference of renders")
    run(copy, sys.executable, "scripts/ui_client.py")
    for word in ("check", "--fix"), ("format",):
        run(copy, sys.executable, "-m", "ruff", *word, "--quiet", "app/migrations", "studio/renders")


def test_a_rest_field_of_a_render_takes_six_files(copy: Path) -> None:
    add_field(copy)
    files = list_changes(copy)
    (migration,) = files - {MODELS, SCHEMAS, TEST, CLIENT, CHANGELOG}
    assert migration.startswith("app/migrations/versions/") and len(files) <= MAX_FILES
    assert f"{copy}/studio" in run(copy, sys.executable, "-c", "import studio; print(studio.__file__)")
    drift = "tests/app/test_migrations.py::test_models_and_migrations_do_not_drift_apart"
    run(copy, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST, drift)
    run(
        copy,
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--quiet",
        *(name for name in files if name.endswith(".py")),
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_rest_field_of_a_render_passes_quick(copy: Path) -> None:
    add_field(copy)
    run(copy, sys.executable, "scripts/quick.py")
