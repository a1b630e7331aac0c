"""A real OPA server on a free port, and generated questions that both engines are asked."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from ports import free_port

from policy.decisions.bundle import Bundle, load_bundle

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 60


def rules() -> Bundle:
    """The shipped ones with a few tools more, so that every kind of rule is met."""
    more = {
        "wipe": {"permission": "machine:retire", "effect": "destructive"},
        "wipe_all": {
            "permission": "machine:retire",
            "effect": "destructive",
            "approvers": 2,
            "because": "all",
        },
        "make_long": {
            "permission": "render:create",
            "effect": "write",
            "at_most": {"limit": 1000, "machines": 2},
            "ask": [
                {"argument": "script", "above": 20_000, "approvers": 1, "because": "it is long"},
                {"argument": "quality", "one_of": ["2160p"], "approvers": 2, "because": "it is large"},
            ],
        },
    }
    data = load_bundle().data
    return Bundle.of(load_bundle().modules, {**data, "tools": {**data["tools"], **more}})


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
    data = rules().data
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
        # Half of the questions come from somebody who may do much, so that the arguments are looked at.
        strong = chance.random() < 0.5
        text = strong or chance.random() < 0.5
        permission = rule.get("permission") if kind == "tool" and text else chance.choice(permissions)
        effect = rule.get("effect") if text else chance.choice(["read", "write", "destructive", None])
        return {
            "action": {"kind": kind, "name": name, "permission": permission, "effect": effect},
            "subject": {
                "id": chance.choice(["key_1", "local:cli"]),
                "kind": chance.choice(["key", "session", "local"]),
                "role": "admin" if strong else chance.choice(roles),
                "scopes": chance.choice(
                    [None, ["*"]] if strong else [None, [], chance.sample(scopes, 3), ["*"], "render:*", 3]
                ),
                "state": chance.choice(
                    ["active", "superseded"] if strong else ["active", "superseded", "revoked", "", None]
                ),
                "tenant": "default" if strong else chance.choice(["default", "acme", None, 3]),
            },
            "resource": {
                "tenant": chance.choice([None, "default"] if strong else [None, "default", "acme", 3])
            },
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
