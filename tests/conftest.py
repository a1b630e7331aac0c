"""Servers that the tests of several rooms share; each starts when the first test asks for it."""

from __future__ import annotations

import gc
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "servers"))
sys.path.insert(0, str(Path(__file__).parent / "support"))

# The first one: it compiles what is imported after it.
import function_calls  # isort: skip
import cached_results
import postgresql_server
import processes
import room_inputs
import s3_server
import sentences
import short_form

# Servers of tests start no voice worker; tests of voice say so.
os.environ.setdefault("SOUNDSTAGE_VOICE__ENABLED", "false")

ENGINES = ("sqlite", "postgresql")
# Their tests are about statements and tables. In other rooms the tests on PostgreSQL are marked slow.
REPOSITORY_ROOMS = ("soundstage", "policy", "studio", "provisioning_api", "app")
# Collecting garbage more often takes a fifth of the time of imports, and some of each test.
OBJECTS_BETWEEN_COLLECTIONS = 50_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database", choices=ENGINES, default="sqlite", help="what those tests run on that run on one"
    )
    sentences.add_options(parser)
    short_form.add_options(parser)
    cached_results.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 10, 10)
    config.addinivalue_line("markers", "each_database: runs on every engine that a database may have")
    config.pluginmanager.register(cached_results)
    config.pluginmanager.register(function_calls)
    config.pluginmanager.register(processes)
    config.pluginmanager.register(room_inputs)
    config.pluginmanager.register(sentences)
    config.pluginmanager.register(short_form)
    _log_plain_tracebacks()
    _share_tls_contexts()


def _share_tls_contexts() -> None:
    """Reads the authorities of httpx once: `httpx.get` makes a client, which read them anew in 20 ms."""
    if find_spec("httpx") is None:
        return
    import httpx._transports.default as transports

    create = transports.create_ssl_context
    shared = cache(lambda trust_env: create(trust_env=trust_env))

    def create_shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
        named = trust_env and {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys()
        if verify is not True or cert is not None or named:
            return create(verify, cert, trust_env)
        return shared(trust_env)

    transports.create_ssl_context = create_shared


def _log_plain_tracebacks() -> None:
    """Rich, which structlog takes where it is installed, draws for a second at each exception in a log."""
    if find_spec("structlog") is None:
        return
    import structlog

    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[*processors[:-1], renderer])


def pytest_runtest_setup() -> None:
    """Starts the metrics of this process from nothing: each test counts its own actions."""
    if (metrics := sys.modules.get("soundstage.telemetry.metrics")) is not None:
        metrics.reset()


def pytest_collection_finish() -> None:
    """Leaves modules and collected tests out of every later collection of garbage."""
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_engine" in metafunc.fixturenames and metafunc.definition.get_closest_marker("each_database"):
        room = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0]
        marks = () if room in REPOSITORY_ROOMS else (pytest.mark.slow,)
        metafunc.parametrize("database_engine", ["sqlite", pytest.param("postgresql", marks=marks)])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresql_server.PostgresqlServer]:
    """A PostgreSQL server."""
    programs = postgresql_server.find_programs()
    if programs is None:
        pytest.skip(postgresql_server.INSTALL)
    with postgresql_server.running_server(programs) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[s3_server.S3Server]:
    """An S3 server; `s3.bucket()` makes a bucket for one test."""
    program = s3_server.find_program()
    if program is None:
        pytest.skip(s3_server.INSTALL)
    with s3_server.running_s3_server(program) as server:
        yield server


@pytest.fixture
def database_engine(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`; modules that are marked `each_database` run on both."""
    chosen: str = request.config.getoption("--database")
    return chosen


@pytest.fixture
async def database_url(
    request: pytest.FixtureRequest, database_engine: str, tmp_path: Path
) -> AsyncIterator[str]:
    """An empty database of this test alone."""
    if database_engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'soundstage.db'}"
        return
    import asyncpg

    server: postgresql_server.PostgresqlServer = request.getfixturevalue("postgresql")
    name = f"test_{secrets.token_hex(8)}"
    boss = await asyncpg.connect(server.url("postgres"))
    try:
        await boss.execute(f"CREATE DATABASE {name}")
        yield server.url(name)
        await boss.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await boss.close()


@pytest.fixture(scope="session")
def create_tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Awaitable[None]]:
    """`await create_tables(database)`: creates the tables of `Base`, in SQLite by copying a template."""
    # Not every environment that runs tests has the control side.
    from table_templates import TableTemplates

    return TableTemplates(tmp_path_factory.mktemp("tables")).create_tables
