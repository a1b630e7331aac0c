"""No module opens a connection of its own to a URL that people or settings name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = ("soundstage", "policy", "farm", "studio", "agent", "provisioning_api", "pxe", "lab", "app")

CONSTRUCTORS = {
    "httpx": {
        "AsyncClient",
        "Client",
        "AsyncHTTPTransport",
        "HTTPTransport",
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "head",
        "options",
        "request",
        "stream",
    },
    "requests": {"Session", "get", "post", "put", "patch", "delete", "head", "request"},
    "urllib3": {"PoolManager", "ProxyManager", "HTTPConnectionPool", "HTTPSConnectionPool", "request"},
    "urllib.request": {"urlopen", "build_opener", "urlretrieve"},
    "ssl": {"get_server_certificate"},
    "asyncio": {"open_connection"},
    "socket": {"create_connection"},
    "http.client": {"HTTPConnection", "HTTPSConnection"},
}
FORBIDDEN_IMPORTS = {"aiohttp", "pycurl", "websockets.asyncio.client", "websockets.sync.client"}

MODULES = (*CONSTRUCTORS, *FORBIDDEN_IMPORTS, "http", "urllib", "websockets")

EXCEPTIONS = {
    "soundstage/http/outgoing.py": "the one way out",
    "soundstage/http/internal.py": "the same for our own servers and those that the operator names",
    "soundstage/http/engines.py": "the same for Consul and Nomad, by their libraries",
    "soundstage/http/sockets.py": "the same for WebSockets to our own servers",
    "agent/voice/transports/livekit_rooms.py": "LiveKit's own library, to the server that the operator names",
    "lab/cluster/api.py": "Nomad and Consul of a lab, by a socket made in its network",
    "lab/network.py": "connects from inside a lab's network, no URL",
    "lab/package_proxy.py": "the package proxy of labs: it calls mirrors for its clients",
    "provisioning_api/callhome/service.py": "SSH to a machine, no URL",
    "provisioning_api/commands/ssh.py": "SSH to a machine, no URL",
    "provisioning_api/power/redfish.py": "reads a certificate at an address that `resolve` has checked",
}


def connections(source: str) -> Iterator[str]:
    """Names of what a module constructs to call others, by any way of importing it."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules[alias.asname or alias.name] = alias.name
                if alias.name.split(".")[0] in FORBIDDEN_IMPORTS or alias.name in FORBIDDEN_IMPORTS:
                    yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in FORBIDDEN_IMPORTS or node.module.split(".")[0] in FORBIDDEN_IMPORTS:
                yield node.module
            for alias in node.names:
                if alias.name in CONSTRUCTORS.get(node.module, ()):
                    yield f"{node.module}.{alias.name}"
    types = {id(inner) for annotation in _annotations(tree) for inner in ast.walk(annotation)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in types:
            module = modules.get(ast.unparse(node.value), "")
            if node.attr in CONSTRUCTORS.get(module, ()):
                yield f"{module}.{node.attr}"


def _annotations(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if (found := getattr(node, name, None)) is not None:
                yield found


def test_connections_are_opened_in_one_place_and_by_the_exceptions_named_here() -> None:
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if any(part.startswith(".") or part == "device_plugin" for part in inside.parts):
                continue
            source = path.read_text(encoding="utf-8")
            # Reading all modules as trees takes seconds.
            imports = any(f"import {name}" in source or f"from {name}" in source for name in MODULES)
            if imports and (names := set(connections(source))):
                found[inside.as_posix()] = names
    strangers = {path: names for path, names in found.items() if path not in EXCEPTIONS}
    assert strangers == {}, "call through soundstage.http.outgoing_client, or name the reason here"
    assert [path for path in EXCEPTIONS if path not in found] == [], "exceptions that are none any more"


def test_each_way_of_opening_a_connection_is_seen() -> None:
    for source in (
        "import httpx\nclient = httpx.AsyncClient()",
        "import httpx as h\nh.get('x')",
        "from httpx import Client",
        "import urllib.request\nurllib.request.urlopen('x')",
        "from urllib.request import urlopen",
        "import requests\nrequests.Session()",
        "import aiohttp",
        "from asyncio import open_connection",
        "import ssl\nssl.get_server_certificate(('x', 1))",
    ):
        assert list(connections(source)), source
    assert list(connections("import httpx\nasync def f(a: httpx.Response) -> None: ...")) == []
