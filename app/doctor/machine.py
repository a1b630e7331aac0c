"""Checks what the control side needs of the machine: Python, disk, port, sandbox, and keys that open."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from agent.sandbox import Sandbox
from app.local_access import read_local_access
from app.server.https import authority_file, https_url, studio_authority
from app.server.listening import plain_http_warning
from soundstage.errors import SoundstageError
from soundstage.health import Check, amber, green, red
from soundstage.key_sealing import check_keys, inspect_keys
from soundstage.settings import Settings

NEEDED_PYTHON = (3, 11)
LITTLE_SPACE_MIB = 2048
NO_SPACE_MIB = 256


def python() -> Check:
    found = platform.python_version()
    if sys.version_info < NEEDED_PYTHON:
        return red("python", found, "Install Python 3.11 or newer.")
    return green("python", f"{found} at {sys.executable}")


def disk(folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free >> 20
    found = f"{free / 1024:.1f} GiB free for {folder}"
    fix = "Free some space (`soundstage gc` removes what nothing refers to), or move state_dir."
    if free < NO_SPACE_MIB:
        return red("disk", found, fix, "disk.full")
    return amber("disk", found, fix, "disk.low") if free < LITTLE_SPACE_MIB else green("disk", found)


def port(settings: Settings) -> Check:
    """Amber where another program has it."""
    host, number = settings.http.host, settings.http.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            running = read_local_access(settings.state_dir)
            if running is not None and number in (urlsplit(running.url).port, settings.https_port):
                return green("port", f"{host}:{number} is held by our server (process {running.pid})")
            fix = "Set http.port, or stop the program that listens there."
            return amber("port", f"{host}:{number} cannot be taken ({error.strerror})", fix)
    return green("port", f"{host}:{number} is free")


def https(settings: Settings) -> Check:
    """Amber where people could send keys over plain HTTP."""
    if warning := plain_http_warning(settings):
        found, _, fix = warning.partition(". ")
        return amber("https", f"{found}.", fix)
    if settings.http.tls == "off":
        return green("https", "not needed: nothing listens for other machines, or a proxy speaks it")
    where, trusted = https_url(settings, settings.https_port), authority_file(settings)
    if not trusted.exists():
        return green("https", f"{where}; its authority is made at the first start")
    return green("https", f"{where}; trust {trusted}, SHA-256 {studio_authority(settings).fingerprint}")


async def sandbox() -> Check:
    """Amber without one: all but code works. What holds it may differ for a service of the same machine."""
    try:
        found = await Sandbox().look()
    except SoundstageError as error:
        return amber("sandbox", error.message, error.hint)
    namespaces = "the kernel" if found.sealed else "the filter of system calls"
    limits = "all processes together" if found.grouped else "each process"
    holds = f"code inside gets no namespaces ({namespaces} refuses them), and limits hold for {limits}"
    return green("sandbox", f"{found.bubblewrap}; {holds}")


def examine_keys(settings: Settings) -> Check:
    """Says what is sealed by what. Red where keys do not open, amber where some are not sealed."""
    state_dir = settings.state_dir.absolute()
    try:
        found = inspect_keys(state_dir)
        check_keys(state_dir, settings.sealing)
    except SoundstageError as error:
        return red("private keys", error.message, error.hint, error.code)
    except OSError as error:
        return red("private keys", str(error), "`state_dir` has to belong to the user who runs soundstage.")
    if found.opens_with:
        plain = f"; not sealed: {', '.join(found.plain)}" if found.plain else ""
        summary = (
            f"{len(found.sealed)} open with {' and '.join(found.opens_with)}, and with nothing else{plain}"
        )
    else:
        summary = f"{len(found.plain)} files, not sealed: who copies {state_dir} has them"
    if found.plain:
        fix = "Stop the server and run `soundstage seal`."
        if settings.sealing.method == "none":
            fix = f"Set sealing.method. {fix}"
        return amber("private keys", summary, fix, "sealing.plain_keys")
    return green("private keys", summary)
