"""What a call leaves out may also be given as null, as stored approvals and language models do."""

from __future__ import annotations

import contextlib

import pytest
from pydantic import ValidationError

from agent.tools.catalogue import ALL_TOOLS
from agent.tools.renders.tools import make_render
from agent.tools.toolset import AnyTool


@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
def test_null_is_accepted_or_refused_and_never_breaks_a_call(tool: AnyTool) -> None:
    for name in tool.request.model_fields:
        with contextlib.suppress(ValidationError):
            tool.request.model_validate({name: None})


def test_a_call_read_back_from_an_approval_is_the_same_call() -> None:
    request = make_render.request.model_validate({"script": "Good morning."})
    assert make_render.request.model_validate(request.model_dump(mode="json")) == request
