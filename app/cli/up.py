"""`soundstage up`: the server processes, kept running by a small supervisor until Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack
from pathlib import Path

import typer

from app.cli.printing import Printer
from app.cli.state import JsonFlag, Stopped, invocation, run
from app.composition import opened
from app.listening import listening_socket, provisioning_sockets, url_of
from app.provisioning import build_process
from app.supervisor import Supervisor, provisioning_command, run_all, server_command
from policy import Policy, Principal
from policy.keys.schemas import KeyMade
from soundstage.settings import Settings


def register(cli: typer.Typer) -> None:
    @cli.command()
    def up(context: typer.Context, as_json: JsonFlag = False) -> None:
        """Start the servers: the page, the API and the agent; beside them the provisioning of machines."""
        called = invocation(context)
        printer = called.printer(as_json)
        settings = called.settings()
        logging.getLogger("httpx").setLevel(logging.WARNING)

        async def work() -> None:
            with ExitStack() as stack:
                supervised = _Supervised(settings, called.config_file, printer, stack)
                await _first_start(settings, printer)
                await run_all(supervised.supervisors)

        try:
            run(work())
        except Stopped as stopped:
            # Being asked to stop is how a server ends well.
            printer.line("Soundstage has stopped.")
            raise typer.Exit(0) from stopped


class _Supervised:
    """Takes the ports first, so that a taken one is a clear error; says once when all processes answer."""

    def __init__(
        self, settings: Settings, config_file: Path | None, printer: Printer, stack: ExitStack
    ) -> None:
        self._printer = printer
        studio = stack.enter_context(_inheritable(listening_socket(settings)))
        self._urls = {"url": url_of(studio)}
        self.supervisors: list[Supervisor] = []
        found: dict[str, str] = {}
        if settings.provisioning.enabled:
            plain, tls = (stack.enter_context(_inheritable(one)) for one in provisioning_sockets(settings))
            self._urls |= {"provisioning_url": url_of(plain), "provisioning_tls_url": url_of(tls, "https")}
            if settings.provisioning.api_url is None:
                # Its port may be a free one, which only we know.
                found["SOUNDSTAGE_PROVISIONING__API_URL"] = url_of(plain)
            self.supervisors.append(
                Supervisor(
                    provisioning_command(config_file, plain.fileno(), tls.fileno()),
                    (plain.fileno(), tls.fileno()),
                    url_of(plain),
                    on_ready=self._one_ready,
                )
            )
        self.supervisors.insert(
            0,
            Supervisor(
                server_command(config_file, studio.fileno()),
                (studio.fileno(),),
                self._urls["url"],
                on_ready=self._one_ready,
                environment=found,
            ),
        )
        self._waiting = len(self.supervisors)

    def _one_ready(self) -> None:
        self._waiting -= 1
        if self._waiting:
            return
        if self._printer.as_json:
            self._printer.value({"event": "ready", **self._urls})
            return
        self._printer.line(f"Soundstage is up at {self._urls['url']} (Ctrl-C ends it).")
        if "provisioning_url" in self._urls:
            tls = self._urls["provisioning_tls_url"]
            self._printer.line(f"Machines: {self._urls['provisioning_url']}, enrolment: {tls}.")


def _inheritable(listening: socket.socket) -> socket.socket:
    listening.set_inheritable(True)
    return listening


async def _first_start(settings: Settings, printer: Printer) -> None:
    """Migrates, and makes the admin key when there has never been one. It is shown here only.

    Each process has keys of its own; the first one is good for both.
    """
    async with opened(settings) as services:
        made = await services.policy.first_admin_key()
    if made is not None:
        _show(printer, made, "admin_key", "The administrator's key, shown only now:")
    if not settings.provisioning.enabled:
        return
    process = build_process(settings)
    try:
        await process.prepare()
        own = await _first_provisioning_key(process.policy, made)
    finally:
        await process.database.close()
    if own is not None:
        _show(printer, own, "provisioning_admin_key", "The administrator's key for machines, shown only now:")


async def _first_provisioning_key(policy: Policy, made: KeyMade | None) -> KeyMade | None:
    """The key of the studio's first start, registered; or one of its own where the studio had keys before."""
    if made is None:
        return await policy.first_admin_key()
    async with policy.db.transaction() as session:
        if not await policy.keys.list(session, Principal.local_admin()):
            await policy.keys.register(session, made)
    return None


def _show(printer: Printer, made: KeyMade, event: str, sentence: str) -> None:
    printer.answer({"event": event, "id": made.id, "key": made.key}, f"{sentence}\n\n    {made.key}\n")
