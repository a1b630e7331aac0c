"""The tool that publishes a finished video on YouTube, once people have agreed to exactly that."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from pydantic import Field

from agent.presentation import Blocks, page
from agent.tools.plan import Change, Plan
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.renders.lines import LATEST, render_of
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.moments import Moment
from studio.publishing.schemas import (
    TITLE_CHARS,
    AccountView,
    PlainText,
    Privacy,
    PublicationPlan,
    PublicationView,
    PublishRequest,
)

MIB = 1 << 20
PART_CHARS = 380
"""Of a description in one line of a plan."""
DISCLOSURE = "YouTube tells viewers that it is synthetic"
SEEN_BY = MappingProxyType(
    {
        "private": "only the channel sees it",
        "unlisted": "whoever has the link sees it",
        "public": "everybody sees it",
    }
)

_ENDS = MappingProxyType({"failed": "the upload has failed", "cancelled": "the upload was cancelled"})


class PublishRender(ToolRequest):
    action: Literal["publish", "show"] = Field(
        description="publish: send it to YouTube; show: how far that is."
    )
    render: str = Field(default=LATEST, max_length=80, description="An id, the end of one, or “latest”.")
    account: str | None = Field(
        default=None,
        max_length=200,
        description="The channel, by name or id; needed where there are several.",
    )
    title: PlainText | None = Field(
        default=None, min_length=1, max_length=TITLE_CHARS, description="That of the video when left out."
    )
    description: PlainText | None = Field(
        default=None, max_length=4500, description="What stands below the video, word for word."
    )
    privacy: Privacy = Field(default="private", description="One of private, unlisted, public.")
    publish_at: Moment | None = Field(
        default=None, description="YouTube makes a private video public at that time."
    )
    again: bool = Field(default=False, description="Although the channel has this video already.")


class PublicationLine(ToolResult):
    """The state of a publication. Viewers learn in any case that the video is synthetic."""

    publication_id: str
    render_id: str | None
    title: str
    channel: str
    privacy: Privacy
    publication_state: str
    url: str | None = None
    message: str = ""

    def presentation(self) -> Blocks:
        more = f" {self.message}" if self.message else ""
        match self.publication_state:
            case "published":
                return page(
                    f"“{self.title}” is on YouTube, {self.privacy}, on {self.channel}: {self.url}{more}"
                )
            case "failed" | "cancelled":
                return page(f"“{self.title}” is not on YouTube: {_ENDS[self.publication_state]}.{more}")
            case _:
                way = f"is on its way to {self.channel} on YouTube"
                return page(f"“{self.title}” {way}, {self.privacy}.{more}")


async def _planned(context: ToolContext, request: PublishRender) -> Plan:
    """To the letter what leaves the house: anything else afterwards voids what people agreed to."""
    render, publish_request = await _publish_request(context, request)
    plan = await context.studio.outgoing.publishing.plan(render, publish_request)
    return Plan(
        changes=tuple(Change(what=what, where=f"YouTube channel {_channel(plan)}") for what in _sent(plan))
    )


@tool(
    {
        "publish": Act(
            "write",
            "publication:create",
            label="Publish video",
            approvers=1,
            because="it leaves the house under the name of a channel",
        ),
        "show": Act("read", "render:read", label="Show publication"),
    },
    undo="before YouTube has it all, cancel the publication; afterwards only YouTube Studio can delete it",
    plan=_planned,
)
async def publish_render(context: ToolContext, request: PublishRender) -> PublicationLine:
    """Publish a finished video on YouTube, or show how far that is. People agree to it first."""
    accounts = await context.studio.outgoing.accounts.all()
    if request.action == "show":
        # Viewers see videos, and not what becomes of them outside.
        context.principal.require("publication:read")
        return _line_of(await _last(context, request), accounts)
    render, publish_request = await _publish_request(context, request)
    publication = await context.studio.outgoing.publishing.publish(
        render, publish_request, requested_by=context.principal.name
    )
    return _line_of(publication, accounts)


async def _publish_request(context: ToolContext, request: PublishRender) -> tuple[str, PublishRequest]:
    """The id of the render and what YouTube is told. That it is synthetic is not to be left out from here."""
    render = await render_of(context, request.render)
    account = None
    if request.publish_at is not None and request.privacy != "private":
        raise Invalid(
            "publication.public_at_time",
            "At a time YouTube can only make a private video public.",
            "Leave out the privacy, or plan it: “On Friday at noon publish it unlisted”.",
        )
    if request.account is not None:
        account = _account_named(await context.studio.outgoing.accounts.all(), request.account).id
    return render.id, PublishRequest(
        account=account,
        title=request.title,
        description=request.description or "",
        privacy=request.privacy,
        publish_at=request.publish_at,
        again=request.again,
    )


def _account_named(accounts: list[AccountView], reference: str) -> AccountView:
    folded = reference.strip().casefold()
    found = [
        one
        for one in accounts
        if folded in (one.id.casefold(), one.channel_id.casefold(), one.title.casefold())
    ]
    if len(found) == 1:
        return found[0]
    there = ", ".join(one.title or one.channel_id for one in accounts) or "none"
    raise NotFound(
        "publishing.account_not_found",
        f"No one channel {reference.strip()!r} is connected.",
        f"There are: {there}.",
    )


def _sent(plan: PublicationPlan) -> list[str]:
    """A sentence for each thing that viewers or the channel would notice."""
    snippet, status = plan.video["snippet"], plan.video["status"]
    privacy = status["privacyStatus"]
    beside = [name for name, there in (("captions", plan.captions), ("a thumbnail", plan.thumbnail)) if there]
    lines = [
        f"Publish “{snippet['title']}” ({plan.render_id}, {plan.bytes / MIB:.1f} MiB"
        + (f", with {' and '.join(beside)})" if beside else ")"),
        f"It is {privacy}: {SEEN_BY[privacy]}"
        + (f"; public from {status['publishAt']}" if "publishAt" in status else ""),
        f"Disclosure: {DISCLOSURE}"
        if status["containsSyntheticMedia"]
        else "Disclosure: none; viewers are not told that it is synthetic",
    ]
    # All of it, in as many parts as it takes: people agree to the end of a text as well.
    description = snippet["description"]
    for at in range(0, len(description), PART_CHARS):
        lines.append(f"{'…' if at else 'Description:'} {description[at : at + PART_CHARS]}")
    return lines


def _channel(plan: PublicationPlan) -> str:
    return f"{plan.channel or plan.channel_id} ({plan.channel_id})"


async def _last(context: ToolContext, request: PublishRender) -> PublicationView:
    """The newest publication of the video that is meant."""
    render = await render_of(context, request.render)
    found = await context.studio.outgoing.publishing.page(render.id, limit=1)
    if not found:
        raise Conflict(
            "publication.none",
            f"“{render.title}” has not been published.",
            "Say “Publish it on YouTube”; somebody has to agree to that.",
        )
    return found[0]


def _line_of(view: PublicationView, accounts: list[AccountView]) -> PublicationLine:
    channel = next(
        (one.title or one.channel_id for one in accounts if one.id == view.account_id), "a channel"
    )
    message = view.waits
    if view.error is not None:
        message = f"{view.error.message} {view.error.hint}".strip()
    elif view.state == "uploading" and view.bytes_total:
        message = f"{view.bytes_sent * 100 // view.bytes_total} % are sent. {view.waits}".strip()
    return PublicationLine(
        publication_id=view.id,
        render_id=view.render_id,
        title=view.wishes.title or "",
        channel=channel,
        privacy=view.wishes.privacy,
        publication_state=view.state,
        url=view.url,
        message=message,
    )
