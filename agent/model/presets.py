"""Says how models of known families are asked: temperature, tool choice, effort, context, thoughts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from agent.sentences import read_yaml
from soundstage.errors import Invalid
from soundstage.settings.sections import Effort, StructuredOutput, ToolChoice

FILE = Path(__file__).with_name("presets.yaml")


class Preset(BaseModel, extra="forbid", frozen=True):
    """Says how a model is asked. None: the request does not say, so the server decides."""

    family: str = ""
    names: str = ""
    """A regular expression that is in the names of such models."""
    temperature: float | None = Field(None, ge=0, le=2)
    tool_choice: ToolChoice | None = None
    parallel_calls: bool | None = None
    """Whether one answer may hold several tool calls."""
    effort: Effort | None = None
    """How much it thinks."""
    effort_as: Literal["reasoning_effort", "enable_thinking"] = "reasoning_effort"
    """The field of the request that says the effort; `enable_thinking` is one of the chat template."""
    context_tokens: int | None = Field(None, ge=512)
    structured_output: StructuredOutput | None = None
    """How an answer of a fixed form is asked for: as the arguments of a tool, or as JSON of a schema."""
    return_thoughts: bool = False
    """Whether its thoughts (`reasoning_content`) go back to it between the calls of one answer."""

    def fields(self, *, tools: bool) -> dict[str, Any]:
        """Returns the fields of a request; some hold only for a request with tools."""
        fields: dict[str, Any] = {"temperature": self.temperature}
        if tools:
            fields |= {"tool_choice": self.tool_choice, "parallel_tool_calls": self.parallel_calls}
        if self.effort is not None and self.effort_as == "enable_thinking":
            fields["chat_template_kwargs"] = {"enable_thinking": self.effort != "none"}
        else:
            fields["reasoning_effort"] = self.effort
        return {name: value for name, value in fields.items() if value is not None}


SETTABLE = frozenset(Preset.model_fields) - {"names", "effort_as"}
"""What settings and Consul may say."""


def preset_for(model: str, chosen: Mapping[str, Any]) -> Preset:
    """Returns the preset of the family that `chosen` or the model's name says, with what else `chosen` says.

    Raises Invalid `model.wrong_preset` for a family or a value that cannot be.
    """
    values = {name: value for name, value in chosen.items() if name in SETTABLE and value not in (None, "")}
    presets = read_presets()
    if family := values.get("family"):
        fitting = [one for one in presets if one.family == family]
        if not fitting:
            known = ", ".join(one.family for one in presets)
            raise _wrong(model, f"there is no family {str(family)[:40]!r}", f"Families are {known}.")
    else:
        fitting = [one for one in presets if re.search(one.names, model, re.IGNORECASE)]
    found = fitting[0] if fitting else Preset()
    try:
        return Preset.model_validate({**found.model_dump(), **values})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _wrong(model, f"{where}: {first['msg']}", f"Change {where} or leave it out.") from error


def _wrong(model: str, what: str, hint: str) -> Invalid:
    return Invalid("model.wrong_preset", f"How the model {model[:80]} is asked cannot be: {what}.", hint)


@cache
def read_presets() -> tuple[Preset, ...]:
    return tuple(map(Preset.model_validate, read_yaml(FILE)))
