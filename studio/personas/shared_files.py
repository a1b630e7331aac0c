"""Keeps the folder of personas made by people equal to the table `persona_files`, on every machine.

The library reads files; this is its copy of the database. What is changed here, also by hand in the folder,
goes up; what other machines changed comes down; where both did, the database wins.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database
from soundstage.database.tenants import DEFAULT_TENANT, bypass_tenant_filter
from soundstage.telemetry import get_logger
from studio.personas.library import COMPILED_SUFFIX
from studio.personas.models import PersonaFile

SYNCED = "-synced.json"
"""Beside the folder: hashes of the files as they were when folder and database were equal."""
PATTERNS = ("*.yaml", "*.yml", f"*{COMPILED_SUFFIX}")
MAX_BYTES = 16 << 20
REMOVED = ""

Key = tuple[str, str]
"""Tenant and name of a file."""
Move = Literal["push", "remove", "pull", "delete"]

log = get_logger(__name__)


class SharedPersonaFiles:
    """`folder` is that of the first tenant; it holds the folders of the others."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._folder = folder
        self._lock = asyncio.Lock()
        self.on_push: Callable[[], None] = lambda: None
        """Called when something of this machine went up, before its transaction commits."""
        self.pulls = 0
        """How many files of other machines have come here, or gone."""
        self._synced: dict[Key, str] | None = None
        self._hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}

    async def refresh(self) -> bool:
        """Makes both equal; True when something of this machine went up. Otherwise it only reads."""
        async with self._db.session() as session:
            needs_push = await self._sync(session, write=False)
        if needs_push:
            async with self._db.transaction() as session:
                await self._sync(session, write=True)
        return needs_push

    @asynccontextmanager
    async def changing(self, session: AsyncSession) -> AsyncIterator[None]:
        """In a transaction, which other machines wait for: what they have changed is here before, and what
        is changed here is in the database after.
        """
        await self._sync(session, write=True)
        yield
        if await self._sync(session, write=True):
            self.on_push()

    async def _sync(self, session: AsyncSession, *, write: bool) -> bool:
        """Returns whether rows have to be written, or were."""
        async with self._lock:
            with bypass_tenant_filter():
                rows = await session.execute(select(PersonaFile.tenant, PersonaFile.name, PersonaFile.sha256))
                stored = {(tenant, name): sha256 for tenant, name, sha256 in rows}
                local = await asyncio.to_thread(self._scan)
                synced = await asyncio.to_thread(self._read_synced)
                before, needs_push = dict(synced), False
                for key in sorted(local.keys() | stored.keys()):
                    move = _move(local.get(key), stored.get(key), synced.get(key))
                    if move in ("push", "remove"):
                        needs_push = True
                        if write:
                            await self._push(session, key, synced)
                    elif move is not None:
                        self.pulls += 1
                        await self._pull(session, key, local.get(key) != synced.get(key), synced)
                    elif key in local:
                        synced[key] = local[key]
                if synced != before:
                    await asyncio.to_thread(self._write_synced, synced)
                return needs_push

    async def _push(self, session: AsyncSession, key: Key, synced: dict[Key, str]) -> None:
        path = self._path(key)
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            content = b""
        sha256 = hashlib.sha256(content).hexdigest() if content else REMOVED
        await session.merge(PersonaFile(tenant=key[0], name=key[1], sha256=sha256, content=content))
        await session.flush()
        if content:
            synced[key] = sha256
        else:
            synced.pop(key, None)

    async def _pull(self, session: AsyncSession, key: Key, edited: bool, synced: dict[Key, str]) -> None:
        row = await session.get(PersonaFile, key, populate_existing=True)
        path = self._path(key)
        if row is None or row.sha256 == REMOVED:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            synced.pop(key, None)
            return
        if edited and await asyncio.to_thread(path.exists):
            log.warning("persona.replaced", file=path.name, reason="another machine has changed it too")
            await asyncio.to_thread(path.replace, path_of_replaced(path))
        await asyncio.to_thread(_write, path, row.content)
        synced[key] = row.sha256

    def _scan(self) -> dict[Key, str]:
        """Returns the hash of each file; reads those that have changed since the last time."""
        found: dict[Key, str] = {}
        hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}
        for pattern in PATTERNS:
            for path in (*self._folder.glob(pattern), *self._folder.glob(f"*/{pattern}")):
                if path.name[0] in ".#~":
                    continue
                try:
                    status = path.stat()
                    stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
                    if not 0 < status.st_size <= MAX_BYTES:
                        continue
                    known = self._hashes.get(path)
                    if known is None or known[0] != stamp:
                        known = (stamp, hashlib.sha256(path.read_bytes()).hexdigest())
                except FileNotFoundError:
                    continue
                hashes[path] = known
                tenant = DEFAULT_TENANT if path.parent == self._folder else path.parent.name
                found[tenant, path.name] = known[1]
        self._hashes = hashes
        return found

    def _path(self, key: Key) -> Path:
        tenant, name = key
        return (self._folder if tenant == DEFAULT_TENANT else self._folder / tenant) / name

    def _read_synced(self) -> dict[Key, str]:
        if self._synced is None:
            try:
                content = json.loads(self._synced_path.read_bytes())
                self._synced = {(tenant, name): sha256 for tenant, name, sha256 in content}
            except (OSError, ValueError, TypeError):
                self._synced = {}
        # A folder that is gone as a whole is lost; nobody has removed each of its personas.
        return dict(self._synced) if self._folder.is_dir() else {}

    @property
    def _synced_path(self) -> Path:
        return self._folder.with_name(f"{self._folder.name}{SYNCED}")

    def _write_synced(self, synced: dict[Key, str]) -> None:
        if synced:
            _write(
                self._synced_path,
                json.dumps([[*key, sha256] for key, sha256 in sorted(synced.items())]).encode(),
            )
        else:
            self._synced_path.unlink(missing_ok=True)
        self._synced = dict(synced)


def path_of_replaced(path: Path) -> Path:
    """Returns where a file goes that was changed on two machines at once."""
    return path.with_name(f"{path.name}.replaced")


def _move(local: str | None, stored: str | None, synced: str | None) -> Move | None:
    """Returns what makes a file equal to its row; `stored` is REMOVED for a row without content."""
    if local == (stored or None):
        return None
    if stored is None:
        return "push"
    if stored == REMOVED:
        return "delete" if local == synced else "push"
    if local is None:
        return "remove" if synced == stored else "pull"
    return "push" if synced == stored else "pull"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.part")
    half.write_bytes(content)
    half.replace(path)
