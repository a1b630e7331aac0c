"""Conversations with the agent over HTTP, for `soundstage ask` and `soundstage chat`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.events import BRAIN_EVENT, BrainEvent, Failure, Text, ToolReturned, TurnBegan
from app.cli.studio_api import ENDED, StudioApi
from app.cli.words import segment
from soundstage.errors import SoundstageError

Show = Callable[[BrainEvent], None]

NEEDS_UPLOAD = frozenset({"policy.forbidden", "persona.path_not_allowed", "vision.path_not_allowed"})
"""Failures of a sentence that names a file of this machine: the studio reads none, we send it. What is
forbidden for another reason is so with the id of the file, too.
"""
PATHS_REFUSED = NEEDS_UPLOAD - {"policy.forbidden"}
PATH_RULE = "is a path on the server"
"""How the rule that refuses paths (`policy/rego/tools.rego`) begins its reason."""
MEDIA_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".mp4", ".mov", ".mkv", ".webm"})
QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|\'([^\']+)\'|(\S+)')


class Conversation:
    """One session of the agent. Cancelling `say` cancels the answer that is being given."""

    def __init__(
        self,
        api: StudioApi,
        session_id: str | None,
        *,
        follow: bool = False,
        debug: bool = False,
        dry_run: bool = False,
    ) -> None:
        self._api = api
        self._options = {"follow": follow, "debug": debug, "dry_run": dry_run}
        self._makes = not dry_run
        self.begun_renders: list[str] = []
        """Ids of the videos that were begun or spoken of here and were not done then."""
        self.session_id = session_id
        self._named_renders: dict[str, None] = {}

    async def check(self) -> None:
        """Raise NotFound for a session that is not there, or not ours."""
        if self.session_id is not None:
            await self._api.get(f"/api/chat/sessions/{segment(self.session_id)}/turns", limit=1)

    async def say(self, words: str, show: Show) -> None:
        """Show the events of one answer. A file of this machine that the words name is uploaded, and they are
        said again with its id.
        """
        files = _files_in(words)
        show = _naming_missing_files(words, show)
        if not files:
            await self._answer(words, show)
            return
        held: list[BrainEvent] = []
        await self._answer(words, held.append)
        if not any(isinstance(event, Failure) and event.code in NEEDS_UPLOAD for event in held):
            for event in held:
                show(event)
            return
        await self._say_with_uploads(words, files, show)

    async def _say_with_uploads(self, words: str, files: dict[str, Path], show: Show) -> None:
        assets: list[str] = []
        wrote = False

        def look(event: BrainEvent) -> None:
            nonlocal wrote
            wrote = wrote or (isinstance(event, ToolReturned) and event.tool == "create_persona")
            wrote = wrote or event.type == "approval"
            show(event)

        try:
            for text, file in files.items():
                assets.append((await self._api.upload(file))["id"])
                words = words.replace(text, assets[-1])
            await self._answer(words, look)
        finally:
            if not wrote:
                for asset in assets:
                    with suppress(SoundstageError):
                        await self._api.delete(f"/api/assets/{asset}")

    async def _answer(self, words: str, show: Show) -> None:
        begun: TurnBegan | None = None
        body = {"message": words, "session_id": self.session_id, **self._options}
        try:
            async for data in self._api.answer(body):
                event = BRAIN_EVENT.validate_python(data)
                if isinstance(event, TurnBegan):
                    begun, self.session_id = event, event.session_id
                show(await self._with_addresses(event) if self._api.remote else event)
                if self._makes and isinstance(event, ToolReturned) and _goes_on(event):
                    self.begun_renders.append(str(event.result["render_id"]))
                    # Videos are made here from now on, unless a server does it.
                    await self._api.start_making()
        except asyncio.CancelledError:
            if begun is not None:
                turn = f"/api/chat/sessions/{begun.session_id}/turns/{begun.turn}"
                with suppress(SoundstageError):
                    await self._api.post(f"{turn}/cancel")
            raise

    async def _with_addresses(self, event: BrainEvent) -> BrainEvent:
        """Returns the event with addresses in place of paths, which mean nothing on another machine."""
        if isinstance(event, ToolReturned):
            self._named_renders |= dict.fromkeys(_render_ids(event.result))
        if not isinstance(event, Text) or "\n  " not in event.text:
            return event
        lines = event.text.split("\n")
        for render_id in self._named_renders:
            with suppress(SoundstageError):
                render = await self._api.get(f"/api/renders/{segment(render_id)}")
                addresses = [f"  {self._api.address_of(one['url'])}" for one in render["outputs"]]
                lines = _replace_paths(lines, render["out_files"], addresses)
        return event.model_copy(update={"text": "\n".join(lines)})


def _render_ids(result: Mapping[str, Any]) -> list[str]:
    """Returns the ids of the renders that a tool has returned, of one or of a list."""
    found = [result, *(result.get("renders") or ())]
    return [str(one["render_id"]) for one in found if isinstance(one, Mapping) and one.get("render_id")]


def _replace_paths(lines: list[str], names: list[str], addresses: list[str]) -> list[str]:
    """Returns the lines with `addresses` in place of the paths to files called `names`."""
    replaced: list[str] = []
    for line in lines:
        if not (line.startswith("  ") and names and line.endswith(tuple(f"/{name}" for name in names))):
            replaced.append(line)
        else:
            replaced += addresses
            addresses = []
    return replaced


def _goes_on(event: ToolReturned) -> bool:
    state = event.result.get("state")
    return isinstance(state, str) and event.result.get("render_id") is not None and state not in ENDED


def _naming_missing_files(words: str, show: Show) -> Show:
    """Returns `show` with another failure for a file that the user names and that is not on this machine: the
    studio, which reads no paths, only says that it may not. What is looked at is the user's own machine.
    """
    missing = [text for text, is_file in _media_in(words).items() if not is_file]

    def show_missing(event: BrainEvent) -> None:
        if missing and isinstance(event, Failure) and _refuses_path(event):
            event = event.model_copy(
                update={
                    "code": "file.not_found",
                    "message": f"There is no file {missing[0]} on this machine.",
                    "hint": "Check the path.",
                    "suggestions": (),
                }
            )
        show(event)

    return show_missing


def _refuses_path(failure: Failure) -> bool:
    return failure.code in PATHS_REFUSED or (
        failure.code == "policy.forbidden" and PATH_RULE in failure.message
    )


def _files_in(words: str) -> dict[str, Path]:
    """The pictures and videos of this machine that a sentence names, by the text that names them."""
    return {text: Path(text).expanduser() for text, is_file in _media_in(words).items() if is_file}


def _media_in(words: str) -> dict[str, bool]:
    """The texts of a sentence that name a picture or a video, and whether it is on this machine."""
    found: dict[str, bool] = {}
    for match in QUOTED.finditer(words):
        text = next(group for group in match.groups() if group is not None)
        for candidate in (text, text.rstrip(".,;:!?)")):
            path = Path(candidate)
            with suppress(OSError, RuntimeError, ValueError):
                path = path.expanduser()
                if path.suffix.lower() in MEDIA_SUFFIXES:
                    found[candidate] = path.is_file()
                    break
    return found
