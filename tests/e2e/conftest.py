"""Fixtures of the walks from end to end: the installed program, the real worker, a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "provisioning_api"))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
from local_login import local_headers
from ready import told_until_ready

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("soundstage")
PATIENCE_S = 240


@dataclass(frozen=True)
class Home:
    """An installation of its own; its state, its videos."""

    path: Path

    @property
    def out(self) -> Path:
        return self.path / "out"

    @property
    def log(self) -> Path:
        """What commands that run beside the test have written to standard error."""
        return self.path / "log"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SOUNDSTAGE_PERSONAS_DIR": str(REPOSITORY / "personas"),
            "SOUNDSTAGE_HTTP__PORT": "0",
            "COLUMNS": "200",
        }

    @property
    def headers(self) -> dict[str, str]:
        """Those of the user of this machine, once a server has started."""
        return local_headers(self.path / "state")

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """A command that runs beside the test, in a process group of its own. Its log goes to a file: a pipe
        that nobody empties would stop it once it is full.
        """
        with self.log.open("a") as log:
            return subprocess.Popen(
                [PROGRAM, *arguments],
                cwd=self.path,
                env={**self.environment, **variables},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def files(self, suffix: str) -> list[Path]:
        return sorted(path for path in self.out.glob(f"*{suffix}") if not path.name.startswith("."))

    def partial(self) -> list[Path]:
        """What a render that was stopped must not leave: half files, work folders, staged blobs."""
        halves = list(self.path.rglob("*.part"))
        work = self.path / "state" / "work"
        return halves + [path for folder in work.glob("*") for path in folder.glob("*") if path.is_dir()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A walk waits for whole videos, several times: its patience is longer than the usual limit."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def installation() -> type[Home]:
    """For tests that share one among themselves."""
    return Home


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with a voice worker, for tests that have its libraries."""
    from voice_installation import installation_with_voice

    yield from installation_with_voice(Home(tmp_path_factory.mktemp("voice")))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, subprocess.CompletedProcess[str]]:
    """One sentence, made once for all tests that look at the result."""
    home = Home(tmp_path_factory.mktemp("walk"))
    ran = home.run("ask", "Make a video in 360p where Nova says: Hello there, world! This is a test.")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return home, ran


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    """A server as `soundstage up` starts it, and its URL."""
    home = Home(tmp_path_factory.mktemp("server"))
    process = home.start("up", "--json")
    yield home, told_until_ready(process, home.log)["url"]
    process.terminate()
    process.wait(120)


@pytest.fixture(scope="session")
def probe() -> Callable[[Path], dict[str, Any]]:
    """What ffprobe says of a file. Only for looking: the product has its own encoder."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("needs ffprobe: apt-get install ffmpeg, then make test")

    def look(path: Path) -> dict[str, Any]:
        arguments = ["-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
        found = subprocess.run([program, *arguments], capture_output=True, check=True, timeout=60)
        document: dict[str, Any] = json.loads(found.stdout)
        return document

    return look
