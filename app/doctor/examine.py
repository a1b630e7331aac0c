"""All checks of the doctor, in the order in which a new installation meets them; run by `soundstage doctor`
and, inside a server, for `GET /api/doctor`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.mcp_servers import McpServers
from agent.mcp_servers.definitions import clean_text
from app import composition
from app.doctor import machine
from app.doctor.elsewhere import examine_farm, examine_machines
from app.migrating import current_revision, newest_revision
from app.worker_command import worker_command
from farm.local.commands import MODELS_VARIABLE
from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.health import Check, Level, amber, green, red
from soundstage.http import own_listeners
from soundstage.programs import run_program
from soundstage.settings import SettingProblem, Settings, check_settings, load_settings
from studio.personas.schemas import PersonaEntry
from studio.wiring import persona_library

WORKER_LIMIT_S = 60.0
WORKER_FIX = "Run `make setup`, or set worker.command to the avatar program."


class Connection(Protocol):
    """A connection to the server that works on this state folder."""

    async def get(self, path: str) -> Any:
        """Return the content of the answer. Raises SoundstageError."""


class RunningStudio(Protocol):
    """Answers for the store of this state folder, which it has open. Both raise SoundstageError."""

    async def revision(self) -> str | None:
        """Returns the revision of its database."""

    async def personas(self) -> Sequence[PersonaEntry]:
        """Returns the personas that it knows."""


class _StudioOverHttp:
    def __init__(self, server: Connection) -> None:
        self._server = server

    async def revision(self) -> str | None:
        found: str | None = (await self._server.get("/api/database"))["revision"]
        return found

    async def personas(self) -> Sequence[PersonaEntry]:
        return _ENTRIES.validate_python(await self._server.get("/api/personas"))


class _Finding(BaseModel):
    """A line of `avatar doctor --json`: speech, fonts, encoders and engines are the worker's to judge."""

    name: str
    state: Literal["ok", "limited", "missing"]
    detail: str
    hint: str = ""

    def check(self) -> Check:
        level = {"ok": Level.GREEN, "limited": Level.AMBER, "missing": Level.RED}[self.state]
        return Check(name=f"worker {self.name}", level=level, found=self.detail, fix=self.hint)


_FINDINGS: TypeAdapter[list[_Finding]] = TypeAdapter(list[_Finding])
_ENTRIES: TypeAdapter[list[PersonaEntry]] = TypeAdapter(list[PersonaEntry])


async def examine(
    config_file: Path | None,
    running_server: Callable[[Settings], AbstractAsyncContextManager[Connection | None]],
) -> list[Check]:
    """Never raises for what it looks for: a broken thing is a red line. Where a server works on the state
    folder, it is asked about what it has open.
    """
    checks = [machine.python()]
    problems = check_settings(config_file)
    if problems:
        return [*checks, _bad_settings(problems)]
    settings = load_settings(config_file)
    checks.append(green("settings", "all values are fine"))
    async with running_server(settings) as server:
        running = None if server is None else _StudioOverHttp(server)
        return [*checks, *[check async for check in examine_installation(settings, running)]]


async def examine_here(settings: Settings, studio: RunningStudio) -> AsyncIterator[Check]:
    """Yields the same inside of a server that runs with these settings."""
    yield machine.python()
    yield await asyncio.to_thread(_file_of, settings)
    async for check in examine_installation(settings, studio):
        yield check


async def examine_installation(settings: Settings, studio: RunningStudio | None) -> AsyncIterator[Check]:
    """Yields all but Python and the settings themselves, each as soon as it is known."""
    yield machine.disk(settings.state_dir.absolute())
    yield machine.port(settings)
    yield machine.https(settings)
    yield await asyncio.to_thread(machine.examine_keys, settings)
    yield await machine.sandbox()
    yield await _database(settings, studio)
    yield await _personas(settings, studio)
    yield await examine_farm(settings)
    for examine_several in (_mcp_servers, examine_machines, _worker):
        for check in await examine_several(settings):
            yield check


def _file_of(settings: Settings) -> Check:
    """Compares the settings that are written now with those that the server runs with."""
    chosen = settings.origins.chosen
    try:
        problems = check_settings(chosen)
        if problems:
            return _bad_settings(problems)
        written = load_settings(chosen)
    except SoundstageError as error:
        return red("settings", error.message, error.hint, error.code)
    if settings.origins.file is not None and written.model_dump() != settings.model_dump():
        return amber("settings", "they have changed since the server has started", "Restart the server.")
    return green("settings", "all values are fine")


def _bad_settings(problems: Sequence[SettingProblem]) -> Check:
    return red("settings", "; ".join(str(problem) for problem in problems), "Mend the settings file.")


async def _database(settings: Settings, studio: RunningStudio | None) -> Check:
    newest = newest_revision()
    if studio is not None:
        try:
            found = await studio.revision()
        except SoundstageError as error:
            return red("database", error.message, error.hint)
        if found != newest:
            restart = "Start the server anew: it runs another version than this command."
            return amber("database", f"the server has revision {found}, this version {newest}", restart)
        return green("database", f"at revision {found}")
    if not settings.database.url and not (settings.state_dir / "soundstage.db").exists():
        return green("database", "made at the first start")
    try:
        database = Database(settings.database_url, busy_timeout_ms=settings.database.busy_timeout_ms)
        try:
            found = await current_revision(database)
        finally:
            await database.close()
    except SoundstageError as error:
        return red("database", error.message, error.hint)
    if found != newest:
        return amber("database", f"at revision {found}, this version needs {newest}", "soundstage migrate")
    return green("database", f"at revision {found}")


async def _personas(settings: Settings, studio: RunningStudio | None) -> Check:
    try:
        entries: Sequence[PersonaEntry]
        if studio is not None:
            entries = await studio.personas()
        elif settings.state_dir.exists():
            entries = composition.build(settings).studio.library.entries()
        else:
            # To build an installation makes its state folder, which later commands would take for theirs.
            entries = persona_library(settings).entries()
    except SoundstageError as error:
        return red("personas", error.message, error.hint)
    except ValidationError:
        return red("personas", "the server tells of them in another form", "Start the server anew.")
    wrong = [f"{entry.file}: {entry.error}" for entry in entries if entry.error]
    if wrong:
        return amber("personas", "; ".join(wrong), "Mend these files; the other personas work.")
    if not entries:
        return red(
            "personas",
            f"none in {settings.personas_folder}",
            "Set personas_dir to the folder of the checkout.",
        )
    return green("personas", ", ".join(entry.id for entry in entries))


async def _mcp_servers(settings: Settings) -> list[Check]:
    """Starts each, and compares its tools with what was allowed."""
    servers = McpServers(settings.agent.mcp_servers, settings.state_dir, own_listeners(settings))
    try:
        return [await _mcp_server(servers, name) for name in settings.agent.mcp_servers]
    finally:
        await servers.close()


async def _mcp_server(servers: McpServers, name: str) -> Check:
    title, fix = f"mcp server {name}", f"soundstage mcp-servers allow {name}"
    try:
        listed = await servers.compare(name)
    except SoundstageError as error:
        return red(title, error.message, error.hint)
    allowed = sum(tool.state == "allowed" for tool in listed)
    changed = [tool.definition.name for tool in listed if tool.state in ("changed", "gone")]
    if changed:
        names = clean_text(", ".join(changed), 200)
        return amber(title, f"tools that have changed since they were allowed: {names}", fix)
    if not allowed:
        return amber(title, f"none of its tools ({len(listed)}) is allowed", fix)
    return green(title, f"answers; tools allowed: {allowed} of {len(listed)}")


async def _worker(settings: Settings) -> list[Check]:
    command = worker_command(settings)
    folder = settings.worker.models_folder
    models = {} if folder is None else {MODELS_VARIABLE: str(folder.absolute())}
    try:
        environment = {**os.environ, **models, "PYTHONUNBUFFERED": "1"}
        ended = await run_program(*command, "doctor", "--json", limit_s=WORKER_LIMIT_S, env=environment)
    except TimeoutError:
        return [red("worker", f"{command[0]} doctor did not answer in {WORKER_LIMIT_S:.0f} s", WORKER_FIX)]
    except OSError as error:
        return [red("worker", f"{command[0]} does not start: {error.strerror}", WORKER_FIX)]
    try:
        findings = _FINDINGS.validate_json(ended.output)
    except ValidationError:
        last = ended.complaint.decode(errors="replace").strip().rpartition("\n")[2]
        return [red("worker", f"{command[0]} doctor failed: {last or ended.code}", WORKER_FIX)]
    return [green("worker", command[0]), *(finding.check() for finding in findings)]
