"""All checks of the doctor, in the order in which a new installation meets them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
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
from soundstage.settings import Settings, check_settings, load_settings
from studio.personas.schemas import PersonaEntry
from studio.wiring import persona_library

WORKER_LIMIT_S = 60.0
WORKER_FIX = "Run `make setup`, or set worker.command to the avatar program."


class Server(Protocol):
    """A connection to the server that works on this state folder."""

    async def get(self, path: str) -> Any:
        """Return the content of the answer. Raises SoundstageError."""


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
    config_file: Path | None, running_server: Callable[[Settings], AbstractAsyncContextManager[Server | None]]
) -> list[Check]:
    """Never raises for what it looks for: a broken thing is a red line. Where a server works on the state
    folder, it is asked about what it has open.
    """
    checks = [machine.python()]
    problems = check_settings(config_file)
    if problems:
        checks.append(
            red("settings", "; ".join(str(problem) for problem in problems), "Mend the settings file.")
        )
        return checks
    settings = load_settings(config_file)
    checks.append(green("settings", "all values are fine"))
    checks += [machine.disk(settings.state_dir.absolute()), machine.port(settings), machine.https(settings)]
    checks += [await asyncio.to_thread(machine.examine_keys, settings), await machine.sandbox()]
    async with running_server(settings) as server:
        checks += [await _database(settings, server), await _personas(settings, server)]
    checks.append(await examine_farm(settings))
    checks += await _mcp_servers(settings)
    checks += await examine_machines(settings)
    return [*checks, *await _worker(settings)]


async def _database(settings: Settings, server: Server | None) -> Check:
    newest = newest_revision()
    if server is not None:
        try:
            found = (await server.get("/api/database"))["revision"]
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


async def _personas(settings: Settings, server: Server | None) -> Check:
    try:
        if server is not None:
            entries = _ENTRIES.validate_python(await server.get("/api/personas"))
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
