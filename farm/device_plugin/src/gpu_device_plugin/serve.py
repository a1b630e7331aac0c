"""Starts the plugin process as go-plugin wants it: cookie, Unix socket, one line on stdout (called by
`__main__`).

Source: the handshake of hashicorp/go-plugin, docs/guide-plugin-write-non-go.md there; Nomad's protocol
version is 2.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from gpu_device_plugin.log import log, never_wait
from gpu_device_plugin.services import PluginServices
from gpu_device_plugin.watch import CardWatch
from gpu_device_plugin.watchdog import Watchdog, exit_now

# Not a secret: a mark by which a plugin sees that an agent, not a person, started it.
_COOKIE = ("NOMAD_PLUGIN_MAGIC_COOKIE", "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255")
_CORE_PROTOCOL, _APP_PROTOCOL = 1, 2
# Each open stream (cards, statistics, stdio, broker) holds a thread for as long as it is open.
_THREADS = 32
_SOCKET_FOLDER = "gpu-device-plugin-{pid}-"


def is_started_by_agent(environment: Mapping[str, str]) -> bool:
    """Returns whether an agent started this process as a plugin."""
    return environment.get(_COOKIE[0]) == _COOKIE[1]


def serve(environment: Mapping[str, str]) -> None:
    """Run until the agent asks us to exit_now, or is gone. Does not come back."""
    watchdog = Watchdog()
    watchdog.start()
    never_wait()
    # Ctrl-C in the agent's terminal reaches us too; the agent ends us when it is ready.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: exit_now("SIGTERM", 0))
    if environment.get("PLUGIN_CLIENT_CERT"):
        exit_now("the agent asks for mutual TLS between itself and its plugins, which Nomad does not use", 1)

    base = Path(environment.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.gettempdir())
    sweep_sockets(base)
    # 0700: any process that reaches the socket may shut the plugin down.
    folder = Path(tempfile.mkdtemp(prefix=_SOCKET_FOLDER.format(pid=os.getpid()), dir=base))
    socket = folder / "plugin.sock"

    server = grpc.server(ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="call"))
    server.add_generic_rpc_handlers(PluginServices(CardWatch(), watchdog).handlers())
    healthy = health.HealthServicer()
    healthy.set("plugin", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    print(f"{_CORE_PROTOCOL}|{_APP_PROTOCOL}|unix|{socket}|grpc|", flush=True)
    threading.Event().wait()


def sweep_sockets(base: Path) -> None:
    """Remove the socket folders of plugins that were killed; those of living processes stay."""
    pattern = re.compile(_SOCKET_FOLDER.format(pid=r"(\d+)") + r"\w+")
    for folder in base.iterdir():
        match = pattern.fullmatch(folder.name)
        if match and not Path("/proc", match[1]).exists():
            try:
                if folder.stat().st_uid == os.getuid() and not folder.is_symlink():
                    shutil.rmtree(folder)
            except OSError as e:
                log("warn", "an old socket folder stays", folder=str(folder), problem=str(e))
