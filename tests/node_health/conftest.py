"""Makes `soundstage-health` and the checks of the roles importable: they run on nodes, in no package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from postgresql_server import USER, PostgresqlServer

ROLES = Path(__file__).resolve().parents[2] / "ansible" / "roles"
for place in (
    ROLES / "health" / "files" / "health",
    ROLES / "health" / "files",
    ROLES / "gpu" / "files",
    ROLES / "backup" / "files" / "backup",
    ROLES / "models" / "files",
    ROLES / "worker" / "files",
    ROLES.parent / "plugins" / "module_utils",
    Path(__file__).parents[1] / "nomad_fixture",
    Path(__file__).parent,
):
    sys.path.insert(0, str(place))


@pytest.fixture
def make_database(
    postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Callable[[str], str]]:
    """`sql = make_database("farm")` creates a database; `sql(statement)` returns its rows as psql does.

    Programs that a test starts log in to the same server.
    """
    monkeypatch.setenv("PGHOST", str(postgresql.folder))
    monkeypatch.setenv("PGUSER", USER)

    def run(database: str, statement: str) -> str:
        command = ["psql", "--tuples-only", "--quiet", "--dbname", database, "--command", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def make(name: str) -> Callable[[str], str]:
        run("postgres", f"CREATE DATABASE {name}")
        return lambda statement: run(name, statement)

    return make
