"""The local key and `server.json`: how programs of the same user reach a running server."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.local_access import key_path, read_local_access, write_local_access
from app.provisioning import build_process
from app.server.first_start import prepare_keys
from policy import Policy, Principal
from soundstage.errors import Unavailable
from soundstage.settings import Settings

from app.composition import open_services  # isort: skip


@asynccontextmanager
async def policies(settings: Settings) -> AsyncIterator[list[Policy]]:
    """Those of the studio and of the provisioning process."""
    process = build_process(settings)
    async with open_services(settings) as services:
        try:
            yield [services.policy, process.policy]
        finally:
            await process.database.close()


async def principals(settings: Settings, key: str) -> list[Principal | None]:
    found = []
    async with policies(settings) as both:
        for policy in both:
            async with policy.db.session() as session:
                found.append(await policy.keys.identify(session, key))
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_start_makes_one_key_that_is_good_for_both_processes(settings: Settings) -> None:
    await prepare_keys(settings)
    path = key_path(settings.state_dir)
    key = path.read_text()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    for principal in await principals(settings, key):
        assert principal is not None
        assert (principal.role, principal.name, principal.is_local) == ("admin", "this machine", True)
        assert principal.id == Principal.local_admin().id
    assert await prepare_keys(settings) == []
    assert path.read_text() == key


@pytest.mark.parametrize("process", [0, 1])
@pytest.mark.parametrize("verb", ["revoke", "rotate"])
async def test_a_local_key_that_has_ended_in_one_process_is_replaced_in_both(
    settings: Settings, process: int, verb: str
) -> None:
    await prepare_keys(settings)
    path = key_path(settings.state_dir)
    old = path.read_text()
    by = Principal.local_admin()
    async with policies(settings) as both:
        policy = both[process]
        async with policy.db.transaction() as session:
            found = await policy.keys.identify(session, old)
            assert found is not None
            await getattr(policy.keys, verb)(session, found.key_id, by)
    await prepare_keys(settings)
    assert path.read_text() != old
    assert await principals(settings, old) == [None, None]
    assert None not in await principals(settings, path.read_text())


async def test_a_key_file_that_was_open_to_others_is_replaced(settings: Settings) -> None:
    await prepare_keys(settings)
    path = key_path(settings.state_dir)
    old = path.read_text()
    path.chmod(0o644)
    await prepare_keys(settings)
    assert mode(path) == 0o600
    assert await principals(settings, old) == [None, None]


async def test_a_key_of_somebody_in_the_file_does_not_become_the_local_one(settings: Settings) -> None:
    first = dict(await prepare_keys(settings))["admin_key"]
    path = key_path(settings.state_dir)
    path.write_text(first.key)
    await prepare_keys(settings)
    assert path.read_text() != first.key
    assert [one is not None and one.is_local for one in await principals(settings, first.key)] == [False] * 2


def test_a_server_is_found_while_it_runs_and_not_after_its_end(settings: Settings) -> None:
    state = settings.state_dir
    assert read_local_access(state) is None
    with write_local_access(state, "http://127.0.0.1:1", None):
        assert read_local_access(state) is None, "there is no key"
        key_path(state).write_text("k")
        found = read_local_access(state)
        assert found is not None
        assert (found.url, found.provisioning_url, found.key) == ("http://127.0.0.1:1", None, "k")
        assert found.pid == os.getpid()
        assert mode(state / "local" / "server.json") == 0o600
    assert read_local_access(state) is None
    assert not (state / "local" / "server.json").exists()


def test_a_file_that_a_dead_server_has_left_is_ignored(settings: Settings) -> None:
    state = settings.state_dir
    with write_local_access(state, "http://127.0.0.1:1", None):
        key_path(state).write_text("k")
        left = (state / "local" / "server.json").read_text()
    (state / "local" / "server.json").write_text(left)
    assert read_local_access(state) is None


def test_the_end_of_one_server_leaves_the_file_of_the_next_one(settings: Settings) -> None:
    state = settings.state_dir
    first = write_local_access(state, "http://127.0.0.1:1", None)
    first.__enter__()
    with write_local_access(state, "http://127.0.0.1:2", None):
        key_path(state).write_text("k")
        first.__exit__(None, None, None)
        found = read_local_access(state)
        assert found is not None and found.url == "http://127.0.0.1:2"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": 1}', "\x00"])
def test_damaged_files_are_ignored(settings: Settings, content: str) -> None:
    with write_local_access(settings.state_dir, "http://127.0.0.1:1", None):
        (settings.state_dir / "local" / "server.json").write_text(content)
        assert read_local_access(settings.state_dir) is None


def test_a_state_folder_that_cannot_be_written_is_named(settings: Settings) -> None:
    settings.state_dir.write_text("")
    with pytest.raises(Unavailable) as error, write_local_access(settings.state_dir, "http://x", None):
        pass
    assert error.value.code == "server.cannot_write_access"
