"""`soundstage mcp` as a program, with the official SDK's client on its pipes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_client import answered

PROGRAM = str(Path(sys.executable).with_name("soundstage"))
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
WAIT_S = 120
OPENING = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@asynccontextmanager
async def client(home: Path, *options: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(command=PROGRAM, args=["mcp", *options], cwd=home, env=ENVIRONMENT)
    with (home / "stderr").open("w") as errors:
        async with Client(stdio_client(server, errlog=errors), read_timeout_seconds=WAIT_S) as created:
            yield created


async def test_a_client_at_the_desk_lists_calls_and_gets_a_ticket(home: Path) -> None:
    async with client(home) as console:
        names = {tool.name for tool in (await console.list_tools()).tools}
        personas = await answered(console, "list_personas", {})
        ticket = await answered(console, "make_render", {"script": "The tide comes in twice a day."})
        cancelled = await answered(
            console, "cancel_render", {"render": ticket.structured_content["render_id"]}
        )

    assert {"make_render", "show_render", "code_runner"} <= names
    assert personas.structured_content["personas"][0]["id"] == "nova"
    assert ticket.structured_content["render_id"].startswith("rnd_")
    assert not cancelled.is_error


async def test_a_role_narrows_what_the_client_may_do(home: Path) -> None:
    async with client(home, "--role", "viewer") as console:
        names = {tool.name for tool in (await console.list_tools()).tools}
        refused = await answered(console, "make_render", {"script": "Hello"})

    assert "make_render" not in names
    assert refused.is_error
    assert "render:create" in refused.structured_content["message"]


async def test_a_path_of_the_server_is_not_taken_from_a_client(home: Path) -> None:
    (home / "photo.jpg").write_bytes(b"x")
    async with client(home) as console:
        refused = await answered(
            console,
            "create_persona",
            {"name": "Ada", "photo": str(home / "photo.jpg"), "person": "Ada Byron", "purpose": "a test"},
        )

    assert refused.is_error
    assert refused.structured_content["code"] == "persona.path_not_allowed"


def test_garbage_on_the_pipe_is_answered_or_dropped_and_the_next_message_counts(home: Path) -> None:
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": OPENING}
    lines = [
        b"not json", b"\xff\xfe\x00", b"[" * 50_000, b"{}", b"x" * 1_000_000, b'{"jsonrpc": "2.0", "id": 9}',
        json.dumps(opening).encode(), b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', b"null",
        b'{"jsonrpc": "2.0", "id": 2, "method": "no/such"}',
        b'{"jsonrpc": "2.0", "id": 3, "method": "tools/list"}',
    ]  # fmt: skip
    program = subprocess.Popen(
        [PROGRAM, "mcp"], cwd=home, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(b"\n".join(lines) + b"\n")
        program.stdin.flush()
        answers = []
        for line in program.stdout:
            answers.append(json.loads(line))
            if answers[-1].get("id") == 3:
                break
        _, log = program.communicate(timeout=WAIT_S)
    finally:
        program.kill()
    assert any(answer.get("id") == 2 and "error" in answer for answer in answers)
    assert answers[-1]["result"]["tools"]
    assert program.returncode == 0, log.decode()[-2000:]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap: apt-get install bubblewrap")
def test_when_the_client_goes_what_still_runs_is_ended_and_the_program_too(
    home: Path, cli: Callable[..., Any]
) -> None:
    code = {"code": "import time\ntime.sleep(50)", "time_limit_s": 60}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": OPENING},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call",
         "params": {"name": "code_runner", "arguments": code}},
    ]  # fmt: skip
    program = subprocess.Popen(
        [PROGRAM, "mcp"], cwd=home, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert program.stdin is not None and program.stdout is not None
        program.stdin.write(b"".join(json.dumps(one).encode() + b"\n" for one in messages))
        program.stdin.flush()
        ticket = next(reported for line in program.stdout if (reported := json.loads(line)).get("id") == 2)[
            "result"
        ]
        gone = time.monotonic()
        _, log = program.communicate(timeout=WAIT_S)
        took_s = time.monotonic() - gone
    finally:
        program.kill()
    assert ticket["structuredContent"]["status"] == "working"
    assert program.returncode == 0, log.decode()[-2000:]
    assert took_s < 18, "it did not wait for the code"
    record = cli("trace", ticket["_meta"]["soundstage/traceId"])
    assert "cancelled" in record.out, record


def test_an_unknown_role_is_told(cli: Callable[..., Any]) -> None:
    ended = cli("mcp", "--role", "king")
    assert ended.code == 1
    assert "king" in ended.err
    assert ended.out == ""
