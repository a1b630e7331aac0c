"""What no client of good will sends, made by chance: for the MCP server and for the two sockets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

ROUNDS = 150
METHODS = (
    "initialize", "tools/list", "tools/call", "ping", "server/discover", "notifications/cancelled",
    "notifications/initialized", "resources/read", "prompts/get", "logging/setLevel", "completion/complete",
    "subscriptions/listen", "rpc.discover", "", "__class__", "tools/call\u0000", "x" * 10_000,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**30, "", "list_personas", "make_render", "\u0000\ud7ff", "../../etc/passwd",
    "x" * 50_000, [], {}, [[[[]]]], {"name": "list_personas", "arguments": {}}, {"name": 7}, {"script": "a"},
    {"name": "list_renders", "arguments": {"limit": -1}}, {"name": "list_renders", "arguments": []},
    {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "f", "version": "1"}},
    {"_meta": {"progressToken": {}}}, {"requestId": 1, "reason": "no"}, {"cursor": "no"},
)  # fmt: skip
TYPES: tuple[Any, ...] = (
    "say", "read", "cancel", "listening", "idle", "speaking", "Say", "", "x" * 10_000, "say\u0000", None, 7,
)  # fmt: skip
TALK: tuple[Any, ...] = (
    *VALUES, "help", "list my videos", "ses_none", "{}", "\u202e\u0000", "\ud800", "x" * 500_000, 1, 2, True,
)  # fmt: skip
GOOD: tuple[dict[str, Any], ...] = (
    {"type": "say", "ref": "a", "message": "list my videos"},
    {"type": "say", "ref": "b", "message": "what is the meaning of it all", "follow": True},
    {"type": "read", "ref": "c", "session_id": "ses_none", "turn": 1},
    {"type": "cancel", "session_id": "ses_none", "turn": 1},
)
NAMES = ("ref", "message", "session_id", "turn", "follow", "request_id", "debug", "principal")


def bodies(dice: random.Random) -> Iterator[bytes]:
    """Well formed and broken messages, mixed."""
    yield from (
        b"", b"null", b"7", b'"', b"[]", b"[" * 100_000, b"{" * 3000 + b"}" * 3000, b"\x00\xff\xfe" * 1000,
        b'{"jsonrpc": "2.0"}', b'{"jsonrpc": "2.0", "id": 1, "result": {}}', b"\xef\xbb\xbf{}",
        b'{"jsonrpc": "2.0", "id": 1e400, "method": "ping"}', b'{"a":' * 5000, b'{"jsonrpc":"2.0","id":NaN}',
    )  # fmt: skip
    for _ in range(ROUNDS):
        message: dict[str, Any] = {"jsonrpc": "2.0" if dice.random() < 0.9 else dice.choice(VALUES)}
        for name, choices in (("id", (*range(20), *VALUES)), ("method", METHODS), ("params", VALUES)):
            if dice.random() < 0.85:
                message[name] = dice.choice(choices)
        shape: Any = message if dice.random() < 0.9 else [message, message]
        yield damaged(dice, json.dumps(shape).encode())


def damaged(dice: random.Random, body: bytes) -> bytes:
    """Now and then cut off, or with bytes in it that do not belong there."""
    if dice.random() < 0.15:
        body = body[: dice.randrange(len(body))]
    if dice.random() < 0.1:
        place = dice.randrange(len(body) + 1)
        body = body[:place] + dice.randbytes(8) + body[place:]
    return body


def frames(dice: random.Random) -> Iterator[str | bytes]:
    """Text and binary frames for a socket: MCP's messages, and those that look like ours."""
    created = [*bodies(dice), *(damaged(dice, json.dumps(_wish(dice)).encode()) for _ in range(ROUNDS))]
    dice.shuffle(created)
    for body in created:
        yield body if dice.random() < 0.1 else body.decode(errors="replace")


def _wish(dice: random.Random) -> dict[str, Any]:
    """Out of all that there is, or a good one of which a little is changed."""
    if dice.random() < 0.5:
        request, changed = {"type": dice.choice(TYPES)}, 0.3
    else:
        request, changed = dict(dice.choice(GOOD)), 0.05
    for name in NAMES:
        if dice.random() < changed:
            request[name] = dice.choice(TALK)
    return request
