"""Runs a LiveKit server beside ours, where `voice.livekit.serve` is set; called by `soundstage up`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.server.supervisor import HELPER_GRACE_S, keep_running, stop_process
from soundstage.errors import SoundstageError, Unavailable
from soundstage.sealing import Sealer
from soundstage.settings import Settings
from soundstage.settings.conversation import LiveKitSettings
from soundstage.settings.outgoing import is_loopback_host
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    from agent.voice.transports.livekit_keys import LiveKitKeys

DRAIN_S = 0.2
BUILD = Path(__file__).parents[2] / "tools" / "build"
log = get_logger(__name__)


async def run_livekit(settings: Settings, server_url: str) -> None:
    """Runs the server until cancelled, where it is set; restarts it when it ends.

    One that cannot run leaves everything else as it is: sessions on other transports work.
    """
    chosen = settings.voice.livekit
    if not chosen.serve:
        return
    # The supervisor does without the agent where no LiveKit server is run.
    from agent.voice.transports.livekit_keys import ensure_keys

    try:
        keys = ensure_keys(chosen, Sealer(settings.state_dir, settings.sealing), settings.state_dir)
        program = await asyncio.to_thread(find_program, chosen)
    except SoundstageError as error:
        log.error("livekit.not_started", code=error.code, message=error.message, hint=error.hint)
        return
    await keep_running("LiveKit", partial(_run_once, program, configuration(chosen, keys, server_url)))


def find_program(settings: LiveKitSettings) -> Path:
    """Returns the program; `tools/build` may take minutes to build it. Raises `voice.no_livekit_program`."""
    if settings.program is not None:
        return settings.program
    if (installed := shutil.which("livekit-server")) is not None:
        return Path(installed)
    if BUILD.exists():
        built = subprocess.run([BUILD, "livekit"], capture_output=True, text=True, check=False)
        if built.returncode == 0:
            return Path(built.stdout.strip().split("\t")[1])
    raise Unavailable(
        "voice.no_livekit_program",
        "There is no LiveKit server to run.",
        "Build it with `tools/build livekit`, which needs Go, or name one in `voice.livekit.program`.",
    )


def configuration(settings: LiveKitSettings, keys: LiveKitKeys, server_url: str) -> Mapping[str, object]:
    """Returns LiveKit's settings for one machine: rooms are created by us, and nothing asks the internet."""
    rtc: dict[str, object] = {
        "tcp_port": settings.tcp_port,
        "udp_port": settings.udp_port,
        "use_external_ip": False,
        "stun_servers": [],
    }
    if is_loopback_host(settings.host):
        rtc |= {
            "node_ip": settings.host,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
        }
    elif settings.host not in ("0.0.0.0", "::"):  # noqa: S104
        rtc["node_ip"] = settings.host
    return {
        "port": settings.port,
        "bind_addresses": [settings.host],
        "rtc": rtc,
        "keys": {keys.api_key: keys.secret},
        "room": {"auto_create": False, "empty_timeout": 60},
        "turn": {"enabled": False},
        "webhook": {"api_key": keys.api_key, "urls": [f"{server_url}/api/voice/livekit/webhook"]},
        "logging": {"level": "warn", "pion_level": "error"},
    }


async def _run_once(program: Path, content: Mapping[str, object]) -> int:
    # JSON is YAML. In the environment: others could read it in the arguments, and a file would stay.
    environment = {**os.environ, "LIVEKIT_CONFIG": json.dumps(content)}
    # It ends with us, even after kill -9: it has no standard input that it watches.
    wrapper = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    process = await asyncio.create_subprocess_exec(*wrapper, program, env=environment)
    log.info("livekit.started", port=content["port"])
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            # The first signal makes it wait until everybody has left; the second ends it.
            process.terminate()
            await asyncio.sleep(DRAIN_S)
        await stop_process(process, "LiveKit", HELPER_GRACE_S)
