"""A real OPA server on a free port, and generated questions that both engines are asked."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from policy.decisions.bundle import shipped

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 60


def opa_binary() -> str:
    """Built once into a cache."""
    built = subprocess.run([ROOT / "tools/build", "opa"], check=True, capture_output=True, text=True)
    return built.stdout.split()[-1]


@contextmanager
def opa_server(port: int | None = None) -> Iterator[str]:
    """The address of a server without any rules."""
    chosen = port or free_port()
    command = [opa_binary(), "run", "--server", "--addr", f"127.0.0.1:{chosen}", "--log-level", "error"]
    process = subprocess.Popen([*command, "--skip-version-check"])
    url = f"http://127.0.0.1:{chosen}"
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("OPA does not start")


def questions(count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Sensible ones, odd ones and nonsense; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    data = shipped().data
    permissions = [*data["permissions"], "render:fly", "", ":", "render", "*", "a:b:c"]
    roles = [*data["roles"], "root", "", None, 7]
    words = [name.split(":")[0] for name in permissions]
    scopes = [*permissions, *(f"{word}:*" for word in words), "*:read", "*:*"]
    tools = [*data["tools"], "fly", ""]

    def value() -> Any:
        return chance.choice(
            [
                "",
                "ast_1",
                "sha256:ab",
                "/etc/passwd",
                "a" * 20_001,
                "a" * 100_001,
                0,
                1,
                10**9,
                -1,
                1.5,
                True,
                None,
                [],
                [1, 2, 3],
                {"a": 1},
                "2160p",
                'ü\n"\\',
            ]
        )

    def one() -> dict[str, Any]:
        name = chance.choice(tools)
        rule = data["tools"].get(name, {})
        kind = chance.choice(["route", "tool", "tool"])
        told = chance.random() < 0.7
        permission = rule.get("permission") if kind == "tool" and told else chance.choice(permissions)
        effect = rule.get("effect") if told else chance.choice(["read", "write", "destructive", None])
        return {
            "action": {"kind": kind, "name": name, "permission": permission, "effect": effect},
            "subject": {
                "id": chance.choice(["key_1", "loopback"]),
                "kind": chance.choice(["key", "session", "loopback", "local"]),
                "role": chance.choice(roles),
                "scopes": chance.choice([None, None, [], chance.sample(scopes, 3), ["*"], "render:*", 3]),
                "state": chance.choice(["active", "active", "active", "superseded", "revoked", "", None]),
                "tenant": chance.choice(["default", "default", "acme", None, 3]),
            },
            "resource": {"tenant": chance.choice([None, None, "default", "acme", 3])},
            "arguments": {
                argument: value()
                for argument in chance.sample(["script", "photo", "limit", "quality", "machines"], 2)
            },
        }

    for _ in range(count):
        question: Any = one()
        if chance.random() < 0.1:
            # A part is missing or of another kind.
            part = chance.choice(list(question))
            question[part] = chance.choice([None, [], "x", 1, {}])
            if chance.random() < 0.5:
                del question[part]
        yield question
