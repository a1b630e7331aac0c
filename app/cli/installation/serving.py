"""Runs `soundstage up`: keeps the server processes running by a small supervisor."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

from app.cli.printing import Printer
from app.cli.state import Invocation, run
from app.local_access import key_path, read_local_access, write_local_access, write_private_file
from app.sealing_prompt import descriptor_to_inherit, prompt_for_passphrase
from app.server.listening import (
    https_socket,
    listening_socket,
    plain_http_warning,
    provisioning_sockets,
    url_of,
)
from app.server.livekit_process import run_livekit
from app.server.start_link import make_start_link, open_in_browser
from app.server.supervisor import Supervisor, run_all, server_command
from app.server.voice_process import run_voice_worker
from soundstage.errors import SoundstageError
from soundstage.settings import Settings
from soundstage.settings.origins import SET_BY_UP
from soundstage.settings.sources import PREFIX

ADMIN_KEYS = {
    "admin_key": "The administrator's key",
    "provisioning_admin_key": "The administrator's key for machines",
}


def serve(called: Invocation, printer: Printer, *, tls: bool, browser: bool) -> None:
    """Run the server processes until Ctrl-C or SIGTERM, which raise Stopped."""
    settings = called.settings()
    if tls:
        settings = settings.model_copy(update={"http": settings.http.model_copy(update={"tls": "self"})})
    logging.getLogger("httpx").setLevel(logging.WARNING)

    async def work() -> None:
        with ExitStack() as stack:
            supervised = _Supervised(
                settings.model_copy(
                    update={"sealing": prompt_for_passphrase(settings.sealing, stack, confirm=False)}
                ),
                called.config_file,
                printer,
                stack,
                browser=browser,
            )
            voice = run_voice_worker(settings, called.config_file, supervised.url)
            livekit = run_livekit(supervised.settings, supervised.url)
            await run_all([supervised.studio.run(), supervised.run_provisioning(), voice, livekit])

    run(work())


class _Supervised:
    """Takes the ports first, so that a taken one is a clear error; says once when all processes answer."""

    def __init__(
        self,
        settings: Settings,
        config_file: Path | None,
        printer: Printer,
        stack: ExitStack,
        *,
        browser: bool,
    ) -> None:
        self._printer = printer
        self._stack = stack
        self.settings = settings
        self._browser = browser
        studio = stack.enter_context(_inheritable(listening_socket(settings)))
        self._urls = {"url": url_of(studio)}
        self._warning = plain_http_warning(settings)
        self._keys, keys_to = os.pipe()
        stack.callback(os.close, keys_to)
        self._provisioning: Supervisor | None = None
        found: dict[str, str] = {}
        # Each may be a free one, which only we know: no process takes another for a stranger.
        listeners = {"HTTP__PORT": str(studio.getsockname()[1])}
        studio_descriptors = [studio.fileno()]
        if settings.http.tls == "self":
            # They bring the web framework, which a supervisor does without.
            from app.server.https import authority_file, https_url, studio_authority

            https = stack.enter_context(_inheritable(https_socket(settings)))
            studio_descriptors.append(https.fileno())
            port = https.getsockname()[1]
            listeners |= {"HTTP__TLS": "self", "HTTP__TLS_PORT": str(port)}
            self._urls |= {
                "https_url": https_url(settings, port),
                "ca_file": str(authority_file(settings)),
                "ca_sha256": studio_authority(settings).fingerprint,
            }
        if settings.provisioning.enabled:
            plain, tls = (stack.enter_context(_inheritable(one)) for one in provisioning_sockets(settings))
            self._urls |= {"provisioning_url": url_of(plain), "provisioning_tls_url": url_of(tls, "https")}
            chosen = settings.provisioning
            if chosen.api_url is None or str(chosen.api_url).rstrip("/") == url_of(plain):
                # Its port may be a free one, which only we know.
                found["SOUNDSTAGE_PROVISIONING__API_URL"] = url_of(plain)
                if chosen.api_key_file is None:
                    found["SOUNDSTAGE_PROVISIONING__API_KEY_FILE"] = str(key_path(settings.state_dir))
            listeners |= {
                "PROVISIONING__PORT": str(plain.getsockname()[1]),
                "PROVISIONING__TLS_PORT": str(tls.getsockname()[1]),
            }
        passphrase = descriptor_to_inherit(settings.sealing)
        if passphrase:
            listeners["SEALING__PASSPHRASE_FILE"] = str(settings.sealing.passphrase_file)
        taken = {f"{PREFIX}{name}": value for name, value in listeners.items()}
        added = [name for name, value in (found | taken).items() if os.environ.get(name) != value]
        taken[SET_BY_UP] = ",".join(added)
        if settings.provisioning.enabled:
            self._provisioning = Supervisor(
                server_command("app.provisioning_server", config_file, plain.fileno(), tls.fileno()),
                (plain.fileno(), tls.fileno(), *passphrase),
                url_of(plain),
                on_ready=self._one_ready,
                environment=taken,
            )
        self.studio = Supervisor(
            server_command("app.server", config_file, *studio_descriptors),
            (*studio_descriptors, keys_to, *passphrase),
            self._urls["url"],
            on_ready=self._one_ready,
            environment={**found, **taken},
            first_options=("--keys-to", str(keys_to)),
        )
        self._waiting = 1 if self._provisioning is None else 2

    @property
    def url(self) -> str:
        """Returns where the studio answers on this machine."""
        return self._urls["url"]

    async def run_provisioning(self) -> None:
        """Show the keys that the studio's process has made for both, then keep the other one running."""
        for event, key_id, key in await _read_keys(self._keys):
            _show(self._printer, self.settings.state_dir, event, key_id, key)
        if self._provisioning is not None:
            await self._provisioning.run()

    def _one_ready(self) -> None:
        self._waiting -= 1
        if self._waiting:
            return
        access = write_local_access(
            self.settings.state_dir, self._urls["url"], self._urls.get("provisioning_url")
        )
        self._stack.enter_context(access)
        if self._printer.as_json:
            self._printer.value({"event": "ready", **self._urls})
            return
        self._printer.line(f"Soundstage is up at {self._urls['url']} (Ctrl-C ends it).")
        if "https_url" in self._urls:
            self._printer.line(
                f"Others reach it at {self._urls['https_url']}. To trust it, import {self._urls['ca_file']}\n"
                f"as a certificate authority there; its SHA-256 is {self._urls['ca_sha256']}."
            )
        if self._warning:
            self._printer.note(self._warning)
        if "provisioning_url" in self._urls:
            tls = self._urls["provisioning_tls_url"]
            self._printer.line(f"Machines: {self._urls['provisioning_url']}, enrolment: {tls}.")
        self._show_link()

    def _show_link(self) -> None:
        """Print a start link to a terminal only: elsewhere output may be stored, and the link logs in."""
        if not sys.stdout.isatty():
            self._printer.line("`soundstage open` prints a link that logs a browser in.")
            return
        settings = self.settings
        access = read_local_access(settings.state_dir)
        if access is None:
            return
        public_url = settings.http.public_url
        try:
            link = make_start_link(access, str(public_url) if public_url else None)
        except SoundstageError as error:
            self._printer.error(error)
            return
        if self._browser:
            open_in_browser(settings.state_dir, link)
        self._printer.line(
            f"Open in a browser (logs in once, until {link.expires_at:%H:%M} UTC; `soundstage open` makes "
            f"another):\n\n    {link.url}\n"
        )


def _inheritable(listening: socket.socket) -> socket.socket:
    listening.set_inheritable(True)
    return listening


async def _read_keys(pipe: int) -> list[tuple[str, str, str]]:
    """Return event name, id and key of each key that the server process has made (`app.server.first_start`).

    Raises what it failed with.
    """
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    try:
        found = json.loads(await reader.readline())
    finally:
        transport.close()
    if "error" in found:
        raise SoundstageError(**found["error"])
    return [(event, key_id, key) for event, key_id, key in found["keys"]]


def _show(printer: Printer, state_dir: Path, event: str, key_id: str, key: str) -> None:
    """Print the key to a terminal; elsewhere output may be stored: print the name of a file that holds it."""
    sentence = ADMIN_KEYS[event]
    if sys.stdout.isatty() and not printer.as_json:
        printer.line(f"{sentence}, shown only now:\n\n    {key}\n")
        return
    path = write_private_file(state_dir, event.replace("_", "-"), key)
    found = {"event": event, "id": key_id, "key_file": str(path)}
    printer.answer(found, f"{sentence} is in the file {path}: keep it elsewhere, then delete the file.")
