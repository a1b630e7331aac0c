"""tools/build: which program is used for an engine. Programs on PATH are stand-ins; nothing is compiled."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "tools" / "build"
PINNED = {"nomad": "1.11.3", "consul": "1.19.2", "opa": "1.13.0", "versitygw": "1.8.0", "livekit": "1.8.4"}


def program(folder: Path, name: str, prints: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{prints}'\n")
    file.chmod(0o755)
    return file


def build(engine: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """With `folder` first on PATH, and in it a Go that writes a program without compiling."""
    program(folder, "go", "")
    (folder / "go").write_text(
        "#!/bin/sh\n"
        'if [ "$1" = env ]; then echo go1.26 linux amd64; exit; fi\n'
        'words="CGO_ENABLED=$CGO_ENABLED $*"\n'
        'while [ "$1" != -o ]; do shift; done\n'
        "[ -z \"$BROKEN\" ] || { echo 'no such package' >&2; exit 1; }\n"
        'printf \'#!/bin/sh\\n# %s\\n\' "$words" >"$2" && chmod +x "$2"\n'
    )
    return subprocess.run(
        [BUILD, engine],
        env={"PATH": f"{folder}:{os.defpath}", "SOUNDSTAGE_TOOLS": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("engine", "prints"),
    [
        ("nomad", "Nomad v1.11.3"),
        ("nomad", "Nomad v1.12.0+ent"),
        ("consul", "Consul v1.22.10"),
        ("opa", "Version: 1.13.1"),
        ("versitygw", "Version  : v1.10.0"),
        ("livekit", "livekit-server version 1.9.1"),
    ],
)
def test_an_engine_on_path_in_a_supported_version_is_used(tmp_path: Path, engine: str, prints: str) -> None:
    installed = program(tmp_path, engine, prints)
    assert build(engine, tmp_path).stdout == f"{engine}\t{installed}\n"


@pytest.mark.parametrize("prints", ["Nomad v1.11.2", "Nomad v1.9.10", "Nomad v2.0.5", "Version : git"])
def test_an_engine_on_path_in_another_version_is_passed_over(tmp_path: Path, prints: str) -> None:
    program(tmp_path, "nomad", prints)
    built = build("nomad", tmp_path)
    engine, path = built.stdout.rstrip("\n").split("\t")
    assert engine == "nomad" and path.startswith(f"{tmp_path}/cache/nomad-") and os.access(path, os.X_OK)


def test_path_is_passed_over_when_the_pinned_engines_are_asked_for(tmp_path: Path) -> None:
    program(tmp_path, "nomad", "Nomad v1.11.3")
    assert "/cache/nomad-" in build("nomad", tmp_path, SOUNDSTAGE_TOOLS_PINNED="1").stdout


@pytest.mark.parametrize("engine", PINNED)
def test_a_second_call_builds_nothing(tmp_path: Path, engine: str) -> None:
    first = build(engine, tmp_path)
    assert f"Building {engine}" in first.stderr
    second = build(engine, tmp_path)
    assert (second.stdout, second.stderr) == (first.stdout, "")


def test_only_nomad_gets_c_and_is_linked_statically(tmp_path: Path) -> None:
    program(tmp_path, "gcc", "")
    made = {engine: Path(build(engine, tmp_path).stdout.split("\t")[1].strip()) for engine in PINNED}
    words = {engine: path.read_text() for engine, path in made.items()}
    assert "CGO_ENABLED=1" in words["nomad"] and "-static" in words["nomad"]
    assert all("CGO_ENABLED=0" in words[engine] for engine in PINNED if engine != "nomad")


def test_without_a_c_compiler_nomad_is_another_program_and_it_is_said_what_it_lacks(tmp_path: Path) -> None:
    program(tmp_path, "gcc", "")
    whole = build("nomad", tmp_path)
    (tmp_path / "gcc").write_text("#!/bin/sh\nexit 1\n")
    lesser = build("nomad", tmp_path)
    assert "exec" in lesser.stderr and "gcc" in lesser.stderr and "exec" not in whole.stderr
    assert lesser.stdout != whole.stdout
    assert "CGO_ENABLED=0" in Path(lesser.stdout.split("\t")[1].strip()).read_text()


def test_a_build_that_fails_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    failed = build("opa", tmp_path, BROKEN="1")
    assert failed.returncode != 0 and failed.stdout == ""
    assert "no such package" in failed.stderr and "opa could not be built" in failed.stderr
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_unknown_engine_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    for name in ("nomadd", "../tools", "nomad; ls"):
        told = build(name, tmp_path)
        assert told.returncode == 1
        assert "there are: consul livekit nomad opa versitygw" in told.stderr


@pytest.mark.parametrize(("engine", "version"), PINNED.items())
def test_the_engines_are_pinned_to_the_versions_that_are_documented(engine: str, version: str) -> None:
    modules = (BUILD.parent / engine / "go.mod").read_text()
    assert f" v{version}" in modules
    assert (BUILD.parent / engine / "go.sum").stat().st_size > 0


SLOW_GO = (
    "#!/bin/sh\n"
    'if [ "$1" = env ]; then echo go1.26 linux amd64; exit; fi\n'
    'while [ "$1" != -o ]; do shift; done\n'
    'echo started >>"$STARTED"\n'
    'read line <"$GATE"\n'
    'printf \'#!/bin/sh\\n\' >"$2" && chmod +x "$2"\n'
)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a build of opa whose compiler waits for a line in the pipe `gate`; each notes that it runs."""
    (tmp_path / "go").write_text(SLOW_GO)
    (tmp_path / "go").chmod(0o755)
    os.mkfifo(tmp_path / "gate")
    begun: list[subprocess.Popen[str]] = []
    environment = {
        "PATH": f"{tmp_path}:{os.defpath}",
        "SOUNDSTAGE_TOOLS": str(tmp_path / "cache"),
        "STARTED": str(tmp_path / "started"),
        "GATE": str(tmp_path / "gate"),
    }

    def started() -> subprocess.Popen[str]:
        begun.append(
            subprocess.Popen(
                [BUILD, "opa"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                start_new_session=True,
            )
        )  # fmt: skip
        return begun[-1]

    yield started
    for process in begun:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until_there(file: Path) -> None:
    until = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def open_gate(folder: Path) -> None:
    """Blocks until a compiler waits."""
    (folder / "gate").write_text("go on\n")


def test_two_builders_at_once_build_once(tmp_path: Path, begin: Callable[[], subprocess.Popen[str]]) -> None:
    first = begin()
    until_there(tmp_path / "started")
    second = begin()
    assert second.stderr is not None
    assert second.stderr.readline() == "Waiting for opa, which another process is building\n"
    open_gate(tmp_path)
    printed = {process.communicate(timeout=30)[0] for process in (first, second)}
    assert len(printed) == 1 and os.access(printed.pop().split("\t")[1].strip(), os.X_OK)
    assert (tmp_path / "started").read_text() == "started\n"
    assert [path.name[:4] for path in (tmp_path / "cache").iterdir()] == ["opa-"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_builder_that_is_stopped_leaves_nothing(
    tmp_path: Path, begin: Callable[[], subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = begin()
    until_there(tmp_path / "started")
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_builder_has_left_is_removed_by_the_next(
    tmp_path: Path, begin: Callable[[], subprocess.Popen[str]]
) -> None:
    process = begin()
    until_there(tmp_path / "started")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    cache = tmp_path / "cache"
    old = cache / ".nomad.a1B2c3"
    old.mkdir()
    os.utime(old, (0, 0))
    of_now = cache / ".nomad.d4E5f6"
    of_now.mkdir()
    assert [path.name for path in cache.glob(".opa*")] != []
    built = build("consul", tmp_path)
    assert built.returncode == 0, built.stderr
    assert [path.name for path in cache.glob(".*")] == [of_now.name]
