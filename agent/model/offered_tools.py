"""Chooses the few tools that a request to a language model carries; used by ModelAnswers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.model.instructions import DataMarks, tool_schema
from agent.tools.toolset import AnyTool
from agent.understanding import HelpEntry
from policy import Principal

FIND_TOOLS = "find_tools"
MOST_TOOLS = 10
"""In one request, `find_tools` included."""
FITTING_TOOLS = 8
"""Of the first request: the rest is for what the turn finds and uses."""
NEEDED_TOOLS = 3
"""For so many the tools of a conversation change, where these are not among them."""
SCHEMA_TOKENS = 3000
BYTES_PER_TOKEN = 4
FOUND_TOOLS = 5
MOST_USED = (
    *("make_render", "list_renders", "show_render", "list_projects", "edit_project", "list_personas"),
    *("list_machines", "cluster_status", "publish_render"),
)
"""Offered where nothing says which tools fit."""
_WORD = re.compile(r"[^\W_]{3,}")
_STEM_CHARS = 5

_FIND_TOOLS: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": FIND_TOOLS,
        "description": "Find more tools by what they do. Those found can be called afterwards.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What shall be done, in English."}},
            "required": ["query"],
        },
    },
}


class OfferedTools:
    """The tools of the requests of one turn: at most ten, with schemas of less than 3 000 tokens.

    The tools of a conversation change only when they have to, and new ones come last, since many servers put
    them at the beginning of the prompt that they keep.
    """

    def __init__(
        self,
        tools: Iterable[AnyTool],
        principal: Principal,
        descriptions: Mapping[str, str],
        fitting: Sequence[str] = (),
        needed: Sequence[str] = (),
        before: Sequence[str] = (),
        marks: DataMarks | None = None,
    ) -> None:
        """`fitting`: names of tools, the best first; `needed`: those that must be there; `before`: what the
        conversation had until now. `descriptions` are what `find` looks at; `marks` go around others' texts.
        """
        self._marks = marks
        self._descriptions = descriptions
        self._tools = {tool.name: tool for tool in tools if any(map(principal.may, tool.permissions))}
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._order = [
            name for name in dict.fromkeys([*fitting, *MOST_USED, *self._tools]) if name in self._tools
        ]
        self._used: list[str] = []
        needed = [name for name in needed if name in self._tools][:NEEDED_TOOLS]
        present = [name for name in dict.fromkeys(before) if name in self._tools]
        grown = [*present, *(name for name in needed if name not in present)]
        if self._fits(grown) and len(present) >= min(FITTING_TOOLS, len(self._tools)):
            self._names = grown
            return
        chosen: list[str] = []
        for name in dict.fromkeys([*needed, *present[:NEEDED_TOOLS], *self._order]):
            if len(chosen) < FITTING_TOOLS and self._fits([*chosen, name]):
                chosen.append(name)
        # In the order of all tools, whatever fits best: then conversations share their beginning.
        self._names = [name for name in self._tools if name in chosen]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    @property
    def schemas(self) -> list[Mapping[str, Any]]:
        """Returns the tools in the form of the chat completions API, `find_tools` first."""
        if len(self._names) == len(self._tools):
            return [self._schema(name) for name in self._names]
        return [self._find_tools(), *map(self._schema, self._names)]

    def add(self, name: str) -> None:
        """Offers a tool from the next request on, if need be in place of those that fit least."""
        if name not in self._tools:
            return
        self._used = [name, *(one for one in self._used if one != name)]
        if name in self._names:
            return
        names = [*self._names, name]
        while not self._fits(names) and len(names) > 1:
            unused = [one for one in names if one not in self._used] or names[:-1]
            names.remove(max(unused, key=self._order.index))
        self._names = names

    def find(self, query: str) -> dict[str, Any]:
        """Offers the tools whose description has words of the query, and returns their purposes; the names
        of all tools where none has.
        """
        query_stems = _stems(query)
        words = {
            name: _stems(f"{self._descriptions.get(name, tool.purpose)} {tool.description_by_others}")
            for name, tool in self._tools.items()
        }
        known = Counter(stem for stems in words.values() for stem in stems)
        score = {name: sum(1 / known[stem] for stem in query_stems & stems) for name, stems in words.items()}
        found = sorted((name for name in score if score[name]), key=lambda name: -score[name])[:FOUND_TOOLS]
        if not found:
            return {"found": [], "all": list(self._tools)}
        for name in reversed(found):
            self.add(name)
        return {"found": [{"name": name, "purpose": self._tools[name].purpose} for name in found]}

    def _fits(self, names: Sequence[str]) -> bool:
        return (
            len(names) < MOST_TOOLS
            and schema_tokens([self._find_tools(), *map(self._schema, names)]) < SCHEMA_TOKENS
        )

    def _find_tools(self) -> Mapping[str, Any]:
        """Returns the schema of the search, with the MCP servers whose tools it finds."""
        servers = dict.fromkeys(tool.mcp_server for tool in self._tools.values() if tool.mcp_server)
        if not servers:
            return _FIND_TOOLS
        function = _FIND_TOOLS["function"]
        more = f"{function['description']} It also finds those of the servers {', '.join(servers)}."
        return {**_FIND_TOOLS, "function": {**function, "description": more}}

    def _schema(self, name: str) -> Mapping[str, Any]:
        if name not in self._schemas:
            self._schemas[name] = tool_schema(self._tools[name], self._marks)
        return self._schemas[name]


def schema_tokens(schemas: Sequence[Mapping[str, Any]]) -> int:
    """Returns about how many tokens the schemas of a request take."""
    return len(json.dumps(schemas, ensure_ascii=False).encode()) // BYTES_PER_TOKEN


def descriptions(tools: Iterable[AnyTool], entries: Iterable[HelpEntry]) -> dict[str, str]:
    """Returns the words that say what each tool does: names, actions, labels, arguments and examples."""
    found: dict[str, list[str]] = {}
    for one in tools:
        labels = [one.label(action) for action in one.acts]
        found[one.name] = [one.name, one.purpose, *one.acts, *labels, *one.request.model_fields]
    for entry in entries:
        if entry.tool in found:
            found[entry.tool] += [entry.purpose, *entry.examples]
    return {name: " ".join(words) for name, words in found.items()}


def _stems(text: str) -> set[str]:
    return {word[:_STEM_CHARS] for word in _WORD.findall(text.lower().replace("_", " "))}
