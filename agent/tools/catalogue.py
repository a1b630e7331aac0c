"""All tools of the agent, in the order in which help lists them."""

from agent.tools.personas import create_persona, list_personas
from agent.tools.renders import cancel_render, list_renders, make_render, show_render
from agent.tools.toolset import AnyTool

ALL_TOOLS: tuple[AnyTool, ...] = (
    make_render,
    list_renders,
    show_render,
    cancel_render,
    list_personas,
    create_persona,
)
