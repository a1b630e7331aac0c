"""The name of a packed worker says exactly what is in it; packing is tested with the role, in the lab."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import build_worker
import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "avatar"
    (folder / "src" / "avatar").mkdir(parents=True)
    for name in ("pyproject.toml", "uv.lock", "README.md", "src/avatar/__init__.py"):
        (folder / name).write_text(name)
    return folder


def digest(source: Path, *options: str) -> str:
    command = [sys.executable, "-I", build_worker.__file__, "--check", "--source", source]
    command += ["--cache", source.parent / "cache", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    output = json.loads(done.stdout)
    assert output["built"] is True
    assert not (source.parent / "cache").exists()  # a dry run packs nothing
    return str(output["digest"])


def test_the_same_source_has_the_same_name_also_with_what_python_leaves_behind(source: Path) -> None:
    before = digest(source)
    (source / "src" / "avatar" / "__pycache__").mkdir()
    (source / "src" / "avatar" / "__pycache__" / "x.pyc").write_text("x")
    assert digest(source) == before


@pytest.mark.parametrize("file", ["uv.lock", "src/avatar/__init__.py"])
def test_a_changed_line_or_lock_is_another_worker(source: Path, file: str) -> None:
    before = digest(source)
    (source / file).write_text("changed")
    assert digest(source) != before


def test_a_changed_presenter_behind_a_link_is_another_worker(source: Path) -> None:
    personas = source.parent / "personas"
    personas.mkdir()
    (source / "src" / "avatar" / "presenters").symlink_to(personas)
    before = digest(source)
    (personas / "nova.yaml").write_text("changed")
    assert digest(source) != before


@pytest.mark.parametrize(
    "options", [("--extra=gpu",), ("--python-version=3.14",), ("--platform=aarch64-manylinux_2_40",)]
)
def test_machines_of_another_kind_get_another_worker(source: Path, options: tuple[str, ...]) -> None:
    assert digest(source) != digest(source, *options)


def test_a_package_that_the_lock_does_not_name_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "good-1.0-py3-none-any.whl"
    wheel.write_bytes(b"good")
    build_worker._require_locked(tmp_path, f"--hash=sha256:{hashlib.sha256(b'good').hexdigest()}")
    with pytest.raises(SystemExit):
        build_worker._require_locked(tmp_path, "--hash=sha256:of something else")


def test_wheels_of_older_systems_run_on_newer_ones() -> None:
    platforms = build_worker._platforms("x86_64-manylinux_2_28")
    assert platforms[0] == "manylinux_2_28_x86_64"
    assert "manylinux_2_17_x86_64" in platforms
    assert platforms[-1] == "manylinux2014_x86_64"
