"""Keys that a start of the server makes: the first administrator's, and the local one.

The server process makes them before it serves (`send_keys`); `up` reads what was made from a pipe
(`app.cli.installation.serving`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from app.composition import open_services
from app.local_access import KEY_FILE, read_stored_key, write_private_file
from app.provisioning import build_process
from policy import Policy, Principal
from policy.keys.schemas import CreatedKey
from soundstage.errors import SoundstageError
from soundstage.settings import Settings


def send_keys(settings: Settings, descriptor: int) -> None:
    """Prepare keys and databases, and write to the supervisor's pipe what was made, or what failed: one line.

    After a failure only the supervisor, which reports it, ends this process.
    """
    try:
        made = asyncio.run(prepare_keys(settings))
    except SoundstageError as error:
        fields = {"code": error.code, "message": error.message, "hint": error.hint, "status": error.status}
        _write_line(descriptor, {"error": fields})
        sys.stdin.read()
        raise
    _write_line(descriptor, {"keys": [[event, one.id, one.key] for event, one in made]})


def _write_line(descriptor: int, found: object) -> None:
    os.write(descriptor, json.dumps(found).encode() + b"\n")
    os.close(descriptor)


async def prepare_keys(settings: Settings) -> Sequence[tuple[str, CreatedKey]]:
    """Bring the databases up to date and register the local key in each; return the keys of administrators
    that were made, as pairs of event name and key.

    Each process has keys of its own; the first one is good for both.
    """
    created: list[tuple[str, CreatedKey]] = []
    async with AsyncExitStack() as stack:
        studio = (await stack.enter_async_context(open_services(settings))).policy
        policies = [studio]
        first = await studio.first_admin_key()
        if first is not None:
            created.append(("admin_key", first))
        if settings.provisioning.enabled:
            process = build_process(settings)
            stack.push_async_callback(process.database.close)
            stack.callback(process.services.audit.close)
            await process.prepare()
            policies.append(process.policy)
            own = await _first_provisioning_key(process.policy, first)
            if own is not None:
                created.append(("provisioning_admin_key", own))
        await ensure_local_key(settings.state_dir, policies)
    return created


async def _first_provisioning_key(policy: Policy, created: CreatedKey | None) -> CreatedKey | None:
    """The key of the studio's first start, registered; or one of its own where the studio had keys before."""
    if created is None:
        return await policy.first_admin_key()
    async with policy.db.transaction() as session:
        if not await policy.keys.list(session, Principal.local_admin()):
            await policy.keys.register(session, created)
    return None


def _machine_of(state_dir: Path) -> str:
    """Returns a name for this machine: two state folders of one host may share a database, too."""
    return f"{socket.gethostname()} {hashlib.sha256(bytes(state_dir.resolve())).hexdigest()[:8]}"


async def ensure_local_key(state_dir: Path, policies: Sequence[Policy]) -> str:
    """Return the key in `local/key`, which is registered with every one of `policies`.

    A missing key, and one that was revoked or rotated in one of them, is replaced; the replaced one ends.
    Those of other machines on the same database stay.
    Raises Unavailable when the file cannot be written.
    """
    key = read_stored_key(state_dir)
    for policy in policies:
        async with policy.db.session() as session:
            if key is not None and not await policy.keys.accepts_local(session, key):
                key = None
    if key is None:
        key = secrets.token_hex(32)
        write_private_file(state_dir, KEY_FILE, key)
    machine = await asyncio.to_thread(_machine_of, state_dir)
    for policy in policies:
        async with policy.db.transaction() as session:
            await policy.keys.register_local(session, key, "" if policy.db.is_sqlite else machine)
    return key
