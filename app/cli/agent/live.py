"""`soundstage live`: presenters who are broadcast to a target of the settings."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.words import segment
from soundstage.errors import Invalid, NotFound

if TYPE_CHECKING:
    from app.cli.studio_api import StudioApi

BROADCASTS = "/api/voice/broadcasts"
LIVE_WITHIN_S = 60
MAX_CHARS = 4000
"""Of a text in one request."""
Broadcast = Annotated[str, typer.Argument(help="Its id or its target; default: the latest.")]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "live")

    @group.command()
    def start(
        to: Annotated[str, typer.Option("--to", help="A target: a name of voice.broadcasts.")],
        presenter: Annotated[str, typer.Option("--presenter", help="Id of the presenter.")] = "nova",
        as_json: JsonFlag = False,
    ) -> None:
        """Begin a broadcast of a presenter, to RTMP or HLS."""
        found = call_studio(lambda api: _start(api, to, presenter))
        if found["state"] != "live":
            why = found["error"] or f"It is {found['state']} after {LIVE_WITHIN_S} s."
            output(as_json).answer(found, f"Begun, and not live yet. {why} soundstage live list")
            raise typer.Exit(1)
        output(as_json).answer(found, f"Live: {found['persona_id']} to {to}. soundstage live say TEXT")

    @group.command()
    def say(
        text: Annotated[str, typer.Argument(help="The text, word for word.")] = "",
        broadcast: Annotated[str, typer.Option("--broadcast", help="Its id or its target.")] = "",
        file: Annotated[Path | None, typer.Option("--file", help="A text file in place of TEXT.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Have the presenter say a text, after what is being said."""
        if bool(text) == (file is not None):
            raise Invalid("live.no_text", "Say a text or name a file, not both.", "soundstage live say TEXT")
        words = text if file is None else file.read_text(encoding="utf-8")

        async def send(api: StudioApi, path: str) -> Any:
            for part in _parts(words):
                found = await api.post(f"{path}/say", {"text": part})
            return found

        found = _call(broadcast, send)
        output(as_json).answer(found, f"Will be said: {len(words.split())} words.")

    @group.command()
    def interrupt(broadcast: Broadcast = "", as_json: JsonFlag = False) -> None:
        """End what is being said; the broadcast goes on."""
        found = _call(broadcast, lambda api, path: api.post(f"{path}/interrupt"))
        output(as_json).answer(found, "Interrupted.")

    @group.command("list")
    def list_broadcasts(as_json: JsonFlag = False) -> None:
        """List your broadcasts, the latest first."""
        found = call_studio(lambda api: api.get(BROADCASTS))
        rows = ([one["id"], one["to"], one["persona_id"], one["state"], one["error"]] for one in found)
        columns = ["broadcast", "target", "presenter", "state", ""]
        output(as_json).listing(found, columns, rows, empty="Nobody is being broadcast.")

    @group.command()
    def stop(broadcast: Broadcast = "", as_json: JsonFlag = False) -> None:
        """End a broadcast."""
        _call(broadcast, lambda api, path: api.delete(path))
        output(as_json).answer({"ended": True}, "Ended.")


async def _start(api: StudioApi, to: str, presenter: str) -> Any:
    """Begins a broadcast, and waits until its target takes it."""
    found = await api.post(BROADCASTS, {"to": to, "agent_id": presenter})
    with suppress(TimeoutError):
        async with asyncio.timeout(LIVE_WITHIN_S):
            while found["state"] not in ("live", "failed"):
                await asyncio.sleep(0.5)
                found = _find(await api.get(BROADCASTS), found["id"])
    return found


def _parts(text: str) -> Iterator[str]:
    """Yields the paragraphs of a text; longer ones in pieces that end between words."""
    for paragraph in filter(str.strip, text.splitlines()):
        yield from textwrap.wrap(paragraph, MAX_CHARS)


def _call(name: str, call: Callable[[StudioApi, str], Awaitable[Any]]) -> Any:
    """Calls the path of a broadcast, which is found by its id or its target."""

    async def find_and_call(api: StudioApi) -> Any:
        found = _find(await api.get(BROADCASTS), name)
        return await call(api, f"{BROADCASTS}/{segment(found['id'])}")

    return call_studio(find_and_call)


def _find(broadcasts: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Returns the broadcast with this id or target, or the latest. Raises `live.not_found`."""
    for one in broadcasts:
        if name in ("", one["id"], one["to"]):
            return one
    raise NotFound(
        "live.not_found",
        f"There is no broadcast {name}." if name else "Nobody is being broadcast.",
        "soundstage live list",
    )
