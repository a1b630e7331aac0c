"""An MCP server of somebody else, written with the SDK: over its pipes, or over HTTP on a port of loopback.

    python other_mcp_server.py BEHAVIOUR.json             # stdio
    python other_mcp_server.py BEHAVIOUR.json PORT        # streamable HTTP at /mcp

The file is read at each message, so that a test can change what the server says while it runs:
`description`, `schema`, `answer`, what to `do` in place of an answer, and the name of its `tool`. Calls are
lines of BEHAVIOUR.json.calls, and the process number is in BEHAVIOUR.json.pid.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server import Server
from mcp.server.stdio import stdio_server

BEHAVIOUR = Path(sys.argv[1])
WIRE = os.dup(1)
"""Standard output; the SDK takes the descriptor 1 away from prints."""
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "description": "What to look for."}},
    "required": ["topic"],
}


def behaviour() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(BEHAVIOUR.read_text())
    return found


def note_call(params: types.CallToolRequestParams) -> None:
    with Path(f"{BEHAVIOUR}.calls").open("a") as calls:
        calls.write(json.dumps({"tool": params.name, "arguments": params.arguments}) + "\n")


def flood(line: bytes) -> None:
    """Writes 100 MB, then nothing."""
    for _ in range(100_000_000 // len(line)):
        os.write(WIRE, line)
    time.sleep(3600)


def start_child() -> None:
    child = subprocess.Popen(["sleep", "3600"])
    Path(f"{BEHAVIOUR}.child").write_text(str(child.pid))


async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
    says = behaviour()
    if says.get("do") == "hang_at_start":
        await anyio.sleep(3600)
    tool = types.Tool(
        name=says.get("tool", "look_up"),
        description=says.get("description", "Look a topic up."),
        input_schema=says.get("schema", SCHEMA),
        output_schema=says.get("output_schema"),
    )
    return types.ListToolsResult(tools=[tool])


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    says = behaviour()
    note_call(params)
    match says.get("do"):
        case "hang":
            await anyio.sleep(3600)
        case "die":
            os._exit(3)
        case "wrong_ids":
            answer = {"jsonrpc": "2.0", "id": 4711, "result": {"content": [], "isError": False}}
            os.write(WIRE, json.dumps(answer).encode() + b"\n")
            await anyio.sleep(3600)
        case "flood":
            flood(b'{"jsonrpc": "2.0", "method": "' + b"x" * (1 << 20))
        case "flood_of_notices":
            notice = {"jsonrpc": "2.0", "method": "notifications/message",
                      "params": {"level": "info", "data": "x" * 1000}}  # fmt: skip
            flood(json.dumps(notice).encode() + b"\n")
        case "child":
            start_child()
    text = says.get("answer", f"Nothing about {(params.arguments or {}).get('topic')}.")
    content: list[Any] = [types.TextContent(type="text", text=text * says.get("times", 1))]
    if says.get("picture"):
        content.append(types.ImageContent(type="image", data="AAAA", mime_type="image/png"))
    return types.CallToolResult(
        content=content, structured_content=says.get("structured"), is_error=says.get("do") == "error"
    )


def main() -> None:
    Path(f"{BEHAVIOUR}.pid").write_text(str(os.getpid()))
    server = Server("other", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    if len(sys.argv) > 2:
        import uvicorn

        app = server.streamable_http_app(json_response=behaviour().get("json", False))
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
        return

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)


if __name__ == "__main__":
    main()
