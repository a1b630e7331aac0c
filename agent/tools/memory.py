"""The tool that remembers, recalls and forgets what people ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from agent.memory.schemas import MAX_CHARS, How, MemoryOut, MemoryText
from agent.memory.service import Owner, refuse_secret
from agent.presentation import Blocks, items, page
from agent.tools.plan import Plan, change
from agent.tools.record import Act, Ask, ToolContext, ToolRequest, ToolResult, tool
from soundstage.errors import Conflict, NotFound

MAX_FORGOTTEN = 10
"""More at once are forgotten only by “everything”, so that a vague word does not take half of it along."""


class MemoryRequest(ToolRequest):
    action: Literal["remember", "recall", "forget"] = Field(description="One of remember, recall, forget.")
    text: MemoryText | None = Field(default=None, description="What to remember, as the person says it.")
    about: str | None = Field(
        default=None, max_length=MAX_CHARS, description="What to recall or forget: a word or a question."
    )
    everything: bool = Field(default=False, description="Forget all that is remembered about the person.")
    limit: int = Field(default=5, ge=1, le=50, description="How many to recall at most.")
    keep_secret: bool = Field(
        default=False,
        description="Remember it although it looks like a password, key or card number; only if asked to.",
    )

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.action == "remember" and self.text is None:
            raise ValueError("there is nothing to remember in it; say “remember that …”")
        if self.action == "forget" and not self.everything and not (self.about or "").strip():
            raise ValueError(
                "it is not said what to forget; say “forget what I said about …”, or “everything”"
            )
        return self


class MemoryAnswer(ToolResult):
    action: str
    about: str = ""
    memory_id: str | None = None
    memories: tuple[MemoryOut, ...] = ()
    known: bool = False
    how: How | None = None
    hint: str = ""
    everything: bool = False
    gone: int = 0

    def presentation(self) -> Blocks:
        memories = items((memory.text for memory in self.memories), "•")
        match self.action:
            case "remember":
                [memory] = self.memories
                before = "I knew that already" if self.known else "I will remember"
                return page(f"{before}: “{memory.text}”")
            case "forget" if self.everything:
                things = "1 thing was" if self.gone == 1 else f"{self.gone} things were"
                return page(f"I have forgotten everything that you asked me to remember; {things} gone.")
            case "forget":
                return page("I have forgotten:", memories)
        about = f" about “{self.about}”" if self.about else ""
        return page(
            f"I remember{about}:" if self.memories else f"I remember nothing{about}.",
            memories,
            f"Only words were compared. {self.hint}" if self.hint else "",
        )


async def _plan(context: ToolContext, request: MemoryRequest) -> Plan:
    """Plans what would be stored or deleted."""
    owner = Owner.of(context.principal)
    if request.action != "forget":
        if request.action == "remember" and not request.keep_secret:
            refuse_secret(request.text or "")
        return Plan(changes=(change("Remember", request.text or ""),))
    if request.everything:
        count = await context.services.memory.count(owner)
        what = f"Forget everything that {context.principal.name} asked to be remembered"
        where = "1 memory" if count == 1 else f"{count} memories"
        return Plan(changes=(change(what, where),))
    found = await _meant(context, owner, request.about or "")
    return Plan(changes=tuple(change("Forget", one.text, deletes=True) for one in found))


@tool(
    {
        "remember": Act("write", "memory:create", at_most={"text": 2000}),
        "recall": Act("read", "memory:read"),
        "forget": Act(
            "destructive",
            "memory:delete",
            approvers=0,
            ask=(Ask("everything", (True,), 1, "all that is remembered about this person would be gone"),),
        ),
    },
    redactable=("text", "about"),
    reveals=True,
    undo="what was remembered can be forgotten; what was forgotten is gone, and can only be told again",
    plan=_plan,
)
async def memory(context: ToolContext, request: MemoryRequest) -> MemoryAnswer:
    """Remember what the person asks to be kept, recall it by its meaning, or forget it."""
    store, owner = context.services.memory, Owner.of(context.principal)
    match request.action:
        case "remember":
            text, where = request.text or "", context.session_id
            stored = await store.remember(
                owner, text, session_id=where, turn=context.turn, keep_secret=request.keep_secret
            )
            return MemoryAnswer(
                action="remember", memory_id=stored.memory.id, memories=(stored.memory,), known=stored.known
            )
        case "recall":
            about = (request.about or "").strip()
            found = await store.recall(owner, about, limit=request.limit)
            return MemoryAnswer(
                action="recall", about=about, memories=found.memories, how=found.how, hint=found.hint
            )
    if request.everything:
        return MemoryAnswer(action="forget", everything=True, gone=await store.forget(owner, None))
    meant = await _meant(context, owner, request.about or "")
    gone = await store.forget(owner, [one.id for one in meant])
    return MemoryAnswer(action="forget", memories=tuple(meant), gone=gone)


async def _meant(context: ToolContext, owner: Owner, about: str) -> Sequence[MemoryOut]:
    """Raises NotFound when nothing fits, and Conflict when too much does."""
    if about.startswith("mem_"):
        found = await context.services.memory.some(owner, [about])
    else:
        found = await context.services.memory.identify(owner, about, MAX_FORGOTTEN + 1)
    if not found:
        raise NotFound(
            "memory.nothing_found",
            f"There is nothing about “{about}” in what you asked me to remember.",
            "Say “what do you remember?” to see all of it.",
        )
    if len(found) > MAX_FORGOTTEN:
        raise Conflict(
            "memory.too_vague",
            f"More than {MAX_FORGOTTEN} memories have to do with “{about}”.",
            "Say more exactly what to forget, or forget everything.",
        )
    return found
