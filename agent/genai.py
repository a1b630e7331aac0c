"""Names of OpenTelemetry's GenAI conventions, as of semantic conventions 1.44 (status: Development), and the
spans that bear them. The only module with these names: a new version of them is a change here.

Contents (what people say, answers, arguments, results) are never recorded, whatever the environment asks for.
"""

from __future__ import annotations

from soundstage.tracing import Kind, span
from soundstage.tracing.records import Value

OPERATION_NAME = "gen_ai.operation.name"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION_ID = "gen_ai.conversation.id"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
DEFAULT_AGENT = "soundstage"


def invoke_agent(persona: str | None, session_id: str, turn: int) -> span:
    """Returns the span of one turn of a conversation."""
    name = persona or DEFAULT_AGENT
    return span(
        f"invoke_agent {name}",
        {
            OPERATION_NAME: "invoke_agent",
            AGENT_NAME: name,
            CONVERSATION_ID: session_id,
            "soundstage.turn": turn,
        },
    )


def chat(provider: str, model: str, max_tokens: int) -> span:
    """Returns the span of one request to a language model. `provider` is the name of its server here."""
    attributes: dict[str, Value] = {
        OPERATION_NAME: "chat",
        PROVIDER_NAME: provider,
        REQUEST_MODEL: model,
        REQUEST_MAX_TOKENS: max_tokens,
    }
    return span(f"chat {model}", attributes, Kind.CLIENT)


def execute_tool(tool: str, session_id: str, effect: str) -> span:
    """Returns the span of one tool call, with policy, approval and audit."""
    return span(
        f"execute_tool {tool}",
        {
            OPERATION_NAME: "execute_tool",
            TOOL_NAME: tool,
            TOOL_TYPE: "function",
            CONVERSATION_ID: session_id,
            "soundstage.effect": effect,
        },
    )


def plan(tool: str) -> span:
    """Returns the span of working out what a call would change."""
    return span(f"plan {tool}", {OPERATION_NAME: "plan", TOOL_NAME: tool})
