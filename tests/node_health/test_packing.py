"""Archives for machines stay while a run may need them, and no longer."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from packing import IN_USE_S, build_once, run, uv_program, write_archive

ROOT = Path(__file__).resolve().parents[2]
LONG_AGO = time.time() - IN_USE_S - 3600


def pack(cache: Path, digest: str, name: str = "control", *, only_look: bool = False) -> bool | str:
    def build(folder: Path) -> Path:
        (folder / "packed").mkdir()
        (folder / "packed" / "program").write_text(digest)
        return write_archive(folder / "packed", folder / "staging.tar")

    return build_once(cache, name, digest, build, only_look=only_look)["built"]


def age(cache: Path, digest: str, hours: int) -> None:
    os.utime(cache / f"control-{digest}.tar", (LONG_AGO, LONG_AGO - hours * 3600))


def archives(cache: Path, pattern: str = "control-*") -> list[str]:
    return sorted(file.stem.rpartition("-")[2] for file in cache.glob(pattern))


def test_the_three_that_were_asked_for_last_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        assert pack(tmp_path, f"d{number}")
    for number in range(5):
        age(tmp_path, f"d{number}", hours=number)
    pack(tmp_path, "w0", name="worker")
    assert not pack(tmp_path, "d4")  # it was the oldest, and is asked for again
    assert archives(tmp_path) == ["d0", "d1", "d4"]
    assert archives(tmp_path, "worker-*") == ["w0"]


def test_what_a_run_may_still_be_copying_is_kept(tmp_path: Path) -> None:
    for number in range(6):
        pack(tmp_path, f"d{number}")
    assert len(archives(tmp_path)) == 6


def test_a_dry_run_takes_nothing_away(tmp_path: Path) -> None:
    for number in range(5):
        pack(tmp_path, f"d{number}")
    for number in range(5):
        age(tmp_path, f"d{number}", hours=number)
    assert pack(tmp_path, "new", only_look=True)
    assert len(archives(tmp_path)) == 5


def test_a_program_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["uv-that-is-not-there", "build"])
    assert "uv-that-is-not-there is missing" in capsys.readouterr().err


def test_packs_of_one_program_are_forgotten_too(tmp_path: Path) -> None:
    """By scripts/pack_python."""
    found = sorted((Path.home() / ".cache/soundstage").glob("uv-*/bin/uv"), reverse=True)
    uv = next(iter(found), None) or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is missing: scripts/setup")
    project, packs = tmp_path / "tide", tmp_path / "cache" / "soundstage" / "packs"
    (project / "src" / "tide").mkdir(parents=True)
    (project / "src" / "tide" / "__init__.py").touch()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "tide"\nversion = "1"\nrequires-python = ">=3.11"\n'
    )
    subprocess.run([uv, "lock", "--quiet", "--offline", "--project", project], check=True)
    packs.mkdir(parents=True)
    for name in ("tide-0000000000000001", "tide-0000000000000002", "tide-0000000000000003", "tide-more-1"):
        (packs / f"{name}.tar.gz").touch()
        os.utime(packs / f"{name}.tar.gz", (LONG_AGO, LONG_AGO + int(name[-1])))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment["PATH"] = f"{Path(uv).parent}:{os.environ['PATH']}"
    command = [ROOT / "scripts/pack_python", project, "tide", "tide"]
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()
    assert sorted(file.name for file in packs.iterdir()) == sorted(
        [
            Path(output).name,
            "tide-0000000000000002.tar.gz",
            "tide-0000000000000003.tar.gz",
            "tide-more-1.tar.gz",
        ]
    )


def test_the_uv_that_setup_has_fetched_is_found_where_path_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert uv_program("uv") == "uv"
    for age, version in enumerate(("0.11.33", "0.9.1")):
        fetched = tmp_path / "soundstage" / f"uv-{version}" / "bin" / "uv"
        fetched.parent.mkdir(parents=True)
        fetched.touch(mode=0o755)
        os.utime(fetched, (1e9 - age, 1e9 - age))
    assert uv_program("uv") == str(tmp_path / "soundstage/uv-0.11.33/bin/uv")
    assert uv_program("/opt/uv") == "/opt/uv"
    monkeypatch.setenv("PATH", str(fetched.parent))
    assert uv_program("uv") == "uv"
