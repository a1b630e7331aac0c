"""Makes tools of the agent from allowed definitions: same wrappers and policy, results as text of others."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import create_model, model_validator

from agent.mcp_servers.definitions import (
    MAX_DESCRIPTION_CHARS,
    ReducedSchema,
    ToolDefinition,
    clean_text,
    full_name,
)
from agent.presentation import Blocks, page
from agent.presentation.blocks import Preformatted
from agent.tools.record import Act, Tool, ToolContext, ToolRequest, ToolResult
from soundstage.settings.conversation import McpServerSettings

MARGIN_S = 15.0
"""For ending a call that has reached the time limit of its server."""
_CHECKED: Mapping[str, type | tuple[type, ...]] = {
    "string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict,
}  # fmt: skip


class McpRequest(ToolRequest, extra="allow"):
    """Arguments of a tool of an MCP server, which checks them itself; here only names and plain types."""

    arguments_schema: ClassVar[Mapping[str, Any]] = {}

    @model_validator(mode="before")
    @classmethod
    def _check(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = cls.arguments_schema.get("properties", {})
        for name in cls.arguments_schema.get("required", ()):
            if name not in values:
                raise ValueError(f"{name} is missing")
        for name, value in values.items():
            if name not in known:
                if cls.arguments_schema.get("additionalProperties") is False:
                    raise ValueError(f"there is no argument {name[:80]!r}; there are: {', '.join(known)}")
                continue
            kind = known[name].get("type")
            expected = _CHECKED.get(kind) if isinstance(kind, str) else None
            if expected is not None and (
                not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean")
            ):
                raise ValueError(f"{name} should be of the type {kind}")
        return values

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Returns the structure of the schema that the server listed."""
        return dict(cls.arguments_schema)


class McpResult(ToolResult):
    """The answer of a tool of an MCP server: text of others."""

    server: str
    text: str
    left_out: str = ""
    """What is not shown: pictures, sounds, the rest of a long text."""

    def presentation(self) -> Blocks:
        text = self.text or "(nothing)"
        return page(f"The MCP server {self.server} answered:", Preformatted(text=text), self.left_out)


Call = Callable[[ToolDefinition, dict[str, Any]], Awaitable[McpResult]]


def tool_of(
    server: str, settings: McpServerSettings, definition: ToolDefinition, call: Call
) -> Tool[McpRequest, McpResult]:
    """Returns the tool. Raises `mcp_server.name_unusable`, `mcp_server.schema_unusable`."""
    name = full_name(server, definition.name)
    reduced = ReducedSchema(definition.input_schema)
    request = create_model("McpRequest", __base__=McpRequest, __module__=__name__)
    request.arguments_schema = reduced.schema

    async def run(context: ToolContext, request: McpRequest) -> McpResult:
        return await call(definition, request.model_dump(mode="json"))

    text = "\n".join((definition.description, *reduced.notes))
    return Tool(
        name=name,
        purpose=f"Call {definition.name} of the MCP server {server}.",
        acts={"": Act(settings.effect, settings.permission, label=f"{server}: {definition.name}")},
        undo="",
        request=request,
        result=McpResult,
        run=run,
        redactable=frozenset(reduced.schema["properties"]),
        timeout_s=settings.timeout_s + MARGIN_S,
        reveals=True,
        mcp_server=server,
        description_by_others=clean_text(text, MAX_DESCRIPTION_CHARS),
    )


def result_of(server: str, content: Sequence[Mapping[str, Any]], structured: Any, limit: int) -> McpResult:
    """Returns the texts of a result, cleaned and cut; structured content only where there is no text."""
    texts = [str(part["text"]) for part in content if part.get("type") == "text"]
    others = sorted({str(part.get("type")) for part in content if part.get("type") != "text"})
    whole = "\n".join(texts)
    if not whole and structured is not None:
        whole = json.dumps(structured, ensure_ascii=False)
    shown = clean_text(whole, limit)
    notes = [f"Left out: {clean_text(', '.join(others), 80)}."] if others else []
    if len(whole) > limit:
        notes.append(f"The text has {len(whole)} characters; the rest is left out.")
    return McpResult(server=server, text=shown, left_out=" ".join(notes))
