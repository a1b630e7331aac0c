"""Defines tools: a typed function and one record about it; `@tool` joins the two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import BaseModel

from agent.presentation import Blocks, as_text
from agent.tools.plan import Plan
from agent.tools.services import ToolServices
from policy import Principal
from policy.audit import AuditEntry
from policy.decisions import Decision

if TYPE_CHECKING:
    from studio.wiring import Studio

Effect = Literal["read", "write", "destructive"]
LONGEST_S = 300.0
STRENGTH: tuple[Effect, ...] = ("read", "write", "destructive")
Request = TypeVar("Request", bound="ToolRequest")
Result = TypeVar("Result", bound="ToolResult")


class ToolRequest(BaseModel, extra="forbid", frozen=True, str_strip_whitespace=False):
    """Arguments of a tool. Unknown ones are errors, so that a misspelt option is never dropped silently."""


class ToolResult(BaseModel, frozen=True):
    """The result of a tool: data for programs, and its presentation for people."""

    def presentation(self) -> Blocks:
        """Returns the result as people read it; the page draws these blocks."""
        raise NotImplementedError

    def sentence(self) -> str:
        """Returns the presentation as text for a terminal, a model or an MCP client."""
        return as_text(self.presentation())


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The caller, the conversation, and the services that a tool may call. A tool reaches nothing else."""

    principal: Principal
    session_id: str
    services: ToolServices
    turn: int | None = None
    """The number of the turn in it; None where a call is not part of a conversation."""
    last_render_id: str | None = None
    last_project_id: str | None = None
    """What this conversation was about last; without a render, the project was spoken of after any video."""
    local_files: bool = False
    """Whether paths in arguments mean files of the caller: only at this machine's prompt."""
    dry_run: bool = False
    """Whether only the plan is wanted."""
    decision: Decision | None = None
    """What the policy says of this call; set by the wrapper that asks it."""
    pending_entries: list[AuditEntry] = field(default_factory=list)
    """Audit entries of a call that only reads: written with the record of its end, in one transaction."""
    plans: list[Plan] = field(default_factory=list)
    """What was planned for this very call, before people were asked or their yes was used."""
    approval_id: str | None = None
    """Set when the call is made because people have agreed to it: then it runs on that yes or not at all."""

    @property
    def studio(self) -> Studio:
        return self.services.studio


@dataclass(frozen=True, slots=True)
class Ask:
    """A value of an argument with which people have to agree to the call, and why."""

    argument: str
    one_of: tuple[object, ...]
    approvers: int
    because: str


@dataclass(frozen=True, slots=True)
class Act:
    """The effect of one action of a tool, the permission it needs, and what the policy limits.

    `policy/rego/tools.json`, the labels of the page and the docs are generated from it (`make docs`).
    """

    effect: Effect
    permission: str
    label: str = ""
    """What the page calls it; derived from the name where it is empty."""
    approvers: int | None = None
    """How many people have to agree, because of `because`. None: what the policy says of the effect."""
    because: str = ""
    ask: tuple[Ask, ...] = ()
    at_most: Mapping[str, int] = field(default_factory=dict)
    """Of arguments: the longest text, or the largest number."""
    files: tuple[str, ...] = ()
    """Arguments that name files: a path is for people at the prompt of this machine only."""

    def policy_rule(self) -> dict[str, object]:
        """Returns the rule that the policy has for it, without what is at its default."""
        rule = {"permission": self.permission, "effect": self.effect, **asdict(self)}
        del rule["label"]
        return {name: value for name, value in rule.items() if value not in (None, "", (), {})}


@dataclass(frozen=True, slots=True)
class Tool(Generic[Request, Result]):
    """A callable tool with its record."""

    name: str
    purpose: str
    acts: Mapping[str, Act]
    """By the value of the argument `action`; a tool without that argument has one, under the empty name."""
    undo: str
    request: type[Request]
    result: type[Result]
    run: Callable[[ToolContext, Request], Awaitable[Result]]
    plan: Callable[[ToolContext, Request], Awaitable[Plan]] | None = None
    """Says what a call would change, and changes nothing; what people approve. None: the arguments say it."""
    redactable: frozenset[str] = frozenset()
    """Arguments whose text a user may have redacted: what cannot, as the audit log, gets a hash."""
    timeout_s: float = LONGEST_S
    """After so long a call is ended: what it asks of others may hang."""
    reveals: bool = False
    """Whether what it reads is not for every ear (memories, logs, pictures, the audit log): where words of
    others have been read, only a person's own words ask for it."""
    sends: Callable[[ToolServices, Request], bool] | None = None
    """Whether a call gives something away to another machine: then it is asked for as a change is, even by a
    tool that only reads."""
    mcp_server: str = ""
    """The MCP server that has it, by its name in the settings; empty for our own."""
    description_by_others: str = ""
    """What that server says of it: data for a model, never a part of its instructions."""

    @property
    def effect(self) -> Effect:
        """The strongest of what the tool can do."""
        return max((act.effect for act in self.acts.values()), key=STRENGTH.index)

    @property
    def permissions(self) -> tuple[str, ...]:
        """One for each kind of call, without doubles."""
        return tuple(dict.fromkeys(act.permission for act in self.acts.values()))

    @property
    def rules(self) -> Mapping[str, Act]:
        """Returns the acts by the names that the policy has for them: `memory.recall`, or the plain name."""
        return {rule_name(self.name, action): act for action, act in self.acts.items()}

    def label(self, action: str = "") -> str:
        """Returns what the page calls a call: “Make video”, “Add scene”, “Memory: recall”."""
        words = self.acts[action].label
        noun, verb = self.name.replace("render", "video").replace("_", " "), action.replace("_", " ")
        if not words:
            _, _, thing = noun.partition(" ")
            named = verb if verb.endswith(" scene") else f"{verb} {thing}" if thing else f"{noun}: {verb}"
            words = named if verb else noun
        return words[:1].upper() + words[1:]

    def action(self, request: Request) -> str:
        """The key into `acts` of this very call."""
        action = getattr(request, "action", "")
        return action if isinstance(action, str) and action in self.acts else ""


def rule_name(tool: str, action: str) -> str:
    """Returns the name of one action of a tool in policy and grammar."""
    return f"{tool}.{action}" if action else tool


def tool(
    acts: Act | Mapping[str, Act],
    *,
    undo: str = "",
    plan: Callable[[ToolContext, Any], Awaitable[Plan]] | None = None,
    redactable: Iterable[str] = (),
    timeout_s: float = LONGEST_S,
    reveals: bool = False,
    sends: Callable[[ToolServices, Any], bool] | None = None,
) -> Callable[[Callable[[ToolContext, Request], Awaitable[Result]]], Tool[Request, Result]]:
    """Declare a tool by its act, or by one for each value of its argument `action`.

    Its name is the function's, its purpose the first line of the docstring.
    """
    declared = {"": acts} if isinstance(acts, Act) else dict(acts)
    if not declared:
        raise ValueError("a tool has at least one act")

    def declare(function: Callable[[ToolContext, Request], Awaitable[Result]]) -> Tool[Request, Result]:
        hints: dict[str, Any] = get_type_hints(function)
        return Tool(
            name=function.__name__,
            purpose=cleandoc(function.__doc__ or "").partition("\n")[0],
            acts=declared,
            undo=undo,
            request=hints["request"],
            result=hints["return"],
            run=function,
            plan=plan,
            redactable=frozenset(redactable),
            timeout_s=timeout_s,
            reveals=reveals,
            sends=sends,
        )

    return declare
